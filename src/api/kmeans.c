#include "waggle/kmeans.h"

#include "api/context.h"
#include "api/params.h"
#include "api/vectors.h"
#include "base/mem.h"
#include "base/size.h"
#include "index/kmeans.h"
#include "kernel/fpenv.h"

void wg_kmeans_params_init_sized(wg_kmeans_params *params, size_t size)
{
    static const wg_kmeans_params defaults = { .metric = WG_EUCLIDEAN,
                                               .iterations = 20,
                                               .rows_per_cluster = 256 };
    params_fill(params, size, &defaults, sizeof defaults);
}

void wg_kmeans_report_init_sized(wg_kmeans_report *report, size_t size)
{
    static const wg_kmeans_report defaults;
    params_fill(report, size, &defaults, sizeof defaults);
}

static wg_err check_metric(wg_metric metric)
{
    wg_err err = metric_check(metric);
    if (err != WG_OK) return err;
    if (metric == WG_EUCLIDEAN || metric == WG_COSINE || metric == WG_DOT) return WG_OK;
    return wg_fail(WG_EINVAL, "k-means by %s; expected euclidean, cosine or dot",
                   wg_metric_name(metric));
}

static wg_err check(const wg_context *context, const wg_kmeans_params *p)
{
    wg_err err = WG_OK;
    size_t size;
    TRY(check_metric(p->metric));
    TRY(dim_check(p->dim));
    if (p->cluster_count == 0 || p->cluster_count > UINT32_MAX)
        return wg_fail(WG_EINVAL, "%zu clusters; expected 1 to %u", p->cluster_count, UINT32_MAX);
    if (p->row_count == 0)
        return wg_fail(WG_EINVAL, "no rows to make %zu clusters of; expected at least 1",
                       p->cluster_count);
    if (!(p->tolerance >= 0))
        return wg_fail(WG_EINVAL, "the tolerance is %g; expected at least 0", p->tolerance);
    TRY(size_multiply(p->row_count, p->dim * sizeof(float), &size));
    TRY(size_multiply(p->cluster_count, p->dim * sizeof(float), &size));
    TRY(vectors_check(&context->kernels, p->rows, p->row_count, p->dim, "row"));
    if (p->start)
        TRY(vectors_check(&context->kernels, p->start, p->cluster_count, p->dim, "start"));
out:
    return err;
}

/* How many of the rows make the centroids. */
static size_t train_count(const wg_kmeans_params *p)
{
    bool all =
        p->rows_per_cluster == 0 || p->rows_per_cluster >= p->row_count / p->cluster_count + 1;
    return all ? p->row_count : p->rows_per_cluster * p->cluster_count;
}

static wg_err normalized_copy(const float *vectors, size_t count, size_t dim, float **out)
{
    wg_err err = mem_resize(out, count * dim);
    if (err == WG_OK) vectors_normalize(vectors, count, dim, *out);
    return err;
}

static wg_err run(wg_context *context, const wg_kmeans_params *p, struct kmeans_result *result)
{
    wg_err err = WG_OK;
    float *rows = NULL, *start = NULL; /* normalised copies */
    struct stop stop = stop_of(p->timeout_ms, p->cancel);
    bool spherical = p->metric != WG_EUCLIDEAN;
    if (p->metric == WG_COSINE) TRY(normalized_copy(p->rows, p->row_count, p->dim, &rows));
    if (spherical && p->start) TRY(normalized_copy(p->start, p->cluster_count, p->dim, &start));
    struct kmeans_request request = {
        .cpu = device_set_cpu(context->devices),
        .pool = context->pool,
        .kernels = &context->kernels,
        .spherical = spherical,
        .dim = p->dim,
        .rows = rows ? rows : p->rows,
        .row_count = p->row_count,
        .cluster_count = p->cluster_count,
        .train_count = train_count(p),
        .start = start ? start : p->start,
        .iterations_max = p->iterations,
        .tolerance = p->tolerance,
        .seed = p->seed,
        .stop = &stop,
    };
    TRY(kmeans_run(&request, result));
out:
    mem_free(&rows);
    mem_free(&start);
    return err;
}

static wg_err write_report(const struct kmeans_result *result, wg_kmeans_report *report)
{
    wg_kmeans_report known = { .size = sizeof known,
                               .objective = result->objective,
                               .iterations = result->iteration_count,
                               .converged = result->converged };
    return report ? PARAMS_WRITE(report, &known) : WG_OK;
}

wg_err wg_kmeans(wg_context *context, const wg_kmeans_params *params, float *centroids,
                 uint32_t *assignments, uint64_t *sizes, wg_kmeans_report *report)
{
    wg_err err = WG_OK;
    wg_kmeans_params p;
    wg_kmeans_report unused;
    wg_kmeans_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    if (report) TRY(params_read(report, &unused, sizeof unused, "report")); /* before the work */
    TRY(check(context, &p));
    struct kmeans_result result = { .centroids = centroids,
                                    .assignments = assignments,
                                    .sizes = sizes };
    struct fp_env env = fp_env_enter();
    err = run(context, &p, &result);
    fp_env_leave(env);
    TRY(err);
    TRY(write_report(&result, report));
out:
    return err;
}
