#include "device/cpu/coded.h"

#include "base/mem.h"
#include "device/code_query.h"
#include "device/cpu/block.h"

#include <string.h>

enum {
    PANELS_MAX = 32, /* between looks at the limits */
    PANELS_AT_ONCE = 8,
    SURVIVORS_SHARE = 8, /* more than one in so many: rows are scored faster without codes */
    CANDIDATES_MAX = PART_QUERIES * PANEL_ROWS * (PANELS_MAX / SURVIVORS_SHARE + PANELS_AT_ONCE),
    PAUSE_MIN = 1024,
    PAUSE_MAX = 65536, /* rows */
    AHEAD = 8, /* candidates whose rows are on their way from memory */
    AHEAD_BYTES_MAX = 2048, /* of each */
};

wg_err coded_fit(struct coded *c, const struct code_layout *layout, size_t dim)
{
    wg_err err = WG_OK;
    c->codes = NULL;
    c->rest = 0;
    c->pause = PAUSE_MIN;
    if (c->dim >= dim) return WG_OK;
    TRY(mem_resize(&c->values, code_layout_size(layout, dim, PART_QUERIES)));
    TRY(mem_resize(&c->plain, code_layout_size(layout, dim, 1)));
    TRY(mem_resize(&c->each, PART_QUERIES));
    TRY(mem_resize(&c->kths, PART_QUERIES));
    TRY(mem_resize(&c->norms, PART_QUERIES));
    TRY(mem_resize(&c->kept, PART_QUERIES * PANELS_AT_ONCE));
    TRY(mem_resize(&c->candidates, CANDIDATES_MAX));
    c->dim = dim;
out:
    return err;
}

void coded_fini(struct coded *c)
{
    mem_free(&c->values);
    mem_free(&c->plain);
    mem_free(&c->each);
    mem_free(&c->kths);
    mem_free(&c->norms);
    mem_free(&c->kept);
    mem_free(&c->candidates);
}

/* --- the queries in code --- */

/* Codes query q of the part; returns the sum of its codes. */
static int32_t encode_query(const struct coded *c, const struct kernels *kernels,
                            const float *query, size_t q, struct code_norms *out)
{
    const struct codes *codes = c->codes;
    const struct code_layout *layout = &kernels->code_layout;
    size_t dim = codes->dim, padded = code_layout_steps(layout, dim) * layout->step;
    int8_t code_max = kernels->query_code_max;
    int32_t sum = 0;
    *out = (struct code_norms){
        .centre = codes->centre_norm,
        .step = query_step(codes->metric, query, codes->centre, dim, code_max),
    };
    for (size_t i = 0; i < dim; i++) {
        double x = query_component(codes->metric, query[i], codes->centre[i]);
        int code = query_code(x, out->step, code_max);
        c->plain[i] = (int8_t)code;
        sum += code;
        code_norms_add(out, x, (double)out->step * code);
        out->shift += (double)query[i] * (double)codes->centre[i];
    }
    memset(c->plain + dim, 0, padded - dim);
    for (size_t i = 0; i < padded; i += layout->step)
        memcpy(c->values + code_layout_at(layout, dim, q, i), c->plain + i, layout->step);
    code_norms_root(out);
    return sum;
}

static void ready_queries(const struct run *run, const struct block *b, const struct codes *codes)
{
    struct coded *c = &b->bench->coded;
    size_t query_first = run->query_first + b->query_first;
    if (c->codes == codes && c->query_first == query_first) return;
    c->codes = codes;
    c->query_first = query_first;
    for (size_t q = 0; q < b->query_count; q++) {
        struct code_norms *norms = &c->norms[q];
        int32_t sum = encode_query(c, run->host->kernels, query_at(run, b, q), q, norms);
        c->each[q] = codes->metric == METRIC_L2
                         ? code_bound_query_l2(norms, codes->scale)
                         : code_bound_query_dot(&run->code_bound, norms, codes->scale);
        c->each[q].start = -128 * sum;
        c->kths[q] = INFINITY; /* no limit is set yet */
    }
}

/* false: some query has not found k rows yet, and excludes none. */
static bool set_limits(const struct run *run, const struct block *b)
{
    struct coded *c = &b->bench->coded;
    for (size_t q = 0; q < b->query_count; q++) {
        float kth = limit_of(run, b, q);
        if (isinf(kth)) return false;
        if (kth == c->kths[q]) continue;
        c->kths[q] = kth;
        c->each[q].limit = c->codes->metric == METRIC_L2
                               ? code_bound_limit_l2(&run->code_bound, &c->norms[q], kth)
                               : code_bound_limit_dot(&run->code_bound, &c->norms[q], kth);
    }
    return true;
}

/* --- the rows --- */

