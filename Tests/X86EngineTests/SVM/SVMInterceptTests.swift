import Testing
import X86
import X86Engine

/// An instruction that leaves the guest, and what the VMCB says of it.
struct SVMInterceptCase: Sendable, CustomTestStringConvertible {
    var testDescription: String { source }
    var source: String
    /// The exit code, which is also the intercept's bit.
    var code: UInt64
    var information1: UInt64 = 0
    /// Instructions before the one that exits.
    var before = ""
    var setUp: @Sendable (SVMMachine) -> Void = { _ in }
    var guest = SVMMachine.GuestKind.long
}

/// APM volume 2 section 15.9 and appendix C: instructions that leave a guest by an intercept, and what comes first.
@Suite struct SVMInterceptTests {
    private static let isMove: UInt64 = 1 << 63

    static let cases: [SVMInterceptCase] = [
        // Control registers (tables 15-2 and 15-7)
        SVMInterceptCase(source: "mov rcx, cr0", code: 0x00, information1: isMove | 1),
        SVMInterceptCase(source: "mov rdx, cr2", code: 0x02, information1: isMove | 2),
        SVMInterceptCase(source: "mov r11, cr3", code: 0x03, information1: isMove | 11),
        SVMInterceptCase(source: "mov rbx, cr4", code: 0x04, information1: isMove | 3),
        SVMInterceptCase(source: "mov r8, cr8", code: 0x08, information1: isMove | 8),
        SVMInterceptCase(source: "smsw ax", code: 0x00),
        SVMInterceptCase(source: "mov cr0, rcx", code: 0x10, information1: isMove | 1, before: "mov rcx, cr0"),
        SVMInterceptCase(source: "mov cr2, rsi", code: 0x12, information1: isMove | 6),
        SVMInterceptCase(source: "mov cr3, r9", code: 0x13, information1: isMove | 9, before: "mov r9, cr3"),
        SVMInterceptCase(source: "mov cr4, rax", code: 0x14, information1: isMove, before: "mov rax, cr4"),
        SVMInterceptCase(source: "mov cr8, rdi", code: 0x18, information1: isMove | 7, before: "mov edi, 3"),
        SVMInterceptCase(source: "clts", code: 0x10),
        SVMInterceptCase(source: "lmsw ax", code: 0x10),
        SVMInterceptCase(
            source: "mov cr0, rcx", code: 0x65, information1: isMove | 1, before: "mov rcx, cr0\nbtc rcx, 18"),
        SVMInterceptCase(source: "lmsw ax", code: 0x65, before: "smsw ax"),
        // Debug registers (table 15-3)
        SVMInterceptCase(source: "mov rcx, dr0", code: 0x20, information1: 1),
        SVMInterceptCase(source: "mov r10, dr7", code: 0x27, information1: 10),
        SVMInterceptCase(source: "mov dr3, rbx", code: 0x33, information1: 3),
        SVMInterceptCase(source: "mov dr6, rdx", code: 0x36, information1: 2, before: "xor edx, edx"),
        // Descriptor tables
        SVMInterceptCase(source: "sidt [0x60000]", code: 0x66),
        SVMInterceptCase(source: "sgdt [0x60000]", code: 0x67),
        SVMInterceptCase(source: "sldt [0x60000]", code: 0x68),
        SVMInterceptCase(source: "str ax", code: 0x69),
        SVMInterceptCase(source: "lidt [0x60000]", code: 0x6A),
        SVMInterceptCase(source: "lgdt [0x60000]", code: 0x6B),
        SVMInterceptCase(source: "lldt ax", code: 0x6C),
        SVMInterceptCase(source: "ltr ax", code: 0x6D),
        // Vector 3
        SVMInterceptCase(source: "rdtsc", code: 0x6E),
        SVMInterceptCase(source: "rdpmc", code: 0x6F),
        SVMInterceptCase(source: "pushfq", code: 0x70),
        SVMInterceptCase(source: "popfq", code: 0x71, before: "push 2"),
        SVMInterceptCase(source: "cpuid", code: 0x72),
        SVMInterceptCase(source: "rsm", code: 0x73),
        SVMInterceptCase(source: "iretq", code: 0x74),
        SVMInterceptCase(source: "int 0x81", code: 0x75, information1: 0x81),
        SVMInterceptCase(source: "invd", code: 0x76),
        SVMInterceptCase(source: "pause", code: 0x77),
        SVMInterceptCase(source: "hlt", code: 0x78),
        SVMInterceptCase(
            source: "invlpg [rbx+0x10]", code: 0x79, information1: 0x7010, before: "mov ebx, 0x7000"),
        SVMInterceptCase(source: "invlpga", code: 0x7A),
        SVMInterceptCase(source: "rdmsr", code: 0x7C, information1: 0, before: "mov ecx, 0x40000000"),
        SVMInterceptCase(source: "wrmsr", code: 0x7C, information1: 1, before: "mov ecx, 0x40000000"),
        // Vector 4
        SVMInterceptCase(source: "vmrun", code: 0x80),
        SVMInterceptCase(source: "vmmcall", code: 0x81),
        SVMInterceptCase(source: "vmload", code: 0x82),
        SVMInterceptCase(source: "vmsave", code: 0x83),
        SVMInterceptCase(source: "stgi", code: 0x84),
        SVMInterceptCase(source: "clgi", code: 0x85),
        SVMInterceptCase(source: "rdtscp", code: 0x87),
        SVMInterceptCase(source: "int1", code: 0x88),
        SVMInterceptCase(source: "wbinvd", code: 0x89),
        SVMInterceptCase(source: "wbnoinvd", code: 0x89),
        SVMInterceptCase(source: "xsetbv", code: 0x8D, setUp: { $0[.cr4] |= CR4.OSXSAVE }),
        // Vector 5
        SVMInterceptCase(source: "invpcid rdx, [rsi]", code: 0xA2),
        // What the intercept precedes (table 15-7)
        SVMInterceptCase(source: "pushfq", code: 0x70, before: "mov rsp, 0x0000800000000000"),
        SVMInterceptCase(source: "iretq", code: 0x74, before: "mov rsp, 0x0000800000000000"),
        SVMInterceptCase(source: "int 0x20", code: 0x75, information1: 0x20, guest: .user),
        SVMInterceptCase(source: "vmmcall", code: 0x81, guest: .user),
        SVMInterceptCase(source: "sgdt [rax]", code: 0x67, before: "mov rax, 0x0000100000000000"),
        SVMInterceptCase(source: "lmsw [rax]", code: 0x10, before: "mov rax, 0x0000100000000000"),
        SVMInterceptCase(source: "smsw [rax]", code: 0x00, before: "mov rax, 0x0000100000000000"),
        SVMInterceptCase(
            source: "xsetbv", code: 0x8D, before: "mov ecx, 5", setUp: { $0[.cr4] |= CR4.OSXSAVE }, guest: .user),
    ]

