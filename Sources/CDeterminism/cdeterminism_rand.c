// Implements rand.h by OpenSSL's RAND_METHOD. Deprecated in 3.0 but chosen over a provider, because it also catches the
// call sites that forget to pass a library context.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "rand.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

static _Thread_local void (*bound_fill)(void *, unsigned char *, size_t);
static _Thread_local void *bound_context;

static int draw(unsigned char *bytes, int count) {
    if (bound_fill == NULL || count < 0) return 0;
    if (count > 0) bound_fill(bound_context, bytes, (size_t)count);
    return 1;
}

// Entropy offered from outside is dropped: it would make two runs differ.
static int ignore_seed(const void *bytes, int count) {
    (void)bytes;
    (void)count;
    return 1;
}

static int ignore_add(const void *bytes, int count, double entropy) {
    (void)entropy;
    return ignore_seed(bytes, count);
}

static int status(void) { return bound_fill != NULL; }

static const RAND_METHOD method = {ignore_seed, draw, NULL, ignore_add, draw, status};

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int installed;

static void install(void) { installed = RAND_set_rand_method(&method); }

int weft_rand_install(void) { return CRYPTO_THREAD_run_once(&once, install) && installed; }

void weft_rand_bind(void (*fill)(void *, unsigned char *, size_t), void *context) {
    bound_fill = fill;
    bound_context = context;
}

int weft_rand_is_bound(void) { return bound_fill != NULL; }
