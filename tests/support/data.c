#include "support/data.h"

#include <math.h>
#include <string.h>

static float few(struct prng *prng)
{
    return (float)(prng_next(prng) % 3) - 1;
}

static float wild(struct prng *prng)
{
    float x = prng_unit(prng);
    switch (prng_next(prng) % 12) {
    case 0: return 0.0f;
    case 1: return -0.0f;
    case 2: return x * 1e15f;
    case 3: return x < 0 ? -1e15f : 1e15f;
    case 4: return x * 1e-40f; /* a denormal */
    case 5: return x * 1e-23f; /* products of these underflow */
    case 6: return x * 1e6f;
    default: return x;
    }
}

static float component(struct prng *prng, enum data_kind kind, float scale)
{
    switch (kind) {
    case DATA_FEW: return few(prng);
    case DATA_WILD: return wild(prng);
    case DATA_TINY: return prng_unit(prng) * 1e-22f;
    case DATA_FAR: return 1000.0f + prng_unit(prng) * 1e-3f;
    case DATA_SCALES: return prng_unit(prng) * scale;
    case DATA_UNIT:
    case DATA_NEAR_1:
    case DATA_KIND_COUNT: break;
    }
    return prng_unit(prng);
}

static void bring_near_1(struct prng *prng, size_t dim, float *row)
{
    double norm2 = 0, away = pow(10, -8 + (double)(prng_next(prng) % 7));
    for (size_t i = 0; i < dim; i++) norm2 += (double)row[i] * (double)row[i];
    double wanted = prng_next(prng) % 2 ? 1 + away : 1 - away;
    for (size_t i = 0; norm2 > 0 && i < dim; i++)
        row[i] = (float)((double)row[i] * sqrt(wanted / norm2));
}

void data_fill(struct prng *prng, enum data_kind kind, size_t count, size_t dim, float *vectors)
{
    for (size_t r = 0; r < count; r++) {
        float *row = vectors + r * dim;
        if (r > 0 && prng_next(prng) % 8 == 0) {
            memcpy(row, vectors + prng_next(prng) % r * dim, dim * sizeof *row);
            continue;
        }
        float scale = powf(10, (float)(prng_next(prng) % 46) - 30) * 0.99f;
        for (size_t i = 0; i < dim; i++) row[i] = component(prng, kind, scale);
        if (kind == DATA_NEAR_1) bring_near_1(prng, dim, row);
    }
}
