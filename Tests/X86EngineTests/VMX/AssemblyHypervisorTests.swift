import Testing
import X86
import X86Engine

@Suite struct AssemblyHypervisorTests {
    @Test func aHypervisorInAssemblyBootsAGuestOfItsOwn() throws {
        let machine = try TestMachine(model: .intel64VMX)
        machine.prepare(.long)
        machine.write(
            try Assembler(mode: .bits16, origin: 0).assemble(AssemblyHypervisor.guest).bytes,
            at: AssemblyHypervisor.bootSector)
        try machine.load(AssemblyHypervisor.source)
        #expect(machine.run(100_000) == .halted)
        let output = machine.portWrites.filter { $0.port == 0xE9 }.map { UInt8(truncatingIfNeeded: $0.value) }
        #expect(String(decoding: output, as: UTF8.self) == "guest of tiny monitor.")
        // The pages of the boot sector with its stack, of its data (500H) and of 20500H.
        #expect(machine.state.rax & 0xFFFF_FFFF == 3)
        #expect(machine.read(AssemblyHypervisor.guestMemory + 0x2_0500, as: UInt32.self) == 0x796E_6974)
        #expect(!machine.state.virtualization.vmx.isOperating)
    }
}
