#define _GNU_SOURCE
#include "HostMachine.h"

#if defined(__x86_64__)

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// In HostFloatingPointOracle.c: the SIGFPE handler and where it goes on.
extern __thread uint64_t host_fault_landing;
extern __thread uint32_t host_is_faulted;
void host_install_fault_handler(void);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint8_t memory[256] __attribute__((aligned(64)));

uint8_t *host_machine_memory(void) { return memory; }
void host_machine_lock(void) { pthread_mutex_lock(&mutex); }
void host_machine_unlock(void) { pthread_mutex_unlock(&mutex); }

// host_machine_enter(machine, code): loads the registers, calls the code, stores them.
void host_machine_enter(host_machine *machine, const uint8_t *code);
__asm__(
    ".local host_machine_scratch\n"
    ".comm host_machine_scratch,576,64\n"
    ".text\n"
    ".globl host_machine_enter\n"
    "host_machine_enter:\n"
    "pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
    "movq %rdi, host_machine_scratch+512(%rip)\n"
    "movq %rsi, host_machine_scratch+520(%rip)\n"
    "fxsave64 host_machine_scratch(%rip)\n"
    "fxrstor64 (%rdi)\n"
    "pushq 640(%rdi)\n popfq\n"
    "movq 512(%rdi), %rax\n movq 520(%rdi), %rcx\n movq 528(%rdi), %rdx\n movq 536(%rdi), %rbx\n"
    "movq 552(%rdi), %rbp\n movq 560(%rdi), %rsi\n movq 576(%rdi), %r8\n movq 584(%rdi), %r9\n"
    "movq 592(%rdi), %r10\n movq 600(%rdi), %r11\n movq 608(%rdi), %r12\n movq 616(%rdi), %r13\n"
    "movq 624(%rdi), %r14\n movq 632(%rdi), %r15\n movq 568(%rdi), %rdi\n"
    "call *host_machine_scratch+520(%rip)\n"
    "movq %rdi, host_machine_scratch+528(%rip)\n"
    "movq host_machine_scratch+512(%rip), %rdi\n"
    "movq %rax, 512(%rdi)\n movq %rcx, 520(%rdi)\n movq %rdx, 528(%rdi)\n movq %rbx, 536(%rdi)\n"
    "movq %rbp, 552(%rdi)\n movq %rsi, 560(%rdi)\n movq %r8, 576(%rdi)\n movq %r9, 584(%rdi)\n"
    "movq %r10, 592(%rdi)\n movq %r11, 600(%rdi)\n movq %r12, 608(%rdi)\n movq %r13, 616(%rdi)\n"
    "movq %r14, 624(%rdi)\n movq %r15, 632(%rdi)\n"
    "pushfq\n popq 640(%rdi)\n"
    "movq host_machine_scratch+528(%rip), %rax\n movq %rax, 568(%rdi)\n"
    "fxsave64 (%rdi)\n"
    "fninit\n"
    "fxrstor64 host_machine_scratch(%rip)\n"
    "cld\n"
    "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n"
    "ret\n");

void host_machine_execute(const uint8_t *code, uint64_t length, host_machine *machine) {
    static uint8_t *page;
    if (page == NULL) {
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) abort();
    }
    if (length > 15) abort();
    host_install_fault_handler();
    memcpy(page, code, length);
    page[length] = 0xC3;
    host_is_faulted = 0;
    host_fault_landing = (uint64_t)(page + length);
    // FXSAVE wants alignment, which the caller's copy does not promise.
    static host_machine aligned __attribute__((aligned(64)));
    aligned = *machine;
    host_machine_enter(&aligned, page);
    *machine = aligned;
    host_fault_landing = 0;
    machine->is_faulted = host_is_faulted;
}

#endif
