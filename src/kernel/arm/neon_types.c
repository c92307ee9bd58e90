/* What is stored in less than f32. */
#include "kernel/arm/neon.h"
#include "kernel/unroll.h"

#include <arm_neon.h>
#include <string.h>

enum { STEP_FLOATS = 8, STEP_BYTES = 16 };

/* Eight of them; the same instruction for every number, so that a NaN is quieted alike. */
INLINE void widen_8(const uint16_t *x, float *out)
{
    float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(x));
    vst1q_f32(out, vcvt_f32_f16(vget_low_f16(halves)));
    vst1q_f32(out + 4, vcvt_high_f32_f16(halves));
}

void widen_f16_neon(const uint16_t *x, size_t count, float *out)
{
    size_t i = 0;
    for (; i + STEP_FLOATS <= count; i += STEP_FLOATS) widen_8(x + i, out + i);
    if (i == count) return;
    uint16_t some[STEP_FLOATS] = { 0 };
    float wide[STEP_FLOATS];
    memcpy(some, x + i, (count - i) * sizeof *x);
    widen_8(some, wide);
    memcpy(out + i, wide, (count - i) * sizeof *out);
}

void widen_u8_neon(const uint8_t *x, size_t count, float *out)
{
    size_t i = 0;
    for (; i + STEP_FLOATS <= count; i += STEP_FLOATS) {
        uint16x8_t wide = vmovl_u8(vld1_u8(x + i));
        vst1q_f32(out + i, vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide))));
        vst1q_f32(out + i + 4, vcvtq_f32_u32(vmovl_high_u16(wide)));
    }
    for (; i < count; i++) out[i] = (float)x[i];
}

uint32_t squares_u8_neon(const uint8_t *x, size_t count)
{
    uint32x4_t sums = vdupq_n_u32(0);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint8x8_t some = vld1_u8(x + i);
        sums = vpadalq_u16(sums, vmull_u8(some, some));
    }
    uint32_t sum = vaddvq_u32(sums);
    for (; i < count; i++) sum += (uint32_t)x[i] * x[i];
    return sum;
}

static float differing(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint32x4_t sums = vdupq_n_u32(0);
    size_t i = 0;
    for (; i + STEP_BYTES <= size; i += STEP_BYTES) {
        uint8x16_t ones = vcntq_u8(veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i)));
        sums = vpadalq_u16(sums, vpaddlq_u8(ones));
    }
    uint32_t sum = vaddvq_u32(sums);
    for (; i < size; i++) sum += (uint32_t)__builtin_popcount(a[i] ^ b[i]);
    return (float)sum;
}

void bits_tile_neon(const uint8_t *queries, size_t query_count, const uint8_t *rows,
                    size_t row_count, size_t size, float *scores)
{
    for (size_t q = 0; q < query_count; q++)
        for (size_t r = 0; r < row_count; r++)
            scores[q * row_count + r] = differing(queries + q * size, rows + r * size, size);
}
