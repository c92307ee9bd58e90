#include "device/cpu/scan.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/topk.h"
#include "device/cpu/l2_bound.h"
#include "kernel/fpenv.h"
#include "waggle/knn.h"

#include <stdatomic.h>

enum {
    BLOCK_BYTES = 256 * 1024, /* of rows: they stay in the second-level cache */
    BLOCK_ROWS_STEP = 16,     /* what a tile kernel takes at once */
    BLOCK_ROWS_MAX = 128,
    PART_QUERIES = 128,             /* against one block at a time */
    GROUP_QUERIES = 1024,           /* scanned together */
    GROUP_BYTES = 64 * 1024 * 1024, /* of heaps, unless one query alone needs more */
    TASKS_PER_WORKER = 8,
    PROPOSE_QUERIES_MIN = 16, /* below, a squared norm per row costs more than it saves */
};

/* What one worker works on: its block and its heaps. */
struct bench {
    size_t block_rows, item_count, top_count; /* room */
    float *scores;                            /* PART_QUERIES x block_rows */
    float *row_bounds;                        /* block_rows */
    uint32_t *kept;                           /* block_rows */
    struct scored *items;                     /* item_count: k for each top */
    struct topk *tops;                        /* top_count: one for each query of the group */
};

struct scan_scratch {
    struct bench *benches;
    size_t bench_count;
    double *query_norms; /* squared; GROUP_QUERIES */
};

/* One group of queries over all rows. */
struct run {
    const struct device_host *host;
    const struct span_list *spans;
    const struct bitmap *live;
    const struct scan *scan;
    struct scan_scratch *scratch;
    kernel_tile_f32 *tile;
    float scale;   /* value = scale * score, the lower the better */
    bool proposes; /* L2 by dot products */
    struct l2_bound bound;
    size_t block_rows, part_rows, query_parts;
    size_t query_first, query_count; /* of the group */
    atomic_int err;                  /* of a worker; its text is made anew */
};

/* A tile of queries against a block of rows. */
struct tile {
    struct bench *bench;
    const float *rows;
    uint64_t row_first;
    size_t row_count;
    size_t query_first, query_count; /* query_first counts from the group's first */
};

wg_err scan_scratch_create(struct scan_scratch **out)
{
    struct scan_scratch *scratch = NULL;
    wg_err err = mem_resize(&scratch, 1);
    if (err != WG_OK) return err;
    *scratch = (struct scan_scratch){ 0 };
    *out = scratch;
    return WG_OK;
}

void scan_scratch_destroy(struct scan_scratch **scratch)
{
    struct scan_scratch *s = *scratch;
    if (!s) return;
    for (size_t i = 0; i < s->bench_count; i++) {
        mem_free(&s->benches[i].scores);
        mem_free(&s->benches[i].row_bounds);
        mem_free(&s->benches[i].kept);
        mem_free(&s->benches[i].items);
        mem_free(&s->benches[i].tops);
    }
    mem_free(&s->benches);
    mem_free(&s->query_norms);
    mem_free(scratch);
}

static wg_err bench_fit(struct bench *b, size_t block_rows, size_t item_count, size_t top_count)
{
    wg_err err = WG_OK;
    if (b->block_rows < block_rows) {
        TRY(mem_resize(&b->scores, PART_QUERIES * block_rows));
        TRY(mem_resize(&b->row_bounds, block_rows));
        TRY(mem_resize(&b->kept, block_rows));
        b->block_rows = block_rows;
    }
    if (b->item_count < item_count) {
        TRY(mem_resize(&b->items, item_count));
        b->item_count = item_count;
    }
    if (b->top_count < top_count) {
        TRY(mem_resize(&b->tops, top_count));
        b->top_count = top_count;
    }
out:
    return err;
}

static wg_err scratch_fit(struct scan_scratch *s, const struct run *run)
{
    wg_err err = WG_OK;
    size_t worker_count = pool_thread_count(run->host->pool), item_count;
    TRY(size_multiply(run->query_count, run->scan->k, &item_count));
    if (s->bench_count < worker_count) {
        TRY(mem_resize(&s->benches, worker_count));
        while (s->bench_count < worker_count) s->benches[s->bench_count++] = (struct bench){ 0 };
    }
    if (!s->query_norms) TRY(mem_resize(&s->query_norms, GROUP_QUERIES));
    for (size_t i = 0; i < worker_count; i++)
        TRY(bench_fit(&s->benches[i], run->block_rows, item_count, run->query_count));
out:
    return err;
}

static const float *query_at(const struct run *run, size_t query)
{
    return run->scan->queries + (run->query_first + query) * run->spans->dim;
}

static void prepare_group(const struct run *run)
{
    struct scan_scratch *s = run->scratch;
    size_t worker_count = pool_thread_count(run->host->pool), k = run->scan->k;
    for (size_t w = 0; w < worker_count; w++)
        for (size_t q = 0; q < run->query_count; q++)
            s->benches[w].tops[q] = (struct topk){ .items = s->benches[w].items + q * k, .k = k };
    for (size_t q = 0; run->proposes && q < run->query_count; q++) {
        const float *query = query_at(run, q);
        double sum = 0;
        for (size_t i = 0; i < run->spans->dim; i++) sum += (double)query[i] * (double)query[i];
        s->query_norms[q] = sum;
    }
}

