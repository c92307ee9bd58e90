#pragma once
/* The certificate of L2 proposed by dot products: |q - x|^2 = |q|^2 + |x|^2 - 2 q.x, where q.x and
 * |x|^2 come from chains of fma in f32 (kernel_panel_f32, kernel_pack_f32) and the canonical score
 * d of the pair is not known yet.
 *
 * With u = 2^-24 and g_n = n u / (1 - n u), a chain s of dim terms is within g_dim |q||x| + T of
 * q.x (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), the chain X of the squares
 * within g_dim |x|^2 + T of |x|^2, and the canonical l2, relatively, within g2 = g_(m+2) of the
 * exact one, m = ceil(dim / 16) + 4. T, for underflow, is at most dim 2^-149. With g = g_(dim+4),
 * since 2|q||x| <= |q|^2 + |x|^2,
 *
 *     d >= (1 - g2) (|q|^2 (1 - g) + X (1 - 3g) - 2 s - 4 T)
 *
 * and a row cannot be among the nearest when X (1 - 5g) - 2 s > limit, with
 * limit = kth / (1 - g2) - |q|^2 (1 - 2g) + 8 T. What g is taken away twice more pays for the
 * roundings of the left side, at most 3u X + u |q|^2, because g >= 5u; 8 T instead of 4 T for what
 * underflows in d. */
#include <math.h>
#include <stddef.h>

struct l2_bound {
    double kth_factor, query_factor, underflow;
    float row_factor;
};

static inline struct l2_bound l2_bound_of_dim(size_t dim)
{
    double u = 0x1p-24, n = (double)dim + 4, m = ceil((double)dim / 16) + 4;
    double g = n * u / (1 - n * u), g2 = (m + 2) * u / (1 - (m + 2) * u);
    return (struct l2_bound){
        .kth_factor = 1 / (1 - g2),
        .query_factor = 1 - 2 * g,
        .underflow = 8 * (double)dim * 0x1p-149,
        .row_factor = nextafterf((float)(1 - 5 * g), 0),
    };
}

/* What stands on the left side for a row with this sum of squares. */
static inline float l2_bound_row(const struct l2_bound *bound, float squared_norm)
{
    return squared_norm * bound->row_factor;
}

/* kth is the canonical value that a row must not exceed, query_squared_norm a double sum. */
static inline float l2_bound_limit(const struct l2_bound *bound, float kth,
                                   double query_squared_norm)
{
    double limit = (double)kth * bound->kth_factor - query_squared_norm * bound->query_factor +
                   bound->underflow;
    return nextafterf((float)limit, INFINITY);
}
