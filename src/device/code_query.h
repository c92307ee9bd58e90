#pragma once
/* Queries in code: what is coded of them, and how its norms add up (struct code_norms). */
#include "device/code_bound.h"
#include "device/device.h"

/* Behind the centre for L2, as it is for dot. */
static inline double query_component(enum metric metric, float query, float centre)
{
    return metric == METRIC_L2 ? (double)query - (double)centre : (double)query;
}

/* The step by which the largest component has the largest code. */
static inline float query_step(enum metric metric, const float *query, const float *centre,
                               size_t dim, int code_max)
{
    double largest = 0;
    for (size_t i = 0; i < dim; i++) {
        double size = fabs(query_component(metric, query[i], centre[i]));
        largest = size > largest ? size : largest;
    }
    return fmaxf((float)(largest / code_max), (float)CODE_SCALE_MIN);
}

/* The step is query_step's. Rounded so that nothing is called: any code would be right, for norms
 * count how far it is off. */
static inline int query_code(double component, float step, int code_max)
{
    double code = component / (double)step;
    int rounded = (int)(code < 0 ? code - 0.5 : code + 0.5);
    return rounded > code_max ? code_max : rounded < -code_max ? -code_max : rounded;
}

/* Until code_norms_root, norms are sums of squares. coded: what the component's code stands for. */
static inline void code_norms_add(struct code_norms *norms, double component, double coded)
{
    norms->value += component * component;
    norms->code += coded * coded;
    norms->error += (component - coded) * (component - coded);
}

static inline void code_norms_root(struct code_norms *norms)
{
    norms->value = sqrt(norms->value);
    norms->code = sqrt(norms->code);
    norms->error = sqrt(norms->error);
}
