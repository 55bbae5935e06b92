/// Everything one logical processor holds, in one heap block that the interpreter reaches by pointer.
///
/// The general registers come first: predecoded operations address them by byte offset, and offset 128 (`zero`)
/// serves as the base or index that is not there. Only plain data lives here.
package struct ProcessorState {
    package var rax: UInt64 = 0
    package var rcx: UInt64 = 0
    package var rdx: UInt64 = 0
    package var rbx: UInt64 = 0
    package var rsp: UInt64 = 0
    package var rbp: UInt64 = 0
    package var rsi: UInt64 = 0
    package var rdi: UInt64 = 0
    package var r8: UInt64 = 0
    package var r9: UInt64 = 0
    package var r10: UInt64 = 0
    package var r11: UInt64 = 0
    package var r12: UInt64 = 0
    package var r13: UInt64 = 0
    package var r14: UInt64 = 0
    package var r15: UInt64 = 0
    /// Always zero.
    let zero: UInt64 = 0
    // Next, so that the offsets of their bases fit a byte.
    package var fs = SegmentState()
    package var gs = SegmentState()

    /// The instruction being executed; between instructions the next one.
    package var rip: UInt64 = 0
    /// While an instruction executes outside the hot loop: where execution goes on; branches change it.
    package var nextRIP: UInt64 = 0

    // The six status flags are kept lazily: see `StatusFlags.swift`.
    var flagResult: UInt64 = 1
    var flagAuxiliary: UInt64 = 0
    /// RFLAGS without the six status flags; bit 1 is set.
    package internal(set) var systemFlags: UInt64 = RFLAGS.fixed

    /// Guest time in counts: one an instruction, a REP iteration, a delivery; idle time is added (architecture).
    package var time: UInt64 = 0
    /// The part of `time` in which the processor was halted.
    package var idleTime: UInt64 = 0
    /// The count at which something is due (a timer, the end of the run).
    package var deadline: UInt64 = .max
    /// `deadline`, or 0 when something needs attention before the next instruction; what blocks compare with.
    var limit: UInt64 = .max
    /// Deliveries, retries and exits: the engine's own work, for guests that never retire an instruction.
    package var work: UInt64 = 0

    package var es = SegmentState()
    package var cs = SegmentState()
    package var ss = SegmentState()
    package var ds = SegmentState()
    package var ldtr = SegmentState()
    package var tr = SegmentState()
    package var gdtr = DescriptorTableRegister()
    package var idtr = DescriptorTableRegister()

    package var cr0: UInt64 = 0
    package var cr2: UInt64 = 0
    package var cr3: UInt64 = 0
    package var cr4: UInt64 = 0
    package var xcr0: UInt64 = 1
    /// The PAE page-directory-pointer-table entries, loaded by MOV to CR3.
    ///
    /// SDM vol. 3 section 4.4.1.
    package var pdpte: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    package var dr0: UInt64 = 0
    package var dr1: UInt64 = 0
    package var dr2: UInt64 = 0
    package var dr3: UInt64 = 0
    package var dr6: UInt64 = 0xFFFF_0FF0
    package var dr7: UInt64 = 0x400

    package var efer: UInt64 = 0
    package var star: UInt64 = 0
    package var lstar: UInt64 = 0
    package var cstar: UInt64 = 0
    package var fmask: UInt64 = 0
    package var kernelGSBase: UInt64 = 0
    package var sysenterCS: UInt64 = 0
    package var sysenterESP: UInt64 = 0
    package var sysenterEIP: UInt64 = 0
    package var tscAux: UInt64 = 0
    /// IA32_TSC_ADJUST; the time-stamp counter reads as the scaled guest time plus `tscOffset`.
    package var tscAdjust: UInt64 = 0
    package var tscOffset: UInt64 = 0
    package var pat: UInt64 = 0x0007_0406_0007_0406
    package var msr = ModelSpecificRegisters()

    /// The current privilege level, 0...3.
    package var cpl: UInt8 = 0
    package var activity = Activity.active
    /// Bits of `InterruptShadow`.
    package var interruptShadow: UInt8 = 0
    package var nmiBlocked = false
    /// Bits of `Signal`: what waits for the next instruction boundary.
    package var signals: UInt8 = 0
    /// DR6 bits of data breakpoints and single step that are due after this instruction.
    package var pendingDebug: UInt64 = 0
    /// The state of RDRAND's and RDSEED's deterministic generator.
    package var random: UInt64 = 0

    package var x87 = X87State()
    package var sse = SSEState()
    package var virtualization = VirtualizationState()

    /// Derived from CR0, CR4, EFER, CS, SS, CPL and RFLAGS by `updateMode()`; never saved.
    var mode = ExecutionMode()
    /// The soft TLB table that matches privilege and RFLAGS.AC.
    var tlb: UnsafeMutablePointer<TLBEntry>
    var tlbMask: UInt64

    init(tlb: UnsafeMutablePointer<TLBEntry>, tlbMask: UInt64) {
        self.tlb = tlb
        self.tlbMask = tlbMask
    }
}

