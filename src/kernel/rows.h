#pragma once
/* What the tiers share of the kernels over rows in code (struct code_rows): the walk. A tier says
 * for each kernel how some queries score some rows, as
 *
 *     INLINE void NAME_some(const struct some *s, size_t row, size_t query_count, size_t row_count)
 *
 * where both counts are constants after inlining, and how many of both are a square
 * (SQUARE_QUERIES, and SQUARE_ROWS, a divisor of STRIP_ROWS). It then names its kernels by
 * DEFINE_CODE_ROWS. */
#include "kernel/kernel.h"
#include "kernel/unroll.h"

#include <stdbool.h>

enum { STRIP_ROWS = 4, AHEAD_BYTES_MAX = 2048 };

/* Some queries and STRIP_ROWS rows, or one of each. out[q * stride + r] is four bytes. */
struct some {
    const char *queries;
    size_t query_size;
    const uint8_t *rows[STRIP_ROWS];
    size_t size;
    char *out;
    size_t stride;
};

INLINE const void *some_query(const struct some *s, size_t q)
{
    return s->queries + q * s->query_size;
}

INLINE void *some_out(const struct some *s, size_t q, size_t row)
{
    return s->out + (q * s->stride + row) * 4;
}

typedef void some_score(const struct some *s);

/* square: SQUARE_QUERIES queries and a strip of rows; strip: one query; pair: one of each. */
struct some_scores {
    some_score *square, *strip, *pair;
};

/* Rows that are picked have no prefetcher but this. Behind the last there is none to fetch. */
INLINE void fetch_strip(const struct code_rows *rows, size_t r)
{
    size_t size = rows->size < AHEAD_BYTES_MAX ? rows->size : AHEAD_BYTES_MAX;
    for (size_t end = r + STRIP_ROWS; rows->at && r < end && r < rows->count; r++)
        for (size_t at = 0; at < size; at += CODE_UNIT) {
            __builtin_prefetch(code_row(rows, r) + at);
            __asm__ volatile("" ::: "memory"); /* gcc 12 drops the loop without it */
        }
}

/* All queries against count rows from r on. */
INLINE void score_strip(struct some s, const struct code_rows *rows, size_t r, size_t query_count,
                        const struct some_scores *by)
{
    bool whole = rows->count >= STRIP_ROWS;
    for (size_t j = 0; j < (whole ? STRIP_ROWS : 1); j++) s.rows[j] = code_row(rows, r + j);
    s.out += r * 4;
    for (size_t q = 0, count; q < query_count; q += count) {
        bool square = whole && query_count - q >= SQUARE_QUERIES;
        count = square ? SQUARE_QUERIES : 1;
        (square ? by->square : whole ? by->strip : by->pair)(&s);
        s.queries += count * s.query_size;
        s.out += count * s.stride * 4;
    }
}

/* The last strip ends with the last row: it may score rows of the one before again, to the same
 * bits. */
INLINE void score_rows(const struct some *s, const struct code_rows *rows, size_t query_count,
                       const struct some_scores *by)
{
    size_t step = rows->count >= STRIP_ROWS ? STRIP_ROWS : 1;
    for (size_t r = 0; r < rows->count; r += step) {
        fetch_strip(rows, r + step);
        score_strip(*s, rows, r + step <= rows->count ? r : rows->count - step, query_count, by);
    }
}

#define DEFINE_CODE_ROWS(name, tier, query_type, query_bytes, sum_type)                \
    static void name##_square(const struct some *s)                                    \
    {                                                                                  \
        EACH(r, STRIP_ROWS / SQUARE_ROWS)                                              \
        name##_some(s, r *SQUARE_ROWS, SQUARE_QUERIES, SQUARE_ROWS);                   \
    }                                                                                  \
    static void name##_strip(const struct some *s)                                     \
    {                                                                                  \
        name##_some(s, 0, 1, STRIP_ROWS);                                              \
    }                                                                                  \
    static void name##_pair(const struct some *s)                                      \
    {                                                                                  \
        name##_some(s, 0, 1, 1);                                                       \
    }                                                                                  \
    void name##_##tier(const query_type *queries, size_t query_count,                  \
                       const struct code_rows *rows, sum_type *sums)                   \
    {                                                                                  \
        struct some s = { .queries = (const char *)queries,                            \
                          .query_size = (query_bytes) * rows->size,                    \
                          .size = rows->size,                                          \
                          .out = (char *)sums,                                         \
                          .stride = rows->count };                                     \
        score_rows(&s, rows, query_count,                                              \
                   &(struct some_scores){ name##_square, name##_strip, name##_pair }); \
    }

/* The five of them; a query has so many bytes for one of a row. */
#define DEFINE_ALL_CODE_ROWS(tier)                       \
    DEFINE_CODE_ROWS(dots_i8, tier, int8_t, 1, int32_t)  \
    DEFINE_CODE_ROWS(dots_i4, tier, int8_t, 2, int32_t)  \
    DEFINE_CODE_ROWS(hamming, tier, uint8_t, 1, int32_t) \
    DEFINE_CODE_ROWS(dots_f16, tier, float, 2, float)    \
    DEFINE_CODE_ROWS(dots_bf16, tier, float, 2, float)
