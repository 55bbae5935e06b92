import Foundation
import Testing
import X86

/// Every row of the instruction table, assembled here and by NASM.
@Suite struct AssemblerNASMTests {
    @Test func instructionsHaveTheBytesThatNASMGivesThem() throws {
        var comparison = try Comparison()
        for bits in [16, 32, 64] {
            var inputs = AssemblerInputs(bits: bits)
            let lines = Mnemonics.all.flatMap { inputs.fittingLines(for: $0) + inputs.strayLines(for: $0) }
            try comparison.compare(lines + AssemblerInputs.handWritten, bits: bits)
        }
        #expect(comparison.differences == [])
        #expect(comparison.accepted > 80_000, "only \(comparison.accepted) lines were accepted by NASM")
        #expect(comparison.missingRows == [], "rows that no line reaches")
        #expect(comparison.unusedReasons == [], "listed differences that no longer exist")
    }
}

/// Assembles lines here and by NASM and keeps what differs without a listed reason.
private struct Comparison {
    private let nasm: NASM
    private let reasons: [(difference: AssemblerDifference, pattern: Regex<AnyRegexOutput>)]
    private var used: Set<Int> = []
    private(set) var differences: [String] = []
    private(set) var accepted = 0
    /// The rows that decoding finds in what both agree on.
    private var rows: Set<UInt16> = []

    init() throws {
        nasm = try NASM()
        reasons = try AssemblerDifference.all.map { ($0, try Regex($0.pattern)) }
    }

    var unusedReasons: [String] {
        reasons.indices.filter { !used.contains($0) }.map { reasons[$0].difference.pattern }
    }

    mutating func compare(_ lines: [String], bits: Int) throws {
        let lines = Array(Set(lines)).sorted()
        var refused: [String] = []
        for (line, theirs) in zip(lines, try nasm.assemble(lines, bits: bits)) {
            if theirs != nil { accepted += 1 }
            let ours = Self.assemble(line, bits: bits, at: theirs?.offset ?? 0)
            guard ours != theirs?.bytes else {
                if let ours { checkDecoding(line, ours, bits: bits) }
                continue
            }
            let kind: AssemblerDifference.Kind =
                ours == nil ? .refusedHere : theirs == nil ? .acceptedHere : .otherBytes
            if hasReason(line, kind) { continue }
            if kind == .acceptedHere, line != Self.withoutSizes(line) {
                refused.append(line)
            } else {
                report(line, bits, ours, theirs?.bytes)
            }
        }
        // NASM does not take a redundant size everywhere: without it the line must have the same bytes
        for (line, theirs) in zip(refused, try nasm.assemble(refused.map(Self.withoutSizes), bits: bits)) {
            let ours = Self.assemble(line, bits: bits, at: theirs?.offset ?? 0)
            if ours != theirs?.bytes { report(line, bits, ours, theirs?.bytes) }
        }
    }

    /// The bytes must decode as a whole to an operation that the mnemonic stands for, with the registers of the line.
    private mutating func checkDecoding(_ line: String, _ bytes: [UInt8], bits: Int) {
        let words = line.split { " ,:[]+*-".contains($0) }.map(String.init)
        // The last word that is one, since `wait` can stand before another
        let word = words.last { Mnemonics.mnemonic(named: $0) != nil }
        guard let mnemonic = word.flatMap(Mnemonics.mnemonic(named:)) else { return }
        // Names for NOP and PAUSE
        if line == "rep nop" || mnemonic.name == "xchg" && words.count == 3 && words[1] == words[2] { return }
        // What waits first is two instructions
        let isWaiting = bytes.first == 0x9B && bytes.count > 1
        let code = isWaiting ? Array(bytes.dropFirst()) : bytes
        let result = code.withUnsafeBytes { Decoder.decode($0, mode: mode(bits)) }
        guard case .instruction(let instruction) = result, Int(instruction.length) == code.count else {
            differences.append("\(bits): \(line)  \(Self.hex(bytes)) does not decode")
            return
        }
        rows.insert(instruction.row)
        let operations = Set(mnemonic.candidates.map(\.definition.operation))
        let operands = instruction.operandList.filter { $0.kind == .register }.map { Self.wholeRegister($0.register) }
        let address = [instruction.memory.base, instruction.memory.index].map(Self.wholeRegister)
        let named = words.compactMap { word in Register.allCases.first { "\($0)" == word } }.map(Self.wholeRegister)
        let found = Set(operands + address)
        let isKnown = named.allSatisfy { register in
            // Segments are prefixes, and counters are known by the address size
            register.class == .segment || found.contains(register)
                || mnemonic.candidates.contains { !$0.required.isEmpty }
        }
        if !operations.contains(instruction.operation) || !isKnown {
            differences.append("\(bits): \(line)  \(Self.hex(bytes)) decodes as \(instruction.operation) \(operands)")
        }
    }

    /// The 64-bit register that a general register is part of: moves of selectors and the like name any width.
    private static func wholeRegister(_ register: Register) -> Register {
        switch register.class {
        case .general64, .general32, .general16, .general8: .general(register.number, width: 64)
        case .general8High, .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none: register
        }
    }

    /// Rows that an assembler should choose and none of the lines did.
    var missingRows: [String] {
        InstructionTable.definitions.enumerated()
            .filter { !$1.isAlias && !rows.contains(UInt16($0)) }
            .map { "\($1.operation) \($1.map) \(String($1.opcode, radix: 16)) \($1.operands)" }
    }

    private static func assemble(_ line: String, bits: Int, at address: Int) -> [UInt8]? {
        try? Assembler(mode: mode(bits), origin: UInt64(address)).assemble(line).bytes
    }

    private mutating func hasReason(_ line: String, _ kind: AssemblerDifference.Kind) -> Bool {
        let index = reasons.firstIndex { $0.difference.kind == kind && line.wholeMatch(of: $0.pattern) != nil }
        if let index { used.insert(index) }
        return index != nil
    }

    private mutating func report(_ line: String, _ bits: Int, _ ours: [UInt8]?, _ theirs: [UInt8]?) {
        differences.append("\(bits): \(line)  ours \(Self.hex(ours))  nasm \(Self.hex(theirs))")
    }

    /// The line without the sizes of operands; what stands between brackets is the size of a displacement.
    private static func withoutSizes(_ line: String) -> String {
        let bracket = line.firstIndex(of: "[") ?? line.endIndex
        let end = line.firstIndex(of: "]") ?? line.endIndex
        var result = line.replacingCharacters(in: bracket..<end, with: "@")
        for word in ["strict ", "byte ", "dword ", "qword ", "oword ", "tword ", "word "] {
            result.replace(word, with: "")
        }
        result.replace("@", with: line[bracket..<end])
        return result
    }

    private static func hex(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "refused" }
        return bytes.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    }
}

private func mode(_ bits: Int) -> CodeMode { bits == 16 ? .bits16 : bits == 32 ? .bits32 : .bits64 }
