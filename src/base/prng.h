#pragma once
/* Repeatable random numbers for self-tests: SplitMix64 (Steele, Lea, Flood 2014). Not for secrets.
 */
#include <stdint.h>

struct prng {
    uint64_t state; /* the seed */
};

uint64_t prng_next(struct prng *prng);
float prng_unit(struct prng *prng); /* in [-1, 1) */