/// What a logical processor is doing.
///
/// SDM vol. 3 section 25.4.2 uses the same list.
package enum Activity: UInt8, Sendable {
    case active, halted, shutdown, waitForSIPI
}

/// Why interrupts wait for one instruction.
///
/// SDM vol. 3 section 6.8.3.
package enum InterruptShadow {
    package static let sti: UInt8 = 1
    package static let movSS: UInt8 = 2
}

/// What waits for the next instruction boundary.
package enum Signal {
    /// The interrupt controllers have a vector to deliver.
    package static let interrupt: UInt8 = 1 << 0
    package static let nmi: UInt8 = 1 << 1
    package static let initialize: UInt8 = 1 << 2
    package static let startup: UInt8 = 1 << 3
    /// The monitor, a handler or the user asked the run to stop.
    package static let stop: UInt8 = 1 << 4
    /// VM entry has an event to deliver, or something of the guest's controls is to be looked at between instructions.
    package static let virtualization: UInt8 = 1 << 5
}

/// The x87 state.
///
/// MMX registers are the significands. SDM vol. 1 section 8.1.
package struct X87State: Equatable, Sendable {
    /// Significand of R0...R7 (physical registers, not stack positions).
    package var significands = SIMD8<UInt64>(repeating: 0)
    /// Sign and exponent of R0...R7.
    package var signsAndExponents = SIMD8<UInt16>(repeating: 0)
    package var controlWord: UInt16 = 0x40
    /// With TOP in bits 11...13.
    package var statusWord: UInt16 = 0
    /// Two bits a physical register: 0 valid, 1 zero, 2 special, 3 empty.
    package var tagWord: UInt16 = 0x5555
    package var opcode: UInt16 = 0
    package var instructionSelector: UInt16 = 0
    package var dataSelector: UInt16 = 0
    package var instructionPointer: UInt64 = 0
    package var dataPointer: UInt64 = 0
    package init() {}
}

/// XMM registers and MXCSR.
///
/// SDM vol. 1 section 10.2.
package struct SSEState: Equatable, Sendable {
    /// XMM0...XMM15 as pairs of quadwords, low first: element 2n is the low half of XMMn.
    package var xmm = (
        SIMD8<UInt64>(repeating: 0), SIMD8<UInt64>(repeating: 0), SIMD8<UInt64>(repeating: 0),
        SIMD8<UInt64>(repeating: 0)
    )
    package var mxcsr: UInt32 = 0x1F80
    package init() {}

    package static func == (lhs: SSEState, rhs: SSEState) -> Bool {
        lhs.xmm == rhs.xmm && lhs.mxcsr == rhs.mxcsr
    }
}

/// What the decoder and the fast paths need to know of the mode, as one comparable word.
package struct ExecutionMode: Equatable, Sendable {
    /// 16-, 32- or 64-bit code.
    package var code: UInt8 = 0
    /// DS, ES, SS (and CS) have base 0, a limit of 4 GiB and allow what data segments allow, or the mode is 64-bit.
    package var isFlat = false
    /// The stack pointer is SP (16), ESP (32) or RSP (64).
    package var stackWidth: UInt8 = 16
    package var isLongActive = false
    var tlbContext = TLBContext.supervisor
    package init() {}
}
