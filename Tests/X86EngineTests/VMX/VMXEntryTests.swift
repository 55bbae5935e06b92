import Testing
import X86
import X86Engine

/// A change to a valid VMCS that must make VM entry fail.
struct VMCSDefect: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var guest: VMXMachine.GuestKind
    var change: @Sendable (VMXMachine) -> Void

    init(
        _ description: String, guest: VMXMachine.GuestKind = .long, _ change: @escaping @Sendable (VMXMachine) -> Void
    ) {
        testDescription = description
        self.guest = guest
        self.change = change
    }

    /// A field with another value.
    static func field(_ description: String, _ field: VMCSField, _ value: UInt64) -> VMCSDefect {
        VMCSDefect(description) { $0[field] = value }
    }

    /// Bits added to a field.
    static func bits(_ description: String, _ field: VMCSField, _ bits: UInt64) -> VMCSDefect {
        VMCSDefect(description) { $0[field] |= bits }
    }
}

/// SDM volume 3 section 27.2: what fails is VMfailValid with error 7 (controls) or 8 (host state).
@Suite struct VMXEntryControlTests {
    @Test(arguments: [VMXMachine.GuestKind.long, .protected, .real])
    func guestsOfEveryKindAreEntered(_ kind: VMXMachine.GuestKind) throws {
        let vmx = try VMXMachine(guest: kind)
        let bits = kind == .long ? 64 : kind == .protected ? 32 : 16
        let outcome = try vmx.launch("cpuid", bits: bits)
        #expect(outcome == .exit(10))
    }

