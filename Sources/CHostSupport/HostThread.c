#include "CHostSupport.h"

static _Thread_local void *pointer_of_thread;

void *host_thread_pointer(void) { return pointer_of_thread; }

void host_thread_set_pointer(void *pointer) { pointer_of_thread = pointer; }
