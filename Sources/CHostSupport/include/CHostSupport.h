/// Small services of the host that Swift's standard library does not offer.
#ifndef VSCRIPT_HOST_SUPPORT_H
#define VSCRIPT_HOST_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

/// Reserves `size` bytes of zeroed memory whose pages cost nothing until they are touched; NULL on failure.
void *host_memory_reserve(size_t size);

/// Gives memory from `host_memory_reserve` back.
void host_memory_release(void *memory, size_t size);

/// The lowest address of the current thread's stack, 0 if the system does not tell.
uintptr_t host_stack_lowest_address(void);

/// A pointer that each thread has of its own, NULL until it is set.
void *host_thread_pointer(void);

/// Sets the current thread's pointer.
void host_thread_set_pointer(void *pointer);

/// The correctly rounded square root, always by the processor's own instruction: Swift's `squareRoot()` brings in
/// the C library's `sqrt` for operands that are negative.
static inline double host_square_root(double value) { return __builtin_elementwise_sqrt(value); }

/// `host_square_root` for binary32.
static inline float host_square_root_single(float value) { return __builtin_elementwise_sqrt(value); }

#endif
