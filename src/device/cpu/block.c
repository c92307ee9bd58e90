#include "device/cpu/block.h"

static void keep(const struct run *run, const struct block *b, size_t q, size_t r, float score)
{
    if (is_live(run, b, r)) block_push(run, b, q, r, score);
}

/* Dot products with rows from r on become scores of what those rows stand for. */
static void weigh(const struct run *run, const struct block *b, size_t r, size_t count,
                  float *scores)
{
    if (run->spans->type != ROW_UNIT_U8) return;
    const float *inverses = b->bench->inverses + r;
    for (size_t i = 0; i < count; i++) scores[i] = scores[i] * inverses[i] + 0.0f;
}

static void score_all(const struct run *run, const struct block *b)
{
    float *scores = b->bench->scores;
    if (run->spans->type == ROW_BITS) {
        run->host->kernels->bits_tile(query_at(run, b, 0), b->query_count, b->stored, b->row_count,
                                      run->row_size, scores);
        return;
    }
    run->tile(query_at(run, b, 0), b->query_count, b->rows, b->row_count, run->spans->dim, scores);
    for (size_t q = 0; q < b->query_count; q++)
        weigh(run, b, 0, b->row_count, scores + q * b->row_count);
}

static void scan_canonically(const struct run *run, const struct block *b)
{
    const float *scores = b->bench->scores;
    score_all(run, b);
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

/* What a row with this sum of squares has in the bound; one that stands for a unit vector has 1. */
static float offset_of(const struct run *run, float squared_norm)
{
    if (run->scan->metric == METRIC_L2) return l2_bound_row(&run->l2_bound, squared_norm);
    return dot_bound_row(&run->dot_bound,
                         run->spans->type == ROW_UNIT_U8 ? 1 + 0x1p-16f : squared_norm);
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
    for (size_t q = 0; q < b->query_count; q++)
        weigh(run, b, r, PANEL_ROWS, b->bench->scores + q * run->block_rows + r);
    for (size_t i = 0; i < PANEL_ROWS; i++) b->bench->offsets[r + i] = offset_of(run, norms[i]);
}

static float score_row(const struct run *run, const struct block *b, size_t q, size_t r)
{
    size_t dim = run->spans->dim;
    float score = run->pair(query_at(run, b, q), b->rows + r * dim, dim);
    weigh(run, b, r, 1, &score);
    return score;
}

/* What is above it is not among the k best, for k rows of this block are not: those that are
 * proposed first, scored. Until a query has k rows this spares it the canonical scores of a whole
 * block, which is most of the work where there are few rows. */
static float limit_by_proposals(const struct run *run, const struct block *b, size_t q, float scale)
{
    enum { HITS_MAX = 16 };
    struct scored items[HITS_MAX];
    struct topk best = { .items = items, .k = run->scan->k };
    const float *scores = b->bench->scores + q * run->block_rows;
    float limit = -INFINITY;
    if (best.k > HITS_MAX) return INFINITY;
    for (size_t r = 0; r < b->row_count; r++) {
        float value = scale * scores[r] + b->bench->offsets[r];
        if (value < topk_limit(&best) && is_live(run, b, r))
            topk_push(&best, (struct scored){ value, r });
    }
    if (best.count < best.k) return INFINITY;
    for (size_t i = 0; i < best.k; i++)
        limit = fmaxf(limit, run->scale * score_row(run, b, q, (size_t)items[i].row));
    return limit;
}

/* The rows that the bound cannot exclude, into kept. */
static size_t sift_proposed(const struct run *run, const struct block *b, size_t q)
{
    double norm = run->query_norms[b->query_first + q];
    float kth = limit_of(run, b, q), limit;
    float scale = run->scan->metric == METRIC_L2 ? -2 : dot_bound_scale(norm);
    if (isinf(kth)) kth = limit_by_proposals(run, b, q, scale);
    if (run->scan->metric == METRIC_L2)
        limit = l2_bound_limit(&run->l2_bound, kth, norm);
    else
        limit = dot_bound_limit(&run->dot_bound, kth, norm);
    return run->host->kernels->sift(b->bench->scores + q * run->block_rows, b->bench->offsets,
                                    b->row_count, scale, limit, b->bench->kept);
}

static void rescore(const struct run *run, const struct block *b, size_t q, size_t kept_count)
{
    size_t dim = run->spans->dim;
    const float *query = query_at(run, b, q);
    float *scores = b->bench->scores + q * run->block_rows;
    bool as_tile = kept_count > b->row_count / 4; /* then faster than pair by pair */
    if (as_tile) {
        run->tile(query, 1, b->rows, b->row_count, dim, scores);
        weigh(run, b, 0, b->row_count, scores);
    }
    for (size_t i = 0; i < kept_count; i++) {
        uint32_t r = b->bench->kept[i];
        if (!as_tile) scores[r] = score_row(run, b, q, r);
        keep(run, b, q, r, scores[r]);
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

/* The rows as f32, in the second-level cache. */
static const float *widened(const struct run *run, const struct block *b)
{
    size_t dim = run->spans->dim;
    struct row_list list = { run->spans->type, b->stored, b->row_count, dim };
    const struct kernels *kernels = run->host->kernels;
    if (list.type == ROW_F32 || list.type == ROW_BITS) return b->stored;
    rows_widen(kernels, &list, b->bench->wide);
    for (size_t r = 0; list.type == ROW_UNIT_U8 && r < run->block_rows; r++)
        b->bench->inverses[r] =
            r < b->row_count ? row_inverse(kernels, row_at(b->stored, dim, r), dim) : 0;
    return b->bench->wide;
}

void block_scan(const struct run *run, const struct block *block)
{
    bool by_dot = run->scan->metric == METRIC_DOT || run->scan->metric == METRIC_L2;
    struct block b = *block;
    b.rows = widened(run, &b);
    if (by_dot && b.query_count >= PROPOSE_QUERIES_MIN)
        scan_by_proposals(run, &b);
    else
        scan_canonically(run, &b);
}

float block_score(const struct run *run, const struct block *b, size_t q, size_t r)
{
    size_t dim = run->spans->dim;
    const void *row = row_at(b->stored, run->row_size, r);
    struct row_list one = { run->spans->type, row, 1, dim };
    if (one.type == ROW_F32) return run->pair(query_at(run, b, q), row, dim);
    rows_widen(run->host->kernels, &one, b->bench->wide);
    float score = run->pair(query_at(run, b, q), b->bench->wide, dim);
    return one.type == ROW_UNIT_U8 ? score * row_inverse(run->host->kernels, row, dim) + 0.0f
                                   : score;
}
