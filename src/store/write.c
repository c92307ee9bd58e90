#include "store/write.h"

#include "base/arena.h"
#include "base/checksum.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/commit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What one call writes. A queued one owns all that it points to, in its arena; another one borrows
 * it from its caller. */
struct batch {
    struct write write; /* first: a write is its batch */
    struct arena arena;
    enum change change;
    size_t count;
    wg_id *ids;     /* normal: a string that reads as a UUID is one */
    struct place {
        const wg_id *id;
        size_t i;
    } *order;      /* of the ids, by their keys; NULL: they rise as they are */
    uint32_t *sums; /* of an upsert's rows */
    const void *vectors;
    const char *const *payloads;
    const uint64_t *if_versions;
    const char *merged; /* a payload to merge into those of the points; NULL: they are cleared */
    const struct replay *replay;
    size_t touched; /* out */
};

static struct batch *batch_of(struct write *write)
{
    return (struct batch *)write;
}

static wg_err fail_id(wg_err err, const wg_id *id)
{
    char text[WG_ID_TEXT_SIZE];
    id_format(id, text, sizeof text);
    return wg_fail(err, "id %s: %s", text, wg_message());
}

static wg_err find_point(struct commit *commit, const struct id_key *key, bool *found,
                         struct point *point)
{
    struct bytes value;
    wg_err err = db_get(&commit->txn, TABLE_POINTS, id_key_bytes(key), found, &value);
    return err == WG_OK && *found ? point_read(value, point) : err;
}

static wg_err check_version(const struct point *found, uint64_t expected)
{
    if (!found && expected == 0) return WG_OK;
    if (!found)
        return wg_fail(WG_ECONFLICT, "there is no such point, expected version %" PRIu64, expected);
    if (found->head.version == expected) return WG_OK;
    if (expected == 0)
        return wg_fail(WG_ECONFLICT, "the point has version %" PRIu64 ", expected none to be there",
                       found->head.version);
    return wg_fail(WG_ECONFLICT, "the point has version %" PRIu64 ", expected %" PRIu64,
                   found->head.version, expected);
}

static wg_err judge_versions(struct commit *commit, struct write *write)
{
    const struct batch *batch = batch_of(write);
    wg_err err = WG_OK;
    for (size_t i = 0; batch->if_versions && i < batch->count && err == WG_OK; i++) {
        struct id_key key;
        struct point point;
        bool found;
        TRY(id_key_make(&batch->ids[i], i, &key));
        TRY(find_point(commit, &key, &found, &point));
        err = check_version(found ? &point : NULL, batch->if_versions[i]);
        if (err != WG_OK) err = fail_id(err, &batch->ids[i]);
    }
out:
    return err;
}

/* The record of a point, but for its payload. */
struct point_head {
    struct point_record record;
    struct point_rows rows;
};

static struct point_head head_of(const struct commit *commit, uint64_t row, size_t payload_size)
{
    return (struct point_head){
        .record = { .version = commit_version(commit),
                    .payload_size = (uint32_t)payload_size,
                    .space_count = 1 },
        .rows = { .first_row = row, .row_count = 1 },
    };
}

static wg_err put_point(struct commit *commit, const struct id_key *key, uint64_t row,
                        struct bytes payload)
{
    struct point_head head = head_of(commit, row, payload.size);
    return db_put_pieces(&commit->txn, TABLE_POINTS, id_key_bytes(key),
                         (struct pieces){ { &head, sizeof head }, payload });
}

/* An id that is there already: its row dies. */
static wg_err replace_point(struct commit *commit, const struct id_key *key, uint64_t row,
                            struct bytes payload, struct bytes existing)
{
    wg_err err = WG_OK;
    struct point old;
    TRY(point_read(existing, &old));
    TRY(commit_kill(commit, old.rows.first_row));
    TRY(put_point(commit, key, row, payload));
out:
    return err;
}

static wg_err upsert_point(struct commit *commit, const struct id_key *key, uint64_t row,
                           struct bytes payload)
{
    wg_err err = WG_OK;
    struct bytes existing;
    struct point_head head = head_of(commit, row, payload.size);
    TRY(db_add_pieces(&commit->txn, TABLE_POINTS, id_key_bytes(key),
                      (struct pieces){ { &head, sizeof head }, payload }, &existing));
    if (existing.start)
        TRY(replace_point(commit, key, row, payload, existing));
    else
        commit->record.point_count++;
out:
    return err;
}

static bool has_payloads(const struct batch *batch)
{
    for (size_t i = 0; batch->payloads && i < batch->count; i++)
        if (batch->payloads[i]) return true;
    return false;
}

