import Testing
import X86
import X86Engine

/// An instruction that leaves the guest, and what the VMCS says of it.
struct InstructionExit: Sendable, CustomTestStringConvertible {
    var testDescription: String { source }
    var source: String
    var reason: UInt64
    var qualification: UInt64 = 0
    var information: UInt64?
    /// Instructions before the one that exits.
    var before = ""
    var setUp: @Sendable (VMXMachine) -> Void = { _ in }
}

/// SDM volume 3 section 26.1 and 28.2: instructions that exit, always or by a control.
@Suite struct VMXInstructionExitTests {
    static let exits: [InstructionExit] = [
        // Unconditional (section 26.1.2)
        InstructionExit(source: "cpuid", reason: 10),
        InstructionExit(source: "invd", reason: 13),
        InstructionExit(source: "xsetbv", reason: 55, setUp: { $0[.guestCR4] |= CR4.OSXSAVE }),
        InstructionExit(source: "vmcall", reason: 18),
        InstructionExit(source: "vmlaunch", reason: 20),
        InstructionExit(source: "vmresume", reason: 24),
        InstructionExit(source: "vmxoff", reason: 26),
        // Displacement in the qualification; scaling, address size, segment, index and base in the information.
        InstructionExit(
            source: "vmclear [rax+rcx*4+0x12345]", reason: 19, qualification: 0x12345,
            information: 2 | 2 << 7 | 3 << 15 | 1 << 18 | 0 << 23),
        InstructionExit(
            source: "vmptrld [rbx-8]", reason: 21, qualification: UInt64(bitPattern: -8),
            information: 2 << 7 | 3 << 15 | 1 << 22 | 3 << 23),
        InstructionExit(
            source: "vmptrst [fs:0x10]", reason: 22, qualification: 0x10,
            information: 2 << 7 | 4 << 15 | 1 << 22 | 1 << 27),
        InstructionExit(
            source: "vmxon [rsp]", reason: 27, information: 2 << 7 | 2 << 15 | 1 << 22 | 4 << 23),
        InstructionExit(
            source: "vmread rdx, r9", reason: 23, information: 2 << 3 | 1 << 10 | 9 << 28),
        InstructionExit(
            source: "vmwrite rsi, [r10+r11*8]", reason: 25,
            information: 3 | 2 << 7 | 3 << 15 | 11 << 18 | 10 << 23 | 6 << 28),
        InstructionExit(
            source: "invept rcx, [rdi+4]", reason: 50, qualification: 4,
            information: 2 << 7 | 3 << 15 | 1 << 22 | 7 << 23 | 1 << 28),
        InstructionExit(
            source: "invvpid r8, [rdi]", reason: 53, information: 2 << 7 | 3 << 15 | 1 << 22 | 7 << 23 | 8 << 28),
        // By control (section 26.1.3)
        InstructionExit(source: "hlt", reason: 12, setUp: { $0.add(PrimaryControls.hltExiting) }),
        InstructionExit(
            source: "invlpg [rbx+0x10]", reason: 14, qualification: 0x7010, before: "mov rbx, 0x7000",
            setUp: { $0.add(PrimaryControls.invlpgExiting) }),
        InstructionExit(source: "rdpmc", reason: 15, setUp: { $0.add(PrimaryControls.rdpmcExiting) }),
        InstructionExit(source: "rdtsc", reason: 16, setUp: { $0.add(PrimaryControls.rdtscExiting) }),
        InstructionExit(
            source: "rdtscp", reason: 51,
            setUp: {
                $0.add(PrimaryControls.rdtscExiting)
                $0.add(SecondaryControls.enableRDTSCP)
            }),
        InstructionExit(source: "pause", reason: 40, setUp: { $0.add(PrimaryControls.pauseExiting) }),
        InstructionExit(source: "wbinvd", reason: 54, setUp: { $0.add(SecondaryControls.wbinvdExiting) }),
        InstructionExit(
            source: "rdrand r9d", reason: 57, information: 9 << 3 | 1 << 11,
            setUp: { $0.add(SecondaryControls.rdrandExiting) }),
        InstructionExit(
            source: "rdseed rcx", reason: 61, information: 1 << 3 | 2 << 11,
            setUp: { $0.add(SecondaryControls.rdseedExiting) }),
        InstructionExit(
            source: "invpcid rdx, [rsi]", reason: 58, information: 2 << 7 | 3 << 15 | 1 << 22 | 6 << 23 | 2 << 28,
            setUp: {
                $0.add(PrimaryControls.invlpgExiting)
                $0.add(SecondaryControls.enableINVPCID)
            }),
        InstructionExit(
            source: "lgdt [rax]", reason: 46, information: 2 << 7 | 1 << 11 | 3 << 15 | 1 << 22 | 2 << 28,
            setUp: { $0.add(SecondaryControls.descriptorTableExiting) }),
        InstructionExit(
            source: "sidt [rax+2]", reason: 46, qualification: 2,
            information: 2 << 7 | 1 << 11 | 3 << 15 | 1 << 22 | 1 << 28,
            setUp: { $0.add(SecondaryControls.descriptorTableExiting) }),
        InstructionExit(
            source: "ltr cx", reason: 47, information: 1 << 3 | 1 << 10 | 3 << 28,
            setUp: { $0.add(SecondaryControls.descriptorTableExiting) }),
        InstructionExit(
            source: "sldt [rbx]", reason: 47, information: 2 << 7 | 3 << 15 | 1 << 22 | 3 << 23,
            setUp: { $0.add(SecondaryControls.descriptorTableExiting) }),
        // MSRs without bitmaps
        InstructionExit(source: "rdmsr", reason: 31),
        InstructionExit(source: "wrmsr", reason: 32),
        // Ports (table 28-5)
        InstructionExit(
            source: "in al, 0x60", reason: 30, qualification: 0 | 1 << 3 | 1 << 6 | 0x60 << 16,
            setUp: { $0.add(PrimaryControls.unconditionalIOExiting) }),
        InstructionExit(
            source: "out dx, eax", reason: 30, qualification: 3 | 0x3F8 << 16, before: "mov dx, 0x3f8",
            setUp: { $0.add(PrimaryControls.unconditionalIOExiting) }),
        InstructionExit(
            source: "rep outsb", reason: 30, qualification: 1 << 4 | 1 << 5 | 0x80 << 16, information: 2 << 7 | 3 << 15,
            before: "mov dx, 0x80\nmov ecx, 2", setUp: { $0.add(PrimaryControls.unconditionalIOExiting) }),
        // Control registers (table 28-3)
        InstructionExit(
            source: "mov cr0, rcx", reason: 28, qualification: 1 << 8, before: "mov rcx, cr0\nbtc rcx, 18",
            setUp: {
                $0[.cr0Mask] = CR0.AM
            }),
        InstructionExit(
            source: "mov cr4, r11", reason: 28, qualification: 4 | 11 << 8, before: "xor r11d, r11d",
            setUp: {
                $0[.cr4Mask] = CR4.VMXE
                $0[.cr4Shadow] = CR4.VMXE
            }),
        InstructionExit(
            source: "mov cr3, rax", reason: 28, qualification: 3, setUp: { $0.add(PrimaryControls.cr3LoadExiting) }),
        InstructionExit(
            source: "mov rdi, cr3", reason: 28, qualification: 3 | 1 << 4 | 7 << 8,
            setUp: { $0.add(PrimaryControls.cr3StoreExiting) }),
        InstructionExit(
            source: "mov cr8, rdx", reason: 28, qualification: 8 | 2 << 8,
            setUp: { $0.add(PrimaryControls.cr8LoadExiting) }),
        InstructionExit(
            source: "mov rbp, cr8", reason: 28, qualification: 8 | 1 << 4 | 5 << 8,
            setUp: { $0.add(PrimaryControls.cr8StoreExiting) }),
        InstructionExit(
            source: "clts", reason: 28, qualification: 2 << 4,
            setUp: {
                $0[.cr0Mask] = CR0.TS
                $0[.cr0Shadow] = CR0.TS
            }),
        InstructionExit(
            source: "lmsw cx", reason: 28, qualification: 3 << 4 | 0x9 << 16, before: "mov ecx, 9",
            setUp: {
                $0[.cr0Mask] = CR0.TS
                $0[.cr0Shadow] = 0
            }),
        InstructionExit(
            source: "mov dr7, rsi", reason: 29, qualification: 7 | 6 << 8,
            setUp: { $0.add(PrimaryControls.movDRExiting) }),
        InstructionExit(
            source: "mov r12, dr3", reason: 29, qualification: 3 | 1 << 4 | 12 << 8,
            setUp: { $0.add(PrimaryControls.movDRExiting) }),
    ]

