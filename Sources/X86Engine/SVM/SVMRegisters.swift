import X86

// What this engine's SVM has, as CPUID 8000_000AH tells it (APM volume 3 appendix E.4.9), and its MSRs (APM volume 2
// section 15.30).

/// The indices of the SVM MSRs.
extension MSR {
    static let timeStampRatio: UInt32 = 0xC000_0104
    static let vmCR: UInt32 = 0xC001_0114
    static let hostSaveArea: UInt32 = 0xC001_0117
    static let svmKey: UInt32 = 0xC001_0118
}

/// Bits of VM_CR.
enum VMCR {
    /// R_INIT: INIT that is not intercepted becomes #SX.
    static let redirectsINIT: UInt64 = 1 << 1
    static let lock: UInt64 = 1 << 3
    /// SVMDIS: EFER.SVME cannot be set.
    static let svmDisable: UInt64 = 1 << 4
    /// DPD and DIS_A20M have nothing to do here but can be set.
    static let writable: UInt64 = 0x1F
}

/// What CPUID 8000_000AH claims.
enum SVMCapabilities {
    static let revision: UInt32 = 1
    /// ASIDs 0...n-1.
    static let addressSpaceIdentifiers: UInt32 = 0x8000

    private static let features: [(bit: UInt32, name: String)] = [
        (0, "nested paging"), (2, "lock of VM_CR"), (3, "NRIP save"), (4, "TSC ratio"),
        // The processor keeps no copy of a VMCB, so clean bits need not be looked at (APM volume 2 section 15.15.1).
        (5, "VMCB clean bits"), (6, "flush by ASID"), (7, "decode assists"), (10, "pause filter"),
        (12, "pause filter threshold"),
    ]

    /// The leaf.
    static let leaf = CPUIDResult(
        eax: revision, ebx: addressSpaceIdentifiers, ecx: 0, edx: features.reduce(0) { $0 | 1 << $1.bit })
}

extension Processor {
    /// The value of an SVM MSR.
    func readSVMRegister(_ index: UInt32) -> UInt64 {
        let svm = state.pointee.virtualization.svm
        return switch index {
        case MSR.vmCR: svm.vmCR
        case MSR.hostSaveArea: svm.hostSaveArea
        case MSR.timeStampRatio: svm.timeStampRatio
        // SVM_KEY reads as zero.
        default: 0
        }
    }

    /// Writes an SVM MSR; false, with nothing changed, if the value is not allowed.
    func writeSVMRegister(_ index: UInt32, _ value: UInt64) -> Bool {
        let s = state
        switch index {
        case MSR.vmCR: return writeVMCR(value)
        case MSR.hostSaveArea:
            guard isVMCBAddress(value) else { return false }
            s.pointee.virtualization.svm.hostSaveArea = value
        case MSR.timeStampRatio:
            guard value >> 40 == 0 else { return false }
            s.pointee.virtualization.svm.timeStampRatio = value
        default:
            // Section 15.31: sets the password, or unlocks by it.
            let svm = s.pointee.virtualization.svm
            if svm.vmCR & VMCR.lock == 0 {
                s.pointee.virtualization.svm.key = value
            } else if value != 0 && value == svm.key {
                s.pointee.virtualization.svm.vmCR &= ~VMCR.lock
            }
        }
        return true
    }

    private func writeVMCR(_ value: UInt64) -> Bool {
        let s = state
        guard value & ~VMCR.writable == 0 else { return false }
        // Whatever the lock says.
        if value & VMCR.svmDisable != 0 && s.pointee.efer & EFER.SVME != 0 { return false }
        let kept = s.pointee.virtualization.svm.vmCR & VMCR.lock != 0 ? VMCR.lock | VMCR.svmDisable : 0
        s.pointee.virtualization.svm.vmCR = value & ~kept | s.pointee.virtualization.svm.vmCR & kept
        return true
    }
}
