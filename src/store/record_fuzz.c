/* What the store reads from its tables, from any bytes: the first one says as what. Keys of ids are
 * id_fuzz's.
 *
 * live_decode gets bytes that live_encode made, not any: roaring checks that a bitmap's containers
 * end where the bytes do, not that what they hold is in order and in range, and the store gives it
 * only what has passed its checksum. */
#include "base/mem.h"
#include "store/history.h"
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
static void punch(uint64_t *words, uint32_t row_count, struct bytes rounds)
{
    for (size_t at = 0; at < rounds.size; at += 6) {
        uint32_t count = u16_at(rounds.start, rounds.size, at + 2) + 1;
        uint32_t step = u16_at(rounds.start, rounds.size, at + 4) + 1;
        for (uint64_t row = u16_at(rounds.start, rounds.size, at); row < row_count && count > 0;
             row += step, count--)
            words[row / 64] &= ~(UINT64_C(1) << row % 64);
    }
}

static void live_there_and_back(const uint8_t *data, size_t size)
{
    uint64_t words[BITMAP_CHUNK_WORDS] = { 0 }, back[BITMAP_CHUNK_WORDS];
    char *encoded = NULL;
    size_t encoded_size = 0, head = size < 2 ? size : 2;
    uint32_t row_count = u16_at(data, size, 0) + 1;
    for (uint32_t row = 0; row < row_count; row++) words[row / 64] |= UINT64_C(1) << row % 64;
    punch(words, row_count, (struct bytes){ data + head, size - head });
    must_ok(live_encode(words, row_count, &encoded, &encoded_size));
    must_ok(live_decode((struct bytes){ encoded, encoded_size }, row_count, back));
    must(memcmp(words, back, sizeof words) == 0, "other bits of %u", row_count);
    mem_free(&encoded);
}

/* A change that passes its check can be read to its end. */
static void read_changes(struct bytes value)
{
    struct change_reader reader;
    struct bytes key, payload;
    wg_err err = change_check(value);
    if (err != WG_OK) {
        must_be_corrupt(err);
        return;
    }
    must_ok(change_read(value, &reader));
    for (uint32_t i = 0; reader.record.flags != 0 && i < reader.record.count; i++) {
        must_ok(change_next(&reader, &key, &payload));
        const char *start = value.start, *at = key.start;
        must(at >= start && at + key.size == (const char *)payload.start &&
                 (const char *)payload.start + payload.size <= start + value.size,
             "point %u is outside the value", i);
    }
    must(reader.at == reader.end, "%td bytes are left", reader.end - reader.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct bytes value = { data + 1, size - 1 };
    size_t before = mem_in_use();
    switch (data[0] % 5) {
    case 0: read_point(value); break;
    case 1: read_format(value); break;
    case 2: read_commit(value); break;
    case 3: live_there_and_back(data + 1, size - 1); break;
    case 4: read_changes(value); break;
    }
    must(mem_in_use() == before, "%zu allocations are left, expected %zu", mem_in_use(), before);
    return 0;
}
