import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

@Suite struct SystemSegmentTests {
    /// Loads `selector` into `register` and says which exception that gave, with its error code.
    private func fault(
        _ register: String, _ selector: UInt16, ring: UInt8 = 0, long: Bool = false,
        _ setUp: (TestMachine) -> Void = { _ in }
    ) throws -> (vector: UInt8, code: UInt64)? {
        let machine = try TestMachine()
        machine.prepare(long ? .long : .protected, ring: ring)
        setUp(machine)
        machine.state.rax = UInt64(selector)
        try machine.load("mov \(register), ax\nint 0x80")
        machine.run()
        guard let vector = machine.stoppedVector, vector != 0x80 else { return nil }
        return (vector, machine.stack(0))
    }

    private func place(_ attributes: UInt32) -> (TestMachine) -> Void {
        { $0.setDescriptor(Selectors.free, Descriptor(base: 0x12_3456, limit: 0x1FFF, attributes: attributes)) }
    }

    @Test func loadFillsTheHiddenPartAndMarksTheDescriptorAccessed() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.setDescriptor(Selectors.free, Descriptor(base: 0x1234_5678, limit: 0x1F_FFFF, attributes: 0x8092))
        machine.state.rax = UInt64(Selectors.free)
        try machine.load("mov fs, ax")
        machine.step()
        #expect(machine.state.fs.base == 0x1234_5678)
        #expect(machine.state.fs.limit == 0x1F_FFFF)
        #expect(machine.state.fs.attributes == 0x8093)
        #expect(machine.descriptor(Selectors.free).isAccessed)
    }

    @Test func nullSelectorLoadsIntoDataSegmentsAndFaultsOnUse() throws {
        #expect(try fault("ds", 3) == nil)
        let machine = try TestMachine()
        machine.prepare(.protected)
        #expect(try machine.runToHalt("xor eax, eax\nmov es, ax\nmov al, [es:0]") == 13)
        #expect(machine.stack(0) == 0)
    }

    @Test func nullSelectorIsRefusedBySSInProtectedMode() throws {
        let result = try fault("ss", 0)
        #expect(result?.vector == 13 && result?.code == 0)
    }

    @Test func nullSelectorIsTakenBySSIn64BitModeOutsideRing3() throws {
        #expect(try fault("ss", 0, long: true) == nil)
        #expect(try fault("ss", 3, ring: 3, long: true)?.vector == 13)
        // The RPL must be the CPL.
        #expect(try fault("ss", 1, long: true)?.vector == 13)
    }

    @Test func selectorBeyondTheTableFaultsWithItself() throws {
        let result = try fault("ds", 0x1003)
        #expect(result?.vector == 13 && result?.code == 0x1000)
    }

    @Test func localSelectorWithoutLocalTableFaults() throws {
        let result = try fault("ds", 0x0C)
        #expect(result?.vector == 13 && result?.code == 0x0C)
    }

    @Test func localTableIsUsedAfterLLDT() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.setDescriptor(Selectors.free, Descriptor(base: 0x9000, limit: 0x0F, attributes: 0x82))
        machine.write(Descriptor(base: 0x5555, limit: 0xFF, attributes: 0x93).low, at: 0x9008)
        machine.state.rax = UInt64(Selectors.free)
        #expect(try machine.runToHalt("lldt ax\nmov eax, 0x0C\nmov gs, ax\nhlt") == nil)
        #expect(machine.state.gs.base == 0x5555)
        // Index 2 is beyond the limit.
        machine.state.rip = Layout.code
        machine.state.activity = .active
        #expect(try machine.runToHalt("mov eax, 0x14\nmov gs, ax") == 13)
        #expect(machine.stack(0) == 0x14)
    }

    @Test func dataSegmentsObeyPrivilege() throws {
        // DPL 0 from ring 3, and by RPL 3 from ring 0.
        #expect(try fault("ds", Selectors.data, ring: 3)?.code == UInt64(Selectors.data))
        #expect(try fault("ds", Selectors.data | 3)?.vector == 13)
        #expect(try fault("ds", Selectors.userData, ring: 3) == nil)
        #expect(try fault("ds", Selectors.userData) == nil)
    }

    @Test func conformingReadableCodeLoadsIntoDataSegmentsWhateverThePrivilege() throws {
        #expect(try fault("es", Selectors.free | 3, ring: 3, place(0xC09E)) == nil)
        // Execute-only code never.
        #expect(try fault("es", Selectors.free, place(0xC098))?.vector == 13)
        // Nonconforming code obeys.
        #expect(try fault("es", Selectors.free, ring: 3, place(0xC09A))?.vector == 13)
    }

    @Test func absentSegmentsGiveTheirOwnExceptions() throws {
        let data = try fault("ds", Selectors.free, place(0x4012))
        #expect(data?.vector == 11 && data?.code == UInt64(Selectors.free))
        let stack = try fault("ss", Selectors.free, place(0x4012))
        #expect(stack?.vector == 12 && stack?.code == UInt64(Selectors.free))
    }

    @Test func stackSegmentMustBeWritableDataOfTheLevel() throws {
        #expect(try fault("ss", Selectors.free, place(0x4090))?.vector == 13)
        #expect(try fault("ss", Selectors.code32)?.vector == 13)
        #expect(try fault("ss", Selectors.userData)?.vector == 13)
        #expect(try fault("ss", Selectors.data | 3)?.vector == 13)
        #expect(try fault("ss", Selectors.free, place(0x4096)) == nil)
    }

    @Test func systemDescriptorsDoNotLoadIntoSegments() throws {
        #expect(try fault("ds", Selectors.task)?.vector == 13)
    }

    @Test func limitsAndTypesAreCheckedOnUse() throws {
        for (attributes, code, vector) in [
            (UInt32(0x4092), "mov al, [fs:0x1FFF]", nil), (0x4092, "mov al, [fs:0x2000]", 13),
            (0x4092, "mov eax, [fs:0x1FFD]", 13), (0x4090, "mov [fs:0], al", 13),
            // Expand-down: above the limit is inside.
            (0x4096, "mov al, [fs:0x2000]", nil), (0x4096, "mov al, [fs:0x1FFF]", 13),
            (0x0096, "mov al, [fs:0x10000]", 13), (0x409A, "mov [fs:0], al", 13),
        ] as [(UInt32, String, UInt8?)] {
            let machine = try TestMachine()
            machine.prepare(.protected)
            machine.setDescriptor(Selectors.free, Descriptor(base: 0x10_0000, limit: 0x1FFF, attributes: attributes))
            machine.state.rax = UInt64(Selectors.free)
            #expect(try machine.runToHalt("mov fs, ax\n\(code)\nhlt") == vector, "\(attributes) \(code)")
        }
    }

    @Test func farPointerLoadsSegmentAndRegister() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.write(UInt32(0xCAFE_F00D), at: 0x9000)
        machine.write(Selectors.userData, at: 0x9004)
        try machine.load("les edi, [0x9000]")
        machine.step()
        #expect(machine.state.rdi == 0xCAFE_F00D)
        #expect(machine.state.es.selector == Selectors.userData)
        // A refused selector leaves the register.
        machine.write(UInt16(0x1000), at: 0x9004)
        machine.state.rip = Layout.code
        #expect(try machine.runToHalt("les ebx, [0x9000]") == 13)
        #expect(machine.state.rbx == 0)
    }

    @Test func realModeLoadsKeepTheLimit() throws {
        let machine = try TestMachine()
        machine.prepare(.real)
        machine.state.fs.limit = 0xFFFF_FFFF
        machine.state.rax = 0x1234
        try machine.load("mov fs, ax")
        machine.step()
        #expect(machine.state.fs.base == 0x1_2340)
        #expect(machine.state.fs.limit == 0xFFFF_FFFF)
    }

    @Test func verificationInstructionsTellAccessAndLimits() throws {
        let machine = try TestMachine()
        machine.prepare(.protected, ring: 3)
        machine.setDescriptor(Selectors.free, Descriptor(base: 0, limit: 0x1234, attributes: 0x40F0))
        let source = """
            mov eax, \(Selectors.free | 3)
            verr ax
            setz bl
            verw ax
            setz bh
            lsl ecx, ax
            lar edx, ax
            mov eax, \(Selectors.data)
            verr ax
            setz al
            int 0x80
            """
        #expect(try machine.runToHalt(source) == 0x80)
        #expect(machine.state.rbx & 0xFFFF == 1)
        #expect(machine.state.rcx == 0x1234)
        #expect(machine.state.rdx == 0x40_F000)
        #expect(machine.state.rax & 0xFF == 0)
    }

    @Test func arplRaisesTheRequestedLevel() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        #expect(try machine.runToHalt("mov eax, 0x10\nmov ecx, 3\narpl ax, cx\nhlt") == nil)
        #expect(machine.state.rax == 0x13 && machine.state.ZF)
    }

    @Test func taskRegisterMarksItsDescriptorBusy() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.setDescriptor(Selectors.free, Descriptor(base: 0x3000, limit: 0x67, attributes: 0x89))
        machine.state.rax = UInt64(Selectors.free)
        #expect(try machine.runToHalt("ltr ax\nstr ecx\nltr ax") == 13)
        #expect(machine.state.rcx == UInt64(Selectors.free))
        #expect(machine.descriptor(Selectors.free).type == SystemDescriptorType.busyTSS32)
        #expect(machine.state.tr.base == 0x3000)
    }

    @Test func tableRegistersRoundTrip() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.write([0xFF, 0x0F] + [0x00, 0x10, 0, 0, 0, 0, 0, 0], at: 0x9000)
        #expect(try machine.runToHalt("lgdt [0x9000]\nsgdt [0x9010]\nlidt [0x9000]\nsidt [0x9020]\nhlt") == nil)
        #expect(machine.read(0x9010, as: UInt64.self) == 0x1000_0FFF)
        #expect(machine.read(0x9020, as: UInt64.self) == 0x1000_0FFF)
        #expect(machine.state.gdtr == DescriptorTableRegister(base: 0x1000, limit: 0xFFF))
        // A base that is not canonical is refused.
        machine.prepare(.long)
        machine.state.activity = .active
        machine.write([0x80], at: 0x9008)
        #expect(try machine.runToHalt("lgdt [0x9000]") == 13)
    }

    @Test func sixteenBitOperandLoadsATwentyFourBitBase() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.write([0xFF, 0x03, 0x00, 0x10, 0x00, 0xAB], at: 0x9000)
        #expect(try machine.runToHalt("o16 lgdt [0x9000]\nhlt") == nil)
        #expect(machine.state.gdtr == DescriptorTableRegister(base: 0x1000, limit: 0x3FF))
    }

    @Test func userModeInstructionPreventionRefusesStores() throws {
        for code in ["sgdt [0x9000]", "sidt [0x9000]", "sldt eax", "str eax", "smsw eax"] {
            let machine = try TestMachine()
            machine.prepare(.long, ring: 3)
            #expect(try machine.runToHalt("\(code)\nint 0x80") == 0x80, "\(code)")
            machine.prepare(.long, ring: 3)
            machine.state.activity = .active
            machine.state.cr4 |= CR4.UMIP
            #expect(try machine.runToHalt("\(code)\nint 0x80") == 13, "\(code)")
        }
    }
}
