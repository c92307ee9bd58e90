/* Whole numbers times a scale, in 8, 6 or 4 bits; a query's in 8. */
#include "quant/codec.h"

#include <math.h>
#include <string.h>

static size_t units(size_t dim, size_t of_unit)
{
    return (dim + of_unit - 1) / of_unit;
}

/* Of 16 bits, so that its product with a code is a float: what is measured of a row is then what
 * scores have. */
static float rounded_up(double scale)
{
    int exponent;
    double fraction = frexp(scale, &exponent);
    return (float)ldexp(ceil(fraction * 0x1p16), exponent - 16);
}

static wg_err choose_scale(const struct codec *codec, const struct sample *sample,
                           const float *centre, float *scale)
{
    double reach;
    wg_err err = sample_reach(sample, centre, &reach);
    if (err == WG_OK) *scale = rounded_up(fmax(reach / codec->code_max, CODE_SCALE_MIN));
    return err;
}

static int32_t code_of(const struct codec_model *m, float value)
{
    return code_nearest(value, m->inverse, m->codec->code_max);
}

static void encode_query(const struct codec_model *m, const float *query, void *code,
                         struct code_norms *norms)
{
    int8_t *out = code;
    norms->step = query_step(m->metric, query, m->centre, m->dim, CODE_MAX);
    for (size_t i = 0; i < m->dim; i++) {
        double x = query_component(m->metric, query[i], m->centre[i]);
        out[i] = (int8_t)query_code(x, norms->step, CODE_MAX);
        code_norms_add(norms, x, (double)norms->step * out[i]);
    }
}

static void to_floats(const int32_t *sums, size_t count, float *dots)
{
    for (size_t i = 0; i < count; i++) dots[i] = (float)sums[i];
}

/* --- 8 bits: a byte each --- */

static size_t size_int8(size_t dim)
{
    return units(dim, CODE_UNIT) * CODE_UNIT;
}

static void encode_int8(const struct codec_model *m, const float *values, size_t count,
                        uint8_t *code)
{
    memset(code, 0, size_int8(count));
    for (size_t i = 0; i < count; i++) code[i] = (uint8_t)code_of(m, values[i]);
}

static void decode_int8(const struct codec_model *m, const uint8_t *code, size_t count,
                        float *values)
{
    for (size_t i = 0; i < count; i++) values[i] = (float)(int8_t)code[i] * m->scale;
}

static void dots_int8(const struct codec_model *m, const void *queries, size_t query_count,
                      const struct code_rows *rows, float *dots)
{
    int32_t sums[CODEC_DOTS_MAX];
    m->kernels->dots_i8(queries, query_count, rows, sums);
    to_floats(sums, query_count * rows->count, dots);
}

const struct codec codec_int8 = {
    .name = "int8",
    .code_max = CODE_MAX,
    .code_size = size_int8,
    .query_size = size_int8,
    .choose_scale = choose_scale,
    .encode = encode_int8,
    .decode = decode_int8,
    .encode_query = encode_query,
    .dots = dots_int8,
};

/* --- 4 bits: as kernel_dots_i4 has them, 8 added to each --- */

enum { OF_UNIT_4 = 2 * CODE_UNIT, ZERO_4 = 8 };

static size_t size_int4(size_t dim)
{
    return units(dim, OF_UNIT_4) * CODE_UNIT;
}

static size_t query_size_int4(size_t dim)
{
    return 2 * size_int4(dim);
}

static size_t byte_at_4(size_t i)
{
    return i / OF_UNIT_4 * CODE_UNIT + i % CODE_UNIT;
}

static unsigned shift_4(size_t i)
{
    return i / CODE_UNIT % 2 * 4;
}

static void encode_int4(const struct codec_model *m, const float *values, size_t count,
                        uint8_t *code)
{
    memset(code, 0, size_int4(count));
    for (size_t i = 0; i < size_int4(count) * 2; i++) {
        int32_t of_value = i < count ? code_of(m, values[i]) : 0;
        code[byte_at_4(i)] |= (uint8_t)((of_value + ZERO_4) << shift_4(i));
    }
}

static void decode_int4(const struct codec_model *m, const uint8_t *code, size_t count,
                        float *values)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((code[byte_at_4(i)] >> shift_4(i) & 15) - ZERO_4) * m->scale;
}

static void dots_int4(const struct codec_model *m, const void *queries, size_t query_count,
                      const struct code_rows *rows, float *dots)
{
    int32_t sums[CODEC_DOTS_MAX];
    m->kernels->dots_i4(queries, query_count, rows, sums);
    to_floats(sums, query_count * rows->count, dots);
}

const struct codec codec_int4 = {
    .name = "int4",
    .code_max = 7,
    .code_size = size_int4,
    .query_size = query_size_int4,
    .choose_scale = choose_scale,
    .encode = encode_int4,
    .decode = decode_int4,
    .encode_query = encode_query,
    .dots = dots_int4,
};

/* --- 6 bits: of each OF_PART_6 components the lower four bits as above, then of all of them the
 * upper two: component i in byte i mod CODE_UNIT. 32 is added to each. There is no kernel of its
 * own: rows are unpacked to bytes, a block at a time. --- */

enum { OF_PART_6 = 4 * CODE_UNIT, ZERO_6 = 32, ROWS_UNPACKED = 8 };

