#pragma once
/* What an exact search must answer: a full scan with the pair kernels of the C tier, sorted by
 * (canonical value, row). Slow and plain on purpose. And float64, which checks the scores. */
#include "waggle/knn.h"

struct oracle_hit {
    uint64_t row;
    float score; /* as it leaves the library: the root of squared L2 already taken */
};

/* The vector as a collection of this metric stores it, and as a query is taken: for the cosine
 * divided by its norm, the squared norm summed in double in rising order, unless that is already
 * within 1e-6 of 1; zero stays zero. Otherwise the vector itself. */
void oracle_stored(wg_metric metric, const float *vector, size_t dim, float *stored);

struct oracle_rows {
    wg_metric metric;
    size_t dim, row_count;
    const float *rows; /* as stored, widened */
    const bool *live;  /* NULL: all are */
    wg_type type;
};

/* Ranks the living rows, best first, all of them; returns how many. query is as stored, ranked has
 * room for row_count. */
size_t oracle_rank(const struct oracle_rows *rows, const float *query, struct oracle_hit *ranked);

/* Is score, of vectors as stored, as near to the true value as the number of roundings allows? */
bool oracle_score_is_within_bound(wg_metric metric, const float *a, const float *b, size_t dim,
                                  float score);