static struct bytes payload_of(const struct batch *batch, size_t i)
{
    const char *text = batch->payloads ? batch->payloads[i] : NULL;
    return (struct bytes){ text, text ? strlen(text) : 0 };
}

/* Points are put in the order of their keys, so that neighbours meet the same pages. */
static wg_err put_points(struct commit *commit, const struct batch *b, uint64_t first_row)
{
    for (size_t n = 0; n < b->count; n++) {
        size_t i = b->order ? b->order[n].i : n;
        struct id_key key;
        wg_err err = id_key_make(&b->ids[i], i, &key);
        if (err == WG_OK) err = upsert_point(commit, &key, first_row + i, payload_of(b, i));
        if (err != WG_OK) return commit->txn.full ? err : fail_id(err, &b->ids[i]);
    }
    return WG_OK;
}

static wg_err apply_upsert(struct commit *commit, struct write *write)
{
    wg_err err = WG_OK;
    const struct batch *b = batch_of(write);
    struct segment_rows rows = { .vectors = b->vectors, .ids = b->ids, .count = b->count };
    uint64_t first_row = commit->record.row_end;
    bool listed = has_payloads(b);
    TRY(commit_append(commit, &rows, b->sums));
    TRY(put_points(commit, b, first_row));
    for (size_t i = 0; i < b->count; i++) {
        struct id_key key;
        struct bytes payload = payload_of(b, i);
        TRY(id_key_make(&b->ids[i], i, &key));
        TRY(commit_note(commit, &(struct change_of_point){
                                    .change = CHANGE_UPSERT,
                                    .key = id_key_bytes(&key),
                                    .payload = payload,
                                    .content = payload.start ? checksum64(payload.start,
                                                                          payload.size, b->sums[i])
                                                             : b->sums[i],
                                    .listed = listed,
                                }));
    }
    TRY(commit_end_batch(commit, CHANGE_UPSERT));
out:
    return err;
}

static wg_err delete_point(struct commit *commit, const struct id_key *key,
                           const struct point *point)
{
    wg_err err = WG_OK;
    TRY(commit_kill(commit, point->rows.first_row));
    TRY(db_delete(&commit->txn, TABLE_POINTS, id_key_bytes(key)));
    commit->record.point_count--;
    TRY(commit_note(commit, &(struct change_of_point){ .change = CHANGE_DELETE,
                                                       .key = id_key_bytes(key),
                                                       .listed = true }));
out:
    return err;
}

static wg_err set_payload(struct commit *commit, const struct id_key *key, uint64_t row,
                          struct bytes payload)
{
    wg_err err = WG_OK;
    TRY(put_point(commit, key, row, payload));
    TRY(commit_note(commit, &(struct change_of_point){
                                .change = CHANGE_PAYLOAD,
                                .key = id_key_bytes(key),
                                .payload = payload,
                                .content = checksum64(payload.start, payload.size, 0),
                                .listed = true,
                            }));
out:
    return err;
}

static wg_err merge_payload(struct commit *commit, const char *added, const struct id_key *key,
                            const struct point *point)
{
    wg_err err = WG_OK;
    struct arena arena = { 0 };
    char *old, *merged = NULL;
    size_t size = 0;
    TRY(arena_copy(&arena, point->payload, point->head.payload_size, &old));
    if (added) {
        TRY(json_merge(*old ? old : "{}", added, &arena, &merged));
        size = strlen(merged);
    }
    if (size > JSON_SIZE_MAX)
        TRY(wg_fail(WG_EINVAL, "a payload of %zu bytes after the merge; at most %d", size,
                    JSON_SIZE_MAX));
    TRY(set_payload(commit, key, point->rows.first_row, (struct bytes){ merged, size }));
out:
    arena_fini(&arena);
    return err;
}

static wg_err change_point(struct commit *commit, const struct batch *batch, size_t i,
                           const struct id_key *key, const struct point *point)
{
    if (batch->change == CHANGE_DELETE) return delete_point(commit, key, point);
    if (!batch->replay) return merge_payload(commit, batch->merged, key, point);
    const char *text = batch->payloads ? batch->payloads[i] : NULL;
    return set_payload(commit, key, point->rows.first_row,
                       (struct bytes){ text, text ? strlen(text) : 0 });
}

static wg_err apply_to_points(struct commit *commit, struct write *write)
{
    wg_err err = WG_OK;
    struct batch *batch = batch_of(write);
    batch->touched = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct id_key key;
        struct point point;
        bool found;
        TRY(id_key_make(&batch->ids[i], i, &key));
        TRY(find_point(commit, &key, &found, &point));
        if (!found) continue;
        TRY(change_point(commit, batch, i, &key, &point));
        batch->touched++;
    }
    TRY(commit_end_batch(commit, batch->change));
