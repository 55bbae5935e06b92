import Testing
import X86
import X86Engine

/// A machine in VMX root operation whose VMCS is ready for a 64-bit guest that shares the host's tables.
///
/// The host executes VMLAUNCH at `Layout.code` and halts where exits come back, or behind VMLAUNCH if that fails.
final class VMXMachine {
    enum Place {
        static let vmxon: UInt64 = 0x4_0000
        static let vmcs: UInt64 = 0x4_1000
        static let ioBitmapA: UInt64 = 0x4_2000
        static let ioBitmapB: UInt64 = 0x4_3000
        static let msrBitmaps: UInt64 = 0x4_4000
        static let virtualAPIC: UInt64 = 0x4_5000
        static let msrArea: UInt64 = 0x4_6000
        static let otherVMCS: UInt64 = 0x4_7000
        /// The host goes on here after an exit.
        static let hostExit: UInt64 = 0x4_8000
        static let guestCode: UInt64 = 0x4_9000
        static let guestStack: UInt64 = 0x4_C000
        /// PML4, PDPT, page directory, page table of the extended page tables.
        static let ept: UInt64 = 0x5_0000
    }

    /// Where the guest starts.
    enum GuestKind { case long, protected, real }

    let machine: TestMachine
    var processor: Processor { machine.processor }

    init(guest: GuestKind = .long, model: ProcessorModel = .intel64VMX) throws {
        machine = try TestMachine(model: model)
        machine.prepare(.long)
        machine.state.cr0 |= CR0.NE
        machine.state.cr4 |= CR4.VMXE
        let isLocked = processor.writeMSR(0x3A, 5)
        #expect(isLocked)
        for place in [Place.vmxon, Place.vmcs, Place.otherVMCS] { machine.write(VMCS.revisionIdentifier, at: place) }
        #expect(processor.enterVMXOperation(region: Place.vmxon))
        #expect(processor.clearVMCS(at: Place.vmcs) == nil)
        #expect(processor.makeVMCSCurrent(Place.vmcs) == nil)
        setHost()
        setControls()
        setGuest()
        switch guest {
        case .long: break
        case .protected: makeGuestProtected()
        case .real: makeGuestReal()
        }
        machine.write([0xF4], at: Place.hostExit)
    }

    subscript(field: VMCSField) -> UInt64 {
        get { processor.readVMCS(field) }
        set { processor.writeVMCS(field, newValue) }
    }

    // MARK: Controls

    private func required(_ index: UInt32) -> UInt64 { (processor.readMSR(index) ?? 0) & 0xFFFF_FFFF }

    private func setControls() {
        self[.pinBasedControls] = required(0x48D)
        self[.primaryControls] = required(0x48E)
        self[.exitControls] = required(0x48F) | UInt64(ExitControls.hostAddressSpaceSize.rawValue)
        self[.entryControls] = required(0x490) | UInt64(EntryControls.ia32eModeGuest.rawValue)
        self[.vmcsLinkPointer] = .max
    }

    func add(_ controls: PinBasedControls) { self[.pinBasedControls] |= UInt64(controls.rawValue) }
    func add(_ controls: PrimaryControls) { self[.primaryControls] |= UInt64(controls.rawValue) }
    func add(_ controls: ExitControls) { self[.exitControls] |= UInt64(controls.rawValue) }
    func add(_ controls: EntryControls) { self[.entryControls] |= UInt64(controls.rawValue) }
    func remove(_ controls: EntryControls) { self[.entryControls] &= ~UInt64(controls.rawValue) }
    func remove(_ controls: ExitControls) { self[.exitControls] &= ~UInt64(controls.rawValue) }

    func add(_ controls: SecondaryControls) {
        add(PrimaryControls.activateSecondaryControls)
        self[.secondaryControls] |= UInt64(controls.rawValue)
    }

    /// Extended page tables that map the first GiB to itself by 2 MiB pages, the first of them by 4 KiB pages.
    func useEPT(accessedAndDirty: Bool = false) {
        add(SecondaryControls.enableEPT)
        machine.write(Place.ept + 0x1000 | 7, at: Place.ept)
        machine.write(Place.ept + 0x2000 | 7, at: Place.ept + 0x1000)
        machine.write(Place.ept + 0x3000 | 7, at: Place.ept + 0x2000)
        for index in UInt64(1)..<512 { machine.write(index << 21 | 0xB7, at: Place.ept + 0x2000 + index * 8) }
        for index in UInt64(0)..<512 { machine.write(index << 12 | 0x37, at: Place.ept + 0x3000 + index * 8) }
        self[.eptPointer] = Place.ept | 3 << 3 | 6 | (accessedAndDirty ? 1 << 6 : 0)
    }

    /// The entry that maps the 4 KiB page of a guest-physical address below 2 MiB.
    func eptEntry(_ guest: UInt64) -> UInt64 { Place.ept + 0x3000 + (guest >> 12) * 8 }

    // MARK: Host and guest state

    private func setHost() {
        let s = machine.state
        self[.hostCR0] = s.cr0
        self[.hostCR3] = s.cr3
        self[.hostCR4] = s.cr4
        self[.hostCS] = UInt64(s.cs.selector)
        for field in [VMCSField.hostSS, .hostDS, .hostES, .hostFS, .hostGS] { self[field] = UInt64(s.ss.selector) }
        self[.hostTR] = UInt64(s.tr.selector)
        self[.hostTRBase] = s.tr.base
        self[.hostGDTRBase] = s.gdtr.base
        self[.hostIDTRBase] = s.idtr.base
        self[.hostRSP] = TestMachine.Layout.kernelStack
        self[.hostRIP] = Place.hostExit
    }

