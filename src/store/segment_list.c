#include "store/segment_list.h"

#include "base/mem.h"

#include <inttypes.h>

uint64_t segment_list_end(const struct segment_list *list)
{
    if (list->count == 0) return list->commit.row_base;
    const struct segment *last = list->segments[list->count - 1];
    return last->header.first_row + last->row_count;
}

static wg_err check(const struct segment_list *list, uint32_t number,
                    const struct segment_record *record)
{
    if (record->first_row != segment_list_end(list))
        return wg_fail(WG_ECORRUPT, "segment %u has rows from %" PRIu64 ", expected from %" PRIu64,
                       number, record->first_row, segment_list_end(list));
    if (record->capacity > SEGMENT_ROWS_MAX || record->row_count > record->capacity)
        return wg_fail(WG_ECORRUPT, "segment %u has %" PRIu64 " rows, and room for %" PRIu64,
                       number, record->row_count, record->capacity);
    if (number >= list->commit.next_segment)
        return wg_fail(WG_ECORRUPT, "segment %u is there, and the next one would be %u", number,
                       list->commit.next_segment);
    return WG_OK;
}

wg_err segment_list_add(struct segment_list *list, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    struct segment_record record;
    if (key.size != sizeof(struct segment_key))
        return wg_fail(WG_ECORRUPT, "a segment's key of %zu bytes", key.size);
    TRY(RECORD_READ(value, &record, "a segment's record"));
    struct segment_params params = {
        .first_row = record.first_row,
        .capacity = record.capacity,
        .number = (uint32_t)key_number(key, key.size),
        .dim = list->space.dim,
    };
    TRY(check(list, params.number, &record));
    TRY(mem_resize(&list->segments, list->count + 1));
    TRY(segment_open(list->folder, &params, &record, list->read_only,
                     &list->segments[list->count]));
    list->count++;
out:
    return err;
}

void segment_list_fini(struct segment_list *list)
{
    for (size_t i = 0; i < list->count; i++) segment_release(&list->segments[i]);
    mem_free(&list->segments);
    list->count = 0;
}
