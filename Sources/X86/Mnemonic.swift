extension Instruction {
    /// The mnemonic in NASM's spelling, with size and condition in it where the manuals have them there.
    package var mnemonic: String {
        if let stem = Self.conditionStems[operation] { return stem + Self.conditions[Int(condition & 15)] }
        if operation == .fcmovcc { return "fcmov" + Self.x87Condition(condition) }
        if operation == .jcxz { return addressSize == 16 ? "jcxz" : addressSize == 32 ? "jecxz" : "jrcxz" }
        let name = Self.renamed[operation] ?? "\(operation)"
        if Self.sizedByElement.contains(operation) { return name + sizeSuffix(of: elementWidth) }
        if Self.sizedByOperandSize.contains(operation) { return name + sizeSuffix(of: UInt16(operandSize)) }
        return prefixes.contains(.rexW) && Self.withPointerFormat.contains(operation) ? name + "64" : name
    }

    private static let conditionStems: [Operation: String] = [.jcc: "j", .setcc: "set", .cmovcc: "cmov"]
    private static let renamed: [Operation: String] = [
        .callFar: "call", .jmpFar: "jmp", .retFar: "retf", .xlat: "xlatb", .fnsetpm: "fsetpm",
    ]
    private static let sizedByElement: Set<Operation> = [.movs, .cmps, .scas, .lods, .stos, .ins, .outs]
    private static let sizedByOperandSize: Set<Operation> = [.pushf, .popf, .pusha, .popa, .iret, .retFar]
    /// REX.W chooses the format with 64-bit pointers.
    private static let withPointerFormat: Set<Operation> = [
        .fxsave, .fxrstor, .xsave, .xsavec, .xsaveopt, .xsaves, .xrstor, .xrstors,
    ]

    /// Condition codes 0...15 (SDM volume 1 appendix B).
    private static let conditions = [
        "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
    ]

    /// FCMOVcc spells its eight conditions otherwise.
    private static func x87Condition(_ condition: UInt8) -> String {
        switch condition {
        case 2: "b"
        case 3: "nb"
        case 4: "e"
        case 5: "ne"
        case 6: "be"
        case 7: "nbe"
        case 10: "u"
        default: "nu"
        }
    }

    /// The width of one element of a string instruction: of OUTS the first operand is the port.
    private var elementWidth: UInt16 { operation == .outs ? operands.1.width : operands.0.width }

    private func sizeSuffix(of width: UInt16) -> String {
        switch width {
        case 8: "b"
        case 16: "w"
        case 32: "d"
        default: "q"
        }
    }
}
