/// Writes instructions in NASM's dialect of Intel syntax.
///
/// The text assembles to an instruction of the same meaning at the same address, though not always to the same
/// bytes: redundant prefixes are left out, and of several encodings an assembler chooses its own.
package struct InstructionFormatter: Sendable {
    /// The code mode that the text is to be assembled in, which decides what needs a size or prefix.
    package var mode: CodeMode
    /// Writes `byte`, `dword` … before every memory operand, not only where no register tells the size.
    ///
    /// NASM refuses it with some vector instructions.
    package var alwaysWritesSize = false

    package init(mode: CodeMode) { self.mode = mode }

    /// The text of an instruction that lies at `address`, by which targets become absolute.
    package func text(of instruction: Instruction, at address: UInt64) -> String {
        let definition = instruction.definition
        let isString = definition.operands.contains { $0.shape.place.isStringIndex }
        var operands: [String] = []
        for (form, operand) in zip(definition.operands, instruction.operandList) where !isString {
            if let text = text(of: operand, form: form, in: instruction, definition: definition, at: address) {
                operands.append(text)
            }
        }
        let words = prefixes(of: instruction, definition: definition) + [instruction.mnemonic]
        if Self.countedLoops.contains(instruction.operation) && instruction.addressSize != defaultAddressSize {
            operands.append("\(Register.general(1, width: Int(instruction.addressSize)))")
        }
        return words.joined(separator: " ") + (operands.isEmpty ? "" : " " + operands.joined(separator: ", "))
    }
}

extension InstructionFormatter {
    /// LOOP and its kin write the counter where it is not the one of the mode.
    private static let countedLoops: Set<Operation> = [.loop, .loope, .loopne]
    private static let shortBranches = countedLoops.union([.jcxz])
}

extension Instruction {
    /// The operands as a list.
    package var operandList: [Operand] {
        Array([operands.0, operands.1, operands.2, operands.3].prefix(Int(operandCount)))
    }
}

extension OperandPlace {
    fileprivate var isStringIndex: Bool { self == .sourceIndex || self == .destinationIndex }
}

// MARK: - Prefixes

extension InstructionFormatter {
    private func prefixes(of instruction: Instruction, definition: InstructionDefinition) -> [String] {
        var words: [String] = []
        if instruction.prefixes.contains(.lock) { words.append("lock") }
        if definition.repeatable {
            let compares = instruction.operation == .cmps || instruction.operation == .scas
            if instruction.prefixes.contains(.repeatNotEqual) { words.append(compares ? "repne" : "rep") }
            if instruction.prefixes.contains(.repeatEqual) { words.append(compares ? "repe" : "rep") }
        }
        let implicit = definition.operands.first { $0.shape.isImplicit && !$0.shape.place.writesES }
        if implicit != nil && instruction.memory.segment != .ds { words.append("\(instruction.memory.segment)") }
        if hidesAddressSize(instruction, definition) { words.append("a\(instruction.addressSize)") }
        if hidesOperandSize(instruction, definition) { words.append("o\(instruction.operandSize)") }
        return words
    }

    private var defaultAddressSize: UInt8 {
        switch mode {
        case .bits16: 16
        case .bits32: 32
        case .bits64: 64
        }
    }

    /// Whether the address size matters but no operand shows it.
    private func hidesAddressSize(_ instruction: Instruction, _ definition: InstructionDefinition) -> Bool {
        guard instruction.addressSize != defaultAddressSize else { return false }
        return definition.operands.contains { form in
            hidesRegister(form, definition) || (form.shape.isImplicit && form != .memoryRAX)
        }
    }

    private func defaultOperandSize(_ rule: OperandSizeRule) -> UInt8 {
        switch (mode, rule) {
        case (.bits16, _): 16
        case (.bits32, _), (.bits64, .normal), (.bits64, .ignore66): 32
        case (.bits64, .default64), (.bits64, .force64): 64
        }
    }

