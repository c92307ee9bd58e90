#pragma once
/* A scan by codes (device/codes.h): eight bits a component are read of every row, all of them only
 * of rows that the certificate (device/code_bound.h) cannot exclude; those are scored canonically.
 * Where too many are left, the codes are not used for a while: the answer is the same. */
#include "device/code_bound.h"
#include "device/codes.h"

struct block;
struct run;

/* A row that may be among the nearest of a query. */
struct candidate {
    uint16_t query, row; /* of the block */
};

/* What a worker keeps of it from block to block. */
struct coded {
    const struct codes *codes; /* that the queries are in code for; NULL: none yet */
    size_t query_first;        /* of the scan: the first of them */
    int8_t *values;
    int8_t *plain; /* one query's codes, before they are laid out */
    struct code_query *each;
    float *kths; /* that the limits in each were made of */
    struct code_norms *norms;
    uint32_t *kept;
    struct candidate *candidates;
    size_t dim;          /* there is room for */
    size_t rest, pause;  /* rows that are still to be scanned without; and how many next time */
};

/* Room for queries of dim components. */
WG_CHECKED wg_err coded_fit(struct coded *coded, const struct code_layout *layout, size_t dim);
void coded_fini(struct coded *coded);

/* Scans rows from the block's first on, up to row_end, which is in the same span; codes are that
 * span's, and the block begins at row first of them. Returns how many rows were scanned: 0 when the
 * block has to be scanned otherwise. */
size_t coded_scan(const struct run *run, const struct block *block, const struct codes *codes,
                  uint64_t first, uint64_t row_end);
