#pragma once
/* What the tiers share of pack and dot_panel. A tier's file first says what a register is (the type
 * vec of VEC_LANES lanes; vec_zero, vec_load, vec_load_first (count elements, zeros behind),
 * vec_store, vec_set1, vec_fma) and that a group is up to so many queries (GROUPS, one of UP_TO_3
 * to UP_TO_12) by GROUP_VECS registers of rows. It then includes this, says how a square of rows is
 * read as columns (load_turned), and names its kernels by DEFINE_PANEL. */
#include "kernel/kernel.h"
#include "kernel/unroll.h"

enum {
    GROUP_MAX = GROUPS(COUNT_ONE), /* queries */
    GROUP_ROWS = GROUP_VECS * VEC_LANES,
    PANEL_VECS = PANEL_ROWS / VEC_LANES,
    LINE_SIZE = 64
};

/* Some queries against GROUP_ROWS rows of a panel; panel and scores begin at the first of them. */
struct group {
    const float *queries, *panel;
    size_t dim;
    float *scores;
    size_t stride;
    const char *next; /* a line of it is fetched for each component; it advances by fetch_step */
    size_t fetch_step;
};

typedef void group_score(const struct group *g);

/* query_count is a constant: the sums stay in registers. */
INLINE void score_group(const struct group *g, size_t query_count)
{
    vec sums[GROUP_MAX][GROUP_VECS];
    const char *next = g->next;
    size_t dim = g->dim;
    EACH(q, query_count)
    EACH(v, GROUP_VECS) sums[q][v] = vec_zero();
    for (size_t i = 0; i < dim; i++) {
        vec rows[GROUP_VECS];
        __builtin_prefetch(next);
        next += g->fetch_step;
        EACH(v, GROUP_VECS) rows[v] = vec_load(g->panel + i * PANEL_ROWS + v * VEC_LANES);
        EACH(q, query_count)
        {
            vec query = vec_set1(g->queries[q * dim + i]);
            EACH(v, GROUP_VECS) sums[q][v] = vec_fma(query, rows[v], sums[q][v]);
        }
    }
    EACH(q, query_count)
    EACH(v, GROUP_VECS) vec_store(g->scores + q * g->stride + v * VEC_LANES, sums[q][v]);
}

#define DEFINE_GROUP(count)                                \
    static void score_group_##count(const struct group *g) \
    {                                                      \
        score_group(g, count);                             \
    }
GROUPS(DEFINE_GROUP)

/* by_count[n] scores a group of n. */
#define GROUP_ENTRY(count) [count] = score_group_##count,
static group_score *const by_count[GROUP_MAX + 1] = { GROUPS(GROUP_ENTRY) };

static size_t group_count(size_t query_count)
{
    return (query_count + GROUP_MAX - 1) / GROUP_MAX;
}

/* The queries are spread evenly, so that no group is so small that
 * it waits for its own sums: 100 are ten groups of ten, not eight of twelve and one of four. */
INLINE void score_groups(struct group *g, size_t query_count)
{
    struct group here = *g;
    size_t left = query_count;
    for (size_t groups = group_count(left); groups > 0; groups--) {
        size_t count = (left + groups - 1) / groups;
        by_count[count](&here);
        here.queries += count * here.dim;
        here.scores += count * here.stride;
        here.next += here.dim * here.fetch_step;
        left -= count;
    }
    g->next = here.next;
}

/* Bytes of what is next to fetch for each component in each group: evenly over all of the panel's
 * work, so that memory is never idle and never waited for. On Zen 5 100 queries against rows that
 * stream from memory gain a tenth at 128 and at 784 dimensions over rows fetched in one go by pack,
 * 32 queries a third. One line at a time: a single group fetches half of its next rows. */
static size_t fetch_step(size_t query_count)
{
    size_t groups = group_count(query_count) * (PANEL_ROWS / GROUP_ROWS);
    size_t step = PANEL_ROWS * sizeof(float) / (groups + !groups) + 1;
    return step < LINE_SIZE ? step : LINE_SIZE;
}

INLINE void score_panel(struct group *g, const struct panel *panel, size_t query_count)
{
    g->panel = panel->values;
    g->dim = panel->dim;
    g->next = (const char *)(panel->next ? panel->next : panel->values);
    g->fetch_step = panel->next ? fetch_step(query_count) : 0;
    for (size_t r = 0; r < PANEL_ROWS; r += GROUP_ROWS) {
        score_groups(g, query_count);
        g->panel += GROUP_ROWS;
        g->scores += GROUP_ROWS;
    }
}

struct packing {
    const float *rows;
    size_t row_count, dim;
    float *panel;
};

/* A square of VEC_LANES rows, dim apart, comes out as its columns. */
INLINE void load_turned(const float *rows, size_t dim, vec *columns);

/* Rows and components that there are not are zeros; count is VEC_LANES or fewer. */
INLINE void load_edge(const struct packing *p, size_t r, size_t i, size_t count, vec *columns)
{
    float edge[VEC_LANES * VEC_LANES];
    EACH(j, VEC_LANES)
    {
        const float *from = p->rows + (r + j) * p->dim + i;
        vec_store(edge + j * VEC_LANES,
                  r + j < p->row_count ? vec_load_first(from, count) : vec_zero());
    }
    load_turned(edge, VEC_LANES, columns);
}

/* VEC_LANES rows from r on, count components from i on: into the panel, and onto their norms. */
INLINE vec pack_square(const struct packing *p, size_t r, size_t i, size_t count, vec norms)
{
    vec columns[VEC_LANES];
    if (p->row_count == PANEL_ROWS && count == VEC_LANES)
        load_turned(p->rows + r * p->dim + i, p->dim, columns);
    else
        load_edge(p, r, i, count, columns);
    EACH(j, VEC_LANES)
    {
        if (j == count) break;
        vec_store(p->panel + (i + j) * PANEL_ROWS + r, columns[j]);
        norms = vec_fma(columns[j], columns[j], norms);
    }
    return norms;
}

/* The norms of all rows grow side by side, since each is a chain that waits for itself. */
INLINE void pack_panel(const struct packing *p, float *norms)
{
    vec sums[PANEL_VECS];
    size_t tail = p->dim % VEC_LANES, i = 0;
    EACH(v, PANEL_VECS) sums[v] = vec_zero();
    for (; i < p->dim - tail; i += VEC_LANES)
        EACH(v, PANEL_VECS) sums[v] = pack_square(p, v * VEC_LANES, i, VEC_LANES, sums[v]);
    if (tail > 0) EACH(v, PANEL_VECS) sums[v] = pack_square(p, v * VEC_LANES, i, tail, sums[v]);
    EACH(v, PANEL_VECS) vec_store(norms + v * VEC_LANES, sums[v]);
}

/* The kernels of a tier; a full panel is the usual one. */
#define DEFINE_PANEL(tier)                                                                        \
    void pack_##tier(const float *rows, size_t row_count, size_t dim, float *panel, float *norms) \
    {                                                                                             \
        if (row_count == PANEL_ROWS)                                                              \
            pack_panel(&(struct packing){ rows, PANEL_ROWS, dim, panel }, norms);                 \
        else                                                                                      \
            pack_panel(&(struct packing){ rows, row_count, dim, panel }, norms);                  \
    }                                                                                             \
    void dot_panel_##tier(const float *queries, size_t query_count, const struct panel *panel,    \
                          float *scores, size_t stride)                                           \
    {                                                                                             \
        struct group g = { .queries = queries, .scores = scores, .stride = stride };              \
        score_panel(&g, panel, query_count);                                                      \
    }
