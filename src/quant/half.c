/* f16 and bf16: a query stays f32, and a row's numbers are widened as they are multiplied. */
#include "kernel/half.h"

#include "quant/codec.h"

#include <math.h>

static size_t code_size(size_t dim)
{
    size_t of_unit = CODE_UNIT / sizeof(uint16_t);
    return (dim + of_unit - 1) / of_unit * CODE_UNIT;
}

/* A float for each number, those behind the last component, too. */
static size_t query_size(size_t dim)
{
    return code_size(dim) * (sizeof(float) / sizeof(uint16_t));
}

static void encode_query(const struct codec_model *m, const float *query, void *code,
                         struct code_norms *norms)
{
    float *out = code;
    norms->step = 1;
    for (size_t i = 0; i < m->dim; i++) {
        double x = query_component(m->metric, query[i], m->centre[i]);
        out[i] = (float)x;
        code_norms_add(norms, x, (double)out[i]);
    }
}

static void put(uint8_t *code, size_t i, uint16_t half)
{
    code[2 * i] = (uint8_t)half;
    code[2 * i + 1] = (uint8_t)(half >> 8);
}

static uint16_t get(const uint8_t *code, size_t i)
{
    return (uint16_t)(code[2 * i] | code[2 * i + 1] << 8);
}

/* What is behind the last component, to the end of its unit. */
static void put_zeros(uint8_t *code, size_t i)
{
    for (; i % (CODE_UNIT / sizeof(uint16_t)) != 0; i++) put(code, i, 0);
}

/* --- f16 --- */

/* The power of two that brings the largest components just within. Multiplying by it is exact. */
static wg_err choose_scale_f16(const struct codec *codec, const struct sample *sample,
                               const float *centre, float *scale)
{
    (void)codec;
    double reach;
    int exponent;
    wg_err err = sample_reach(sample, centre, &reach);
    if (err != WG_OK) return err;
    double fraction = frexp(reach / (double)F16_MAX, &exponent);
    *scale = (float)fmax(fraction > 0 ? ldexp(1, exponent) : 0, CODE_SCALE_MIN);
    return WG_OK;
}

static void encode_f16(const struct codec_model *m, const float *values, size_t count,
                       uint8_t *code)
{
    for (size_t i = 0; i < count; i++) put(code, i, f16_code(values[i] * m->inverse));
    put_zeros(code, count);
}

static void decode_f16(const struct codec_model *m, const uint8_t *code, size_t count,
                       float *values)
{
    for (size_t i = 0; i < count; i++) values[i] = f16_value(get(code, i)) * m->scale;
}

static void dots_f16(const struct codec_model *m, const void *queries, size_t query_count,
                     const struct code_rows *rows, float *dots)
{
    m->kernels->dots_f16(queries, query_count, rows, dots);
}

const struct codec codec_f16 = {
    .name = "f16",
    .chains = true,
    .code_size = code_size,
    .query_size = query_size,
    .choose_scale = choose_scale_f16,
    .encode = encode_f16,
    .decode = decode_f16,
    .encode_query = encode_query,
    .dots = dots_f16,
};

/* --- bf16: reaches as far as a float does --- */

static wg_err choose_scale_bf16(const struct codec *codec, const struct sample *sample,
                                const float *centre, float *scale)
{
    (void)codec;
    (void)sample;
    (void)centre;
    *scale = 1;
    return WG_OK;
}

static void encode_bf16(const struct codec_model *m, const float *values, size_t count,
                        uint8_t *code)
{
    (void)m;
    for (size_t i = 0; i < count; i++) put(code, i, bf16_code(values[i]));
    put_zeros(code, count);
}

static void decode_bf16(const struct codec_model *m, const uint8_t *code, size_t count,
                        float *values)
{
    (void)m;
    for (size_t i = 0; i < count; i++) values[i] = bf16_value(get(code, i));
}

static void dots_bf16(const struct codec_model *m, const void *queries, size_t query_count,
                      const struct code_rows *rows, float *dots)
{
    m->kernels->dots_bf16(queries, query_count, rows, dots);
}

const struct codec codec_bf16 = {
    .name = "bf16",
    .chains = true,
    .code_size = code_size,
    .query_size = query_size,
    .choose_scale = choose_scale_bf16,
    .encode = encode_bf16,
    .decode = decode_bf16,
    .encode_query = encode_query,
    .dots = dots_bf16,
};
