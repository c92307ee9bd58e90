#pragma once
/* How rows of codes are read in registers of eight sums, and the end of sift_codes there. */
#include "kernel/unroll.h"

#include <immintrin.h>
#include <stdint.h>

INLINE __m256i vec_load(const uint8_t *codes)
{
    return _mm256_loadu_si256((const __m256i *)codes);
}

INLINE uint32_t keep_bits(__m256i sums, float scale, const float *offsets, float limit)
{
    __m256 values =
        _mm256_fmadd_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(sums), _mm256_loadu_ps(offsets));
    __m256 kept = _mm256_cmp_ps(values, _mm256_set1_ps(limit), _CMP_NGT_UQ);
    return (uint32_t)_mm256_movemask_ps(kept);
}
