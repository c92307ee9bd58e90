#pragma once
/* Vectors that are hard to rank: ties, zeros, denormals, the largest components, clusters far from
 * the origin, where squared L2 from a dot product cancels. */
#include "base/prng.h"

#include <stddef.h>

enum data_kind {
    DATA_UNIT,   /* uniform in [-1, 1) */
    DATA_FEW,    /* -1, 0 and 1 only: ties and duplicates everywhere */
    DATA_WILD,   /* zeros of both signs, denormals, 1e15, and all between */
    DATA_TINY,   /* every product underflows */
    DATA_FAR,    /* a small cluster around one far point */
    DATA_SCALES, /* each row with a scale of its own, from 1e-30 to 1e15 */
    DATA_NEAR_1, /* squared norms around 1, from 1e-8 to 1e-2 away */
    DATA_KIND_COUNT
};

/* Fills count x dim; about every eighth row repeats an earlier one. */
void data_fill(struct prng *prng, enum data_kind kind, size_t count, size_t dim, float *vectors);
