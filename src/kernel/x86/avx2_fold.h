#pragma once
#include "kernel/unroll.h"

#include <immintrin.h>

/* Lanes 0 to 7 and 8 to 15: lane j takes in lane j + 8, j + 4, j + 2, j + 1; then +0 is added. */
INLINE float fold_halves(const __m256 lanes[2])
{
    __m256 eight = _mm256_add_ps(lanes[0], lanes[1]);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    __m128 one = _mm_add_ss(two, _mm_movehdup_ps(two));
    return _mm_cvtss_f32(one) + 0.0f;
}
