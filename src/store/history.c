#include "store/history.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

/* Payloads in the list take no more than this, whatever the number of points. */
static const uint64_t history_bytes_max = UINT64_C(64) << 20;

static wg_err fit(struct change_items *items, size_t size)
{
    if (items->room - items->size >= size) return WG_OK;
    size_t room = items->room * 2 + size;
    wg_err err = mem_resize(&items->bytes, room);
    if (err == WG_OK) items->room = room;
    return err;
}

static void add(struct change_items *items, const void *bytes, size_t size)
{
    if (size > 0) memcpy(items->bytes + items->size, bytes, size);
    items->size += size;
}

wg_err change_items_add(struct change_items *items, struct bytes key, struct bytes payload)
{
    struct change_item item = {
        .payload_size = (uint32_t)payload.size,
        .key_size = (uint16_t)key.size,
    };
    wg_err err = fit(items, sizeof item + key.size + payload.size);
    if (err != WG_OK) return err;
    add(items, &item, sizeof item);
    add(items, key.start, key.size);
    add(items, payload.start, payload.size);
    return WG_OK;
}

void change_items_fini(struct change_items *items)
{
    mem_free(&items->bytes);
    *items = (struct change_items){ 0 };
}

/* The first record of the list; *found false: it is empty. */
static wg_err first_record(struct db_txn *txn, unsigned table, bool *found, uint64_t *sequence,
                           struct change_record *record, size_t *size)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    struct bytes key, value;
    TRY(db_cursor_open(txn, table, &cursor));
    TRY(db_next(&cursor, found, &key, &value));
    if (!*found) goto out;
    struct change_reader reader;
    TRY(change_read(value, &reader));
    *sequence = change_key_sequence(key);
    *record = reader.record;
    *size = value.size;
out:
    db_cursor_close(&cursor);
    return err;
}

static wg_err drop_oldest(struct db_txn *txn, unsigned table, struct commit_record *commit)
{
    wg_err err = WG_OK;
    bool found;
    uint64_t sequence;
    struct change_record record;
    size_t size;
    TRY(first_record(txn, table, &found, &sequence, &record, &size));
    if (!found) TRY(wg_fail(WG_ECORRUPT, "the list of changes is shorter than its counts"));
    struct change_key key = change_key_of(sequence);
    TRY(db_delete(txn, table, KEY_BYTES(key)));
    commit->history_count -= record.count;
    commit->history_bytes -= size;
    commit->horizon = sequence;
    TRY(first_record(txn, table, &found, &sequence, &record, &size));
    commit->history_row = found ? record.first_row : commit->row_end;
out:
    return err;
}

wg_err history_put(struct db_txn *txn, unsigned table, struct commit_record *commit,
                   const struct history_entry *entry)
{
    wg_err err = WG_OK;
    struct change_key key = change_key_of(commit->sequence);
    struct pieces value = { { &entry->record, sizeof entry->record }, entry->items };
    if (commit->horizon + 1 == commit->sequence) commit->history_row = entry->record.first_row;
    TRY(db_put_pieces(txn, table, KEY_BYTES(key), value));
    commit->history_count += entry->record.count;
    commit->history_bytes += value.first.size + value.second.size;
    while (commit->horizon < commit->sequence &&
           (commit->history_count > entry->limit || commit->history_bytes > history_bytes_max))
        TRY(drop_oldest(txn, table, commit));
out:
    return err;
}

wg_err history_empty(struct db_txn *txn, unsigned table, struct commit_record *commit)
{
    commit->history_count = commit->history_bytes = 0;
    commit->horizon = commit->sequence;
    commit->history_row = commit->row_end;
    return db_empty(txn, table);
}

wg_err change_read(struct bytes value, struct change_reader *out)
{
    struct change_reader reader;
    if (value.size < sizeof reader.record)
        return wg_fail(WG_ECORRUPT, "a change's record of %zu bytes, expected at least %zu",
                       value.size, sizeof reader.record);
    memcpy(&reader.record, value.start, sizeof reader.record);
    reader.at = (const char *)value.start + sizeof reader.record;
    reader.end = (const char *)value.start + value.size;
    *out = reader;
    return WG_OK;
}

wg_err change_next(struct change_reader *reader, struct bytes *key, struct bytes *payload)
{
    struct change_item item;
    size_t left = (size_t)(reader->end - reader->at);
    if (left >= sizeof item) memcpy(&item, reader->at, sizeof item);
    if (left < sizeof item || left - sizeof item < (size_t)item.key_size + item.payload_size)
        return wg_fail(WG_ECORRUPT, "a change's record ends within a point");
    *key = (struct bytes){ reader->at + sizeof item, item.key_size };
    *payload = (struct bytes){ reader->at + sizeof item + item.key_size, item.payload_size };
    reader->at += sizeof item + item.key_size + item.payload_size;
    return WG_OK;
}

wg_err change_check(struct bytes value)
{
    wg_err err = WG_OK;
    struct change_reader reader;
    struct bytes key, payload;
    TRY(change_read(value, &reader));
    const struct change_record *r = &reader.record;
    bool is_upsert = r->kind == CHANGE_UPSERT, is_clear = r->kind == CHANGE_CLEAR;
    if (r->kind < CHANGE_UPSERT || r->kind > CHANGE_CLEAR || r->flags > CHANGE_HAS_ITEMS ||
        (r->flags == 0) != (is_clear || (is_upsert && reader.at == reader.end)) ||
        (is_clear && r->count != 0))
        TRY(wg_fail(WG_ECORRUPT, "a change of kind %u, with flags %u", r->kind, r->flags));
    for (uint32_t i = 0; r->flags != 0 && i < r->count; i++) {
        TRY(change_next(&reader, &key, &payload));
        if ((key.size == 0) != is_upsert)
            TRY(wg_fail(WG_ECORRUPT, "point %" PRIu32 " of a change: a key of %zu bytes", i,
                        key.size));
    }
    if (reader.at != reader.end) TRY(wg_fail(WG_ECORRUPT, "a change's record is too long"));
out:
    return err;
}
