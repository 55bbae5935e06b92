import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// Guests of an AMD machine under AMD-V, with nested and with shadow page tables: what the bare machine does.
@Suite(.serialized) struct SVMTechniqueTests {
    private func guest(_ boot: BootSource, _ technique: Technique, _ paging: Paging? = nil) throws -> Guest {
        var configuration = GuestConfiguration(boot: boot)
        configuration.memory = 16 << 20
        configuration.model = .amd64
        configuration.hypervisor = HypervisorConfiguration(technique, paging: paging)
        return try Guest(configuration)
    }

    @Test(arguments: Program.all, [Paging.nested, .shadow])
    func programsLeaveTheSameState(program: Program, paging: Paging) throws {
        let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(program.source)
        let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
        let bare = try guest(boot, .bare)
        let other = try guest(boot, .svm, paging)
        for slice: UInt64 in [1, 1, 1, 7, 13, 100, 977, 100_000] {
            #expect(bare.step(slice).reason == other.step(slice).reason)
            #expect(bare.instructions == other.instructions)
            for name in ["rip", "rax", "rcx", "rdx", "rbx", "rsp", "rflags"] {
                #expect(bare.cpu[name] == other.cpu[name], "\(name) after \(bare.instructions)")
            }
            try #require(bare.digest == other.digest, "after \(bare.instructions) instructions")
        }
    }

    @Test func svmInstructionsDoNotExistForTheGuest() throws {
        // At ring 3 too #UD, though the machine's EFER.SVME is set; the handler of vector 6 halts.
        for paging in [Paging.nested, .shadow] {
            let source = "mov ecx, 0xc0000080\nrdmsr\nmov ebx, eax\nvmrun\nhlt"
            let assembled = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(source)
            let boot = BootSource.flat(assembled.bytes, at: 0x10_0000, mode: .long)
            let bare = try guest(boot, .bare)
            let other = try guest(boot, .svm, paging)
            #expect(bare.step(20).reason == other.step(20).reason)
            #expect(other.cpu["rbx"] == bare.cpu["rbx"] && other.cpu["rip"] == bare.cpu["rip"])
        }
    }

    /// The unmodified Debian kernel boots to its shell with the digest of a bare boot.
    @Test(arguments: [Paging.nested, .shadow])
    func linuxBootsAsOnTheBareMachine(paging: Paging) throws {
        let linux = try LinuxGuest()
        func boot(_ technique: Technique, _ paging: Paging?) throws -> (Guest, String) {
            var configuration = linux.configuration(try linux.pvh())
            configuration.model = .amd64
            configuration.hypervisor = HypervisorConfiguration(technique, paging: paging)
            let guest = try Guest(configuration)
            let found = guest.console.wait(for: "\n# ", limits: RunLimits(time: 30_000_000_000))
            #expect(found.match != nil)
            return (guest, String(decoding: guest.console.output, as: UTF8.self))
        }
        let (bare, expected) = try boot(.bare, nil)
        let (other, output) = try boot(.svm, paging)
        #expect(output == expected)
        #expect(other.instructions == bare.instructions)
        #expect(other.digest == bare.digest)
    }
}
