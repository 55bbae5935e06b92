/// The host's own SSE and x87 units as an oracle: one instruction with given operands and control, its result and flags.
///
/// Only on x86-64; elsewhere `host_floating_point_available` is 0 and the functions are absent.
#ifndef VSCRIPT_HOST_FLOATING_POINT_ORACLE_H
#define VSCRIPT_HOST_FLOATING_POINT_ORACLE_H

#include <stdint.h>

#if defined(__x86_64__)

// Instructions on xmm0 (destination), xmm1 (source) and rcx (integer source or destination).
#define HOST_SSE_INSTRUCTIONS(X)                                                                                       \
    X(addsd, "addsd %%xmm1, %%xmm0") X(subsd, "subsd %%xmm1, %%xmm0")                                                  \
    X(mulsd, "mulsd %%xmm1, %%xmm0") X(divsd, "divsd %%xmm1, %%xmm0")                                                  \
    X(sqrtsd, "sqrtsd %%xmm1, %%xmm0")                                                                                 \
    X(minsd, "minsd %%xmm1, %%xmm0") X(maxsd, "maxsd %%xmm1, %%xmm0")                                                  \
    X(addss, "addss %%xmm1, %%xmm0") X(subss, "subss %%xmm1, %%xmm0")                                                  \
    X(mulss, "mulss %%xmm1, %%xmm0") X(divss, "divss %%xmm1, %%xmm0")                                                  \
    X(sqrtss, "sqrtss %%xmm1, %%xmm0")                                                                                 \
    X(minss, "minss %%xmm1, %%xmm0") X(maxss, "maxss %%xmm1, %%xmm0")                                                  \
    X(comisd, "comisd %%xmm1, %%xmm0") X(ucomisd, "ucomisd %%xmm1, %%xmm0")                                            \
    X(comiss, "comiss %%xmm1, %%xmm0") X(ucomiss, "ucomiss %%xmm1, %%xmm0")                                            \
    X(cmpsd0, "cmpsd $0, %%xmm1, %%xmm0") X(cmpsd1, "cmpsd $1, %%xmm1, %%xmm0")                                        \
    X(cmpsd2, "cmpsd $2, %%xmm1, %%xmm0") X(cmpsd3, "cmpsd $3, %%xmm1, %%xmm0")                                        \
    X(cmpsd4, "cmpsd $4, %%xmm1, %%xmm0") X(cmpsd5, "cmpsd $5, %%xmm1, %%xmm0")                                        \
    X(cmpsd6, "cmpsd $6, %%xmm1, %%xmm0") X(cmpsd7, "cmpsd $7, %%xmm1, %%xmm0")                                        \
    X(cmpss0, "cmpss $0, %%xmm1, %%xmm0") X(cmpss1, "cmpss $1, %%xmm1, %%xmm0")                                        \
    X(cmpss2, "cmpss $2, %%xmm1, %%xmm0") X(cmpss3, "cmpss $3, %%xmm1, %%xmm0")                                        \
    X(cmpss4, "cmpss $4, %%xmm1, %%xmm0") X(cmpss5, "cmpss $5, %%xmm1, %%xmm0")                                        \
    X(cmpss6, "cmpss $6, %%xmm1, %%xmm0") X(cmpss7, "cmpss $7, %%xmm1, %%xmm0")                                        \
    X(cvtss2sd, "cvtss2sd %%xmm1, %%xmm0") X(cvtsd2ss, "cvtsd2ss %%xmm1, %%xmm0")                                      \
    X(cvtsi2sd32, "cvtsi2sdl %%ecx, %%xmm0") X(cvtsi2sd64, "cvtsi2sdq %%rcx, %%xmm0")                                  \
    X(cvtsi2ss32, "cvtsi2ssl %%ecx, %%xmm0") X(cvtsi2ss64, "cvtsi2ssq %%rcx, %%xmm0")                                  \
    X(cvtsd2si32, "cvtsd2si %%xmm1, %%ecx") X(cvtsd2si64, "cvtsd2si %%xmm1, %%rcx")                                    \
    X(cvttsd2si32, "cvttsd2si %%xmm1, %%ecx") X(cvttsd2si64, "cvttsd2si %%xmm1, %%rcx")                                \
    X(cvtss2si32, "cvtss2si %%xmm1, %%ecx") X(cvtss2si64, "cvtss2si %%xmm1, %%rcx")                                    \
    X(cvttss2si32, "cvttss2si %%xmm1, %%ecx") X(cvttss2si64, "cvttss2si %%xmm1, %%rcx")                                \
    X(roundsd0, "roundsd $0, %%xmm1, %%xmm0") X(roundsd1, "roundsd $1, %%xmm1, %%xmm0")                                \
    X(roundsd2, "roundsd $2, %%xmm1, %%xmm0") X(roundsd3, "roundsd $3, %%xmm1, %%xmm0")                                \
    X(roundsd4, "roundsd $4, %%xmm1, %%xmm0") X(roundsd8, "roundsd $8, %%xmm1, %%xmm0")                                \
    X(roundsd12, "roundsd $12, %%xmm1, %%xmm0")                                                                        \
    X(roundss0, "roundss $0, %%xmm1, %%xmm0") X(roundss1, "roundss $1, %%xmm1, %%xmm0")                                \
    X(roundss2, "roundss $2, %%xmm1, %%xmm0") X(roundss3, "roundss $3, %%xmm1, %%xmm0")                                \
    X(roundss4, "roundss $4, %%xmm1, %%xmm0") X(roundss8, "roundss $8, %%xmm1, %%xmm0")                                \
    X(roundss12, "roundss $12, %%xmm1, %%xmm0")                                                                        \
    X(addpd, "addpd %%xmm1, %%xmm0") X(divps, "divps %%xmm1, %%xmm0")                                                  \
    X(haddps, "haddps %%xmm1, %%xmm0") X(hsubps, "hsubps %%xmm1, %%xmm0")                                              \
    X(haddpd, "haddpd %%xmm1, %%xmm0") X(hsubpd, "hsubpd %%xmm1, %%xmm0")                                              \
    X(addsubps, "addsubps %%xmm1, %%xmm0") X(addsubpd, "addsubpd %%xmm1, %%xmm0")                                      \
    X(dppsF1, "dpps $0xF1, %%xmm1, %%xmm0") X(dpps7F, "dpps $0x7F, %%xmm1, %%xmm0")                                    \
    X(dpps5A, "dpps $0x5A, %%xmm1, %%xmm0") X(dppd31, "dppd $0x31, %%xmm1, %%xmm0")                                    \
    X(dppd13, "dppd $0x13, %%xmm1, %%xmm0")                                                                            \
    X(rcpss, "rcpss %%xmm1, %%xmm0") X(rsqrtss, "rsqrtss %%xmm1, %%xmm0")

