// Executes instructions on the processor it runs on and tells what they did: the oracle of `scripts/conformance`.
//
// A child process that reads a description of memory, then batches of cases from standard input, and writes the
// results to standard output. Between two cases the program lives in a signal handler: returning from it installs
// the state of a case, the case's code ends in HLT, and the fault of that HLT, or of the code before it, comes back
// to the handler with the state the processor had. The byte layout of the messages is `HostProcess.swift`'s as well.
//
// The code must be unprivileged and must not enter the kernel; addresses it forms must lie in the memory described
// or nowhere. Built by the harness with the C compiler, never by `swift build`.

#ifndef __x86_64__
#error "the host oracle executes x86-64 instructions"
#endif

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { patch_limit = 16, change_limit = 2560, region_limit = 8, code_limit = 64, hlt = 0xF4 };
enum { writable = 1, executable = 2 };
enum { user_data_segment = 0x2B };

// RFLAGS bits that a signal frame cannot set and that mean nothing to user code.
#define kept_flags 0x202ull
#define alignment_check 0x40000ull

struct state {
    uint64_t registers[16];  // by number: rAX rCX rDX rBX rSP rBP rSI rDI r8 …
    uint64_t rip;
    uint64_t flags;
    uint8_t fx[512];  // as FXSAVE64 writes it
};

struct request {
    struct state state;
    uint32_t code_length;
    uint32_t patch_count;
    uint64_t code_segment;  // the selector for 64-bit code or that for 32-bit code
    uint8_t code[code_limit];
    struct { uint64_t address, value; } patches[patch_limit];
};

struct response {
    struct state state;
    uint64_t vector, error_code, address;
    uint64_t change_count;
    struct { uint64_t address, value; } changes[change_limit];  // as many as `change_count` says are sent
};

struct region {
    uint64_t address, size, flags;
    uint8_t *alias;  // the same memory, always writable
    uint8_t *image;  // what it holds when a case begins
};

static struct region regions[region_limit];  // the first is the code's
static uint64_t region_count;
static struct request *requests;
static struct response *responses;
static uint32_t request_count;
static volatile int64_t current;  // -1 while no batch runs
static gregset_t main_registers;
static uint8_t main_fx[512];

static const int register_index[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static void fail(const char *what) {
    fprintf(stderr, "host oracle: %s: %s\n", what, strerror(errno));
    _exit(2);
}

// The place in the writable alias behind an address, if it lies in a region.
static uint8_t *alias_of(uint64_t address, uint64_t size) {
    for (uint64_t i = 0; i < region_count; i++) {
        uint64_t offset = address - regions[i].address;
        if (offset < regions[i].size && size <= regions[i].size - offset) return regions[i].alias + offset;
    }
    return NULL;
}

// Puts a case into memory and into the context that the handler returns to.
static void install(const struct request *request, ucontext_t *context) {
    for (uint32_t i = 0; i < request->patch_count && i < patch_limit; i++) {
        uint8_t *place = alias_of(request->patches[i].address, 8);
        if (place) memcpy(place, &request->patches[i].value, 8);
    }
    uint8_t *code = alias_of(request->state.rip, code_limit);
    if (code && request->code_length <= code_limit) memcpy(code, request->code, request->code_length);
    greg_t *registers = context->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++) registers[register_index[i]] = (greg_t)request->state.registers[i];
    registers[REG_RIP] = (greg_t)request->state.rip;
    registers[REG_EFL] = (greg_t)(request->state.flags | kept_flags);
    registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xFFFFll) | (greg_t)(request->code_segment & 0xFFFF);
    // Bytes 464 to 511 of the legacy area belong to the kernel.
    uint8_t *fx = (uint8_t *)context->uc_mcontext.fpregs;
    memcpy(fx, request->state.fx, 416);
    // The header's XSTATE_BV: x87 and SSE state are to be loaded, not initialized.
    *(uint64_t *)(fx + 512) |= 3;
}

// Takes the state out of the context, notes what memory holds now and puts its first content back.
static void capture(struct response *response, const struct request *request, const ucontext_t *context) {
    const greg_t *registers = context->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++) response->state.registers[i] = (uint64_t)registers[register_index[i]];
    response->state.rip = (uint64_t)registers[REG_RIP];
    response->state.flags = (uint64_t)registers[REG_EFL];
    memcpy(response->state.fx, context->uc_mcontext.fpregs, 416);
    memset(response->state.fx + 416, 0, 96);
    response->vector = (uint64_t)registers[REG_TRAPNO];
    response->error_code = (uint64_t)registers[REG_ERR];
    response->address = (uint64_t)registers[REG_CR2];
    uint8_t *code = alias_of(request->state.rip, code_limit);
    if (code) memset(code, hlt, code_limit);
    uint64_t count = 0;
    // Patches of memory that the case cannot write.
    for (uint32_t i = 0; i < request->patch_count && i < patch_limit; i++) {
        uint8_t *place = alias_of(request->patches[i].address, 8);
        for (uint64_t r = 1; place && r < region_count; r++) {
            uint64_t offset = request->patches[i].address - regions[r].address;
            if (offset < regions[r].size && !(regions[r].flags & writable)) {
                memcpy(place, regions[r].image + offset, 8);
            }
        }
    }
    for (uint64_t r = 1; r < region_count; r++) {
        if (!(regions[r].flags & writable)) continue;
        for (uint64_t page = 0; page < regions[r].size; page += 4096) {
            uint64_t *now = (uint64_t *)(regions[r].alias + page);
            const uint64_t *before = (const uint64_t *)(regions[r].image + page);
            if (memcmp(now, before, 4096) == 0) continue;
            for (int word = 0; word < 512; word++) {
                if (now[word] == before[word]) continue;
                if (count < change_limit) {
                    response->changes[count].address = regions[r].address + page + (uint64_t)word * 8;
                    response->changes[count].value = now[word];
                }
                count++;
                now[word] = before[word];
            }
        }
    }
    response->change_count = count < change_limit ? count : change_limit;
}