    static let controlDefects: [VMCSDefect] = [
        .field("a default1 pin-based control is 0", .pinBasedControls, 0),
        .bits("process posted interrupts is not there", .pinBasedControls, 1 << 7),
        .field("a default1 primary control is 0", .primaryControls, 0),
        .bits("tertiary controls are not there", .primaryControls, 1 << 17),
        VMCSDefect("a secondary control is not there") { $0.add(SecondaryControls(rawValue: 1 << 13)) },
        .field("five CR3 targets", .cr3TargetCount, 5),
        VMCSDefect("I/O bitmap A is misaligned") {
            $0.add(PrimaryControls.useIOBitmaps)
            $0[.ioBitmapA] = 0x800
        },
        VMCSDefect("I/O bitmap B lies beyond the physical addresses") {
            $0.add(PrimaryControls.useIOBitmaps)
            $0[.ioBitmapB] = 1 << 50
        },
        VMCSDefect("the MSR bitmaps are misaligned") {
            $0.add(PrimaryControls.useMSRBitmaps)
            $0[.msrBitmaps] = 0x10
        },
        VMCSDefect("the virtual-APIC page is misaligned") {
            $0.add(PrimaryControls.useTPRShadow)
            $0[.virtualAPICAddress] = VMXMachine.Place.virtualAPIC + 8
        },
        VMCSDefect("the TPR threshold has reserved bits") {
            $0.add(PrimaryControls.useTPRShadow)
            $0[.virtualAPICAddress] = VMXMachine.Place.virtualAPIC
            $0[.tprThreshold] = 0x10
        },
        VMCSDefect("the TPR threshold is above the virtual TPR") {
            $0.add(PrimaryControls.useTPRShadow)
            $0[.virtualAPICAddress] = VMXMachine.Place.virtualAPIC
            $0[.tprThreshold] = 1
        },
        VMCSDefect("virtual NMIs without NMI exiting") { $0.add(PinBasedControls.virtualNMIs) },
        VMCSDefect("NMI-window exiting without virtual NMIs") {
            $0.add(PinBasedControls.nmiExiting)
            $0.add(PrimaryControls.nmiWindowExiting)
        },
        VMCSDefect("VPID 0") { $0.add(SecondaryControls.enableVPID) },
        VMCSDefect("the EPT pointer asks for write-combining tables") {
            $0.useEPT()
            $0[.eptPointer] = VMXMachine.Place.ept | 3 << 3 | 1
        },
        VMCSDefect("the EPT pointer asks for three levels") {
            $0.useEPT()
            $0[.eptPointer] = VMXMachine.Place.ept | 2 << 3 | 6
        },
        VMCSDefect("the EPT pointer has reserved bits") {
            $0.useEPT()
            $0[.eptPointer] |= 1 << 8
        },
        VMCSDefect("the EPT pointer is too wide") {
            $0.useEPT()
            $0[.eptPointer] |= 1 << 45
        },
        VMCSDefect("an unrestricted guest without EPT") { $0.add(SecondaryControls.unrestrictedGuest) },
        VMCSDefect("a default1 exit control is 0") { $0[.exitControls] = 0x200 },
        .bits("loading IA32_PERF_GLOBAL_CTRL is not there", .exitControls, 1 << 12),
        VMCSDefect("saving a preemption timer that is not active") { $0.add(ExitControls.savePreemptionTimer) },
        VMCSDefect("the exit MSR-store area is misaligned") {
            $0[.exitMSRStoreCount] = 1
            $0[.exitMSRStoreAddress] = VMXMachine.Place.msrArea + 8
        },
        VMCSDefect("the exit MSR-load area ends beyond the physical addresses") {
            $0[.exitMSRLoadCount] = 2
            $0[.exitMSRLoadAddress] = (1 << 40) - 16
        },
        VMCSDefect("the entry MSR-load area is misaligned") {
            $0[.entryMSRLoadCount] = 1
            $0[.entryMSRLoadAddress] = 4
        },
        VMCSDefect("a default1 entry control is 0") { $0[.entryControls] = 0x200 },
        .bits("entry to SMM outside SMM", .entryControls, 1 << 10),
        .field("a reserved type of event", .entryInterruptionInformation, 0x8000_0100),
        .field("an NMI with another vector", .entryInterruptionInformation, 0x8000_0203),
        .field("an exception above 31", .entryInterruptionInformation, 0x8000_0320),
        .field("an MTF event with a vector", .entryInterruptionInformation, 0x8000_0701),
        .field("#GP without an error code", .entryInterruptionInformation, 0x8000_030D),
        .field("#UD with an error code", .entryInterruptionInformation, 0x8000_0B06),
        .field("reserved bits of the interruption information", .entryInterruptionInformation, 0x8000_1020),
        VMCSDefect("an error code above 15 bits") {
            $0[.entryInterruptionInformation] = 0x8000_0B0D
            $0[.entryExceptionErrorCode] = 0x1_0000
        },
        VMCSDefect("a software interrupt of length 0") { $0[.entryInterruptionInformation] = 0x8000_0480 },
        VMCSDefect("a software exception of length 16") {
            $0[.entryInterruptionInformation] = 0x8000_0603
            $0[.entryInstructionLength] = 16
        },
    ]

    @Test(arguments: controlDefects)
    func invalidControlsFailVMEntry(_ defect: VMCSDefect) throws {
        let vmx = try VMXMachine(guest: defect.guest)
        defect.change(vmx)
        #expect(try vmx.launch() == .failed(7))
    }