out:
    return err;
}

static wg_err apply_clear(struct commit *commit, struct write *write)
{
    wg_err err = WG_OK;
    (void)write;
    TRY(commit_clear(commit));
    TRY(commit_note(commit, &(struct change_of_point){ .change = CHANGE_CLEAR }));
    TRY(commit_end_batch(commit, CHANGE_CLEAR));
out:
    return err;
}

static void destroy_queued(struct write *write)
{
    struct batch *batch = batch_of(write);
    arena_fini(&batch->arena);
    mem_free(&batch);
}

static const struct write_ops upsert_ops = { judge_versions, apply_upsert, destroy_queued };
static const struct write_ops change_ops = { judge_versions, apply_to_points, destroy_queued };
static const struct write_ops clear_ops = { NULL, apply_clear, destroy_queued };

static wg_err take_array(struct arena *arena, size_t count, size_t size, void *out)
{
    void *room;
    wg_err err = arena_take(arena, count * size, &room); /* count was in memory: no overflow */
    if (err == WG_OK) memcpy(out, &room, sizeof room);
    return err;
}

/* Checks the ids; the batch gets a normal copy of them. */
static wg_err take_ids(struct batch *batch, const wg_id *ids)
{
    wg_err err = WG_OK;
    TRY(take_array(&batch->arena, batch->count, sizeof *ids, &batch->ids));
    for (size_t i = 0; i < batch->count; i++) {
        struct id_key key;
        TRY(id_key_make(&ids[i], i, &key));
        batch->ids[i] = ids[i];
        id_normalize(&batch->ids[i]);
    }
out:
    return err;
}

static int compare_places(const void *a, const void *b)
{
    return id_compare(((const struct place *)a)->id, ((const struct place *)b)->id);
}

/* An upsert's sums and order, with its ids in place. WG_EINVAL: one is there twice. */
static wg_err ready_upsert(struct batch *batch)
{
    wg_err err = WG_OK;
    size_t rising = 1;
    TRY(take_array(&batch->arena, batch->count, sizeof *batch->sums, &batch->sums));
    while (rising < batch->count && id_compare(&batch->ids[rising - 1], &batch->ids[rising]) < 0)
        rising++;
    if (rising >= batch->count) return WG_OK;
    TRY(take_array(&batch->arena, batch->count, sizeof *batch->order, &batch->order));
    for (size_t i = 0; i < batch->count; i++) batch->order[i] = (struct place){ &batch->ids[i], i };
    qsort(batch->order, batch->count, sizeof *batch->order, compare_places);
    for (size_t i = 1; i < batch->count; i++)
        if (compare_places(&batch->order[i - 1], &batch->order[i]) == 0)
            TRY(fail_id(wg_fail(WG_EINVAL, "twice in one batch"), batch->order[i].id));
out:
    return err;
}

static wg_err own_text(struct batch *batch, const char *text, const char **out)
{
    char *copy;
    if (!text) return WG_OK;
    wg_err err = arena_copy(&batch->arena, text, strlen(text), &copy);
    if (err == WG_OK) *out = copy;
    batch->write.size_bytes += strlen(text);
    return err;
}

static wg_err own_payloads(struct batch *batch)
{
    wg_err err = WG_OK;
    const char **copies;
    TRY(own_text(batch, batch->merged, &batch->merged));
    if (!batch->payloads) return WG_OK;
    TRY(take_array(&batch->arena, batch->count, sizeof *copies, &copies));
    for (size_t i = 0; i < batch->count; i++) {
        copies[i] = NULL;
        TRY(own_text(batch, batch->payloads[i], &copies[i]));
    }
    batch->payloads = copies;
out:
    return err;
}

/* Copies what the caller may take back when a queued batch's call returns. */
static wg_err own_all(struct batch *batch, size_t vector_size)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < batch->count; i++) {
        char *copy;
        if (batch->ids[i].type != WG_ID_STRING) continue;
        TRY(arena_copy(&batch->arena, batch->ids[i].as.string, batch->ids[i].size, &copy));
        batch->ids[i].as.string = copy;
    }
    if (batch->vectors) {
        char *copy;
        TRY(take_array(&batch->arena, batch->count, vector_size, &copy));
        memcpy(copy, batch->vectors, batch->count * vector_size);
        batch->vectors = copy;
    }
    TRY(own_payloads(batch));
