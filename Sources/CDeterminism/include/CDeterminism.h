// Umbrella of the parts that make a process repeatable. Linked into simulator and tests only, never into what ships alone.
#ifndef WEFT_CDETERMINISM_H
#define WEFT_CDETERMINISM_H

#include "rand.h"
#include "clock.h"
#include "hashing.h"

#endif
