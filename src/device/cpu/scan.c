#include "base/mem.h"
#include "base/size.h"
#include "device/cpu/block.h"
#include "device/cpu/sparse.h"
#include "kernel/fpenv.h"
#include "waggle/knn.h"

enum {
    BLOCK_BYTES = 256 * 1024, /* of rows: they stay in the second-level cache */
    BLOCK_ROWS_MAX = 128,
    BLOCK_ROWS_OF_BITS_MAX = 1024,
    GROUP_QUERIES = 1024,           /* scanned together, at most */
    GROUP_QUERIES_FEW = 4,          /* and at least: each group reads all rows */
    HEAPS_BYTES = 1024 * 1024,      /* of a worker: they stay in its cache */
    GROUP_BYTES = 64 * 1024 * 1024, /* of heaps, unless one query alone needs more */
    TASKS_PER_WORKER = 32,
};

struct scan_scratch {
    struct bench *benches; /* one for each worker */
    size_t bench_count;
    double *query_norms;   /* squared; GROUP_QUERIES */
    _Atomic float *limits; /* GROUP_QUERIES */
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
        mem_free(&s->benches[i].offsets);
        mem_free(&s->benches[i].panel_room);
        mem_free(&s->benches[i].kept);
        mem_free(&s->benches[i].wide);
        mem_free(&s->benches[i].inverses);
        mem_free(&s->benches[i].gathered);
        mem_free(&s->benches[i].numbers);
        mem_free(&s->benches[i].items);
        mem_free(&s->benches[i].tops);
        coded_fini(&s->benches[i].coded);
    }
    mem_free(&s->benches);
    mem_free(&s->query_norms);
    mem_free(&s->limits);
    mem_free(scratch);
}

/* For the live rows of a block. */
static wg_err fit_gathered(struct bench *b, const struct run *run)
{
    wg_err err = WG_OK;
    size_t size = run->block_rows * run->row_size;
    if (b->gathered_size >= size) return WG_OK;
    TRY(mem_resize(&b->gathered, size));
    b->gathered_size = size;
out:
    return err;
}

/* Room for a block's rows in f32, where they are not stored so. */
static wg_err fit_wide(struct bench *b, const struct run *run)
{
    wg_err err = WG_OK;
    size_t count = run->block_rows * run->spans->dim;
    if (run->spans->type == ROW_F32 || b->wide_count >= count) return WG_OK;
    TRY(mem_resize(&b->wide, count));
    b->wide_count = count;
out:
    return err;
}

static wg_err fit_panel(struct bench *b, size_t dim)
{
    wg_err err = WG_OK;
    if (b->dim >= dim) return WG_OK;
    TRY(mem_resize(&b->panel_room, PANEL_ROWS * dim + CACHE_LINE / sizeof *b->panel_room));
    b->dim = dim;
out:
    return err;
}