    static let hostDefects: [VMCSDefect] = [
        VMCSDefect("CR0.NE is 0") { $0[.hostCR0] &= ~CR0.NE },
        .bits("CR0 has bits above 31", .hostCR0, 1 << 32),
        VMCSDefect("CR4.VMXE is 0") { $0[.hostCR4] &= ~CR4.VMXE },
        .bits("CR4 has a bit that the model lacks", .hostCR4, 1 << 12),
        .bits("CR3 is too wide", .hostCR3, 1 << 41),
        .field("IA32_SYSENTER_ESP is not canonical", .hostSYSENTERESP, 1 << 47),
        .field("IA32_SYSENTER_EIP is not canonical", .hostSYSENTEREIP, 1 << 47),
        .field("FS.base is not canonical", .hostFSBase, 1 << 47),
        .field("GS.base is not canonical", .hostGSBase, 1 << 47),
        .field("TR.base is not canonical", .hostTRBase, 1 << 47),
        .field("GDTR.base is not canonical", .hostGDTRBase, 1 << 47),
        .field("IDTR.base is not canonical", .hostIDTRBase, 1 << 47),
        VMCSDefect("IA32_PAT has a reserved type") {
            $0.add(ExitControls.loadPAT)
            $0[.hostPAT] = 2
        },
        VMCSDefect("IA32_EFER has reserved bits") {
            $0.add(ExitControls.loadEFER)
            $0[.hostEFER] = EFER.LMA | EFER.LME | 2
        },
        VMCSDefect("IA32_EFER is not that of a 64-bit host") {
            $0.add(ExitControls.loadEFER)
            $0[.hostEFER] = EFER.LME
        },
        .bits("CS has an RPL", .hostCS, 3),
        .bits("SS has a TI flag", .hostSS, 4),
        .bits("DS has an RPL", .hostDS, 1),
        .bits("TR has a TI flag", .hostTR, 4),
        .field("CS is null", .hostCS, 0),
        .field("TR is null", .hostTR, 0),
        VMCSDefect("a 64-bit host without PAE") { $0[.hostCR4] &= ~CR4.PAE },
        .field("RIP is not canonical", .hostRIP, 1 << 47),
        VMCSDefect("a host that is not 64-bit, left from IA-32e mode") { $0.remove(ExitControls.hostAddressSpaceSize) },
    ]

    @Test(arguments: hostDefects)
    func invalidHostStateFailsVMEntry(_ defect: VMCSDefect) throws {
        let vmx = try VMXMachine()
        defect.change(vmx)
        #expect(try vmx.launch() == .failed(8))
    }

    @Test func launchingTwiceAndResumingUnlaunchedFail() throws {
        let vmx = try VMXMachine()
        #expect(try vmx.enter("vmresume") == .failed(5))
        #expect(try vmx.launch("cpuid") == .exit(10))
        #expect(try vmx.launch("cpuid") == .failed(4))
        #expect(try vmx.enter("vmresume") == .exit(10))
    }

    @Test func entryWithoutACurrentVMCSFailsInvalid() throws {
        let vmx = try VMXMachine()
        #expect(vmx.processor.clearVMCS(at: VMXMachine.Place.vmcs) == nil)
        #expect(try vmx.launch() == .failedInvalid)
    }

    @Test func entryInTheShadowOfMOVSSFails() throws {
        let vmx = try VMXMachine()
        #expect(try vmx.enter("mov ax, ss\nmov ss, ax\nvmlaunch") == .failed(26))
    }
}

/// SDM volume 3 section 27.3.1: what fails is an exit with reason 33 and bit 31.
@Suite struct VMXGuestStateTests {
    static let invalid: UInt64 = 1 << 31 | 33

