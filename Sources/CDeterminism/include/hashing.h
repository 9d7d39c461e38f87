// The hash seed part of CDeterminism.
#ifndef WEFT_HASHING_H
#define WEFT_HASHING_H
#endif
