/// The host's processor as an oracle for any one instruction on general, MMX, x87 and XMM registers.
#ifndef VSCRIPT_HOST_MACHINE_H
#define VSCRIPT_HOST_MACHINE_H

#include <stdint.h>

#if defined(__x86_64__)

/// The registers before and after; the layout is known to the assembly in HostMachine.c.
typedef struct {
    /// FXSAVE64's image: x87, MMX, XMM and MXCSR.
    uint8_t area[512];
    /// RAX, RCX, RDX, RBX, RSP (not loaded), RBP, RSI, RDI, R8 to R15.
    uint64_t general[16];
    uint64_t flags;
    /// Whether SIGFPE stopped the instruction: #MF or #XM.
    uint64_t is_faulted;
} host_machine;

/// 256 bytes that the instruction may use as memory, aligned to 64; only while `host_machine_lock` is held.
uint8_t *host_machine_memory(void);

void host_machine_lock(void);
void host_machine_unlock(void);

/// Executes `length` bytes of code, one instruction that does not branch or use the stack.
void host_machine_execute(const uint8_t *code, uint64_t length, host_machine *machine);

#endif

#endif
