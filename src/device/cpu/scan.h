#pragma once
/* The exact scan on the CPU: blocks of rows that stay in the cache against tiles of queries, each
 * worker with heaps of its own, merged at the end. Rows that are not stored as f32 are widened, a
 * block at a time. */
#include "device/device.h"

/* Rows in host memory, in place: a span holds rows first to first + count. */
struct row_span {
    const void *values;
    const struct code_cell *codes; /* of its rows; may be NULL */
    uint64_t first, count;
};

struct span_list {
    struct row_span *spans; /* rising and without gaps from row 0 */
    size_t count;
    uint64_t row_count;
    enum row_type type;
    size_t dim;
};

/* Memory that scans work in, reused by later ones; grows, never shrinks. One scan at a time. */
struct scan_scratch;
WG_CHECKED wg_err scan_scratch_create(struct scan_scratch **out);
void scan_scratch_destroy(struct scan_scratch **scratch);

/* live may be NULL: every row. WG_ENOMEM, WG_ETIMEOUT, WG_ECANCELLED. */
WG_CHECKED wg_err scan_spans(const struct device_host *host, const struct span_list *spans,
                             const struct bitmap *live, const struct scan *scan,
                             struct scan_scratch *scratch);
