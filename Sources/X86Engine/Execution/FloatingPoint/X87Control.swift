import X86

// x87 control instructions (SDM volume 1 section 8.1.8 lists them): they leave the pointers alone, and those without
// a wait do not report pending exceptions. EMMS is here because it writes the tag word.

extension Processor {
    /// FNINIT.
    func fninit() throws(Fault) {
        try requireX87WithoutWait()
        state.pointee.x87.initialize()
    }

    /// FNCLEX: the exception flags, SF, ES and B.
    func fnclex() throws(Fault) {
        try requireX87WithoutWait()
        state.pointee.x87.statusWord &= 0x7F00
    }

    /// FNSTCW.
    func fnstcw(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87WithoutWait()
        try write(instruction.operands.0, of: instruction, UInt64(state.pointee.x87.controlWord))
    }

    /// FLDCW: a flag that becomes unmasked is pending from now on.
    func fldcw(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        state.pointee.x87.setControlWord(
            UInt16(truncatingIfNeeded: try read(instruction.operands.0, of: instruction)))
    }

    /// FNSTSW to memory or AX.
    func fnstsw(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87WithoutWait()
        try write(instruction.operands.0, of: instruction, UInt64(state.pointee.x87.statusWord))
    }

    /// FINCSTP and FDECSTP.
    func moveTop(by distance: Int) throws(Fault) {
        try requireX87()
        state.pointee.x87.top &+= distance
        state.pointee.x87.statusWord &= ~X87Status.C1
    }

    /// FFREE, and FFREEP, which pops as well.
    func ffree(_ instruction: borrowing Instruction, pops: Bool) throws(Fault) {
        try requireX87()
        state.pointee.x87.free(instruction.operands.0.register.x87Number)
        if pops { state.pointee.x87.pop() }
    }

    /// FWAIT: #NM with CR0.MP and CR0.TS, else only the pending exception.
    func fwait() throws(Fault) {
        if state.pointee.cr0 & (CR0.MP | CR0.TS) == CR0.MP | CR0.TS { throw .deviceNotAvailable }
        try reportPendingX87Exception()
    }

    /// EMMS: all registers are empty, and TOP is 0 as after any MMX instruction (SDM volume 3 table 13-2).
    func emms() throws(Fault) {
        try requireMMX()
        enterMMX()
        state.pointee.x87.tagWord = 0xFFFF
    }

    // MARK: Environment and state in memory

    /// FNSTENV; all exceptions are masked afterwards.
    func fnstenv(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87WithoutWait()
        var image = X87Image()
        let count = storeEnvironment(&image, isWide: instruction.operandSize != 16)
        try writeBlock(try imageAddress(instruction, count, .write), from: &image, count: count)
        state.pointee.x87.controlWord |= 0x3F
        state.pointee.x87.updateErrorSummary()
    }

    /// FLDENV.
    func fldenv(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        var image = X87Image()
        let isWide = instruction.operandSize != 16
        let count = isWide ? 28 : 14
        try readBlock(try imageAddress(instruction, count, .read), into: &image, count: count)
        loadEnvironment(image, isWide: isWide)
    }

    /// FNSAVE: environment and ST(0) to ST(7), then FNINIT.
    func fnsave(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87WithoutWait()
        var image = X87Image()
        let start = storeEnvironment(&image, isWide: instruction.operandSize != 16)
        for index in 0..<8 {
            let value = state.pointee.x87[index]
            for word in 0..<4 {
                image[start + index * 10 + word * 2] =
                    UInt16(truncatingIfNeeded: value.significand >> UInt64(word * 16))
            }
            image[start + index * 10 + 8] = value.signAndExponent
        }
        try writeBlock(try imageAddress(instruction, start + 80, .write), from: &image, count: start + 80)
        state.pointee.x87.initialize()
    }

    /// FRSTOR.
    func frstor(_ instruction: borrowing Instruction) throws(Fault) {
        try requireX87()
        var image = X87Image()
        let isWide = instruction.operandSize != 16
        let start = isWide ? 28 : 14
        try readBlock(try imageAddress(instruction, start + 80, .read), into: &image, count: start + 80)
        loadEnvironment(image, isWide: isWide)
        let tags = state.pointee.x87.tagWord
        for index in 0..<8 {
            var significand: UInt64 = 0
            for word in 0..<4 { significand |= UInt64(image[start + index * 10 + word * 2]) << UInt64(word * 16) }
            state.pointee.x87[index] = Extended(
                significand: significand, signAndExponent: image[start + index * 10 + 8])
        }
        state.pointee.x87.tagWord = tags
    }

    private func imageAddress(
        _ instruction: borrowing Instruction, _ count: Int, _ kind: AccessKind
    ) throws(Fault) -> UInt64 {
        let linear = try linearAddress(
            instruction.memory.segment, effectiveAddress(instruction), width: count, kind)
        try checkAlignment(linear, instruction.operandSize == 16 ? 2 : 4)
        return linear
    }