    @Test(arguments: cases)
    func interceptedInstructionsLeaveTheGuest(_ test: SVMInterceptCase) throws {
        let svm = try SVMMachine(guest: test.guest)
        test.setUp(svm)
        svm.intercept(test.code)
        let prefix = try Assembler(mode: .bits64, origin: SVMMachine.Place.guestCode).assemble(test.before).bytes.count
        let length = try Assembler(mode: .bits64, origin: 0).assemble(test.source).bytes.count
        #expect(try svm.launch(test.before + "\n" + test.source + "\nhlt") == .exit(test.code))
        #expect(svm[.exitInformation1] == test.information1)
        #expect(svm[.rip] == SVMMachine.Place.guestCode + UInt64(prefix))
        #expect(svm[.nextRIP] == SVMMachine.Place.guestCode + UInt64(prefix + length))
        #expect(svm[.exitInterruptInformation] == 0)
        #expect(svm[.instructionByteCount] == 0)
    }

    @Test(arguments: cases.filter { !["vmmcall", "rsm", "vmrun", "invlpga", "lldt ax", "ltr ax"].contains($0.source) })
    func withoutTheInterceptTheyStay(_ test: SVMInterceptCase) throws {
        guard test.guest == .long, !test.before.contains("rsp"), !test.before.contains("0x0000100000000000") else {
            return
        }
        let svm = try SVMMachine(guest: test.guest)
        test.setUp(svm)
        // What follows the instruction, a fault, or the handler it enters is all that leaves the guest.
        for vector in UInt64(0)..<32 where vector != 2 { svm.intercept(0x40 + vector) }
        svm.intercept(0x78)
        svm.machine.write([0x0F, 0x0B], at: TestMachine.handler(1))
        svm.machine.write([0x0F, 0x0B], at: TestMachine.handler(0x81))
        let outcome = try svm.launch(test.before + "\n" + test.source + "\nud2")
        let allowed: [SVMMachine.Outcome] = [.exit(0x46), .exit(0x4D), .exit(0x78)]
        #expect(allowed.contains(outcome))
    }

