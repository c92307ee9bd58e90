#pragma once
/* A bit for each row, in chunks of 65,536: which rows are live in one view. A chunk in which every
 * bit is set takes no memory. Chunks are counted references, so that the bitmap of the next view
 * shares all that did not change. A bitmap is written by one thread before others see it; then it
 * is read-only, by any thread. */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BITMAP_CHUNK_BITS = 65536, BITMAP_CHUNK_WORDS = BITMAP_CHUNK_BITS / 64 };

struct bitmap_chunk;

struct bitmap {
    struct bitmap_chunk **chunks; /* NULL: all set */
    size_t chunk_count;
};

void bitmap_fini(struct bitmap *bitmap);

/* Bits beyond the old end are set. */
WG_CHECKED wg_err bitmap_resize(struct bitmap *bitmap, uint64_t bit_count);
/* Shares the chunks of from; *out must be zero. */
WG_CHECKED wg_err bitmap_share(const struct bitmap *from, struct bitmap *out);
/* Copies the chunk first when another bitmap shares it. */
WG_CHECKED wg_err bitmap_clear(struct bitmap *bitmap, uint64_t bit);

/* BITMAP_CHUNK_WORDS words, bit i of the chunk at word i / 64, bit i % 64; NULL: all set, also
 * beyond the last chunk. */
const uint64_t *bitmap_words(const struct bitmap *bitmap, size_t chunk);

/* How many bits are set among count from first on. */
uint64_t bitmap_count(const struct bitmap *bitmap, uint64_t first, uint64_t count);
/* The first bit that is set, from first on; end: none before it. */
uint64_t bitmap_next(const struct bitmap *bitmap, uint64_t first, uint64_t end);

static inline bool bitmap_get(const struct bitmap *bitmap, uint64_t bit)
{
    const uint64_t *words = bitmap_words(bitmap, bit / BITMAP_CHUNK_BITS);
    size_t i = bit % BITMAP_CHUNK_BITS;
    return !words || (words[i / 64] >> i % 64 & 1);
}
