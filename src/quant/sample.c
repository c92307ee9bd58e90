#include "quant/sample.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A row whose largest component is above those of 995 in 1,000 is cut there: all others are coded
 * the finer for it, and its own error says what it lost. */
enum { SAMPLE_MAX = 1024, CUT_PER_MILLE = 995 };

size_t sample_size(const struct sample *s)
{
    return s->row_count < SAMPLE_MAX ? (size_t)s->row_count : SAMPLE_MAX;
}

const float *sample_row(const struct sample *s, size_t i)
{
    return s->rows + (uint64_t)i * s->row_count / sample_size(s) * s->dim;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The value that CUT_PER_MILLE of them do not exceed; sorts them. */
static double cut_of(float *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_floats);
    return (double)values[(count - 1) * CUT_PER_MILLE / 1000];
}

/* Of the sampled rows whose distance is at most most. */
static void set_mean(const struct sample *s, const float *distances, double most, double *sums,
                     float *centre)
{
    size_t count = 0, size = sample_size(s);
    for (size_t i = 0; i < s->dim; i++) sums[i] = 0;
    for (size_t r = 0; r < size; r++) {
        if ((double)distances[r] > most) continue;
        for (size_t i = 0; i < s->dim; i++) sums[i] += (double)sample_row(s, r)[i];
        count++;
    }
    for (size_t i = 0; i < s->dim; i++) centre[i] = (float)(sums[i] / (double)count);
}

static void measure(const struct sample *s, const float *centre, float *distances)
{
    for (size_t r = 0; r < sample_size(s); r++)
        distances[r] = s->kernels->l2(sample_row(s, r), centre, s->dim);
}

wg_err sample_centre(const struct sample *s, float *centre, double *norm)
{
    wg_err err = WG_OK;
    double *sums = NULL, squares = 0;
    float *distances = NULL, *sorted = NULL;
    size_t size = sample_size(s);
    TRY(mem_resize(&sums, s->dim));
    TRY(mem_resize(&distances, size));
    TRY(mem_resize(&sorted, size));
    for (size_t r = 0; r < size; r++) distances[r] = 0;
    set_mean(s, distances, 0, sums, centre);
    measure(s, centre, distances);
    memcpy(sorted, distances, size * sizeof *sorted);
    set_mean(s, distances, cut_of(sorted, size), sums, centre);
    for (size_t i = 0; i < s->dim; i++) squares += (double)centre[i] * (double)centre[i];
    *norm = sqrt(squares);
out:
    mem_free(&sums);
    mem_free(&distances);
    mem_free(&sorted);
    return err;
}

wg_err sample_reach(const struct sample *s, const float *centre, double *reach)
{
    wg_err err = WG_OK;
    float *largest = NULL;
    size_t size = sample_size(s);
    TRY(mem_resize(&largest, size));
    for (size_t r = 0; r < size; r++) {
        const float *row = sample_row(s, r);
        largest[r] = 0;
        for (size_t i = 0; i < s->dim; i++)
            largest[r] = fmaxf(largest[r], fabsf(row[i] - centre[i]));
    }
    *reach = cut_of(largest, size);
out:
    mem_free(&largest);
    return err;
}

double sample_spread(const struct sample *s, const float *centre)
{
    double sum = 0;
    for (size_t r = 0; r < sample_size(s); r++) {
        const float *row = sample_row(s, r);
        for (size_t i = 0; i < s->dim; i++) sum += fabs((double)row[i] - (double)centre[i]);
    }
    return sum / (double)s->dim / (double)sample_size(s);
}
