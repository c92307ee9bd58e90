#include "store/live.h"

#include "base/mem.h"

#include <roaring/roaring.h>

static wg_err no_memory(void)
{
    return wg_fail(WG_ENOMEM, "no memory for a bitmap of live rows");
}

static wg_err of_words(const uint64_t *words, uint32_t row_count, roaring_bitmap_t **out)
{
    uint32_t *rows = NULL, count = 0;
    wg_err err = mem_resize(&rows, row_count);
    if (err != WG_OK) return err;
    for (uint32_t row = 0; row < row_count; row++)
        if (words[row / 64] >> row % 64 & 1) rows[count++] = row;
    *out = roaring_bitmap_of_ptr(count, rows);
    mem_free(&rows);
    return *out ? WG_OK : no_memory();
}

wg_err live_encode(const struct bitmap *live, size_t chunk, uint32_t row_count, char **bytes,
                   size_t *size)
{
    wg_err err = WG_OK;
    roaring_bitmap_t *roaring = NULL;
    const uint64_t *words = bitmap_words(live, chunk);
    if (words)
        TRY(of_words(words, row_count, &roaring));
    else if (!(roaring = roaring_bitmap_from_range(0, row_count, 1)))
        TRY(no_memory());
    roaring_bitmap_run_optimize(roaring);
    size_t encoded = roaring_bitmap_portable_size_in_bytes(roaring);
    TRY(mem_resize(bytes, encoded));
    *size = roaring_bitmap_portable_serialize(roaring, *bytes);
out:
    if (roaring) roaring_bitmap_free(roaring);
    return err;
}

static wg_err clear_all(const roaring_bitmap_t *dead, size_t chunk, uint32_t row_count,
                        struct bitmap *live)
{
    wg_err err = WG_OK;
    roaring_uint32_iterator_t at;
    roaring_init_iterator(dead, &at);
    for (; at.has_value && err == WG_OK; roaring_advance_uint32_iterator(&at))
        err = at.current_value < row_count
                  ? bitmap_clear(live, (uint64_t)chunk * BITMAP_CHUNK_BITS + at.current_value)
                  : wg_fail(WG_ECORRUPT, "chunk %zu of the live rows is no bitmap", chunk);
    return err;
}

wg_err live_decode(struct bytes bytes, size_t chunk, uint32_t row_count, struct bitmap *live)
{
    wg_err err = WG_OK;
    roaring_bitmap_t *dead = NULL;
    roaring_bitmap_t *alive = roaring_bitmap_portable_deserialize_safe(bytes.start, bytes.size);
    if (!alive) return wg_fail(WG_ECORRUPT, "chunk %zu of the live rows is no bitmap", chunk);
    if (roaring_bitmap_get_cardinality(alive) > 0 && roaring_bitmap_maximum(alive) >= row_count)
        TRY(wg_fail(WG_ECORRUPT, "chunk %zu of the live rows has row %u of %u", chunk,
                    roaring_bitmap_maximum(alive), row_count));
    dead = roaring_bitmap_flip(alive, 0, row_count);
    if (!dead) TRY(no_memory());
    TRY(bitmap_resize(live, (uint64_t)chunk * BITMAP_CHUNK_BITS + row_count));
    TRY(clear_all(dead, chunk, row_count, live));
out:
    roaring_bitmap_free(alive);
    if (dead) roaring_bitmap_free(dead);
    return err;
}
