import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout

/// What the comparison with the host's processor cannot see of string instructions: counting, stopping, ports.
@Suite struct GeneralStringTests {
    private static let source: UInt64 = 0x10_0000
    private static let target: UInt64 = 0x11_0000

    private func machine(blockCacheEnabled: Bool = true) throws -> TestMachine {
        let machine = try TestMachine(blockCacheEnabled: blockCacheEnabled)
        machine.prepare(.long)
        machine.state.rsi = Self.source
        machine.state.rdi = Self.target
        return machine
    }

    @Test(arguments: [(0, 1), (1, 1), (5, 5), (5000, 5000)])
    func eachIterationCountsOneAndNoneCountsOne(count: UInt64, counts: UInt64) throws {
        let machine = try machine()
        machine.state.rcx = count
        try machine.load("rep movsb\nhlt")
        #expect(machine.run(10_000) == .halted)
        // HLT counts too.
        #expect(machine.state.time == counts + 1)
        #expect(machine.state.rcx == 0)
        #expect(machine.state.rdi == Self.target + count)
    }

    @Test(arguments: ["rep movsd", "rep stosd", "rep lodsd", "repe cmpsd", "repne scasd"], [true, false])
    func aRunEndsBetweenIterationsAndGoesOnThere(instruction: String, blockCacheEnabled: Bool) throws {
        let machine = try machine(blockCacheEnabled: blockCacheEnabled)
        machine.state.rcx = 10
        machine.state.rax = 1
        try machine.load(instruction + "\nhlt")
        #expect(machine.run(4) == .deadline)
        #expect(machine.state.rip == Layout.code)
        #expect(machine.state.rcx == 6)
        #expect(machine.state.time == 4)
        #expect(machine.run() == .halted)
        #expect(machine.state.rcx == 0)
        #expect(machine.state.time == 11)
    }

    @Test func comparisonsEndWithTheConditionAndCountWhatTheyDid() throws {
        let machine = try machine()
        machine.write(Array("needle in".utf8) + [0], at: Self.target)
        machine.state.rcx = 100
        try machine.load("repne scasb\nhlt")
        machine.run()
        // The zero byte is the tenth.
        #expect(machine.state.rdi == Self.target + 10)
        #expect(machine.state.rcx == 90)
        #expect(machine.state.rflags & RFLAGS.ZF != 0)
        #expect(machine.state.time == 11)
    }

