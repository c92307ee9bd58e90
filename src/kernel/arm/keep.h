#pragma once
/* The end of sift_codes in registers of four sums, and how its rows are read. */
#include "kernel/unroll.h"

#include <arm_neon.h>
#include <stdint.h>

INLINE uint32_t keep_bits(int32x4_t sums, float scale, const float *offsets, float limit)
{
    const uint32x4_t bit = { 1, 2, 4, 8 };
    float32x4_t values = vfmaq_f32(vld1q_f32(offsets), vdupq_n_f32(scale), vcvtq_f32_s32(sums));
    return vaddvq_u32(vbicq_u32(bit, vcgtq_f32(values, vdupq_n_f32(limit))));
}

/* Codes of rows without the 128. */
INLINE int32x4_t load_signed(const uint8_t *codes)
{
    return vreinterpretq_s32_u8(veorq_u8(vld1q_u8(codes), vdupq_n_u8(128)));
}
