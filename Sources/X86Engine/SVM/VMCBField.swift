/// The fields of the VMCB that the models of this engine have (APM volume 2 appendix B).
///
/// The raw value's hexadecimal digits are the width in bytes, then the offset in the VMCB: 4_00C is the dword at 00CH. The
/// state save area starts at 400H.
package enum VMCBField: UInt16, CaseIterable, Sendable {
    // Control area (table B-1)
    /// Reads of CR0...15 in bits 0...15, writes in bits 16...31.
    case controlRegisterIntercepts = 0x4_000
    /// Reads of DR0...15 in bits 0...15, writes in bits 16...31.
    case debugRegisterIntercepts = 0x4_004
    case exceptionIntercepts = 0x4_008
    /// Vector 3: INTR to shutdown.
    case firstInstructionIntercepts = 0x4_00C
    /// Vector 4: VMRUN to XSETBV.
    case secondInstructionIntercepts = 0x4_010
    /// Vector 5: INVPCID.
    case thirdInstructionIntercepts = 0x4_014
    case pauseFilterThreshold = 0x2_03C
    case pauseFilterCount = 0x2_03E
    case ioPermissionsMap = 0x8_040
    case msrPermissionsMap = 0x8_048
    case tscOffset = 0x8_050
    case guestASID = 0x4_058
    case tlbControl = 0x1_05C
    /// V_TPR, V_IRQ and what belongs to them: `VirtualInterrupt`.
    case virtualInterrupt = 0x8_060
    case interruptShadow = 0x8_068
    case exitCode = 0x8_070
    case exitInformation1 = 0x8_078
    case exitInformation2 = 0x8_080
    case exitInterruptInformation = 0x8_088
    case nestedPaging = 0x8_090
    case eventInjection = 0x8_0A8
    case nestedCR3 = 0x8_0B0
    case cleanBits = 0x4_0C0
    case nextRIP = 0x8_0C8
    /// Of the instruction bytes that follow at 0D1H.
    case instructionByteCount = 0x1_0D0

    // State save area (table B-2)
    case esSelector = 0x2_400
    case esAttributes = 0x2_402
    case esLimit = 0x4_404
    case esBase = 0x8_408
    case csSelector = 0x2_410
    case csAttributes = 0x2_412
    case csLimit = 0x4_414
    case csBase = 0x8_418
    case ssSelector = 0x2_420
    case ssAttributes = 0x2_422
    case ssLimit = 0x4_424
    case ssBase = 0x8_428
    case dsSelector = 0x2_430
    case dsAttributes = 0x2_432
    case dsLimit = 0x4_434
    case dsBase = 0x8_438
    case fsSelector = 0x2_440
    case fsAttributes = 0x2_442
    case fsLimit = 0x4_444
    case fsBase = 0x8_448
    case gsSelector = 0x2_450
    case gsAttributes = 0x2_452
    case gsLimit = 0x4_454
    case gsBase = 0x8_458
    case gdtrLimit = 0x4_464
    case gdtrBase = 0x8_468
    case ldtrSelector = 0x2_470
    case ldtrAttributes = 0x2_472
    case ldtrLimit = 0x4_474
    case ldtrBase = 0x8_478
    case idtrLimit = 0x4_484
    case idtrBase = 0x8_488
    case trSelector = 0x2_490
    case trAttributes = 0x2_492
    case trLimit = 0x4_494
    case trBase = 0x8_498
    case cpl = 0x1_4CB
    case efer = 0x8_4D0
    case cr4 = 0x8_548
    case cr3 = 0x8_550
    case cr0 = 0x8_558
    case dr7 = 0x8_560
    case dr6 = 0x8_568
    case rflags = 0x8_570
    case rip = 0x8_578
    case rsp = 0x8_5D8
    case rax = 0x8_5F8
    case star = 0x8_600
    case lstar = 0x8_608
    case cstar = 0x8_610
    case sfmask = 0x8_618
    case kernelGSBase = 0x8_620
    case sysenterCS = 0x8_628
    case sysenterESP = 0x8_630
    case sysenterEIP = 0x8_638
    case cr2 = 0x8_640
    /// G_PAT, the guest's PAT under nested paging.
    case guestPAT = 0x8_668

    /// In bytes: 1, 2, 4 or 8.
    @inline(__always) package var width: Int { Int(rawValue >> 12) }
    /// In bytes from the start of the VMCB; a multiple of the width but for `cpl`.
    @inline(__always) package var offset: Int { Int(rawValue & 0xFFF) }
    /// The bits that the field holds.
    package var mask: UInt64 { width == 8 ? .max : (1 << UInt64(width * 8)) &- 1 }
}

extension GuestSegment {
    /// Whether the base has 64 bits; of the others only the lower half is implemented.
    var hasWideBase: Bool {
        switch self {
        case .es, .cs, .ss, .ds: false
        case .fs, .gs, .ldtr, .tr: true
        }
    }

    /// Where the state save area holds the register.
    var fieldsOfVMCB: (selector: VMCBField, attributes: VMCBField, limit: VMCBField, base: VMCBField) {
        switch self {
        case .es: (.esSelector, .esAttributes, .esLimit, .esBase)
        case .cs: (.csSelector, .csAttributes, .csLimit, .csBase)
        case .ss: (.ssSelector, .ssAttributes, .ssLimit, .ssBase)
        case .ds: (.dsSelector, .dsAttributes, .dsLimit, .dsBase)
        case .fs: (.fsSelector, .fsAttributes, .fsLimit, .fsBase)
        case .gs: (.gsSelector, .gsAttributes, .gsLimit, .gsBase)
        case .ldtr: (.ldtrSelector, .ldtrAttributes, .ldtrLimit, .ldtrBase)
        case .tr: (.trSelector, .trAttributes, .trLimit, .trBase)
        }
    }
}
