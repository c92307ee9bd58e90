#pragma once
/* Vectors at the door: checked, and made ready for their metric. */
#include "device/device.h"
#include "waggle/knn.h"

/* How a metric is computed. */
enum metric metric_of(wg_metric metric);
/* The metric's own value of a canonical score. */
float metric_score(wg_metric metric, float canonical);
/* The highest canonical score, negated where higher is better, whose value in the metric is at
 * least as good as this; INFINITY for a NaN. */
float metric_limit(wg_metric metric, float threshold);
WG_CHECKED wg_err metric_check(wg_metric metric);

WG_CHECKED wg_err dim_check(size_t dim);

/* count x dim components within WG_COMPONENT_MAX; what names them in the message: "query". */
WG_CHECKED wg_err vectors_check(const struct kernels *kernels, const float *vectors, size_t count,
                                size_t dim, const char *what);

/* Divides each vector by its norm, as the canonical cosine says: the squared norm in double, one
 * chain in rising order, no fma; a vector whose squared norm is within 1e-6 of 1 stays as it is,
 * and a zero vector zero. from and to may be the same. */
void vectors_normalize(const float *from, size_t count, size_t dim, float *to);