    @Test(arguments: exits)
    func instructionExitsWithItsInformation(_ exit: InstructionExit) throws {
        let vmx = try VMXMachine()
        exit.setUp(vmx)
        let start = VMXMachine.Place.guestCode
        let before = try Assembler(mode: .bits64, origin: start).assemble(exit.before).bytes.count
        let length = try Assembler(mode: .bits64, origin: start).assemble(exit.source).bytes.count
        #expect(try vmx.launch(exit.before + "\n" + exit.source) == .exit(exit.reason))
        #expect(vmx[.exitQualification] == exit.qualification)
        #expect(vmx[.exitInstructionLength] == UInt64(length))
        #expect(vmx[.guestRIP] == start + UInt64(before))
        #expect(vmx[.exitInterruptionInformation] == 0)
        #expect(vmx[.idtVectoringInformation] == 0)
        if let information = exit.information { #expect(vmx[.exitInstructionInformation] == information) }
    }

    /// Without their controls the same instructions do what they do.
    @Test(arguments: [
        "hlt", "invlpg [rbx]\nhlt", "rdtsc\nhlt", "pause\nhlt", "wbinvd\nhlt", "rdrand eax\nhlt", "sgdt [rsp-16]\nhlt",
        "mov rax, cr3\nmov cr3, rax\nhlt", "mov rax, cr8\nhlt", "mov rax, dr7\nhlt", "in al, 0x60\nhlt", "clts\nhlt",
    ])
    func withoutItsControlNothingExits(_ source: String) throws {
        let vmx = try VMXMachine()
        vmx.machine.portValues[0x60] = 0xAB
        #expect(try vmx.launch(source) == .other(.halted))
        #expect(vmx.processor.state.pointee.virtualization.isGuest)
        #expect(vmx.machine.state.activity == .halted)
    }

    /// Instructions that a secondary control enables are #UD without it (section 26.3).
    @Test(arguments: ["rdtscp", "rdpid rax", "invpcid rax, [rbx]"])
    func instructionsThatAreNotEnabledAreInvalid(_ source: String) throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 6
        #expect(try vmx.launch(source) == .exit(0))
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0306)
    }

    /// Privilege comes before the exit (section 26.1.1), but not for the instructions of VMX.
    static let privilegeCases: [(String, Bool)] = [
        ("hlt", false), ("rdmsr", false), ("invd", false), ("clts", false), ("vmcall", true), ("cpuid", true),
    ]

    @Test(arguments: privilegeCases)
    func privilegeComesBeforeTheExit(_ source: String, exits: Bool) throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.hltExiting)
        vmx[.cr0Mask] = CR0.TS
        vmx[.cr0Shadow] = CR0.TS
        vmx[.exceptionBitmap] = 1 << 13
        vmx[.guestCS] = UInt64(TestMachine.Selectors.userCode64)
        vmx[.guestSS] = UInt64(TestMachine.Selectors.userData)
        vmx[.guestCSAccessRights] = 0xA0FB
        vmx[.guestSSAccessRights] = 0xC0F3
        let outcome = try vmx.launch(source)
        #expect((outcome == .exit(0)) == !exits)
        if !exits { #expect(vmx[.exitInterruptionInformation] == 0x8000_0B0D) }
    }

    // MARK: Bitmaps and masks

    @Test(arguments: [(UInt64(0x60), true), (0x61, false), (0x9000, true), (0x9001, false), (0x5F, true)])
    func ioBitmapsDecideByEveryPortOfTheAccess(_ port: UInt64, exits: Bool) throws {
        let vmx = try VMXMachine()
        vmx.add([.useIOBitmaps, .unconditionalIOExiting] as PrimaryControls)
        vmx[.ioBitmapA] = VMXMachine.Place.ioBitmapA
        vmx[.ioBitmapB] = VMXMachine.Place.ioBitmapB
        vmx.machine.write(UInt8(1), at: VMXMachine.Place.ioBitmapA + 0x60 / 8)
        vmx.machine.write(UInt8(1), at: VMXMachine.Place.ioBitmapB + 0x1000 / 8)
        let outcome = try vmx.launch("mov dx, \(port)\nin ax, dx\nhlt")
        #expect(outcome == (exits ? .exit(30) : .other(.halted)))
    }

    @Test func portAccessesThatWrapAroundExit() throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.useIOBitmaps)
        vmx[.ioBitmapA] = VMXMachine.Place.ioBitmapA
        vmx[.ioBitmapB] = VMXMachine.Place.ioBitmapB
        #expect(try vmx.launch("mov dx, 0xffff\nin ax, dx") == .exit(30))
    }

    /// Instruction, MSR, byte of the bitmaps whose bit is set, whether the instruction exits.
    static let msrCases: [(String, UInt64, UInt64, Bool)] = [
        ("rdmsr", 0x174, 0x2E, true), ("wrmsr", 0x174, 0x2E, false),
        ("rdmsr", 0xC000_0082, 1024 + 0x10, true), ("wrmsr", 0xC000_0082, 3072 + 0x10, true),
        ("wrmsr", 0x175, 2048 + 0x2E, true), ("rdmsr", 0x175, 2048 + 0x2E, false), ("rdmsr", 0x4000_0000, 0, true),
    ]

    @Test(arguments: msrCases)
    func msrBitmapsDecide(_ instruction: String, _ index: UInt64, _ byte: UInt64, exits: Bool) throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.useMSRBitmaps)
        vmx[.msrBitmaps] = VMXMachine.Place.msrBitmaps
        vmx.machine.write(UInt8(1 << (index & 7)), at: VMXMachine.Place.msrBitmaps + byte)
        let outcome = try vmx.launch("mov ecx, \(index)\nxor eax, eax\nxor edx, edx\n\(instruction)\nhlt")
        let reason: UInt64 = instruction == "rdmsr" ? 31 : 32
        #expect(outcome == (exits ? .exit(reason) : .other(.halted)))
    }

    @Test func maskedBitsReadFromTheShadowAndKeepTheirValue() throws {
        let vmx = try VMXMachine()
        // The guest believes that TS is set and VMXE clear; AM is its own.
        vmx[.cr0Mask] = CR0.TS
        vmx[.cr0Shadow] = CR0.TS
        vmx[.cr4Mask] = CR4.VMXE
        vmx[.cr4Shadow] = 0
        #expect(
            try vmx.launch("mov rbx, cr0\nbts rbx, 18\nmov cr0, rbx\nmov rcx, cr4\nmov cr4, rcx\nsmsw edx\ncpuid")
                == .exit(10))
        let s = vmx.machine.state
        #expect(s.rbx & CR0.TS != 0 && s.rcx & CR4.VMXE == 0 && s.rdx & CR0.TS != 0)
        #expect(vmx[.guestCR0] & CR0.TS == 0 && vmx[.guestCR0] & CR0.AM != 0)
        #expect(vmx[.guestCR4] & CR4.VMXE != 0)
    }

    @Test func cr3TargetsLoadWithoutAnExit() throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.cr3LoadExiting)
        vmx[.cr3TargetCount] = 2
        vmx[.cr3Target1] = TestMachine.Layout.pageTables
        #expect(try vmx.launch("mov rax, \(TestMachine.Layout.pageTables)\nmov cr3, rax\nhlt") == .other(.halted))
    }

    @Test func fixedBitsOfControlRegistersAreGeneralProtection() throws {
        let vmx = try VMXMachine()
        vmx[.exceptionBitmap] = 1 << 13
        // CR0.NE must stay set where the mask leaves it to the guest.
        #expect(try vmx.launch("mov rax, cr0\nbtr rax, 5\nmov cr0, rax") == .exit(0))
        #expect(vmx[.exitInterruptionInformation] == 0x8000_0B0D)
    }

    @Test func pauseLoopsExitOnceTheirWindowIsOver() throws {
        let vmx = try VMXMachine()
        vmx.add(SecondaryControls.pauseLoopExiting)
        vmx[.pauseLoopGap] = 16
        vmx[.pauseLoopWindow] = 100
        #expect(try vmx.launch("again: inc ebx\npause\njmp again") == .exit(40))
        // Three counts a round: the first PAUSE beyond 100 leaves.
        #expect(vmx.machine.state.rbx & 0xFFFF_FFFF == 35)
    }

    @Test func timeStampCounterIsOffsetAndScaled() throws {
        let vmx = try VMXMachine()
        vmx.add(PrimaryControls.useTSCOffsetting)
        vmx.add(SecondaryControls.useTSCScaling)
        vmx[.tscOffset] = 0x1_0000_0000
        vmx[.tscMultiplier] = 2 << 48
        #expect(try vmx.launch("rdtsc\nmov ebx, eax\nmov ecx, edx\nvmcall") == .exit(18))
        let s = vmx.machine.state
        // The host's counter has moved by RDTSC, two moves and the host's HLT since it was read.
        let host = vmx.processor.timeStampCounter
        let guest = s.rbx & 0xFFFF_FFFF | s.rcx << 32
        #expect(guest >= 0x1_0000_0000 && guest - 0x1_0000_0000 == (host - 4) * 2)
    }
}