    static let defects: [VMCSDefect] = [
        VMCSDefect("CR0.PE is 0") { $0[.guestCR0] &= ~(CR0.PE | CR0.PG) },
        VMCSDefect("CR0.NE is 0", guest: .real) { $0[.guestCR0] &= ~CR0.NE },
        VMCSDefect("paging without protection", guest: .real) { $0[.guestCR0] |= CR0.PG },
        .bits("CR0 has bits above 31", .guestCR0, 1 << 33),
        VMCSDefect("CR4.VMXE is 0") { $0[.guestCR4] &= ~CR4.VMXE },
        .bits("CR4 has a bit that the model lacks", .guestCR4, 1 << 12),
        VMCSDefect("IA32_DEBUGCTL has reserved bits") {
            $0.add(EntryControls.loadDebugControls)
            $0[.guestDR7] = 0x400
            $0[.guestDebugControl] = 1 << 20
        },
        VMCSDefect("DR7 has bits above 31") {
            $0.add(EntryControls.loadDebugControls)
            $0[.guestDR7] = 1 << 32 | 0x400
        },
        VMCSDefect("a 64-bit guest without PAE") { $0[.guestCR4] &= ~CR4.PAE },
        VMCSDefect("a 64-bit guest without paging", guest: .protected) { $0.add(EntryControls.ia32eModeGuest) },
        VMCSDefect("PCIDs outside IA-32e mode", guest: .protected) { $0[.guestCR4] |= CR4.PCIDE },
        .bits("CR3 is too wide", .guestCR3, 1 << 41),
        .field("IA32_SYSENTER_ESP is not canonical", .guestSYSENTERESP, 1 << 47),
        .field("IA32_SYSENTER_EIP is not canonical", .guestSYSENTEREIP, 1 << 47),
        VMCSDefect("IA32_PAT has a reserved type") {
            $0.add(EntryControls.loadPAT)
            $0[.guestPAT] = 3
        },
        VMCSDefect("IA32_EFER has reserved bits") {
            $0.add(EntryControls.loadEFER)
            $0[.guestEFER] = EFER.LMA | EFER.LME | 2
        },
        VMCSDefect("IA32_EFER.LMA is not the control") {
            $0.add(EntryControls.loadEFER)
            $0[.guestEFER] = EFER.LME
        },
        VMCSDefect("IA32_EFER.LME is not LMA with paging") {
            $0.add(EntryControls.loadEFER)
            $0[.guestEFER] = EFER.LMA
        },
        .bits("TR lies in the LDT", .guestTR, 4),
        VMCSDefect("LDTR lies in the LDT") {
            $0[.guestLDTR] = 4
            $0[.guestLDTRAccessRights] = 0x82
        },
        VMCSDefect("the RPLs of SS and CS differ") {
            $0[.guestCS] |= 1
        },
        .field("TR.base is not canonical", .guestTRBase, 1 << 47),
        .field("FS.base is not canonical", .guestFSBase, 1 << 47),
        .field("GS.base is not canonical", .guestGSBase, 1 << 47),
        VMCSDefect("LDTR.base is not canonical") {
            $0[.guestLDTRBase] = 1 << 47
            $0[.guestLDTRAccessRights] = 0x82
        },
        .field("CS.base has bits above 31", .guestCSBase, 1 << 32),
        .field("SS.base has bits above 31", .guestSSBase, 1 << 32),
        .field("DS.base has bits above 31", .guestDSBase, 1 << 32),
        .field("ES.base has bits above 31", .guestESBase, 1 << 32),
        .field("CS is not accessed", .guestCSAccessRights, 0xA09A),
        .field("CS is data in a restricted guest", .guestCSAccessRights, 0xC093),
        .field("SS is read-only", .guestSSAccessRights, 0xC091),
        .field("DS is not accessed", .guestDSAccessRights, 0xC092),
        .field("ES is unreadable code", .guestESAccessRights, 0xC099),
        .field("CS is a system segment", .guestCSAccessRights, 0xA08B),
        .field("CS.DPL is not SS.DPL", .guestCSAccessRights, 0xA0FB),
        .field("a conforming CS above SS.DPL", .guestCSAccessRights, 0xA0FF),
        .field("SS.DPL is not its RPL", .guestSSAccessRights, 0xC0F3),
        VMCSDefect("DS.DPL is below its RPL") { $0[.guestDS] |= 3 },
        .field("CS is not present", .guestCSAccessRights, 0xA01B),
        .field("DS is not present", .guestDSAccessRights, 0xC013),
        .bits("CS has reserved rights", .guestCSAccessRights, 0x100),
        .bits("DS has reserved rights", .guestDSAccessRights, 1 << 17),
        .bits("CS is both L and D", .guestCSAccessRights, 0x4000),
        .field("CS is granular with an odd limit", .guestCSLimit, 0xFFFF_F000),
        .field("DS is not granular with a large limit", .guestDSAccessRights, 0x4093),
        .field("TR is not busy", .guestTRAccessRights, 0x89),
        VMCSDefect("TR is a 16-bit TSS in IA-32e mode") { $0[.guestTRAccessRights] = 0x83 },
        .field("TR is a code segment", .guestTRAccessRights, 0x9B),
        .field("TR is not present", .guestTRAccessRights, 0x0B),
        .bits("TR is unusable", .guestTRAccessRights, 1 << 16),
        .field("LDTR is a TSS", .guestLDTRAccessRights, 0x8B),
        .field("LDTR is not present", .guestLDTRAccessRights, 0x02),
        .field("GDTR.base is not canonical", .guestGDTRBase, 1 << 47),
        .field("IDTR.base is not canonical", .guestIDTRBase, 1 << 47),
        .field("the GDTR limit exceeds 16 bits", .guestGDTRLimit, 0x1_0000),
        .field("the IDTR limit exceeds 16 bits", .guestIDTRLimit, 0x1_0000),
        .field("RIP is not canonical", .guestRIP, 1 << 47),
        VMCSDefect("RIP exceeds 32 bits", guest: .protected) { $0[.guestRIP] = 1 << 32 },
        .field("RFLAGS bit 1 is 0", .guestRFLAGS, 0),
        .bits("RFLAGS has reserved bits", .guestRFLAGS, 1 << 15),
        .bits("virtual-8086 mode in IA-32e mode", .guestRFLAGS, RFLAGS.VM),
        VMCSDefect("virtual-8086 mode without protection", guest: .real) { $0[.guestRFLAGS] |= RFLAGS.VM },
        VMCSDefect("virtual-8086 mode with other segments", guest: .protected) { $0[.guestRFLAGS] |= RFLAGS.VM },
        .field("an interrupt with IF clear", .entryInterruptionInformation, 0x8000_0020),
        .field("an activity state that does not exist", .guestActivity, 4),
        VMCSDefect("HLT outside ring 0", guest: .protected) {
            $0[.guestActivity] = 1
            $0[.guestSS] |= 3
            $0[.guestCS] |= 3
            $0[.guestSSAccessRights] = 0xC0F3
            $0[.guestCSAccessRights] = 0xC0FB
        },
        VMCSDefect("HLT while blocked by STI") {
            $0[.guestActivity] = 1
            $0[.guestRFLAGS] |= RFLAGS.IF
            $0[.guestInterruptibility] = 1
        },
        VMCSDefect("#PF into HLT") {
            $0[.guestActivity] = 1
            $0[.entryInterruptionInformation] = 0x8000_0B0E
        },
        VMCSDefect("an interrupt into shutdown") {
            $0[.guestActivity] = 2
            $0[.guestRFLAGS] |= RFLAGS.IF
            $0[.entryInterruptionInformation] = 0x8000_0020
        },
        VMCSDefect("an NMI into wait-for-SIPI") {
            $0[.guestActivity] = 3
            $0[.entryInterruptionInformation] = 0x8000_0202
        },
        .field("reserved interruptibility", .guestInterruptibility, 1 << 5),
        VMCSDefect("blocked by STI and MOV SS") {
            $0[.guestRFLAGS] |= RFLAGS.IF
            $0[.guestInterruptibility] = 3
        },
        .field("blocked by STI with IF clear", .guestInterruptibility, 1),
        .field("blocked by SMI outside SMM", .guestInterruptibility, 4),
        VMCSDefect("an interrupt while blocked by MOV SS") {
            $0[.guestRFLAGS] |= RFLAGS.IF
            $0[.guestInterruptibility] = 2
            $0[.entryInterruptionInformation] = 0x8000_0020
        },
        VMCSDefect("an NMI while blocked by MOV SS") {
            $0[.guestInterruptibility] = 2
            $0[.entryInterruptionInformation] = 0x8000_0202
        },
        VMCSDefect("a virtual NMI while NMIs are blocked") {
            $0.add([.nmiExiting, .virtualNMIs] as PinBasedControls)
            $0[.guestInterruptibility] = 8
            $0[.entryInterruptionInformation] = 0x8000_0202
        },
        .field("reserved pending debug exceptions", .guestPendingDebugExceptions, 1 << 5),
        VMCSDefect("a pending step without TF while blocked by MOV SS") {
            $0[.guestInterruptibility] = 2
            $0[.guestPendingDebugExceptions] = 1 << 14
        },
        VMCSDefect("TF without a pending step while halted") {
            $0[.guestActivity] = 1
            $0[.guestRFLAGS] |= RFLAGS.TF
        },
    ]

