#pragma once
/* What the tiers share: the four metrics over registers, and the cutting of a tile into blocks.
 *
 * A tier's file first says what a register is: the type vec of VEC_LANES lanes (16, or 8 or 4:
 * then a score's lanes are gathered in two or four passes), and vec_zero, vec_load (count of
 * VEC_LANES or more: all of it; 1 or more: zeros behind), vec_add, vec_sub, vec_fma, vec_max,
 * vec_abs. It then includes this, says how it folds and stores a block, and names its kernels by
 * DEFINE_METRIC. All is static: each tier compiles its own, with its own flags, and a metric is a
 * constant that is gone after inlining. */
#include "kernel/kernel.h"
#include "kernel/unroll.h"

enum { LANES = 16, BLOCK_MAX = 16 };

enum metric { DOT, L2, L1, CHEBYSHEV };

/* One more element in every lane. */
INLINE vec step(enum metric metric, vec lanes, vec a, vec b)
{
    if (metric == DOT) return vec_fma(a, b, lanes);
    vec t = vec_sub(a, b);
    if (metric == L2) return vec_fma(t, t, lanes);
    return metric == L1 ? vec_add(lanes, vec_abs(t)) : vec_max(lanes, vec_abs(t));
}

/* One lane takes in another. */
INLINE vec join(enum metric metric, vec a, vec b)
{
    return metric == CHEBYSHEV ? vec_max(a, b) : vec_add(a, b);
}

/* Some queries against some rows, both dim apart. */
struct block {
    const float *queries, *rows;
    size_t query_count, row_count, dim;
};

INLINE size_t pair_count(const struct block *b)
{
    return b->query_count * b->row_count;
}

/* The elements from at on, count of them: lanes[q * row_count + r] is that of query q and row r. */
INLINE void block_step(enum metric metric, const struct block *b, size_t at, size_t count,
                       vec *lanes)
{
    vec query[BLOCK_MAX], row[BLOCK_MAX];
    size_t rows = b->row_count;
    EACH(q, b->query_count) query[q] = vec_load(b->queries + q * b->dim + at, count);
    EACH(r, rows) row[r] = vec_load(b->rows + r * b->dim + at, count);
    EACH(i, pair_count(b)) lanes[i] = step(metric, lanes[i], query[i / rows], row[i % rows]);
}

/* The lanes from first on, VEC_LANES of them, over all elements. */
INLINE void block_pass(enum metric metric, const struct block *b, size_t first, vec *lanes)
{
    EACH(i, pair_count(b)) lanes[i] = vec_zero();
    size_t tail = b->dim % LANES, at = first;
    for (; at < b->dim - tail; at += LANES) block_step(metric, b, at, VEC_LANES, lanes);
    if (tail > first) block_step(metric, b, at, tail - first, lanes);
}

/* The same; where a register does not reach the lanes eight further, those are taken in. */
INLINE void block_eight(enum metric metric, const struct block *b, size_t first, vec *lanes)
{
    block_pass(metric, b, first, lanes);
    if (VEC_LANES > 8) return;
    vec upper[BLOCK_MAX];
    block_pass(metric, b, first + 8, upper);
    EACH(i, pair_count(b)) lanes[i] = join(metric, lanes[i], upper[i]);
}

/* Lanes that do not fit into a register come back already taken in. */
INLINE void block_lanes(enum metric metric, const struct block *b, vec *lanes)
{
    block_eight(metric, b, 0, lanes);
    if (VEC_LANES > 4) return;
    vec upper[BLOCK_MAX];
    block_eight(metric, b, 4, upper);
    EACH(i, pair_count(b)) lanes[i] = join(metric, lanes[i], upper[i]);
}

struct tile {
    const float *queries, *rows;
    size_t query_count, row_count, dim;
    float *scores;
    size_t ahead; /* bytes of the next strip to fetch before each block of this one */
};

/* A block of the tile whose first query is q and whose first row is r. */
INLINE struct block block_at(const struct tile *t, size_t q, size_t r, size_t query_count,
                             size_t row_count)
{
    return (struct block){
        .queries = t->queries + q * t->dim,
        .rows = t->rows + r * t->dim,
        .query_count = query_count,
        .row_count = row_count,
        .dim = t->dim,
    };
}

/* Scores one block. A square is SQUARE_QUERIES x SQUARE_ROWS, so that each load is used several
 * times; a strip is one query against STRIP_ROWS, a multiple of SQUARE_ROWS. */
typedef void block_score(const struct tile *t, size_t q, size_t r);

struct cut {
    kernel_pair_f32 *pair;
    block_score *square, *strip;
};

