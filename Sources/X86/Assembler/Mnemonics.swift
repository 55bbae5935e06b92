/// Where an operand of a row comes from when the instruction is written in a certain way.
package enum OperandSource: Sendable, Hashable {
    /// The operand written at this place, counted from 0.
    case written(Int)
    /// Not written: the row fixes it.
    case implied
    /// Not written: this number.
    case number(Int64)
    /// Not written: this register.
    case register(Register)
}

/// One way of writing a row of the instruction table.
package struct MnemonicCandidate: Sendable {
    /// Index of the row in `InstructionTable.definitions`.
    package var row: Int
    /// The operand size that the mnemonic demands, as MOVSW and PUSHFD do.
    package var operandSize: Int?
    /// The address size that the mnemonic or its operands demand, as JECXZ does.
    package var addressSize: Int?
    /// For each operand of the row where it comes from.
    package var sources: [OperandSource]
    /// How many operands are written.
    package var writtenCount: Int
    /// Written operands that no operand of the row stands for, and the registers they must be.
    package var required: [Int: Register] = [:]
    /// True if a WAIT comes first (FINIT and the like).
    package var waits = false
    /// True if the mnemonic also has a form with a 16- or 32-bit displacement.
    package var hasNearForm = false
    /// True if the destination is written with `to` (x87).
    package var isDestinationForm = false

    package var definition: InstructionDefinition { InstructionTable.definitions[row] }
}

/// A mnemonic with all ways of writing it.
package struct Mnemonic: Sendable {
    package let name: String
    /// The ways to write it, in the order in which they are preferred when nothing else decides.
    package let candidates: [MnemonicCandidate]
    let signatures: [CandidateSignature]

    init(_ name: String, _ candidates: [MnemonicCandidate]) {
        self.name = name
        self.candidates = candidates
        signatures = candidates.map(CandidateSignature.init)
    }
}

