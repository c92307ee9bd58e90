#include "store/layout.h"

#include "base/mem.h"
#include "store/archive.h"

#include <inttypes.h>
#include <string.h>

wg_err layout_copy(const struct layout *from, struct layout *out)
{
    wg_err err = mem_resize(&out->placed, from->count);
    if (err != WG_OK) return err;
    for (size_t i = 0; i < from->count; i++) {
        out->placed[i] = from->placed[i];
        segment_retain(out->placed[i].segment);
    }
    out->count = from->count;
    return WG_OK;
}

wg_err layout_add(struct layout *layout, struct segment *take, uint64_t row_count)
{
    wg_err err = mem_resize(&layout->placed, layout->count + 1);
    if (err != WG_OK) {
        segment_release(&take);
        return err;
    }
    layout->placed[layout->count] = (struct placed){
        .segment = take,
        .position = layout_end(layout),
        .row_count = row_count,
    };
    layout->count++;
    return WG_OK;
}

void layout_fini(struct layout *layout)
{
    for (size_t i = 0; i < layout->count; i++) segment_release(&layout->placed[i].segment);
    mem_free(&layout->placed);
    layout->count = 0;
}

uint64_t layout_end(const struct layout *layout)
{
    if (layout->count == 0) return 0;
    const struct placed *last = &layout->placed[layout->count - 1];
    return last->position + last->row_count;
}

const struct placed *layout_at(const struct layout *layout, uint64_t position, uint64_t *i)
{
    size_t low = 0, high = layout->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (layout->placed[middle].position <= position)
            low = middle;
        else
            high = middle;
    }
    *i = position - layout->placed[low].position;
    return &layout->placed[low];
}

uint64_t layout_row(const struct layout *layout, uint64_t position)
{
    uint64_t i;
    const struct placed *placed = layout_at(layout, position, &i);
    return segment_row(placed->segment, i);
}

uint64_t layout_lower(const struct layout *layout, uint64_t row)
{
    size_t low = 0, high = layout->count;
    if (high == 0) return 0;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (layout->placed[middle].segment->header.first_row <= row)
            low = middle;
        else
            high = middle;
    }
    const struct placed *placed = &layout->placed[low];
    return placed->position + segment_find(placed->segment, placed->row_count, row);
}

bool layout_find(const struct layout *layout, uint64_t row, uint64_t *position)
{
    *position = layout_lower(layout, row);
    return *position < layout_end(layout) && layout_row(layout, *position) == row;
}

/* 64 bits from a position on. */
static uint64_t bits_at(const struct bitmap *live, uint64_t position)
{
    uint64_t pair[2];
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t at = position / 64 + i;
        const uint64_t *words = bitmap_words(live, at / BITMAP_CHUNK_WORDS);
        pair[i] = words ? words[at % BITMAP_CHUNK_WORDS] : UINT64_MAX;
    }
    unsigned shift = position % 64;
    return shift == 0 ? pair[0] : pair[0] >> shift | pair[1] << (64 - shift);
}

/* Rows whose numbers follow on each other: count bits from position on go to bit `to` on. */
static void copy_bits(const struct bitmap *live, uint64_t position, uint64_t count, uint64_t to,
                      uint64_t *words)
{
    for (uint64_t n; count > 0; position += n, to += n, count -= n) {
        n = 64 - to % 64 < count ? 64 - to % 64 : count;
        uint64_t bits = bits_at(live, position);
        if (n < 64) bits &= (UINT64_C(1) << n) - 1;
        words[to / 64] |= bits << to % 64;
    }
}

wg_err layout_copy_live(const struct live_range *range, struct bitmap *live, uint64_t to)
{
    wg_err err = bitmap_resize(live, to + range->count);
    for (uint64_t i = 0; i < range->count && err == WG_OK; i += 64) {
        uint64_t left = range->count - i;
        uint64_t dead = ~bits_at(range->live, range->from + i);
        if (left < 64) dead &= (UINT64_C(1) << left) - 1;
        for (; dead != 0 && err == WG_OK; dead &= dead - 1)
            err = bitmap_clear(live, to + i + (uint64_t)__builtin_ctzll(dead));
    }
    return err;
}

void layout_get_live(const struct layout *layout, const struct bitmap *live, uint32_t chunk,
                     uint64_t *words)
{
    uint64_t first = (uint64_t)chunk * BITMAP_CHUNK_BITS;
    uint64_t end = layout_lower(layout, first + BITMAP_CHUNK_BITS);
    memset(words, 0, BITMAP_CHUNK_WORDS * sizeof *words);
    for (uint64_t p = layout_lower(layout, first), count; p < end; p += count) {
        uint64_t i;
        const struct placed *placed = layout_at(layout, p, &i);
        count = placed->row_count - i < end - p ? placed->row_count - i : end - p;
        bool packed = placed->segment->header.numbers_offset != 0;
        for (uint64_t j = 0; packed && j < count; j++)
            copy_bits(live, p + j, 1, segment_row(placed->segment, i + j) - first, words);
        if (!packed) copy_bits(live, p, count, segment_row(placed->segment, i) - first, words);
    }
}

static uint64_t count_bits(const uint64_t *words)
{
    uint64_t count = 0;
    for (size_t i = 0; i < BITMAP_CHUNK_WORDS; i++)
        count += (uint64_t)__builtin_popcountll(words[i]);
    return count;
}

