import Testing
import X86
import X86Engine

/// APM volume 2 section 15.25: nested page tables, their faults, and the host's kinds of paging they follow.
@Suite struct SVMNestedPagingTests {
    private enum Entry {
        static let A: UInt64 = 0x20
        static let D: UInt64 = 0x40
        static let XD: UInt64 = 1 << 63
    }

    private static let final: UInt64 = 1 << 32
    private static let tables: UInt64 = 1 << 33

    /// A change of the entry for 60000H, an access to it, and the error code in EXITINFO1 (section 15.25.6).
    static let faults: [(name: String, entry: UInt64, code: String, error: UInt64)] = [
        ("absent, read", 0, "mov eax, [0x60010]", final | 4),
        ("absent, written", 0, "mov [0x60010], eax", final | 4 | 2),
        ("absent, fetched", 0, "mov eax, 0x60010\njmp rax", final | 4 | 16),
        ("read-only, written", 0x6_0000 | 5, "mov [0x60010], eax", final | 4 | 2 | 1),
        ("the supervisor's, read", 0x6_0000 | 3, "mov eax, [0x60010]", final | 4 | 1),
        ("not executable, fetched", Entry.XD | 0x6_0000 | 7, "mov eax, 0x60010\njmp rax", final | 4 | 16 | 1),
        ("reserved address bit, read", 1 << 41 | 0x6_0000 | 7, "mov eax, [0x60010]", final | 4 | 8 | 1),
        ("reserved address bit, written", 1 << 41 | 0x6_0000 | 7, "mov [0x60010], eax", final | 4 | 8 | 2 | 1),
    ]

