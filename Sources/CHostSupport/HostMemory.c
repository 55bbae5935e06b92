#include "CHostSupport.h"
#include <sys/mman.h>

void *host_memory_reserve(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void host_memory_release(void *memory, size_t size) {
    munmap(memory, size);
}
