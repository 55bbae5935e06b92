import Testing
import X86
import X86Engine

private typealias Layout = TestMachine.Layout
private typealias Selectors = TestMachine.Selectors

/// Addresses that are not canonical (SDM volume 1 section 3.3.7.1).
@Suite struct SystemCanonicalTests {
    private static let hole = "0x800000000000"

    /// References that use RSP or RBP as base are to the stack and give #SS(0), all others #GP(0).
    @Test(arguments: [
        ("mov eax, [rcx]", UInt8(13)), ("mov [rcx + rsi], al", 13), ("mov eax, [rbp + 8]", 12),
        ("add dword [rbp + rsi], 1", 12), ("mov eax, [rsi + rbp]", 13), ("mov eax, [ds:rbp]", 12),
        ("mov eax, [fs:rbp]", 13), ("push qword [rcx]", 13), ("push qword [rbp]", 12), ("lodsb", 13), ("stosb", 13),
        ("call [rcx]", 13), ("fxsave [rcx]", 13), ("fxsave [rbp]", 12), ("cmpxchg16b [rcx]", 13), ("lgdt [rcx]", 13),
        ("movups xmm0, [rbp]", 12), ("invlpg [rcx]", 0xFF), ("clflush [rcx]", 13), ("prefetcht0 [rcx]", 0xFF),
        ("lea rax, [rcx]", 0xFF), ("nop dword [rcx]", 0xFF), ("bt [rcx], eax", 13), ("xlatb", 13), ("cmpsb", 13),
    ])
    func dataReferencesFaultByTheirBase(source: String, vector: UInt8) throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        // The sum of two of them is not canonical either.
        try machine.load(
            """
                mov rcx, \(Self.hole)
                mov rbp, rcx
                mov rsi, rcx
                mov rdi, rcx
                mov rbx, rcx
                mov eax, 3
                \(source)
                hlt
            """)
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == (vector == 0xFF ? nil : vector), "\(source)")
        if vector != 0xFF { #expect(machine.stack(0) == 0) }
    }

    @Test(arguments: [
        ("push rax", UInt8(12)), ("pop rax", 12), ("call next\nnext: nop", 12), ("ret", 12), ("pushfq", 12),
        ("enter 8, 0", 12), ("iretq", 12), ("retf", 12), ("mov rbp, rsp\nleave", 12),
    ])
    func stackPointerThatIsNotCanonicalIsAStackFault(source: String, vector: UInt8) throws {
        let machine = try TestMachine()
        machine.prepare(.long, ring: 3)
        #expect(try machine.runToHalt("mov rsp, 0x800000000010\n\(source)\nud2") == vector, "\(source)")
        #expect(machine.stack(0) == 0)
    }

    /// Targets that are not canonical fault at the branch, before anything has changed.
    @Test(arguments: [
        ("jmp rcx", "", UInt64(0)), ("call rcx", "", 0), ("ret", "push rcx", 8), ("ret 16", "push rcx", 8),
        ("retfq", "push \(Selectors.code64)\npush rcx", 16),
    ])
    func branchesFaultWhereTheyAre(branch: String, before: String, pushed: UInt64) throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        let labels = try machine.load("mov rcx, \(Self.hole)\n\(before)\nhere: \(branch)")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 13)
        #expect(machine.stack(0) == 0)
        #expect(machine.stack(1) == labels["here"])
        #expect(machine.stack(4) == Layout.kernelStack - pushed)
    }

    @Test func fallingOffTheLowHalfFaultsAtTheFirstAddressBehindIt() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        // The last page of the lower half leads to a page of NOPs.
        for (index, table): (UInt64, UInt64) in [(0, 0x20_0000), (1, 0x20_1000), (2, 0x20_2000)] {
            let parent = index == 0 ? Layout.pageTables + 255 * 8 : 0x20_0000 + (index - 1) * 0x1000 + 511 * 8
            machine.write(table | 7, at: parent)
        }
        machine.write(UInt64(0x20_3007), at: 0x20_2000 + 511 * 8)
        machine.write([UInt8](repeating: 0x90, count: 4096), at: 0x20_3000)
        machine.state.rip = 0x7FFF_FFFF_FFFE
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 13)
        #expect(machine.stack(0) == 0)
        #expect(machine.stack(1) == 0x8000_0000_0000)
    }

    @Test(arguments: ["0xC0000082", "0xC0000100", "0xC0000101", "0xC0000102", "0x175", "0x176"])
    func registersThatHoldAddressesRefuseThem(index: String) throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        try machine.load("mov ecx, \(index)\nxor eax, eax\nmov edx, 0x8000\nwrmsr\nhlt")
        #expect(machine.run() == .halted)
        #expect(machine.stoppedVector == 13)
        #expect(machine.stack(0) == 0)
    }

    @Test func accessThatBeginsCanonicalAndEndsInTheHoleFaults() throws {
        let machine = try TestMachine()
        machine.prepare(.long)
        #expect(try machine.runToHalt("mov rcx, 0x7ffffffffffd\nmov eax, [rcx]") == 13)
        let stack = try TestMachine()
        stack.prepare(.long)
        #expect(try stack.runToHalt("mov rbp, 0x7ffffffffffd\nmov eax, [rbp]") == 12)
    }
}
