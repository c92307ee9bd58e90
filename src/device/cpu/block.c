#include "device/cpu/block.h"

static void keep(const struct run *run, const struct block *b, size_t q, size_t r, float score)
{
    if (is_live(run, b, r)) block_push(run, b, q, r, score);
}

static void scan_canonically(const struct run *run, const struct block *b)
{
    const float *scores = b->bench->scores;
    run->tile(query_at(run, b, 0), b->query_count, b->rows, b->row_count, run->spans->dim,
              b->bench->scores);
    for (size_t q = 0; q < b->query_count; q++, scores += b->row_count) {
        size_t kept_count = run->host->kernels->sift(scores, NULL, b->row_count, run->scale,
                                                     limit_of(run, b, q), b->bench->kept);
        for (size_t i = 0; i < kept_count; i++)
            keep(run, b, q, b->bench->kept[i], scores[b->bench->kept[i]]);
        if (kept_count > 0) share_limit(run, b, q);
    }
}

static float *panel_of(const struct bench *bench)
{
    uintptr_t start = (uintptr_t)bench->panel_room;
    return bench->panel_room + (CACHE_LINE - start % CACHE_LINE) / sizeof *bench->panel_room;
}

/* Dot products of all queries with PANEL_ROWS rows from r on, and those rows' offsets. */
static void propose_panel(const struct run *run, const struct block *b, size_t r)
{
    const struct kernels *kernels = run->host->kernels;
    size_t dim = run->spans->dim, left = b->row_count - r;
    float norms[PANEL_ROWS], *values = panel_of(b->bench);
    kernels->pack(b->rows + r * dim, left < PANEL_ROWS ? left : PANEL_ROWS, dim, values, norms);
    struct panel panel = { values, b->rows + (r + PANEL_ROWS) * dim, dim };
    kernels->dot_panel(query_at(run, b, 0), b->query_count, &panel, b->bench->scores + r,
                       run->block_rows);
    for (size_t i = 0; i < PANEL_ROWS; i++)
        b->bench->offsets[r + i] = run->scan->metric == METRIC_L2
                                       ? l2_bound_row(&run->l2_bound, norms[i])
                                       : dot_bound_row(&run->dot_bound, norms[i]);
}

/* The rows that the bound cannot exclude, into kept. */
static size_t sift_proposed(const struct run *run, const struct block *b, size_t q)
{
    double norm = run->query_norms[b->query_first + q];
    float kth = limit_of(run, b, q), scale, limit;
    if (run->scan->metric == METRIC_L2) {
        scale = -2;
        limit = l2_bound_limit(&run->l2_bound, kth, norm);
    } else {
        scale = dot_bound_scale(norm);
        limit = dot_bound_limit(&run->dot_bound, kth, norm);
    }
    return run->host->kernels->sift(b->bench->scores + q * run->block_rows, b->bench->offsets,
                                    b->row_count, scale, limit, b->bench->kept);
}

static void rescore(const struct run *run, const struct block *b, size_t q, size_t kept_count)
{
    size_t dim = run->spans->dim;
    const float *query = query_at(run, b, q);
    float *scores = b->bench->scores + q * run->block_rows;
    bool as_tile = kept_count > b->row_count / 4; /* then faster than pair by pair */
    if (as_tile) run->tile(query, 1, b->rows, b->row_count, dim, scores);
    for (size_t i = 0; i < kept_count; i++) {
        uint32_t r = b->bench->kept[i];
        keep(run, b, q, r, as_tile ? scores[r] : run->pair(query, b->rows + r * dim, dim));
    }
}

static void scan_by_proposals(const struct run *run, const struct block *b)
{
    for (size_t r = 0; r < b->row_count; r += PANEL_ROWS) propose_panel(run, b, r);
    for (size_t q = 0; q < b->query_count; q++) {
        size_t kept_count = sift_proposed(run, b, q);
        if (kept_count == 0) continue;
        rescore(run, b, q, kept_count);
        share_limit(run, b, q);
    }
}

void block_scan(const struct run *run, const struct block *b)
{
    bool by_dot = run->scan->metric == METRIC_DOT || run->scan->metric == METRIC_L2;
    if (run->live && !bitmap_any(run->live, b->row_first, b->row_count)) return;
    if (by_dot && b->query_count >= PROPOSE_QUERIES_MIN)
        scan_by_proposals(run, b);
    else
        scan_canonically(run, b);
}
