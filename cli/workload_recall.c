/* Recall by a brute force in float64 that shares nothing with the library: every row is scored, the
 * scores are sorted, and a row that was found is right when it scores no worse than the k-th. */
#include "cli/interrupt.h"
#include "cli/workload.h"

#include <math.h>
#include <stdlib.h>

static double distance(wg_metric metric, double difference, double sum)
{
    if (metric == WG_EUCLIDEAN) return sum + difference * difference;
    if (metric == WG_MANHATTAN) return sum + fabs(difference);
    return fmax(sum, fabs(difference));
}

/* Lower is better, whatever the metric. */
static double badness(const struct workload *workload, const float *query, const float *row)
{
    double sum = 0, query_norm = 0, row_norm = 0;
    bool is_product = workload->metric == WG_DOT || workload->metric == WG_COSINE;
    for (size_t i = 0; i < workload->dim; i++) {
        double a = (double)query[i], b = (double)row[i];
        sum = is_product ? sum + a * b : distance(workload->metric, a - b, sum);
        query_norm += a * a;
        row_norm += b * b;
    }
    if (!is_product) return sum;
    double norms = sqrt(query_norm * row_norm);
    return workload->metric == WG_DOT ? -sum : norms > 0 ? -sum / norms : 0;
}

static int compare_scores(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_rows(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* scores, sorted and ranked have room for a value a row, rows for k. */
static size_t count_right(const struct workload *workload, size_t query, double *scores,
                          double *sorted, uint64_t *rows)
{
    size_t right = 0, count = workload->row_count, k = workload->k < count ? workload->k : count;
    for (size_t r = 0; r < count; r++)
        sorted[r] = scores[r] = badness(workload, workload->queries + query * workload->dim,
                                        workload->rows + r * workload->dim);
    qsort(sorted, count, sizeof *sorted, compare_scores);
    for (size_t i = 0; i < k; i++) rows[i] = workload->found_rows[query * workload->k + i];
    qsort(rows, k, sizeof *rows, compare_rows);
    for (size_t i = 0; i < k; i++)
        if (rows[i] < count && (i == 0 || rows[i] != rows[i - 1]))
            right += scores[rows[i]] <= sorted[k - 1];
    return right;
}

wg_err workload_recall(const struct workload *workload, size_t query_count, size_t sample,
                       double *recall)
{
    wg_err err = WG_OK;
    size_t count = workload->row_count, k = workload->k < count ? workload->k : count, right = 0;
    double *scores = NULL, *sorted = NULL;
    uint64_t *rows = NULL;
    heap_resize(&scores, count);
    heap_resize(&sorted, count);
    heap_resize(&rows, k);
    for (size_t i = 0; i < sample; i++) {
        TRY(interrupt_check());
        right += count_right(workload, i * query_count / sample, scores, sorted, rows);
    }
    *recall = (double)right / (double)(sample * k);
out:
    heap_free(&scores);
    heap_free(&sorted);
    heap_free(&rows);
    return err;
}
