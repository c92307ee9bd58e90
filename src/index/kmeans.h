#pragma once
/* k-means: rows in clusters, each around its centroid. It begins with k-means++ (Arthur,
 * Vassilvitskii: k-means++, the advantages of careful seeding, 2007) and goes on by Lloyd's
 * iterations (Lloyd: Least squares quantization in PCM, 1982).
 *
 * A row's loss is its squared distance from its centroid; in spherical k-means (Dhillon, Modha:
 * Concept decompositions for large sparse text data using clustering, 2001), where centroids have
 * length 1, it is the row's length less its dot with the centroid. The objective is the sum of
 * losses; no iteration raises it.
 *
 * The same rows and seed give the same bits for any number of threads and any tier. One thread
 * calls, those of the pool help. */
#include "index/source.h"
#include "os/pool.h"

struct kmeans_request {
    struct slot *cpu;
    struct pool *pool;
    const struct kernels *kernels;
    bool spherical;
    size_t dim;
    const float *rows;    /* row_count x dim, row-major; components checked */
    size_t row_count;     /* at least 1 */
    size_t cluster_count; /* 1 to UINT32_MAX */
    size_t train_count; /* 1 to row_count: so many rows, drawn by the seed, make the centroids */
    const float *start; /* cluster_count x dim: centroids to begin with, of length 1 when spherical;
                           NULL: by k-means++ */
    size_t iterations_max; /* 0: the start itself */
    double tolerance; /* an iteration that lowers the objective by no more than this share of it is
                         the last; 0: until no row changes its cluster */
    uint64_t seed;
    const struct stop *stop;
};

struct kmeans_result {
    float *centroids; /* cluster_count x dim; the caller's, as are the next two */
    uint32_t *assignments; /* row_count: each row's nearest centroid, the first of equal ones */
    uint64_t *sizes; /* cluster_count: rows of each cluster */
    double objective; /* of all rows */
    size_t iteration_count;
    bool converged;
};

/* A cluster that loses its rows begins anew at the row of the largest loss. Clusters without rows
 * are left only where there are fewer different rows (spherical: directions) than clusters, or
 * iterations_max came first. WG_ENOMEM, WG_ETIMEOUT, WG_ECANCELLED. */
WG_CHECKED wg_err kmeans_run(const struct kmeans_request *request, struct kmeans_result *result);
