/* pack and dot_panel in registers of sixteen rows. */
#include "kernel/x86/avx512.h"

#include <immintrin.h>

/* 24 sums, 2 registers of rows and a query's element fit the 32 registers. On Zen 5 a panel in the
 * first or second cache is scored as fast as multiply-adds go, by 100 queries and by few. */
enum { VEC_LANES = 16, GROUP_VECS = 2 };
#define GROUPS UP_TO_12

typedef __m512 vec;
#define vec_zero  _mm512_setzero_ps
#define vec_load  _mm512_loadu_ps
#define vec_store _mm512_storeu_ps
#define vec_set1  _mm512_set1_ps
#define vec_fma   _mm512_fmadd_ps

static inline vec vec_load_first(const float *x, size_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), x);
}

#include "kernel/panel.h"

/* In each quarter, by itself: element i of register j becomes element j of register i. */
INLINE void turn_quarters(vec *x)
{
    vec low_02 = _mm512_unpacklo_ps(x[0], x[2]), high_02 = _mm512_unpackhi_ps(x[0], x[2]);
    vec low_13 = _mm512_unpacklo_ps(x[1], x[3]), high_13 = _mm512_unpackhi_ps(x[1], x[3]);
    x[0] = _mm512_unpacklo_ps(low_02, low_13), x[1] = _mm512_unpackhi_ps(low_02, low_13);
    x[2] = _mm512_unpacklo_ps(high_02, high_13), x[3] = _mm512_unpackhi_ps(high_02, high_13);
}

/* Eight elements of one row, and of another. */
INLINE vec load_halves(const float *low, const float *high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(low)), _mm256_loadu_ps(high),
                              1);
}

/* Rows j, j + 4, j + 8 and j + 12 come together in the quarters of a register, which are then
 * turned by themselves. Halves inserted from memory spare 16 of the 64 shuffles that whole rows
 * need, and a quarter of the time on Zen 5; with quarters inserted the loads take longer. */
INLINE void load_turned(const float *rows, size_t dim, vec *columns)
{
    EACH(h, 2)
    {
        vec *x = columns + 8 * h;
        EACH(j, 4)
        {
            const float *row = rows + j * dim + 8 * h;
            vec near = load_halves(row, row + 4 * dim);
            vec far = load_halves(row + 8 * dim, row + 12 * dim);
            x[j] = _mm512_shuffle_f32x4(near, far, 0x88);
            x[4 + j] = _mm512_shuffle_f32x4(near, far, 0xdd);
        }
        turn_quarters(x);
        turn_quarters(x + 4);
    }
}

DEFINE_PANEL(avx512)
