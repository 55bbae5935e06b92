import X86

/// Bits of the x87 status word (SDM volume 1 section 8.1.3); bits 5:0 are those of `FloatingPointExceptions`.
enum X87Status {
    static let stackFault: UInt16 = 1 << 6
    /// ES: an exception flag is set whose mask is clear.
    static let errorSummary: UInt16 = 1 << 7
    static let C0: UInt16 = 1 << 8
    static let C1: UInt16 = 1 << 9
    static let C2: UInt16 = 1 << 10
    static let C3: UInt16 = 1 << 14
    static let conditionCodes: UInt16 = C0 | C1 | C2 | C3
    /// B, which follows ES.
    static let busy: UInt16 = 1 << 15
}

extension X87State {
    /// TOP in the status word.
    static let topMask: UInt16 = 7 << 11

    /// The physical number of ST(0).
    @inline(__always)
    var top: Int {
        get { Int(statusWord >> 11 & 7) }
        set { statusWord = statusWord & ~Self.topMask | UInt16(truncatingIfNeeded: newValue & 7) << 11 }
    }

    /// Whether ST(`index`) is empty; indices count modulo 8.
    @inline(__always)
    func isEmpty(_ index: Int) -> Bool {
        let shift = UInt16(truncatingIfNeeded: (top &+ index) & 7) &* 2
        return tagWord >> shift & 3 == 3
    }

    /// ST(`index`); a register written is in use.
    @inline(__always)
    subscript(index: Int) -> Extended {
        get {
            let place = (top &+ index) & 7
            return Extended(significand: significands[place], signAndExponent: signsAndExponents[place])
        }
        set {
            let place = (top &+ index) & 7
            significands[place] = newValue.significand
            signsAndExponents[place] = newValue.signAndExponent
            tagWord &= ~(3 << UInt16(truncatingIfNeeded: place &* 2))
        }
    }

    @inline(__always)
    mutating func push(_ value: Extended) {
        top &-= 1
        self[0] = value
    }

    @inline(__always)
    mutating func pop() {
        free(0)
        top &+= 1
    }

    /// Marks ST(`index`) empty; its contents stay.
    @inline(__always)
    mutating func free(_ index: Int) {
        tagWord |= 3 << (UInt16(truncatingIfNeeded: (top &+ index) & 7) &* 2)
    }

    /// Sets ES and B as the flags and masks say.
    mutating func updateErrorSummary() {
        let pending = statusWord & ~controlWord & 0x3F != 0
        let summary = X87Status.errorSummary | X87Status.busy
        statusWord = pending ? statusWord | summary : statusWord & ~summary
    }

    /// The tag word as FNSTENV stores it: what registers in use hold is found by looking (SDM volume 1 section 8.1.7).
    var fullTagWord: UInt16 {
        var tags: UInt16 = 0
        for place in 0..<8 {
            let shift = UInt16(truncatingIfNeeded: place &* 2)
            let value = Extended(significand: significands[place], signAndExponent: signsAndExponents[place])
            tags |= (tagWord >> shift & 3 == 3 ? 3 : value.tag) << shift
        }
        return tags
    }

    /// The tag word as FXSAVE stores it: a bit for each physical register in use (SDM volume 1 table 10-2).
    var abridgedTagWord: UInt8 {
        get {
            var tags: UInt8 = 0
            for place in 0..<8 where tagWord >> UInt16(truncatingIfNeeded: place &* 2) & 3 != 3 {
                tags |= 1 << UInt8(place)
            }
            return tags
        }
        set {
            tagWord = 0
            for place in 0..<8 where newValue >> UInt8(place) & 1 == 0 {
                tagWord |= 3 << UInt16(truncatingIfNeeded: place &* 2)
            }
        }
    }

    /// Loads a control word: bit 6 reads as one, the other reserved bits as zero.
    mutating func setControlWord(_ value: UInt16) {
        controlWord = value & 0x1F3F | 0x40
        updateErrorSummary()
    }

    /// What FNINIT leaves; the registers keep their contents.
    mutating func initialize() {
        controlWord = X87Environment.initialControl
        statusWord = 0
        tagWord = 0xFFFF
        opcode = 0
        instructionSelector = 0
        dataSelector = 0
        instructionPointer = 0
        dataPointer = 0
    }
}

