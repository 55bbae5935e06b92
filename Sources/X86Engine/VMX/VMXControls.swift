// The VM-execution, VM-exit and VM-entry controls (SDM vol. 3 sections 25.6 to 25.8). What is not named here can
// neither be set nor does it exist on the models of this engine.

/// Pin-based VM-execution controls (table 25-5).
package struct PinBasedControls: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let externalInterruptExiting = Self(rawValue: 1 << 0)
    package static let nmiExiting = Self(rawValue: 1 << 3)
    package static let virtualNMIs = Self(rawValue: 1 << 5)
    package static let activatePreemptionTimer = Self(rawValue: 1 << 6)
}

/// Primary processor-based VM-execution controls (table 25-6).
package struct PrimaryControls: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let interruptWindowExiting = Self(rawValue: 1 << 2)
    package static let useTSCOffsetting = Self(rawValue: 1 << 3)
    package static let hltExiting = Self(rawValue: 1 << 7)
    package static let invlpgExiting = Self(rawValue: 1 << 9)
    package static let mwaitExiting = Self(rawValue: 1 << 10)
    package static let rdpmcExiting = Self(rawValue: 1 << 11)
    package static let rdtscExiting = Self(rawValue: 1 << 12)
    package static let cr3LoadExiting = Self(rawValue: 1 << 15)
    package static let cr3StoreExiting = Self(rawValue: 1 << 16)
    package static let cr8LoadExiting = Self(rawValue: 1 << 19)
    package static let cr8StoreExiting = Self(rawValue: 1 << 20)
    package static let useTPRShadow = Self(rawValue: 1 << 21)
    package static let nmiWindowExiting = Self(rawValue: 1 << 22)
    package static let movDRExiting = Self(rawValue: 1 << 23)
    package static let unconditionalIOExiting = Self(rawValue: 1 << 24)
    package static let useIOBitmaps = Self(rawValue: 1 << 25)
    package static let monitorTrapFlag = Self(rawValue: 1 << 27)
    package static let useMSRBitmaps = Self(rawValue: 1 << 28)
    package static let monitorExiting = Self(rawValue: 1 << 29)
    package static let pauseExiting = Self(rawValue: 1 << 30)
    package static let activateSecondaryControls = Self(rawValue: 1 << 31)
}

/// Secondary processor-based VM-execution controls (table 25-7).
package struct SecondaryControls: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let enableEPT = Self(rawValue: 1 << 1)
    package static let descriptorTableExiting = Self(rawValue: 1 << 2)
    package static let enableRDTSCP = Self(rawValue: 1 << 3)
    package static let enableVPID = Self(rawValue: 1 << 5)
    package static let wbinvdExiting = Self(rawValue: 1 << 6)
    package static let unrestrictedGuest = Self(rawValue: 1 << 7)
    package static let pauseLoopExiting = Self(rawValue: 1 << 10)
    package static let rdrandExiting = Self(rawValue: 1 << 11)
    package static let enableINVPCID = Self(rawValue: 1 << 12)
    package static let rdseedExiting = Self(rawValue: 1 << 16)
    package static let enableXSAVES = Self(rawValue: 1 << 20)
    package static let useTSCScaling = Self(rawValue: 1 << 25)
}

/// Primary VM-exit controls (table 25-13).
package struct ExitControls: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let saveDebugControls = Self(rawValue: 1 << 2)
    package static let hostAddressSpaceSize = Self(rawValue: 1 << 9)
    package static let acknowledgeInterruptOnExit = Self(rawValue: 1 << 15)
    package static let savePAT = Self(rawValue: 1 << 18)
    package static let loadPAT = Self(rawValue: 1 << 19)
    package static let saveEFER = Self(rawValue: 1 << 20)
    package static let loadEFER = Self(rawValue: 1 << 21)
    package static let savePreemptionTimer = Self(rawValue: 1 << 22)
}

/// VM-entry controls (table 25-15).
package struct EntryControls: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let loadDebugControls = Self(rawValue: 1 << 2)
    package static let ia32eModeGuest = Self(rawValue: 1 << 9)
    package static let entryToSMM = Self(rawValue: 1 << 10)
    package static let deactivateDualMonitor = Self(rawValue: 1 << 11)
    package static let loadPAT = Self(rawValue: 1 << 14)
    package static let loadEFER = Self(rawValue: 1 << 15)
}

/// The controls of the VMCS that the guest runs by, read at VM entry.
struct VMXControls: Sendable {
    var pin: PinBasedControls = []
    var primary: PrimaryControls = []
    /// Empty unless the primary controls activate them.
    var secondary: SecondaryControls = []
    var exit: ExitControls = []
    var entry: EntryControls = []
    var exceptionBitmap: UInt32 = 0
    var pageFaultMask: UInt32 = 0
    var pageFaultMatch: UInt32 = 0
    var cr0Mask: UInt64 = 0
    var cr0Shadow: UInt64 = 0
    var cr4Mask: UInt64 = 0
    var cr4Shadow: UInt64 = 0
    /// The first `cr3TargetCount` hold values that MOV to CR3 may load without an exit.
    var cr3Targets = SIMD4<UInt64>(repeating: 0)
    var cr3TargetCount = 0
    var ioBitmapA: UInt64 = 0
    var ioBitmapB: UInt64 = 0
    var msrBitmaps: UInt64 = 0
    var virtualAPIC: UInt64 = 0
    var tprThreshold: UInt8 = 0
    var xssExitingBitmap: UInt64 = 0
    var pauseLoopGap: UInt32 = 0
    var pauseLoopWindow: UInt32 = 0
}
