#include "waggle/knn.h"

#include "api/context.h"
#include "api/params.h"
#include "api/vectors.h"
#include "base/mem.h"
#include "base/size.h"
#include "kernel/fpenv.h"
#include "quant/encode.h"
#include "search/search.h"

#include <math.h>

void wg_knn_params_init_sized(wg_knn_params *params, size_t size)
{
    static const wg_knn_params defaults = { .k = 10, .threshold = NAN };
    params_fill(params, size, &defaults, sizeof defaults);
}

/* A scan sees every row anyway, while it is in the cache: one query takes half the time. */
static bool rows_are_checked_by_scan(const wg_knn_params *p)
{
    return p->metric != WG_COSINE && p->query_count > 0;
}

static wg_err check(const wg_context *context, const wg_knn_params *p)
{
    wg_err err = WG_OK;
    size_t size;
    TRY(metric_check(p->metric));
    if (p->metric == WG_HAMMING)
        return wg_fail(WG_EINVAL, "metric hamming is for vectors of bits; expected one for f32");
    TRY(dim_check(p->dim));
    if (p->k == 0) return wg_fail(WG_EINVAL, "k is 0; expected at least 1");
    TRY(size_multiply(p->row_count, p->dim * sizeof(float), &size));
    TRY(size_multiply(p->query_count, p->dim * sizeof(float), &size));
    TRY(size_multiply(p->query_count, p->k, &size));
    if (!rows_are_checked_by_scan(p))
        TRY(vectors_check(&context->kernels, p->rows, p->row_count, p->dim, "row"));
    TRY(vectors_check(&context->kernels, p->queries, p->query_count, p->dim, "query"));
out:
    return err;
}

static wg_err normalized_copy(const float *vectors, size_t count, size_t dim, float **out)
{
    wg_err err = mem_resize(out, count * dim);
    if (err == WG_OK) vectors_normalize(vectors, count, dim, *out);
    return err;
}

static void write_answer(const wg_knn_params *p, const struct search_answer *answer,
                         uint64_t *found_rows, float *found_scores)
{
    for (size_t q = 0; q < p->query_count; q++)
        for (size_t i = 0; i < p->k; i++) {
            size_t from = q * answer->k + i, to = q * p->k + i;
            bool found = i < answer->k && answer->rows[from] != WG_NO_ROW;
            found_rows[to] = found ? answer->rows[from] : WG_NO_ROW;
            found_scores[to] = found ? metric_score(p->metric, answer->scores[from]) : NAN;
        }
}

/* Rows that enough queries look at are coded first (quant/encode.h). */
static bool worth_coding(const wg_knn_params *p)
{
    enum { QUERIES_MIN = 64, ROWS_MIN = 8192, ROWS_PER_HIT_MIN = 64 };
    return p->metric != WG_MANHATTAN && p->metric != WG_CHEBYSHEV &&
           p->query_count >= QUERIES_MIN && p->row_count >= ROWS_MIN &&
           p->row_count / p->k >= ROWS_PER_HIT_MIN;
}

/* One call. */
struct call {
    wg_context *context;
    const wg_knn_params *params;
    struct stop stop;
    float *rows, *queries; /* normalised copies, for cosine */
    struct code_cell codes;
    struct source source;
    struct search *search;
};

/* What wg_knn_graph fills: row_count x k. */
struct graph {
    uint64_t *rows;
    float *scores;
    size_t k;
};

/* Checks them on the way, unless that was done. Without memory for codes there are none. */
static wg_err code_rows(struct call *call, const float *rows)
{
    const wg_knn_params *p = call->params;
    const struct kernels *kernels = &call->context->kernels;
    struct codes *codes = NULL;
    struct encode_params params = {
        .kernels = kernels,
        .metric = metric_of(p->metric),
        .dim = p->dim,
        .rows = rows,
        .row_count = p->row_count,
        .capacity = p->row_count,
    };
    struct encode_all all = { call->context->pool, &call->stop, call->source.unchecked };
    wg_err err = codes_create_whole(&params, &all, &codes);
    if (err != WG_OK) return err == WG_ENOMEM ? WG_OK : err;
    atomic_store(&call->codes.codes, codes);
    if (!call->source.unchecked) return WG_OK;
    call->source.unchecked = false;
    size_t coded = (size_t)codes->row_count, left = (p->row_count - coded) * p->dim;
    return kernels->find_refused(rows + coded * p->dim, left) == left ? WG_OK : WG_EINVAL;
}

static wg_err ready_source(struct call *call)
{
    wg_err err = WG_OK;
    const wg_knn_params *p = call->params;
    TRY(source_init(device_set_cpu(call->context->devices), ROW_F32, p->dim, &call->source));
    call->source.unchecked = rows_are_checked_by_scan(p);
    struct row_batch batch = { call->rows ? call->rows : p->rows, p->row_count, &call->codes };
    TRY(source_append(&call->source, &batch));
    if (worth_coding(p)) TRY(code_rows(call, batch.values));
out:
    return err;
}

