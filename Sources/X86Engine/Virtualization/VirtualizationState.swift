/// By which of the two extensions the processor runs a guest.
package enum GuestMode: UInt8, Sendable {
    /// Not in a guest: bare metal, VMX root operation, or the host of SVM.
    case none
    /// VMX non-root operation.
    case vmx
    /// SVM guest mode.
    case svm
}

/// What hardware virtualization adds to a logical processor's state.
package struct VirtualizationState: Sendable {
    package internal(set) var mode = GuestMode.none
    /// Second-level translation of the guest's physical addresses; inactive outside a guest.
    var secondLevel = SecondLevel()
    /// Added to the time-stamp counter that a guest reads; 0 outside a guest.
    package internal(set) var timeStampOffset: UInt64 = 0
    /// What the guest's time-stamp counter is multiplied by first, as a fixed-point number with 48 fractional bits.
    package internal(set) var timeStampMultiplier: UInt64 = Self.unityMultiplier
    /// The count of guest time at which the guest is to be left (the VMX-preemption timer), else all ones.
    var timerDeadline = UInt64.max
    /// The event that VM entry delivers before the guest's first instruction.
    var injection: InjectedEvent?
    /// By which extension the next run enters the guest again whose monitor has asked for a stop.
    var resumesAtNextRun = GuestMode.none
    package var vmx = VMXState()
    package var svm = SVMState()

    /// 1.0.
    static let unityMultiplier: UInt64 = 1 << 48

    /// Whether a guest runs: VMX non-root operation or SVM guest mode.
    @inline(__always)
    package var isGuest: Bool { mode != .none }

    /// Everything architectural, for `stateHash`.
    func combine(into hasher: inout StateHasher) {
        guard vmx.isOperating || vmx.featureControl != 0 || svm.isInUse || isGuest else { return }
        hasher.combine(mode.rawValue)
        hasher.combine(secondLevel.root)
        hasher.combine(timeStampOffset)
        hasher.combine(timeStampMultiplier)
        hasher.combine(timerDeadline)
        vmx.combine(into: &hasher)
        svm.combine(into: &hasher)
    }
}

/// An event that VM entry injects, as both extensions describe it.
struct InjectedEvent: Equatable, Sendable {
    var fault: Fault
    var source: EventSource
    /// The length of the instruction that a software event stands for.
    var instructionLength: UInt8 = 0
    /// The instruction pointer that a software event saves, where the control structure holds it; else RIP and the
    /// length give it.
    var returnRIP: UInt64?

    /// The instruction pointer that a software event saves when it is injected at `rip`.
    func savedRIP(at rip: UInt64) -> UInt64 { returnRIP ?? rip &+ UInt64(instructionLength) }
}
