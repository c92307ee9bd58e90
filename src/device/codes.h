#pragma once
/* Eight-bit codes of a space's rows, kept beside the rows themselves: what a scan may read instead
 * of the rows to find out which of them it has to read. A row x is coded behind a centre c as
 * scale * code; what a bound needs to know of the difference stands beside the code
 * (device/code_bound.h).
 *
 * Codes are a cache of a prefix of some rows: appended to by one thread, read by any number. */
#include "device/device.h"

#include <stdatomic.h>

struct codes {
    enum metric metric; /* METRIC_DOT or METRIC_L2: what the offsets are for */
    enum row_type type; /* of the rows */
    size_t dim;
    float *centre; /* dim */
    double centre_norm;
    float scale;
    uint8_t *panels; /* code_panel_size(dim) bytes for each PANEL_ROWS rows */
    float *offsets;  /* one for each row */
    float *errors, *norms; /* one for each panel */
    float *wide; /* PANEL_ROWS x dim, for the one who codes rows that are not f32; else NULL */
    uint64_t capacity; /* rows */
    atomic_uint_least64_t row_count; /* a multiple of PANEL_ROWS: those before it are coded */
};

/* Where codes will be when they are made; NULL before. They stay then. */
struct code_cell {
    _Atomic(struct codes *) codes;
};
