#include "support/oracle.h"

#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static kernel_pair_f32 *pair_kernel(const struct kernels *k, wg_metric metric)
{
    switch (metric) {
    case WG_EUCLIDEAN: return k->l2;
    case WG_MANHATTAN:
    case WG_HAMMING: return k->l1;
    case WG_CHEBYSHEV: return k->chebyshev;
    case WG_COSINE:
    case WG_DOT: break;
    }
    return k->dot;
}

void oracle_stored(wg_metric metric, const float *vector, size_t dim, float *stored)
{
    double norm2 = 0;
    for (size_t i = 0; i < dim; i++) {
        volatile double square = (double)vector[i] * (double)vector[i]; /* never fused */
        norm2 += square;
    }
    bool divide = metric == WG_COSINE && norm2 > 0 && fabs(norm2 - 1) > 1e-6;
    for (size_t i = 0; i < dim; i++)
        stored[i] = divide ? (float)((double)vector[i] / sqrt(norm2)) : vector[i];
}

static int by_value_then_row(const struct oracle_hit *a, const struct oracle_hit *b, bool higher)
{
    if (a->score != b->score) return (a->score > b->score) == higher ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static int higher_first(const void *a, const void *b)
{
    return by_value_then_row(a, b, true);
}

static int lower_first(const void *a, const void *b)
{
    return by_value_then_row(a, b, false);
}

/* What the score of a row stored as u8 is multiplied by, for the cosine. */
static float inverse_norm(const float *row, size_t dim)
{
    double norm2 = 0; /* a whole number below 2^53 */
    for (size_t i = 0; i < dim; i++) norm2 += (double)row[i] * (double)row[i];
    return norm2 > 0 ? (float)(1 / sqrt(norm2)) : 0;
}

size_t oracle_rank(const struct oracle_rows *rows, const float *query, struct oracle_hit *ranked)
{
    struct kernels c;
    kernels_init(&c, CPU_C);
    kernel_pair_f32 *score = pair_kernel(&c, rows->metric);
    wg_metric metric = rows->metric;
    size_t count = 0;
    for (size_t r = 0; r < rows->row_count; r++) {
        const float *row = rows->rows + r * rows->dim;
        if (rows->live && !rows->live[r]) continue;
        float value = score(query, row, rows->dim);
        if (rows->type == WG_U8 && metric == WG_COSINE)
            value = value * inverse_norm(row, rows->dim) + 0.0f;
        ranked[count++] = (struct oracle_hit){ r, value };
    }
    bool higher = metric == WG_COSINE || metric == WG_DOT;
    qsort(ranked, count, sizeof *ranked, higher ? higher_first : lower_first);
    /* Only now: two squares that differ may have the same root. */
    for (size_t i = 0; metric == WG_EUCLIDEAN && i < count; i++)
        ranked[i].score = sqrtf(ranked[i].score);
    return count;
}

/* The bound. A lane makes at most ceil(d / 16) roundings and the fold four more, one of them for
 * the +0: m = ceil(d / 16) + 4 in all, so that with u = 2^-24 and g_m = m u / (1 - m u)
 *     |dot - exact| <= g_m sum |a_i b_i| + T.
 * L2 rounds a - b before, and squares that error: g_(m+2) exact + T. L1: g_(m+1) exact. Chebyshev
 * rounds once: g_1 exact. T = 2 d 2^-149 is for products that underflow. The root of L2 adds one
 * more rounding. The float64 sum here errs by d 2^-52 of its terms' magnitudes, added as well. */
static double gamma_of(double m)
{
    return m * 0x1p-24 / (1 - m * 0x1p-24);
}

struct exact {
    double value, magnitude; /* the sum, and the sum of its terms' magnitudes */
};

static struct exact exact_of(wg_metric metric, const float *a, const float *b, size_t dim)
{
    struct exact e = { 0, 0 };
    for (size_t i = 0; i < dim; i++) {
        double product = (double)a[i] * (double)b[i];
        double apart = fabs((double)a[i] - (double)b[i]);
        switch (metric) {
        case WG_COSINE:
        case WG_DOT: e.value += product, e.magnitude += fabs(product); break;
        case WG_EUCLIDEAN: e.value += apart * apart; break;
        case WG_MANHATTAN:
        case WG_HAMMING: e.value += apart; break;
        case WG_CHEBYSHEV: e.value = fmax(e.value, apart); break;
        }
    }
    if (metric != WG_COSINE && metric != WG_DOT) e.magnitude = e.value;
    return e;
}

bool oracle_score_is_within_bound(wg_metric metric, const float *a, const float *b, size_t dim,
                                  float score)
{
    struct exact e = exact_of(metric, a, b, dim);
    double m = ceil((double)dim / 16) + 4, roundings = m;
    if (metric == WG_EUCLIDEAN) roundings = m + 2;
    if (metric == WG_MANHATTAN) roundings = m + 1;
    if (metric == WG_CHEBYSHEV) roundings = 1;
    double underflow = 2 * (double)dim * 0x1p-149, got = (double)score;
    double bound = (gamma_of(roundings) + (double)dim * 0x1p-52) * e.magnitude + underflow;
    if (metric != WG_EUCLIDEAN) return fabs(got - e.value) <= bound;
    double low = sqrt(fmax(e.value - bound, 0)), high = sqrt(e.value + bound);
    return got >= low * (1 - 0x1p-23) && got <= high * (1 + 0x1p-23);
}
