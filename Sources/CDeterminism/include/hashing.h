// The hash seed part of CDeterminism. Dictionaries and sets order themselves by a seed of the process; a run must not depend
// on that order. With WEFT_SIM_HASH_SEED in the environment the seed is the caller's choice, so that a sweep over seeds finds
// such a dependence and repeats it. Set before any Swift code runs; nothing happens without the variable.
#ifndef WEFT_HASHING_H
#define WEFT_HASHING_H

/// Takes the seed from the environment. Runs by itself before `main`; with a statically linked standard library that is too early,
/// so such an executable calls it first thing, before anything is hashed. Idempotent.
void weft_hash_seed_choose(void);

/// Whether the environment chose the hash seed of this process.
int weft_hash_seed_is_chosen(void);

#endif
