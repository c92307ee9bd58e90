/* What the store reads from its tables, from any bytes: the first one says as what. Keys of ids are
 * id_fuzz's.
 *
 * live_decode gets bytes that live_encode made, not any: roaring checks that a bitmap's containers
 * end where the bytes do, not that what they hold is in order and in range, and the store gives it
 * only what has passed its checksum. */
#include "base/mem.h"
#include "store/live.h"
#include "store/record.h"
#include "support/check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_corrupt(wg_err err)
{
    must(err == WG_ECORRUPT && wg_message()[0], "%d: \"%s\"", err, wg_message());
}

static void read_point(struct bytes value)
{
    struct point point;
    wg_err err = point_read(value, &point);
    if (err != WG_OK) {
        must_be_corrupt(err);
        return;
    }
    const char *end = (const char *)value.start + value.size;
    size_t heads = sizeof point.head + sizeof point.rows;
    must(point.payload + point.head.payload_size == end, "the payload does not end the value");
    must(memcmp(&point.head, value.start, sizeof point.head) == 0, "another head");
    must(memcmp(&point.rows, point.payload - sizeof point.rows, sizeof point.rows) == 0,
         "other rows");
    must(point.payload == (const char *)value.start + heads, "the payload is not behind the rows");
    for (const char *at = point.payload; at < end; at++) (void)*(const volatile char *)at;
}

static void read_format(struct bytes value)
{
    struct format_record format;
    wg_err err = RECORD_READ(value, &format, "format");
    must((err == WG_OK) == (value.size == sizeof format), "%zu bytes: %d", value.size, err);
    if (err != WG_OK) {
        must_be_corrupt(err);
        return;
    }
    must(memcmp(&format, value.start, sizeof format) == 0, "another record");
    wg_err to_read = format_check(&format, "a", true), to_write = format_check(&format, "a", false);
    must(to_read == WG_OK || to_read == WG_ECORRUPT || to_read == WG_EVERSION, "%d", to_read);
    must(to_write == to_read || (to_read == WG_OK && to_write == WG_EREADONLY), "%d and %d",
         to_read, to_write);
    must(to_write == WG_OK || wg_message()[0], "%d without a message", to_write);
}

static void read_commit(struct bytes value)
{
    struct commit_record commit;
    wg_err err = RECORD_READ(value, &commit, "commit");
    must((err == WG_OK) == (value.size == sizeof commit), "%zu bytes: %d", value.size, err);
    if (err == WG_OK)
        must(memcmp(&commit, value.start, sizeof commit) == 0, "another record");
    else
        must_be_corrupt(err);
}

static uint32_t u16_at(const uint8_t *data, size_t size, size_t at)
{
    return at + 1 < size ? data[at] | (uint32_t)data[at + 1] << 8 : 0;
}

/* Each six bytes: clear count bits from first on, a step apart. Few and far: an array; many: a
 * bitmap's words; close: runs. */
static void punch(struct bitmap *live, uint64_t base, uint32_t row_count, struct bytes rounds)
{
    for (size_t at = 0; at < rounds.size; at += 6) {
        uint32_t count = u16_at(rounds.start, rounds.size, at + 2) + 1;
        uint32_t step = u16_at(rounds.start, rounds.size, at + 4) + 1;
        for (uint64_t row = u16_at(rounds.start, rounds.size, at); row < row_count && count > 0;
             row += step, count--)
            must_ok(bitmap_clear(live, base + row));
    }
}

static void must_have_same_bits(const struct bitmap *a, const struct bitmap *b, size_t chunk)
{
    const uint64_t *x = bitmap_words(a, chunk), *y = bitmap_words(b, chunk);
    for (size_t i = 0; i < BITMAP_CHUNK_WORDS; i++)
        must((x ? x[i] : UINT64_MAX) == (y ? y[i] : UINT64_MAX), "word %zu of chunk %zu", i, chunk);
}

static void live_there_and_back(const uint8_t *data, size_t size)
{
    struct bitmap live = { 0 }, back = { 0 };
    char *encoded = NULL;
    size_t encoded_size = 0, chunk = size > 0 ? data[0] % 3 : 0, head = size < 3 ? size : 3;
    uint32_t row_count = u16_at(data, size, 1) + 1;
    uint64_t base = (uint64_t)chunk * BITMAP_CHUNK_BITS;
    must_ok(bitmap_resize(&live, base + row_count));
    must_ok(bitmap_resize(&back, base + row_count));
    punch(&live, base, row_count, (struct bytes){ data + head, size - head });
    must_ok(live_encode(&live, chunk, row_count, &encoded, &encoded_size));
    must_ok(live_decode((struct bytes){ encoded, encoded_size }, chunk, row_count, &back));
    for (size_t i = 0; i <= chunk; i++) must_have_same_bits(&live, &back, i);
    mem_free(&encoded);
    bitmap_fini(&live);
    bitmap_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct bytes value = { data + 1, size - 1 };
    size_t before = mem_in_use();
    switch (data[0] % 4) {
    case 0: read_point(value); break;
    case 1: read_format(value); break;
    case 2: read_commit(value); break;
    case 3: live_there_and_back(data + 1, size - 1); break;
    }
    must(mem_in_use() == before, "%zu allocations are left, expected %zu", mem_in_use(), before);
    return 0;
}
