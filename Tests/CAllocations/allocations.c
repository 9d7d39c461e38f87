// The counting itself. Only thread-local numbers change, so that threads of the test program do not disturb each other.

#include "CAllocations.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static __thread int counting __attribute__((tls_model("initial-exec")));
static __thread uint64_t calls __attribute__((tls_model("initial-exec")));
static __thread uint64_t asked __attribute__((tls_model("initial-exec")));
static __thread int64_t live __attribute__((tls_model("initial-exec")));
static __thread int64_t peak __attribute__((tls_model("initial-exec")));

static void *took(void *memory, size_t bytes) {
    if (counting) {
        calls += 1;
        asked += bytes;
        if (memory) live += (int64_t)malloc_usable_size(memory);
        if (live > peak) peak = live;
    }
    return memory;
}

void *malloc(size_t bytes) { return took(__libc_malloc(bytes), bytes); }
void *calloc(size_t count, size_t bytes) { return took(__libc_calloc(count, bytes), count * bytes); }
void *memalign(size_t alignment, size_t bytes) { return took(__libc_memalign(alignment, bytes), bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return took(__libc_memalign(alignment, bytes), bytes); }

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    void *made = took(__libc_memalign(alignment, bytes), bytes);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}

void *realloc(void *memory, size_t bytes) {
    if (counting && memory) live -= (int64_t)malloc_usable_size(memory);
    return took(__libc_realloc(memory, bytes), bytes);
}

void free(void *memory) {
    if (counting && memory) live -= (int64_t)malloc_usable_size(memory);
    __libc_free(memory);
}

void allocations_set_counting(int on) { counting = on; }
uint64_t allocations_count(void) { return calls; }
uint64_t allocations_bytes(void) { return asked; }
int64_t allocations_live(void) { return live; }
int64_t allocations_peak(void) { return peak; }

void allocations_reset(void) {
    calls = 0;
    asked = 0;
    live = 0;
    peak = 0;
}

int allocations_are_seen(void) {
    int before = counting;
    uint64_t calls_before = calls;
    counting = 1;
    // Through a pointer that the compiler must take for the real one.
    void *(*volatile take)(size_t) = malloc;
    void (*volatile give)(void *) = free;
    give(take(24));
    counting = before;
    int seen = calls > calls_before;
    calls = calls_before;
    return seen;
}
