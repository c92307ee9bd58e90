#pragma once
/* Making codes (device/codes.h). The centre and the scale of codes are chosen once, by the rows
 * that are there then; rows that fit them badly are coded badly, and say so by their errors. */
#include "device/codes.h"
#include "os/pool.h"
#include "os/stop.h"

struct encode_params {
    const struct kernels *kernels;
    enum metric metric; /* METRIC_DOT or METRIC_L2 */
    size_t dim;
    const void *rows; /* row_count, at least PANEL_ROWS of them */
    uint64_t row_count;
    uint64_t capacity; /* at least row_count */
    enum row_type type; /* not ROW_BITS; of ROW_UNIT_U8 what the rows stand for is coded */
};

/* Memory that codes of so many rows take. */
uint64_t codes_size(size_t dim, uint64_t row_count);

/* Codes of no row yet, with a centre and a scale for these. */
WG_CHECKED wg_err codes_create(const struct encode_params *params, struct codes **out);
/* The same, with a centre and a scale that were chosen before: codes that were made behind them are
 * put in by the caller. WG_EINVAL: none that rows can be coded behind. */
struct codes_shape {
    enum metric metric;
    size_t dim;
    uint64_t capacity;
    const float *centre; /* dim */
    double centre_norm;
    float scale;
    enum row_type type;
};
WG_CHECKED wg_err codes_create_as(const struct codes_shape *shape, struct codes **out);
void codes_destroy(struct codes **codes);
/* Memory that the coded rows take. */
uint64_t codes_bytes(const struct codes *codes);

/* Codes of all rows at once, whole panels of them, by the pool's threads and the caller's. check: a
 * component that is refused is WG_EINVAL. WG_ENOMEM, WG_ETIMEOUT, WG_ECANCELLED. */
struct encode_all {
    struct pool *pool;
    const struct stop *stop;
    bool check;
};
WG_CHECKED wg_err codes_create_whole(const struct encode_params *params,
                                     const struct encode_all *all, struct codes **out);

/* Codes rows that are not coded yet, whole panels of them, up to row_end. rows: from row 0 on. One
 * thread; readers beside it. */
void codes_cover(struct codes *codes, const struct kernels *kernels, const void *rows,
                 uint64_t row_end);