    /// Whether the pointers are stored as linear addresses: in real-address and virtual-8086 mode.
    private var usesLinearPointers: Bool { state.pointee.cr0 & CR0.PE == 0 || state.pointee.VM }

    /// One of the four formats of SDM volume 1 figures 8-9 to 8-12; gives its size.
    private func storeEnvironment(_ image: inout X87Image, isWide: Bool) -> Int {
        let x87 = state.pointee.x87
        var code = x87.instructionPointer
        var data = x87.dataPointer
        // What follows the offset of the instruction: selector and opcode, or the opcode below the high address bits.
        var codeHigh = UInt32(x87.instructionSelector) | UInt32(x87.opcode & 0x7FF) << 16
        var dataHigh = UInt32(x87.dataSelector)
        if usesLinearPointers {
            code = code &+ UInt64(x87.instructionSelector) << 4
            data = data &+ UInt64(x87.dataSelector) << 4
            codeHigh = UInt32(truncatingIfNeeded: code >> 16) << 12 | UInt32(x87.opcode & 0x7FF)
            dataHigh = UInt32(truncatingIfNeeded: data >> 16) << 12
        }
        let words = SIMD4(x87.controlWord, x87.statusWord, x87.fullTagWord, 0)
        if isWide {
            // Reserved halves read as ones on every processor since the 80387.
            for index in 0..<3 { image.setDoubleword(index * 4, 0xFFFF_0000 | UInt32(words[index])) }
            if usesLinearPointers {
                image.setDoubleword(12, 0xFFFF_0000 | UInt32(code & 0xFFFF))
                image.setDoubleword(16, codeHigh)
                image.setDoubleword(20, 0xFFFF_0000 | UInt32(data & 0xFFFF))
                image.setDoubleword(24, dataHigh)
            } else {
                image.setDoubleword(12, UInt32(truncatingIfNeeded: code))
                image.setDoubleword(16, codeHigh)
                image.setDoubleword(20, UInt32(truncatingIfNeeded: data))
                image.setDoubleword(24, 0xFFFF_0000 | dataHigh)
            }
            return 28
        }
        for index in 0..<3 { image[index * 2] = words[index] }
        image[6] = UInt16(truncatingIfNeeded: code)
        image[8] = UInt16(truncatingIfNeeded: codeHigh)
        image[10] = UInt16(truncatingIfNeeded: data)
        image[12] = UInt16(truncatingIfNeeded: dataHigh)
        return 14
    }

    private func loadEnvironment(_ image: X87Image, isWide: Bool) {
        let step = isWide ? 4 : 2
        var x87 = state.pointee.x87
        x87.statusWord = image[step]
        let tags = image[step * 2]
        x87.tagWord = 0
        // Only emptiness is kept; the rest is found from the contents when tags are stored.
        for place in 0..<8 where tags >> UInt16(place * 2) & 3 == 3 { x87.tagWord |= 3 << UInt16(place * 2) }
        var code = isWide ? UInt64(image.doubleword(12)) : UInt64(image[6])
        var data = isWide ? UInt64(image.doubleword(20)) : UInt64(image[10])
        let codeHigh = isWide ? image.doubleword(16) : UInt32(image[8])
        let dataHigh = isWide ? image.doubleword(24) : UInt32(image[12])
        if usesLinearPointers {
            code = code & 0xFFFF | UInt64(codeHigh >> 12 & 0xFFFF) << 16
            data = data & 0xFFFF | UInt64(dataHigh >> 12 & 0xFFFF) << 16
            x87.instructionSelector = 0
            x87.dataSelector = 0
            x87.opcode = UInt16(truncatingIfNeeded: codeHigh) & 0x7FF
        } else {
            x87.instructionSelector = UInt16(truncatingIfNeeded: codeHigh)
            x87.dataSelector = UInt16(truncatingIfNeeded: dataHigh)
            // The 16-bit protected format has no opcode.
            if isWide { x87.opcode = UInt16(truncatingIfNeeded: codeHigh >> 16) & 0x7FF }
        }
        x87.instructionPointer = code
        x87.dataPointer = data
        x87.setControlWord(image[0])
        state.pointee.x87 = x87
    }
}

/// Room for the largest x87 image in memory, 108 bytes.
private struct X87Image {
    private var words = (SIMD32<UInt16>(), SIMD32<UInt16>())

    /// The word at a byte offset.
    subscript(offset: Int) -> UInt16 {
        get { offset < 64 ? words.0[offset >> 1] : words.1[offset >> 1 & 31] }
        set {
            if offset < 64 { words.0[offset >> 1] = newValue } else { words.1[offset >> 1 & 31] = newValue }
        }
    }

    func doubleword(_ offset: Int) -> UInt32 { UInt32(self[offset]) | UInt32(self[offset + 2]) << 16 }

    mutating func setDoubleword(_ offset: Int, _ value: UInt32) {
        self[offset] = UInt16(truncatingIfNeeded: value)
        self[offset + 2] = UInt16(truncatingIfNeeded: value >> 16)
    }
}
