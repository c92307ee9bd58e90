#pragma once
#include "kernel/unroll.h"

#include <immintrin.h>

/* Lane j takes in lane j + 8, j + 4, j + 2, j + 1; then +0 is added. */
INLINE float fold_lanes(__m512 lanes)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    __m128 one = _mm_add_ss(two, _mm_movehdup_ps(two));
    return _mm_cvtss_f32(one) + 0.0f;
}