    /// Instructions at CPL 3 whose #GP comes before the intercept.
    static let privileged: [(source: String, code: UInt64)] = [
        ("mov rcx, cr0", 0x00), ("mov cr0, rcx", 0x10), ("mov cr3, rcx", 0x13), ("clts", 0x10), ("lmsw ax", 0x10),
        ("mov rcx, dr0", 0x20), ("mov dr0, rcx", 0x30), ("lidt [0x60000]", 0x6A), ("lgdt [0x60000]", 0x6B),
        ("lldt ax", 0x6C), ("ltr ax", 0x6D), ("rdpmc", 0x6F), ("invd", 0x76), ("hlt", 0x78), ("invlpg [rbx]", 0x79),
        ("invlpga", 0x7A), ("rdmsr", 0x7C), ("wrmsr", 0x7C), ("vmrun", 0x80), ("vmload", 0x82), ("vmsave", 0x83),
        ("stgi", 0x84), ("clgi", 0x85), ("wbinvd", 0x89), ("invpcid rdx, [rsi]", 0xA2), ("in al, 0x60", 0x7B),
    ]

    @Test(arguments: privileged.map { $0.source })
    func privilegeIsCheckedBeforeTheIntercept(_ source: String) throws {
        let svm = try SVMMachine(guest: .user)
        for entry in Self.privileged { svm.intercept(entry.code) }
        svm.intercept(0x4D)
        svm.machine.write([UInt8](repeating: 0xFF, count: 0x2001), at: SVMMachine.Place.ioMap)
        #expect(try svm.launch(source) == .exit(0x4D))
        #expect(svm[.rip] == SVMMachine.Place.guestCode)
        #expect(svm[.cpl] == 3)
    }

    /// Values and conditions whose fault comes before the intercept.
    static let faultsFirst: [SVMInterceptCase] = [
        // #GP for illegal values of control registers
        SVMInterceptCase(source: "mov cr0, rcx", code: 0x10, before: "mov rcx, cr0\nbts rcx, 32"),
        SVMInterceptCase(source: "mov cr0, rcx", code: 0x65, before: "mov rcx, cr0\nbts rcx, 29"),
        SVMInterceptCase(source: "mov cr3, rcx", code: 0x13, before: "mov rcx, 0x0010000000000000"),
        SVMInterceptCase(source: "mov cr4, rcx", code: 0x14, before: "mov rcx, cr4\nbts rcx, 31"),
        SVMInterceptCase(source: "mov cr8, rcx", code: 0x18, before: "mov ecx, 16"),
        SVMInterceptCase(source: "mov dr7, rcx", code: 0x37, before: "mov rcx, 0x100000000"),
        // CR4.UMIP and CR4.TSD at CPL 3
        SVMInterceptCase(source: "sgdt [0x60000]", code: 0x67, setUp: { $0[.cr4] |= CR4.UMIP }, guest: .user),
        SVMInterceptCase(source: "str ax", code: 0x69, setUp: { $0[.cr4] |= CR4.UMIP }, guest: .user),
        SVMInterceptCase(source: "smsw ax", code: 0x00, setUp: { $0[.cr4] |= CR4.UMIP }, guest: .user),
        SVMInterceptCase(source: "rdtsc", code: 0x6E, setUp: { $0[.cr4] |= CR4.TSD }, guest: .user),
        SVMInterceptCase(source: "rdtscp", code: 0x87, setUp: { $0[.cr4] |= CR4.TSD }, guest: .user),
    ]

    @Test(arguments: faultsFirst)
    func simpleFaultsComeBeforeTheIntercept(_ test: SVMInterceptCase) throws {
        let svm = try SVMMachine(guest: test.guest)
        test.setUp(svm)
        svm.intercept(test.code)
        svm.intercept(0x4D)
        #expect(try svm.launch(test.before + "\n" + test.source) == .exit(0x4D))
    }

