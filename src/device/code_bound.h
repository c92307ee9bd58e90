#pragma once
/* The certificate of scores proposed by eight-bit codes (kernel_sift_codes): which rows cannot be
 * among the nearest.
 *
 * A row x is coded behind a centre c: x' = x - c = x^ + e, x^ = scale * code, r >= |e|,
 * n >= |x^|. A query is coded as y = y^ + f (L2: y = q - c; dot: y = q), y^ = step * code,
 * s >= |f|. The sum D of products of codes is exact, and
 *
 *     y.x' = y^.x^ + f.x^ + y.e <= step scale D + s n + |y| r.
 *
 * With u = 2^-24, g_n = n u / (1 - n u), m = ceil(dim / 16) + 4, T for underflow, at most
 * dim 2^-149 (Higham, Accuracy and Stability of Numerical Algorithms, 3.1):
 *
 * L2: the canonical score is at least (1 - g_(m+2)) |y - x'|^2 - T, so a row is out when
 *     |x'|^2 - 2 step scale D > (kth + T) / (1 - g_(m+2)) - |y|^2 + 2 |y| r + 2 s n.
 * dot: the canonical score is at most q.x + g_m |q||x| + T and |x| <= |c| + n + r, so a row is out
 *     (its value, the negated score, is above kth) when, divided by |q|,
 *     -step scale D / |q| - (1 + g_m) r > (kth + T + q.c) / |q| + g_m |c| + (s / |q| + g_m) n.
 *
 * The left sides are fma(factor, float(D), offset): the factor's rounding, D's and the last one are
 * at most 3.1u |factor D| + u |offset|, and |factor D| <= 2 |y^| n (dot: |y^| n / |q|). The right
 * sides are two fma of rounded factors. Both are paid for by 8u of every term. What comes from
 * float chains (g_m) or doubles (2^-36, more than dim 2^-53) is rounded outwards. */
#include "kernel/kernel.h"

#include <math.h>

/* Of rows' codes, and of queries' steps. */
#define CODE_SCALE_MIN 0x1p-60

struct code_bound {
    double chain; /* g_m */
    double wide; /* g_(m+2) */
    double kth_factor, underflow;
};

static inline struct code_bound code_bound_of_dim(size_t dim)
{
    double u = 0x1p-24, m = ceil((double)dim / 16) + 4;
    double wide = (m + 2) * u / (1 - (m + 2) * u);
    return (struct code_bound){
        .chain = m * u / (1 - m * u),
        .wide = wide,
        .kth_factor = 1 / (1 - wide),
        .underflow = 16 * (double)dim * 0x1p-149,
    };
}

/* For sums that were made in double: of a row alone. */
static inline struct code_bound code_bound_of_doubles(void)
{
    return (struct code_bound){ .chain = 0x1p-36 };
}

static inline float code_bound_up(double x)
{
    return nextafterf((float)x, INFINITY);
}

static inline float code_bound_down(double x)
{
    return nextafterf((float)x, -INFINITY);
}

/* --- of a row, from its sums (struct code_sums) --- */

/* At least the root of what the chain sums up; 2^-64 for what underflows in it. */
static inline double code_bound_root(const struct code_bound *b, double squares)
{
    return sqrt(squares * (1 + 2 * b->chain)) + 0x1p-64;
}

/* r. The difference t that the encoder sees is x' with a rounding. */
static inline float code_bound_error(const struct code_bound *b, double error, double value)
{
    double u = 0x1p-24, rounding = 2 * u * code_bound_root(b, value);
    return code_bound_up(code_bound_root(b, error) * (1 + 4 * u) + rounding);
}

/* n, from the codes' own sum of squares. */
static inline float code_bound_norm(const struct code_bound *b, float scale, double code)
{
    return code_bound_up((double)scale * code_bound_root(b, code));
}

/* n, without that: |x^| <= |x'| + r. */
static inline float code_bound_norm_behind(const struct code_bound *b, float error, float value)
{
    double rounding = 1 + 2 * 0x1p-24;
    return code_bound_up(code_bound_root(b, (double)value) * rounding + (double)error);
}

static inline float code_bound_offset_l2(const struct code_bound *b, float value)
{
    return code_bound_down((double)value * (1 - b->chain - 16 * 0x1p-24));
}

static inline float code_bound_offset_dot(const struct code_bound *b, float error)
{
    return code_bound_down(-(double)error * (1 + b->chain) * (1 + 8 * 0x1p-24));
}

/* --- of a query --- */

/* What is known of y and its code, in double sums. */
struct code_norms {
    double value; /* |y| */
    double code;  /* |y^| */
    double error; /* |f| */
    double centre; /* dot: |c| */
    double shift;  /* dot: q.c */
    float step;
};

/* A query too short to be divided by: no row is out. */
static inline int code_bound_is_void(const struct code_norms *y)
{
    return y->value < 0x1p-100;
}

/* All of the query but its limit and start. */
static inline struct code_query code_bound_query_l2(const struct code_norms *y, float scale)
{
    double u = 0x1p-24, wide = 1 + 0x1p-36;
    return (struct code_query){
        .scale = (float)(-2 * (double)y->step * (double)scale),
        .error_factor = code_bound_up(2 * y->value * wide * (1 + 8 * u)),
        .norm_factor =
            code_bound_up((2 * y->error * wide + 8 * u * y->code * wide) * (1 + 8 * u) + 0x1p-120),
    };
}

static inline struct code_query code_bound_query_dot(const struct code_bound *b,
                                                     const struct code_norms *y, float scale)
{
    double u = 0x1p-24, wide = 1 + 0x1p-36;
    if (code_bound_is_void(y)) return (struct code_query){ 0 };
    double factor = y->error / y->value * wide + b->chain + 8 * u * y->code / y->value * wide;
    return (struct code_query){
        .scale = (float)(-(double)y->step * (double)scale / y->value),
        .norm_factor = code_bound_up(factor * (1 + 8 * u)),
    };
}

/* kth is a value, infinite until there are k. */
static inline float code_bound_limit_l2(const struct code_bound *b, const struct code_norms *y,
                                        float kth)
{
    double limit =
        ((double)kth + b->underflow) * b->kth_factor - y->value * y->value * (1 - 0x1p-34);
    return code_bound_up(limit + 4 * 0x1p-24 * fabs(limit) + b->underflow);
}

static inline float code_bound_limit_dot(const struct code_bound *b, const struct code_norms *y,
                                         float kth)
{
    if (code_bound_is_void(y)) return INFINITY;
    double limit =
        ((double)kth + b->underflow + y->shift) / y->value + (b->chain + 0x1p-30) * y->centre;
    return code_bound_up(limit + 4 * 0x1p-24 * fabs(limit));
}
