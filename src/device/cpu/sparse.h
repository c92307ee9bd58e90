#pragma once
/* A scan of rows of which few are live: those are copied together, so that only they are read and
 * scored, by the same kernels as whole blocks. Ranges without a live row are skipped. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block;
struct run;

/* Scans live rows from the block's first on, up to row_end, which is in the same span. coded: the
 * rows have codes, by which a full scan is faster. Returns how many rows are done with: 0 when too
 * many are live, and the block has to be scanned otherwise. */
size_t sparse_scan(const struct run *run, const struct block *block, uint64_t row_end, bool coded);
