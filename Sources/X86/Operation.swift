/// What an instruction does, independent of how it is encoded and of the operand size.
///
/// Mnemonics that differ only by size (MOVSB/MOVSW/MOVSD/MOVSQ, PUSHF/PUSHFD/PUSHFQ, IRET/IRETD/IRETQ) are one
/// operation; those that differ only by condition (Jcc, SETcc, CMOVcc) too, with `Instruction.condition`.
package enum Operation: UInt16, CaseIterable, Sendable {
    // General-purpose: data transfer (SDM vol. 1 section 5.1.1)
    case mov, movsx, movsxd, movzx, movbe, cmovcc, xchg, bswap, xadd, cmpxchg, cmpxchg8b, cmpxchg16b
    case push, pop, pusha, popa, cbw, cwde, cdqe, cwd, cdq, cqo, lea, xlat, movnti
    // Arithmetic and logic
    case add, adc, sub, sbb, and, or, xor, cmp, test, inc, dec, neg, not, mul, imul, div, idiv, adcx, adox
    case daa, das, aaa, aas, aam, aad
    // Shifts, rotates, bits
    case rol, ror, rcl, rcr, shl, shr, sar, shld, shrd, bt, bts, btr, btc, bsf, bsr, setcc, popcnt, lzcnt, tzcnt, crc32
    case andn, bextr, blsi, blsmsk, blsr, bzhi, mulx, pdep, pext, rorx, sarx, shlx, shrx
    // Control transfer: near, then far
    case jcc, jcxz, loop, loope, loopne, jmp, call, ret, callFar, jmpFar, retFar
    case int, int3, int1, into, bound, iret, enter, leave, ud0, ud1, ud2, nop, pause, endbr32, endbr64
    // Strings
    case movs, cmps, scas, lods, stos, ins, outs
    // Input and output
    case `in`, out
    // Flags
    case clc, stc, cmc, cld, std, cli, sti, lahf, sahf, pushf, popf, clac, stac
    // Segments
    case lds, les, lfs, lgs, lss
    // Random numbers, time and identity
    case rdrand, rdseed, cpuid, rdtsc, rdtscp, rdpmc, rdpid
    // System (SDM vol. 1 section 5.20)
    case lgdt, sgdt, lidt, sidt, lldt, sldt, ltr, str, lmsw, smsw, clts, arpl, lar, lsl, verr, verw
    case invd, wbinvd, wbnoinvd, invlpg, invpcid, hlt, rsm, rdmsr, wrmsr
    case sysenter, sysexit, syscall, sysret, swapgs, rdfsbase, rdgsbase, wrfsbase, wrgsbase
    case monitor, mwait, xgetbv, xsetbv
    // VMX and SVM (refused with #UD until a processor model claims them)
    case vmcall, vmclear, vmlaunch, vmresume, vmptrld, vmptrst, vmread, vmwrite, vmxoff, vmxon, vmfunc, invept, invvpid
    case vmrun, vmmcall, vmload, vmsave, stgi, clgi, skinit, invlpga
    // Caches and fences
    case clflush, clflushopt, clwb, prefetch, prefetchw, prefetchnta, prefetcht0, prefetcht1, prefetcht2
    case lfence, mfence, sfence
    // State save areas
    case fxsave, fxrstor, xsave, xsavec, xsaveopt, xsaves, xrstor, xrstors, ldmxcsr, stmxcsr
}
