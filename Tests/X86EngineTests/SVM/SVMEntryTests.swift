import Testing
import X86
import X86Engine

/// A VMCB that VMRUN must refuse.
struct SVMDefect: Sendable, CustomTestStringConvertible {
    var testDescription: String { name }
    var name: String
    var guest = SVMMachine.GuestKind.long
    var make: @Sendable (SVMMachine) -> Void
}

/// APM volume 2 section 15.5.1: what VMRUN loads, and the consistency checks.
@Suite struct SVMEntryTests {
    static let defects: [SVMDefect] = [
        // Section 15.5.1, "Canonicalization and Consistency Checks", in its order
        SVMDefect(name: "EFER.SVME is zero") { $0[.efer] &= ~EFER.SVME },
        SVMDefect(name: "CR0.CD is zero and CR0.NW is set") { $0[.cr0] |= CR0.NW },
        SVMDefect(name: "CR0[63:32] are not zero") { $0[.cr0] |= 1 << 32 },
        SVMDefect(name: "CR0[63:32] are not zero (63)") { $0[.cr0] |= 1 << 63 },
        SVMDefect(name: "an MBZ bit of CR3 is set") { $0[.cr3] |= 1 << 52 },
        SVMDefect(name: "CR3 beyond the physical-address width") { $0[.cr3] |= 1 << 41 },
        SVMDefect(name: "an MBZ bit of CR4 is set") { $0[.cr4] |= 1 << 13 },
        SVMDefect(name: "an MBZ bit of CR4 is set (63)") { $0[.cr4] |= 1 << 63 },
        SVMDefect(name: "DR6[63:32] are not zero") { $0[.dr6] |= 1 << 32 },
        SVMDefect(name: "DR7[63:32] are not zero") { $0[.dr7] |= 1 << 40 },
        SVMDefect(name: "an MBZ bit of EFER is set") { $0[.efer] |= 1 << 1 },
        SVMDefect(name: "an MBZ bit of EFER is set (63)") { $0[.efer] |= 1 << 63 },
        SVMDefect(name: "EFER.LME and CR0.PG are set and CR4.PAE is zero") { $0[.cr4] &= ~CR4.PAE },
        SVMDefect(name: "EFER.LME and CR0.PG are set and CR0.PE is zero") { $0[.cr0] &= ~CR0.PE },
        SVMDefect(name: "EFER.LME, CR0.PG, CR4.PAE, CS.L and CS.D are set") { $0[.csAttributes] |= 0x400 },
        SVMDefect(name: "the VMRUN intercept is clear") { $0[.secondInstructionIntercepts] = 0 },
        SVMDefect(name: "the MSR map ends beyond the address width") { $0[.msrPermissionsMap] = (1 << 40) - 0x1000 },
        SVMDefect(name: "the MSR map lies beyond the address width") { $0[.msrPermissionsMap] = 1 << 45 },
        SVMDefect(name: "the MSR map wraps around") { $0[.msrPermissionsMap] = .max },
        SVMDefect(name: "the I/O map ends beyond the address width") { $0[.ioPermissionsMap] = (1 << 40) - 0x2000 },
        SVMDefect(name: "the I/O map wraps around") { $0[.ioPermissionsMap] = .max - 0x1000 },
        SVMDefect(name: "ASID is zero") { $0[.guestASID] = 0 },
        // Section 15.20
        SVMDefect(name: "event of reserved type 1") { $0[.eventInjection] = 1 << 31 | 1 << 8 },
        SVMDefect(name: "event of reserved type 5") { $0[.eventInjection] = 1 << 31 | 5 << 8 | 3 },
        SVMDefect(name: "event of reserved type 6") { $0[.eventInjection] = 1 << 31 | 6 << 8 | 3 },
        SVMDefect(name: "event of reserved type 7") { $0[.eventInjection] = 1 << 31 | 7 << 8 | 3 },
        SVMDefect(name: "exception 2") { $0[.eventInjection] = 1 << 31 | 3 << 8 | 2 },
        SVMDefect(name: "exception 32") { $0[.eventInjection] = 1 << 31 | 3 << 8 | 32 },
        SVMDefect(name: "exception 255") { $0[.eventInjection] = 1 << 31 | 3 << 8 | 255 },
        SVMDefect(name: "exception 15") { $0[.eventInjection] = 1 << 31 | 3 << 8 | 15 },
        SVMDefect(name: "#BR in 64-bit mode") { $0[.eventInjection] = 1 << 31 | 3 << 8 | 5 },
        SVMDefect(name: "#OF in 64-bit mode") { $0[.eventInjection] = 1 << 31 | 3 << 8 | 4 },
        // Section 15.25.4
        SVMDefect(name: "an MBZ bit of nCR3 is set") {
            $0.useNestedPaging()
            $0[.nestedCR3] |= 1 << 52
        },
        SVMDefect(name: "G_PAT holds a reserved type") {
            $0.useNestedPaging()
            $0[.guestPAT] = 2
        },
        SVMDefect(name: "G_PAT has a reserved bit") {
            $0.useNestedPaging()
            $0[.guestPAT] |= 1 << 11
        },
        // Section 15.5.1: PDPEs with nested paging off
        SVMDefect(name: "a PDPE has a reserved bit") {
            $0[.efer] = EFER.SVME
            $0[.csAttributes] = 0xC9B
            $0[.cr3] = 0x6_0000
            $0.machine.write(UInt64(0x6_1000 | 3), at: 0x6_0000)
        },
    ]

