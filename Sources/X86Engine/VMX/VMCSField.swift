/// The fields of the VMCS that the models of this engine have, by encoding.
///
/// SDM volume 3 appendix B: bit 0 access to the upper half, bits 1...9 index, 10...11 type (control, read-only, guest,
/// host), 13...14 width (16, 64, 32 bits, natural).
package enum VMCSField: UInt32, CaseIterable, Sendable {
    // 16-bit
    case virtualProcessorIdentifier = 0x0000
    case guestES = 0x0800
    case guestCS = 0x0802
    case guestSS = 0x0804
    case guestDS = 0x0806
    case guestFS = 0x0808
    case guestGS = 0x080A
    case guestLDTR = 0x080C
    case guestTR = 0x080E
    case hostES = 0x0C00
    case hostCS = 0x0C02
    case hostSS = 0x0C04
    case hostDS = 0x0C06
    case hostFS = 0x0C08
    case hostGS = 0x0C0A
    case hostTR = 0x0C0C
    // 64-bit
    case ioBitmapA = 0x2000
    case ioBitmapB = 0x2002
    case msrBitmaps = 0x2004
    case exitMSRStoreAddress = 0x2006
    case exitMSRLoadAddress = 0x2008
    case entryMSRLoadAddress = 0x200A
    case executiveVMCSPointer = 0x200C
    case tscOffset = 0x2010
    case virtualAPICAddress = 0x2012
    case eptPointer = 0x201A
    case xssExitingBitmap = 0x202C
    case tscMultiplier = 0x2032
    case guestPhysicalAddress = 0x2400
    case vmcsLinkPointer = 0x2800
    case guestDebugControl = 0x2802
    case guestPAT = 0x2804
    case guestEFER = 0x2806
    case guestPDPTE0 = 0x280A
    case guestPDPTE1 = 0x280C
    case guestPDPTE2 = 0x280E
    case guestPDPTE3 = 0x2810
    case hostPAT = 0x2C00
    case hostEFER = 0x2C02
    // 32-bit
    case pinBasedControls = 0x4000
    case primaryControls = 0x4002
    case exceptionBitmap = 0x4004
    case pageFaultErrorCodeMask = 0x4006
    case pageFaultErrorCodeMatch = 0x4008
    case cr3TargetCount = 0x400A
    case exitControls = 0x400C
    case exitMSRStoreCount = 0x400E
    case exitMSRLoadCount = 0x4010
    case entryControls = 0x4012
    case entryMSRLoadCount = 0x4014
    case entryInterruptionInformation = 0x4016
    case entryExceptionErrorCode = 0x4018
    case entryInstructionLength = 0x401A
    case tprThreshold = 0x401C
    case secondaryControls = 0x401E
    case pauseLoopGap = 0x4020
    case pauseLoopWindow = 0x4022
    case instructionError = 0x4400
    case exitReason = 0x4402
    case exitInterruptionInformation = 0x4404
    case exitInterruptionErrorCode = 0x4406
    case idtVectoringInformation = 0x4408
    case idtVectoringErrorCode = 0x440A
    case exitInstructionLength = 0x440C
    case exitInstructionInformation = 0x440E
    case guestESLimit = 0x4800
    case guestCSLimit = 0x4802
    case guestSSLimit = 0x4804
    case guestDSLimit = 0x4806
    case guestFSLimit = 0x4808
    case guestGSLimit = 0x480A
    case guestLDTRLimit = 0x480C
    case guestTRLimit = 0x480E
    case guestGDTRLimit = 0x4810
    case guestIDTRLimit = 0x4812
    case guestESAccessRights = 0x4814
    case guestCSAccessRights = 0x4816
    case guestSSAccessRights = 0x4818
    case guestDSAccessRights = 0x481A
    case guestFSAccessRights = 0x481C
    case guestGSAccessRights = 0x481E
    case guestLDTRAccessRights = 0x4820
    case guestTRAccessRights = 0x4822
    case guestInterruptibility = 0x4824
    case guestActivity = 0x4826
    case guestSMBASE = 0x4828
    case guestSYSENTERCS = 0x482A
    case preemptionTimer = 0x482E
    case hostSYSENTERCS = 0x4C00
    // Natural width
    case cr0Mask = 0x6000
    case cr4Mask = 0x6002
    case cr0Shadow = 0x6004
    case cr4Shadow = 0x6006
    case cr3Target0 = 0x6008
    case cr3Target1 = 0x600A
    case cr3Target2 = 0x600C
    case cr3Target3 = 0x600E
    case exitQualification = 0x6400
    case ioRCX = 0x6402
    case ioRSI = 0x6404
    case ioRDI = 0x6406
    case ioRIP = 0x6408
    case guestLinearAddress = 0x640A
    case guestCR0 = 0x6800
    case guestCR3 = 0x6802
    case guestCR4 = 0x6804
    case guestESBase = 0x6806
    case guestCSBase = 0x6808
    case guestSSBase = 0x680A
    case guestDSBase = 0x680C
    case guestFSBase = 0x680E
    case guestGSBase = 0x6810
    case guestLDTRBase = 0x6812
    case guestTRBase = 0x6814
    case guestGDTRBase = 0x6816
    case guestIDTRBase = 0x6818
    case guestDR7 = 0x681A
    case guestRSP = 0x681C
    case guestRIP = 0x681E
    case guestRFLAGS = 0x6820
    case guestPendingDebugExceptions = 0x6822
    case guestSYSENTERESP = 0x6824
    case guestSYSENTEREIP = 0x6826
    case hostCR0 = 0x6C00
    case hostCR3 = 0x6C02
    case hostCR4 = 0x6C04
    case hostFSBase = 0x6C06
    case hostGSBase = 0x6C08
    case hostTRBase = 0x6C0A
    case hostGDTRBase = 0x6C0C
    case hostIDTRBase = 0x6C0E
    case hostSYSENTERESP = 0x6C10
    case hostSYSENTEREIP = 0x6C12
    case hostRSP = 0x6C14
    case hostRIP = 0x6C16

    /// The width of a field.
    package enum Width: UInt32, Sendable { case bits16, bits64, bits32, natural }

    package var width: Width { Width(rawValue: rawValue >> 13 & 3) ?? .natural }
    /// VM-exit information, which only the processor writes.
    package var isReadOnly: Bool { rawValue >> 10 & 3 == 1 }
    /// The bits that the field holds.
    package var mask: UInt64 {
        switch width {
        case .bits16: 0xFFFF
        case .bits32: 0xFFFF_FFFF
        case .bits64, .natural: .max
        }
    }

    /// Where the field lies in this engine's VMCS: each of the sixteen groups of width and type has room for 30 indices.
    ///
    /// The layout is the processor's own business (SDM volume 3 section 25.2); software must use VMREAD and VMWRITE.
    var offset: Int {
        let group = Int(rawValue >> 13 & 3) * 4 + Int(rawValue >> 10 & 3)
        return VMCS.headerSize + (group * VMCS.fieldsInGroup + Int(rawValue >> 1 & 0x1FF)) * 8
    }

    /// The highest index in use, for IA32_VMX_VMCS_ENUM.
    static let highestIndex = allCases.map { $0.rawValue >> 1 & 0x1FF }.max() ?? 0
}