static size_t size_int6(size_t dim)
{
    return size_int4(dim) + units(dim, OF_PART_6) * CODE_UNIT;
}

/* Sixty-four components of a part of count, from the g-th sixty-four on: where their lower bits
 * are, and the upper. */
static size_t lower_at_6(size_t g)
{
    return g / 2 * CODE_UNIT;
}

static size_t upper_at_6(size_t count)
{
    return size_int4(count);
}

static size_t part_count(size_t count, size_t first)
{
    return count - first < OF_PART_6 ? count - first : OF_PART_6;
}

static void encode_part_6(const struct codec_model *m, const float *values, size_t count,
                          uint8_t *code)
{
    uint8_t *upper = code + upper_at_6(count);
    memset(code, 0, size_int6(count));
    for (size_t i = 0; i < size_int4(count) * 2; i++) {
        unsigned c = (unsigned)((i < count ? code_of(m, values[i]) : 0) + ZERO_6);
        size_t g = i / CODE_UNIT, j = i % CODE_UNIT;
        code[lower_at_6(g) + j] |= (uint8_t)((c & 15) << g % 2 * 4);
        upper[j] |= (uint8_t)(c >> 4 << g * 2);
    }
}

static void encode_int6(const struct codec_model *m, const float *values, size_t count,
                        uint8_t *code)
{
    for (size_t i = 0; i < count; i += OF_PART_6)
        encode_part_6(m, values + i, part_count(count, i), code + size_int6(i));
}

/* Sixty-four codes as bytes. By numbers of shifts that are in the source, and without overlap, gcc
 * 12 does sixteen at once. */
static inline void unpack_unit(const uint8_t *restrict lower, const uint8_t *restrict upper,
                               size_t g, int8_t *restrict out)
{
    for (size_t j = 0; j < CODE_UNIT; j++) {
        unsigned low = lower[j] >> g % 2 * 4 & 15u, high = upper[j] >> g * 2 & 3u;
        out[j] = (int8_t)((int)(high << 4 | low) - ZERO_6);
    }
}

/* A part's codes as bytes, whole sixty-fours of them. */
static void unpack_part_6(const uint8_t *code, size_t count, int8_t *out)
{
    const uint8_t *upper = code + upper_at_6(count);
    size_t groups = units(count, CODE_UNIT);
    unpack_unit(code, upper, 0, out);
    if (groups > 1) unpack_unit(code, upper, 1, out + CODE_UNIT);
    if (groups > 2) unpack_unit(code + lower_at_6(2), upper, 2, out + 2 * CODE_UNIT);
    if (groups > 3) unpack_unit(code + lower_at_6(3), upper, 3, out + 3 * CODE_UNIT);
}

/* out: CODEC_BLOCK. */
static void unpack_6(const uint8_t *code, size_t count, int8_t *out)
{
    for (size_t i = 0; i < count; i += OF_PART_6)
        unpack_part_6(code + size_int6(i), part_count(count, i), out + i);
}

static void decode_int6(const struct codec_model *m, const uint8_t *code, size_t count,
                        float *values)
{
    int8_t codes[CODEC_BLOCK];
    unpack_6(code, count, codes);
    for (size_t i = 0; i < count; i++) values[i] = (float)codes[i] * m->scale;
}

/* One block of ROWS_UNPACKED rows or fewer, from row r on, is added to the sums. */
static void add_block_6(const struct codec_model *m, const int8_t *queries, size_t query_count,
                        const struct code_rows *rows, const size_t at[2], int32_t *sums)
{
    int8_t codes[ROWS_UNPACKED * CODEC_BLOCK];
    int32_t here[ROWS_UNPACKED];
    size_t r = at[0], first = at[1], left = rows->count - r;
    size_t count = m->dim - first < CODEC_BLOCK ? m->dim - first : CODEC_BLOCK;
    struct code_rows unpacked = { (const uint8_t *)codes, size_int8(count), NULL,
                                  left < ROWS_UNPACKED ? left : ROWS_UNPACKED };
    for (size_t j = 0; j < unpacked.count; j++)
        unpack_6(code_row(rows, r + j) + size_int6(first), count, codes + j * unpacked.size);
    for (size_t q = 0; q < query_count; q++) {
        m->kernels->dots_i8(queries + q * m->query_size + first, 1, &unpacked, here);
        for (size_t j = 0; j < unpacked.count; j++) sums[q * rows->count + r + j] += here[j];
    }
}

static void dots_int6(const struct codec_model *m, const void *queries, size_t query_count,
                      const struct code_rows *rows, float *dots)
{
    int32_t sums[CODEC_DOTS_MAX] = { 0 };
    for (size_t r = 0; r < rows->count; r += ROWS_UNPACKED)
        for (size_t first = 0; first < m->dim; first += CODEC_BLOCK)
            add_block_6(m, queries, query_count, rows, (size_t[]){ r, first }, sums);
    to_floats(sums, query_count * rows->count, dots);
}

const struct codec codec_int6 = {
    .name = "int6",
    .code_max = 31,
    .code_size = size_int6,
    .query_size = size_int8,
    .choose_scale = choose_scale,
    .encode = encode_int6,
    .decode = decode_int6,
    .encode_query = encode_query,
    .dots = dots_int6,
};
