#pragma once
/* Numbers of 16 bits: f16 (IEEE 754 binary16) and bf16 (the upper half of a float). All of them
 * that are finite are floats; what is kept of a float is the nearest, ties to even, within the
 * largest finite one, and +0 where that would be a denormal. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define F16_MAX 65504.0f
#define F16_MIN 0x1p-14f /* below are its denormals */

static inline uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* As a float's, its exponent is short by 112; denormals become right with it. A NaN becomes a quiet
 * one, as processors have it. */
static inline float f16_value(uint16_t half)
{
    uint32_t size = (uint32_t)(half & 0x7fff) << 13, sign = (uint32_t)(half & 0x8000) << 16;
    if (size < 0x1fu << 23)
        size = float_bits(float_of_bits(size) * 0x1p112f);
    else
        size |= 0x7f800000 | (size << 9 != 0 ? 0x400000u : 0);
    return float_of_bits(size | sign);
}

static inline uint16_t f16_code(float x)
{
    float size = fminf(fabsf(x), F16_MAX);
    if (size < F16_MIN) return 0;
    uint32_t bits = float_bits(size), half = (bits + 0xfff + (bits >> 13 & 1)) >> 13;
    return (uint16_t)((half - (112u << 10)) | (float_bits(x) >> 16 & 0x8000));
}

static inline float bf16_value(uint16_t half)
{
    return float_of_bits((uint32_t)half << 16);
}

static inline uint16_t bf16_code(float x)
{
    uint32_t bits = float_bits(fabsf(x)), half = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    if (bits < 0x00800000) return 0;
    if (half > 0x7f7f) half = 0x7f7f;
    return (uint16_t)(half | (float_bits(x) >> 16 & 0x8000));
}