/* The next strip is fetched while this one is scored, in equal pieces, a piece before each block.
 * On Zen 5, 100K x 128 rows that stream from memory are scored twice as fast by 4 to 16 queries and
 * by a fifth faster by 100; rows in the second or third cache as fast as without; one query against
 * rows in the first cache loses half. Where a strip is more than the first cache holds, queries too
 * few for a square are better served by the processor's own prefetcher. */
INLINE size_t ahead_of_block(const struct tile *t)
{
    size_t strip_size = STRIP_ROWS * t->dim * sizeof *t->rows;
    if (t->query_count == 0) return 0;
    if (t->query_count < SQUARE_QUERIES && strip_size > 32 * 1024) return 0;
    size_t squares = t->query_count / SQUARE_QUERIES * (STRIP_ROWS / SQUARE_ROWS);
    return strip_size / (squares + t->query_count % SQUARE_QUERIES) + 1;
}

/* The fence keeps gcc 12 from dropping all of the loop, which it otherwise does. Behind the last
 * row a prefetch does no harm: it never faults. */
INLINE const char *fetch(const char *from, size_t size)
{
    for (size_t at = 0; at < size; at += 64) {
        __builtin_prefetch(from + at);
        __asm__ volatile("" ::: "memory");
    }
    return from + size;
}

/* Rows of a strip that leave room in the first cache for the queries that pass: at 784 dimensions,
 * where sixteen do not, 100 queries gain a sixth on Zen 5. */
INLINE size_t rows_that_stay(const struct tile *t)
{
    size_t count = STRIP_ROWS;
    while (count > SQUARE_ROWS && count * t->dim * sizeof *t->rows > 28 * 1024) count /= 2;
    return count;
}

/* All squares of STRIP_ROWS rows from r on, some rows at a time. */
INLINE const char *strip_squares(const struct tile *t, const struct cut *by, size_t r,
                                 const char *next)
{
    size_t stay = rows_that_stay(t);
    for (size_t from = r; from < r + STRIP_ROWS; from += stay)
        for (size_t q = 0; q + SQUARE_QUERIES <= t->query_count; q += SQUARE_QUERIES)
            for (size_t s = from; s < from + stay; s += SQUARE_ROWS) {
                next = fetch(next, t->ahead);
                by->square(t, q, s);
            }
    return next;
}

/* All queries against STRIP_ROWS rows from r on. */
INLINE void tile_strip(const struct tile *t, const struct cut *by, size_t r)
{
    const char *next = (const char *)(t->rows + (r + STRIP_ROWS) * t->dim);
    next = strip_squares(t, by, r, next);
    size_t left = t->query_count % SQUARE_QUERIES;
    for (size_t q = t->query_count - left; q < t->query_count; q++) {
        next = fetch(next, t->ahead);
        by->strip(t, q, r);
    }
}

INLINE void tile_pairs(const struct tile *t, kernel_pair_f32 *pair)
{
    for (size_t q = 0; q < t->query_count; q++)
        for (size_t r = 0; r < t->row_count; r++)
            t->scores[q * t->row_count + r] =
                pair(t->queries + q * t->dim, t->rows + r * t->dim, t->dim);
}

/* The last strip ends with the last row: it may score rows of the one before again, to the same
 * bits, and so no row is left over. */
INLINE void tile_score(struct tile *t, const struct cut *by)
{
    if (t->row_count < STRIP_ROWS) {
        tile_pairs(t, by->pair);
        return;
    }
    t->ahead = ahead_of_block(t);
    size_t last = t->row_count - STRIP_ROWS;
    for (size_t r = 0; r < last; r += STRIP_ROWS) tile_strip(t, by, r);
    tile_strip(t, by, last);
}

/* The pair and the tile kernel of one metric, from the tier's own fold, square and strip. */
#define DEFINE_METRIC(name, metric, tier)                                                   \
    float name##_##tier(const float *a, const float *b, size_t dim)                         \
    {                                                                                       \
        vec lanes;                                                                          \
        block_lanes(metric, &(struct block){ a, b, 1, 1, dim }, &lanes);                    \
        return fold(metric, lanes);                                                         \
    }                                                                                       \
    static void name##_square(const struct tile *t, size_t q, size_t r)                     \
    {                                                                                       \
        square(metric, t, q, r);                                                            \
    }                                                                                       \
    static void name##_strip(const struct tile *t, size_t q, size_t r)                      \
    {                                                                                       \
        strip(metric, t, q, r);                                                             \
    }                                                                                       \
    void name##_tile_##tier(const float *queries, size_t query_count, const float *rows,    \
                            size_t row_count, size_t dim, float *scores)                    \
    {                                                                                       \
        tile_score(&(struct tile){ queries, rows, query_count, row_count, dim, scores, 0 }, \
                   &(struct cut){ name##_##tier, name##_square, name##_strip });            \
    }