    @Test func undefinedInstructionsAreNotIntercepted() throws {
        for (source, code): (String, UInt64) in [
            ("skinit", 0x86), ("monitor", 0x8A), ("mwait", 0x8B), ("xsetbv", 0x8D), ("mov rax, cr1", 0x01),
        ] {
            let svm = try SVMMachine()
            svm.intercept(code)
            svm.intercept(0x46)
            // The assembler writes no access to CR1.
            let bytes: [UInt8] =
                source == "mov rax, cr1"
                ? [0x0F, 0x20, 0xC8]
                : source == "skinit"
                    ? [0x0F, 0x01, 0xDE]
                    : try Assembler(mode: .bits64, origin: 0).assemble(source).bytes
            svm.machine.write(bytes, at: SVMMachine.Place.guestCode)
            #expect(try svm.enter() == .exit(0x46), "\(source)")
        }
    }

    @Test func generalDetectComesBeforeDebugRegisterIntercepts() throws {
        let svm = try SVMMachine()
        svm[.dr7] = 0x400 | 1 << 13
        svm.intercept(0x20)
        svm.intercept(0x41)
        #expect(try svm.launch("mov rax, dr0") == .exit(0x41))
        // #DB has written DR6 and DR7 (section 15.12.2).
        #expect(svm[.dr6] & 1 << 13 != 0)
        #expect(svm[.dr7] & 1 << 13 == 0)
    }

    @Test func theSelectiveInterceptIgnoresTaskSwitchedAndMonitorCoprocessor() throws {
        let svm = try SVMMachine()
        svm.intercept(0x65)
        svm.intercept(0x78)
        #expect(try svm.launch("clts\nmov rax, cr0\nxor rax, 10\nmov cr0, rax\nhlt") == .exit(0x78))
        #expect(svm[.cr0] & 10 == 10)
    }

    @Test func theNonSelectiveInterceptTakesPriority() throws {
        let svm = try SVMMachine()
        svm.intercept(0x65)
        svm.intercept(0x10)
        #expect(try svm.launch("mov rax, cr0\nbtc rax, 18\nmov cr0, rax") == .exit(0x10))
    }

    // MARK: Ports (section 15.10)

    static let ports: [SVMInterceptCase] = [
        SVMInterceptCase(source: "in al, 0x60", code: 0x7B, information1: 0x60 << 16 | 1 << 9 | 1 << 4 | 1),
        SVMInterceptCase(
            source: "out dx, ax", code: 0x7B, information1: 0x3F8 << 16 | 1 << 9 | 1 << 5, before: "mov edx, 0x3f8"),
        SVMInterceptCase(
            source: "in eax, dx", code: 0x7B, information1: 0x3F8 << 16 | 1 << 9 | 1 << 6 | 1,
            before: "mov edx, 0x3f8"),
        SVMInterceptCase(
            source: "rep outsb", code: 0x7B, information1: 0x80 << 16 | 3 << 10 | 1 << 9 | 1 << 4 | 1 << 3 | 1 << 2,
            before: "mov edx, 0x80\nmov ecx, 2"),
        SVMInterceptCase(
            source: "fs outsw", code: 0x7B, information1: 0x80 << 16 | 4 << 10 | 1 << 9 | 1 << 5 | 1 << 2,
            before: "mov edx, 0x80"),
        SVMInterceptCase(
            source: "a32 insd", code: 0x7B, information1: 0x80 << 16 | 1 << 8 | 1 << 6 | 1 << 2 | 1,
            before: "mov edx, 0x80"),
    ]

    @Test(arguments: ports)
    func interceptedPortsAreDescribed(_ test: SVMInterceptCase) throws {
        let svm = try SVMMachine()
        svm.intercept(0x7B)
        svm.machine.write([UInt8](repeating: 0xFF, count: 0x2001), at: SVMMachine.Place.ioMap)
        #expect(try svm.launch(test.before + "\n" + test.source + "\nhlt") == .exit(0x7B))
        #expect(svm[.exitInformation1] == test.information1)
        #expect(svm[.exitInformation2] == svm[.nextRIP])
        #expect(svm[.nextRIP] > svm[.rip])
    }