// Instructions on st(0), st(1) and the memory operand.
#define HOST_X87_INSTRUCTIONS(X)                                                                                       \
    X(fadd, "fadd %%st(1), %%st") X(fsub, "fsub %%st(1), %%st")                                                        \
    X(fmul, "fmul %%st(1), %%st") X(fdiv, "fdiv %%st(1), %%st")                                                        \
    X(fadd32, "fadds %[m]") X(fsub32, "fsubs %[m]") X(fmul64, "fmull %[m]") X(fdivr64, "fdivrl %[m]")                  \
    X(fiadd16, "fiadds %[m]") X(fidiv32, "fidivl %[m]")                                                                \
    X(fsqrt, "fsqrt") X(frndint, "frndint") X(fscale, "fscale") X(fxtract, "fxtract")                                  \
    X(fprem, "fprem") X(fprem1, "fprem1") X(fxam, "fxam")                                                              \
    X(fcom, "fcom %%st(1)") X(fucom, "fucom %%st(1)") X(ftst, "ftst")                                                  \
    X(fcom32, "fcoms %[m]") X(fcom64, "fcoml %[m]")                                                                    \
    X(fld32, "flds %[m]") X(fld64, "fldl %[m]") X(fild16, "filds %[m]") X(fild32, "fildl %[m]")                        \
    X(fild64, "fildll %[m]") X(fbld, "fbld %[m]")                                                                      \
    X(fst32, "fsts %[m]") X(fst64, "fstl %[m]") X(fist16, "fists %[m]") X(fist32, "fistl %[m]")                        \
    X(fistp64, "fistpll %[m]") X(fisttp16, "fisttps %[m]") X(fisttp32, "fisttpl %[m]")                                 \
    X(fisttp64, "fisttpll %[m]") X(fbstp, "fbstp %[m]")                                                                \
    X(fld1, "fld1") X(fldl2t, "fldl2t") X(fldl2e, "fldl2e") X(fldpi, "fldpi") X(fldlg2, "fldlg2")                      \
    X(fldln2, "fldln2") X(fldz, "fldz")                                                                                \
    X(f2xm1, "f2xm1") X(fyl2x, "fyl2x") X(fyl2xp1, "fyl2xp1") X(fpatan, "fpatan") X(fptan, "fptan")                    \
    X(fsin, "fsin") X(fcos, "fcos") X(fsincos, "fsincos")

#define HOST_ENUMERATOR(name, text) HOST_##name,
enum host_sse_instruction { HOST_SSE_INSTRUCTIONS(HOST_ENUMERATOR) HOST_SSE_COUNT };
enum host_x87_instruction { HOST_X87_INSTRUCTIONS(HOST_ENUMERATOR) HOST_X87_COUNT };

typedef struct {
    uint64_t low, high;
} host_vector;

typedef struct {
    /// xmm0 afterwards.
    host_vector value;
    /// rcx afterwards; it was `integer` before.
    uint64_t integer;
    uint32_t mxcsr;
    /// ZF, PF and CF.
    uint32_t status_flags;
    /// Whether the instruction was stopped by SIGFPE.
    uint32_t is_faulted;
} host_sse_result;

typedef struct {
    uint64_t significand;
    uint16_t sign_and_exponent;
} host_extended;

typedef struct {
    /// st(0) to st(2) afterwards; before, st(0) and st(1) were the operands.
    host_extended st[3];
    uint16_t status;
    /// How many registers are in use.
    uint16_t depth;
    /// The memory operand afterwards.
    host_vector memory;
} host_x87_result;

host_sse_result host_sse_execute(
    enum host_sse_instruction instruction, uint32_t mxcsr, host_vector destination, host_vector source,
    uint64_t integer);

host_x87_result host_x87_execute(
    enum host_x87_instruction instruction, uint16_t control, host_extended st0, host_extended st1, host_vector memory);

#endif

#endif