__attribute__((used)) static void handle(int signal, siginfo_t *info, void *opaque) {
    (void)signal;
    (void)info;
    ucontext_t *context = opaque;
    if (current < 0) {
        memcpy(main_registers, context->uc_mcontext.gregs, sizeof main_registers);
        memcpy(main_fx, context->uc_mcontext.fpregs, 416);
    } else {
        capture(&responses[current], &requests[current], context);
    }
    if (++current < (int64_t)request_count) return install(&requests[current], context);
    memcpy(context->uc_mcontext.gregs, main_registers, sizeof main_registers);
    memcpy(context->uc_mcontext.fpregs, main_fx, 416);
    context->uc_mcontext.gregs[REG_RIP] += 1;  // past the HLT that began the batch
    current = -1;
}

// The kernel enters handlers with the interrupted code's RFLAGS.AC; compiled code must not run with it.
__attribute__((naked)) static void enter_handler(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    (void)context;
    __asm__ volatile(
        "pushfq\n\t"
        "andq $~0x40000, (%rsp)\n\t"
        "popfq\n\t"
        "jmp handle");
}

static int read_all(void *target, size_t size) {
    uint8_t *bytes = target;
    while (size > 0) {
        ssize_t got = read(0, bytes, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0;
        bytes += got;
        size -= (size_t)got;
    }
    return 1;
}

static void map_region(struct region *region) {
    int file = memfd_create("region", 0);
    if (file < 0 || ftruncate(file, (off_t)region->size) != 0) fail("memfd_create");
    int protection = PROT_READ;
    if (region->flags & writable) protection |= PROT_WRITE;
    if (region->flags & executable) protection |= PROT_EXEC;
    void *place = mmap((void *)region->address, region->size, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
    if (place != (void *)region->address) fail("mmap of a region");
    region->alias = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    region->image = malloc(region->size);
    if (region->alias == MAP_FAILED || !region->image) fail("mmap of an alias");
    close(file);
    if (!read_all(region->image, region->size)) fail("read of a region");
    memcpy(region->alias, region->image, region->size);
    // Every page must be present before a case touches it, so that no fault is the kernel's own.
    volatile uint8_t sum = 0;
    for (uint64_t offset = 0; offset < region->size; offset += 4096) {
        sum += *(volatile uint8_t *)(region->address + offset);
        if (region->flags & writable) *(volatile uint8_t *)(region->address + offset) = region->image[offset];
    }
}

int main(void) {
    struct { uint64_t gs_base, region_count; } setup;
    if (!read_all(&setup, sizeof setup) || setup.region_count > region_limit) fail("setup");
    region_count = setup.region_count;
    for (uint64_t i = 0; i < region_count; i++) {
        if (!read_all(&regions[i], 24)) fail("setup");
        map_region(&regions[i]);
    }
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, setup.gs_base) != 0) fail("arch_prctl");

    // 64-bit code needs no data segments, but 32-bit code does; Linux keeps what is loaded.
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" ::"r"(user_data_segment));

    stack_t stack = {.ss_size = 1 << 18};
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0) fail("sigaltstack");
    struct sigaction action = {.sa_sigaction = enter_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (sigaction(signals[i], &action, NULL) != 0) fail("sigaction");
    }

    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    uint32_t capacity = 0;
    while (read_all(&request_count, sizeof request_count) && request_count > 0) {
        if (request_count > capacity) {
            capacity = request_count;
            requests = realloc(requests, capacity * sizeof *requests);
            responses = realloc(responses, capacity * sizeof *responses);
            if (!requests || !responses) fail("realloc");
        }
        if (!read_all(requests, request_count * sizeof *requests)) fail("read of a batch");
        alarm(20);  // a case that does not end ends the process
        current = -1;
        __asm__ volatile("hlt" ::: "memory");
        alarm(0);
        for (uint32_t i = 0; i < request_count; i++) {
            size_t changes = responses[i].change_count * sizeof responses[i].changes[0];
            if (fwrite(&responses[i], offsetof(struct response, changes) + changes, 1, stdout) != 1) fail("write");
        }
        if (fflush(stdout) != 0) fail("write");
    }
    return 0;
}
