#pragma once
/* Codecs: rows in fewer bits, for scores that come near the canonical ones at less memory, and the
 * limit of how far away they are. Each row's code stands for itself, so rows are scored in any
 * order, as a graph reaches them; codes for whole scans are quant/encode.h.
 *
 * A row x is coded behind a centre c: x' = x - c = x^ + e, where x^ is what its code stands for. Of
 * a query, y is coded as y^ = y - f: y = q for dot (cosine is the dot of vectors of length 1),
 * y = q - c for L2. With what is exact of them in double, scores are
 *
 *     dot: q.c + y^.x^        L2: |y|^2 + |x'|^2 - 2 y^.x^, and 0 where that is less
 *
 * rounded to a float once: higher is better, and lower. y^.x^ is exact, as whole numbers, or for
 * f16 and bf16 in the canonical order: any tier gives the same bits. codec_bound says how far from
 * the canonical score they may be.
 *
 * A model does not change once it is made: any number of threads. All but codec_train and
 * codec_destroy allocate nothing; all run within kernel/fpenv.h. Components are allowed ones. */
#include "base/err.h"
#include "device/code_query.h"
#include "quant/sample.h"

#include <stdbool.h>

/* One line per codec, the finest first; the table, and what is tested, are made from it. */
#define CODECS(X) X(f16) X(bf16) X(int8) X(int6) X(int4) X(binary)

/* Rows are coded CODEC_BLOCK components at a time. */
enum { CODEC_BLOCK = 512 };

struct codec;

/* A codec with what was chosen by some rows. */
struct codec_model {
    const struct codec *codec;
    const struct kernels *kernels; /* borrowed */
    enum metric metric; /* METRIC_DOT or METRIC_L2 */
    size_t dim;
    float *centre; /* dim */
    double centre_norm;
    float scale, inverse;
    size_t code_size;  /* bytes of a row's code, a multiple of CODE_UNIT */
    size_t query_size; /* bytes of a query's */
};

struct codec {
    const char *name;
    int code_max; /* of codes that are whole numbers times a scale; 0: others */
    bool chains; /* y^.x^ is a chain of floats; else exact */
    size_t (*code_size)(size_t dim);
    size_t (*query_size)(size_t dim);
    /* At least CODE_SCALE_MIN. */
    wg_err (*choose_scale)(const struct codec *codec, const struct sample *sample,
                           const float *centre, float *scale);
    /* count components of x', of one block, from and to its code. A block's is behind those before
     * it, code_size(CODEC_BLOCK) each. Denormals become 0, and what is too large the largest. */
    void (*encode)(const struct codec_model *m, const float *values, size_t count, uint8_t *code);
    void (*decode)(const struct codec_model *m, const uint8_t *code, size_t count, float *values);
    /* norms: all but its centre and shift, as sums of squares. */
    void (*encode_query)(const struct codec_model *m, const float *query, void *code,
                         struct code_norms *norms);
    /* dots[q * rows->count + r], CODEC_DOTS_MAX at most: y^.x^ / (step * scale), rounded. */
    void (*dots)(const struct codec_model *m, const void *queries, size_t query_count,
                 const struct code_rows *rows, float *dots);
};

enum { CODEC_DOTS_MAX = 512 };

#define X(name) extern const struct codec codec_##name;
CODECS(X)
#undef X

/* Ends with NULL. */
extern const struct codec *const codecs[];
/* NULL: there is none of that name. */
const struct codec *codec_find(const char *name);

struct codec_params {
    const struct codec *codec;
    const struct kernels *kernels;
    enum metric metric;
    size_t dim; /* 1 to 65,536 */
    const float *rows; /* row_count x dim, at least one row */
    uint64_t row_count;
    bool centred; /* else the centre is 0 */
};

/* Chooses a centre and a scale by a sample of the rows. WG_ENOMEM. */
WG_CHECKED wg_err codec_train(const struct codec_params *params, struct codec_model **out);
void codec_destroy(struct codec_model **model);

/* What a bound has to know of a row, rounded up: |e|, |x^|, |x'|^2. */
struct codec_row {
    float error, norm, square;
};

/* rows: count x dim; codes: count x code_size; certificates: count. */
void codec_encode(const struct codec_model *m, const float *rows, size_t count, uint8_t *codes,
                  struct codec_row *certificates);

/* c + x^, rounded. row: dim. */
void codec_decode(const struct codec_model *m, const uint8_t *code, float *row);

/* query: dim; code: query_size, aligned to a float. */
void codec_encode_query(const struct codec_model *m, const float *query, void *code,
                        struct code_norms *norms);

/* Queries in code, query_size apart. */
struct codec_queries {
    const void *codes;
    const struct code_norms *norms;
    size_t count;
};

/* scores[q * rows->count + r]. certificates: where the codes are, row r's is the at[r]th, too; for
 * dot they are not read, and may be NULL. */
void codec_score(const struct codec_model *m, const struct codec_queries *queries,
                 const struct code_rows *rows, const struct codec_row *certificates, float *scores);

/* At least how far the score of this query and this row is from the canonical one. */
double codec_bound(const struct codec_model *m, const struct code_norms *y,
                   const struct codec_row *x);
