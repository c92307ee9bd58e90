/* What is stored in less than f32. Built with the flags of avx512.c. */
#include "kernel/unroll.h"
#include "kernel/x86/avx512.h"

#include <immintrin.h>

enum { STEP_FLOATS = 16, STEP_BYTES = 64 };

static inline __mmask16 first_16(size_t count)
{
    uint32_t all = 0xffff;
    return (__mmask16)(count >= 16 ? all : (UINT32_C(1) << count) - 1);
}

static inline __mmask64 first_64(size_t count)
{
    return count >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

void widen_f16_avx512(const uint16_t *x, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += STEP_FLOATS) {
        __mmask16 here = first_16(count - i);
        __m256i halves = _mm256_maskz_loadu_epi16(here, x + i);
        _mm512_mask_storeu_ps(out + i, here, _mm512_cvtph_ps(halves));
    }
}

void widen_u8_avx512(const uint8_t *x, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += STEP_FLOATS) {
        __mmask16 here = first_16(count - i);
        __m512i wide = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(here, x + i));
        _mm512_mask_storeu_ps(out + i, here, _mm512_cvtepi32_ps(wide));
    }
}

/* A lane takes in two squares a step: of 65,536 components less than 2^29. */
uint32_t squares_u8_avx512(const uint8_t *x, size_t count)
{
    __m512i sums = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 32) {
        __mmask32 here = (__mmask32)first_64(count - i < 32 ? count - i : 32);
        __m512i wide = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(here, x + i));
        sums = _mm512_add_epi32(sums, _mm512_madd_epi16(wide, wide));
    }
    return (uint32_t)_mm512_reduce_add_epi32(sums);
}

/* Eight sums of the ones in eight bytes each: a half of a byte looks up how many it has. */
INLINE __m512i ones_of(__m512i x)
{
    const __m512i counts =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i half = _mm512_set1_epi8(15);
    __m512i low = _mm512_shuffle_epi8(counts, _mm512_and_si512(x, half));
    __m512i high = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(x, 4), half));
    return _mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512());
}

static float differing(const uint8_t *a, const uint8_t *b, size_t size)
{
    __m512i sums = _mm512_setzero_si512();
    for (size_t i = 0; i < size; i += STEP_BYTES) {
        __mmask64 here = first_64(size - i);
        __m512i x = _mm512_maskz_loadu_epi8(here, a + i), y = _mm512_maskz_loadu_epi8(here, b + i);
        sums = _mm512_add_epi64(sums, ones_of(_mm512_xor_si512(x, y)));
    }
    return (float)_mm512_reduce_add_epi64(sums);
}

void bits_tile_avx512(const uint8_t *queries, size_t query_count, const uint8_t *rows,
                      size_t row_count, size_t size, float *scores)
{
    for (size_t q = 0; q < query_count; q++)
        for (size_t r = 0; r < row_count; r++)
            scores[q * row_count + r] = differing(queries + q * size, rows + r * size, size);
}
