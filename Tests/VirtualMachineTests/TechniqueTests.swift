import Hypervisors
import Testing
import VirtualMachine
import X86

/// Every guest under every technique that can run it: same output, same digest.
@Suite struct TechniqueTests {
    private static let techniques: [Technique] = [.translate, .trapAndEmulate]

    private func guest(_ boot: BootSource, _ technique: Technique) throws -> Guest {
        var configuration = GuestConfiguration(boot: boot)
        configuration.memory = 16 << 20
        configuration.technique = technique
        return try Guest(configuration)
    }

    @Test(arguments: Program.all, techniques)
    func programsLeaveTheSameState(program: Program, technique: Technique) throws {
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(program.source)
        let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
        let bare = try guest(boot, .bare)
        let other = try guest(boot, technique)
        for slice: UInt64 in [1, 1, 1, 7, 13, 100, 977, 100_000] {
            #expect(bare.step(slice).reason == other.step(slice).reason)
            #expect(bare.instructions == other.instructions)
            for name in ["rip", "rax", "rcx", "rdx", "rbx", "rsp", "rflags"] {
                #expect(bare.cpu[name] == other.cpu[name], "\(name) after \(bare.instructions)")
            }
            try #require(bare.digest == other.digest, "after \(bare.instructions) instructions")
        }
    }
}
