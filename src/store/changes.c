#include "store/changes.h"

#include "base/size.h"
#include "device/row.h"
#include "store/history.h"
#include "store/id.h"

#include <inttypes.h>
#include <string.h>

void changes_fini(struct changes *changes)
{
    view_release(&changes->view);
    arena_fini(&changes->arena);
}

static wg_err take_array(struct arena *arena, size_t count, size_t size, void *out)
{
    void *room;
    size_t bytes;
    wg_err err = size_multiply(count, size, &bytes);
    if (err == WG_OK) err = arena_take(arena, bytes, &room);
    if (err == WG_OK) memcpy(out, &room, sizeof room);
    return err;
}

/* The rows of an upsert, which the compaction has kept. */
static wg_err read_rows(struct changes *out, const struct change_record *record, wg_id *ids,
                        char *vectors)
{
    size_t size = row_size(out->view->source.type, out->view->source.dim);
    for (uint32_t i = 0; i < record->count; i++) {
        uint64_t position, row = record->first_row + i;
        struct view_row found;
        if (!layout_find(&out->view->layout, row, &position))
            return wg_fail(WG_ECORRUPT, "a change names row %" PRIu64 ", which is not there", row);
        wg_err err = view_read(out->view, position, &found);
        if (err != WG_OK) return err;
        ids[i] = found.id;
        memcpy(vectors + i * size, found.vector, size);
    }
    return WG_OK;
}

static wg_err read_items(struct changes *out, struct change_reader *reader, wg_id *ids,
                         const char **payloads)
{
    wg_err err = WG_OK;
    for (uint32_t i = 0; i < reader->record.count; i++) {
        struct bytes key, payload;
        char *copy;
        TRY(change_next(reader, &key, &payload));
        if (reader->record.kind != CHANGE_UPSERT) {
            TRY(arena_copy(&out->arena, key.start, key.size, &copy));
            TRY(id_from_key((struct bytes){ copy, key.size }, &ids[i]));
        }
        payloads[i] = NULL;
        if (payload.size == 0) continue;
        TRY(arena_copy(&out->arena, payload.start, payload.size, &copy));
        payloads[i] = copy;
    }
out:
    return err;
}

static wg_err read_change(struct changes *out, uint64_t sequence, struct bytes value,
                          wg_change *change)
{
    wg_err err = WG_OK;
    struct change_reader reader;
    wg_id *ids = NULL;
    char *vectors = NULL;
    const char **payloads = NULL;
    TRY(change_check(value));
    TRY(change_read(value, &reader));
    const struct change_record *record = &reader.record;
    TRY(take_array(&out->arena, record->count, sizeof *ids, &ids));
    if (record->kind == CHANGE_UPSERT) {
        TRY(take_array(&out->arena, record->count,
                       row_size(out->view->source.type, out->view->source.dim), &vectors));
        TRY(read_rows(out, record, ids, vectors));
    }
    if (record->flags & CHANGE_HAS_ITEMS) {
        TRY(take_array(&out->arena, record->count, sizeof *payloads, &payloads));
        TRY(read_items(out, &reader, ids, payloads));
    }
    *change = (wg_change){
        .size = sizeof *change,
        .kind = (wg_change_kind)record->kind,
        .epoch = out->view->commit.epoch,
        .sequence = sequence,
        .chain_hash = record->chain_hash,
        .dim = (uint32_t)out->view->source.dim,
        .metric = out->metric,
        .type = out->type,
        .count = record->count,
        .ids = ids,
        .data = vectors,
        .payloads = payloads,
    };
out:
    return err;
}

static wg_err check_since(const struct collection *c, const struct commit_record *commit,
                          uint64_t since, size_t limit)
{
    if (limit == 0) return wg_fail(WG_EINVAL, "limit is 0; expected at least 1");
    if (since > commit->sequence)
        return wg_fail(WG_EINVAL, "since is %" PRIu64 "; collection \"%s\" stands at %" PRIu64,
                       since, c->name, commit->sequence);
    if (since < commit->horizon)
        return wg_fail(WG_EGONE,
                       "the changes of collection \"%s\" are kept from %" PRIu64
                       " on, and since is %" PRIu64 ": begin with a snapshot",
                       c->name, commit->horizon, since);
    return WG_OK;
}

wg_err collection_changes(struct collection *c, uint64_t since, size_t limit, struct changes *out)
{
    wg_err err = WG_OK;
    struct snapshot snapshot = { 0 };
    *out = (struct changes){ 0 };
    TRY(snapshot_begin(c, &snapshot));
    out->view = view_retain(snapshot.view);
    out->metric = (wg_metric)c->space.metric;
    out->type = (wg_type)c->space.type;
    const struct commit_record *commit = &out->view->commit;
    TRY(check_since(c, commit, since, limit));
    uint64_t there = commit->sequence - since;
    if (there < limit) limit = (size_t)there;
    TRY(take_array(&out->arena, limit, sizeof *out->changes, &out->changes));
    for (; out->count < limit; out->count++) {
        uint64_t sequence = since + 1 + out->count;
        struct change_key key = change_key_of(sequence);
        struct bytes value;
        bool found;
        TRY(db_get(&snapshot.txn, TABLE_CHANGES, KEY_BYTES(key), &found, &value));
        if (!found)
            TRY(wg_fail(WG_ECORRUPT, "%s: change %" PRIu64 " is missing", c->folder, sequence));
        TRY(read_change(out, sequence, value, &out->changes[out->count]));
    }
out:
    snapshot_end(&snapshot);
    return err;
}
