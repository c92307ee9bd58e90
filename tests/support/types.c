#include "support/types.h"

#include "support/oracle.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct test_space test_space_at(size_t i)
{
    if (i == TEST_SPACES - 1) return (struct test_space){ WG_BITS, WG_HAMMING };
    return (struct test_space){ (wg_type)(i / 5), (wg_metric)(i % 5) };
}

void test_type_fit(wg_type type, size_t count, float *x)
{
    for (size_t i = 0; i < count; i++) {
        while (type == WG_F16 && fabsf(x[i]) >= 65520) x[i] /= 2;
        if (type == WG_BITS) x[i] = x[i] > 0;
        if (type == WG_U8) x[i] = floorf(fmodf(fabsf(x[i]) * 100, 256));
    }
}

size_t test_type_size(wg_type type, size_t dim)
{
    static const size_t bits[] = { [WG_F32] = 32, [WG_F16] = 16, [WG_U8] = 8, [WG_BITS] = 1 };
    return (dim * bits[type] + 7) / 8;
}

/* By the definition: 1 sign, 5 bits of exponent with a bias of 15, 10 of fraction. */
static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

/* Positive halves rise with their bits, so the two around x are found by halving. */
static uint16_t nearest_half(float x)
{
    double magnitude = fabs((double)x);
    uint16_t low = 0, high = 0x7c00; /* which would be 65,536 */
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (half_value(middle) <= magnitude)
            low = middle;
        else
            high = middle;
    }
    double below = magnitude - half_value(low), above = ldexp(1024, high / 1024 - 25);
    if (high < 0x7c00) above = half_value(high);
    above -= magnitude;
    uint16_t nearest = below < above ? low : above < below ? high : low % 2 == 0 ? low : high;
    return signbit(x) ? nearest | 0x8000 : nearest;
}

void test_type_pack(wg_type type, const float *vector, size_t dim, void *packed)
{
    uint8_t *bytes = packed;
    memset(packed, 0, test_type_size(type, dim));
    for (size_t i = 0; i < dim; i++) {
        uint16_t half = type == WG_F16 ? nearest_half(vector[i]) : 0;
        if (type == WG_F32) memcpy(bytes + 4 * i, &vector[i], 4);
        if (type == WG_F16) memcpy(bytes + 2 * i, &half, 2);
        if (type == WG_U8) bytes[i] = (uint8_t)vector[i];
        if (type == WG_BITS && vector[i] == 1) bytes[i / 8] |= (uint8_t)(1 << i % 8);
    }
}

void test_type_store(struct test_space space, const float *vector, size_t dim, void *stored)
{
    float *taken = calloc(dim, sizeof *taken);
    memcpy(taken, vector, dim * sizeof *taken);
    if (space.type == WG_F32 || space.type == WG_F16)
        oracle_stored(space.metric, vector, dim, taken);
    test_type_pack(space.type, taken, dim, stored);
    free(taken);
}

void test_type_widen(wg_type type, const void *stored, size_t dim, float *vector)
{
    const uint8_t *bytes = stored;
    for (size_t i = 0; i < dim; i++) {
        uint16_t half;
        switch (type) {
        case WG_F32: memcpy(&vector[i], bytes + 4 * i, 4); break;
        case WG_F16:
            memcpy(&half, bytes + 2 * i, 2);
            vector[i] = (float)half_value(half);
            break;
        case WG_U8: vector[i] = bytes[i]; break;
        case WG_BITS: vector[i] = (float)(bytes[i / 8] >> i % 8 & 1); break;
        }
    }
}
