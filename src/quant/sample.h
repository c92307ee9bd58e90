#pragma once
/* What a centre and a scale are chosen by: some of the rows that are there, evenly spread. Any
 * thread. */
#include "base/err.h"
#include "kernel/kernel.h"

#include <stddef.h>
#include <stdint.h>

struct sample {
    const struct kernels *kernels;
    const float *rows; /* row_count x dim, at least one row */
    uint64_t row_count;
    size_t dim;
};

/* How many rows are looked at, and which. */
size_t sample_size(const struct sample *s);
const float *sample_row(const struct sample *s, size_t i);

/* The mean of the rows near the mean of all (one huge row would take it away from all others), and
 * its norm. centre: dim. WG_ENOMEM. */
WG_CHECKED wg_err sample_centre(const struct sample *s, float *centre, double *norm);

/* How far components go from the centre: rows whose largest one is above those of 995 in 1,000 go
 * further. WG_ENOMEM. */
WG_CHECKED wg_err sample_reach(const struct sample *s, const float *centre, double *reach);

/* The mean distance of a component from the centre's, without sign. */
double sample_spread(const struct sample *s, const float *centre);