    @Test(arguments: 0..<faults.count)
    func accessesThatTheTablesDoNotAllowLeaveTheGuest(_ index: Int) throws {
        let test = Self.faults[index]
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x4E)
        svm.machine.write(test.entry, at: svm.nestedEntry(0x6_0000))
        #expect(try svm.launch(test.code) == .exit(0x400), "\(test.name)")
        #expect(svm[.exitInformation1] == test.error, "\(test.name)")
        #expect(svm[.exitInformation2] == 0x6_0010)
        #expect(svm[.nextRIP] == 0)
        let fetches = test.error & 16 != 0
        #expect(svm[.instructionByteCount] == (fetches ? 0 : 15))
    }

    @Test func guestTablesAreWrittenAsTheUser() throws {
        // The guest's PDPT lies in a page that is read-only at the nested level: even reading needs a writable page.
        let svm = try SVMMachine()
        svm.useNestedPaging()
        let table = TestMachine.Layout.pageTables + 0x1000
        svm.machine.write(table | 5, at: svm.nestedEntry(table))
        #expect(try svm.launch("nop") == .exit(0x400))
        #expect(svm[.exitInformation1] == Self.tables | 4 | 2 | 1)
        #expect(svm[.exitInformation2] == table)
        svm.machine.write(UInt64(0), at: svm.nestedEntry(table))
        #expect(try svm.launch("nop") == .exit(0x400))
        #expect(svm[.exitInformation1] == Self.tables | 4 | 2)
    }

    @Test func faultsOfTheGuestsTablesAreTheGuests() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x4E)
        #expect(try svm.launch("mov rax, 0x0000700000000000\nmov eax, [rax]") == .exit(0x4E))
        #expect(svm[.exitInformation1] == 0 && svm[.exitInformation2] == 0x0000_7000_0000_0000)
    }

    @Test func accessedAndDirtyFlagsAreSetInNestedTables() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x78)
        func flags(_ guest: UInt64) -> UInt64 { svm.machine.read(svm.nestedEntry(guest), as: UInt64.self) & 0x60 }
        #expect(try svm.launch("mov eax, [0x60000]\nmov [0x61000], eax\nhlt") == .exit(0x78))
        #expect(flags(0x6_0000) == Entry.A)
        #expect(flags(0x6_1000) == Entry.A | Entry.D)
        // Walks of the guest's tables count as writes.
        #expect(flags(TestMachine.Layout.pageTables) == Entry.A | Entry.D)
        #expect(flags(0x6_2000) == 0)
        #expect(svm.machine.read(SVMMachine.Place.nested, as: UInt64.self) & Entry.A != 0)
        // A first write after reads sets D then.
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.launch("mov [0x60000], eax\nhlt") == .exit(0x78))
        #expect(flags(0x6_0000) == Entry.A | Entry.D)
    }

    @Test func nestedTablesMapWhereTheySay() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x78)
        svm.machine.write(UInt64(0x6_1000 | 7), at: svm.nestedEntry(0x6_0000))
        svm.machine.write(UInt32(0x1234), at: 0x6_1008)
        #expect(try svm.launch("mov eax, [0x60008]\nmov dword [0x60010], 77\nhlt") == .exit(0x78))
        #expect(svm[.rax] == 0x1234)
        #expect(svm.machine.read(0x6_1010, as: UInt32.self) == 77)
    }

    @Test func changesOfNestedTablesCountAtOnceWithAFlush() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x72)
        svm.machine.write(UInt32(1), at: 0x6_0000)
        svm.machine.write(UInt32(2), at: 0x6_1000)
        #expect(try svm.launch("mov eax, [0x60000]\ncpuid\nmov ebx, [0x60000]\ncpuid") == .exit(0x72))
        #expect(svm[.rax] == 1)
        svm.machine.write(UInt64(0x6_1000 | 7), at: svm.nestedEntry(0x6_0000))
        svm[.tlbControl] = 3
        svm.skipInstruction()
        #expect(try svm.enter() == .exit(0x72))
        #expect(svm.machine.state.rbx == 2)
    }

    @Test func twoGuestsDoNotShareTranslations() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x78)
        svm.machine.write(UInt32(1), at: 0x6_0000)
        svm.machine.write(UInt32(2), at: 0x6_1000)
        #expect(try svm.launch("mov eax, [0x60000]\nhlt") == .exit(0x78))
        #expect(svm[.rax] == 1)
        // The other guest's tables, with the same CR3: 60000H leads to 61000H.
        let other: UInt64 = 0x7_0000
        svm.machine.write(other + 0x1000 | 7, at: other)
        svm.machine.write(other + 0x2000 | 7, at: other + 0x1000)
        svm.machine.write(other + 0x3000 | 7, at: other + 0x2000)
        for index in UInt64(0)..<512 { svm.machine.write(index << 12 | 7, at: other + 0x3000 + index * 8) }
        svm.machine.write(UInt64(0x6_1000 | 7), at: other + 0x3000 + 0x60 * 8)
        svm[.nestedCR3] = other
        svm[.guestASID] = 2
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.enter() == .exit(0x78))
        #expect(svm[.rax] == 2)
        svm[.nestedCR3] = SVMMachine.Place.nested
        svm[.guestASID] = 1
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.enter() == .exit(0x78))
        #expect(svm[.rax] == 1)
    }

    @Test func aGuestWithoutPagingIsTranslatedToo() throws {
        let svm = try SVMMachine(guest: .real)
        svm.useNestedPaging()
        svm.intercept(0x78)
        svm.machine.write(UInt64(0x6_1000 | 7), at: svm.nestedEntry(0x6_0000))
        svm.machine.write(UInt16(0x5678), at: 0x6_1002)
        #expect(try svm.launch("mov ax, 0x6000\nmov ds, ax\nmov bx, [2]\nhlt", bits: 16) == .exit(0x78))
        #expect(svm.machine.state.rbx & 0xFFFF == 0x5678)
        svm.machine.write(UInt64(0), at: svm.nestedEntry(0x6_0000))
        svm[.rip] = 0
        #expect(try svm.enter() == .exit(0x400))
        #expect(svm[.exitInformation1] == Self.final | 4 && svm[.exitInformation2] == 0x6_0002)
    }

    @Test func writeProtectAndExecuteDisableOfTheGuestDoNotTouchTheNestedLevel() throws {
        // CR0.WP clear lets the guest's supervisor write its read-only pages, not those of the nested tables.
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm[.cr0] &= ~CR0.WP
        svm[.efer] &= ~EFER.NXE
        svm.machine.write(UInt64(0x6_0000 | 5), at: svm.nestedEntry(0x6_0000))
        #expect(try svm.launch("mov [0x60000], eax") == .exit(0x400))
        svm.machine.write(Entry.XD | 0x6_0000 | 7, at: svm.nestedEntry(0x6_0000))
        #expect(try svm.launch("mov eax, 0x60000\njmp rax") == .exit(0x400))
        #expect(svm[.exitInformation1] & 16 != 0)
    }

    @Test func withoutNXEInTheHostBit63IsReserved() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.machine.state.efer &= ~EFER.NXE
        svm.machine.write(Entry.XD | 0x6_0000 | 7, at: svm.nestedEntry(0x6_0000))
        #expect(try svm.launch("mov eax, [0x60000]") == .exit(0x400))
        #expect(svm[.exitInformation1] == Self.final | 4 | 8 | 1)
    }

    @Test func faultsDuringDeliveryTellTheEvent() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.machine.write(UInt64(0), at: svm.nestedEntry(0x6_0000))
        svm[.rsp] = 0x6_1000
        #expect(try svm.launch("int 0x80") == .exit(0x400))
        #expect(svm[.exitInterruptInformation] == 1 << 31 | 4 << 8 | 0x80)
        #expect(svm[.exitInformation2] & ~0xFFF == 0x6_0000)
        #expect(svm[.rip] == SVMMachine.Place.guestCode)
    }

    // MARK: Paging state

    @Test func theGuestHasAPATOfItsOwn() throws {
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x78)
        let host = svm.machine.state.pat
        svm[.guestPAT] = 0x0606_0606_0606_0606
        let code = "mov ecx, 0x277\nrdmsr\nmov ebx, eax\nmov eax, 0x04040404\nmov edx, eax\nwrmsr\nhlt"
        #expect(try svm.launch(code) == .exit(0x78))
        #expect(svm.machine.state.rbx == 0x0606_0606)
        #expect(svm[.guestPAT] == 0x0404_0404_0404_0404)
        #expect(svm.machine.state.pat == host)
        // Without nested paging there is one PAT, and the guest writes it.
        svm[.nestedPaging] = 0
        svm[.rip] = SVMMachine.Place.guestCode
        #expect(try svm.enter() == .exit(0x78))
        #expect(svm.machine.state.pat == 0x0404_0404_0404_0404)
    }

    @Test func pageDirectoryPointersAreReadByWalks() throws {
        // A guest with PAE paging whose second PDPE is wrong: nothing happens until it is used (section 15.25.10).
        let svm = try SVMMachine()
        svm.useNestedPaging()
        svm.intercept(0x78)
        svm.intercept(0x4E)
        svm[.efer] = EFER.SVME
        svm[.csSelector] = UInt64(TestMachine.Selectors.code32)
        svm[.csAttributes] = 0xC9B
        svm[.cr3] = 0x6_0020
        svm.machine.write(UInt64(0x6_1000 | 1), at: 0x6_0020)
        svm.machine.write(UInt64(0x6_1000 | 3), at: 0x6_0028)
        svm.machine.write(UInt64(0x83 | 4), at: 0x6_1000)
        #expect(try svm.launch("mov eax, cr3\nmov cr3, eax\nmov ebx, [0x40000000]\nhlt", bits: 32) == .exit(0x4E))
        #expect(svm[.exitInformation1] == 8 | 1)
        #expect(svm[.exitInformation2] == 0x4000_0000)
        // Mended in memory, without another MOV to CR3.
        svm.machine.write(UInt64(0x6_1000 | 1), at: 0x6_0028)
        #expect(try svm.enter() == .exit(0x78))
    }

    // MARK: The host's kind of paging (section 15.25.3)

    /// A 32-bit host, with PAE paging or 4-byte entries, whose nested tables map 60000H to 61000H.
    private func runUnderLegacyHost(pae: Bool, guest: String) throws -> SVMMachine {
        let svm = try SVMMachine(guest: .protected)
        let machine = svm.machine
        let host: UInt64 = 0x7_0000
        let nested: UInt64 = 0x7_4000
        for root in [host, nested] {
            if pae {
                machine.write(root + 0x1000 | 1, at: root)
                machine.write(root + 0x2000 | 7, at: root + 0x1000)
                for index in UInt64(1)..<512 { machine.write(index << 21 | 0x87, at: root + 0x1000 + index * 8) }
                for index in UInt64(0)..<512 { machine.write(index << 12 | 7, at: root + 0x2000 + index * 8) }
            } else {
                machine.write(UInt32(root + 0x2000 | 7), at: root)
                machine.write(UInt32(0x0040_0000 | 0x87), at: root + 4)
                for index in UInt32(0)..<1024 { machine.write(index << 12 | 7, at: root + 0x2000 + UInt64(index) * 4) }
            }
        }
        if pae {
            machine.write(UInt64(0x6_1000 | 7), at: nested + 0x2000 + 0x60 * 8)
            machine.write(UInt64(0), at: nested + 0x2000 + 0x62 * 8)
        } else {
            machine.write(UInt32(0x6_1000 | 7), at: nested + 0x2000 + 0x60 * 4)
            machine.write(UInt32(0), at: nested + 0x2000 + 0x62 * 4)
        }
        machine.write(UInt32(0x4321), at: 0x6_1008)
        machine.write(
            try Assembler(mode: .bits32, origin: SVMMachine.Place.guestCode).assemble(guest).bytes,
            at: SVMMachine.Place.guestCode)
        machine.prepare(.protected)
        machine.state.cr4 = pae ? CR4.PAE : CR4.PSE
        machine.state.cr3 = host
        machine.state.pdpte = (host + 0x1000 | 1, 0, 0, 0)
        machine.state.cr0 |= CR0.PG
        machine.state.efer = EFER.SVME
        svm.processor.updateMode()
        svm.processor.flushTLB()
        svm[.nestedPaging] = 1
        svm[.nestedCR3] = nested
        svm[.guestPAT] = 0x0007_0406_0007_0406
        svm.intercept(0x78)
        try machine.load("vmrun\nhlt")
        machine.state.rax = SVMMachine.Place.vmcb
        #expect(machine.run() == .halted)
        #expect(machine.state.rip == TestMachine.Layout.code + 4)
        return svm
    }

    @Test(arguments: [true, false])
    func nestedTablesFollowTheHostsPaging(pae: Bool) throws {
        let svm = try runUnderLegacyHost(pae: pae, guest: "mov eax, [0x60008]\nhlt")
        #expect(svm[.exitCode] == 0x78)
        #expect(svm[.rax] == 0x4321)
        let fault = try runUnderLegacyHost(pae: pae, guest: "mov [0x62004], eax\nhlt")
        #expect(fault[.exitCode] == 0x400)
        #expect(fault[.exitInformation1] == Self.final | 4 | 2)
        #expect(fault[.exitInformation2] == 0x6_2004)
    }

    @Test func shadowPagingUsesTheVMCBsCR3() throws {
        // Without nested paging CR3 of the VMCB leads to system-physical tables: 60000H to 61000H there.
        let svm = try SVMMachine()
        svm.intercept(0x4E)
        svm.intercept(0x78)
        let root: UInt64 = 0x7_0000
        svm.machine.write(root + 0x1000 | 7, at: root)
        svm.machine.write(root + 0x2000 | 7, at: root + 0x1000)
        svm.machine.write(root + 0x3000 | 7, at: root + 0x2000)
        for index in UInt64(0)..<512 { svm.machine.write(index << 12 | 7, at: root + 0x3000 + index * 8) }
        svm.machine.write(UInt64(0x6_1000 | 7), at: root + 0x3000 + 0x60 * 8)
        svm.machine.write(UInt64(0), at: root + 0x3000 + 0x62 * 8)
        svm.machine.write(UInt32(0x99), at: 0x6_1000)
        svm[.cr3] = root
        #expect(try svm.launch("mov ebx, [0x60000]\nmov ecx, [0x62000]\nhlt") == .exit(0x4E))
        #expect(svm.machine.state.rbx == 0x99)
        svm.machine.write(UInt64(0x6_2000 | 7), at: root + 0x3000 + 0x62 * 8)
        svm[.tlbControl] = 1
        #expect(try svm.enter() == .exit(0x78))
    }
}
