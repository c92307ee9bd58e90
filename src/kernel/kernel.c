/* The C tier is the specification: read more often than it is run. Built with -ffp-contract=off. */
#include "kernel/kernel.h"
#include "waggle/knn.h"

#include <math.h>

enum { LANES = 16 };

static float sum(float a, float b)
{
    return a + b;
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

/* Lane j takes in lane j+8, then j+4, j+2, j+1; -0 becomes +0. */
static float fold(float lane[LANES], float (*join)(float, float))
{
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++) lane[j] = join(lane[j], lane[j + half]);
    return lane[0] + 0.0f;
}

static float dot_c(const float *a, const float *b, size_t dim)
{
    float lane[LANES] = { 0 };
    for (size_t i = 0; i < dim; i++) lane[i % LANES] = fmaf(a[i], b[i], lane[i % LANES]);
    return fold(lane, sum);
}

static float l2_c(const float *a, const float *b, size_t dim)
{
    float lane[LANES] = { 0 };
    for (size_t i = 0; i < dim; i++) {
        float t = a[i] - b[i];
        lane[i % LANES] = fmaf(t, t, lane[i % LANES]);
    }
    return fold(lane, sum);
}

static float l1_c(const float *a, const float *b, size_t dim)
{
    float lane[LANES] = { 0 };
    for (size_t i = 0; i < dim; i++) lane[i % LANES] += fabsf(a[i] - b[i]);
    return fold(lane, sum);
}

static float chebyshev_c(const float *a, const float *b, size_t dim)
{
    float lane[LANES] = { 0 };
    for (size_t i = 0; i < dim; i++) lane[i % LANES] = larger(lane[i % LANES], fabsf(a[i] - b[i]));
    return fold(lane, larger);
}

/* A tile is its pairs. */
#define TILE_C(metric)                                                                          \
    static void metric##_tile_c(const float *queries, size_t query_count, const float *rows,    \
                                size_t row_count, size_t dim, float *scores)                    \
    {                                                                                           \
        for (size_t q = 0; q < query_count; q++)                                                \
            for (size_t r = 0; r < row_count; r++)                                              \
                scores[q * row_count + r] = metric##_c(queries + q * dim, rows + r * dim, dim); \
    }

TILE_C(dot)
TILE_C(l2)
TILE_C(l1)
TILE_C(chebyshev)

static size_t sift_c(const float *scores, const float *offsets, size_t count, float scale,
                     float limit, uint32_t *kept)
{
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!(fmaf(scale, scores[i], offsets ? offsets[i] : 0.0f) > limit))
            kept[kept_count++] = (uint32_t)i;
    return kept_count;
}

static size_t find_refused_c(const float *x, size_t count)
{
    size_t i = 0;
    while (i < count && fabsf(x[i]) <= WG_COMPONENT_MAX) i++;
    return i;
}

static void pack_c(const float *rows, size_t row_count, size_t dim, float *panel, float *norms)
{
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        norms[r] = 0;
        for (size_t i = 0; i < dim; i++) {
            float x = r < row_count ? rows[r * dim + i] : 0.0f;
            panel[i * PANEL_ROWS + r] = x;
            norms[r] = fmaf(x, x, norms[r]);
        }
    }
}

static void dot_panel_c(const float *queries, size_t query_count, const struct panel *panel,
                        float *scores, size_t stride)
{
    size_t dim = panel->dim;
    for (size_t q = 0; q < query_count; q++)
        for (size_t r = 0; r < PANEL_ROWS; r++) {
            float sum = 0;
            for (size_t i = 0; i < dim; i++)
                sum = fmaf(queries[q * dim + i], panel->values[i * PANEL_ROWS + r], sum);
            scores[q * stride + r] = sum;
        }
}

const char *cpu_tier_name(enum cpu_tier tier)
{
    static const char *const names[CPU_TIER_COUNT] = {
        [CPU_C] = "c",
        [CPU_AVX2] = "avx2",
        [CPU_AVX512] = "avx512",
    };
    return names[tier];
}

void kernels_init(struct kernels *k, enum cpu_tier tier)
{
    *k = (struct kernels){
#define X(type, name) .name = name##_c,
        KERNELS(X)
#undef X
    };
#if defined(__x86_64__)
    kernels_init_x86(k, tier);
#else
    (void)tier;
#endif
}
