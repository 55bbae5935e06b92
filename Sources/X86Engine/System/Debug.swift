import X86

// Debug registers, breakpoints and single step (SDM vol. 3 sections 18.1 to 18.3).
//
// The order of events at an instruction boundary (SDM vol. 3 table 6-2): 1 RESET and machine checks; 2 the T flag of a
// task switch; 3 external signals, INIT among them; 4 traps of the instruction before (data and I/O breakpoints, single
// step): `pendingDebugTrap`; 5 NMI: `takeNMI`; 6 maskable interrupts: `takeInterrupt`; 7 code breakpoints:
// `codeBreakpointFault`; 8 faults of fetching, 9 of decoding, 10 of executing. The T flag is kept with the traps of 4:
// nothing can come between the two that the guest could tell apart.

/// Bits of DR6 (SDM volume 3 section 18.2.3).
package enum DR6 {
    static let breakpoints: UInt64 = 0xF
    static let BD: UInt64 = 1 << 13
    package static let BS: UInt64 = 1 << 14
    static let BT: UInt64 = 1 << 15
    /// Bits that always read as one.
    package static let fixed: UInt64 = 0xFFFF_0FF0
    static let writable: UInt64 = breakpoints | BD | BS | BT
}

/// Bits of DR7 (SDM volume 3 section 18.2.4).
enum DR7 {
    static let enables: UInt64 = 0xFF
    static let GD: UInt64 = 1 << 13
    static let fixed: UInt64 = 1 << 10
    static let writable: UInt64 = 0xFFFF_23FF
}

/// What the R/W field of a breakpoint says.
private enum BreakpointKind: UInt64 {
    case execution, write, port, readWrite
}

/// One of the four breakpoints, enabled.
private struct Breakpoint {
    var number: UInt64
    var kind: BreakpointKind
    /// The first byte; aligned to `length`.
    var address: UInt64
    /// 1, 2, 4 or 8.
    var length: UInt64

    /// Whether it overlaps `count` bytes from `start` on.
    func overlaps(_ start: UInt64, _ count: UInt64) -> Bool {
        start &- address < length || address &- start < count
    }
}

extension Processor {
    /// Calls `body` for each enabled breakpoint.
    private func forEachBreakpoint(_ body: (Breakpoint) -> Void) {
        let control = state.pointee.dr7
        guard control & DR7.enables != 0 else { return }
        for number in 0..<UInt64(4) where control >> (number &* 2) & 3 != 0 {
            let field = control >> (16 &+ number &* 4)
            let length: UInt64 =
                switch field >> 2 & 3 {
                case 0: 1
                case 1: 2
                case 2: 8
                default: 4
                }
            let address =
                switch number {
                case 0: state.pointee.dr0
                case 1: state.pointee.dr1
                case 2: state.pointee.dr2
                default: state.pointee.dr3
                }
            body(
                Breakpoint(
                    number: number, kind: BreakpointKind(rawValue: field & 3) ?? .execution,
                    address: address & ~(length &- 1), length: length))
        }
    }

    /// Whether any breakpoint is for instruction fetches.
    var codeBreakpointsEnabled: Bool {
        guard state.pointee.dr7 & DR7.enables != 0 else { return false }
        var found = false
        forEachBreakpoint { found = found || $0.kind == .execution }
        return found
    }

    /// The #DB of a breakpoint on the instruction at `state.rip`; RFLAGS.RF suppresses it.
    func codeBreakpointFault() -> Fault? {
        guard state.pointee.systemFlags & RFLAGS.RF == 0, breakpointsAreHeeded else { return nil }
        let rip = state.pointee.rip
        let linear = is64BitMode ? rip : (state.pointee.cs.base &+ rip) & 0xFFFF_FFFF
        var status: UInt64 = 0
        forEachBreakpoint { if $0.kind == .execution && $0.address == linear { status |= 1 << $0.number } }
        return status == 0 ? nil : .debug(status, trap: false)
    }

    /// The #DB for breakpoints and steps of the instruction before, or nil; they are forgotten by it.
    func pendingDebugTrap() -> Fault? {
        let status = state.pointee.pendingDebug
        state.pointee.pendingDebug = 0
        return status == 0 ? nil : .debug(status, trap: true)
    }

    private static let operationsThatClearTrapFlag: [Operation] = [.int, .int3, .int1, .into, .syscall]

