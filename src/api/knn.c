#include "waggle/knn.h"

#include "api/context.h"
#include "api/params.h"
#include "api/vectors.h"
#include "base/mem.h"
#include "base/size.h"
#include "kernel/fpenv.h"
#include "search/search.h"

#include <math.h>

void wg_knn_params_init_sized(wg_knn_params *params, size_t size)
{
    static const wg_knn_params defaults = { .k = 10 };
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
            bool found = i < answer->k;
            size_t from = q * answer->k + i, to = q * p->k + i;
            found_rows[to] = found ? answer->rows[from] : WG_NO_ROW;
            found_scores[to] = found ? metric_score(p->metric, answer->scores[from]) : NAN;
        }
}

/* p was checked. */
static wg_err run(wg_context *context, const wg_knn_params *p, uint64_t *found_rows,
                  float *found_scores)
{
    wg_err err = WG_OK;
    struct source source = { 0 };
    struct search *search = NULL;
    struct search_answer answer;
    float *rows = NULL, *queries = NULL;
    struct search_request request = {
        .source = &source,
        .metric = metric_of(p->metric),
        .queries = p->queries,
        .query_count = p->query_count,
        .k = p->k,
        .stop = stop_of(p->timeout_ms, p->cancel),
    };
    if (p->metric == WG_COSINE) {
        TRY(normalized_copy(p->rows, p->row_count, p->dim, &rows));
        TRY(normalized_copy(p->queries, p->query_count, p->dim, &queries));
        request.queries = queries;
    }
    TRY(source_init(device_set_cpu(context->devices), p->dim, &source));
    struct row_batch batch = { .values = rows ? rows : p->rows, .count = p->row_count };
    TRY(source_append(&source, &batch));
    TRY(search_create(context->devices, &search));
    source.unchecked = rows_are_checked_by_scan(p);
    err = search_run(search, &request, &answer);
    if (err == WG_EINVAL)
        TRY(vectors_check(&context->kernels, p->rows, p->row_count, p->dim, "row"));
    TRY(err);
    write_answer(p, &answer, found_rows, found_scores);
out:
    search_destroy(&search);
    source_fini(&source);
    mem_free(&rows);
    mem_free(&queries);
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