/// The instructions by the names that assembly text uses, derived from the instruction table.
package enum Mnemonics {
    /// The mnemonic with this lower-case name, or nil if there is none.
    package static func mnemonic(named name: String) -> Mnemonic? { index[name] }

    /// Every mnemonic, in alphabetical order.
    package static var all: [String] { index.keys.sorted() }

    /// Every mnemonic and every other word that can begin a statement.
    static let allWords: [String] =
        (Array(index.keys) + AssemblyPrefix.allCases.map(\.rawValue)
        + AssemblyDirective.allCases.filter { $0.refusal == nil }.map(\.rawValue)).sorted()

    /// The comparisons of CMPPS and the like by their immediate (SDM volume 2, CMPPD).
    private static let comparisons = ["eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"]

    /// A mnemonic of a row, with what the mnemonic itself says about the encoding.
    private struct Name {
        var text: String
        var operandSize: Int?
        var addressSize: Int?
        var waits = false
        /// The immediate that the name stands for.
        var immediate: Int64?
    }

    private static let index: [String: Mnemonic] = {
        var index: [String: [MnemonicCandidate]] = [:]
        for (row, definition) in InstructionTable.definitions.enumerated() where !definition.isAlias {
            for name in names(of: definition) {
                for var candidate in ways(of: definition, row: row, name: name) {
                    candidate.operandSize = name.operandSize
                    candidate.addressSize = candidate.addressSize ?? name.addressSize
                    candidate.waits = name.waits
                    index[name.text, default: []].append(candidate)
                    if let other = poppingNames[definition.operation], candidate.writtenCount == 0 {
                        index[other, default: []].append(candidate)
                    }
                }
            }
        }
        return Dictionary(
            uniqueKeysWithValues: index.map { name, candidates in
                let hasNearForm = candidates.contains { $0.definition.operands.contains(.Jz) }
                // NASM prefers DC to D8 for `fadd st0, st0`
                let preferred = candidates.filter { $0.definition.operands == [.STi, .ST0] }
                let others = candidates.filter { $0.definition.operands != [.STi, .ST0] }
                let all = (preferred + others).map { candidate in
                    var candidate = candidate
                    candidate.hasNearForm = hasNearForm
                    return candidate
                }
                return (name, Mnemonic(name, all))
            })
    }()

    // MARK: - Names

    /// The names that the formatter writes, and the others that NASM knows.
    private static func names(of definition: InstructionDefinition) -> [Name] {
        let usual = usualNames(of: definition)
        let operation = definition.operation
        let base = "\(operation)"
        var names = usual
        if let word = unsizedNames[operation] { names.append(Name(text: word)) }
        if let stem = conditionStems[operation], let name = usual.first?.text {
            let condition = String(name.dropFirst(stem.count))
            names += (conditionSynonyms[condition] ?? []).map { Name(text: stem + $0) }
        }
        if waitingOperations.contains(operation) { names.append(Name(text: "f" + base.dropFirst(2), waits: true)) }
        if comparingOperations.contains(operation) {
            names += comparisons.enumerated().map { number, name in
                Name(text: "cmp" + name + base.dropFirst(3), immediate: Int64(number))
            }
        }
        if operation == .ret {
            names += [(16, "retw"), (32, "retd"), (64, "retq")].map { Name(text: $0.1, operandSize: $0.0) }
        }
        if operation == .movsxd { names.append(Name(text: "movsx", operandSize: 64)) }
        // Intel's and GNU's names for what NASM writes with `o64`.
        if operation == .sysret || operation == .sysexit { names.append(Name(text: base + "q", operandSize: 64)) }
        return names + (aliases[operation] ?? []).map { Name(text: $0) }
    }

    /// The names that instructions decoded by this row have, with the sizes that make the difference.
    private static func usualNames(of definition: InstructionDefinition) -> [Name] {
        var sizes: [String: (operand: Set<Int>, address: Set<Int>)] = [:]
        for operandSize in definition.mode == .not64 ? [16, 32] : [16, 32, 64] {
            for addressSize in [16, 32, 64] {
                let name = mnemonic(of: definition, operandSize: operandSize, addressSize: addressSize)
                sizes[name, default: ([], [])].operand.insert(operandSize)
                sizes[name, default: ([], [])].address.insert(addressSize)
            }
        }
        return sizes.sorted { $0.key < $1.key }.map { name, sizes in
            // A name that also holds for 16 bits and more does not say the size
            let saysSize = !sizes.operand.isSuperset(of: [16, 32])
            return Name(
                text: name, operandSize: saysSize ? sizes.operand.min() : nil,
                addressSize: sizes.address.count == 1 ? sizes.address.first : nil)
        }
    }

    private static func mnemonic(
        of definition: InstructionDefinition, operandSize: Int, addressSize: Int
    ) -> String {
        var instruction = Instruction(
            operation: definition.operation, row: 0, length: 1, operandSize: UInt8(operandSize),
            addressSize: UInt8(addressSize))
        instruction.condition = definition.condition
        if operandSize == 64 { instruction.prefixes.insert(.rexW) }
        let operands = definition.operands.map { form in
            Operand(kind: .memory, width: UInt16(form.shape.memoryWidth.elementBits(operandSize: operandSize)))
        }
        if let first = operands.first { instruction.operands.0 = first }
        if operands.count > 1 { instruction.operands.1 = operands[1] }
        return instruction.mnemonic
    }

    /// Names without suffix, for the size that the mode gives.
    private static let unsizedNames: [Operation: String] = [
        .pusha: "pusha", .popa: "popa", .pushf: "pushf", .popf: "popf", .iret: "iret", .retFar: "retf",
    ]

    private static let conditionStems: [Operation: String] = [.jcc: "j", .setcc: "set", .cmovcc: "cmov"]

    /// Other names of condition codes (SDM volume 1 appendix B).
    private static let conditionSynonyms: [String: [String]] = [
        "b": ["c", "nae"], "ae": ["nb", "nc"], "e": ["z"], "ne": ["nz"], "be": ["na"], "a": ["nbe"], "p": ["pe"],
        "np": ["po"], "l": ["nge"], "ge": ["nl"], "le": ["ng"], "g": ["nle"],
    ]

    /// Operations whose name without N stands for WAIT and the operation.
    private static let waitingOperations: Set<Operation> = [
        .fninit, .fnclex, .fnstcw, .fnstenv, .fnsave, .fnstsw, .fneni, .fndisi,
    ]

    /// Operations with a further name for each value of the immediate.
    private static let comparingOperations: Set<Operation> = [.cmpps, .cmpss, .cmppd, .cmpsd]

    /// Other names of the same operation.
    private static let aliases: [Operation: [String]] = [
        .shl: ["sal"], .loope: ["loopz"], .loopne: ["loopnz"], .xlat: ["xlat"], .fwait: ["wait"],
        .int1: ["icebp"], .int3: ["int03"], .ud2: ["ud2a"], .ud1: ["ud2b"], .ret: ["retn"],
    ]

    /// The names by which NASM also writes the popping forms when there is no operand.
    private static let poppingNames: [Operation: String] = [
        .faddp: "fadd", .fmulp: "fmul", .fsubp: "fsub", .fsubrp: "fsubr", .fdivp: "fdiv", .fdivrp: "fdivr",
    ]

    // MARK: - Ways of writing the operands

    private static func ways(of definition: InstructionDefinition, row: Int, name: Name) -> [MnemonicCandidate] {
        var sources: [OperandSource] = []
        var count = 0
        for form in definition.operands {
            if form.shape.isImplicit || isImplied(form, in: definition.operation) {
                sources.append(.implied)
            } else if form == .Ib, let immediate = name.immediate {
                sources.append(.number(immediate))
            } else {
                sources.append(.written(count))
                count += 1
            }
        }
        let usual = MnemonicCandidate(row: row, sources: sources, writtenCount: count)
        let others = otherWays(usual, definition)
        // Of two registers NASM's XCHG has the first in ModRM.reg
        return definition.operation == .xchg ? others + [usual] : [usual] + others
    }

    /// True for registers that NASM never writes: those of string instructions and of SVM.
    private static func isImplied(_ form: OperandForm, in operation: Operation) -> Bool {
        let operations: Set<Operation> = [
            .movs, .cmps, .scas, .lods, .stos, .ins, .outs, .vmrun, .vmload, .vmsave,
        ]
        return form.shape.place == .fixed && operations.contains(operation)
    }

    private static func otherWays(
        _ usual: MnemonicCandidate, _ definition: InstructionDefinition
    ) -> [MnemonicCandidate] {
        func way(_ sources: [OperandSource], count: Int? = nil) -> MnemonicCandidate {
            var candidate = usual
            candidate.sources = sources
            candidate.writtenCount = count ?? sources.count { if case .written = $0 { true } else { false } }
            return candidate
        }
        let operation = definition.operation
        let operands = definition.operands
        if operands.contains(.ST0) || operands == [.STi] { return x87Ways(way, definition) }
        if operation == .test || operation == .xchg, !operands.contains(where: { $0.shape.place == .immediate }) {
            return [way([.written(1), .written(0)])]
        }
        if operation == .imul, operands.count == 3 {
            return [way([.written(0), .written(0), .written(1)], count: 2)]
        }
        if operands.last == .XMM0 { return [way([.written(0), .written(1), .implied])] }
        if operation == .aam || operation == .aad { return [way([.number(10)])] }
        if operation == .mwait || operation == .invlpga { return [way([.implied, .implied])] }
        if operation == .skinit { return [way([.implied])] }
        if [.loop, .loope, .loopne].contains(operation) {
            return [(16, Register.cx), (32, .ecx), (64, .rcx)].map { size, register in
                var candidate = way(usual.sources, count: 2)
                candidate.required = [1: register]
                candidate.addressSize = size
                return candidate
            }
        }
        if operation == .monitor {
            let none = way([.implied, .implied, .implied])
            return [none]
                + [(16, Register.ax), (32, .eax), (64, .rax)].map { size, register in
                    var candidate = way(none.sources, count: 3)
                    candidate.required = [0: register, 1: .ecx, 2: .edx]
                    candidate.addressSize = size
                    return candidate
                }
        }
        return []
    }

    /// The x87 forms with one operand or none, which stand for ST(0) and ST(1).
    private static func x87Ways(
        _ way: ([OperandSource], Int?) -> MnemonicCandidate, _ definition: InstructionDefinition
    ) -> [MnemonicCandidate] {
        if definition.operands == [.STi] { return [way([.register(.st1)], nil)] }
        if definition.operands == [.STi, .ST0] {
            var short = way([.written(0), .implied], nil)
            let none = way([.register(.st1), .implied], nil)
            if poppingNames[definition.operation] != nil { return [short, none] }
            short.isDestinationForm = true
            return [short]
        }
        let short = way([.implied, .written(0)], nil)
        // FADD without operands and the like is the popping form
        if poppingNames.values.contains("\(definition.operation)") { return [short] }
        let none = way([.implied, .register(.st1)], nil)
        return definition.operation == .fxch ? [short, none, way([.written(1), .written(0)], nil)] : [short, none]
    }
}

extension OperandWidth {
    /// The width of an element of a string instruction.
    fileprivate func elementBits(operandSize: Int) -> Int {
        switch self {
        case .bits8: 8
        case .atMost32: min(operandSize, 32)
        case .none, .bits16, .bits32, .bits64, .bits80, .bits128, .operandSize, .atLeast32, .native, .addressSize, .far,
            .pseudoDescriptor, .bounds, .environment, .x87State, .bytes512, .xsaveArea:
            operandSize
        }
    }
}
