#pragma once
/* Vectors that are hard to bound: those of support/data.h, and rows that are equal or differ in the
 * last bit, huge, denormal, in two far clusters, one huge among small ones, products that cancel,
 * additions that all round one way. */
#include "base/prng.h"

#include <stddef.h>

enum { HARD_COUNT = 14 }; /* kinds */

const char *hard_name(size_t kind);

/* Fills count x dim with allowed components. */
void hard_fill(struct prng *prng, size_t kind, float *x, size_t count, size_t dim);
