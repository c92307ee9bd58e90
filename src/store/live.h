#pragma once
/* Live bits on disk: the rows of a chunk of 65,536 that are live, as a portable roaring bitmap
 * (Lemire et al., "Roaring bitmaps: implementation of an optimized software library", 2018). */
#include "base/bitmap.h"
#include "store/db.h"

/* The first row_count bits of words, BITMAP_CHUNK_WORDS of them; *bytes is the caller's, freed by
 * mem_free. */
WG_CHECKED wg_err live_encode(const uint64_t *words, uint32_t row_count, char **bytes,
                              size_t *size);
/* Fills words. WG_ECORRUPT: not a bitmap of row_count bits. The bytes have passed their checksum.
 * */
WG_CHECKED wg_err live_decode(struct bytes bytes, uint32_t row_count, uint64_t *words);
