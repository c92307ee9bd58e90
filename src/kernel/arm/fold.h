#pragma once
#include "kernel/unroll.h"

#include <arm_neon.h>

/* Lanes 0 to 3, 4 to 7, 8 to 11, 12 to 15: lane j takes in lane j + 8, j + 4, j + 2, j + 1; then +0
 * is added. */
INLINE float fold_quarters(const float32x4_t lanes[4])
{
    float32x4_t low = vaddq_f32(lanes[0], lanes[2]), high = vaddq_f32(lanes[1], lanes[3]);
    float32x4_t four = vaddq_f32(low, high);
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vpadds_f32(two) + 0.0f;
}
