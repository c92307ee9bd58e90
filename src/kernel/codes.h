#pragma once
/* What the tiers share of sift_codes. A tier's file first says what a register is (the type vec of
 * VEC_LANES sums; vec_load, vec_set1, and vec_dot, which adds to each sum the products of four
 * codes of a row, plus 128, with four of a query), how sums become the bits of those that are kept
 * (keep_bits), and that a group is up to so many queries, a divisor of the layout's (GROUPS, one of
 * UP_TO_3 to UP_TO_12), by GROUP_VECS registers of rows. It then includes this, and names its
 * kernel by DEFINE_SIFT_CODES.
 *
 * Three things it may say otherwise, as macros: vec_dot_of, where a query's codes need not fill a
 * register; vec_start, where vec_load takes the 128 away, and sums start at 0; LAYOUT_GROUP and
 * LAYOUT_STEP, where codes of queries do not stand as CODE_LAYOUT has them. */
#include "kernel/code_layout.h"
#include "kernel/kernel.h"
#include "kernel/unroll.h"

#include <math.h>
#include <string.h>

#ifndef LAYOUT_GROUP
enum { LAYOUT_GROUP = CODE_LAYOUT_GROUP, LAYOUT_STEP = CODE_LAYOUT_STEP };
#endif

enum {
    GROUP_MAX = GROUPS(COUNT_ONE), /* queries */
    GROUP_ROWS = GROUP_VECS * VEC_LANES,
    STEP_SIZE = PANEL_ROWS * CODE_STEP,
    LAYOUT_FOURS = LAYOUT_STEP / CODE_STEP, /* of a query, side by side */
};

/* Some queries, from one of a layout's group on, against GROUP_ROWS rows of a panel; codes and
 * offsets begin at the first of them. */
struct group {
    const int8_t *queries;
    const struct code_query *each;
    const uint8_t *codes;
    const float *offsets;
    float error, norm; /* of the panel */
    size_t dim;
    uint32_t *kept;
    size_t row;
};

typedef void group_sift(const struct group *g);

#ifndef vec_start
#define vec_start(query) vec_set1((query)->start)
#endif

/* queries: the codes of the first, those of the next LAYOUT_STEP behind. */
#ifndef vec_dot_of
#define vec_dot_of(sums, rows, queries, q) \
    vec_dot(sums, rows, vec_set1(four_codes((queries) + (q) * LAYOUT_STEP)))
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
    const uint8_t *codes = g->codes;
    const int8_t *queries = g->queries;
    EACH(q, query_count)
    EACH(v, GROUP_VECS) sums[q][v] = vec_start(&g->each[q]);
    for (size_t left = code_step_count(g->dim); left > 0;) {
        size_t fours = left < LAYOUT_FOURS ? left : LAYOUT_FOURS;
        for (size_t i = 0; i < fours; i++) {
            vec rows[GROUP_VECS];
            EACH(v, GROUP_VECS) rows[v] = vec_load(codes + v * VEC_LANES * CODE_STEP);
            EACH(q, query_count)
            EACH(v, GROUP_VECS)
            sums[q][v] = vec_dot_of(sums[q][v], rows[v], queries + i * CODE_STEP, q);
            codes += STEP_SIZE;
        }
        queries += LAYOUT_GROUP * LAYOUT_STEP;
        left -= fours;
    }
    EACH(q, query_count)
    {
        const struct code_query *query = &g->each[q];
        float limit =
            fmaf(query->error_factor, g->error, fmaf(query->norm_factor, g->norm, query->limit));
        uint32_t bits = 0;
        EACH(v, GROUP_VECS)
        bits |= keep_bits(sums[q][v], query->scale, g->offsets + v * VEC_LANES, limit)
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

/* All queries against panel p. */
INLINE void sift_panel(const struct code_queries *queries, const struct code_panels *panels,
                       size_t p, uint32_t *kept)
{
    const struct code_layout layout = { LAYOUT_GROUP, LAYOUT_STEP };
    for (size_t q = 0; q < queries->count; q += GROUP_MAX) {
        size_t left = queries->count - q;
        struct group g = {
            .queries = queries->codes + code_layout_at(&layout, panels->dim, q, 0),
            .each = queries->each + q,
            .codes = panels->codes + p * code_panel_size(panels->dim),
            .offsets = panels->offsets + p * PANEL_ROWS,
            .error = panels->errors[p],
            .norm = panels->norms[p],
            .dim = panels->dim,
            .kept = kept + q,
        };
        for (; g.row < PANEL_ROWS; g.row += GROUP_ROWS) {
            by_count[left < GROUP_MAX ? left : GROUP_MAX](&g);
            g.codes += GROUP_ROWS * CODE_STEP;
            g.offsets += GROUP_ROWS;
        }
    }
}

INLINE void sift_panels(const struct code_queries *queries, const struct code_panels *panels,
                        uint32_t *kept)
{
    memset(kept, 0, panels->count * queries->count * sizeof *kept);
    for (size_t p = 0; p < panels->count; p++)
        sift_panel(queries, panels, p, kept + p * queries->count);
}

#define DEFINE_SIFT_CODES(tier)                                                                  \
    void sift_codes_##tier(const struct code_queries *queries, const struct code_panels *panels, \
                           uint32_t *kept)                                                       \
    {                                                                                            \
        sift_panels(queries, panels, kept);                                                      \
    }