    /// Whether a single-step trap follows an instruction that began with RFLAGS.TF set.
    ///
    /// Software interrupts, and SYSCALL where IA32_FMASK says so, clear TF and are not stepped into (SDM volume 3 18.3.1.4).
    func isSingleStepped(_ instruction: borrowing Instruction) -> Bool {
        let operation = instruction.operation
        // The step belongs to the guest that was entered, if to anyone; VMRUN's comes when the host goes on.
        if operation == .vmlaunch || operation == .vmresume { return state.pointee.TF && !isGuest }
        if operation == .vmrun { return false }
        return state.pointee.TF || !Self.operationsThatClearTrapFlag.contains(operation)
    }

    /// Whether fast accesses to a linear page must be withheld because a data breakpoint or watched memory lies in it.
    func isWatched(linearPage: UInt64) -> Bool {
        if control.pointee.watchesLinearMemory && isWatchedMemory(linearPage: linearPage) { return true }
        guard state.pointee.dr7 & DR7.enables != 0 else { return false }
        var watched = false
        forEachBreakpoint {
            if $0.kind != .execution && $0.address & ~0xFFF == linearPage { watched = true }
        }
        return watched
    }

    /// Called for every data access that did not take the fast path; data breakpoints are traps.
    func noteDataAccess(_ linear: UInt64, _ width: Int, write: Bool) {
        guard state.pointee.dr7 & DR7.enables != 0 else { return }
        note { breakpoint in
            (breakpoint.kind == .readWrite || breakpoint.kind == .write && write)
                && breakpoint.overlaps(linear, UInt64(width))
        }
    }

    /// Called for every port access; I/O breakpoints need CR4.DE.
    func noteDebugPort(_ port: UInt16, width: Int) {
        guard state.pointee.dr7 & DR7.enables != 0, state.pointee.cr4 & CR4.DE != 0 else { return }
        note { $0.kind == .port && $0.overlaps(UInt64(port), UInt64(width)) }
    }

    /// While GIF is clear breakpoints are ignored and discarded (APM volume 2 table 15-10).
    private var breakpointsAreHeeded: Bool { state.pointee.virtualization.svm.globalInterruptFlag }

    private func note(_ matches: (Breakpoint) -> Bool) {
        guard breakpointsAreHeeded else { return }
        var status: UInt64 = 0
        forEachBreakpoint { if matches($0) { status |= 1 << $0.number } }
        guard status != 0 else { return }
        state.pointee.pendingDebug |= status
        leaveBlockAfterThisInstruction()
    }

    /// What #DB does to DR6 and DR7 before its handler runs.
    func noteDebugException(_ status: UInt64) {
        state.pointee.dr6 = state.pointee.dr6 & ~DR6.breakpoints | status & DR6.writable | DR6.fixed
        state.pointee.dr7 &= ~DR7.GD
    }

    /// Fast paths must learn which pages have breakpoints now.
    func debugRegistersChanged() {
        flushTLB()
        leaveBlockAfterThisInstruction()
    }

    /// The number that a debug register stands for: DR4 and DR5 are DR6 and DR7 unless CR4.DE is set.
    func debugRegisterNumber(_ register: Register) throws(Fault) -> Int {
        let number = register.number
        guard number == 4 || number == 5 else {
            try checkDebugRegisterAccess()
            return number
        }
        guard state.pointee.cr4 & CR4.DE == 0 else { throw .invalidOpcode }
        try checkDebugRegisterAccess()
        return number + 2
    }

    private func checkDebugRegisterAccess() throws(Fault) {
        guard cpl == 0 else { throw .generalProtection(0) }
        guard state.pointee.dr7 & DR7.GD == 0 else { throw .debug(DR6.BD, trap: false) }
    }

    /// MOV r, DR.
    func readDebugRegister(_ instruction: borrowing Instruction) throws(Fault) {
        let value =
            switch try debugRegisterNumber(instruction.operands.1.register) {
            case 0: state.pointee.dr0
            case 1: state.pointee.dr1
            case 2: state.pointee.dr2
            case 3: state.pointee.dr3
            case 6: state.pointee.dr6
            default: state.pointee.dr7
            }
        setGeneral(instruction.operands.0.register, value)
    }

    /// MOV DR, r.
    func writeDebugRegister(_ instruction: borrowing Instruction) throws(Fault) {
        let number = try debugRegisterNumber(instruction.operands.0.register)
        let value = general(instruction.operands.1.register)
        guard number < 4 || value >> 32 == 0 else { throw .generalProtection(0) }
        switch number {
        case 0: state.pointee.dr0 = value
        case 1: state.pointee.dr1 = value
        case 2: state.pointee.dr2 = value
        case 3: state.pointee.dr3 = value
        case 6: state.pointee.dr6 = value & DR6.writable | DR6.fixed
        default: state.pointee.dr7 = value & DR7.writable | DR7.fixed
        }
        debugRegistersChanged()
    }
}
