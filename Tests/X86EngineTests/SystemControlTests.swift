import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemControlTests {
    /// The exception that writing a control register gives.
    private func write(
        _ register: String, _ value: UInt64, long: Bool = true, ring: UInt8 = 0, model: ProcessorModel = .intel64,
        _ setUp: (TestMachine) -> Void = { _ in }
    ) throws -> UInt8? {
        let machine = try TestMachine(model: model)
        machine.prepare(long ? .long : .protected, ring: ring)
        setUp(machine)
        machine.state.rax = value
        return try machine.runToHalt("mov \(register), \(long ? "rax" : "eax")\nhlt")
    }

    @Test func controlRegistersAreForRing0() throws {
        for code in ["mov rax, cr0", "mov cr0, rax", "clts", "lmsw ax", "invlpg [rax]", "wbinvd", "hlt"] {
            let machine = try TestMachine()
            machine.prepare(.long, ring: 3)
            #expect(try machine.runToHalt(code) == 13, "\(code)")
        }
    }

    @Test func contradictoryCR0IsRefused() throws {
        #expect(try write("cr0", 0x8000_0010) == 13)
        #expect(try write("cr0", 0xA005_0031) == 13)
        #expect(try write("cr0", 1 << 32 | 0x8001_0031) == 13)
        // Paging cannot be left in 64-bit mode.
        #expect(try write("cr0", 0x11) == 13)
        #expect(try write("cr0", 0xC001_0031) == nil)
        // Paging with LME needs PAE.
        #expect(try write("cr0", 0x8000_0011, long: false) { $0.state.efer = EFER.LME } == 13)
    }

    @Test func extensionTypeBitOfCR0IsAlwaysSet() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        #expect(try machine.runToHalt("mov eax, 0x21\nmov cr0, eax\nmov ecx, cr0\nhlt") == nil)
        #expect(machine.state.rcx == 0x31)
    }

    @Test func machineStatusWordSetsButNeverClearsProtection() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        #expect(try machine.runToHalt("mov eax, 0xE\nlmsw ax\nsmsw ecx\nclts\nsmsw edx\nhlt") == nil)
        #expect(machine.state.rcx == 0x3F)
        #expect(machine.state.rdx == 0x37)
    }

    @Test func reservedBitsOfCR4AndThoseOfMissingFeaturesAreRefused() throws {
        #expect(try write("cr4", 1 << 40 | CR4.PAE) == 13)
        #expect(try write("cr4", CR4.VMXE | CR4.PAE) == 13)
        #expect(try write("cr4", 1 << 14 | CR4.PAE) == 13)
        #expect(try write("cr4", CR4.VME | CR4.PVI | CR4.PAE) == nil)
        #expect(try write("cr4", CR4.SMEP | CR4.SMAP | CR4.UMIP | CR4.PAE) == nil)
        #expect(try write("cr4", CR4.SMEP, long: false, model: .intel32) == 13)
        // PAE cannot be cleared in IA-32e mode.
        #expect(try write("cr4", 0) == 13)
    }

    @Test func processContextsNeedLongModeAndACleanCR3() throws {
        #expect(try write("cr4", CR4.PCIDE | CR4.PAE) == nil)
        #expect(try write("cr4", CR4.PCIDE | CR4.PAE, long: false) == 13)
        #expect(try write("cr4", CR4.PCIDE | CR4.PAE) { $0.state.cr3 |= 8 } == 13)
    }

    @Test func noFlushBitOfCR3NeedsProcessContexts() throws {
        #expect(try write("cr3", Layout.pageTables | 1 << 63) == 13)
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.cr4 |= CR4.PCIDE
        machine.state.rax = Layout.pageTables | 5 | 1 << 63
        #expect(try machine.runToHalt("mov cr3, rax\nmov rcx, cr3\nhlt") == nil)
        #expect(machine.state.rcx == Layout.pageTables | 5)
        // Beyond the physical address width.
        #expect(try write("cr3", 1 << 45 | Layout.pageTables) == 13)
    }

    @Test func taskPriorityIsInCR8() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        #expect(try machine.runToHalt("mov eax, 9\nmov cr8, rax\nmov rcx, cr8\nhlt") == nil)
        #expect(machine.taskPriority == 9 && machine.state.rcx == 9)
        #expect(try write("cr8", 16) == 13)
    }

    @Test func reservedBitsInPageDirectoryPointersFaultWhenTheyAreLoaded() throws {
        for (entry, vector) in [(UInt64(0x1_1001), nil), (0x1_1003, 13), (0x1_1002, nil), (1 << 45 | 1, 13)]
            as [(UInt64, UInt8?)]
        {
            let machine = try TestMachine()
            machine.prepare(.protected)
            machine.state.cr4 = CR4.PAE
            machine.state.cr3 = Layout.pageTables
            machine.write([UInt8](repeating: 0, count: 32), at: Layout.pageTables)
            machine.write(UInt64(0x1_1001), at: Layout.pageTables)
            machine.write(entry, at: Layout.pageTables + 24)
            machine.write(UInt64(0x83), at: 0x1_1000)
            #expect(try machine.runToHalt("mov eax, cr0\nor eax, 0x80000000\nmov cr0, eax\nhlt") == vector)
            #expect((machine.state.cr0 & CR0.PG != 0) == (vector == nil))
        }
    }

    @Test func modesAreReachedFromTheResetVector() throws {
        let machine = try TestMachine()
        // The reset vector lies in the hole below 4 GiB, where nothing answers: start where firmware would jump to.
        machine.write([UInt8](repeating: 0, count: 0x3000), at: Layout.pageTables)
        machine.write(Layout.pageTables + 0x1000 | 3, at: Layout.pageTables)
        machine.write(UInt64(0x83), at: Layout.pageTables + 0x1000)
        let gdt: [UInt64] = [0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00AF_9B00_0000_FFFF]
        for (index, entry) in gdt.enumerated() { machine.write(entry, at: 0x1000 + UInt64(index) * 8) }
        machine.write([0x1F, 0, 0, 0x10, 0, 0], at: 0x0F00)
        machine.state.cs = SegmentState(selector: 0, base: 0, limit: 0xFFFF, attributes: 0x93)
        machine.state.rip = 0x7C00
        machine.processor.updateMode()
        try machine.load(
            """
            bits 16
            cli
            lgdt [0x0F00]
            mov eax, cr0
            or al, 1
            mov cr0, eax
            jmp dword 8:protected
            bits 32
            protected:
            mov eax, 0x10
            mov ds, ax
            mov ss, ax
            mov esp, 0x7000
            mov eax, cr4
            or eax, 0x20
            mov cr4, eax
            mov eax, 0x10000
            mov cr3, eax
            mov ecx, 0xC0000080
            rdmsr
            or eax, 0x100
            wrmsr
            mov eax, cr0
            or eax, 0x80000000
            mov cr0, eax
            jmp 0x18:long
            bits 64
            long:
            mov rax, 0x123456789ABCDEF0
            mov ecx, 0xC0000080
            push rax
            rdmsr
            hlt
            """, at: 0x7C00, bits: 16)
        #expect(machine.run() == .halted)
        #expect(machine.codeWidth == 64)
        #expect(machine.state.rax == 0x500)
        #expect(machine.read(0x6FF8, as: UInt64.self) == 0x1234_5678_9ABC_DEF0)
    }

    @Test func invlpgAndInvpcidAreCheckedButDropTranslations() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.rbx = 0x8000_0000_0000_0000
        #expect(try machine.runToHalt("invlpg [rbx]\nhlt") == nil)
        for (type, context, address, vector) in [
            (0, 0, 0x1000, nil), (4, 0, 0, 13), (1, 0x1000, 0, 13), (1, 5, 0, 13), (0, 0, 1 << 63, 13),
            (2, 5, 1 << 63, nil), (3, 0, 0, nil),
        ] as [(UInt64, UInt64, UInt64, UInt8?)] {
            let machine = try TestMachine()
            machine.prepare(.long)
            machine.write(context, at: 0x9000)
            machine.write(address, at: 0x9008)
            machine.state.rcx = type
            #expect(try machine.runToHalt("invpcid rcx, [0x9000]\nhlt") == vector, "\(type) \(context) \(address)")
        }
    }

    @Test func extendedControlRegisterKeepsX87() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        #expect(try machine.runToHalt("xor ecx, ecx\nxgetbv") == 6)
        let enabled = try TestMachine()
        enabled.prepare(.long)
        enabled.state.cr4 |= CR4.OSXSAVE
        #expect(try enabled.runToHalt("xor ecx, ecx\nxor edx, edx\nmov eax, 3\nxsetbv\nxgetbv\nhlt") == nil)
        #expect(enabled.state.xcr0 == 3 && enabled.state.rax == 3)
        for value in [UInt64(2), 7, 0] {
            let machine = try TestMachine()
            machine.prepare(.long)
            machine.state.cr4 |= CR4.OSXSAVE
            machine.state.rax = value
            #expect(try machine.runToHalt("xsetbv") == 13)
        }
    }

    @Test func supervisorPagesAreHiddenFromRing3() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.setPages(absent: [])
        machine.write(UInt64(0x9000 | 3), at: machine.pageEntryAddress(0x9000))
        #expect(try machine.runToHalt("mov al, [0x9123]") == 14)
        #expect(machine.state.cr2 == 0x9123)
        #expect(machine.stack(0) == 5)
    }

    @Test func deliveryReadsTablesThatRing3CannotSee() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.setPages(absent: [])
        for page in [Layout.gdt, Layout.idt, Layout.tss, Layout.stack0 - 0x1000, Layout.handlers] {
            machine.write(page | 3, at: machine.pageEntryAddress(page))
        }
        machine.state.cr4 |= CR4.SMEP | CR4.SMAP
        machine.processor.updateMode()
        #expect(try machine.runToHalt("int 0x80") == 0x80)
    }

    @Test func userStackIsRefusedToDeliveryBySMAP() throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        machine.setPages(absent: [])
        for page in [Layout.gdt, Layout.idt, Layout.tss, Layout.handlers, 0x4000] as [UInt64] {
            machine.write(page | 3, at: machine.pageEntryAddress(page))
        }
        machine.setGate(
            8,
            Descriptor(
                gate: SystemDescriptorType.interruptGate32, selector: Selectors.code64,
                offset: TestMachine.handler(8), descriptorPrivilegeLevel: 0, count: 1))
        machine.state.cr4 |= CR4.SMAP
        machine.processor.updateMode()
        // The stack of level 0 is a user page: #PF, again for #PF's own frame, then #DF on the supervisor's IST stack.
        #expect(try machine.runToHalt("int 0x80") == 8)
        #expect(machine.processor.faultChain.map(\.fault.vector) == [14, 14, 8])
        #expect(machine.processor.faultChain.first?.fault.errorCode == UInt32(3))
    }
}