out:
    return err;
}

static wg_err queue(struct collection *c, const struct batch *batch, const wg_id *ids)
{
    wg_err err = WG_OK;
    struct batch *queued = NULL;
    if (c->mode == COLLECTION_READ)
        return wg_fail(WG_EREADONLY, "%s: open for reading only", c->folder);
    TRY(mem_resize(&queued, 1));
    *queued = *batch;
    queued->write.queued = true;
    TRY(take_ids(queued, ids));
    TRY(own_all(queued, space_row_size(&c->space)));
    if (batch->change == CHANGE_UPSERT) TRY(ready_upsert(queued));
    return group_queue(c, &queued->write);
out:
    if (queued) destroy_queued(&queued->write);
    return err;
}

/* batch is complete but for its ids and sums. */
static wg_err run(struct collection *c, struct batch *batch, const wg_id *ids, bool may_queue,
                  struct write_result *out)
{
    wg_err err = WG_OK;
    size_t vector_size = batch->vectors ? space_row_size(&c->space) : 0;
    *out = (struct write_result){ 0 };
    batch->write.size_bytes = sizeof *batch + batch->count * (sizeof *ids + vector_size);
    if (may_queue && c->host->commit_interval_ms > 0 && !batch->if_versions)
        return queue(c, batch, ids);
    TRY(take_ids(batch, ids));
    if (batch->change == CHANGE_UPSERT) TRY(ready_upsert(batch));
    TRY(group_write(c, &batch->write));
    *out = (struct write_result){ batch->touched, batch->write.sequence };
out:
    arena_fini(&batch->arena);
    return err;
}

wg_err collection_upsert(struct collection *c, const struct upsert *upsert,
                         struct write_result *out)
{
    struct batch batch = {
        .write.ops = &upsert_ops,
        .change = CHANGE_UPSERT,
        .count = upsert->count,
        .vectors = upsert->vectors,
        .payloads = upsert->payloads,
        .if_versions = upsert->if_versions,
    };
    return run(c, &batch, upsert->ids, upsert->may_queue, out);
}

wg_err collection_change(struct collection *c, const struct selection *selection,
                         struct write_result *out)
{
    struct batch batch = {
        .write.ops = &change_ops,
        .change = selection->change == POINT_DELETE ? CHANGE_DELETE : CHANGE_PAYLOAD,
        .count = selection->count,
        .merged = selection->payload,
        .if_versions = selection->if_versions,
    };
    return run(c, &batch, selection->ids, selection->may_queue, out);
}

wg_err collection_clear(struct collection *c)
{
    struct batch batch = { .write.ops = &clear_ops, .change = CHANGE_CLEAR };
    struct write_result result;
    return run(c, &batch, NULL, false, &result);
}

static const struct write_ops *ops_of(enum change change)
{
    return change == CHANGE_UPSERT  ? &upsert_ops
           : change == CHANGE_CLEAR ? &clear_ops
                                    : &change_ops;
}

static wg_err judge_replay(struct commit *commit, struct write *write)
{
    const struct replay *r = batch_of(write)->replay;
    const struct commit_record *here = &commit->record;
    if (r->epoch == here->epoch && r->sequence == here->sequence) return WG_OK;
    return wg_fail(WG_ECONFLICT,
                   "collection \"%s\" stands at epoch %" PRIu64 ", sequence %" PRIu64
                   "; the change leads to epoch %" PRIu64 ", sequence %" PRIu64,
                   commit->collection->name, here->epoch, here->sequence - 1, r->epoch,
                   r->sequence);
}

static wg_err apply_replay(struct commit *commit, struct write *write)
{
    const struct replay *r = batch_of(write)->replay;
    wg_err err = ops_of(r->change)->apply(commit, write);
    if (err != WG_OK) return err;
    if (commit->record.chain_hash == r->chain_hash && commit->record.sequence == r->sequence)
        return WG_OK;
    return wg_fail(WG_ECONFLICT,
                   "collection \"%s\" has another history: the change leads it to chain hash "
                   "%016" PRIx64 ", expected %016" PRIx64,
                   commit->collection->name, commit->record.chain_hash, r->chain_hash);
}

wg_err collection_replay(struct collection *c, const struct replay *replay)
{
    static const struct write_ops ops = { judge_replay, apply_replay, NULL };
    struct batch batch = {
        .write.ops = &ops,
        .change = replay->change,
        .count = replay->count,
        .vectors = replay->vectors,
        .payloads = replay->payloads,
        .replay = replay,
    };
    struct write_result result;
    return run(c, &batch, replay->ids, false, &result);
}
