#pragma once
/* dots_i8 and dots_i4 in registers of four sums. The tier first says how products of sixteen codes
 * of a row and of a query are added to them: add_products. */
#include <arm_neon.h>

enum { SQUARE_QUERIES = 2, SQUARE_ROWS = 4, PAIRS_MAX = 8, STEP = 16 };

#include "kernel/rows.h"

INLINE int8x16_t load(const void *codes)
{
    return vld1q_s8(codes);
}

/* Of a square or a strip: sums[q * row_count + r]. */
INLINE void put_totals(const struct some *s, size_t row, size_t query_count, size_t row_count,
                       const int32x4_t *sums)
{
    EACH(q, query_count)
    {
        int32_t *out = some_out(s, q, row);
        EACH(r, row_count) out[r] = vaddvq_s32(sums[q * row_count + r]);
    }
}

INLINE void dots_i8_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    int32x4_t sums[PAIRS_MAX];
    EACH(i, query_count * row_count) sums[i] = vdupq_n_s32(0);
    for (size_t i = 0; i < s->size; i += STEP) {
        int8x16_t rows[STRIP_ROWS];
        EACH(r, row_count) rows[r] = load(s->rows[row + r] + i);
        EACH(q, query_count)
        {
            int8x16_t query = load((const char *)some_query(s, q) + i);
            EACH(r, row_count)
            sums[q * row_count + r] = add_products(sums[q * row_count + r], rows[r], query);
        }
    }
    put_totals(s, row, query_count, row_count, sums);
}

/* The lower halves of STEP bytes at i go with the query's codes at 2 * (i - i % CODE_UNIT) +
 * i % CODE_UNIT, the upper with those CODE_UNIT further. */
INLINE void dots_i4_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    const uint8x16_t lower = vdupq_n_u8(15);
    const int8x16_t eight = vdupq_n_s8(8);
    int32x4_t sums[PAIRS_MAX];
    EACH(i, query_count * row_count) sums[i] = vdupq_n_s32(0);
    for (size_t i = 0; i < s->size; i += STEP) {
        size_t at = i + i / CODE_UNIT * CODE_UNIT;
        int8x16_t low[STRIP_ROWS], high[STRIP_ROWS];
        EACH(r, row_count)
        {
            uint8x16_t codes = vld1q_u8(s->rows[row + r] + i);
            low[r] = vsubq_s8(vreinterpretq_s8_u8(vandq_u8(codes, lower)), eight);
            high[r] = vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(codes, 4)), eight);
        }
        EACH(q, query_count)
        {
            const char *query = some_query(s, q);
            int8x16_t near = load(query + at), far = load(query + at + CODE_UNIT);
            EACH(r, row_count)
            {
                int32x4_t *sum = &sums[q * row_count + r];
                *sum = add_products(*sum, low[r], near);
                *sum = add_products(*sum, high[r], far);
            }
        }
    }
    put_totals(s, row, query_count, row_count, sums);
}
