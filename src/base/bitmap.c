#include "base/bitmap.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <string.h>

struct bitmap_chunk {
    atomic_uint references;
    uint64_t words[BITMAP_CHUNK_WORDS];
};

static void chunk_release(struct bitmap_chunk **chunk)
{
    if (*chunk && atomic_fetch_sub(&(*chunk)->references, 1) == 1) mem_free(chunk);
    *chunk = NULL;
}

void bitmap_fini(struct bitmap *bitmap)
{
    for (size_t i = 0; i < bitmap->chunk_count; i++) chunk_release(&bitmap->chunks[i]);
    mem_free(&bitmap->chunks);
    bitmap->chunk_count = 0;
}

wg_err bitmap_resize(struct bitmap *bitmap, uint64_t bit_count)
{
    size_t chunk_count = (bit_count + BITMAP_CHUNK_BITS - 1) / BITMAP_CHUNK_BITS;
    if (chunk_count <= bitmap->chunk_count) return WG_OK;
    wg_err err = mem_resize(&bitmap->chunks, chunk_count);
    if (err != WG_OK) return err;
    while (bitmap->chunk_count < chunk_count) bitmap->chunks[bitmap->chunk_count++] = NULL;
    return WG_OK;
}

wg_err bitmap_share(const struct bitmap *from, struct bitmap *out)
{
    wg_err err = bitmap_resize(out, (uint64_t)from->chunk_count * BITMAP_CHUNK_BITS);
    if (err != WG_OK) return err;
    for (size_t i = 0; i < from->chunk_count; i++) {
        out->chunks[i] = from->chunks[i];
        if (out->chunks[i]) atomic_fetch_add(&out->chunks[i]->references, 1);
    }
    return WG_OK;
}

/* Makes *chunk this bitmap's own. */
static wg_err chunk_own(struct bitmap_chunk **chunk)
{
    if (*chunk && atomic_load(&(*chunk)->references) == 1) return WG_OK;
    struct bitmap_chunk *own = NULL;
    wg_err err = mem_resize(&own, 1);
    if (err != WG_OK) return err;
    atomic_init(&own->references, 1);
    if (*chunk)
        memcpy(own->words, (*chunk)->words, sizeof own->words);
    else
        memset(own->words, 0xff, sizeof own->words);
    chunk_release(chunk);
    *chunk = own;
    return WG_OK;
}

wg_err bitmap_clear(struct bitmap *bitmap, uint64_t bit)
{
    struct bitmap_chunk **chunk = &bitmap->chunks[bit / BITMAP_CHUNK_BITS];
    wg_err err = chunk_own(chunk);
    if (err != WG_OK) return err;
    size_t i = bit % BITMAP_CHUNK_BITS;
    (*chunk)->words[i / 64] &= ~(UINT64_C(1) << i % 64);
    return WG_OK;
}

const uint64_t *bitmap_words(const struct bitmap *bitmap, size_t chunk)
{
    return chunk < bitmap->chunk_count && bitmap->chunks[chunk] ? bitmap->chunks[chunk]->words
                                                                : NULL;
}

/* The bits from bit on that are in the same word, those before end; the lowest is that of bit. */
static uint64_t word_at(const struct bitmap *bitmap, uint64_t bit, uint64_t end)
{
    const uint64_t *words = bitmap_words(bitmap, bit / BITMAP_CHUNK_BITS);
    uint64_t word = words ? words[bit % BITMAP_CHUNK_BITS / 64] : UINT64_MAX;
    word >>= bit % 64;
    if (end - bit < 64 - bit % 64) word &= (UINT64_C(1) << (end - bit)) - 1;
    return word;
}

uint64_t bitmap_count(const struct bitmap *bitmap, uint64_t first, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t bit = first; bit < first + count; bit += 64 - bit % 64)
        sum += (uint64_t)__builtin_popcountll(word_at(bitmap, bit, first + count));
    return sum;
}

uint64_t bitmap_next(const struct bitmap *bitmap, uint64_t first, uint64_t end)
{
    for (uint64_t bit = first; bit < end; bit += 64 - bit % 64) {
        uint64_t word = word_at(bitmap, bit, end);
        if (word != 0) return bit + (uint64_t)__builtin_ctzll(word);
    }
    return end;
}
