#include "cli/element.h"

#include <assert.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "f32 and f64 are read as they stand");

uint32_t element_u32_little_endian(const unsigned char bytes[4])
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint32_t element_u32_big_endian(const unsigned char bytes[4])
{
    return bytes[3] | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[0] << 24;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void convert_big_endian(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = float_of_bits(element_u32_big_endian(from + 4 * i));
}

static void convert_f64(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, from + i * sizeof value, sizeof value);
        to[i] = (float)value;
    }
}

/* IEEE 754 binary16: the exponent is biased by 15, that of f32 by 127. */
static float widen_f16(uint32_t half)
{
    uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ffu;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) {
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static void convert_f16(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = widen_f16(from[2 * i] | (uint32_t)from[2 * i + 1] << 8);
}

static void convert_u8(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = from[i];
}

static void convert_i8(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = (float)(from[i] < 128 ? from[i] : from[i] - 256);
}

const struct element element_f32 = { "f32", 4, NULL };
const struct element element_f32_big_endian = { "big-endian f32", 4, convert_big_endian };
const struct element element_f64 = { "f64", 8, convert_f64 };
const struct element element_f16 = { "f16", 2, convert_f16 };
const struct element element_u8 = { "u8", 1, convert_u8 };
const struct element element_i8 = { "i8", 1, convert_i8 };
