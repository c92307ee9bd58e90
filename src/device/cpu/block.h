#pragma once
/* The inside of a scan: some queries against a block of rows, and the best of them kept. Few
 * queries are scored canonically at once. Many are proposed to by packed dot products, which run at
 * the speed of a matrix product; what the bounds cannot exclude is then scored canonically. */
#include "base/topk.h"
#include "device/cpu/coded.h"
#include "device/cpu/dot_bound.h"
#include "device/cpu/l2_bound.h"
#include "device/cpu/scan.h"
#include "device/row.h"

#include <stdatomic.h>

enum {
    CACHE_LINE = 64,
    PART_QUERIES = 128, /* against one block at a time */
    PROPOSE_QUERIES_MIN = 16, /* below, packing a row costs more than it saves */
};

/* What one worker works on: its block and its heaps. */
struct bench {
    size_t block_rows, dim, wide_count, item_count, top_count; /* room */
    float *scores; /* PART_QUERIES x block_rows */
    float *offsets; /* block_rows: of the rows, for the bound */
    float *panel_room; /* CACHE_LINE more than a panel, so that one fits at a multiple of it */
    uint32_t *kept; /* block_rows */
    float *wide; /* wide_count: a block of rows that are not stored as f32, widened */
    float *inverses; /* block_rows: of ROW_UNIT_U8, those of their norms */
    char *gathered; /* gathered_size: live rows as stored; only with a mask */
    uint64_t *numbers; /* block_rows: of the rows in gathered */
    size_t gathered_size;
    struct scored *items; /* item_count: k for each top */
    struct topk *tops; /* top_count: one for each query of the group */
    struct coded coded;
};

/* One group of queries over all rows; the same for all workers. */
struct run {
    const struct device_host *host;
    const struct span_list *spans;
    const struct bitmap *live; /* NULL: every row */
    const struct scan *scan;
    struct scan_scratch *scratch;
    kernel_pair_f32 *pair;
    kernel_tile_f32 *tile;
    float scale; /* value = scale * score, the lower the better */
    float limit; /* of values that are wanted; INFINITY: none */
    struct dot_bound dot_bound;
    struct l2_bound l2_bound;
    struct code_bound code_bound;
    const double *query_norms; /* squared; query_count */
    _Atomic float *limits;     /* query_count: the best k-th value that any worker holds */
    bool has_codes; /* of some rows; codes that come later are for the next scan */
    size_t row_size, query_size; /* bytes */
    size_t block_rows, part_rows, query_parts;
    size_t query_first, query_count; /* of the group */
    atomic_int err; /* of a worker; its text is made anew */
};

/* A part of the group's queries against a block of rows. */
struct block {
    struct bench *bench;
    const void *stored; /* its rows */
    const float *rows; /* the same, widened; while block_scan runs */
    uint64_t row_first;
    size_t row_count;
    const uint64_t *numbers; /* of its rows, which are all live; NULL: from row_first on */
    size_t query_first, query_count; /* query_first counts from the group's first */
};

/* --- what all ways of scanning a block do with a query of it, and a row --- */

static inline const void *query_at(const struct run *run, const struct block *b, size_t q)
{
    return row_at(run->scan->queries, run->query_size, run->query_first + b->query_first + q);
}

static inline struct topk *top_of(const struct block *b, size_t q)
{
    return &b->bench->tops[b->query_first + q];
}

/* What is above it is not among the k best: some worker holds k that are better. */
static inline float limit_of(const struct run *run, const struct block *b, size_t q)
{
    float own = topk_limit(top_of(b, q));
    float shared = atomic_load_explicit(&run->limits[b->query_first + q], memory_order_relaxed);
    return own < shared ? own : shared;
}

static inline void share_limit(const struct run *run, const struct block *b, size_t q)
{
    float own = topk_limit(top_of(b, q));
    _Atomic float *limit = &run->limits[b->query_first + q];
    float shared = atomic_load_explicit(limit, memory_order_relaxed);
    while (own < shared && !atomic_compare_exchange_weak(limit, &shared, own));
}

static inline void block_push(const struct run *run, const struct block *b, size_t q, size_t r,
                              float score)
{
    float value = run->scale * score;
    uint64_t row = b->numbers ? b->numbers[r] : b->row_first + r;
    if (!(value > run->limit)) topk_push(top_of(b, q), (struct scored){ value, row });
}

static inline bool is_live(const struct run *run, const struct block *b, size_t r)
{
    return !run->live || b->numbers || bitmap_get(run->live, b->row_first + r);
}

void block_scan(const struct run *run, const struct block *block);
/* The canonical score of query q and row r, from the row as it is stored. */
float block_score(const struct run *run, const struct block *block, size_t q, size_t r);