    /// Whether the operand size matters but neither mnemonic nor operands show it.
    private func hidesOperandSize(_ instruction: Instruction, _ definition: InstructionDefinition) -> Bool {
        guard instruction.operandSize != defaultOperandSize(definition.sizeRule) else { return false }
        if definition.operands.contains(where: { $0.shape.width == .environment || $0.shape.width == .x87State }) {
            return true
        }
        // Other branches say it before their target
        if Self.shortBranches.contains(instruction.operation) { return true }
        if Self.silentAboutOperandSize.contains(instruction.operation) { return true }
        return instruction.operands.0.register.class == .segment
            && (instruction.operation == .push || instruction.operation == .pop)
    }

    private static let silentAboutOperandSize: Set<Operation> = [
        .ret, .enter, .leave, .sysret, .sysexit, .lgdt, .lidt, .sgdt, .sidt,
    ]
}

extension OperandPlace {
    /// True for string destinations, which no prefix moves out of ES.
    fileprivate var writesES: Bool { self == .destinationIndex }
}

// MARK: - Operands

extension InstructionFormatter {
    private func text(
        of operand: Operand, form: OperandForm, in instruction: Instruction, definition: InstructionDefinition,
        at address: UInt64
    ) -> String? {
        switch operand.kind {
        case .none: return nil
        case .register:
            // NASM writes the address of INVLPGA but not that of VMRUN, VMLOAD and VMSAVE
            return hidesRegister(form, definition) ? nil : "\(operand.register)"
        case .memory, .memoryDestination:
            // MONITOR's address is written as the register that holds it
            if form == .memoryRAX { return "\(instruction.memory.base)" }
            if form.shape.isImplicit { return nil }
            let size = sizeKeyword(of: operand, form: form, in: instruction, definition: definition)
            return size + memoryText(instruction, form: form, at: address)
        case .immediate:
            let isSigned = form == .sIb || (form == .Iz && operand.width == 64)
            let value = signExtended(instruction.immediate, width: operand.width)
            let number = isSigned ? signedHex(value) : hex(instruction.immediate)
            return immediateSize(of: instruction, definition: definition) + number
        case .immediate2:
            return hex(instruction.immediate2)
        case .relative:
            let next = address &+ UInt64(instruction.length)
            let target = hex(masked(next &+ instruction.immediate, to: instruction.operandSize))
            return branchKeywords(instruction, definition) + target
        case .farPointer:
            let size = instruction.operandSize == 16 ? "word " : "dword "
            return size + hex(instruction.immediate2) + ":" + hex(instruction.immediate)
        }
    }

    /// What a branch needs before its target if its operand size is not that of the mode.
    private func branchKeywords(_ instruction: Instruction, _ definition: InstructionDefinition) -> String {
        guard instruction.operandSize != defaultOperandSize(definition.sizeRule) else { return "" }
        let size = Self.keywords[UInt16(instruction.operandSize)] ?? ""
        // As a near branch, which also reaches the target if redundant prefixes have made this one longer
        if instruction.operation == .jcc { return "near " + size }
        return Self.shortBranches.contains(instruction.operation) ? "" : size
    }

    private func hidesRegister(_ form: OperandForm, _ definition: InstructionDefinition) -> Bool {
        form == .addressRAX && definition.operands.count == 1
    }

    /// PUSH is the one instruction with an immediate and nothing else that tells the size.
    private func immediateSize(of instruction: Instruction, definition: InstructionDefinition) -> String {
        guard instruction.operation == .push, instruction.operandSize != defaultOperandSize(definition.sizeRule)
        else { return "" }
        return instruction.operandSize == 16 ? "word " : "dword "
    }

    private func sizeKeyword(
        of operand: Operand, form: OperandForm, in instruction: Instruction, definition: InstructionDefinition
    ) -> String {
        if form == .Mp {
            guard instruction.operation == .jmpFar || instruction.operation == .callFar else { return "" }
            return (Self.keywords[UInt16(instruction.operandSize)] ?? "") + "far "
        }
        guard form != .Ms, form != .Ma, let keyword = Self.keywords[operand.width],
            !Self.withOneMemoryWidth.contains(instruction.operation)
        else { return "" }
        return alwaysWritesSize || !registerTellsSize(of: operand, in: instruction, definition) ? keyword : ""
    }

    private static let keywords: [UInt16: String] = [
        8: "byte ", 16: "word ", 32: "dword ", 64: "qword ", 80: "tword ",
    ]