/* count queries from the first-th on; more k than rows is cut. */
static wg_err search_some(struct call *call, size_t first, size_t count,
                          struct search_answer *answer)
{
    const wg_knn_params *p = call->params;
    const float *queries = call->queries ? call->queries : p->queries;
    struct search_request request = {
        .source = &call->source,
        .metric = metric_of(p->metric),
        .queries = queries + first * p->dim,
        .query_count = count,
        .k = p->k,
        .limited = !isnan(p->threshold),
        .limit = metric_limit(p->metric, p->threshold),
        .stop = call->stop,
    };
    return search_run(call->search, &request, answer);
}

/* call->params were checked. */
static wg_err call_begin(struct call *call)
{
    wg_err err = WG_OK;
    const wg_knn_params *p = call->params;
    call->stop = stop_of(p->timeout_ms, p->cancel);
    if (p->metric == WG_COSINE) {
        TRY(normalized_copy(p->rows, p->row_count, p->dim, &call->rows));
        TRY(normalized_copy(p->queries, p->query_count, p->dim, &call->queries));
    }
    TRY(ready_source(call));
    TRY(search_create(call->context->devices, &call->search));
out:
    return err;
}

static void call_end(struct call *call)
{
    struct codes *codes = atomic_load(&call->codes.codes);
    search_destroy(&call->search);
    source_fini(&call->source);
    codes_destroy(&codes);
    mem_free(&call->rows);
    mem_free(&call->queries);
}

/* What a scan met on its way is WG_EINVAL without saying which row. */
static wg_err name_refused(const struct call *call, wg_err err)
{
    const wg_knn_params *p = call->params;
    if (err != WG_EINVAL) return err;
    wg_err named = vectors_check(&call->context->kernels, p->rows, p->row_count, p->dim, "row");
    return named == WG_OK ? err : named;
}

static wg_err run(struct call *call, uint64_t *found_rows, float *found_scores)
{
    wg_err err = WG_OK;
    struct search_answer answer;
    TRY(call_begin(call));
    TRY(search_some(call, 0, call->params->query_count, &answer));
    write_answer(call->params, &answer, found_rows, found_scores);
out:
    return name_refused(call, err);
}

wg_err wg_knn(wg_context *context, const wg_knn_params *params, uint64_t *found_rows,
              float *found_scores)
{
    wg_err err = WG_OK;
    wg_knn_params p;
    wg_knn_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    TRY(check(context, &p));
    struct call call = { .context = context, .params = &p };
    struct fp_env env = fp_env_enter();
    err = run(&call, found_rows, found_scores);
    call_end(&call);
    fp_env_leave(env);
out:
    return err;
}

void wg_knn_graph_params_init_sized(wg_knn_graph_params *params, size_t size)
{
    static const wg_knn_graph_params defaults = { .k = 10 };
    params_fill(params, size, &defaults, sizeof defaults);
}

/* A row's neighbours: all that were found but itself. It may be absent, behind rows equal to it;
 * then the last one is left out. */
static void write_neighbours(const struct call *call, const struct search_answer *answer,
                             size_t first, struct graph *out)
{
    for (size_t q = 0; q < answer->query_count; q++) {
        const uint64_t *rows = answer->rows + q * answer->k;
        const float *scores = answer->scores + q * answer->k;
        size_t row = first + q, n = 0;
        for (size_t i = 0; i < answer->k && n < out->k; i++) {
            if (rows[i] == row || rows[i] == WG_NO_ROW) continue;
            out->rows[row * out->k + n] = rows[i];
            out->scores[row * out->k + n++] = metric_score(call->params->metric, scores[i]);
        }
        for (; n < out->k; n++) {
            out->rows[row * out->k + n] = WG_NO_ROW;
            out->scores[row * out->k + n] = NAN;
        }
    }
}

/* Every row is a query; some at a time, so that the answers take no more memory than the graph. */
static wg_err run_graph(struct call *call, struct graph *out)
{
    enum { AT_ONCE = 4096 };
    wg_err err = WG_OK;
    struct search_answer answer;
    size_t count = call->params->query_count;
    TRY(call_begin(call));
    for (size_t first = 0; first < count; first += AT_ONCE) {
        TRY(search_some(call, first, count - first < AT_ONCE ? count - first : AT_ONCE, &answer));
        write_neighbours(call, &answer, first, out);
    }
out:
    return name_refused(call, err);
}

wg_err wg_knn_graph(wg_context *context, const wg_knn_graph_params *params, uint64_t *found_rows,
                    float *found_scores)
{
    wg_err err = WG_OK;
    wg_knn_graph_params p;
    wg_knn_params knn;
    wg_knn_graph_params_init(&p);
    wg_knn_params_init(&knn);
    TRY(PARAMS_READ(params, &p));
    if (p.k == 0 || p.k == SIZE_MAX)
        return wg_fail(WG_EINVAL, "k is %zu; expected at least 1, and less than that", p.k);
    knn.metric = p.metric;
    knn.k = p.k + 1;
    knn.dim = p.dim;
    knn.rows = knn.queries = p.rows;
    knn.row_count = knn.query_count = p.row_count;
    knn.timeout_ms = p.timeout_ms;
    knn.cancel = p.cancel;
    TRY(check(context, &knn));
    struct call call = { .context = context, .params = &knn };
    struct graph graph = { found_rows, found_scores, p.k };
    struct fp_env env = fp_env_enter();
    err = run_graph(&call, &graph);
    call_end(&call);
    fp_env_leave(env);
out:
    return err;
}
