#if arch(x86_64) && os(Linux)
import X86

/// What a run of one table row gave.
package struct RowResult {
    package var cases = 0
    package var differing = 0
    /// The first cases that differ, with what differs.
    package var examples: [(experiment: Case, differences: [String])] = []
}

/// Runs generated cases on the host and in the engine and compares what came of them.
package final class Conformance {
    private let host: HostProcess
    private let engines: [(path: ExecutionPath, runner: EngineRunner)]
    private let exactFlags: Bool
    private let exampleLimit: Int

    /// `exactFlags` compares flags with the host's even where they are undefined.
    package init?(host: HostProcess, paths: [ExecutionPath], exactFlags: Bool = false, exampleLimit: Int = 3) {
        engines = paths.compactMap { path in EngineRunner(path: path).map { (path, $0) } }
        guard engines.count == paths.count else { return nil }
        self.host = host
        self.exactFlags = exactFlags
        self.exampleLimit = exampleLimit
    }

    /// Runs `count` cases of a row; nil if the row cannot be tested.
    package func run(row: Int, mode: CodeMode, count: Int, seed: UInt64) throws -> RowResult? {
        guard var generator = CaseGenerator(row: row, mode: mode, seed: seed) else { return nil }
        return try run(count) { generator.next() }
    }

    /// Runs `count` sequences of general-purpose instructions; see `SequenceGenerator`.
    package func runSequences(mode: CodeMode, count: Int, seed: UInt64) throws -> RowResult? {
        var generator = SequenceGenerator(mode: mode, seed: seed)
        return try run(count) { generator.next() }
    }

    private func run(_ count: Int, _ next: () -> Case?) throws -> RowResult? {
        var result = RowResult()
        while result.cases < count {
            var batch: [Case] = []
            while batch.count < min(count - result.cases, 1000), let experiment = next() { batch.append(experiment) }
            guard !batch.isEmpty else { return result.cases > 0 ? result : nil }
            let outcomes = try host.run(batch)
            for (experiment, outcome) in zip(batch, outcomes) {
                let found = differences(experiment, outcome)
                if found.isEmpty { continue }
                result.differing += 1
                if result.examples.count < exampleLimit { result.examples.append((experiment, found)) }
            }
            result.cases += batch.count
        }
        return result
    }

    /// What the engine's paths do other than the host, or other than the first of them: there undefined flags count.
    private func differences(_ experiment: Case, _ outcome: Outcome) -> [String] {
        var found: [String] = []
        var first: Outcome?
        for (path, runner) in engines {
            let result = runner.run(experiment)
            var here = compareOutcomes(experiment, host: outcome, engine: result, exactFlags: exactFlags)
            if let first, here.isEmpty {
                here = compareOutcomes(experiment, host: first, engine: result, exactFlags: true)
                if !here.isEmpty { here[0] = "unlike another path: " + here[0] }
            }
            // The first that counts time is the one to compare with.
            if first?.time == nil { first = result }
            if !here.isEmpty && engines.count > 1 { here[0] = "\(path): " + here[0] }
            found += here
        }
        return found
    }
}

/// A row by opcode, operation and operands, as the reports name it.
package func rowName(_ row: Int) -> String {
    let definition = InstructionTable.definitions[row]
    let map =
        switch definition.map {
        case .primary: ""
        case .secondary: "0F "
        case .escape38: "0F 38 "
        case .escape3A: "0F 3A "
        }
    let prefix =
        switch definition.prefix {
        case .any, .none, .noRepeat: ""
        case .x66: "66 "
        case .xF3: "F3 "
        case .xF2: "F2 "
        }
    let digit = definition.digit.map { " /\($0)" } ?? ""
    let operands = definition.operands.map { "\($0)" }.joined(separator: ", ")
    return "\(definition.isVEX ? "VEX " : "")\(prefix)\(map)\(byte(definition.opcode))\(digit) "
        + "\(definition.operation) \(operands)"
}

/// The bytes of a case's code, and the registers and memory it starts with, as a report shows them.
package func description(_ experiment: Case) -> String {
    let state = experiment.state
    let registers = (0..<16).map { "r\($0)=\(hex(state.registers[$0]))" }.joined(separator: " ")
    let memory = experiment.patches.map { "[\(hex($0.address))]=\(hex($0.value))" }.joined(separator: " ")
    return "\(experiment.code.map(byte).joined(separator: " ")) at \(hex(state.rip)) flags=\(hex(state.flags)) "
        + "\(registers) \(memory)\(floatingPointDescription(experiment))"
}

/// The x87 and SSE state, for rows that use it.
private func floatingPointDescription(_ experiment: Case) -> String {
    guard
        case .instruction(let instruction) = experiment.code.withUnsafeBytes({
            Decoder.decode($0, mode: experiment.mode)
        })
    else { return "" }
    let state = experiment.state
    switch instruction.definition.feature {
    case .fpu, .mmx:
        let registers = (0..<8).map { position in
            "ST\(position)=\(hex(state.field(MachineState.stack + position * 16 + 8, bytes: 2)))"
                + ".\(hex(state.field(MachineState.stack + position * 16, bytes: 8)))"
        }
        return " FCW=\(hex(state.field(MachineState.controlWord, bytes: 2)))"
            + " FSW=\(hex(state.field(MachineState.statusWord, bytes: 2)))"
            + " tags=\(hex(state.field(MachineState.tags, bytes: 1))) " + registers.joined(separator: " ")
    case .sse, .sse2, .sse3, .ssse3, .sse41, .sse42:
        let registers = (0..<16).map { position in
            "X\(position)=\(hex(state.field(MachineState.xmm + position * 16 + 8, bytes: 8)))"
                + ".\(hex(state.field(MachineState.xmm + position * 16, bytes: 8)))"
        }
        return " MXCSR=\(hex(state.field(MachineState.mxcsr, bytes: 4))) " + registers.joined(separator: " ")
    default: return ""
    }
}

private func byte(_ value: UInt8) -> String {
    (value < 16 ? "0" : "") + String(value, radix: 16, uppercase: true)
}
#endif
