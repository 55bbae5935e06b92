/// How a guest's privileged side is virtualized.
package enum Technique: String, CaseIterable, Sendable {
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

    /// Whether this version can run guests so; others are refused by name.
    package var isImplemented: Bool {
        switch self {
        case .bare, .trapAndEmulate, .translate: true
        case .paravirtual, .vmx, .svm: false
        }
    }

    /// Whether the guest runs deprivileged below a monitor that the processor does not help.
    package var isSoftware: Bool {
        switch self {
        case .trapAndEmulate, .translate: true
        case .bare, .paravirtual, .vmx, .svm: false
        }
    }
}

/// How the guest's physical addresses become the machine's.
package enum Paging: String, CaseIterable, Sendable {
    /// The monitor keeps page tables of its own, made from the guest's.
    case shadow
    /// The processor translates twice: extended page tables (Intel) or nested paging (AMD).
    case nested
}