// Which of the implementation's choices hold here: FDP and FDS are kept for every non-control instruction with a
// memory operand and FCS and FDS are not deprecated (CPUID.(7,0):EBX bits 6 and 13 are clear); FOP is kept for
// instructions with an unmasked exception only (SDM volume 1 section 8.1.9.1).
extension Processor {
    /// #NM with CR0.EM or CR0.TS, then the pending exception: what every waiting x87 instruction does first.
    @inline(__always)
    func requireX87() throws(Fault) {
        try requireX87WithoutWait()
        try reportPendingX87Exception()
    }

    /// #NM with CR0.EM or CR0.TS.
    @inline(__always)
    func requireX87WithoutWait() throws(Fault) {
        if state.pointee.cr0 & (CR0.EM | CR0.TS) != 0 { throw .deviceNotAvailable }
    }

    /// #MF for an unmasked exception of an earlier instruction.
    ///
    /// With CR0.NE clear FERR# has reported it and execution goes on as with IGNNE# asserted (SDM volume 3 section 2.5).
    @inline(__always)
    func reportPendingX87Exception() throws(Fault) {
        if state.pointee.x87.statusWord & X87Status.errorSummary != 0 && state.pointee.cr0 & CR0.NE != 0 {
            throw .floatingPointError
        }
    }

    /// The control word's settings for a new operation.
    @inline(__always)
    var x87Environment: X87Environment { X87Environment(control: state.pointee.x87.controlWord) }

    /// Ends a non-control instruction: flags and the condition codes of `codes` go to the status word, and the
    /// pointers show this instruction.
    func complete(
        _ instruction: borrowing Instruction, _ environment: X87Environment, codes: UInt16 = X87Status.C1
    ) {
        let s = state
        s.pointee.x87.statusWord =
            s.pointee.x87.statusWord & ~codes | environment.conditionCodes & codes | UInt16(environment.raised.rawValue)
        s.pointee.x87.instructionPointer = s.pointee.rip
        s.pointee.x87.instructionSelector = s.pointee.cs.selector
        // Only the first operand of an x87 instruction can be memory.
        if instruction.operands.0.kind == .memory {
            s.pointee.x87.dataPointer = effectiveAddress(instruction)
            s.pointee.x87.dataSelector = s.pointee.segment(instruction.memory.segment).selector
        }
        if environment.hasUnmaskedException { notePendingException(instruction) }
    }

    @inline(never)
    private func notePendingException(_ instruction: borrowing Instruction) {
        state.pointee.x87.updateErrorSummary()
        if let opcode = x87Opcode(instruction.length) { state.pointee.x87.opcode = opcode }
        if state.pointee.cr0 & CR0.NE == 0 { environment.signalFloatingPointError() }
    }

    /// The low three bits of the first opcode byte and the second byte of the x87 instruction at RIP; nil if its
    /// bytes do not come from RAM.
    private func x87Opcode(_ length: UInt8) -> UInt16? {
        let base = state.pointee.mode.code == 64 ? 0 : state.pointee.cs.base
        var first: UInt8?
        for offset in 0..<UInt64(length) {
            let linear = wrapLinear(base &+ state.pointee.rip &+ offset)
            guard let physical = try? translateForFetch(linear), ramPage(physical) != nil else { return nil }
            let byte = UInt8(truncatingIfNeeded: readPhysical(physical, width: 1))
            if let first { return UInt16(first & 7) << 8 | UInt16(byte) }
            // No prefix looks like an escape opcode.
            if byte & 0xF8 == 0xD8 { first = byte }
        }
        return nil
    }

    /// Raises the stack fault; true if it is masked and the masked response is to follow.
    func raiseStackFault(_ environment: inout X87Environment, isOverflow: Bool) -> Bool {
        environment.raise(.invalidOperation)
        environment.conditionCodes = isOverflow ? X87Status.C1 : 0
        state.pointee.x87.statusWord |= X87Status.stackFault
        return environment.deliversToRegister
    }
}
