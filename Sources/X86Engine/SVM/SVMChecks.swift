import X86

/// What VMRUN refuses with VMEXIT_INVALID (APM volume 2 sections 15.5.1, 15.10, 15.11, 15.20 and 15.25.4).
package enum SVMInvalidState: Error, Equatable, Sendable {
    case svmDisabled
    case cacheControl
    case reservedCR0
    case reservedCR3
    case reservedCR4
    case reservedDR6
    case reservedDR7
    case reservedEFER
    case longModeWithoutPhysicalAddressExtension
    case longModeWithoutProtection
    case longCodeWithDefaultSize
    case vmrunNotIntercepted
    case permissionsMapAddress
    case eventInjection
    case addressSpaceIdentifier
    case nestedPagingWithoutHostPaging
    case reservedNestedCR3
    case guestPAT
    case pageDirectoryPointers
}

/// The registers of a state save area that the checks are about.
struct SVMControlRegisters {
    var cr0: UInt64
    var cr3: UInt64
    var cr4: UInt64
    /// LMA is as LME and CR0.PG make it.
    var efer: UInt64
    var codeAttributes: UInt64
    var isLong: Bool { efer & EFER.LMA != 0 }
    /// CS.L in long mode.
    var is64Bit: Bool { isLong && codeAttributes & 0x200 != 0 }

    init(_ processor: Processor, at address: UInt64?) {
        cr0 = processor.readVMCB(.cr0, at: address)
        cr3 = processor.readVMCB(.cr3, at: address)
        cr4 = processor.readVMCB(.cr4, at: address)
        efer = processor.readVMCB(.efer, at: address) & ~EFER.LMA
        codeAttributes = processor.readVMCB(.csAttributes, at: address)
        if efer & EFER.LME != 0 && cr0 & CR0.PG != 0 { efer |= EFER.LMA }
    }
}

extension Processor {
    private func require(_ condition: Bool, _ failure: SVMInvalidState) throws(SVMInvalidState) {
        guard condition else { throw failure }
    }

    /// Checks control and save area of the current VMCB, and returns what the former says.
    func checkedVMCB() throws(SVMInvalidState) -> SVMControls {
        let controls = SVMControls(self)
        try require(controls.intercepts(.vmrun), .vmrunNotIntercepted)
        try require(controls.guestASID != 0, .addressSpaceIdentifier)
        let (ioLast, msrLast) = (
            controls.ioPermissionsMap.addingReportingOverflow(3 * 4096 - 1),
            controls.msrPermissionsMap.addingReportingOverflow(2 * 4096 - 1)
        )
        try require(!ioLast.overflow && ioLast.partialValue & ~physicalAddressMask == 0, .permissionsMapAddress)
        try require(!msrLast.overflow && msrLast.partialValue & ~physicalAddressMask == 0, .permissionsMapAddress)
        let registers = SVMControlRegisters(self, at: nil)
        try checkControlRegisters(registers, at: nil)
        if controls.usesNestedPaging {
            let paging = state.pointee.virtualization.svm.hostPaging
            try require(paging != .disabled, .nestedPagingWithoutHostPaging)
            let reserved = paging.reservedInRoot(addressMask: physicalAddressMask)
            try require(controls.nestedCR3 & reserved == 0, .reservedNestedCR3)
            try require(isPATValid(readVMCB(.guestPAT)), .guestPAT)
        }
        guard isInjectable(readVMCB(.eventInjection), registers) else { throw .eventInjection }
        return controls
    }

    /// The checks that are made of a guest's state by VMRUN and of the host's by #VMEXIT.
    func checkControlRegisters(_ registers: SVMControlRegisters, at address: UInt64?) throws(SVMInvalidState) {
        let efer = registers.efer
        try require(efer & EFER.SVME != 0, .svmDisabled)
        try require(registers.cr0 & CR0.CD != 0 || registers.cr0 & CR0.NW == 0, .cacheControl)
        try require(registers.cr0 >> 32 == 0, .reservedCR0)
        // Outside long mode the upper half of CR3 does not exist.
        if registers.isLong { try require(registers.cr3 & ~physicalAddressMask == 0, .reservedCR3) }
        try require(registers.cr4 & ~writableCR4 == 0, .reservedCR4)
        try require(readVMCB(.dr6, at: address) >> 32 == 0, .reservedDR6)
        try require(readVMCB(.dr7, at: address) >> 32 == 0, .reservedDR7)
        try require(efer & ~(model.writableEFER | EFER.LMA) == 0, .reservedEFER)
        guard registers.isLong else { return }
        try require(registers.cr4 & CR4.PAE != 0, .longModeWithoutPhysicalAddressExtension)
        try require(registers.cr0 & CR0.PE != 0, .longModeWithoutProtection)
        // CS.L and CS.D.
        try require(registers.codeAttributes & 0x600 != 0x600, .longCodeWithDefaultSize)
    }

    /// The vectors of exceptions (APM volume 2 table 8-1): not 2, which is NMI, and none that is reserved.
    private static let exceptionVectors: Set<UInt8> = [
        0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 21, 28, 29, 30,
    ]

    /// Whether the guest can take an event (section 15.20).
    private func isInjectable(_ event: UInt64, _ registers: SVMControlRegisters) -> Bool {
        guard event & SVMEvent.valid != 0 else { return true }
        let vector = UInt8(truncatingIfNeeded: event)
        switch event >> 8 & 7 {
        case 0, 2, 4: return true
        case 3:
            // INTO and BOUND do not exist in 64-bit mode.
            if registers.is64Bit && (vector == 4 || vector == 5) { return false }
            return Self.exceptionVectors.contains(vector)
        default: return false
        }
    }
}

/// EVENTINJ and EXITINTINFO (APM volume 2 figures 15-1 and 15-5).
enum SVMEvent {
    static let valid: UInt64 = 1 << 31
    static let hasErrorCode: UInt64 = 1 << 11

    /// An event as EXITINTINFO tells it, and EVENTINJ takes it.
    static func word(vector: UInt8, _ source: EventSource, errorCode: UInt32?) -> UInt64 {
        let type: UInt64 =
            switch source {
            case .externalInterrupt: 0
            case .nonMaskableInterrupt: 2
            case .exception, .softwareException, .privilegedSoftwareException: 3
            case .softwareInterrupt: 4
            }
        return valid | type << 8 | UInt64(vector) | (errorCode.map { UInt64($0) << 32 | hasErrorCode } ?? 0)
    }
}
