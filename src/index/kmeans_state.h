#pragma once
/* The inside of k-means: centroids, and where the rows stand to them. */
#include "base/prng.h"
#include "index/kmeans.h"
#include "index/nearest.h"

/* Centroids, and each row's nearest of them. */
struct clustering {
    float *centroids;  /* cluster_count x dim */
    uint32_t *nearest; /* count, as are the scores: canonical */
    float *scores;
    double objective;
};

/* What trains on some rows. */
struct training {
    const struct kmeans_request *request;
    struct prng prng;
    const float *rows; /* count x dim */
    size_t count;
    float *lengths; /* count; spherical alone */
    struct clustering now, next;
    struct found found;
};

/* Of a row whose canonical score with its centroid is known. */
double kmeans_loss(const struct training *training, size_t row, float score);
/* Of all rows, in rising order. */
double kmeans_objective(const struct training *training, const struct clustering *c);
/* Makes a sum of rows a centroid: their mean, or, spherical, their direction. false, and nothing is
 * written, where there is no direction. */
bool kmeans_set_centroid(const struct kmeans_request *request, const double *sum, size_t row_count,
                         float *centroid);
/* Writes the same, of one row. A row without direction becomes a centroid of zeros. */
void kmeans_begin_centroid(const struct training *training, size_t row, float *centroid);

/* Chooses training->now's centroids by k-means++, and finds each row's nearest. */
WG_CHECKED wg_err kmeans_seed(struct training *training);
