import X86

// IN and OUT, and what INS and OUTS share with them (SDM vol. 1 chapter 19; vol. 2).

extension Processor {
    /// #GP(0) unless the current program may use `width` bytes from `port` on: by IOPL, or by the I/O permission bitmap
    /// of the TSS (SDM volume 1 section 19.5.2).
    package func checkPortAccess(port: UInt16, width: Int) throws(Fault) {
        guard !isRealMode, isVirtual8086 || cpl > state.pointee.iopl else { return }
        let tr = state.pointee.tr
        guard tr.type & 8 != 0, !tr.isUnusable, tr.limit >= TSS32.minimumLimit else { throw .generalProtection(0) }
        let base = try readSystem(tr.base &+ TSS32.ioMap, width: 2)
        let offset = base &+ UInt64(port >> 3)
        // Two bytes are always read, so that a port number may lie across a byte border.
        guard offset &+ 1 <= UInt64(tr.limit) else { throw .generalProtection(0) }
        let bits = try readSystem(tr.base &+ offset, width: 2) >> UInt64(port & 7)
        guard bits & ((1 << UInt64(width)) &- 1) == 0 else { throw .generalProtection(0) }
    }

    /// Reads a port that the program may use, as watchers and breakpoints see it.
    package func portRead(_ port: UInt16, width: Int) throws(Fault) -> UInt64 {
        leaveBlockAfterThisInstruction()
        var verdict = EventVerdict.proceed
        if watched.contains(.port) { verdict = ask(.portRead(port: port, width: width)) }
        if case .inject(let fault) = verdict { throw fault }
        noteDebugPort(port, width: width)
        return switch verdict {
        case .skip: state.pointee.rax
        case .reply(let value): value
        case .proceed, .inject: UInt64(environment.readPort(port, width: width))
        }
    }

    /// Writes a port that the program may use, as watchers and breakpoints see it.
    package func portWrite(_ port: UInt16, _ value: UInt64, width: Int) throws(Fault) {
        let value = UInt32(truncatingIfNeeded: truncate(value, width: width * 8))
        leaveBlockAfterThisInstruction()
        var verdict = EventVerdict.proceed
        if watched.contains(.port) { verdict = ask(.portWrite(port: port, value: value, width: width)) }
        if case .inject(let fault) = verdict { throw fault }
        noteDebugPort(port, width: width)
        if verdict != .skip { environment.writePort(port, value, width: width) }
    }

    /// IN.
    func input(_ instruction: borrowing Instruction) throws(Fault) {
        let port = UInt16(truncatingIfNeeded: try read(instruction.operands.1, of: instruction))
        let width = Int(instruction.operands.0.width) / 8
        try checkPortAccess(port: port, width: width)
        let value = try portRead(port, width: width)
        setGeneral(instruction.operands.0.register, value)
    }

    /// OUT.
    func output(_ instruction: borrowing Instruction) throws(Fault) {
        let port = UInt16(truncatingIfNeeded: try read(instruction.operands.0, of: instruction))
        let width = Int(instruction.operands.1.width) / 8
        try checkPortAccess(port: port, width: width)
        let value = general(instruction.operands.1.register)
        try portWrite(port, value, width: width)
    }
}
