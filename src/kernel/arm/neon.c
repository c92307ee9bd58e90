/* Sixteen lanes are four registers. Every 64-bit ARM processor has these instructions. */
#include "kernel/arm/neon.h"
#include "kernel/arm/vec.h"
#include "waggle/knn.h"

/* Sixteen accumulators and eight operands fit the 32 registers, so four lanes of a square go in one
 * pass. They hide the latency of four multiply-adds a cycle. Not measured: there was no ARM
 * processor to tune on. */
enum { VEC_LANES = 4, SQUARE_QUERIES = 4, SQUARE_ROWS = 4, STRIP_ROWS = 8 };

#define vec_load vec_load_first

#include "kernel/tile.h"

/* Lanes 0 and 1 of a and of b take in their lanes 2 and 3. */
INLINE vec join_halves(enum metric metric, vec a, vec b)
{
    vec low = vcombine_f32(vget_low_f32(a), vget_low_f32(b));
    return join(metric, low, vcombine_f32(vget_high_f32(a), vget_high_f32(b)));
}

/* Folds four accumulators at once, in which lane j has taken in lane j+8 and j+4: it takes in lane
 * j+2 and j+1; -0 becomes +0. Out: their scores, in their order. */
INLINE vec fold_4(enum metric metric, const vec *lanes)
{
    vec left = join_halves(metric, lanes[0], lanes[1]);
    vec right = join_halves(metric, lanes[2], lanes[3]);
    vec scores = join(metric, vuzp1q_f32(left, right), vuzp2q_f32(left, right));
    return vec_add(scores, vec_zero());
}

INLINE float fold(enum metric metric, vec lanes)
{
    return vgetq_lane_f32(fold_4(metric, (vec[]){ lanes, lanes, lanes, lanes }), 0);
}

INLINE void square(enum metric metric, const struct tile *t, size_t q, size_t r)
{
    struct block b = block_at(t, q, r, SQUARE_QUERIES, SQUARE_ROWS);
    vec lanes[SQUARE_QUERIES * SQUARE_ROWS];
    block_lanes(metric, &b, lanes);
    float *out = t->scores + q * t->row_count + r;
    EACH(i, SQUARE_QUERIES) vst1q_f32(out + i * t->row_count, fold_4(metric, lanes + 4 * i));
}

INLINE void strip(enum metric metric, const struct tile *t, size_t q, size_t r)
{
    struct block b = block_at(t, q, r, 1, STRIP_ROWS);
    vec lanes[STRIP_ROWS];
    block_lanes(metric, &b, lanes);
    float *out = t->scores + q * t->row_count + r;
    EACH(i, STRIP_ROWS / 4) vst1q_f32(out + 4 * i, fold_4(metric, lanes + 4 * i));
}

DEFINE_METRIC(dot, DOT, neon)
DEFINE_METRIC(l2, L2, neon)
DEFINE_METRIC(l1, L1, neon)
DEFINE_METRIC(chebyshev, CHEBYSHEV, neon)

/* All bits of the lanes that go: those with a NaN do not. */
INLINE uint32x4_t gone(const float *scores, const float *offsets, size_t count, float scale,
                       float limit)
{
    vec offset = offsets ? vec_load(offsets, count) : vec_zero();
    vec value = vec_fma(vdupq_n_f32(scale), vec_load(scores, count), offset);
    return vcgtq_f32(value, vdupq_n_f32(limit));
}

/* The positions among the first count from i on that are not gone. */
static inline size_t list(uint32x4_t gone, size_t i, size_t count, uint32_t *kept)
{
    const uint32x4_t bit = { 1, 2, 4, 8 };
    size_t kept_count = 0;
    uint32_t bits = vaddvq_u32(vbicq_u32(bit, gone)) & ((1u << count) - 1);
    for (; bits; bits &= bits - 1) kept[kept_count++] = (uint32_t)(i + (size_t)__builtin_ctz(bits));
    return kept_count;
}

/* Hardly a score stays: sixteen are looked at together. */
size_t sift_neon(const float *scores, const float *offsets, size_t count, float scale, float limit,
                 uint32_t *kept)
{
    size_t kept_count = 0, i = 0;
    for (; i + 16 <= count; i += 16) {
        uint32x4_t go[4];
        EACH(j, 4)
        {
            size_t at = i + 4 * j;
            go[j] = gone(scores + at, offsets ? offsets + at : NULL, 4, scale, limit);
        }
        if (vminvq_u32(vandq_u32(vandq_u32(go[0], go[1]), vandq_u32(go[2], go[3])))) continue;
        EACH(j, 4) kept_count += list(go[j], i + 4 * j, 4, kept + kept_count);
    }
    for (; i < count; i += 4) {
        size_t here = count - i < 4 ? count - i : 4;
        uint32x4_t go = gone(scores + i, offsets ? offsets + i : NULL, here, scale, limit);
        kept_count += list(go, i, here, kept + kept_count);
    }
    return kept_count;
}

/* How many of the first components are fine for sure, as in x86/avx512.c. */
static size_t fine_runs(const float *x, size_t count)
{
    enum { RUN = 16 * VEC_LANES };
    uint32_t largest = vgetq_lane_u32(vreinterpretq_u32_f32(vdupq_n_f32(WG_COMPONENT_MAX)), 0);
    for (size_t i = 0;; i += RUN) {
        if (count - i < RUN) return i;
        uint32x4_t sizes = vdupq_n_u32(0);
        EACH(j, RUN / VEC_LANES)
        {
            vec size = vec_abs(vld1q_f32(x + i + j * VEC_LANES));
            sizes = vmaxq_u32(sizes, vreinterpretq_u32_f32(size));
        }
        if (vmaxvq_u32(sizes) > largest) return i;
    }
}

size_t find_refused_neon(const float *x, size_t count)
{
    const uint32x4_t bit = { 1, 2, 4, 8 };
    vec largest = vdupq_n_f32(WG_COMPONENT_MAX);
    for (size_t i = fine_runs(x, count); i < count; i += 4) {
        uint32x4_t fine = vcleq_f32(vec_abs(vec_load(x + i, count - i)), largest);
        uint32_t refused = vaddvq_u32(vbicq_u32(bit, fine));
        if (refused) return i + (size_t)__builtin_ctz(refused);
    }
    return count;
}
