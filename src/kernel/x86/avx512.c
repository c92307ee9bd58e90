/* Sixteen lanes are one register. This file alone is built with -mavx512f -mavx512dq (for shuffles
 * and extracts of quarters), and with -mavx512bw -mavx512vl, which it does not need by name but
 * leaves to the compiler: the tier asks the processor for all four. */
#include "kernel/x86/avx512.h"
#include "waggle/knn.h"

#include <immintrin.h>

/* Sixteen accumulators and eight operands fit the 32 registers, and fold as one. On Zen 5 6 x 4 and
 * 4 x 6 gain nothing at 784 dimensions and lose a third at 128. */
enum { VEC_LANES = 16, SQUARE_QUERIES = 4, SQUARE_ROWS = 4, STRIP_ROWS = 16 };

typedef __m512 vec;
#define vec_zero _mm512_setzero_ps
#define vec_add  _mm512_add_ps
#define vec_sub  _mm512_sub_ps
#define vec_fma  _mm512_fmadd_ps
#define vec_max  _mm512_max_ps
#define vec_abs  _mm512_abs_ps

static inline __mmask16 first(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}

static inline vec vec_load(const float *x, size_t count)
{
    return count >= VEC_LANES ? _mm512_loadu_ps(x) : _mm512_maskz_loadu_ps(first(count), x);
}

#include "kernel/tile.h"

/* What the shuffle picks by low from a and b takes in what it picks by high. */
#define JOIN_HALVES(metric, kind, a, b, low, high) \
    join(metric, _mm512_shuffle_##kind(a, b, low), _mm512_shuffle_##kind(a, b, high))

/* Lane j takes in lane j+8, then j+4, j+2, j+1; -0 becomes +0. */
INLINE float fold(enum metric metric, vec lanes)
{
    lanes = JOIN_HALVES(metric, f32x4, lanes, lanes, 0x44, 0xee);
    lanes = JOIN_HALVES(metric, f32x4, lanes, lanes, 0x88, 0xdd);
    lanes = JOIN_HALVES(metric, ps, lanes, lanes, 0x44, 0xee);
    lanes = JOIN_HALVES(metric, ps, lanes, lanes, 0x88, 0xdd);
    return _mm512_cvtss_f32(lanes) + 0.0f;
}

/* Folds sixteen accumulators at once, in 45 instructions instead of 160: each step brings the lanes
 * j and the lanes j + half of two registers side by side. Out: their scores, in their order. */
INLINE vec fold_16(enum metric metric, const vec *lanes)
{
    vec of[4];
    EACH(i, 4)
    {
        vec near = JOIN_HALVES(metric, f32x4, lanes[i], lanes[4 + i], 0x44, 0xee);
        vec far = JOIN_HALVES(metric, f32x4, lanes[8 + i], lanes[12 + i], 0x44, 0xee);
        of[i] = JOIN_HALVES(metric, f32x4, near, far, 0x88, 0xdd);
    }
    vec left = JOIN_HALVES(metric, ps, of[0], of[1], 0x44, 0xee);
    vec right = JOIN_HALVES(metric, ps, of[2], of[3], 0x44, 0xee);
    return vec_add(JOIN_HALVES(metric, ps, left, right, 0x88, 0xdd), vec_zero());
}

INLINE void square(enum metric metric, const struct tile *t, size_t q, size_t r)
{
    struct block b = block_at(t, q, r, SQUARE_QUERIES, SQUARE_ROWS);
    vec lanes[SQUARE_QUERIES * SQUARE_ROWS];
    block_lanes(metric, &b, lanes);
    vec scores = fold_16(metric, lanes);
    float *out = t->scores + q * t->row_count + r;
    _mm_storeu_ps(out, _mm512_castps512_ps128(scores));
    _mm_storeu_ps(out + t->row_count, _mm512_extractf32x4_ps(scores, 1));
    _mm_storeu_ps(out + 2 * t->row_count, _mm512_extractf32x4_ps(scores, 2));
    _mm_storeu_ps(out + 3 * t->row_count, _mm512_extractf32x4_ps(scores, 3));
}

INLINE void strip(enum metric metric, const struct tile *t, size_t q, size_t r)
{
    struct block b = block_at(t, q, r, 1, STRIP_ROWS);
    vec lanes[STRIP_ROWS];
    block_lanes(metric, &b, lanes);
    _mm512_storeu_ps(t->scores + q * t->row_count + r, fold_16(metric, lanes));
}

DEFINE_METRIC(dot, DOT, avx512)
DEFINE_METRIC(l2, L2, avx512)
DEFINE_METRIC(l1, L1, avx512)
DEFINE_METRIC(chebyshev, CHEBYSHEV, avx512)

/* Which of count scores (16 or fewer) stay. */
static inline __mmask16 stay(const float *scores, const float *offsets, size_t count, vec scale,
                             vec limit)
{
    vec offset = offsets ? vec_load(offsets, count) : vec_zero();
    vec value = vec_fma(scale, vec_load(scores, count), offset);
    return _mm512_mask_cmp_ps_mask(first(count), value, limit, _CMP_NGT_UQ);
}

size_t sift_avx512(const float *scores, const float *offsets, size_t count, float scale,
                   float limit, uint32_t *kept)
{
    __m512 scales = _mm512_set1_ps(scale), limits = _mm512_set1_ps(limit);
    __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i += 16) {
        size_t here = count - i < 16 ? count - i : 16;
        __mmask16 keep = stay(scores + i, offsets ? offsets + i : NULL, here, scales, limits);
        if (!keep) continue;
        size_t keep_count = (size_t)__builtin_popcount(keep);
        __m512i positions = _mm512_add_epi32(_mm512_set1_epi32((int)i), place);
        _mm512_mask_storeu_epi32(kept + kept_count, first(keep_count),
                                 _mm512_maskz_compress_epi32(keep, positions));
        kept_count += keep_count;
    }
    return kept_count;
}

/* How many of the first components are fine for sure: whole runs of RUN. Without their signs,
 * floats compare as integers do, and a NaN is above all of them; so one comparison serves a whole
 * run, and rows that are in the cache are checked at its speed. */
static size_t fine_runs(const float *x, size_t count)
{
    enum { RUN = 8 * VEC_LANES };
    __m512i largest = _mm512_castps_si512(_mm512_set1_ps(WG_COMPONENT_MAX));
    for (size_t i = 0;; i += RUN) {
        if (count - i < RUN) return i;
        __m512i sizes = _mm512_setzero_si512();
        EACH(j, RUN / VEC_LANES)
        {
            vec size = vec_abs(_mm512_loadu_ps(x + i + j * VEC_LANES));
            sizes = _mm512_max_epu32(sizes, _mm512_castps_si512(size));
        }
        if (_mm512_cmpgt_epu32_mask(sizes, largest)) return i;
    }
}

size_t find_refused_avx512(const float *x, size_t count)
{
    vec largest = _mm512_set1_ps(WG_COMPONENT_MAX);
    for (size_t i = fine_runs(x, count); i < count; i += 16) {
        vec size = vec_abs(vec_load(x + i, count - i));
        __mmask16 refused = _mm512_cmp_ps_mask(size, largest, _CMP_NLE_UQ);
        if (refused) return i + (size_t)__builtin_ctz(refused);
    }
    return count;
}
