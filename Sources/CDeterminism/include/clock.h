// `time()` out of virtual time. OpenSSL asks it when it makes session tickets, so a run with tickets would differ by the day.
// Overrides libc's in every executable that links this target; a thread without a binding still gets the real time.
#ifndef WEFT_CLOCK_H
#define WEFT_CLOCK_H

#include <stdint.h>

/// Makes `time()` on the calling thread answer with the nanoseconds since 1970 that stand at `wall`. NULL unbinds.
void weft_time_bind(const int64_t *wall);

#endif
