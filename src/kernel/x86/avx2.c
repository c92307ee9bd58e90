/* Sixteen lanes are two registers. This file alone is built with -mavx2 -mfma. */
#include "kernel/x86/avx2.h"
#include "waggle/knn.h"

#include <immintrin.h>

/* Two passes, lanes 0 to 7 and then 8 to 15, leave room for twelve accumulators: enough to hide the
 * latency of two multiply-adds a cycle, with 7 loads for 12 of them. Both halves in one pass, as
 * 3 x 2, need 10 and reach three quarters of the speed. */
enum { VEC_LANES = 8, SQUARE_QUERIES = 3, SQUARE_ROWS = 4, STRIP_ROWS = 8 };

typedef __m256 vec;
#define vec_zero _mm256_setzero_ps
#define vec_add  _mm256_add_ps
#define vec_sub  _mm256_sub_ps
#define vec_fma  _mm256_fmadd_ps
#define vec_max  _mm256_max_ps

static inline vec vec_abs(vec x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* All bits of the first count lanes. */
static inline __m256i first(size_t count)
{
    __m256i position = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), position);
}

static inline vec vec_load(const float *x, size_t count)
{
    return count >= VEC_LANES ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, first(count));
}

#include "kernel/tile.h"

/* What the shuffle picks by low from a and b takes in what it picks by high. */
#define JOIN_HALVES(metric, kind, a, b, low, high) \
    join(metric, _mm256_##kind(a, b, low), _mm256_##kind(a, b, high))

/* Lane j has taken in lane j+8; it takes in lane j+4, j+2, j+1; -0 becomes +0. */
INLINE float fold(enum metric metric, vec lanes)
{
    lanes = JOIN_HALVES(metric, permute2f128_ps, lanes, lanes, 0x20, 0x31);
    lanes = JOIN_HALVES(metric, shuffle_ps, lanes, lanes, 0x44, 0xee);
    lanes = JOIN_HALVES(metric, shuffle_ps, lanes, lanes, 0x88, 0xdd);
    return _mm256_cvtss_f32(lanes) + 0.0f;
}

/* Folds four accumulators at once: each step brings the lanes j and the lanes j + half of two
 * registers side by side. Out: their scores, in their order. */
INLINE __m128 fold_4(enum metric metric, const vec *lanes)
{
    vec even = JOIN_HALVES(metric, permute2f128_ps, lanes[0], lanes[2], 0x20, 0x31);
    vec odd = JOIN_HALVES(metric, permute2f128_ps, lanes[1], lanes[3], 0x20, 0x31);
    vec both = JOIN_HALVES(metric, shuffle_ps, even, odd, 0x44, 0xee);
    both = JOIN_HALVES(metric, shuffle_ps, both, both, 0x88, 0xdd);
    both = vec_add(both, vec_zero());
    return _mm_movelh_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
}

INLINE void square(enum metric metric, const struct tile *t, size_t q, size_t r)
{
    struct block b = block_at(t, q, r, SQUARE_QUERIES, SQUARE_ROWS);
    vec lanes[SQUARE_QUERIES * SQUARE_ROWS];
    block_lanes(metric, &b, lanes);
    float *out = t->scores + q * t->row_count + r;
    EACH(i, SQUARE_QUERIES) _mm_storeu_ps(out + i * t->row_count, fold_4(metric, lanes + 4 * i));
}

INLINE void strip(enum metric metric, const struct tile *t, size_t q, size_t r)
{
    struct block b = block_at(t, q, r, 1, STRIP_ROWS);
    vec lanes[STRIP_ROWS];
    block_lanes(metric, &b, lanes);
    float *out = t->scores + q * t->row_count + r;
    EACH(i, STRIP_ROWS / 4) _mm_storeu_ps(out + 4 * i, fold_4(metric, lanes + 4 * i));
}

DEFINE_METRIC(dot, DOT, avx2)
DEFINE_METRIC(l2, L2, avx2)
DEFINE_METRIC(l1, L1, avx2)
DEFINE_METRIC(chebyshev, CHEBYSHEV, avx2)

/* A bit for each lane of x that compares so with y, among the first count. */
#define LANES_THAT(x, compare, y, count) \
    ((unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x, y, compare)) & ((1u << (count)) - 1))

size_t sift_avx2(const float *scores, const float *offsets, size_t count, float scale, float limit,
                 uint32_t *kept)
{
    vec scales = _mm256_set1_ps(scale), limits = _mm256_set1_ps(limit);
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i += 8) {
        size_t here = count - i < 8 ? count - i : 8;
        vec offset = offsets ? vec_load(offsets + i, here) : vec_zero();
        vec value = vec_fma(scales, vec_load(scores + i, here), offset);
        unsigned keep = LANES_THAT(value, _CMP_NGT_UQ, limits, here);
        for (; keep; keep &= keep - 1)
            kept[kept_count++] = (uint32_t)(i + (size_t)__builtin_ctz(keep));
    }
    return kept_count;
}

/* How many of the first components are fine for sure, as in avx512.c. A magnitude fits a signed
 * integer. */
static size_t fine_runs(const float *x, size_t count)
{
    enum { RUN = 8 * VEC_LANES };
    __m256i largest = _mm256_castps_si256(_mm256_set1_ps(WG_COMPONENT_MAX));
    for (size_t i = 0;; i += RUN) {
        if (count - i < RUN) return i;
        __m256i sizes = _mm256_setzero_si256();
        EACH(j, RUN / VEC_LANES)
        {
            vec size = vec_abs(_mm256_loadu_ps(x + i + j * VEC_LANES));
            sizes = _mm256_max_epi32(sizes, _mm256_castps_si256(size));
        }
        if (_mm256_movemask_epi8(_mm256_cmpgt_epi32(sizes, largest))) return i;
    }
}

size_t find_refused_avx2(const float *x, size_t count)
{
    vec largest = _mm256_set1_ps(WG_COMPONENT_MAX);
    for (size_t i = fine_runs(x, count); i < count; i += 8) {
        vec size = vec_abs(vec_load(x + i, count - i));
        unsigned refused = LANES_THAT(size, _CMP_NLE_UQ, largest, 8);
        if (refused) return i + (size_t)__builtin_ctz(refused);
    }
    return count;
}