    @Test(arguments: defects)
    func invalidStateIsRefused(_ defect: SVMDefect) throws {
        let svm = try SVMMachine(guest: defect.guest)
        svm.intercept(0x78)
        defect.make(svm)
        let before = svm.machine.read(SVMMachine.Place.vmcb + 0x570, as: UInt64.self)
        #expect(try svm.launch("hlt") == SVMMachine.invalid)
        // Nothing of the guest has run, and the host goes on with GIF clear.
        #expect(svm[.rip] == SVMMachine.Place.guestCode)
        #expect(svm[.rflags] == before)
        #expect(!svm.machine.state.virtualization.svm.globalInterruptFlag)
        #expect(svm.machine.state.rax == SVMMachine.Place.vmcb)
    }

    @Test func theVMCBsOfTheTestsAreValidOtherwise() throws {
        for guest in [SVMMachine.GuestKind.long, .user, .compatibility, .protected, .real] {
            let svm = try SVMMachine(guest: guest)
            svm.intercept(0x72)
            let bits = guest == .real ? 16 : guest == .long || guest == .user ? 64 : 32
            #expect(try svm.launch("cpuid", bits: bits) == .exit(0x72), "\(guest)")
        }
    }

    @Test func nestedPagingNeedsAHostWithPaging() throws {
        let svm = try SVMMachine(guest: .protected)
        svm.useNestedPaging()
        // A 32-bit host without paging.
        svm.machine.prepare(.protected)
        svm.machine.state.efer = EFER.SVME
        try svm.machine.load("vmrun\nhlt")
        svm.machine.state.rax = SVMMachine.Place.vmcb
        #expect(svm.machine.run() == .halted)
        #expect(svm[.exitCode] == .max)
    }

