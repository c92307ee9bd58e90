#pragma once
/* The nearest of some centroids, for each of many rows: an exact scan of the centroids that has the
 * rows as its queries. So it has the same bits for any number of threads and any tier. */
#include "index/found.h"
#include "index/source.h"

struct nearest_request {
    struct slot *cpu;
    enum metric metric; /* METRIC_L2 or METRIC_DOT */
    size_t dim;
    const float *centroids; /* centroid_count x dim, row-major */
    size_t centroid_count; /* 1 to UINT32_MAX */
    const float *rows; /* row_count x dim, row-major */
    size_t row_count;
    const struct stop *stop;
};

/* Of equally near centroids the first. nearest and scores: row_count, the caller's; the scores are
 * canonical. found is scratch. WG_ENOMEM, WG_ETIMEOUT, WG_ECANCELLED. */
WG_CHECKED wg_err nearest_centroids(const struct nearest_request *request, struct found *found,
                                    uint32_t *nearest, float *scores);
