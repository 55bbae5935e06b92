/// What an instruction does, independent of how it is encoded and of the operand size.
///
/// Mnemonics that differ only by size (MOVSB/MOVSW/MOVSD/MOVSQ, PUSHF/PUSHFD/PUSHFQ, IRET/IRETD/IRETQ) are one
/// operation; those that differ only by condition (Jcc, SETcc, CMOVcc) too, with `Instruction.condition`.
package enum Operation: UInt16, CaseIterable, Sendable {
    // General-purpose: data transfer (SDM volume 1 section 5.1.1)
    case mov, movsx, movsxd, movzx, movbe, cmovcc, xchg, bswap, xadd, cmpxchg, cmpxchg8b, cmpxchg16b
    case push, pop, pusha, popa, cbw, cwde, cdqe, cwd, cdq, cqo, lea, xlat, movnti
    // Arithmetic and logic
    case add, adc, sub, sbb, and, or, xor, cmp, test, inc, dec, neg, not, mul, imul, div, idiv, adcx, adox
    case daa, das, aaa, aas, aam, aad
    /// Undocumented D6, on every processor outside 64-bit mode: AL = CF ? FF : 0.
    case salc
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
    // System (SDM volume 1 section 5.20)
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

    // x87: data transfer and constants (SDM volume 1 section 5.2)
    case fld, fst, fstp, fild, fist, fistp, fisttp, fbld, fbstp, fxch, fcmovcc
    case fld1, fldz, fldpi, fldl2e, fldl2t, fldlg2, fldln2
    // x87: arithmetic
    case fadd, faddp, fiadd, fsub, fsubp, fisub, fsubr, fsubrp, fisubr
    case fmul, fmulp, fimul, fdiv, fdivp, fidiv, fdivr, fdivrp, fidivr
    case fprem, fprem1, fabs, fchs, frndint, fscale, fsqrt, fxtract
    // x87: comparison
    case fcom, fcomp, fcompp, fucom, fucomp, fucompp, ficom, ficomp, fcomi, fcomip, fucomi, fucomip, ftst, fxam
    // x87: transcendental functions
    case fsin, fcos, fsincos, fptan, fpatan, f2xm1, fyl2x, fyl2xp1
    // x87: control; the last three are no-operations since the 80387
    case fincstp, fdecstp, ffree, ffreep, fninit, fnclex, fnstcw, fldcw, fnstenv, fldenv, fnsave, frstor
    case fnstsw, fwait, fnop, fneni, fndisi, fnsetpm

    // MMX (SDM volume 1 section 5.4); the packed-integer operations also exist on XMM registers (SSE2)
    case movd, movq, emms
    case packsswb, packssdw, packuswb, punpckhbw, punpckhwd, punpckhdq, punpcklbw, punpcklwd, punpckldq
    case paddb, paddw, paddd, paddsb, paddsw, paddusb, paddusw, psubb, psubw, psubd, psubsb, psubsw, psubusb, psubusw
    case pmulhw, pmullw, pmaddwd, pcmpeqb, pcmpeqw, pcmpeqd, pcmpgtb, pcmpgtw, pcmpgtd
    case pand, pandn, por, pxor, psllw, pslld, psllq, psrlw, psrld, psrlq, psraw, psrad

    // SSE (SDM volume 1 section 5.5)
    case movaps, movups, movss, movhps, movhlps, movlps, movlhps, movmskps
    case addps, addss, subps, subss, mulps, mulss, divps, divss, rcpps, rcpss, sqrtps, sqrtss, rsqrtps, rsqrtss
    case maxps, maxss, minps, minss, cmpps, cmpss, comiss, ucomiss
    case andps, andnps, orps, xorps, shufps, unpckhps, unpcklps
    case cvtpi2ps, cvtsi2ss, cvtps2pi, cvttps2pi, cvtss2si, cvttss2si
    case pavgb, pavgw, pextrw, pinsrw, pmaxub, pmaxsw, pminub, pminsw, pmovmskb, pmulhuw, psadbw, pshufw
    case maskmovq, movntq, movntps

    // SSE2 (section 5.6)
    case movapd, movupd, movsd, movhpd, movlpd, movmskpd
    case addpd, addsd, subpd, subsd, mulpd, mulsd, divpd, divsd, sqrtpd, sqrtsd, maxpd, maxsd, minpd, minsd
    case andpd, andnpd, orpd, xorpd, cmppd, cmpsd, comisd, ucomisd, shufpd, unpckhpd, unpcklpd
    case cvtpd2pi, cvttpd2pi, cvtpi2pd, cvtpd2dq, cvttpd2dq, cvtdq2pd, cvtps2pd, cvtpd2ps, cvtss2sd, cvtsd2ss
    case cvtsd2si, cvttsd2si, cvtsi2sd, cvtdq2ps, cvtps2dq, cvttps2dq
    case movdqa, movdqu, movq2dq, movdq2q, pmuludq, paddq, psubq, pshuflw, pshufhw, pshufd, pslldq, psrldq
    case punpckhqdq, punpcklqdq, maskmovdqu, movntpd, movntdq

    // SSE3 (section 5.7)
    case lddqu, addsubps, addsubpd, haddps, hsubps, haddpd, hsubpd, movshdup, movsldup, movddup

    // SSSE3 (section 5.8)
    case phaddw, phaddsw, phaddd, phsubw, phsubsw, phsubd, pabsb, pabsw, pabsd, pmaddubsw, pmulhrsw, pshufb
    case psignb, psignw, psignd, palignr

    // SSE4.1 (section 5.10)
    case pmulld, pmuldq, dppd, dpps, movntdqa, blendpd, blendps, blendvpd, blendvps, pblendvb, pblendw
    case pminuw, pminud, pminsb, pminsd, pmaxuw, pmaxud, pmaxsb, pmaxsd, roundps, roundpd, roundss, roundsd
    case extractps, insertps, pinsrb, pinsrd, pinsrq, pextrb, pextrd, pextrq
    case pmovsxbw, pmovsxbd, pmovsxwd, pmovsxbq, pmovsxwq, pmovsxdq
    case pmovzxbw, pmovzxbd, pmovzxwd, pmovzxbq, pmovzxwq, pmovzxdq
    case mpsadbw, phminposuw, ptest, pcmpeqq, packusdw

    // SSE4.2 (section 5.11)
    case pcmpestri, pcmpestrm, pcmpistri, pcmpistrm, pcmpgtq
}
