/// How a guest's privileged side is virtualized.
public enum Technique: String, CaseIterable, Sendable {
    /// No hypervisor: the guest kernel runs at ring 0 of the machine.
    case bare
    /// The kernel runs at ring 1, and a monitor emulates what faults.
    case trapAndEmulate
    /// The kernel runs at ring 1 from a translation cache.
    case translate
    /// The kernel asks the monitor by hypercall.
    case paravirtual
    /// Intel VT-x.
    case vmx
    /// AMD-V.
    case svm

    /// Whether the guest runs deprivileged below a monitor that the processor does not help.
    package var isSoftware: Bool {
        switch self {
        case .trapAndEmulate, .translate, .paravirtual: true
        case .bare, .vmx, .svm: false
        }
    }

    /// The ways in which a monitor of the technique can keep control of memory, the usual one first.
    public var pagings: [Paging] {
        switch self {
        case .bare, .paravirtual: []
        case .trapAndEmulate, .translate: [.shadow]
        case .vmx, .svm: [.nested, .shadow]
        }
    }
}

/// How a monitor keeps control of a guest's memory.
public enum Paging: String, CaseIterable, Sendable {
    /// The processor walks tables of the monitor's, which follow the guest's.
    case shadow
    /// The processor walks the guest's tables and translates every address in them by the monitor's (EPT, NPT).
    case nested
}
