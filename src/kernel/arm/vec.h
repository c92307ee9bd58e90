#pragma once
/* A register of four floats, as the kernels that the tiers share want it. */
#include "kernel/unroll.h"

#include <arm_neon.h>

typedef float32x4_t vec;
#define vec_add   vaddq_f32
#define vec_sub   vsubq_f32
#define vec_max   vmaxq_f32
#define vec_abs   vabsq_f32
#define vec_store vst1q_f32
#define vec_set1  vdupq_n_f32

INLINE vec vec_zero(void)
{
    return vdupq_n_f32(0);
}

INLINE vec vec_fma(vec a, vec b, vec sum)
{
    return vfmaq_f32(sum, a, b);
}

/* The first count elements, 1 or more; zeros behind. */
INLINE vec vec_load_first(const float *x, size_t count)
{
    if (count >= 4) return vld1q_f32(x);
    vec some = vld1q_lane_f32(x, vec_zero(), 0);
    if (count > 1) some = vld1q_lane_f32(x + 1, some, 1);
    if (count > 2) some = vld1q_lane_f32(x + 2, some, 2);
    return some;
}
