/* Brute force as anyone would write it: all distances in float64, rows from the file, nothing of
 * the library. Four queries go together, so that their sums do not wait for one another. */
#include "cli/demo.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/reader.h"

#include <math.h>
#include <string.h>

enum { TOGETHER = 4, ROWS_AT_ONCE = 1024 };

/* The nearest rows of one query so far, best first; equal distances: the earlier row first. */
struct truth {
    double distances[DEMO_K]; /* squared */
    uint64_t rows[DEMO_K];
};

static void insert(struct truth *truth, double distance, uint64_t row)
{
    size_t at = DEMO_K;
    while (at > 0 && distance < truth->distances[at - 1]) at--;
    if (at == DEMO_K) return;
    size_t moved = DEMO_K - 1 - at;
    memmove(truth->distances + at + 1, truth->distances + at, moved * sizeof(double));
    memmove(truth->rows + at + 1, truth->rows + at, moved * sizeof(uint64_t));
    truth->distances[at] = distance;
    truth->rows[at] = row;
}

static void compare(const double *queries, size_t dim, const float *vector, uint64_t row,
                    struct truth *truths)
{
    double sums[TOGETHER] = { 0 };
    for (size_t i = 0; i < dim; i++)
        for (size_t q = 0; q < TOGETHER; q++) {
            double difference = queries[q * dim + i] - (double)vector[i];
            sums[q] += difference * difference;
        }
    for (size_t q = 0; q < TOGETHER; q++) insert(&truths[q], sums[q], row);
}

/* padded: sample rounded up to a multiple of TOGETHER. */
static wg_err scan(const struct demo_data *data, const double *queries, size_t padded,
                   struct truth *truths)
{
    wg_err err = WG_OK;
    struct reader *reader = NULL;
    struct point_batch batch = { 0 };
    struct progress progress;
    struct reader_params params = { .path = data->train_path, .format = "idx" };
    progress_begin(&progress, "checking by brute force", "rows", 0);
    TRY(reader_open(&params, &reader));
    point_batch_init(&batch, ROWS_AT_ONCE, data->dim);
    for (uint64_t row = 0;;) {
        TRY(interrupt_check());
        TRY(reader_next(reader, UINT64_MAX, &batch));
        if (batch.count == 0) break;
        for (size_t i = 0; i < batch.count; i++, row++)
            for (size_t q = 0; q < padded; q += TOGETHER)
                compare(queries + q * data->dim, data->dim, batch.vectors + i * data->dim, row,
                        truths + q);
        progress_update(&progress, row, reader_fraction(reader));
    }
out:
    progress_end(&progress);
    point_batch_fini(&batch);
    reader_close(&reader);
    return err;
}

static size_t count_found(const struct truth *truth, const uint64_t *found)
{
    size_t count = 0;
    for (size_t i = 0; i < DEMO_K; i++)
        for (size_t j = 0; j < DEMO_K; j++) count += truth->rows[i] == found[j];
    return count;
}

wg_err demo_recall(const struct demo_data *data, const struct demo_figures *figures, size_t sample,
                   double *recall)
{
    size_t padded = (sample + TOGETHER - 1) / TOGETHER * TOGETHER, right = 0, dim = data->dim;
    double *queries = NULL;
    struct truth *truths = NULL;
    heap_resize(&queries, padded * dim);
    heap_resize(&truths, padded);
    for (size_t q = 0; q < padded; q++) {
        size_t query = q % sample * data->query_count / sample;
        for (size_t i = 0; i < dim; i++)
            queries[q * dim + i] = (double)data->queries[query * dim + i];
        for (size_t i = 0; i < DEMO_K; i++) truths[q].distances[i] = INFINITY;
    }
    wg_err err = scan(data, queries, padded, truths);
    for (size_t q = 0; err == WG_OK && q < sample; q++)
        right += count_found(&truths[q], figures->found + q * data->query_count / sample * DEMO_K);
    *recall = (double)right / (double)(sample * DEMO_K);
    heap_free(&queries);
    heap_free(&truths);
    return err;
}