    @Test func theIOMapChoosesPorts() throws {
        for (code, intercepted) in [
            ("in al, 0x61", false), ("in al, 0x62", true), ("in ax, 0x61", true), ("in eax, 0x5f", true),
            ("in eax, 0x5e", false),
        ] {
            let svm = try SVMMachine()
            svm.intercept(0x7B)
            svm.intercept(0x78)
            svm.machine.write(UInt8(1 << 2), at: SVMMachine.Place.ioMap + 0x62 / 8)
            #expect(try svm.launch(code + "\nhlt") == .exit(intercepted ? 0x7B : 0x78), "\(code)")
        }
    }

    @Test func accessesAcrossTheLastPortLookAtTheBitsBehindIt() throws {
        let svm = try SVMMachine()
        svm.intercept(0x7B)
        svm.machine.write(UInt8(1), at: SVMMachine.Place.ioMap + 0x2000)
        #expect(try svm.launch("mov edx, 0xffff\nin ax, dx") == .exit(0x7B))
    }

    @Test func theIOPermissionBitmapOfTheTaskComesFirst() throws {
        let svm = try SVMMachine(guest: .user)
        svm.intercept(0x7B)
        svm.intercept(0x4D)
        svm.machine.write([UInt8](repeating: 0xFF, count: 0x2001), at: SVMMachine.Place.ioMap)
        svm.machine.write(UInt8(0), at: TestMachine.Layout.tss + 0x68 + 0x60 / 8)
        #expect(try svm.launch("in al, 0x70") == .exit(0x4D))
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.launch("in al, 0x60") == .exit(0x7B))
    }

    // MARK: MSRs (section 15.11)

    @Test func theMSRMapChoosesRegistersAndDirections() throws {
        // Byte offset and bit of an MSR's read permission; the write permission is one above.
        let registers: [(index: UInt32, byte: UInt64, bit: UInt64)] = [
            (0x10, 0x10 * 2 / 8, 0x10 * 2 % 8), (0xC000_0082, 0x800 + 0x82 * 2 / 8, 0x82 * 2 % 8),
            (0xC001_0114, 0x1000 + 0x114 * 2 / 8, 0x114 * 2 % 8),
        ]
        for register in registers {
            for isWrite in [false, true] {
                let svm = try SVMMachine()
                svm.intercept(0x7C)
                svm.intercept(0x78)
                let bit = register.bit + (isWrite ? 1 : 0)
                svm.machine.write(UInt8(1 << bit), at: SVMMachine.Place.msrMap + register.byte)
                let code = "mov ecx, \(register.index)\nrdmsr\nwrmsr\nhlt"
                #expect(try svm.launch(code) == .exit(0x7C))
                #expect(svm[.exitInformation1] == (isWrite ? 1 : 0))
                svm.machine.write(UInt8(0), at: SVMMachine.Place.msrMap + register.byte)
                #expect(try svm.enter() == .exit(0x78))
            }
        }
    }

    @Test func registersOutsideTheMapAlwaysLeave() throws {
        for index: UInt32 in [0x2000, 0xBFFF_FFFF, 0xC000_2000, 0xC001_2000, 0xFFFF_FFFF] {
            let svm = try SVMMachine()
            svm.intercept(0x7C)
            #expect(try svm.launch("mov ecx, \(index)\nrdmsr") == .exit(0x7C))
        }
    }

    // MARK: PAUSE (section 15.14.4)

    @Test func thePauseFilterCountsPauses() throws {
        let svm = try SVMMachine()
        svm.intercept(0x77)
        svm[.pauseFilterCount] = 3
        #expect(try svm.launch("pause\npause\npause\npause\nhlt") == .exit(0x77))
        // The fourth: the counter has gone below zero.
        #expect(svm[.rip] == SVMMachine.Place.guestCode + 6)
        #expect(svm[.pauseFilterCount] == 3)
    }

    @Test func thePauseFilterThresholdStartsOver() throws {
        let svm = try SVMMachine()
        svm.intercept(0x77)
        svm.intercept(0x78)
        svm[.pauseFilterCount] = 2
        svm[.pauseFilterThreshold] = 5
        let far = "pause\npause\n" + String(repeating: "nop\n", count: 10)
        #expect(try svm.launch(far + far + far + "hlt") == .exit(0x78))
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.launch(far + "pause\npause\npause\npause\nhlt") == .exit(0x77))
    }
}
