import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout

/// Which paging structures translate.
private enum PagingMode: CaseIterable, Sendable { case legacy, pae, fourLevel }

private enum Access: CaseIterable, Sendable { case read, write, fetch }

/// What the rights of an access depend on (SDM volume 3 section 4.6.1).
private struct Rights {
    var access: Access
    var isUserMode: Bool
    /// R/W, U/S and XD of the entry that names the table and of the one that names the page.
    var directory: EntryBits
    var page: EntryBits
    var writeProtect: Bool
    var preventsExecution: Bool
    var preventsAccess: Bool
    var alignmentFlag: Bool

    struct EntryBits {
        var isWritable: Bool
        var isUser: Bool
        var isNoExecute: Bool

        static func all(noExecute: Bool) -> [EntryBits] {
            (0..<(noExecute ? 8 : 4)).map {
                EntryBits(isWritable: $0 & 1 != 0, isUser: $0 & 2 != 0, isNoExecute: $0 & 4 != 0)
            }
        }

        var word: UInt64 {
            1 | (isWritable ? 2 : 0) | (isUser ? 4 : 0) | (isNoExecute ? 1 << 63 : 0)
        }
    }

    /// The rules of section 4.6.1 as they are written there, one line for each of its cases.
    var isAllowed: Bool {
        let isUserPage = directory.isUser && page.isUser
        let isWritable = directory.isWritable && page.isWritable
        let isNoExecute = directory.isNoExecute || page.isNoExecute
        switch (access, isUserMode, isUserPage) {
        case (.read, false, false): return true
        case (.read, false, true): return !preventsAccess || alignmentFlag
        case (.write, false, false): return !writeProtect || isWritable
        case (.write, false, true):
            return (!writeProtect || isWritable) && (!preventsAccess || alignmentFlag)
        case (.fetch, false, false): return !isNoExecute
        case (.fetch, false, true): return !isNoExecute && !preventsExecution
        case (.read, true, true): return true
        case (.write, true, true): return isWritable
        case (.fetch, true, true): return !isNoExecute
        case (_, true, false): return false
        }
    }

    /// The error code of the page fault (section 4.7).
    func errorCode(hasNoExecute: Bool) -> UInt64 {
        1 | (access == .write ? 2 : 0) | (isUserMode ? 4 : 0)
            | (access == .fetch && (hasNoExecute || preventsExecution) ? 16 : 0)
    }
}

/// A machine with paging in which one page, and what leads to it, is free for tests.
///
/// The first 4 MiB are mapped one to one for supervisors; code of ring 3 has a page of its own.
private struct PagingMachine {
    static let linear: UInt64 = 0x4000_0000
    static let userCode: UInt64 = 0x8000_0000
    static let directoryEntry: UInt64 = 0x20_1000
    static let pageEntry: UInt64 = 0x20_2000
    static let frame: UInt64 = 0x20_3000
    static let codeFrame: UInt64 = 0x20_4000

    let machine: TestMachine
    let mode: PagingMode
    let isUserMode: Bool
    private let start: ProcessorState

    var hasNoExecute: Bool { mode != .legacy }

    init(_ mode: PagingMode, isUserMode: Bool) throws {
        machine = try TestMachine()
        self.mode = mode
        self.isUserMode = isUserMode
        machine.prepare(mode == .fourLevel ? .long : .protected, ring: isUserMode ? 3 : 0)
        var state = machine.state
        let spare: [UInt64] = [0x21_0000, 0x21_1000, 0x21_2000, 0x21_3000]
        switch mode {
        case .legacy:
            machine.write(UInt32(0x83), at: spare[0])
            machine.write(UInt32(Self.pageEntry | 7), at: spare[0] + 0x100 * 4)
            machine.write(UInt32(spare[1] | 7), at: spare[0] + 0x200 * 4)
            machine.write(UInt32(Self.codeFrame | 7), at: spare[1])
            state.cr3 = spare[0]
            state.cr4 |= CR4.PSE
        case .pae, .fourLevel:
            // Regions of 1 GiB: identity, the page under test, code of ring 3.
            let pointers = spare[0]
            let rights: UInt64 = mode == .pae ? 1 : 7
            machine.write(spare[1] | rights, at: pointers)
            machine.write(Self.directoryEntry | rights, at: pointers + 8)
            machine.write(spare[2] | rights, at: pointers + 16)
            machine.write(UInt64(0x83), at: spare[1])
            machine.write(UInt64(0x20_0083), at: spare[1] + 8)
            machine.write(spare[3] | 7, at: spare[2])
            machine.write(Self.codeFrame | 7, at: spare[3])
            state.cr4 |= CR4.PAE
            state.efer |= EFER.NXE
            if mode == .pae {
                state.pdpte = (spare[1] | 1, Self.directoryEntry | 1, spare[2] | 1, 0)
                state.cr3 = pointers
            } else {
                machine.write(pointers | 7, at: Layout.pageTables)
            }
        }
        state.cr0 |= CR0.PG
        state.rbx = Self.linear
        state.rax = 0x9090_9090
        state.rip = isUserMode ? Self.userCode : Layout.code
        // MOV EAX, [EBX or RBX]; MOV [EBX or RBX], EAX.
        machine.write([0x8B, 0x03, 0x89, 0x03], at: isUserMode ? Self.codeFrame : Layout.code)
        machine.write([UInt8](repeating: 0x90, count: 16), at: Self.frame)
        start = state
    }