    @Test(arguments: defects)
    func invalidGuestStateIsAnExit(_ defect: VMCSDefect) throws {
        let vmx = try VMXMachine(guest: defect.guest)
        defect.change(vmx)
        let bits = defect.guest == .long ? 64 : defect.guest == .protected ? 32 : 16
        #expect(try vmx.launch(bits: bits) == .exit(Self.invalid))
        #expect(vmx[.exitQualification] == 0)
    }

    @Test func nmiWhileBlockedBySTIHasItsQualification() throws {
        let vmx = try VMXMachine()
        vmx[.guestRFLAGS] |= RFLAGS.IF
        vmx[.guestInterruptibility] = 1
        vmx[.entryInterruptionInformation] = 0x8000_0202
        #expect(try vmx.launch() == .exit(Self.invalid))
        #expect(vmx[.exitQualification] == 3)
    }

    @Test(arguments: [UInt64(8), 1 << 41, VMXMachine.Place.vmcs, 0x7_0000])
    func invalidLinkPointersHaveTheirQualification(_ pointer: UInt64) throws {
        let vmx = try VMXMachine()
        vmx[.vmcsLinkPointer] = pointer
        #expect(try vmx.launch() == .exit(Self.invalid))
        #expect(vmx[.exitQualification] == 4)
    }

