/* Rows in code, for themselves: whole numbers in registers of four sums, numbers of 16 bits in the
 * canonical sixteen lanes. Not measured: there was no ARM processor to tune on. */
#include "kernel/arm/fold.h"
#include "kernel/arm/neon.h"
#include "kernel/unroll.h"

/* 2 * 127 * 127 fits 16 bits. */
INLINE int32x4_t add_products(int32x4_t sums, int8x16_t row, int8x16_t query)
{
    int16x8_t pairs = vmull_s8(vget_low_s8(row), vget_low_s8(query));
    return vpadalq_s16(sums, vmlal_high_s8(pairs, row, query));
}

#include "kernel/arm/whole_rows.h"

INLINE void hamming_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    int32x4_t sums[PAIRS_MAX];
    EACH(i, query_count * row_count) sums[i] = vdupq_n_s32(0);
    for (size_t i = 0; i < s->size; i += STEP) {
        uint8x16_t rows[STRIP_ROWS];
        EACH(r, row_count) rows[r] = vld1q_u8(s->rows[row + r] + i);
        EACH(q, query_count)
        {
            uint8x16_t query = vld1q_u8((const uint8_t *)some_query(s, q) + i);
            EACH(r, row_count)
            {
                int32x4_t *sum = &sums[q * row_count + r];
                uint16x8_t bits = vpaddlq_u8(vcntq_u8(veorq_u8(query, rows[r])));
                *sum = vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(*sum), bits));
            }
        }
    }
    put_totals(s, row, query_count, row_count, sums);
}

INLINE float32x4_t widen_f16(uint16x4_t halves)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(halves));
}

INLINE float32x4_t widen_bf16(uint16x4_t halves)
{
    return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
}

/* Lanes 0 to 3, 4 to 7, 8 to 11, 12 to 15 of each pair, for which two rows are enough at once. */
INLINE void halves_of_two(const struct some *s, size_t row, size_t query_count, size_t row_count,
                          float32x4_t (*widen)(uint16x4_t))
{
    float32x4_t lanes[PAIRS_MAX][4];
    EACH(i, query_count * row_count)
    EACH(j, 4) lanes[i][j] = vdupq_n_f32(0);
    for (size_t i = 0; i < s->size / 2; i += STEP) EACH(j, 4)
        {
            size_t at = i + 4 * j;
            float32x4_t rows[STRIP_ROWS];
            EACH(r, row_count)
            rows[r] = widen(vld1_u16((const uint16_t *)(const void *)s->rows[row + r] + at));
            EACH(q, query_count)
            {
                float32x4_t query = vld1q_f32((const float *)some_query(s, q) + at);
                EACH(r, row_count)
                {
                    float32x4_t *lane = &lanes[q * row_count + r][j];
                    *lane = vfmaq_f32(*lane, query, rows[r]);
                }
            }
        }
    EACH(q, query_count)
    {
        float *out = some_out(s, q, row);
        EACH(r, row_count) out[r] = fold_quarters(lanes[q * row_count + r]);
    }
}

INLINE void halves_some(const struct some *s, size_t row, size_t query_count, size_t row_count,
                        float32x4_t (*widen)(uint16x4_t))
{
    size_t together = row_count < 2 ? row_count : 2;
    EACH(r, row_count / together)
    halves_of_two(s, row + r * together, query_count, together, widen);
}

INLINE void dots_f16_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    halves_some(s, row, query_count, row_count, widen_f16);
}

INLINE void dots_bf16_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
{
    halves_some(s, row, query_count, row_count, widen_bf16);
}

DEFINE_ALL_CODE_ROWS(neon)