static bool is_live(const struct run *run, uint64_t row)
{
    return !run->live || bitmap_get(run->live, row);
}

/* The tile's scores are the canonical ones. */
static void keep_best(const struct run *run, const struct tile *t, size_t q)
{
    const float *scores = t->bench->scores + q * t->row_count;
    struct topk *top = &t->bench->tops[t->query_first + q];
    size_t kept_count = run->host->kernels->sift(scores, NULL, t->row_count, run->scale,
                                                 topk_limit(top), t->bench->kept);
    for (size_t i = 0; i < kept_count; i++) {
        uint32_t at = t->bench->kept[i];
        if (is_live(run, t->row_first + at))
            topk_push(top, (struct scored){ run->scale * scores[at], t->row_first + at });
    }
}

/* The tile's scores are dot products, the value is L2: what the bound cannot exclude is scored
 * again. */
static void keep_proposed(const struct run *run, const struct tile *t, size_t q)
{
    const struct kernels *kernels = run->host->kernels;
    size_t dim = run->spans->dim;
    float *scores = t->bench->scores + q * t->row_count;
    const float *query = query_at(run, t->query_first + q);
    struct topk *top = &t->bench->tops[t->query_first + q];
    float limit =
        l2_bound_limit(&run->bound, topk_limit(top), run->scratch->query_norms[t->query_first + q]);
    size_t kept_count =
        kernels->sift(scores, t->bench->row_bounds, t->row_count, -2, limit, t->bench->kept);
    bool all = kept_count > t->row_count / 4; /* a tile is then faster than pair by pair */
    if (all) kernels->l2_tile(query, 1, t->rows, t->row_count, dim, scores);
    for (size_t i = 0; i < kept_count; i++) {
        uint32_t at = t->bench->kept[i];
        if (!is_live(run, t->row_first + at)) continue;
        float value = all ? scores[at] : kernels->l2(query, t->rows + at * dim, dim);
        topk_push(top, (struct scored){ value, t->row_first + at });
    }
}

/* A part of the group's queries against a block. */
static void scan_tile(const struct run *run, const struct tile *t)
{
    const struct kernels *kernels = run->host->kernels;
    size_t dim = run->spans->dim;
    if (run->live && !bitmap_any(run->live, t->row_first, t->row_count)) return;
    for (size_t r = 0; run->proposes && r < t->row_count; r++) {
        const float *row = t->rows + r * dim;
        t->bench->row_bounds[r] = l2_bound_row(&run->bound, kernels->dot(row, row, dim));
    }
    run->tile(query_at(run, t->query_first), t->query_count, t->rows, t->row_count, dim,
              t->bench->scores);
    for (size_t q = 0; q < t->query_count; q++) {
        if (run->proposes)
            keep_proposed(run, t, q);
        else
            keep_best(run, t, q);
    }
}

/* The span that holds the row. */
static const struct row_span *span_of(const struct span_list *list, uint64_t row)
{
    size_t low = 0, high = list->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (list->spans[middle].first <= row)
            low = middle;
        else
            high = middle;
    }
    return &list->spans[low];
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What ends a run before its end. The text stays on the worker's thread. */
static wg_err check_block(const struct run *run, const struct tile *t)
{
    bool first_to_see = run->query_first == 0 && t->query_first == 0;
    size_t count = t->row_count * run->spans->dim;
    if (run->scan->check_rows && first_to_see &&
        run->host->kernels->find_refused(t->rows, count) < count)
        return WG_EINVAL;
    return stop_check(run->scan->stop);
}

static struct tile tile_at(const struct run *run, struct bench *bench, uint64_t row,
                           uint64_t row_end)
{
    const struct row_span *span = span_of(run->spans, row);
    uint64_t end = smaller(row_end, span->first + span->count);
    return (struct tile){
        .bench = bench,
        .rows = span->values + (row - span->first) * run->spans->dim,
        .row_first = row,
        .row_count = (size_t)smaller(run->block_rows, end - row),
    };
}

/* One part of the group's queries over one part of the rows. */
static void scan_part(void *arg, size_t task, size_t worker)
{
    struct run *run = arg;
    struct fp_env env = fp_env_enter();
    size_t query_first = task % run->query_parts * PART_QUERIES;
    uint64_t row = run->scan->row_first + task / run->query_parts * run->part_rows;
    uint64_t row_end = smaller(row + run->part_rows, run->scan->row_end);
    while (row < row_end && atomic_load_explicit(&run->err, memory_order_relaxed) == WG_OK) {
        struct tile tile = tile_at(run, &run->scratch->benches[worker], row, row_end);
        tile.query_first = query_first;
        tile.query_count = (size_t)smaller(PART_QUERIES, run->query_count - query_first);
        wg_err err = check_block(run, &tile);
        if (err == WG_OK)
            scan_tile(run, &tile);
        else
            atomic_store(&run->err, err);
        row += tile.row_count;
    }
    fp_env_leave(env);
}

