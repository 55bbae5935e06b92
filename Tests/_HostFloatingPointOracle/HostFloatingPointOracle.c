#define _GNU_SOURCE
#include "HostFloatingPointOracle.h"

#if defined(__x86_64__)

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

// Where a SIGFPE resumes: the instruction after the one under test, in the thread that runs it.
__thread uint64_t host_fault_landing;
__thread uint32_t host_is_faulted;
void host_install_fault_handler(void);

static void handle_fault(int signal, siginfo_t *information, void *context) {
    ucontext_t *interrupted = context;
    if (host_fault_landing == 0) abort();
    host_is_faulted = 1;
    interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)host_fault_landing;
    host_fault_landing = 0;
}

static void install_handler(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGFPE, &action, NULL);
}

void host_install_fault_handler(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_handler);
}

// The stack below rsp may hold the compiler's red zone, so PUSHFQ goes beneath it.
#define SSE_CASE(name, text)                                                                                           \
    case HOST_##name:                                                                                                  \
        __asm__ volatile(                                                                                              \
            "movups %[a], %%xmm0\n\t"                                                                                  \
            "movups %[b], %%xmm1\n\t"                                                                                  \
            "stmxcsr %[saved]\n\t"                                                                                     \
            "leaq 1f(%%rip), %%rdx\n\t"                                                                                \
            "movq %%rdx, (%[landing])\n\t"                                                                             \
            "ldmxcsr %[control]\n\t" text "\n"                                                                         \
            "1:\n\t"                                                                                                   \
            "stmxcsr %[after]\n\t"                                                                                     \
            "ldmxcsr %[saved]\n\t"                                                                                     \
            "leaq -128(%%rsp), %%rsp\n\t"                                                                              \
            "pushfq\n\t"                                                                                               \
            "popq %%rdx\n\t"                                                                                           \
            "leaq 128(%%rsp), %%rsp\n\t"                                                                               \
            "movups %%xmm0, %[value]"                                                                                  \
            : [value] "=m"(result.value), [saved] "+m"(saved), [after] "+m"(result.mxcsr), "+c"(result.integer),       \
              "=&d"(flags)                                                                                             \
            : [a] "m"(destination), [b] "m"(source), [control] "m"(mxcsr), [landing] "S"(&host_fault_landing)                     \
            : "xmm0", "xmm1", "cc", "memory");                                                                         \
        break;

host_sse_result host_sse_execute(
    enum host_sse_instruction instruction, uint32_t mxcsr, host_vector destination, host_vector source,
    uint64_t integer) {
    host_install_fault_handler();
    host_sse_result result = {.integer = integer};
    uint32_t saved = 0;
    uint64_t flags = 0;
    host_is_faulted = 0;
    switch (instruction) {
        HOST_SSE_INSTRUCTIONS(SSE_CASE)
    case HOST_SSE_COUNT: break;
    }
    host_fault_landing = 0;
    result.status_flags = (uint32_t)flags & 0x45;
    result.is_faulted = host_is_faulted;
    return result;
}

// FXSAVE and FNSTSW do not report pending exceptions, and FNINIT discards them.
#define X87_CASE(name, text)                                                                                           \
    case HOST_##name:                                                                                                  \
        __asm__ volatile(                                                                                              \
            "fninit\n\t"                                                                                               \
            "fldt %[st1]\n\t"                                                                                          \
            "fldt %[st0]\n\t"                                                                                          \
            "fldcw %[control]\n\t" text "\n\t"                                                                         \
            "fxsave %[area]\n\t"                                                                                       \
            "fninit"                                                                                                   \
            : [area] "=m"(area), [m] "+m"(memory)                                                                      \
            : [st0] "m"(st0), [st1] "m"(st1), [control] "m"(control)                                                   \
            : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory");                          \
        break;

struct fxsave_area {
    uint16_t control, status;
    uint8_t tags;
    uint8_t other[27];
    struct {
        uint64_t significand;
        uint16_t sign_and_exponent;
        uint16_t reserved[3];
    } st[8];
    uint8_t rest[352];
} __attribute__((aligned(16)));

host_x87_result host_x87_execute(
    enum host_x87_instruction instruction, uint16_t control, host_extended st0, host_extended st1,
    host_vector memory) {
    struct fxsave_area area;
    memset(&area, 0, sizeof area);
    switch (instruction) {
        HOST_X87_INSTRUCTIONS(X87_CASE)
    case HOST_X87_COUNT: break;
    }
    host_x87_result result;
    for (int index = 0; index < 3; index++) {
        result.st[index].significand = area.st[index].significand;
        result.st[index].sign_and_exponent = area.st[index].sign_and_exponent;
    }
    result.status = area.status;
    result.depth = (uint16_t)__builtin_popcount(area.tags);
    result.memory = memory;
    return result;
}

#endif
