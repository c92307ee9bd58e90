/* What is stored in less than f32. This file alone is built with -mavx2 and -mf16c, which every
 * processor with the one has. */
#include "kernel/unroll.h"
#include "kernel/x86/avx2.h"

#include <immintrin.h>
#include <string.h>

enum { STEP_FLOATS = 8, STEP_BYTES = 32 };

void widen_f16_avx2(const uint16_t *x, size_t count, float *out)
{
    size_t i = 0;
    for (; i + STEP_FLOATS <= count; i += STEP_FLOATS)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(x + i))));
    for (; i < count; i++) out[i] = _cvtsh_ss(x[i]);
}

void widen_u8_avx2(const uint8_t *x, size_t count, float *out)
{
    size_t i = 0;
    for (; i + STEP_FLOATS <= count; i += STEP_FLOATS) {
        __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(x + i)));
        _mm256_storeu_ps(out + i, _mm256_cvtepi32_ps(wide));
    }
    for (; i < count; i++) out[i] = (float)x[i];
}

static inline uint32_t sum_of_8(__m256i sums)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* A lane takes in two squares a step: of 65,536 components less than 2^30. */
uint32_t squares_u8_avx2(const uint8_t *x, size_t count)
{
    __m256i sums = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(x + i)));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(wide, wide));
    }
    uint32_t sum = sum_of_8(sums);
    for (; i < count; i++) sum += (uint32_t)x[i] * x[i];
    return sum;
}

/* Four sums of the ones in eight bytes each: a half of a byte looks up how many it has. */
INLINE __m256i ones_of(__m256i x)
{
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                            2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i half = _mm256_set1_epi8(15);
    __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, half));
    __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), half));
    return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
}

/* Fewer than eight bytes, zeros behind. */
static inline uint64_t load_rest(const uint8_t *x, size_t count)
{
    uint64_t word = 0;
    memcpy(&word, x, count);
    return word;
}

INLINE uint64_t rest_of(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint64_t sum = 0, x, y;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        sum += (uint64_t)_mm_popcnt_u64(x ^ y);
    }
    return sum + (uint64_t)_mm_popcnt_u64(load_rest(a + i, size - i) ^ load_rest(b + i, size - i));
}

static float differing(const uint8_t *a, const uint8_t *b, size_t size)
{
    __m256i sums = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + STEP_BYTES <= size; i += STEP_BYTES) {
        __m256i x = _mm256_loadu_si256((const void *)(a + i));
        __m256i y = _mm256_loadu_si256((const void *)(b + i));
        sums = _mm256_add_epi64(sums, ones_of(_mm256_xor_si256(x, y)));
    }
    return (float)(sum_of_8(sums) + rest_of(a + i, b + i, size - i));
}

void bits_tile_avx2(const uint8_t *queries, size_t query_count, const uint8_t *rows,
                    size_t row_count, size_t size, float *scores)
{
    for (size_t q = 0; q < query_count; q++)
        for (size_t r = 0; r < row_count; r++)
            scores[q * row_count + r] = differing(queries + q * size, rows + r * size, size);
}