    private func registerTellsSize(
        of memory: Operand, in instruction: Instruction, _ definition: InstructionDefinition
    ) -> Bool {
        guard !Self.sourceSizeIsFree.contains(instruction.operation) else { return false }
        return zip(definition.operands, instruction.operandList).contains { form, operand in
            guard operand.kind == .register, form != .CL else { return false }
            return switch operand.register.class {
            case .mmx, .xmm: true
            case .general8, .general8High, .general16, .general32, .general64: operand.width == memory.width
            case .segment, .control, .debug, .x87, .instructionPointer, .none: false
            }
        }
    }

    /// Operations whose one operand is memory of the same width in all rows (CLFLUSH, CMPXCHG8B, FLDCW …).
    private static let withOneMemoryWidth: Set<Operation> = {
        let rows = Dictionary(grouping: InstructionTable.definitions, by: \.operation)
        return Set(
            rows.compactMap { operation, rows in
                let shapes = rows.filter { !$0.isAlias }.map { $0.operands.first?.shape }
                let widths = Set(shapes.map { $0?.memoryWidth })
                let takesOnlyMemory = shapes.allSatisfy { $0?.place == .rm && $0?.allowsRegister == false }
                return takesOnlyMemory && widths.count == 1 && rows[0].operands.count == 1 ? operation : nil
            })
    }()

    private static let sourceSizeIsFree: Set<Operation> = [.cvtsi2ss, .cvtsi2sd, .crc32, .movzx, .movsx, .movsxd]

    private func memoryText(_ instruction: Instruction, form: OperandForm, at address: UInt64) -> String {
        let memory = instruction.memory
        let usesStack = memory.base.isStackAddress
        var text = "["
        if memory.segment != (usesStack ? .ss : .ds) { text += "\(memory.segment):" }
        if memory.base == .rip || memory.base == .eip {
            let next = address &+ UInt64(instruction.length)
            let target = next &+ UInt64(bitPattern: memory.displacement)
            let size = instruction.addressSize == defaultAddressSize ? "" : "a\(instruction.addressSize) "
            return text + size + "rel " + hex(masked(target, to: instruction.addressSize)) + "]"
        }
        guard memory.base != .none || memory.index != .none else {
            let address = hex(masked(UInt64(bitPattern: memory.displacement), to: instruction.addressSize))
            if instruction.addressSize != defaultAddressSize { return text + "a\(instruction.addressSize) \(address)]" }
            let isLong = (form == .Ob || form == .Ov) && mode == .bits64
            return text + (isLong ? "qword " : "") + address + "]"
        }
        // Without it an assembler may write [rbp*2] as [rbp+rbp], in another segment
        if memory.base == .none && memory.index.isStackAddress { text += "nosplit " }
        if memory.base != .none { text += "\(memory.base)" }
        if memory.index != .none {
            if memory.base != .none { text += "+" }
            text += "\(memory.index)"
            if memory.scale > 1 || memory.base == .none || memory.index.isStackAddress { text += "*\(memory.scale)" }
        }
        if memory.displacement != 0 {
            text += (memory.displacement < 0 ? "-" : "+") + hex(memory.displacement.magnitude)
        }
        return text + "]"
    }
}

extension Register {
    /// True for rSP and rBP, whose default segment is SS.
    fileprivate var isStackAddress: Bool {
        switch self.class {
        case .general64, .general32, .general16: number == 4 || number == 5
        case .general8, .general8High, .segment, .control, .debug, .x87, .mmx, .xmm, .instructionPointer, .none: false
        }
    }
}

private func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

private func signedHex(_ value: Int64) -> String { (value < 0 ? "-" : "") + hex(value.magnitude) }

private func masked(_ value: UInt64, to size: UInt8) -> UInt64 {
    switch size {
    case 16: value & 0xFFFF
    case 32: value & 0xFFFF_FFFF
    default: value
    }
}

private func signExtended(_ value: UInt64, width: UInt16) -> Int64 {
    let shift = UInt64(64 &- width)
    return Int64(bitPattern: value &<< shift) &>> Int64(shift)
}