    private var directoryAddress: UInt64 { mode == .legacy ? 0x21_0000 + 0x100 * 4 : Self.directoryEntry }

    func setEntries(directory: UInt64, page: UInt64) {
        let values = [(directoryAddress, directory | Self.pageEntry), (Self.pageEntry, page | Self.frame)]
        for (address, value) in values {
            if mode == .legacy {
                machine.write(UInt32(truncatingIfNeeded: value), at: address)
            } else {
                machine.write(value, at: address)
            }
        }
    }

    var directory: UInt64 { machine.read(directoryAddress) & (mode == .legacy ? 0xFFFF_FFFF : .max) }
    var page: UInt64 { machine.read(Self.pageEntry) & (mode == .legacy ? 0xFFFF_FFFF : .max) }

    /// Makes the access, and gives the error code if it page-faulted.
    func access(_ access: Access, _ change: (inout ProcessorState) -> Void) -> UInt64? {
        var state = start
        state.time = machine.state.time
        change(&state)
        switch access {
        case .read: break
        case .write: state.rip += 2
        case .fetch: state.rip = Self.linear
        }
        machine.state = state
        machine.processor.updateMode()
        machine.processor.flushTLB()
        machine.step()
        return machine.state.rip == TestMachine.handler(14) ? machine.stack(0) : nil
    }
}

@Suite struct SystemPagingTests {
    /// Every combination of rights, with the error code, CR2, and the accessed and dirty flags of accesses that succeed.
    @Test(arguments: PagingMode.allCases, [false, true])
    private func rightsAreThoseOfTheManual(mode: PagingMode, isUserMode: Bool) throws {
        let subject = try PagingMachine(mode, isUserMode: isUserMode)
        var mistakes = 0
        for directory in Rights.EntryBits.all(noExecute: subject.hasNoExecute) {
            for page in Rights.EntryBits.all(noExecute: subject.hasNoExecute) {
                for controls in 0..<16 {
                    for access in Access.allCases {
                        let rights = Rights(
                            access: access, isUserMode: isUserMode, directory: directory, page: page,
                            writeProtect: controls & 1 != 0, preventsExecution: controls & 2 != 0,
                            preventsAccess: controls & 4 != 0, alignmentFlag: controls & 8 != 0)
                        if let mistake = Self.mistake(of: rights, subject) {
                            mistakes += 1
                            if mistakes < 5 { Issue.record("\(mistake): \(rights)") }
                        }
                    }
                }
            }
        }
        #expect(mistakes == 0)
    }

    private static func mistake(of rights: Rights, _ subject: PagingMachine) -> String? {
        subject.setEntries(directory: rights.directory.word, page: rights.page.word)
        let code = subject.access(rights.access) { state in
            state.cr0 = state.cr0 & ~CR0.WP | (rights.writeProtect ? CR0.WP : 0)
            state.cr4 |= (rights.preventsExecution ? CR4.SMEP : 0) | (rights.preventsAccess ? CR4.SMAP : 0)
            if rights.alignmentFlag { state.rflags |= RFLAGS.AC }
        }
        let accessed: UInt64 = 0x20
        let dirty: UInt64 = 0x40
        guard rights.isAllowed else {
            guard let code else { return "no page fault" }
            let expected = rights.errorCode(hasNoExecute: subject.hasNoExecute)
            if code != expected { return "error code \(code) instead of \(expected)" }
            if subject.machine.state.cr2 != PagingMachine.linear { return "wrong CR2" }
            return subject.page & dirty == 0 ? nil : "dirty after a fault"
        }
        if let code { return "page fault \(code)" }
        if subject.directory & accessed == 0 || subject.page & accessed == 0 { return "not accessed" }
        if (subject.page & dirty != 0) != (rights.access == .write) { return "wrong dirty flag" }
        return subject.directory & dirty == 0 ? nil : "a table is dirty"
    }