wg_err layout_set_live(struct layout *layout, uint32_t chunk, const uint64_t *words,
                       struct bitmap *live)
{
    uint64_t first = (uint64_t)chunk * BITMAP_CHUNK_BITS, alive = 0;
    uint64_t end = layout_lower(layout, first + BITMAP_CHUNK_BITS);
    for (uint64_t p = layout_lower(layout, first); p < end;) {
        uint64_t i;
        struct placed *placed = &layout->placed[layout_at(layout, p, &i) - layout->placed];
        for (; i < placed->row_count && p < end; i++, p++) {
            uint64_t bit = segment_row(placed->segment, i) - first;
            bool is_live = words[bit / 64] >> bit % 64 & 1;
            alive += is_live;
            placed->dead_count += !is_live;
            wg_err err = is_live ? WG_OK : bitmap_clear(live, p);
            if (err != WG_OK) return err;
        }
    }
    if (alive == count_bits(words)) return WG_OK;
    return wg_fail(WG_ECORRUPT, "%" PRIu64 " live rows of chunk %" PRIu32 " are in no segment",
                   count_bits(words) - alive, chunk);
}

/* Behind the last row's number. */
static uint64_t rows_end(const struct layout *layout, const struct commit_record *commit)
{
    if (layout->count == 0) return commit->row_base;
    const struct placed *last = &layout->placed[layout->count - 1];
    bool packed = last->segment->header.numbers_offset != 0;
    return packed ? last->segment->end_row : last->segment->header.first_row + last->row_count;
}

static wg_err check(const struct layout *layout, const struct layout_source *source,
                    uint64_t first_row, const struct segment_record *record)
{
    uint64_t end = rows_end(layout, source->commit);
    if (first_row < end || record->end_row < first_row || record->end_row > source->commit->row_end)
        return wg_fail(WG_ECORRUPT,
                       "segment %u has rows from %" PRIu64 " to %" PRIu64
                       ", expected them from %" PRIu64 " to %" PRIu64,
                       record->number, first_row, record->end_row, end, source->commit->row_end);
    uint64_t span = record->end_row - first_row;
    if (record->capacity > SEGMENT_ROWS_MAX || record->row_count > record->capacity ||
        record->row_count > span || (!record->packed && record->row_count != span))
        return wg_fail(WG_ECORRUPT, "segment %u has %" PRIu64 " rows, and room for %" PRIu64,
                       record->number, record->row_count, record->capacity);
    if (record->number >= source->commit->next_segment)
        return wg_fail(WG_ECORRUPT, "segment %u is there, and the next one would be %u",
                       record->number, source->commit->next_segment);
    return WG_OK;
}

/* The same segment of another layout; NULL: it has none. */
static struct segment *find_same(const struct layout_source *source, uint64_t first_row,
                                 const struct segment_record *record)
{
    const struct layout *before = source->before;
    for (size_t i = 0; before && i < before->count; i++) {
        struct segment *s = before->placed[i].segment;
        if (s->header.number != record->number || s->header.first_row != first_row ||
            s->header.capacity != record->capacity)
            continue;
        uint64_t size = s->strings_size;
        while (size < record->strings_size &&
               !atomic_compare_exchange_weak(&s->strings_size, &size, record->strings_size)) {
        }
        return segment_retain(s);
    }
    return NULL;
}

/* Of a segment that is part of an archive. */
static wg_err find_part(const struct layout_source *source, uint32_t number,
                        struct segment_place *place)
{
    char name[32];
    const struct archive *archive = db_archive(source->db);
    segment_name(0, number, name);
    const struct archive_part *part = archive_find(archive, source->folder, name);
    if (!part || part->root.offset % ARCHIVE_SEGMENT_ALIGN != 0)
        return wg_fail(WG_ECORRUPT, "%s/%s: is %s", source->folder, name,
                       part ? "not where it can be mapped" : "missing");
    *place = (struct segment_place){ archive_path(archive), part->root.offset, true };
    return WG_OK;
}

wg_err layout_load(struct layout *layout, const struct layout_source *source, struct bytes key,
                   struct bytes value)
{
    wg_err err = WG_OK;
    struct segment_record record;
    struct segment *segment;
    if (key.size != sizeof(struct row_key))
        return wg_fail(WG_ECORRUPT, "a segment's key of %zu bytes", key.size);
    TRY(RECORD_READ(value, &record, "a segment's record"));
    uint64_t first_row = key_number(key);
    TRY(check(layout, source, first_row, &record));
    segment = find_same(source, first_row, &record);
    if (!segment) {
        struct segment_params params = {
            .first_row = first_row,
            .capacity = record.capacity,
            .end_row = record.end_row,
            .number = record.number,
            .dim = source->dim,
            .type = source->type,
            .packed = record.packed != 0,
        };
        struct segment_place place = { .folder = source->folder };
        if (source->db && db_archive(source->db)) TRY(find_part(source, record.number, &place));
        TRY(segment_open(&place, &params, &record,
                         source->read_only                          ? SEGMENT_READ_ONLY
                         : record.end_row < source->commit->row_end ? SEGMENT_SEALED
                                                                    : SEGMENT_APPEND,
                         &segment));
    }
    TRY(layout_add(layout, segment, record.row_count));
out:
    return err;
}

wg_err layout_load_all(struct layout *layout, const struct layout_source *source,
                       struct db_txn *txn, unsigned table)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    struct bytes key, value;
    bool found;
    TRY(db_cursor_open(txn, table, &cursor));
    for (;;) {
        TRY(db_next(&cursor, &found, &key, &value));
        if (!found) break;
        TRY(layout_load(layout, source, key, value));
    }
out:
    db_cursor_close(&cursor);
    return err;
}
