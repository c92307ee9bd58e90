#pragma once
/* k-means over a caller's array: rows in clusters, each row in that of its nearest centroid. No
 * store, no index, no set-up. */
#include "waggle/knn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wg_kmeans_params {
    size_t size;
    /* WG_EUCLIDEAN, the default: a centroid is the mean of its rows, and a row's loss its squared
     * distance from it. WG_COSINE, spherical k-means: a centroid is the direction of the sum of its
     * normalised rows, of length 1, and a row's loss 1 - cosine. WG_DOT: the same with rows as they
     * are, so that long ones pull more; a row's loss is its length less its dot with the centroid.
     * No other. */
    wg_metric metric;
    size_t cluster_count; /* 1 to 2^32 - 1 */
    size_t dim; /* 1 to WG_DIM_MAX */
    const float *rows; /* row_count x dim, row-major; borrowed for the call */
    size_t row_count; /* at least 1 */
    const float *start; /* cluster_count x dim: centroids to begin with, for cosine and dot their
                             directions; NULL, the default: by k-means++ */
    size_t iterations; /* at most; default 20; 0: the start itself */
    size_t rows_per_cluster; /* train on at most so many rows for each cluster, drawn by the seed;
                                default 256; 0: on all rows */
    double tolerance; /* at least 0: an iteration that lowers the objective by no more than this
                         share of it is the last; default 0: when no row changes its cluster */
    uint64_t seed; /* default 0 */
    uint64_t timeout_ms; /* 0: none */
    const wg_cancel *cancel; /* may be NULL */
} wg_kmeans_params;

#define wg_kmeans_params_init(params) wg_kmeans_params_init_sized((params), sizeof *(params))
WG_API void wg_kmeans_params_init_sized(wg_kmeans_params *params, size_t size);

typedef struct wg_kmeans_report {
    size_t size;
    double objective; /* the sum of all rows' losses; no iteration raises that of the rows that it
                            trains on */
    uint64_t iterations; /* that were done */
    bool converged; /* the last of them moved no row, or gained too little */
} wg_kmeans_report;

#define wg_kmeans_report_init(report) wg_kmeans_report_init_sized((report), sizeof *(report))
WG_API void wg_kmeans_report_init_sized(wg_kmeans_report *report, size_t size);

/* Begins with k-means++ (Arthur, Vassilvitskii 2007) and goes on by Lloyd's iterations. Writes
 * centroids (cluster_count x dim), each row's nearest of them, the first of equally near ones
 * (assignments: row_count), and how many rows each has (sizes: cluster_count), all the caller's;
 * report may be NULL. Assignments are exact, as wg_knn's neighbours are, and everything has the
 * same bits for the same rows and seed, for any number of threads and any processor.
 *
 * A cluster that loses its rows begins anew at the row of the largest loss. With more clusters than
 * different rows some stay empty: their sizes are 0. Beside the arrays, memory for a copy of the
 * rows that it trains on when those are not all, and of all rows for the cosine, and 40 bytes for
 * each row. The caller's thread works with the context's; any number of threads may call at once.
 *
 * WG_EINVAL (a component of a row or of start that is not finite or too large: names which),
 * WG_EDIM, WG_ENOMEM, WG_ETIMEOUT, WG_ECANCELLED. After an error the contents of the arrays are
 * undefined. */
WG_API WG_CHECKED wg_err wg_kmeans(wg_context *context, const wg_kmeans_params *params,
                                   float *centroids, uint32_t *assignments, uint64_t *sizes,
                                   wg_kmeans_report *report);

#ifdef __cplusplus
}
#endif
