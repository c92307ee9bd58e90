#include "store/live.h"

#include "base/mem.h"

#include <roaring/roaring.h>
#include <string.h>

static wg_err no_memory(void)
{
    return wg_fail(WG_ENOMEM, "no memory for a bitmap of live rows");
}

/* The rows that are dead: few, as a rule. */
static wg_err dead_of(const uint64_t *words, uint32_t row_count, roaring_bitmap_t **out)
{
    uint32_t *rows = NULL, count = 0;
    wg_err err = mem_resize(&rows, row_count);
    if (err != WG_OK) return err;
    for (uint32_t first = 0; first < row_count; first += 64) {
        uint32_t left = row_count - first;
        uint64_t dead = ~words[first / 64] & (left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX);
        for (; dead != 0; dead &= dead - 1) rows[count++] = first + (uint32_t)__builtin_ctzll(dead);
    }
    *out = roaring_bitmap_of_ptr(count, rows);
    mem_free(&rows);
    return *out ? WG_OK : no_memory();
}

wg_err live_encode(const uint64_t *words, uint32_t row_count, char **bytes, size_t *size)
{
    wg_err err = WG_OK;
    roaring_bitmap_t *dead = NULL, *alive = NULL;
    TRY(dead_of(words, row_count, &dead));
    alive = roaring_bitmap_flip(dead, 0, row_count);
    if (!alive) TRY(no_memory());
    roaring_bitmap_run_optimize(alive);
    size_t encoded = roaring_bitmap_portable_size_in_bytes(alive);
    TRY(mem_resize(bytes, encoded));
    *size = roaring_bitmap_portable_serialize(alive, *bytes);
out:
    if (dead) roaring_bitmap_free(dead);
    if (alive) roaring_bitmap_free(alive);
    return err;
}

wg_err live_decode(struct bytes bytes, uint32_t row_count, uint64_t *words)
{
    wg_err err = WG_OK;
    roaring_uint32_iterator_t at;
    roaring_bitmap_t *dead = NULL;
    roaring_bitmap_t *alive = roaring_bitmap_portable_deserialize_safe(bytes.start, bytes.size);
    if (!alive) return wg_fail(WG_ECORRUPT, "a chunk of the live rows is no bitmap");
    if (roaring_bitmap_get_cardinality(alive) > 0 && roaring_bitmap_maximum(alive) >= row_count)
        TRY(wg_fail(WG_ECORRUPT, "a chunk of the live rows has row %u of %u",
                    roaring_bitmap_maximum(alive), row_count));
    dead = roaring_bitmap_flip(alive, 0, row_count);
    if (!dead) TRY(no_memory());
    memset(words, 0, BITMAP_CHUNK_WORDS * sizeof *words);
    for (uint32_t row = 0; row < row_count; row += 64)
        words[row / 64] =
            row_count - row < 64 ? (UINT64_C(1) << (row_count - row)) - 1 : UINT64_MAX;
    roaring_init_iterator(dead, &at);
    for (; at.has_value; roaring_advance_uint32_iterator(&at)) {
        if (at.current_value >= row_count)
            TRY(wg_fail(WG_ECORRUPT, "a chunk of the live rows is no bitmap"));
        words[at.current_value / 64] &= ~(UINT64_C(1) << at.current_value % 64);
    }
out:
    roaring_bitmap_free(alive);
    if (dead) roaring_bitmap_free(dead);
    return err;
}