    @Test func reservedBitsOfPDPTEsHaveTheirQualification() throws {
        let vmx = try VMXMachine(guest: .protected)
        vmx[.guestCR0] |= CR0.PG
        vmx[.guestPDPTE1] = 0x1000 | 3
        #expect(try vmx.launch(bits: 32) == .exit(Self.invalid))
        #expect(vmx[.exitQualification] == 2)
    }

    @Test func entriesThatFailDoNotLaunchNorSave() throws {
        let vmx = try VMXMachine()
        vmx[.guestRFLAGS] = 0
        vmx[.guestRSP] = 0x1234
        #expect(try vmx.launch() == .exit(Self.invalid))
        #expect(vmx[.guestRSP] == 0x1234)
        vmx[.guestRFLAGS] = RFLAGS.fixed
        #expect(try vmx.enter("vmresume") == .failed(5))
        #expect(try vmx.launch("cpuid") == .exit(10))
    }

    @Test func anMSRThatCannotBeLoadedFailsTheEntryWithItsNumber() throws {
        let vmx = try VMXMachine()
        vmx[.entryMSRLoadCount] = 2
        vmx[.entryMSRLoadAddress] = VMXMachine.Place.msrArea
        vmx.machine.write(UInt64(0xC000_0102), at: VMXMachine.Place.msrArea)
        vmx.machine.write(UInt64(0x1234), at: VMXMachine.Place.msrArea + 8)
        // IA32_FS_BASE must not be in a list.
        vmx.machine.write(UInt64(0xC000_0100), at: VMXMachine.Place.msrArea + 16)
        #expect(try vmx.launch() == .exit(1 << 31 | 34))
        #expect(vmx[.exitQualification] == 2)
    }
}
