/* pack and dot_panel in registers of eight rows. */
#include "kernel/x86/avx2.h"

#include <immintrin.h>

/* 12 sums, 2 registers of rows and a query's element fit the 16 registers: half of a panel's rows
 * are scored by all queries, then the other half. */
enum { VEC_LANES = 8, GROUP_VECS = 2 };
#define GROUPS UP_TO_6

typedef __m256 vec;
#define vec_zero  _mm256_setzero_ps
#define vec_load  _mm256_loadu_ps
#define vec_store _mm256_storeu_ps
#define vec_set1  _mm256_set1_ps
#define vec_fma   _mm256_fmadd_ps

static inline vec vec_load_first(const float *x, size_t count)
{
    __m256i position = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(x, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), position));
}

#include "kernel/panel.h"

/* In each half, by itself: element i of register j becomes element j of register i. */
INLINE void turn_halves(vec *x)
{
    vec low_02 = _mm256_unpacklo_ps(x[0], x[2]), high_02 = _mm256_unpackhi_ps(x[0], x[2]);
    vec low_13 = _mm256_unpacklo_ps(x[1], x[3]), high_13 = _mm256_unpackhi_ps(x[1], x[3]);
    x[0] = _mm256_unpacklo_ps(low_02, low_13), x[1] = _mm256_unpackhi_ps(low_02, low_13);
    x[2] = _mm256_unpacklo_ps(high_02, high_13), x[3] = _mm256_unpackhi_ps(high_02, high_13);
}

/* Four elements of one row, and of another. */
INLINE vec load_halves(const float *low, const float *high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}

/* Rows j and j + 4 come together in the halves of a register; the halves are then turned by
 * themselves. */
INLINE void load_turned(const float *rows, size_t dim, vec *columns)
{
    EACH(h, 2)
    {
        vec *x = columns + 4 * h;
        EACH(j, 4) x[j] = load_halves(rows + j * dim + 4 * h, rows + (j + 4) * dim + 4 * h);
        turn_halves(x);
    }
}

DEFINE_PANEL(avx2)
