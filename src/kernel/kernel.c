/* The C tier is the specification: read more often than it is run. Built with -ffp-contract=off. */
#include "kernel/kernel.h"
#include "kernel/half.h"
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

static void encode_c(const struct coder *coder, const float *rows, uint8_t *codes,
                     struct code_sums *sums)
{
    size_t padded = code_step_count(coder->dim) * CODE_STEP;
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        float error[LANES] = { 0 }, value[LANES] = { 0 };
        for (size_t i = 0; i < padded; i++) {
            float t = i < coder->dim ? rows[r * coder->dim + i] - coder->centre[i] : 0.0f;
            int32_t rounded = code_nearest(t, coder->inverse, CODE_MAX);
            float e = fmaf(-coder->scale, (float)rounded, t);
            error[i % LANES] = fmaf(e, e, error[i % LANES]);
            value[i % LANES] = fmaf(t, t, value[i % LANES]);
            codes[(i / CODE_STEP * PANEL_ROWS + r) * CODE_STEP + i % CODE_STEP] =
                (uint8_t)(rounded + 128);
        }
        sums->error[r] = fold(error, sum);
        sums->value[r] = fold(value, sum);
    }
}

static const struct code_layout code_layout_c = { 1, CODE_STEP };

static int32_t code_dot(const struct code_queries *queries, size_t q, const uint8_t *codes,
                        size_t dim, size_t r)
{
    uint32_t sum = (uint32_t)queries->each[q].start; /* may pass 2^31 on its way */
    for (size_t i = 0; i < code_step_count(dim) * CODE_STEP; i++)
        sum += (uint32_t)(queries->codes[code_layout_at(&code_layout_c, dim, q, i)] *
                          codes[(i / CODE_STEP * PANEL_ROWS + r) * CODE_STEP + i % CODE_STEP]);
    return (int32_t)sum;
}

static uint32_t sift_codes_of(const struct code_queries *queries, size_t q,
                              const struct code_panels *panels, size_t p)
{
    const struct code_query *query = &queries->each[q];
    const uint8_t *codes = panels->codes + p * code_panel_size(panels->dim);
    const float *offsets = panels->offsets + p * PANEL_ROWS;
    float limit = fmaf(query->error_factor, panels->errors[p],
                       fmaf(query->norm_factor, panels->norms[p], query->limit));
    uint32_t kept = 0;
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        float dot = (float)code_dot(queries, q, codes, panels->dim, r);
        if (!(fmaf(query->scale, dot, offsets[r]) > limit)) kept |= UINT32_C(1) << r;
    }
    return kept;
}

static void sift_codes_c(const struct code_queries *queries, const struct code_panels *panels,
                         uint32_t *kept)
{
    for (size_t p = 0; p < panels->count; p++)
        for (size_t q = 0; q < queries->count; q++)
            kept[p * queries->count + q] = sift_codes_of(queries, q, panels, p);
}

static int32_t dot_i8(const int8_t *query, const uint8_t *row, size_t size)
{
    int32_t sum = 0;
    for (size_t i = 0; i < size; i++) sum += query[i] * (int8_t)row[i];
    return sum;
}

static int32_t dot_i4(const int8_t *query, const uint8_t *row, size_t size)
{
    int32_t sum = 0;
    for (size_t i = 0; i < 2 * size; i++) {
        size_t unit = i / (2 * CODE_UNIT) * CODE_UNIT, shift = i / CODE_UNIT % 2 * 4;
        sum += query[i] * ((row[unit + i % CODE_UNIT] >> shift & 15) - 8);
    }
    return sum;
}

static int32_t bits_that_differ(const uint8_t *query, const uint8_t *row, size_t size)
{
    int32_t sum = 0;
    for (size_t i = 0; i < size; i++)
        for (unsigned differ = query[i] ^ row[i]; differ != 0; differ &= differ - 1) sum++;
    return sum;
}

static float dot_f16(const float *query, const uint8_t *row, size_t size)
{
    float lane[LANES] = { 0 };
    for (size_t i = 0; i < size / 2; i++) {
        uint16_t half = (uint16_t)(row[2 * i] | row[2 * i + 1] << 8);
        lane[i % LANES] = fmaf(query[i], f16_value(half), lane[i % LANES]);
    }
    return fold(lane, sum);
}

static float dot_bf16(const float *query, const uint8_t *row, size_t size)
{
    float lane[LANES] = { 0 };
    for (size_t i = 0; i < size / 2; i++) {
        uint16_t half = (uint16_t)(row[2 * i] | row[2 * i + 1] << 8);
        lane[i % LANES] = fmaf(query[i], bf16_value(half), lane[i % LANES]);
    }
    return fold(lane, sum);
}

/* Rows in code against queries, width of the query's elements apart: pair by pair. */
#define CODE_ROWS_C(name, pair, query_type, width, sum_type)                    \
    static void name##_c(const query_type *queries, size_t query_count,         \
                         const struct code_rows *rows, sum_type *sums)          \
    {                                                                           \
        for (size_t q = 0; q < query_count; q++)                                \
            for (size_t r = 0; r < rows->count; r++)                            \
                sums[q * rows->count + r] =                                     \
                    pair(queries + q * (width), code_row(rows, r), rows->size); \
    }

CODE_ROWS_C(dots_i8, dot_i8, int8_t, rows->size, int32_t)
CODE_ROWS_C(dots_i4, dot_i4, int8_t, 2 * rows->size, int32_t)
CODE_ROWS_C(hamming, bits_that_differ, uint8_t, rows->size, int32_t)
CODE_ROWS_C(dots_f16, dot_f16, float, rows->size / 2, float)
CODE_ROWS_C(dots_bf16, dot_bf16, float, rows->size / 2, float)

static void widen_f16_c(const uint16_t *x, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) out[i] = f16_value(x[i]);
}

static void widen_u8_c(const uint8_t *x, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) out[i] = (float)x[i];
}

static uint32_t squares_u8_c(const uint8_t *x, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += (uint32_t)x[i] * x[i];
    return sum;
}

static void bits_tile_c(const uint8_t *queries, size_t query_count, const uint8_t *rows,
                        size_t row_count, size_t size, float *scores)
{
    for (size_t q = 0; q < query_count; q++)
        for (size_t r = 0; r < row_count; r++) {
            int differing = 0;
            for (size_t i = 0; i < size; i++)
                differing += __builtin_popcount(queries[q * size + i] ^ rows[r * size + i]);
            scores[q * row_count + r] = (float)differing;
        }
}

const char *cpu_tier_name(enum cpu_tier tier)
{
    static const char *const names[CPU_TIER_COUNT] = {
        [CPU_C] = "c",           [CPU_AVX2] = "avx2",       [CPU_AVXVNNI] = "avxvnni",
        [CPU_AVX512] = "avx512", [CPU_VNNI] = "avx512vnni", [CPU_AMX] = "amx",
        [CPU_NEON] = "neon",     [CPU_NEONDOT] = "neondot", [CPU_NEONI8MM] = "neoni8mm",
    };
    return names[tier];
}

void kernels_init(struct kernels *k, enum cpu_tier tier)
{
    *k = (struct kernels){
#define X(type, name) .name = name##_c,
        KERNELS(X)
#undef X
            .code_layout = code_layout_c,
        .query_code_max = CODE_MAX,
    };
#if defined(__x86_64__)
    kernels_init_x86(k, tier);
#elif defined(__aarch64__)
    kernels_init_arm(k, tier);
#else
    (void)tier;
#endif
}
