/* Rows in code, for themselves: whole numbers in registers of eight sums, numbers of 16 bits in the
 * canonical sixteen lanes. */
#include "kernel/x86/avx2.h"
#include "kernel/x86/avx2_fold.h"

#include <immintrin.h>

enum { SQUARE_QUERIES = 2, SQUARE_ROWS = 2, PAIRS_MAX = 4, STEP = 32 };

#include "kernel/rows.h"

static inline __m256i load(const void *codes)
{
    return _mm256_loadu_si256(codes);
}

/* Eight sums become one. */
INLINE int32_t total(__m256i sums)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* Of a square or a strip: sums[q * row_count + r]. */
INLINE void put_totals(const struct some *s, size_t row, size_t query_count, size_t row_count,
                       const __m256i *sums)
{
    EACH(q, query_count)
    {
        int32_t *out = some_out(s, q, row);
        EACH(r, row_count) out[r] = total(sums[q * row_count + r]);
    }
}

/* Adds products of bytes, unsigned with signed, which by twos are within 16 bits. */
INLINE __m256i add_products(__m256i sums, __m256i rows, __m256i query)
{
    __m256i pairs = _mm256_maddubs_epi16(rows, query);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* The row's sign goes to the query: 2 * 127 * 127 fits 16 bits, and codes plus 128 do not. */
INLINE void dots_i8_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    __m256i sums[PAIRS_MAX];
    EACH(i, query_count * row_count) sums[i] = _mm256_setzero_si256();
    for (size_t i = 0; i < s->size; i += STEP) {
        __m256i rows[STRIP_ROWS];
        EACH(r, row_count) rows[r] = load(s->rows[row + r] + i);
        EACH(q, query_count)
        {
            __m256i query = load((const char *)some_query(s, q) + i);
            EACH(r, row_count)
            {
                __m256i *sum = &sums[q * row_count + r];
                *sum =
                    add_products(*sum, _mm256_abs_epi8(rows[r]), _mm256_sign_epi8(query, rows[r]));
            }
        }
    }
    put_totals(s, row, query_count, row_count, sums);
}

/* The lower halves of STEP bytes at i go with the query's codes at 2 * (i - i % CODE_UNIT) +
 * i % CODE_UNIT, the upper with those CODE_UNIT further. Products of both are added in 16 bits:
 * 4 * 15 * 127. The 8 that is in each code goes by the sum of the query's. */
INLINE void dots_i4_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    const __m256i lower = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sums[PAIRS_MAX], eights[SQUARE_QUERIES];
    EACH(i, query_count * row_count) sums[i] = _mm256_setzero_si256();
    EACH(q, query_count) eights[q] = _mm256_setzero_si256();
    for (size_t i = 0; i < s->size; i += STEP) {
        size_t at = i + i / CODE_UNIT * CODE_UNIT;
        __m256i rows[STRIP_ROWS];
        EACH(r, row_count) rows[r] = load(s->rows[row + r] + i);
        EACH(q, query_count)
        {
            const char *query = some_query(s, q);
            __m256i near = load(query + at), far = load(query + at + CODE_UNIT);
            EACH(r, row_count)
            {
                __m256i low = _mm256_and_si256(rows[r], lower);
                __m256i high = _mm256_and_si256(_mm256_srli_epi16(rows[r], 4), lower);
                __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(low, near),
                                                 _mm256_maddubs_epi16(high, far));
                __m256i *sum = &sums[q * row_count + r];
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
            eights[q] = add_products(eights[q], _mm256_set1_epi8(8), near);
            eights[q] = add_products(eights[q], _mm256_set1_epi8(8), far);
        }
    }
    EACH(i, query_count * row_count) sums[i] = _mm256_sub_epi32(sums[i], eights[i / row_count]);
    put_totals(s, row, query_count, row_count, sums);
}

/* By halves of bytes in a table: W. Mula, N. Kurz, D. Lemire, Faster Population Counts Using AVX2
 * Instructions. Sums are of 64 bits. */
INLINE __m256i count_bits(__m256i x)
{
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                            2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i lower = _mm256_set1_epi8(15);
    __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, lower));
    __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), lower));
    return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
}

INLINE void hamming_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    __m256i sums[PAIRS_MAX];
    EACH(i, query_count * row_count) sums[i] = _mm256_setzero_si256();
    for (size_t i = 0; i < s->size; i += STEP) EACH(q, query_count)
        {
            __m256i query = load((const char *)some_query(s, q) + i);
            EACH(r, row_count)
            {
                __m256i *sum = &sums[q * row_count + r];
                __m256i differ = _mm256_xor_si256(query, load(s->rows[row + r] + i));
                *sum = _mm256_add_epi64(*sum, count_bits(differ));
            }
        }
    put_totals(s, row, query_count, row_count, sums); /* upper halves are zeros */
}

INLINE __m256 widen_f16(__m128i halves)
{
    return _mm256_cvtph_ps(halves);
}

INLINE __m256 widen_bf16(__m128i halves)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/* Lanes 0 to 7 and 8 to 15 of each pair; sixteen numbers are STEP bytes. */
INLINE void halves_some(const struct some *s, size_t row, size_t query_count, size_t row_count,
                        __m256 (*widen)(__m128i))
{
    __m256 lanes[PAIRS_MAX][2];
    EACH(i, query_count * row_count) lanes[i][0] = lanes[i][1] = _mm256_setzero_ps();
    for (size_t i = 0; i < s->size; i += STEP) EACH(half, 2)
        {
            size_t at = i + half * (STEP / 2);
            __m256 rows[STRIP_ROWS];
            EACH(r, row_count)
            rows[r] = widen(_mm_loadu_si128((const __m128i *)(s->rows[row + r] + at)));
            EACH(q, query_count)
            {
                __m256 query = _mm256_loadu_ps((const float *)some_query(s, q) + at / 2);
                EACH(r, row_count)
                {
                    __m256 *lane = &lanes[q * row_count + r][half];
                    *lane = _mm256_fmadd_ps(query, rows[r], *lane);
                }
            }
        }
    EACH(q, query_count)
    {
        float *out = some_out(s, q, row);
        EACH(r, row_count) out[r] = fold_halves(lanes[q * row_count + r]);
    }
}

INLINE void dots_f16_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    halves_some(s, row, query_count, row_count, widen_f16);
}

INLINE void dots_bf16_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    halves_some(s, row, query_count, row_count, widen_bf16);
}

DEFINE_ALL_CODE_ROWS(avx2)
