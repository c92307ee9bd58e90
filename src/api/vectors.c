#include "api/vectors.h"

#include "kernel/fpenv.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {
    [WG_COSINE] = "cosine",       [WG_DOT] = "dot",
    [WG_EUCLIDEAN] = "euclidean", [WG_MANHATTAN] = "manhattan",
    [WG_CHEBYSHEV] = "chebyshev", [WG_HAMMING] = "hamming",
};

enum { METRICS = sizeof names / sizeof *names };

const char *wg_metric_name(wg_metric metric)
{
    return (unsigned)metric < METRICS ? names[metric] : NULL;
}

wg_err wg_metric_parse(const char *name, wg_metric *out)
{
    for (unsigned i = 0; i < METRICS; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (wg_metric)i;
        return WG_OK;
    }
    return wg_fail(WG_EINVAL,
                   "there is no metric \"%s\"; there are cosine, dot, euclidean, manhattan, "
                   "chebyshev, hamming",
                   name);
}

enum metric metric_of(wg_metric metric)
{
    switch (metric) {
    case WG_EUCLIDEAN: return METRIC_L2;
    case WG_MANHATTAN:
    case WG_HAMMING: return METRIC_L1; /* of zeros and ones */
    case WG_CHEBYSHEV: return METRIC_CHEBYSHEV;
    default: return METRIC_DOT;
    }
}

float metric_score(wg_metric metric, float canonical)
{
    return metric == WG_EUCLIDEAN ? sqrtf(canonical) : canonical;
}

/* The largest float whose root is at most this one. */
static float square_within(float root)
{
    if (root < 0) return -1;
    float square = root * root;
    while (square > 0 && sqrtf(square) > root) square = nextafterf(square, 0);
    for (float next = square; isfinite(next) && sqrtf(next) <= root;
         next = nextafterf(next, INFINITY))
        square = next;
    return square;
}

float metric_limit(wg_metric metric, float threshold)
{
    if (isnan(threshold)) return INFINITY;
    if (metric == WG_EUCLIDEAN) return square_within(threshold);
    return metric == WG_COSINE || metric == WG_DOT ? -threshold : threshold;
}

wg_err metric_check(wg_metric metric)
{
    if (wg_metric_name(metric)) return WG_OK;
    return wg_fail(WG_EINVAL, "metric %d is none; there are 0 to %d", (int)metric, METRICS - 1);
}

wg_err dim_check(size_t dim)
{
    if (dim >= 1 && dim <= WG_DIM_MAX) return WG_OK;
    return wg_fail(WG_EDIM, "%zu dimensions; a vector has 1 to %u", dim, WG_DIM_MAX);
}

wg_err vectors_check(const struct kernels *kernels, const float *vectors, size_t count, size_t dim,
                     const char *what)
{
    struct fp_env env = fp_env_enter(); /* a host may trap on what a NaN does */
    size_t at = kernels->find_refused(vectors, count * dim);
    fp_env_leave(env);
    if (at == count * dim) return WG_OK;
    return wg_fail(WG_EINVAL,
                   "%s %zu: component %zu is %g; expected a finite number of magnitude %g or less",
                   what, at / dim, at % dim, (double)vectors[at], (double)WG_COMPONENT_MAX);
}

static void normalize(const float *from, size_t dim, float *to)
{
    double norm2 = 0;
    for (size_t i = 0; i < dim; i++) {
        double square = (double)from[i] * (double)from[i];
        norm2 += square;
    }
    double norm = norm2 == 0 || fabs(norm2 - 1) <= 1e-6 ? 1 : sqrt(norm2);
    for (size_t i = 0; i < dim; i++) to[i] = (float)((double)from[i] / norm);
}

void vectors_normalize(const float *from, size_t count, size_t dim, float *to)
{
    struct fp_env env = fp_env_enter();
    for (size_t v = 0; v < count; v++) normalize(from + v * dim, dim, to + v * dim);
    fp_env_leave(env);
}
