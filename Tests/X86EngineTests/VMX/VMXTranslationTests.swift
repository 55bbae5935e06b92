import Testing
import X86
import X86Engine

/// Extended page tables (SDM volume 3 sections 29.3 and 28.2.1).
@Suite struct VMXTranslationTests {
    private static let data: UInt64 = 0x6_0000

    private func machine(accessedAndDirty: Bool = false) throws -> VMXMachine {
        let vmx = try VMXMachine()
        vmx.useEPT(accessedAndDirty: accessedAndDirty)
        return vmx
    }

    @Test func guestPhysicalAddressesAreTranslated() throws {
        let vmx = try machine()
        // The guest's page 60000H is the host's 61000H.
        vmx.machine.write(UInt64(0x6_1000 | 0x37), at: vmx.eptEntry(Self.data))
        vmx.machine.write(UInt64(0x1111), at: Self.data)
        vmx.machine.write(UInt64(0x2222), at: Self.data + 0x1000)
        #expect(try vmx.launch("mov rbx, [0x60000]\nmov dword [0x60008], 7\ncpuid") == .exit(10))
        #expect(vmx.machine.read(Self.data + 0x1008, as: UInt32.self) == 7)
        #expect(vmx.machine.read(Self.data + 8, as: UInt32.self) == 0)
    }

    /// Entry, instruction, qualification: access, permissions, linear address valid, final access.
    static let violations: [(UInt64, String, UInt64)] = [
        (0, "mov al, [0x60123]", 0x181), (0, "mov [0x60123], al", 0x182),
        (0x6_0035, "mov [0x60123], al", 0x182 | 5 << 3), (0x6_0031, "add byte [0x60123], 1", 0x182 | 1 << 3),
    ]

    @Test(arguments: violations)
    func violationsTellAccessAndPermissions(_ entry: UInt64, _ source: String, _ qualification: UInt64) throws {
        let vmx = try machine()
        vmx.machine.write(entry, at: vmx.eptEntry(Self.data))
        #expect(try vmx.launch(source) == .exit(48))
        #expect(vmx[.exitQualification] == qualification)
        #expect(vmx[.guestPhysicalAddress] == Self.data + 0x123)
        #expect(vmx[.guestLinearAddress] == Self.data + 0x123)
        #expect(vmx[.guestRIP] == VMXMachine.Place.guestCode)
        #expect(vmx.machine.state.cr2 == 0)
    }

    @Test func fetchesNeedExecutePermission() throws {
        let vmx = try machine()
        vmx.machine.write(Self.data | 0x33, at: vmx.eptEntry(Self.data))
        #expect(try vmx.launch("mov ebx, 0x60000\njmp rbx") == .exit(48))
        #expect(vmx[.exitQualification] == 4 | 3 << 3 | 1 << 7 | 1 << 8)
        #expect(vmx[.guestRIP] == Self.data)
    }

    @Test(arguments: [false, true])
    func accessesToGuestPagingStructuresAreTold(accessedAndDirty: Bool) throws {
        let vmx = try machine(accessedAndDirty: accessedAndDirty)
        let pml4 = TestMachine.Layout.pageTables
        vmx.machine.write(0 as UInt64, at: vmx.eptEntry(pml4))
        #expect(try vmx.launch("nop") == .exit(48))
        // With accessed and dirty flags such accesses are reads and writes.
        #expect(vmx[.exitQualification] == (accessedAndDirty ? 3 : 1) | 1 << 7)
        #expect(vmx[.guestPhysicalAddress] == pml4)
        #expect(vmx[.guestLinearAddress] == VMXMachine.Place.guestCode)
    }

    @Test func settingAccessedFlagsNeedsWritePermission() throws {
        let vmx = try machine()
        // A PML4 of the guest's own, which the host has not used.
        let pml4: UInt64 = 0x6_3000
        vmx.machine.write((vmx.machine.read(TestMachine.Layout.pageTables) as UInt64) & ~0x20, at: pml4)
        vmx[.guestCR3] = pml4
        vmx.machine.write(pml4 | 0x35, at: vmx.eptEntry(pml4))
        #expect(try vmx.launch("nop") == .exit(48))
        #expect(vmx[.exitQualification] == 2 | 5 << 3 | 1 << 7)
        #expect((vmx.machine.read(pml4) as UInt64) & 0x20 == 0)
    }

    static let wrongEntries: [(String, UInt64)] = [
        ("writing without reading", 0x6_0032), ("a reserved memory type", 0x6_0017),
        ("address bits beyond the width", 1 << 45 | 0x37), ("execution alone", 0x6_0034),
    ]

    @Test(arguments: wrongEntries)
    func entriesThatMeanNothingAreMisconfigurations(_ name: String, _ entry: UInt64) throws {
        let vmx = try machine()
        vmx.machine.write(entry, at: vmx.eptEntry(Self.data))
        #expect(try vmx.launch("mov al, [0x60123]") == .exit(49))
        #expect(vmx[.guestPhysicalAddress] == Self.data + 0x123)
        #expect(vmx[.exitQualification] == 0)
    }

