/* One bit for each component: on which side of the centre it is. x^ has the same size everywhere,
 * the sample's mean; a query's y^ the query's. Scores are counts of bits that differ: with d
 * components, y^.x^ is d - 2 * differing, times both sizes.
 *
 * The bound is weak, and cannot be else: of normally distributed components the code loses 0.6 of
 * the norm, of the row and of the query, so that |y| r + s n is more than |y||x'|, all that there
 * is between two vectors. It holds, but leaves out only what is far away by its norm; such codes
 * are for candidates that are scored again, with oversampling. */
#include "quant/codec.h"

#include <math.h>
#include <string.h>

static size_t code_size(size_t dim)
{
    size_t of_unit = 8 * CODE_UNIT;
    return (dim + of_unit - 1) / of_unit * CODE_UNIT;
}

static wg_err choose_scale(const struct codec *codec, const struct sample *sample,
                           const float *centre, float *scale)
{
    (void)codec;
    *scale = (float)fmax(sample_spread(sample, centre), CODE_SCALE_MIN);
    return WG_OK;
}

static void set_bit(uint8_t *code, size_t i)
{
    code[i / 8] = (uint8_t)(code[i / 8] | 1u << i % 8);
}

static void encode(const struct codec_model *m, const float *values, size_t count, uint8_t *code)
{
    (void)m;
    memset(code, 0, code_size(count));
    for (size_t i = 0; i < count; i++)
        if (values[i] < 0) set_bit(code, i);
}

static void decode(const struct codec_model *m, const uint8_t *code, size_t count, float *values)
{
    for (size_t i = 0; i < count; i++) values[i] = code[i / 8] >> i % 8 & 1 ? -m->scale : m->scale;
}

static void encode_query(const struct codec_model *m, const float *query, void *code,
                         struct code_norms *norms)
{
    double size = 0;
    for (size_t i = 0; i < m->dim; i++)
        size += fabs(query_component(m->metric, query[i], m->centre[i]));
    norms->step = fmaxf((float)(size / (double)m->dim), (float)CODE_SCALE_MIN);
    for (size_t i = 0; i < m->dim; i++) {
        double x = query_component(m->metric, query[i], m->centre[i]), step = (double)norms->step;
        if (x < 0) set_bit(code, i);
        code_norms_add(norms, x, x < 0 ? -step : step);
    }
}

static void dots(const struct codec_model *m, const void *queries, size_t query_count,
                 const struct code_rows *rows, float *out)
{
    int32_t differing[CODEC_DOTS_MAX];
    m->kernels->hamming(queries, query_count, rows, differing);
    for (size_t i = 0; i < query_count * rows->count; i++)
        out[i] = (float)((int32_t)m->dim - 2 * differing[i]);
}

const struct codec codec_binary = {
    .name = "binary",
    .code_size = code_size,
    .query_size = code_size,
    .choose_scale = choose_scale,
    .encode = encode,
    .decode = decode,
    .encode_query = encode_query,
    .dots = dots,
};