static wg_err bench_fit(struct bench *b, const struct run *run, size_t item_count)
{
    wg_err err = WG_OK;
    if (b->block_rows < run->block_rows) {
        TRY(mem_resize(&b->scores, PART_QUERIES * run->block_rows));
        TRY(mem_resize(&b->offsets, run->block_rows));
        TRY(mem_resize(&b->kept, run->block_rows));
        TRY(mem_resize(&b->inverses, run->block_rows));
        TRY(mem_resize(&b->numbers, run->block_rows));
        b->block_rows = run->block_rows;
    }
    if (run->spans->type != ROW_BITS) {
        TRY(fit_panel(b, run->spans->dim));
        TRY(fit_wide(b, run));
    }
    if (b->item_count < item_count) {
        TRY(mem_resize(&b->items, item_count));
        b->item_count = item_count;
    }
    if (run->has_codes)
        TRY(coded_fit(&b->coded, &run->host->kernels->code_layout, run->spans->dim));
    if (run->live) TRY(fit_gathered(b, run));
    if (b->top_count < run->query_count) {
        TRY(mem_resize(&b->tops, run->query_count));
        b->top_count = run->query_count;
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
    if (!s->limits) TRY(mem_resize(&s->limits, GROUP_QUERIES));
    for (size_t i = 0; i < worker_count; i++) TRY(bench_fit(&s->benches[i], run, item_count));
out:
    return err;
}

static double squared_norm(const float *x, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static void prepare_group(struct run *run)
{
    struct scan_scratch *s = run->scratch;
    size_t worker_count = pool_thread_count(run->host->pool), k = run->scan->k;
    for (size_t w = 0; w < worker_count; w++)
        for (size_t q = 0; q < run->query_count; q++)
            s->benches[w].tops[q] = (struct topk){ .items = s->benches[w].items + q * k, .k = k };
    for (size_t q = 0; q < run->query_count; q++) {
        if (run->spans->type != ROW_BITS)
            s->query_norms[q] =
                squared_norm(row_at(run->scan->queries, run->query_size, run->query_first + q),
                             run->spans->dim);
        atomic_init(&s->limits[q], run->limit);
    }
    run->limits = s->limits;
    run->query_norms = s->query_norms;
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

/* Rows that were not checked before are checked while they are in the cache. */
static wg_err check_rows(const struct run *run, const struct block *b)
{
    bool first_to_see = run->query_first == 0 && b->query_first == 0;
    size_t count = b->row_count * run->spans->dim;
    bool refused = run->scan->check_rows && first_to_see &&
                   run->host->kernels->find_refused(b->stored, count) < count;
    return refused ? WG_EINVAL : WG_OK;
}

/* It ends with a panel of the span, so that the next one can begin with a panel of codes. */
static struct block block_at(const struct run *run, const struct row_span *span, uint64_t row,
                             uint64_t row_end)
{
    uint64_t end = smaller(row_end, span->first + span->count);
    uint64_t room = run->block_rows - (row - span->first) % PANEL_ROWS;
    return (struct block){
        .stored = row_at(span->values, run->row_size, row - span->first),
        .row_first = row,
        .row_count = (size_t)smaller(room, end - row),
    };
}

/* Scans the block, or more rows by codes; returns how many. */
static size_t scan_block(const struct run *run, const struct row_span *span, struct block *b,
                         uint64_t row_end)
{
    const struct codes *codes =
        run->has_codes && span->codes ? atomic_load(&span->codes->codes) : NULL;
    uint64_t end = smaller(row_end, span->first + span->count);
    size_t count = run->live ? sparse_scan(run, b, end, codes != NULL) : 0;
    if (count == 0 && codes) count = coded_scan(run, b, codes, b->row_first - span->first, end);
    if (count > 0) return count;
    block_scan(run, b);
    return b->row_count;
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
        const struct row_span *span = span_of(run->spans, row);
        struct block block = block_at(run, span, row, row_end);
        block.bench = &run->scratch->benches[worker];
        block.query_first = query_first;
        block.query_count = (size_t)smaller(PART_QUERIES, run->query_count - query_first);
        wg_err err = stop_check(run->scan->stop);
        if (err == WG_OK) {
            row += scan_block(run, span, &block, row_end);
            err = check_rows(run, &block);
        }
        if (err != WG_OK) atomic_store(&run->err, err);
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

/* Queries of a group. Of 10,000 hits each a hundred together took twice the time of six: a hundred
 * heaps do not stay in the cache. */
static size_t group_size(const struct run *run)
{
    uint64_t worker_count = pool_thread_count(run->host->pool), k = run->scan->k;
    uint64_t cached = HEAPS_BYTES / sizeof(struct scored) / k;
    uint64_t fits = GROUP_BYTES / sizeof(struct scored) / worker_count / k;
    if (cached < GROUP_QUERIES_FEW) cached = GROUP_QUERIES_FEW;
    fits = smaller(smaller(fits, cached), GROUP_QUERIES);
    return fits < 1 ? 1 : (size_t)fits;
}

static size_t block_rows_of(enum row_type type, size_t dim)
{
    size_t scanned = query_size(type, dim); /* as that, row by row */
    size_t most = type == ROW_BITS ? BLOCK_ROWS_OF_BITS_MAX : BLOCK_ROWS_MAX;
    size_t rows = BLOCK_BYTES / scanned / PANEL_ROWS * PANEL_ROWS;
    if (rows < PANEL_ROWS) return PANEL_ROWS;
    return rows < most ? rows : most;
}

static void choose_kernels(struct run *run, const struct kernels *kernels)
{
    switch (run->scan->metric) {
    case METRIC_L2: run->pair = kernels->l2, run->tile = kernels->l2_tile; break;
    case METRIC_L1: run->pair = kernels->l1, run->tile = kernels->l1_tile; break;
    case METRIC_CHEBYSHEV:
        run->pair = kernels->chebyshev, run->tile = kernels->chebyshev_tile;
        break;
    default: run->pair = kernels->dot, run->tile = kernels->dot_tile; break;
    }
}

static bool has_codes(const struct span_list *spans)
{
    for (size_t i = 0; i < spans->count; i++)
        if (spans->spans[i].codes && atomic_load(&spans->spans[i].codes->codes)) return true;
    return false;
}

wg_err scan_spans(const struct device_host *host, const struct span_list *spans,
                  const struct bitmap *live, const struct scan *scan, struct scan_scratch *scratch)
{
    size_t bound_dim = row_bound_dim(spans->type, spans->dim);
    struct run run = {
        .host = host,
        .spans = spans,
        .live = live,
        .scan = scan,
        .scratch = scratch,
        .scale = scan->metric == METRIC_DOT ? -1 : 1,
        .limit = scan->limited ? scan->limit : INFINITY,
        .dot_bound = dot_bound_of_dim(bound_dim),
        .l2_bound = l2_bound_of_dim(spans->dim),
        .code_bound = code_bound_of_dim(bound_dim),
        .has_codes = has_codes(spans),
        .row_size = row_size(spans->type, spans->dim),
        .query_size = query_size(spans->type, spans->dim),
        .block_rows = block_rows_of(spans->type, spans->dim),
    };
    choose_kernels(&run, host->kernels);
    size_t group = group_size(&run);
    wg_err err = WG_OK;
    for (size_t q = 0; q < scan->query_count && err == WG_OK; q += group) {
        run.query_first = q;
        run.query_count = (size_t)smaller(group, scan->query_count - q);
        err = scan_group(&run);
    }
    return err;
}