    @Test func guestStateIsLoaded() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.rax] = 0x1234_5678_9ABC
        svm[.cr2] = 0xDEAD_0000
        svm[.dr6] = 0xFFFF_0FF1
        svm[.gdtrBase] = TestMachine.Layout.gdt
        svm[.gdtrLimit] = 0x7F
        svm[.rflags] = 2 | RFLAGS.CF | RFLAGS.DF
        let code = """
            mov [0x60000], rax
            mov rbx, cr2
            mov rcx, dr6
            sgdt [0x60010]
            pushfq
            pop rdx
            mov rsi, rsp
            mov edi, cs
            hlt
            """
        #expect(try svm.launch(code) == .exit(0x78))
        let s = svm.machine.state
        #expect(svm.machine.read(0x6_0000, as: UInt64.self) == 0x1234_5678_9ABC)
        #expect(s.rbx == 0xDEAD_0000 && s.rcx == 0xFFFF_0FF1)
        #expect(svm.machine.read(0x6_0010, as: UInt16.self) == 0x7F)
        #expect(s.rdx == 2 | RFLAGS.CF | RFLAGS.DF)
        #expect(s.rsi == SVMMachine.Place.guestStack)
        #expect(s.rdi == UInt64(TestMachine.Selectors.code64))
    }

    @Test func theHostComesBackAsItWas() throws {
        let svm = try SVMMachine(guest: .real)
        svm.intercept(0x72)
        let s = svm.machine.state
        svm.machine.state.rflags = 2 | RFLAGS.IF | RFLAGS.CF
        #expect(try svm.launch("mov sp, 0x100\ncpuid", bits: 16) == .exit(0x72))
        let after = svm.machine.state
        #expect(after.cr0 == s.cr0 && after.cr3 == s.cr3 && after.cr4 == s.cr4 && after.efer == s.efer)
        #expect(after.cs == s.cs && after.ss == s.ss && after.ds == s.ds && after.es == s.es)
        #expect(after.gdtr == s.gdtr && after.idtr == s.idtr && after.rsp == s.rsp)
        #expect(after.rflags == 2 | RFLAGS.IF | RFLAGS.CF)
        #expect(after.rax == SVMMachine.Place.vmcb && after.cpl == 0 && after.dr7 == 0x400)
        #expect(svm[.rsp] & 0xFFFF == 0x100)
        #expect(svm[.cr0] == 0x10 && svm[.efer] == EFER.SVME)
    }

    @Test func guestChangesAreSaved() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        let code = """
            mov rax, 0x111111111
            mov rbx, cr4
            or rbx, 4
            mov cr4, rbx
            mov rcx, cr3
            mov cr3, rcx
            mov rdx, 0x7777
            mov cr2, rdx
            mov dr6, rdx
            mov ebx, \(TestMachine.Selectors.userData)
            mov ds, ebx
            xor ebx, ebx
            mov es, ebx
            stc
            hlt
            """
        #expect(try svm.launch(code) == .exit(0x78))
        #expect(svm[.rax] == 0x1_1111_1111)
        #expect(svm[.cr4] & CR4.TSD != 0)
        #expect(svm[.cr2] == 0x7777)
        #expect(svm[.dsSelector] == UInt64(TestMachine.Selectors.userData))
        #expect(svm[.dsAttributes] == 0xCF3)
        // A null segment has P clear.
        #expect(svm[.esSelector] == 0 && svm[.esAttributes] & 0x80 == 0)
        #expect(svm[.rflags] & RFLAGS.CF != 0)
    }

    @Test func addressesAreCanonicalized() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.gdtrBase] = 0x0000_8000_0000_0000 | TestMachine.Layout.gdt
        svm[.idtrBase] = 0x1234_0000_0000_0000 | TestMachine.Layout.idt
        #expect(try svm.launch("sgdt [0x60000]\nsidt [0x60010]\nhlt") == .exit(0x78))
        #expect(svm.machine.read(0x6_0002, as: UInt64.self) == 0xFFFF_8000_0000_0000 | TestMachine.Layout.gdt)
        #expect(svm.machine.read(0x6_0012, as: UInt64.self) == TestMachine.Layout.idt)
    }

    @Test func theCPLComesFromItsField() throws {
        let svm = try SVMMachine()
        svm.intercept(0x4D)
        svm[.cpl] = 3
        #expect(try svm.launch("hlt") == .exit(0x4D))
        // Real mode and virtual-8086 mode ignore it.
        let real = try SVMMachine(guest: .real)
        real.intercept(0x78)
        real[.cpl] = 3
        #expect(try real.launch("hlt", bits: 16) == .exit(0x78))
        #expect(real[.cpl] == 0)
        let virtual = try SVMMachine(guest: .protected)
        virtual.intercept(0x4D)
        virtual[.rflags] = 2 | RFLAGS.VM
        virtual[.csBase] = SVMMachine.Place.guestCode
        virtual[.rip] = 0
        #expect(try virtual.launch("hlt", bits: 16) == .exit(0x4D))
        #expect(virtual[.cpl] == 3)
    }

    @Test func aNonCanonicalInstructionPointerFaultsInTheGuest() throws {
        let svm = try SVMMachine()
        svm.intercept(0x4D)
        svm[.rip] = 0x0000_8000_0000_0000
        #expect(try svm.enter() == .exit(0x4D))
        #expect(svm[.rip] == 0x0000_8000_0000_0000)
    }

    @Test func hostTrapFlagTrapsAfterTheExit() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm.machine.state.rflags = 2 | RFLAGS.TF
        #expect(try svm.launch("nop\nhlt") == .other(.halted))
        #expect(svm.machine.stoppedVector == 1)
        #expect(svm.machine.stack(0) == TestMachine.Layout.code + 3)
        #expect(svm[.exitCode] == 0x78)
    }

    @Test func guestTrapFlagTrapsAfterTheFirstInstruction() throws {
        let svm = try SVMMachine()
        svm.intercept(0x41)
        svm[.rflags] = 2 | RFLAGS.TF
        #expect(try svm.launch("nop\nnop\nhlt") == .exit(0x41))
        #expect(svm[.rip] == SVMMachine.Place.guestCode + 1)
        #expect(svm[.dr6] & 1 << 14 != 0)
    }

    @Test func pagedRealModeTranslates() throws {
        let svm = try SVMMachine(guest: .real)
        svm.intercept(0x78)
        svm.intercept(0x4E)
        // 4-byte entries; the page at 60000H leads to 61000H, the next one is absent.
        svm[.cr0] = 0x10 | CR0.PG
        svm[.cr3] = 0x7_0000
        svm.machine.write(UInt32(0x7_1000 | 7), at: 0x7_0000)
        for page in UInt32(0)..<1024 { svm.machine.write(page << 12 | 7, at: 0x7_1000 + UInt64(page) * 4) }
        svm.machine.write(UInt32(0x6_1000 | 7), at: 0x7_1000 + 0x60 * 4)
        svm.machine.write(UInt32(0), at: 0x7_1000 + 0x62 * 4)
        svm.machine.write(UInt16(0xBEEF), at: 0x6_1010)
        let code = "mov ax, 0x6000\nmov ds, ax\nmov bx, [0x10]\nmov cx, [0x2000]\nhlt"
        #expect(try svm.launch(code, bits: 16) == .exit(0x4E))
        #expect(svm.machine.state.rbx & 0xFFFF == 0xBEEF)
        #expect(svm[.exitInformation2] == 0x6_2000)
        // The protected-mode error code (section 15.12.15).
        #expect(svm[.exitInformation1] == 0)
    }

    @Test func theTimeStampCounterIsScaledAndOffset() throws {
        let svm = try SVMMachine()
        svm.intercept(0x78)
        svm[.tscOffset] = 1_000_000
        #expect(svm.processor.writeMSR(0xC000_0104, 2 << 32))
        let start = svm.processor.timeStampCounter
        let code = "rdtsc\nshl rdx, 32\nor rax, rdx\nmov rbx, rax\nrdtsc\nsub eax, ebx\nhlt"
        #expect(try svm.launch(code) == .exit(0x78))
        // Four instructions pass between the two, at twice the rate.
        #expect(svm[.rax] == 8)
        #expect(svm.machine.state.rbx >= 1_000_000 + 2 * start && svm.machine.state.rbx < 1_000_100 + 2 * start)
        #expect(svm.processor.visibleTimeStampCounter == svm.processor.timeStampCounter)
    }

    @Test func snapshotsTakenInsideAGuestGoOnThere() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x72)
        svm.machine.write(UInt64(0x6_1000 | 7), at: svm.nestedEntry(0x6_0000))
        svm.machine.write(UInt64(0x2222), at: 0x6_1000)
        #expect(try svm.launch("nop\nmov rbx, [0x60000]\ncpuid", counts: 2) == .other(.deadline))
        #expect(svm.machine.state.virtualization.isGuest)
        let snapshot = svm.processor.snapshot()
        let hash = svm.processor.stateHash()
        #expect(svm.machine.run() == .halted)
        #expect(svm[.exitCode] == 0x72)
        svm.machine.state.rbx = 0
        svm[.exitCode] = 0
        svm.processor.restore(snapshot)
        #expect(svm.processor.stateHash() == hash)
        #expect(svm.machine.run() == .halted)
        #expect(svm.machine.state.rbx == 0x2222 && svm[.exitCode] == 0x72)
    }

    @Test func theDigestTellsGuestModeAndTheGlobalInterruptFlag() throws {
        let svm = try SVMMachine()
        let host = svm.processor.stateHash()
        var state = svm.machine.state
        state.virtualization.svm.globalInterruptFlag = false
        var hasher = StateHasher()
        state.combine(into: &hasher)
        #expect(hasher.value != host)
    }
}
