#include "quant/codec.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

const struct codec *const codecs[] = {
#define X(name) &codec_##name,
    CODECS(X)
#undef X
        NULL,
};

const struct codec *codec_find(const char *name)
{
    for (const struct codec *const *c = codecs; *c; c++)
        if (strcmp((*c)->name, name) == 0) return *c;
    return NULL;
}

static wg_err choose(const struct codec_params *p, struct codec_model *m)
{
    wg_err err = WG_OK;
    struct sample sample = { p->kernels, p->rows, p->row_count, p->dim };
    TRY(mem_resize(&m->centre, p->dim));
    for (size_t i = 0; i < p->dim; i++) m->centre[i] = 0;
    if (p->centred) TRY(sample_centre(&sample, m->centre, &m->centre_norm));
    TRY(p->codec->choose_scale(p->codec, &sample, m->centre, &m->scale));
    m->inverse = 1 / m->scale;
out:
    return err;
}

wg_err codec_train(const struct codec_params *p, struct codec_model **out)
{
    wg_err err = WG_OK;
    struct codec_model *m = NULL;
    TRY(mem_resize(&m, 1));
    *m = (struct codec_model){
        .codec = p->codec,
        .kernels = p->kernels,
        .metric = p->metric,
        .dim = p->dim,
        .code_size = p->codec->code_size(p->dim),
        .query_size = p->codec->query_size(p->dim),
    };
    TRY(choose(p, m));
    *out = m;
    m = NULL; /* moved */
out:
    codec_destroy(&m);
    return err;
}

void codec_destroy(struct codec_model **model)
{
    if (!*model) return;
    mem_free(&(*model)->centre);
    mem_free(model);
}

/* --- rows --- */

static size_t block_size(size_t dim, size_t first)
{
    return dim - first < CODEC_BLOCK ? dim - first : CODEC_BLOCK;
}

static size_t block_at(const struct codec_model *m, size_t first)
{
    return first / CODEC_BLOCK * m->codec->code_size(CODEC_BLOCK);
}

/* Sums of squares, in double: what the code lost is measured, whatever the encoder did. */
struct row_sums {
    double error, code, value;
};

static void encode_block(const struct codec_model *m, const float *row, size_t first, uint8_t *code,
                         struct row_sums *sums)
{
    float values[CODEC_BLOCK], coded[CODEC_BLOCK];
    size_t count = block_size(m->dim, first);
    const float *centre = m->centre + first;
    for (size_t i = 0; i < count; i++) values[i] = row[first + i] - centre[i];
    m->codec->encode(m, values, count, code + block_at(m, first));
    m->codec->decode(m, code + block_at(m, first), count, coded);
    for (size_t i = 0; i < count; i++) {
        double x = (double)row[first + i] - (double)centre[i], c = (double)coded[i];
        sums->error += (x - c) * (x - c);
        sums->code += c * c;
        sums->value += x * x;
    }
}

void codec_encode(const struct codec_model *m, const float *rows, size_t count, uint8_t *codes,
                  struct codec_row *certificates)
{
    struct code_bound doubles = code_bound_of_doubles();
    for (size_t r = 0; r < count; r++) {
        struct row_sums sums = { 0 };
        for (size_t i = 0; i < m->dim; i += CODEC_BLOCK)
            encode_block(m, rows + r * m->dim, i, codes + r * m->code_size, &sums);
        certificates[r] = (struct codec_row){
            .error = code_bound_error(&doubles, sums.error, sums.value),
            .norm = code_bound_norm(&doubles, 1, sums.code),
            .square = code_bound_up(sums.value * (1 + doubles.chain)),
        };
    }
}

void codec_decode(const struct codec_model *m, const uint8_t *code, float *row)
{
    for (size_t first = 0; first < m->dim; first += CODEC_BLOCK) {
        size_t count = block_size(m->dim, first);
        m->codec->decode(m, code + block_at(m, first), count, row + first);
        for (size_t i = first; i < first + count; i++) row[i] += m->centre[i];
    }
}

/* --- scores --- */

void codec_encode_query(const struct codec_model *m, const float *query, void *code,
                        struct code_norms *norms)
{
    *norms = (struct code_norms){ .centre = m->centre_norm };
    memset(code, 0, m->query_size);
    m->codec->encode_query(m, query, code, norms);
    code_norms_root(norms);
    for (size_t i = 0; i < m->dim; i++) norms->shift += (double)query[i] * (double)m->centre[i];
}

