#define _GNU_SOURCE
#include "CHostSupport.h"
#include <pthread.h>

/* To ask is slow: for the main thread the C library reads the process's map. */
static _Thread_local uintptr_t known;

static uintptr_t ask(void) {
#ifdef __APPLE__
    pthread_t thread = pthread_self();
    return (uintptr_t)pthread_get_stackaddr_np(thread) - pthread_get_stacksize_np(thread);
#else
    pthread_attr_t attributes;
    void *address = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) { return 0; }
    pthread_attr_getstack(&attributes, &address, &size);
    pthread_attr_destroy(&attributes);
    return (uintptr_t)address;
#endif
}

uintptr_t host_stack_lowest_address(void) {
    if (known == 0) { known = ask(); }
    return known;
}
