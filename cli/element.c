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
float element_widen_f16(uint16_t half)
{
    uint32_t sign = (half & UINT32_C(0x8000)) << 16, exponent = half >> 10 & 31;
    uint32_t fraction = half & 0x3ffu;
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
        to[i] = element_widen_f16((uint16_t)(from[2 * i] | from[2 * i + 1] << 8));
}

static void convert_u8(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = from[i];
}

static void convert_i8(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = (float)(from[i] < 128 ? from[i] : from[i] - 256);
}

/* The lowest bit first. */
static void convert_bits(const unsigned char *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = (float)(from[i / 8] >> i % 8 & 1);
}

const struct element element_f32 = { "f32", 4, NULL, 0 };
const struct element element_f32_big_endian = { "big-endian f32", 4, convert_big_endian, 0 };
const struct element element_f64 = { "f64", 8, convert_f64, 0 };
const struct element element_f16 = { "f16", 2, convert_f16, 0 };
const struct element element_u8 = { "u8", 1, convert_u8, 0 };
const struct element element_i8 = { "i8", 1, convert_i8, 0 };
const struct element element_bits = { "packed bits", 1, convert_bits, 8 };

float element_of(wg_type type, const void *data, size_t i)
{
    switch (type) {
    case WG_F16: return element_widen_f16(((const uint16_t *)data)[i]);
    case WG_U8: return ((const uint8_t *)data)[i];
    case WG_BITS: return (float)(((const uint8_t *)data)[i / 8] >> i % 8 & 1);
    default: return ((const float *)data)[i];
    }
}