    @Test(arguments: PagingMode.allCases)
    private func absentEntriesClearTheLowestBitOfTheErrorCode(mode: PagingMode) throws {
        for isUserMode in [false, true] {
            let subject = try PagingMachine(mode, isUserMode: isUserMode)
            let user: UInt64 = isUserMode ? 4 : 0
            let fetch: UInt64 = mode == .legacy ? 0 : 16
            for (directory, page): (UInt64, UInt64) in [(6, 7), (7, 6), (7, 0x8000_0000)] {
                subject.setEntries(directory: directory, page: page)
                #expect(subject.access(.read) { _ in } == user)
                #expect(subject.access(.write) { _ in } == user | 2)
                #expect(subject.access(.fetch) { _ in } == user | fetch)
                // Whether execution is prevented is then told for legacy paging too.
                #expect(subject.access(.fetch) { $0.cr4 |= CR4.SMEP } == user | 16)
            }
        }
    }

    /// Bits that must be zero in a present entry fault whatever the rights (section 4.7).
    @Test func reservedBitsFaultWithTheirOwnErrorBit() throws {
        let width = ProcessorModel().physicalAddressWidth
        for mode in [PagingMode.pae, .fourLevel] {
            let subject = try PagingMachine(mode, isUserMode: true)
            var reserved: [UInt64] = [1 << UInt64(width), 1 << 51]
            // Bits 52...62 are ignored with four levels and reserved with PAE.
            if mode == .pae { reserved.append(1 << 62) }
            for bit in reserved {
                subject.setEntries(directory: 7, page: 7 | bit)
                #expect(subject.access(.read) { _ in } == 13)
                subject.setEntries(directory: 7 | bit, page: 7)
                #expect(subject.access(.write) { _ in } == 15)
                // An entry that is not present reserves nothing.
                subject.setEntries(directory: 7, page: 6 | bit)
                #expect(subject.access(.read) { _ in } == 4)
            }
            if mode == .fourLevel {
                subject.setEntries(directory: 7, page: 7 | 1 << 62)
                #expect(subject.access(.read) { _ in } == nil)
            }
            // XD is reserved while IA32_EFER.NXE is clear; then fetches are not told apart either.
            subject.setEntries(directory: 7, page: 7 | 1 << 63)
            #expect(subject.access(.read) { _ in } == nil)
            #expect(subject.access(.read) { $0.efer &= ~EFER.NXE } == 13)
            subject.setEntries(directory: 7, page: 3)
            #expect(subject.access(.fetch) { $0.efer &= ~EFER.NXE } == 5)
            #expect(subject.access(.fetch) { _ in } == 21)
        }
    }

    @Test func largePagesReserveTheLowAddressBits() throws {
        let subject = try PagingMachine(.fourLevel, isUserMode: false)
        // A page of 2 MiB at 2 MiB, then one whose address has bit 13 set; bit 12 is PAT.
        for (entry, code): (UInt64, UInt64?) in [(0x20_0083, nil), (0x20_1083, nil), (0x20_2083, 9), (0x30_0083, 9)] {
            subject.machine.write(entry, at: PagingMachine.directoryEntry)
            #expect(subject.access(.read) { $0.rbx = PagingMachine.linear + 0x3000 } == code)
        }
        #expect(subject.machine.state.cr2 == PagingMachine.linear + 0x3000)
        // Without CR4.PSE a legacy entry's bit 7 has no meaning.
        let legacy = try PagingMachine(.legacy, isUserMode: false)
        legacy.setEntries(directory: 0x83, page: 3)
        #expect(legacy.access(.read) { _ in } == 9)
    }

    @Test func translationsAreKeptApartByProcessContextAndFoundAgain() throws {
        // The engine's translations are coherent with the tables, so what INVPCID and CR3 must do shows as no change.
        let machine = try TestMachine()
        machine.prepare(.long)
        machine.state.cr4 |= CR4.PCIDE
        machine.processor.updateMode()
        try machine.load(
            """
                mov rax, cr3
                or rax, 5
                mov cr3, rax
                mov rbx, cr3
                mov r8, 0x8000000000000006
                and rax, -4096
                or rax, r8
                mov cr3, rax
                mov rcx, cr3
                lea rdi, [rel descriptor]
                xor edx, edx
                invpcid rdx, [rdi]
                mov edx, 1
                invpcid rdx, [rdi]
                mov edx, 2
                invpcid rdx, [rdi]
                mov edx, 3
                invpcid rdx, [rdi]
                hlt
            descriptor: dq 6, 0x1000
            """)
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == nil)
        #expect(machine.state.rbx == Layout.pageTables | 5)
        // Bit 63 keeps translations and is not stored.
        #expect(machine.state.rcx == Layout.pageTables | 6)
    }

    @Test(arguments: [
        "mov edx, 4", "mov qword [rdi], 0x1006\nmov edx, 1", "mov rcx, 0x800000000000\nmov [rdi + 8], rcx",
    ])
    func contextInvalidationRefusesBadOperands(change: String) throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load(
            """
                lea rdi, [rel descriptor]
                xor edx, edx
                \(change)
                invpcid rdx, [rdi]
                hlt
            descriptor: dq 6, 0
            """)
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 13)
    }
}
