/* dots_i8 and dots_i4 by the instruction that multiplies and adds four pairs of codes at once. */
#include "kernel/x86/vnni.h"

#include <immintrin.h>

enum { SQUARE_QUERIES = 4, SQUARE_ROWS = 4, PAIRS_MAX = 16 };

#include "kernel/rows.h"

/* As in vnni_codes.c. rows are unsigned. */
INLINE __m512i add_products(__m512i sums, __m512i rows, __m512i query)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(rows), "v"(query));
    return sums;
}

/* Sums without what was added to each code, times the query's: others of that query. */
INLINE void put_totals(const struct some *s, size_t row, size_t query_count, size_t row_count,
                       const __m512i *sums, const __m512i *others)
{
    EACH(q, query_count)
    {
        int32_t *out = some_out(s, q, row);
        EACH(r, row_count)
        out[r] = _mm512_reduce_add_epi32(_mm512_sub_epi32(sums[q * row_count + r], others[q]));
    }
}

/* With 128 added, codes are unsigned. */
INLINE void dots_i8_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    const __m512i added = _mm512_set1_epi8((char)128);
    __m512i sums[PAIRS_MAX], others[SQUARE_QUERIES];
    EACH(i, query_count * row_count) sums[i] = _mm512_setzero_si512();
    EACH(q, query_count) others[q] = _mm512_setzero_si512();
    for (size_t i = 0; i < s->size; i += CODE_UNIT) {
        __m512i rows[STRIP_ROWS];
        EACH(r, row_count)
        rows[r] = _mm512_xor_si512(_mm512_loadu_si512(s->rows[row + r] + i), added);
        EACH(q, query_count)
        {
            __m512i query = _mm512_loadu_si512((const char *)some_query(s, q) + i);
            EACH(r, row_count)
            sums[q * row_count + r] = add_products(sums[q * row_count + r], rows[r], query);
            others[q] = add_products(others[q], added, query);
        }
    }
    put_totals(s, row, query_count, row_count, sums, others);
}

INLINE void dots_i4_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    const __m512i lower = _mm512_set1_epi8(15), added = _mm512_set1_epi8(8);
    __m512i sums[PAIRS_MAX], others[SQUARE_QUERIES];
    EACH(i, query_count * row_count) sums[i] = _mm512_setzero_si512();
    EACH(q, query_count) others[q] = _mm512_setzero_si512();
    for (size_t i = 0; i < s->size; i += CODE_UNIT) EACH(half, 2)
        {
            __m512i rows[STRIP_ROWS];
            EACH(r, row_count)
            {
                __m512i codes = _mm512_loadu_si512(s->rows[row + r] + i);
                rows[r] = _mm512_and_si512(half ? _mm512_srli_epi16(codes, 4) : codes, lower);
            }
            EACH(q, query_count)
            {
                const char *at = (const char *)some_query(s, q) + 2 * i + half * CODE_UNIT;
                __m512i query = _mm512_loadu_si512(at);
                EACH(r, row_count)
                sums[q * row_count + r] = add_products(sums[q * row_count + r], rows[r], query);
                others[q] = add_products(others[q], added, query);
            }
        }
    put_totals(s, row, query_count, row_count, sums, others);
}

DEFINE_CODE_ROWS(dots_i8, vnni, int8_t, 1, int32_t)
DEFINE_CODE_ROWS(dots_i4, vnni, int8_t, 2, int32_t)