static size_t row_at(const struct code_rows *rows, size_t r)
{
    return rows->at ? rows->at[r] : r;
}

/* From the dots of a query and rows from r on. The loops are apart because they are as long as what
 * a short code's dots take. */
static void finish(const struct codec_model *m, const struct code_norms *y,
                   const struct code_rows *rows, const struct codec_row *certificates,
                   const float *dots, float *scores)
{
    double factor = (double)y->step * (double)m->scale, own = y->value * y->value;
    if (m->metric == METRIC_DOT) {
        for (size_t r = 0; r < rows->count; r++)
            scores[r] = (float)(y->shift + factor * (double)dots[r]);
        return;
    }
    for (size_t r = 0; r < rows->count; r++) {
        double square = (double)certificates[row_at(rows, r)].square;
        double score = own + square - 2 * factor * (double)dots[r];
        scores[r] = score > 0 ? (float)score : 0;
    }
}

enum { QUERIES_TOGETHER = 8, ROWS_TOGETHER = CODEC_DOTS_MAX / QUERIES_TOGETHER };

/* Some rows from r on and all queries. */
static void score_some(const struct codec_model *m, const struct codec_queries *queries,
                       const struct code_rows *all, size_t r, const struct codec_row *certificates,
                       float *scores)
{
    float dots[CODEC_DOTS_MAX];
    struct code_rows rows = *all;
    rows.count = all->count - r < ROWS_TOGETHER ? all->count - r : ROWS_TOGETHER;
    if (rows.at) {
        rows.at += r;
    } else {
        rows.codes += r * rows.size;
        certificates = certificates ? certificates + r : NULL;
    }
    for (size_t q = 0, count; q < queries->count; q += count) {
        const char *codes = (const char *)queries->codes + q * m->query_size;
        count = queries->count - q < QUERIES_TOGETHER ? queries->count - q : QUERIES_TOGETHER;
        m->codec->dots(m, codes, count, &rows, dots);
        for (size_t i = 0; i < count; i++)
            finish(m, &queries->norms[q + i], &rows, certificates, dots + i * rows.count,
                   scores + (q + i) * all->count + r);
    }
}

void codec_score(const struct codec_model *m, const struct codec_queries *queries,
                 const struct code_rows *rows, const struct codec_row *certificates, float *scores)
{
    for (size_t r = 0; r < rows->count; r += ROWS_TOGETHER)
        score_some(m, queries, rows, r, certificates, scores);
}

/* With r, n of the row and s of the query, u, g_m, g_(m+2) of device/code_bound.h, and X the most
 * that |x| can be, |c| + n + r:
 *
 * y.x' = y^.x^ + y.e + f.x^ misses y^.x^ by |y| r + s n; that is summed in floats with an error of
 * A = g_m |y^| n, or rounded to one from a whole number. For dot, the canonical score misses q.x by
 * g_m |q| X. For L2, it misses |y - x'|^2, at most (|y| + |x'|)^2, by g_(m+2) of it. What is
 * rounded to floats, a sum, |x'|^2 and the score, is paid for by 8u of every term; T is for
 * underflow, in sums of floats that are multiplied by the scale afterwards. What was summed up in
 * double is off by 2^-36, as code_bound_error has it for the row. */
double codec_bound(const struct codec_model *m, const struct code_norms *y,
                   const struct codec_row *x)
{
    struct code_bound b = code_bound_of_dim(m->dim);
    double u = 0x1p-24, outwards = 1 + 0x1p-30;
    double r = (double)x->error, n = (double)x->norm, square = (double)x->square;
    double s = y->error + 0x1p-50 * y->value, product = y->code * n;
    double lost = y->value * r + s * n + (m->codec->chains ? b.chain * product : 0);
    double tiny = 2 * (double)m->dim * 0x1p-149 * fmax(1, (double)m->scale);
    if (m->metric == METRIC_DOT) {
        double canonical = b.chain * y->value * (y->centre + n + r);
        double rounding = 8 * u * (y->value * y->centre + product);
        return (lost + canonical + rounding + tiny) * outwards;
    }
    double most = y->value + sqrt(square), rounding = y->value * y->value + square + 2 * product;
    return (2 * lost + b.wide * most * most + 8 * u * rounding + 2 * tiny) * outwards;
}
