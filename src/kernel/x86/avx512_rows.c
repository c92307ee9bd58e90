/* Rows in code, for themselves: whole numbers in registers of sixteen sums, numbers of 16 bits in
 * the canonical sixteen lanes. Not measured, and checked on a processor without 512 bits only by
 * the plain C that its instructions stand for. */
#include "kernel/x86/avx512.h"
#include "kernel/x86/avx512_fold.h"

#include <immintrin.h>

enum { SQUARE_QUERIES = 4, SQUARE_ROWS = 4, PAIRS_MAX = 16 };

#include "kernel/rows.h"

/* Of a square or a strip: sums[q * row_count + r]. */
INLINE void put_totals(const struct some *s, size_t row, size_t query_count, size_t row_count,
                       const __m512i *sums)
{
    EACH(q, query_count)
    {
        int32_t *out = some_out(s, q, row);
        EACH(r, row_count) out[r] = _mm512_reduce_add_epi32(sums[q * row_count + r]);
    }
}

/* Half a unit of codes as numbers of 16 bits. */
INLINE __m512i load_wide(const void *codes)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(codes));
}

INLINE void dots_i8_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    __m512i sums[PAIRS_MAX];
    EACH(i, query_count * row_count) sums[i] = _mm512_setzero_si512();
    for (size_t i = 0; i < s->size; i += CODE_UNIT / 2) {
        __m512i rows[STRIP_ROWS];
        EACH(r, row_count) rows[r] = load_wide(s->rows[row + r] + i);
        EACH(q, query_count)
        {
            __m512i query = load_wide((const char *)some_query(s, q) + i);
            EACH(r, row_count)
            {
                __m512i *sum = &sums[q * row_count + r];
                *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(rows[r], query));
            }
        }
    }
    put_totals(s, row, query_count, row_count, sums);
}

/* Products of two codes of a row and of a query, of the lower and of the upper halves, added in 16
 * bits: 4 * 15 * 127. The 8 that is in each code goes by the sum of the query's. */
INLINE __m512i add_pairs(__m512i sums, __m512i low, __m512i high, __m512i near, __m512i far)
{
    __m512i pairs =
        _mm512_add_epi16(_mm512_maddubs_epi16(low, near), _mm512_maddubs_epi16(high, far));
    return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

INLINE void dots_i4_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    const __m512i lower = _mm512_set1_epi8(15), eight = _mm512_set1_epi8(8);
    __m512i sums[PAIRS_MAX], eights[SQUARE_QUERIES];
    EACH(i, query_count * row_count) sums[i] = _mm512_setzero_si512();
    EACH(q, query_count) eights[q] = _mm512_setzero_si512();
    for (size_t i = 0; i < s->size; i += CODE_UNIT) {
        __m512i low[STRIP_ROWS], high[STRIP_ROWS];
        EACH(r, row_count)
        {
            __m512i codes = _mm512_loadu_si512(s->rows[row + r] + i);
            low[r] = _mm512_and_si512(codes, lower);
            high[r] = _mm512_and_si512(_mm512_srli_epi16(codes, 4), lower);
        }
        EACH(q, query_count)
        {
            const char *query = (const char *)some_query(s, q) + 2 * i;
            __m512i near = _mm512_loadu_si512(query), far = _mm512_loadu_si512(query + CODE_UNIT);
            EACH(r, row_count)
            {
                __m512i *sum = &sums[q * row_count + r];
                *sum = add_pairs(*sum, low[r], high[r], near, far);
            }
            eights[q] = add_pairs(eights[q], eight, eight, near, far);
        }
    }
    EACH(i, query_count * row_count) sums[i] = _mm512_sub_epi32(sums[i], eights[i / row_count]);
    put_totals(s, row, query_count, row_count, sums);
}

/* As in avx2_rows.c. */
INLINE __m512i count_bits(__m512i x)
{
    const __m512i counts =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i lower = _mm512_set1_epi8(15);
    __m512i low = _mm512_shuffle_epi8(counts, _mm512_and_si512(x, lower));
    __m512i high = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(x, 4), lower));
    return _mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512());
}

INLINE void hamming_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    __m512i sums[PAIRS_MAX];
    EACH(i, query_count * row_count) sums[i] = _mm512_setzero_si512();
    for (size_t i = 0; i < s->size; i += CODE_UNIT) {
        __m512i rows[STRIP_ROWS];
        EACH(r, row_count) rows[r] = _mm512_loadu_si512(s->rows[row + r] + i);
        EACH(q, query_count)
        {
            __m512i query = _mm512_loadu_si512((const char *)some_query(s, q) + i);
            EACH(r, row_count)
            {
                __m512i *sum = &sums[q * row_count + r];
                *sum = _mm512_add_epi64(*sum, count_bits(_mm512_xor_si512(query, rows[r])));
            }
        }
    }
    put_totals(s, row, query_count, row_count, sums); /* upper halves are zeros */
}

INLINE __m512 widen_f16(__m256i halves)
{
    return _mm512_cvtph_ps(halves);
}

INLINE __m512 widen_bf16(__m256i halves)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

INLINE void halves_some(const struct some *s, size_t row, size_t query_count, size_t row_count,
                        __m512 (*widen)(__m256i))
{
    __m512 lanes[PAIRS_MAX];
    EACH(i, query_count * row_count) lanes[i] = _mm512_setzero_ps();
    for (size_t i = 0; i < s->size; i += CODE_UNIT / 2) {
        __m512 rows[STRIP_ROWS];
        EACH(r, row_count)
        rows[r] = widen(_mm256_loadu_si256((const __m256i *)(s->rows[row + r] + i)));
        EACH(q, query_count)
        {
            __m512 query = _mm512_loadu_ps((const float *)some_query(s, q) + i / 2);
            EACH(r, row_count)
            {
                __m512 *lane = &lanes[q * row_count + r];
                *lane = _mm512_fmadd_ps(query, rows[r], *lane);
            }
        }
    }
    EACH(q, query_count)
    {
        float *out = some_out(s, q, row);
        EACH(r, row_count) out[r] = fold_lanes(lanes[q * row_count + r]);
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

DEFINE_ALL_CODE_ROWS(avx512)
