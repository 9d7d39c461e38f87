// OpenSSL's randomness out of a stream the caller names, so that keys, certificates and handshakes repeat with a seed.
// The method is global to the process; what it draws from is bound per thread. Nothing here is fit for real secrets.
#ifndef WEFT_RAND_H
#define WEFT_RAND_H

#include <stddef.h>

/// Makes every draw of OpenSSL in this process come from the bound stream. Idempotent, any thread. 0 if OpenSSL refused.
int weft_rand_install(void);

/// Binds the calling thread's draws to `fill(context, bytes, count)`, which must write all `count` bytes. NULL unbinds.
/// A draw on a thread without a binding fails, and with it what asked for it: a forgotten binding never goes unseen.
void weft_rand_bind(void (*fill)(void *context, unsigned char *bytes, size_t count), void *context);

/// Whether the calling thread is bound.
int weft_rand_is_bound(void);

#endif