    /// Overlapping moves repeat what they have written; a model of one element at a time says what comes out.
    @Test(arguments: [1, 2, 4, 8], [-9, -8, -3, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 4096])
    func overlappingMovesGoElementByElement(bytes: Int, distance: Int) throws {
        let machine = try machine()
        var model = (0..<16384).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 5) }
        machine.write(model, at: Self.source - 4096)
        let count = 5000 / bytes
        machine.state.rdi = Self.source &+ UInt64(bitPattern: Int64(distance))
        machine.state.rcx = UInt64(count)
        let suffix = [1: "b", 2: "w", 4: "d", 8: "q"][bytes] ?? "b"
        try machine.load("rep movs\(suffix)\nhlt")
        #expect(machine.run(10_000) == .halted)
        for element in 0..<count {
            let from = 4096 + element * bytes
            let value = Array(model[from..<from + bytes])
            model.replaceSubrange(from + distance..<from + distance + bytes, with: value)
        }
        let result = (0..<16384).map { machine.read(Self.source - 4096 + UInt64($0), as: UInt8.self) }
        #expect(result == model)
        #expect(machine.state.rsi == Self.source + UInt64(count * bytes))
    }

    @Test func movesGoDownWithTheDirectionFlag() throws {
        let machine = try machine()
        machine.write([UInt8](1...8), at: Self.source)
        machine.state.rsi = Self.source + 7
        machine.state.rdi = Self.target + 7
        machine.state.rcx = 8
        try machine.load("std\nrep movsb\nhlt")
        machine.run()
        #expect(machine.read(Self.target, as: UInt64.self) == 0x0807_0605_0403_0201)
        #expect(machine.state.rsi == Self.source - 1)
        #expect(machine.state.rdi == Self.target - 1)
    }

    /// A fill over code that was executed before: the new bytes are executed.
    @Test func fillsReachCodeThatIsCached() throws {
        let machine = try machine()
        let labels = try machine.load(
            """
            call victim
            mov rdi, victim
            mov al, 0x90
            mov ecx, 2
            rep stosb
            call victim
            hlt
            times 64 nop
            victim: inc ebx
            ret
            """)
        machine.state.rbx = 0
        #expect(machine.run() == .halted)
        #expect(machine.state.rbx == 1)
        #expect(labels["victim"] != nil)
    }

    /// STOSB changes its own prefix to NOP with the fourth iteration, so the bytes behind are what is executed next: NOP,
    /// and STOSB once.
    @Test(arguments: [true, false])
    func iterationsThatWriteOverTheirInstructionEndIt(blockCacheEnabled: Bool) throws {
        let machine = try machine(blockCacheEnabled: blockCacheEnabled)
        machine.state.rdi = Layout.code - 3
        machine.state.rax = 0x90
        machine.state.rcx = 10
        try machine.load("rep stosb\nhlt")
        #expect(machine.run(100) == .halted)
        #expect(machine.state.rcx == 6)
        // With the fifth element STOSB itself has been overwritten; it had been fetched.
        #expect(machine.state.rdi == Layout.code + 2)
        #expect(machine.read(Layout.code, as: UInt16.self) == 0x9090)
        // Four iterations, NOP, STOSB, HLT.
        #expect(machine.state.time == 7)
    }

    @Test func indicesWrapAtTheAddressSize() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.rdi = 0xABCD_FFFE
        machine.state.rcx = 0x1234_0004
        machine.state.rax = 0x5A
        machine.write(UInt32(0), at: 0)
        try machine.load("a16 rep stosb\nhlt")
        #expect(machine.run() == .halted)
        #expect(machine.read(0xFFFE, as: UInt16.self) == 0x5A5A)
        #expect(machine.read(0, as: UInt32.self) == 0x5A5A)
        #expect(machine.state.rdi == 0xABCD_0002)
        #expect(machine.state.rcx == 0x1234_0000)
    }

    @Test func aFaultLeavesWhatWasDoneAndTheInstructionResumes() throws {
        let machine = try TestMachine()
        machine.prepare(.protected)
        machine.state.es.limit = 0x10_0005
        machine.state.rdi = 0x10_0000
        machine.state.rcx = 10
        machine.processor.updateMode()
        try machine.load("rep stosb\nhlt")
        machine.run()
        #expect(machine.stoppedVector == 13)
        #expect(machine.state.rcx == 4)
        #expect(machine.state.rdi == 0x10_0006)
        // Six iterations, the delivery, and the handler's HLT.
        #expect(machine.state.time == 8)
        // The return address on the handler's stack is the instruction itself.
        #expect(machine.stack(1) == Layout.code)
    }

    @Test func singleStepStopsAfterEachIteration() throws {
        let machine = try machine()
        machine.state.rcx = 3
        machine.state.rflags |= RFLAGS.TF
        try machine.load("rep stosb\nhlt")
        machine.run()
        #expect(machine.stoppedVector == 1)
        #expect(machine.state.rcx == 2)
        #expect(machine.stack(0) == Layout.code)
    }

    @Test func portsTakeAndGiveStrings() throws {
        let machine = try machine()
        machine.write([1, 2, 3, 4] as [UInt8], at: Self.source)
        machine.portValues[0x60] = 0x77
        machine.state.rdx = 0x60
        try machine.load("mov ecx, 2\nrep outsw\nmov ecx, 3\nrep insb\nhlt")
        #expect(machine.run() == .halted)
        #expect(machine.portWrites.map(\.value) == [0x0201, 0x0403])
        #expect(machine.portWrites.map(\.width) == [2, 2])
        #expect(machine.read(Self.target, as: UInt32.self) == 0x77_7777)
        #expect(machine.state.time == 1 + 2 + 1 + 3 + 1)
    }
}
