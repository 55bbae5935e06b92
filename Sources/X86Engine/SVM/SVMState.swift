/// What SVM adds to a logical processor's state; the rest of it is the VMCB and the host state-save area in memory.
package struct SVMState: Sendable {
    /// GIF: while clear, interrupts and INIT are held and breakpoints are ignored.
    package var globalInterruptFlag = true
    /// VM_CR.
    package var vmCR: UInt64 = 0
    /// The password of SVM_KEY, which cannot be read.
    var key: UInt64 = 0
    /// VM_HSAVE_PA.
    package var hostSaveArea: UInt64 = 0
    /// The TSC ratio, with 32 fractional bits.
    package var timeStampRatio: UInt64 = Self.unityRatio
    /// The physical address of the VMCB whose guest runs or has run last; all ones if there is none.
    package var vmcb = UInt64.max
    /// What the VMCB says, while its guest runs.
    var controls = SVMControls()
    /// The processor's copy of V_TPR, V_IRQ and what belongs to them, while the guest runs.
    var virtualInterrupt = VirtualInterrupt(rawValue: 0)
    /// The host's RFLAGS.IF, which masks the machine's interrupts while V_INTR_MASKING is set.
    var hostInterruptFlag = true
    /// The kind of paging that nested page tables are read by: the host's at VMRUN.
    var hostPaging = HostPaging.long(executeDisable: true)
    /// PAUSEs left before an exit, and the time-stamp counter at the last one.
    var pauseCount: Int32 = 0
    var lastPause: UInt64 = 0
    /// What the last exit found that a VMCB has no field for, for monitors in Swift: the kind of an interrupt shadow, and
    /// debug traps that were due.
    package var unsavedShadow: UInt8 = 0
    package var unsavedDebug: UInt64 = 0

    /// 1.0.
    static let unityRatio: UInt64 = 1 << 32

    /// Whether anything differs from a processor whose SVM nobody has touched.
    var isInUse: Bool {
        !globalInterruptFlag || vmCR != 0 || key != 0 || hostSaveArea != 0 || timeStampRatio != Self.unityRatio
            || vmcb != .max
    }

    func combine(into hasher: inout StateHasher) {
        hasher.combine(globalInterruptFlag ? 1 : 0)
        for word in [vmCR, key, hostSaveArea, timeStampRatio, vmcb] { hasher.combine(word) }
        hasher.combine(virtualInterrupt.rawValue)
        hasher.combine(hostInterruptFlag ? 1 : 0)
        hasher.combine(pauseCount)
        hasher.combine(lastPause)
    }
}

/// How the host's page tables are read, which nested page tables follow (APM volume 2 section 15.25.3).
enum HostPaging: Equatable, Sendable {
    /// CR0.PG is clear: nested paging is not allowed.
    case disabled
    /// 4-byte entries in two levels, with or without CR4.PSE.
    case legacy(largePages: Bool)
    case physicalAddressExtension(executeDisable: Bool)
    case long(executeDisable: Bool)

    /// Second-level translation by tables at `root`; inactive where it is not allowed.
    func secondLevel(root: UInt64, addressMask: UInt64) -> SecondLevel {
        var level = SecondLevel()
        level.setsFlags = true
        level.isActive = true
        switch self {
        case .disabled: return SecondLevel()
        case .legacy(let largePages):
            level.root = root & 0xFFFF_F000
            level.levels = 2
            level.hasLargePages = largePages
            level.format = .nested(executeDisable: false, entrySize: 4)
        case .physicalAddressExtension(let executeDisable):
            level.root = root & 0xFFFF_FFE0
            level.levels = 3
            // Bits 52 to 62, and XD without EFER.NXE.
            level.format = .nested(
                executeDisable: executeDisable, reserved: 0x7FF0_0000_0000_0000 | (executeDisable ? 0 : 1 << 63),
                topIsPageDirectoryPointers: true)
        case .long(let executeDisable):
            level.root = root & addressMask & ~0xFFF
            level.format = .nested(executeDisable: executeDisable, reserved: executeDisable ? 0 : 1 << 63)
        }
        return level
    }

    /// Bits of nCR3 that must be zero.
    func reservedInRoot(addressMask: UInt64) -> UInt64 {
        switch self {
        case .disabled, .legacy, .physicalAddressExtension: 0
        case .long: ~addressMask
        }
    }
}
