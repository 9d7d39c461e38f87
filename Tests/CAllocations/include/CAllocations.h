// Counts what the thread that asks for it takes from the heap: the symbols of the C library are replaced in the test program, which
// shared libraries then use as well. Nothing that is shipped links this.

#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H

#include <stdint.h>

/// Whether this thread's calls count from here on.
void allocations_set_counting(int on);
/// Calls of malloc, calloc, realloc and their kin while counting was on.
uint64_t allocations_count(void);
/// Bytes asked for by these calls.
uint64_t allocations_bytes(void);
/// Bytes that were taken less those that were given back while counting was on; may be negative.
int64_t allocations_live(void);
/// The most that `allocations_live` came to since `allocations_reset`.
int64_t allocations_peak(void);
/// All to zero.
void allocations_reset(void);
/// The calls reach this file, so that zero means none.
int allocations_are_seen(void);

#endif
