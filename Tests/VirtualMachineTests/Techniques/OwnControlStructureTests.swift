import Hypervisors
import Testing
import VirtualMachine
import X86
import X86Engine

/// Guests that are hypervisors themselves and spoil their own control structures.
@Suite struct OwnControlStructureTests {
    /// A guest that is a hypervisor owns its control structure, and corrupts it while it is in use.
    @Test(arguments: Way.faithful, [1, 2, 3, 4] as [UInt64])
    func corruptedControlStructuresOfTheGuestsOwnHarmNobody(way: Way, seed: UInt64) throws {
        let code = try Assembler(mode: .bits64, origin: 0x10_0000).assemble(Self.hypervisor(seed))
        let boot = BootSource.flat(code.bytes, at: 0x10_0000, mode: .long)
        try expectSame(
            try Way.bare(boot, .intel64VMX, memory: 4 << 20), try way.guest(boot, .intel64VMX, memory: 4 << 20),
            slices: [100, 3000, 50_000], "seed \(seed)")
    }

    /// VMXON, a current VMCS, then rounds in which fields and bytes of it are overwritten before VMLAUNCH and VMRESUME.
    private static func hypervisor(_ seed: UInt64) -> String {
        """
        bits 64
            mov esp, 0x300000
            mov r9, \(seed &* 0x9E37_79B9_7F4A_7C15)
            mov r12, 6364136223846793005
            mov ecx, 0x3a
            rdmsr
            test al, 1
            jnz locked
            or al, 5
            wrmsr
        locked:
            mov rax, cr0
            bts rax, 5
            mov cr0, rax
            mov rax, cr4
            bts rax, 13
            mov cr4, rax
            mov ecx, 0x480
            rdmsr
            mov [0x200000], eax
            mov [0x201000], eax
            vmxon [rel region]
            vmclear [rel structure]
            vmptrld [rel structure]
            mov r13d, 400
        round:
            call number
            mov rdi, r9
            shr rdi, 40
            and edi, 0x6c1e
            call number
            vmwrite rdi, r9
            call number
            mov rsi, r9
            shr rsi, 33
            and esi, 0xff8
            mov [rsi + 0x201000], r9
            mov eax, [0x200000]
            test r9d, 7
            jz spoiled
            mov [0x201000], eax
        spoiled:
            vmlaunch
            vmresume
            vmread rbx, rdi
            vmptrst [rel last]
            test r9d, 0xf0
            jnz keep
            vmclear [rel structure]
            vmptrld [rel structure]
        keep:
            dec r13d
            jnz round
        end: jmp end
        number:
            imul r9, r12
            inc r9
            rol r9, 11
            ret
        align 8
        region: dq 0x200000
        structure: dq 0x201000
        last: dq 0
        """
    }
}
