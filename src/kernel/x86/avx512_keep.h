#pragma once
/* The end of sift_codes in registers of sixteen sums: for the tiers with 512 bits. */
#include "kernel/unroll.h"

#include <immintrin.h>
#include <stdint.h>

INLINE uint32_t keep_bits(__m512i sums, float scale, const float *offsets, float limit)
{
    __m512 values =
        _mm512_fmadd_ps(_mm512_set1_ps(scale), _mm512_cvtepi32_ps(sums), _mm512_loadu_ps(offsets));
    return _mm512_cmp_ps_mask(values, _mm512_set1_ps(limit), _CMP_NGT_UQ);
}