static void write_found(const struct run *run, const struct topk *top, size_t query)
{
    size_t k = run->scan->k;
    uint64_t *rows = run->scan->found_rows + (run->query_first + query) * k;
    float *scores = run->scan->found_scores + (run->query_first + query) * k;
    for (size_t i = 0; i < top->count; i++) {
        rows[i] = top->items[i].row;
        scores[i] = run->scale * top->items[i].value + 0.0f; /* no score is -0 */
    }
    for (size_t i = top->count; i < k; i++) rows[i] = WG_NO_ROW, scores[i] = 0;
}

/* Merges what the workers hold of one query. */
static void merge_query(void *arg, size_t query, size_t worker)
{
    (void)worker;
    struct run *run = arg;
    struct fp_env env = fp_env_enter();
    const struct scan_scratch *s = run->scratch;
    struct topk *into = &s->benches[0].tops[query];
    for (size_t w = 1; w < pool_thread_count(run->host->pool); w++) {
        const struct topk *from = &s->benches[w].tops[query];
        for (size_t i = 0; i < from->count; i++) topk_push(into, from->items[i]);
    }
    topk_sort(into);
    write_found(run, into, query);
    fp_env_leave(env);
}

static size_t blocks_of(uint64_t row_count, size_t block_rows)
{
    return (size_t)((row_count + block_rows - 1) / block_rows);
}

/* Cuts the rows so that every worker has several tasks, of whole blocks. */
static size_t plan_parts(struct run *run)
{
    uint64_t row_count = run->scan->row_end - run->scan->row_first;
    size_t block_count = blocks_of(row_count, run->block_rows);
    size_t wanted = TASKS_PER_WORKER * pool_thread_count(run->host->pool);
    run->query_parts = (run->query_count + PART_QUERIES - 1) / PART_QUERIES;
    size_t row_parts = (wanted + run->query_parts - 1) / run->query_parts;
    if (row_parts > block_count) row_parts = block_count;
    if (row_parts == 0) return 0;
    run->part_rows = (block_count + row_parts - 1) / row_parts * run->block_rows;
    return blocks_of(row_count, run->part_rows) * run->query_parts;
}

/* A worker's error, told on the caller's thread. */
static wg_err fail_again(const struct run *run)
{
    wg_err err = (wg_err)atomic_load(&run->err);
    const char *why = err == WG_EINVAL     ? "a row has a component that is refused"
                      : err == WG_ETIMEOUT ? "the deadline passed before the search was done"
                                           : "cancelled by the caller";
    return err == WG_OK ? WG_OK : wg_fail(err, "%s", why);
}

static wg_err scan_group(struct run *run)
{
    wg_err err = WG_OK;
    TRY(scratch_fit(run->scratch, run));
    prepare_group(run);
    size_t task_count = plan_parts(run);
    pool_run(run->host->pool, scan_part, run, task_count);
    TRY(fail_again(run));
    pool_run(run->host->pool, merge_query, run, run->query_count);
out:
    return err;
}

static size_t group_size(const struct run *run)
{
    uint64_t worker_count = pool_thread_count(run->host->pool);
    uint64_t fits = GROUP_BYTES / sizeof(struct scored) / worker_count / run->scan->k;
    return fits < 1 ? 1 : (size_t)smaller(fits, GROUP_QUERIES);
}

static size_t block_rows_of(size_t dim)
{
    size_t rows = BLOCK_BYTES / sizeof(float) / dim / BLOCK_ROWS_STEP * BLOCK_ROWS_STEP;
    if (rows < BLOCK_ROWS_STEP) return BLOCK_ROWS_STEP;
    return rows < BLOCK_ROWS_MAX ? rows : BLOCK_ROWS_MAX;
}

static kernel_tile_f32 *tile_of(const struct kernels *kernels, enum metric metric, bool proposes)
{
    switch (metric) {
    case METRIC_L2: return proposes ? kernels->dot_tile : kernels->l2_tile;
    case METRIC_L1: return kernels->l1_tile;
    case METRIC_CHEBYSHEV: return kernels->chebyshev_tile;
    default: return kernels->dot_tile;
    }
}

wg_err scan_spans(const struct device_host *host, const struct span_list *spans,
                  const struct bitmap *live, const struct scan *scan, struct scan_scratch *scratch)
{
    bool proposes = scan->metric == METRIC_L2 && scan->query_count >= PROPOSE_QUERIES_MIN;
    struct run run = {
        .host = host,
        .spans = spans,
        .live = live,
        .scan = scan,
        .scratch = scratch,
        .tile = tile_of(host->kernels, scan->metric, proposes),
        .scale = scan->metric == METRIC_DOT ? -1 : 1,
        .proposes = proposes,
        .bound = l2_bound_of_dim(spans->dim),
        .block_rows = block_rows_of(spans->dim),
    };
    size_t group = group_size(&run);
    wg_err err = WG_OK;
    for (size_t q = 0; q < scan->query_count && err == WG_OK; q += group) {
        run.query_first = q;
        run.query_count = (size_t)smaller(group, scan->query_count - q);
        err = scan_group(&run);
    }
    return err;
}
