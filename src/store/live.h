#pragma once
/* Live bits on disk: the rows of a chunk of 65,536 that are live, as a portable roaring bitmap
 * (Lemire et al., "Roaring bitmaps: implementation of an optimized software library", 2018). */
#include "base/bitmap.h"
#include "store/db.h"

/* The first row_count bits of a chunk; *bytes is the caller's, freed by mem_free. */
WG_CHECKED wg_err live_encode(const struct bitmap *live, size_t chunk, uint32_t row_count,
                              char **bytes, size_t *size);
/* Clears in live what the bytes do not have. WG_ECORRUPT: not a bitmap of row_count bits. The bytes
 * have passed their checksum. */
WG_CHECKED wg_err live_decode(struct bytes bytes, size_t chunk, uint32_t row_count,
                              struct bitmap *live);