    static let guestSegments: [(selector: VMCSField, base: VMCSField, limit: VMCSField, rights: VMCSField)] = [
        (.guestES, .guestESBase, .guestESLimit, .guestESAccessRights),
        (.guestCS, .guestCSBase, .guestCSLimit, .guestCSAccessRights),
        (.guestSS, .guestSSBase, .guestSSLimit, .guestSSAccessRights),
        (.guestDS, .guestDSBase, .guestDSLimit, .guestDSAccessRights),
        (.guestFS, .guestFSBase, .guestFSLimit, .guestFSAccessRights),
        (.guestGS, .guestGSBase, .guestGSLimit, .guestGSAccessRights),
        (.guestLDTR, .guestLDTRBase, .guestLDTRLimit, .guestLDTRAccessRights),
        (.guestTR, .guestTRBase, .guestTRLimit, .guestTRAccessRights),
    ]

    private func setGuest() {
        let s = machine.state
        self[.guestCR0] = s.cr0
        self[.guestCR3] = s.cr3
        self[.guestCR4] = s.cr4
        for (field, segment) in zip(Self.guestSegments, [s.es, s.cs, s.ss, s.ds, s.fs, s.gs, s.ldtr, s.tr]) {
            self[field.selector] = UInt64(segment.selector)
            self[field.base] = segment.base
            self[field.limit] = UInt64(segment.limit)
            self[field.rights] = UInt64(segment.attributes)
        }
        self[.guestGDTRBase] = s.gdtr.base
        self[.guestGDTRLimit] = UInt64(s.gdtr.limit)
        self[.guestIDTRBase] = s.idtr.base
        self[.guestIDTRLimit] = UInt64(s.idtr.limit)
        self[.guestRSP] = Place.guestStack
        self[.guestRIP] = Place.guestCode
        self[.guestRFLAGS] = RFLAGS.fixed
    }

    private func setGuestSegments(code: UInt64, data: UInt64, limit: UInt64, base: UInt64 = 0) {
        for (index, field) in Self.guestSegments.enumerated() where index < 6 {
            self[field.base] = index == 1 ? base : 0
            self[field.limit] = limit
            self[field.rights] = index == 1 ? code : data
        }
    }

    /// 32-bit code with paging, by an unrestricted guest without paging.
    private func makeGuestProtected() {
        useEPT()
        add(SecondaryControls.unrestrictedGuest)
        remove(EntryControls.ia32eModeGuest)
        self[.guestCR0] &= ~CR0.PG
        self[.guestCS] = UInt64(TestMachine.Selectors.code32)
        setGuestSegments(code: 0xC09B, data: 0xC093, limit: 0xFFFF_FFFF)
        self[.guestTRAccessRights] = 0x8B
    }

    private func makeGuestReal() {
        useEPT()
        add(SecondaryControls.unrestrictedGuest)
        remove(EntryControls.ia32eModeGuest)
        self[.guestCR0] &= ~(CR0.PG | CR0.PE)
        for (index, field) in Self.guestSegments.enumerated() where index < 6 { self[field.selector] = 0 }
        self[.guestCS] = Place.guestCode >> 4
        setGuestSegments(code: 0x9B, data: 0x93, limit: 0xFFFF, base: Place.guestCode)
        self[.guestIDTRBase] = 0
        self[.guestIDTRLimit] = 0x3FF
        self[.guestRIP] = 0
        self[.guestRSP] = 0x7000
    }

    // MARK: Running

    /// What VMLAUNCH came to.
    enum Outcome: Equatable {
        /// VMfailValid with an error number.
        case failed(UInt64)
        case failedInvalid
        /// The whole exit reason.
        case exit(UInt64)
        /// The processor did something else.
        case other(RunResult)
    }

    /// Assembles guest code, enters the guest by VMLAUNCH and comes back at the first exit.
    @discardableResult
    func launch(_ code: String = "hlt", bits: Int = 64, counts: UInt64 = 1000) throws -> Outcome {
        let mode: CodeMode = bits == 64 ? .bits64 : bits == 32 ? .bits32 : .bits16
        let origin = bits == 16 ? 0 : Place.guestCode
        machine.write(try Assembler(mode: mode, origin: origin).assemble(code).bytes, at: Place.guestCode)
        return try enter("vmlaunch", counts: counts)
    }

    /// Executes VMLAUNCH or VMRESUME in the host, which halts afterwards.
    @discardableResult
    func enter(_ instruction: String = "vmresume", counts: UInt64 = 1000) throws -> Outcome {
        try machine.load(instruction + "\nhlt", at: TestMachine.Layout.code, bits: 64)
        machine.state.rip = TestMachine.Layout.code
        machine.state.activity = .active
        let result = machine.run(counts)
        guard result == .halted, !processor.state.pointee.virtualization.isGuest else { return .other(result) }
        if machine.state.rip == Place.hostExit + 1 { return .exit(self[.exitReason]) }
        let flags = machine.state.rflags & RFLAGS.status
        return flags == RFLAGS.ZF
            ? .failed(self[.instructionError]) : flags == RFLAGS.CF ? .failedInvalid : .other(result)
    }

    /// Moves the guest behind the instruction that caused the exit.
    func skipInstruction() { self[.guestRIP] += self[.exitInstructionLength] }
}
