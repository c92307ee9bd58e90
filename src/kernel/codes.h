#pragma once
/* What the tiers share of sift_codes. A tier's file first says what a register is (the type vec of
 * VEC_LANES sums; vec_load, vec_set1, and vec_dot, which adds to each sum the products of four
 * codes of a row, plus 128, with four of a query), how sums become the bits of those that are kept
 * (keep_bits), and that a group is up to so many queries, a divisor of CODE_QUERIES (GROUPS, one of
 * UP_TO_3 to UP_TO_12), by GROUP_VECS registers of rows. It then includes this, and names its
 * kernel by DEFINE_SIFT_CODES.
 *
 * Two things it may say otherwise, as macros: vec_dot_of, where a query's codes need not fill a
 * register; vec_start, where vec_load takes the 128 away, and sums start at 0. */
#include "kernel/kernel.h"
#include "kernel/unroll.h"

#include <math.h>
#include <string.h>

enum {
    GROUP_MAX = GROUPS(COUNT_ONE), /* queries */
    GROUP_ROWS = GROUP_VECS * VEC_LANES,
    STEP_SIZE = PANEL_ROWS * CODE_STEP
};

/* Some queries, from one of CODE_QUERIES on, against GROUP_ROWS rows of a panel from row on. */
struct group {
    const int8_t *queries;
    const struct code_query *each;
    const struct code_panel *panel;
    size_t row;
    uint32_t *kept;
};

typedef void group_sift(const struct group *g);

#ifndef vec_start
#define vec_start(query) vec_set1((query)->start)
#endif

/* queries: the four codes of each, side by side. */
#ifndef vec_dot_of
#define vec_dot_of(sums, rows, queries, q) \
    vec_dot(sums, rows, vec_set1(four_codes((queries) + (q) * CODE_STEP)))
#endif

INLINE int32_t four_codes(const int8_t *codes)
{
    int32_t four;
    memcpy(&four, codes, sizeof four);
    return four;
}

/* query_count is a constant: the sums stay in registers. */
INLINE void sift_group(const struct group *g, size_t query_count)
{
    vec sums[GROUP_MAX][GROUP_VECS];
    const uint8_t *codes = g->panel->codes + g->row * CODE_STEP;
    const int8_t *queries = g->queries;
    EACH(q, query_count)
    EACH(v, GROUP_VECS) sums[q][v] = vec_start(&g->each[q]);
    for (size_t i = code_step_count(g->panel->dim); i > 0; i--) {
        vec rows[GROUP_VECS];
        EACH(v, GROUP_VECS) rows[v] = vec_load(codes + v * VEC_LANES * CODE_STEP);
        EACH(q, query_count)
        EACH(v, GROUP_VECS) sums[q][v] = vec_dot_of(sums[q][v], rows[v], queries, q);
        codes += STEP_SIZE;
        queries += CODE_QUERIES * CODE_STEP;
    }
    EACH(q, query_count)
    {
        const struct code_query *query = &g->each[q];
        float limit = fmaf(query->error_factor, g->panel->error,
                           fmaf(query->norm_factor, g->panel->norm, query->limit));
        const float *offsets = g->panel->offsets + g->row;
        uint32_t bits = 0;
        EACH(v, GROUP_VECS)
        bits |= keep_bits(sums[q][v], query->scale, offsets + v * VEC_LANES, limit)
                << v * VEC_LANES;
        g->kept[q] |= bits << g->row;
    }
}

#define DEFINE_GROUP(count)                               \
    static void sift_group_##count(const struct group *g) \
    {                                                     \
        sift_group(g, count);                             \
    }
GROUPS(DEFINE_GROUP)

/* by_count[n] sifts for n queries. */
#define GROUP_ENTRY(count) [count] = sift_group_##count,
static group_sift *const by_count[GROUP_MAX + 1] = { GROUPS(GROUP_ENTRY) };

INLINE void sift_all(const struct code_queries *queries, const struct code_panel *panel,
                     uint32_t *kept)
{
    size_t block_size = code_step_count(panel->dim) * CODE_QUERIES * CODE_STEP;
    memset(kept, 0, queries->count * sizeof *kept);
    for (size_t q = 0; q < queries->count; q += GROUP_MAX) {
        size_t left = queries->count - q;
        struct group g = {
            .queries =
                queries->codes + q / CODE_QUERIES * block_size + q % CODE_QUERIES * CODE_STEP,
            .each = queries->each + q,
            .panel = panel,
            .kept = kept + q,
        };
        for (; g.row < PANEL_ROWS; g.row += GROUP_ROWS)
            by_count[left < GROUP_MAX ? left : GROUP_MAX](&g);
    }
}

#define DEFINE_SIFT_CODES(tier)                                                                \
    void sift_codes_##tier(const struct code_queries *queries, const struct code_panel *panel, \
                           uint32_t *kept)                                                     \
    {                                                                                          \
        sift_all(queries, panel, kept);                                                        \
    }