    /// Offset of the entry in the tables, bits added to it.
    static let wrongTables: [(String, UInt64, UInt64)] = [
        ("bits 3 to 7 of a PML4E", 0, 1 << 3), ("bits 3 to 6 of a PDPTE", 0x1000, 1 << 6),
        ("bits 3 to 6 of a PDE", 0x2000, 1 << 4), ("address bits of a 1-GiB page", 0x1000, 1 << 7 | 1 << 13),
    ]

    @Test(arguments: wrongTables)
    func reservedBitsOfTablesAreMisconfigurations(_ name: String, _ offset: UInt64, _ bits: UInt64) throws {
        let vmx = try machine()
        let address = VMXMachine.Place.ept + offset
        vmx.machine.write((vmx.machine.read(address) as UInt64) | bits, at: address)
        #expect(try vmx.launch("nop") == .exit(49))
    }

    @Test func largePagesOfBothSizesTranslate() throws {
        let vmx = try machine()
        vmx.machine.write(0xB7 as UInt64, at: VMXMachine.Place.ept + 0x2000)
        #expect(try vmx.launch("cpuid") == .exit(10))
        vmx.machine.write(0xB7 as UInt64, at: VMXMachine.Place.ept + 0x1000)
        #expect(try vmx.enter() == .exit(10))
    }

    @Test func accessedAndDirtyFlagsAreKept() throws {
        let vmx = try machine(accessedAndDirty: true)
        #expect(try vmx.launch("mov al, [0x60000]\nmov [0x61000], al\ncpuid") == .exit(10))
        let flags: UInt64 = 3 << 8
        #expect((vmx.machine.read(vmx.eptEntry(Self.data)) as UInt64) & flags == 1 << 8)
        #expect((vmx.machine.read(vmx.eptEntry(Self.data + 0x1000)) as UInt64) & flags == flags)
        #expect((vmx.machine.read(VMXMachine.Place.ept) as UInt64) & flags == 1 << 8)
        #expect((vmx.machine.read(vmx.eptEntry(0x6_2000)) as UInt64) & flags == 0)
    }

    @Test func writesToTheTablesTakeEffectAtOnce() throws {
        let vmx = try machine()
        vmx.machine.write(UInt64(0x2222), at: Self.data + 0x1000)
        // The guest maps its own page elsewhere: the tables are in its reach here.
        let entry = vmx.eptEntry(Self.data)
        #expect(
            try vmx.launch("mov rax, [0x60000]\nmov qword [\(entry)], 0x61037\nmov rbx, [0x60000]\nvmcall") == .exit(18)
        )
        #expect(vmx.machine.state.rbx == 0x2222)
    }

    @Test func violationsDuringDeliveryNameTheEvent() throws {
        let vmx = try machine()
        vmx.machine.write(0 as UInt64, at: vmx.eptEntry(TestMachine.Layout.idt))
        #expect(try vmx.launch("ud2") == .exit(48))
        #expect(vmx[.idtVectoringInformation] == 0x8000_0306)
        #expect(vmx[.guestPhysicalAddress] == TestMachine.Layout.idt + 6 * 16)
    }

    @Test func hostAndGuestTranslationsDoNotMix() throws {
        let vmx = try machine()
        vmx.machine.write(UInt64(0x6_1000 | 0x37), at: vmx.eptEntry(Self.data))
        vmx.machine.write(UInt64(0x1111), at: Self.data)
        vmx.machine.write(UInt64(0x2222), at: Self.data + 0x1000)
        // The host reads the page before and after the guest has.
        vmx.machine.write(
            try Assembler(mode: .bits64, origin: VMXMachine.Place.hostExit).assemble("mov rdx, [0x60000]\nhlt").bytes,
            at: VMXMachine.Place.hostExit)
        vmx.machine.write(
            try Assembler(mode: .bits64, origin: 0).assemble("mov rbx, [0x60000]\ncpuid").bytes,
            at: VMXMachine.Place.guestCode)
        _ = try vmx.enter("mov rcx, [0x60000]\nvmlaunch")
        let s = vmx.machine.state
        #expect((s.rcx, s.rbx, s.rdx) == (0x1111, 0x2222, 0x1111))
    }

    @Test func realModeGuestsRunUnpagedThroughEPT() throws {
        let vmx = try VMXMachine(guest: .real)
        #expect(try vmx.launch("mov ax, 0x6000\nmov ds, ax\nmov bx, [0x10]\ncpuid", bits: 16) == .exit(10))
        vmx.machine.write(0 as UInt64, at: vmx.eptEntry(Self.data))
        vmx[.guestRIP] = 0
        #expect(try vmx.enter() == .exit(48))
        #expect(vmx[.guestPhysicalAddress] == 0x6_0010)
    }
}