static size_t list_row_bits(const struct run *run, const struct block *b, size_t query, size_t row,
                            uint32_t bits, struct candidate *candidates)
{
    size_t count = 0;
    for (; bits != 0; bits &= bits - 1) {
        size_t r = row + (size_t)__builtin_ctz(bits);
        if (is_live(run, b, r))
            candidates[count++] = (struct candidate){ (uint16_t)query, (uint16_t)r };
    }
    return count;
}

/* The first of count that is not 0, from i on; count: none. Most are. */
static size_t next_kept(const uint32_t *kept, size_t i, size_t count)
{
    enum { AT_ONCE = 4 };
    for (; i + AT_ONCE <= count; i += AT_ONCE)
        if ((kept[i] | kept[i + 1] | kept[i + 2] | kept[i + 3]) != 0) break;
    while (i < count && kept[i] == 0) i++;
    return i;
}

/* Lists the rows of some panels, from panel p of the block on, that some query cannot exclude. */
static size_t sift_panels(const struct run *run, const struct block *b, uint64_t first, size_t p,
                          size_t panel_count, struct candidate *candidates)
{
    struct coded *c = &b->bench->coded;
    const struct codes *codes = c->codes;
    uint64_t at = first / PANEL_ROWS + p;
    struct code_queries queries = { c->values, c->each, b->query_count };
    struct code_panels panels = {
        .codes = codes->panels + at * code_panel_size(codes->dim),
        .offsets = codes->offsets + at * PANEL_ROWS,
        .errors = codes->errors + at,
        .norms = codes->norms + at,
        .dim = codes->dim,
        .count = panel_count,
    };
    size_t count = 0, kept_count = panel_count * b->query_count;
    run->host->kernels->sift_codes(&queries, &panels, c->kept);
    for (size_t i = next_kept(c->kept, 0, kept_count); i < kept_count;
         i = next_kept(c->kept, i + 1, kept_count))
        count += list_row_bits(run, b, i % b->query_count, (p + i / b->query_count) * PANEL_ROWS,
                               c->kept[i], candidates + count);
    return count;
}

static void fetch(const struct run *run, const struct block *b, struct candidate candidate)
{
    const char *row = row_at(b->stored, run->row_size, candidate.row);
    size_t size = run->row_size;
    if (size > AHEAD_BYTES_MAX) size = AHEAD_BYTES_MAX;
    for (size_t i = 0; i < size; i += CACHE_LINE) {
        __builtin_prefetch(row + i);
        __asm__ volatile("" ::: "memory"); /* gcc 12 keeps but the first prefetch of a loop */
    }
}

static void rescore(const struct run *run, const struct block *b, size_t count)
{
    const struct candidate *candidates = b->bench->coded.candidates;
    for (size_t i = 0; i < AHEAD && i < count; i++) fetch(run, b, candidates[i]);
    for (size_t i = 0; i < count; i++) {
        struct candidate at = candidates[i];
        if (i + AHEAD < count) fetch(run, b, candidates[i + AHEAD]);
        block_push(run, b, at.query, at.row, block_score(run, b, at.query, at.row));
        share_limit(run, b, at.query);
    }
}

/* Codes that exclude too little are left alone for twice as many rows each time. */
static void pause(struct coded *c)
{
    c->rest = c->pause;
    if (c->pause < PAUSE_MAX) c->pause *= 2;
}

size_t coded_scan(const struct run *run, const struct block *b, const struct codes *codes,
                  uint64_t first, uint64_t row_end)
{
    struct coded *c = &b->bench->coded;
    uint64_t there = atomic_load_explicit(&codes->row_count, memory_order_acquire);
    uint64_t end = first + (row_end - b->row_first);
    if (end > there) end = there;
    if (run->scan->check_rows || codes->metric != run->scan->metric || first % PANEL_ROWS != 0 ||
        end < first + PANEL_ROWS)
        return 0;
    if (c->rest > 0) {
        c->rest -= c->rest < b->row_count ? c->rest : b->row_count;
        return 0;
    }
    size_t panel_count = (size_t)(end - first) / PANEL_ROWS;
    if (panel_count > PANELS_MAX) panel_count = PANELS_MAX;
    ready_queries(run, b, codes);
    if (!set_limits(run, b)) return 0;
    size_t count = 0, most = panel_count * PANEL_ROWS * b->query_count / SURVIVORS_SHARE;
    for (size_t p = 0; p < panel_count && count <= most; p += PANELS_AT_ONCE) {
        size_t left = panel_count - p, some = left < PANELS_AT_ONCE ? left : PANELS_AT_ONCE;
        count += sift_panels(run, b, first, p, some, c->candidates + count);
    }
    if (count > most) {
        pause(c);
        return 0;
    }
    c->pause = PAUSE_MIN;
    rescore(run, b, count);
    return panel_count * PANEL_ROWS;
}
