#if arch(x86_64) && os(Linux)
import X86

/// What a run of one table row gave.
package struct RowResult {
    package var row: Int
    package var cases = 0
    package var differing = 0
    /// The first cases that differ, with what differs.
    package var examples: [(experiment: Case, differences: [String])] = []
}

/// Runs generated cases on the host and in the engine and compares what came of them.
package final class Conformance {
    private let host: HostProcess
    private let engine: EngineRunner
    private let exactFlags: Bool
    private let exampleLimit: Int

    /// `exactFlags` compares undefined flags too.
    package init?(host: HostProcess, path: ExecutionPath, exactFlags: Bool = false, exampleLimit: Int = 3) {
        guard let engine = EngineRunner(path: path) else { return nil }
        self.host = host
        self.engine = engine
        self.exactFlags = exactFlags
        self.exampleLimit = exampleLimit
    }

    /// Runs `count` cases of a row; nil if the row cannot be tested.
    package func run(row: Int, count: Int, seed: UInt64) throws -> RowResult? {
        guard var generator = CaseGenerator(row: row, seed: seed) else { return nil }
        var result = RowResult(row: row)
        while result.cases < count {
            var batch: [Case] = []
            while batch.count < min(count - result.cases, 1000), let next = generator.next() { batch.append(next) }
            guard !batch.isEmpty else { return result.cases > 0 ? result : nil }
            let outcomes = try host.run(batch)
            for (experiment, outcome) in zip(batch, outcomes) {
                let found = differences(
                    experiment, host: outcome, engine: engine.run(experiment), exactFlags: exactFlags)
                if found.isEmpty { continue }
                result.differing += 1
                if result.examples.count < exampleLimit { result.examples.append((experiment, found)) }
            }
            result.cases += batch.count
        }
        return result
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
        + "\(registers) \(memory)"
}

private func byte(_ value: UInt8) -> String {
    (value < 16 ? "0" : "") + String(value, radix: 16, uppercase: true)
}
#endif
