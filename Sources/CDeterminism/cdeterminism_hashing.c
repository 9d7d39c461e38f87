// Implements hashing.h: writes the parameters that the Swift standard library reads at its first hash.
// Source: swift/stdlib/public/SwiftShims/swift/shims/GlobalObjects.h (`_swift_stdlib_Hashing_parameters`).
#include "hashing.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

extern struct {
    uint64_t seed0;
    uint64_t seed1;
    bool deterministic;
} _swift_stdlib_Hashing_parameters;

static int chosen;

__attribute__((constructor)) void weft_hash_seed_choose(void) {
    const char *text = getenv("WEFT_SIM_HASH_SEED");
    if (text == NULL || *text == 0) return;
    uint64_t seed = strtoull(text, NULL, 0);
    _swift_stdlib_Hashing_parameters.seed0 = seed * 0x9e3779b97f4a7c15ULL;
    _swift_stdlib_Hashing_parameters.seed1 = seed ^ 0xbf58476d1ce4e5b9ULL;
    _swift_stdlib_Hashing_parameters.deterministic = true;
    chosen = 1;
}

int weft_hash_seed_is_chosen(void) { return chosen; }
