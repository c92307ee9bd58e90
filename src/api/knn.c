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
    enum { QUERIES_MIN = 64, ROWS_MIN = 8192 };
    return p->metric != WG_MANHATTAN && p->metric != WG_CHEBYSHEV &&
           p->query_count >= QUERIES_MIN && p->row_count >= ROWS_MIN;
}

/* One call. */
struct call {
    wg_context *context;
    const wg_knn_params *params;
    struct stop stop;
    float *rows, *queries; /* normalised copies, for cosine */
    struct code_cell codes;
    struct source source;
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
    TRY(source_init(device_set_cpu(call->context->devices), p->dim, &call->source));
    call->source.unchecked = rows_are_checked_by_scan(p);
    struct row_batch batch = { call->rows ? call->rows : p->rows, p->row_count, &call->codes };
    TRY(source_append(&call->source, &batch));
    if (worth_coding(p)) TRY(code_rows(call, batch.values));
out:
    return err;
}

static wg_err search(struct call *call, uint64_t *found_rows, float *found_scores)
{
    wg_err err = WG_OK;
    const wg_knn_params *p = call->params;
    struct search *search = NULL;
    struct search_answer answer;
    TRY(ready_source(call));
    struct search_request request = {
        .source = &call->source,
        .metric = metric_of(p->metric),
        .queries = call->queries ? call->queries : p->queries,
        .query_count = p->query_count,
        .k = p->k,
        .limited = !isnan(p->threshold),
        .limit = metric_limit(p->metric, p->threshold),
        .stop = call->stop,
    };
    TRY(search_create(call->context->devices, &search));
    TRY(search_run(search, &request, &answer));
    write_answer(p, &answer, found_rows, found_scores);
out:
    search_destroy(&search);
    return err;
}

/* p was checked. */
static wg_err run(wg_context *context, const wg_knn_params *p, uint64_t *found_rows,
                  float *found_scores)
{
    wg_err err = WG_OK;
    struct call call = { .context = context,
                         .params = p,
                         .stop = stop_of(p->timeout_ms, p->cancel) };
    if (p->metric == WG_COSINE) {
        TRY(normalized_copy(p->rows, p->row_count, p->dim, &call.rows));
        TRY(normalized_copy(p->queries, p->query_count, p->dim, &call.queries));
    }
    err = search(&call, found_rows, found_scores);
    if (err == WG_EINVAL) /* found on the way: which one */
        TRY(vectors_check(&context->kernels, p->rows, p->row_count, p->dim, "row"));
out:
    source_fini(&call.source);
    struct codes *codes = atomic_load(&call.codes.codes);
    codes_destroy(&codes);
    mem_free(&call.rows);
    mem_free(&call.queries);
    return err;
}

wg_err wg_knn(wg_context *context, const wg_knn_params *params, uint64_t *found_rows,
              float *found_scores)
{
    wg_err err = WG_OK;
    wg_knn_params p;
    wg_knn_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    TRY(check(context, &p));
    struct fp_env env = fp_env_enter();
    err = run(context, &p, found_rows, found_scores);
    fp_env_leave(env);
out:
    return err;
}
