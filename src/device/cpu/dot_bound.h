#pragma once
/* The certificate of dot products proposed by chains of fma (kernel_panel_f32): which rows cannot
 * be among those with the highest canonical score.
 *
 * With u = 2^-24 and g_n = n u / (1 - n u), a chain s of dim terms is within g_dim |q||x| + T of
 * q.x and the canonical score within g_m |q||x| + T, m = ceil(dim / 16) + 4, where T, at most
 * dim 2^-149, is for underflow (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). Hence
 * the canonical score is at most s + (g_dim + g_m) |q||x| + 2 T. As values, the negated scores, of
 * which the k-th best is kth, a row is out when
 *
 *     -s / |q| - (g_dim + g_m) |x| > (kth + 2 T) / |q|.
 *
 * The left side is one fma of a factor of the query and an offset of the row. Its roundings are at
 * most 3u |x|, for |s| / |q| is hardly more than |x|: 8u is taken away for them. The row's norm
 * comes from a chain X of its squares: |x| <= sqrt(X (1 + 2 g_dim)) + 2^-66. */
#include <math.h>
#include <stddef.h>

struct dot_bound {
    double underflow; /* 4 T */
    float row_factor;
};

static inline struct dot_bound dot_bound_of_dim(size_t dim)
{
    double u = 0x1p-24, n = (double)dim, m = ceil(n / 16) + 4;
    double chain = n * u / (1 - n * u), canonical = m * u / (1 - m * u);
    double factor = (chain + canonical + 8 * u) * (1 + 2 * chain + 4 * u);
    return (struct dot_bound){
        .underflow = 4 * n * 0x1p-149,
        .row_factor = nextafterf((float)factor, INFINITY),
    };
}

/* The offset of a row with this sum of squares. */
static inline float dot_bound_row(const struct dot_bound *bound, float squared_norm)
{
    return -bound->row_factor * (sqrtf(squared_norm) + 0x1p-65f);
}

/* A query too short to be divided by: it gets the factor 0, and no row is out. */
static inline int dot_bound_is_void(double query_squared_norm)
{
    return query_squared_norm < 0x1p-200;
}

/* The factor that s is multiplied by; query_squared_norm is a double sum. */
static inline float dot_bound_scale(double query_squared_norm)
{
    if (dot_bound_is_void(query_squared_norm)) return 0;
    return (float)(-1 / sqrt(query_squared_norm));
}

/* The row is out when the left side is above this; kth is a value, infinite until there are k. */
static inline float dot_bound_limit(const struct dot_bound *bound, float kth,
                                    double query_squared_norm)
{
    if (dot_bound_is_void(query_squared_norm)) return INFINITY;
    double limit = ((double)kth + bound->underflow) / sqrt(query_squared_norm);
    return nextafterf((float)limit, INFINITY);
}
