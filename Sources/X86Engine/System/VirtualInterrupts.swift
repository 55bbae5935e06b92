import X86

// Virtual-8086 mode extensions (CR4.VME) and protected-mode virtual interrupts (CR4.PVI): code at CPL 3 that IOPL keeps
// away from IF has VIF in its place, and INT n of an 8086 program can lead to a handler of its own (SDM volume 3 sections
// 21.3 and 21.4).

extension Processor {
    /// Whether VIF stands for IF, and VIP is heeded: at CPL 3 with IOPL below 3, in virtual-8086 mode by VME, else by PVI.
    var hasVirtualInterruptFlag: Bool {
        guard !isRealMode, state.pointee.iopl < 3 else { return false }
        if state.pointee.VM { return state.pointee.cr4 & CR4.VME != 0 }
        return cpl == 3 && state.pointee.cr4 & CR4.PVI != 0
    }

    /// The #GP(0) of an instruction that begins with VIF and VIP set (sections 21.3.2 and 21.4).
    func virtualInterruptFault() -> Fault? {
        let pending = RFLAGS.VIF | RFLAGS.VIP
        guard state.pointee.systemFlags & pending == pending, hasVirtualInterruptFlag else { return nil }
        return .generalProtection(0)
    }

    /// #GP(0) unless PUSHF, POPF or IRET of an 8086 program without I/O privilege has VIF to work with, which the 32-bit
    /// forms have not.
    func requireVirtualInterruptFlag(width: Int) throws(Fault) {
        guard hasVirtualInterruptFlag, width == 16 else { throw .generalProtection(0) }
    }

    /// FLAGS as an 8086 program with VIF finds them on its stack: with VIF in the place of IF, and IOPL 3.
    var flagsWithVirtualInterrupt: UInt64 {
        let flags = state.pointee.rflags
        let virtual: UInt64 = flags & RFLAGS.VIF != 0 ? RFLAGS.IF : 0
        return flags & ~RFLAGS.IF | virtual | RFLAGS.IOPL
    }

    /// What POPF and IRET of such a program put into RFLAGS for the FLAGS that it has on its stack.
    ///
    /// #GP(0) if it would set TF, or VIF while VIP is set.
    func poppedWithVirtualInterrupt(_ flags: UInt64) throws(Fault) -> (value: UInt64, mask: UInt64) {
        let enables = flags & RFLAGS.IF != 0
        guard flags & RFLAGS.TF == 0, !(enables && state.pointee.systemFlags & RFLAGS.VIP != 0) else {
            throw .generalProtection(0)
        }
        return (
            flags & ~RFLAGS.VIF | (enables ? RFLAGS.VIF : 0),
            RFLAGS.status | RFLAGS.TF | RFLAGS.DF | RFLAGS.NT | RFLAGS.VIF
        )
    }

    // MARK: INT n of 8086 programs (table 21-2)

    /// Whether the handler of the 8086 program itself takes INT n; else the gate of the IDT does.
    ///
    /// #GP(0) where the interrupt is for the monitor of virtual-8086 mode.
    func redirectsInterrupt(_ vector: UInt8) throws(Fault) -> Bool {
        if state.pointee.cr4 & CR4.VME != 0, try !isInRedirectionMap(vector) { return true }
        guard state.pointee.iopl == 3 else { throw .generalProtection(0) }
        return false
    }

    /// The bit of a vector in the map that ends where the I/O permission map of the TSS begins.
    private func isInRedirectionMap(_ vector: UInt8) throws(Fault) -> Bool {
        let tr = state.pointee.tr
        guard tr.type & 8 != 0, !tr.isUnusable, tr.limit >= TSS32.minimumLimit else { throw .generalProtection(0) }
        let end = try readSystem(tr.base &+ TSS32.ioMap, width: 2)
        let offset = end &- 32 &+ UInt64(vector >> 3)
        guard offset <= UInt64(tr.limit) else { throw .generalProtection(0) }
        return try readSystem(tr.base &+ offset, width: 1) >> UInt64(vector & 7) & 1 != 0
    }

    /// Enters the handler that the interrupt vector table at linear address 0 names, as in real mode.
    func enterVirtual8086Handler(_ event: EventToDeliver) throws(Fault) {
        let isVirtual = hasVirtualInterruptFlag
        let entry = try readSystem(UInt64(event.vector) &* 4, width: 4)
        var stack = currentStack()
        try requireRoom(stack, count: 3, bytes: 2)
        try requirePages(stack, count: 3, bytes: 2)
        try push(isVirtual ? flagsWithVirtualInterrupt : state.pointee.rflags, bytes: 2, on: &stack)
        try push(UInt64(state.pointee.cs.selector), bytes: 2, on: &stack)
        try push(event.returnRIP, bytes: 2, on: &stack)
        adopt(stack)
        state.pointee.cs = unprotectedSegment(UInt16(truncatingIfNeeded: entry >> 16), replacing: state.pointee.cs)
        state.pointee.nextRIP = entry & 0xFFFF
        state.pointee.systemFlags &= ~(RFLAGS.TF | RFLAGS.RF | (isVirtual ? RFLAGS.VIF : RFLAGS.IF))
        updateMode()
    }
}
