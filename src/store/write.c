#include "base/checksum.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/commit.h"

#include <string.h>

/* Kinds of change, as the history's hash takes them in. */
enum change { CHANGE_UPSERT = 1, CHANGE_DELETE, CHANGE_PAYLOAD, CHANGE_CLEAR };

/* What a batch does within a commit; done again from the start when the map had to grow. */
struct change_of {
    wg_err (*apply)(struct commit *commit, void *batch);
    void *batch;
};

static wg_err try_write(struct collection *c, const struct change_of *change, bool *map_full)
{
    wg_err err = WG_OK;
    struct commit commit;
    TRY(commit_begin(c, &commit));
    err = change->apply(&commit, change->batch);
    if (err == WG_OK && commit.changed)
        err = commit_finish(&commit);
    else
        commit_abort(&commit);
    *map_full = commit.txn.full;
out:
    return err;
}

static wg_err write_batch(struct collection *c, const struct change_of *change)
{
    wg_err err;
    bool map_full;
    mutex_lock(&c->writer);
    do {
        map_full = false;
        err = try_write(c, change, &map_full);
    } while (err != WG_OK && map_full && (err = db_grow(c->db)) == WG_OK);
    mutex_unlock(&c->writer);
    return err;
}

static void chain_change(struct commit *commit, enum change change, const struct id_key *key,
                         uint64_t content)
{
    uint64_t digest[2] = { checksum64(key->bytes, key->size, change), content };
    commit_chain(commit, digest, sizeof digest);
}

static wg_err fail_id(wg_err err, const wg_id *id)
{
    char text[WG_ID_TEXT_SIZE];
    id_format(id, text, sizeof text);
    return wg_fail(err, "id %s: %s", text, wg_message());
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
    if (old.head.version == commit_version(commit)) TRY(wg_fail(WG_EINVAL, "twice in one batch"));
    TRY(commit_kill(commit, old.rows.first_row));
    TRY(put_point(commit, key, row, payload));
out:
    return err;
}

static wg_err upsert_point(struct commit *commit, const struct id_key *key, uint64_t row,
                           const char *text)
{
    wg_err err = WG_OK;
    struct bytes payload = { text, text ? strlen(text) : 0 }, existing;
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

struct upsert_batch {
    const struct upsert *upsert;
    wg_id *ids;     /* normal: a string that reads as a UUID is one */
    uint32_t *sums; /* of the rows */
};

static wg_err apply_upsert(struct commit *commit, void *arg)
{
    wg_err err = WG_OK;
    const struct upsert_batch *batch = arg;
    const struct upsert *u = batch->upsert;
    struct segment_rows rows = { .vectors = u->vectors, .ids = batch->ids, .count = u->count };
    uint64_t first_row = commit->record.row_end;
    TRY(commit_append(commit, &rows, batch->sums));
    for (size_t i = 0; i < u->count; i++) {
        struct id_key key;
        const char *payload = u->payloads ? u->payloads[i] : NULL;
        TRY(id_key_make(&batch->ids[i], i, &key));
        err = upsert_point(commit, &key, first_row + i, payload);
        if (err != WG_OK && !commit->txn.full) return fail_id(err, &batch->ids[i]);
        if (err != WG_OK) return err;
        chain_change(commit, CHANGE_UPSERT, &key,
                     payload ? checksum64(payload, strlen(payload), batch->sums[i])
                             : batch->sums[i]);
    }
out:
    return err;
}

wg_err collection_upsert(struct collection *c, const struct upsert *upsert)
{
    wg_err err = WG_OK;
    struct upsert_batch batch = { .upsert = upsert };
    struct id_key key;
    if (upsert->count == 0) return WG_OK;
    TRY(mem_resize(&batch.ids, upsert->count));
    TRY(mem_resize(&batch.sums, upsert->count));
    for (size_t i = 0; i < upsert->count; i++) {
        TRY(id_key_make(&upsert->ids[i], i, &key));
        batch.ids[i] = upsert->ids[i];
        id_normalize(&batch.ids[i]);
    }
    TRY(write_batch(c, &(struct change_of){ apply_upsert, &batch }));
out:
    mem_free(&batch.ids);
    mem_free(&batch.sums);
    return err;
}

/* A change of points that exist. */
struct point_batch {
    const wg_id *ids;
    size_t count;
    const char *payload; /* to merge; NULL: to clear */
    size_t changed;      /* out */
    wg_err (*change)(struct commit *commit, const struct point_batch *batch,
                     const struct id_key *key, const struct point *point);
};

static wg_err apply_to_points(struct commit *commit, void *arg)
{
    wg_err err = WG_OK;
    struct point_batch *batch = arg;
    batch->changed = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct id_key key;
        struct bytes value;
        struct point point;
        bool found;
        TRY(id_key_make(&batch->ids[i], i, &key));
        TRY(db_get(&commit->txn, TABLE_POINTS, id_key_bytes(&key), &found, &value));
        if (!found) continue;
        TRY(point_read(value, &point));
        TRY(batch->change(commit, batch, &key, &point));
        batch->changed++;
    }
out:
    return err;
}

static wg_err write_points(struct collection *c, struct point_batch *batch, size_t *changed)
{
    wg_err err = WG_OK;
    struct id_key key;
    for (size_t i = 0; i < batch->count; i++) TRY(id_key_make(&batch->ids[i], i, &key));
    TRY(write_batch(c, &(struct change_of){ apply_to_points, batch }));
    if (changed) *changed = batch->changed;
out:
    return err;
}

static wg_err delete_point(struct commit *commit, const struct point_batch *batch,
                           const struct id_key *key, const struct point *point)
{
    wg_err err = WG_OK;
    (void)batch;
    TRY(commit_kill(commit, point->rows.first_row));
    TRY(db_delete(&commit->txn, TABLE_POINTS, id_key_bytes(key)));
    commit->record.point_count--;
    chain_change(commit, CHANGE_DELETE, key, 0);
out:
    return err;
}

wg_err collection_delete(struct collection *c, const wg_id *ids, size_t count, size_t *deleted)
{
    struct point_batch batch = { .ids = ids, .count = count, .change = delete_point };
    return write_points(c, &batch, deleted);
}

static wg_err merge_payload(struct commit *commit, const struct point_batch *batch,
                            const struct id_key *key, const struct point *point)
{
    wg_err err = WG_OK;
    struct arena arena = { 0 };
    char *old, *merged = NULL;
    size_t size = 0;
    TRY(arena_copy(&arena, point->payload, point->head.payload_size, &old));
    if (batch->payload) {
        TRY(json_merge(*old ? old : "{}", batch->payload, &arena, &merged));
        size = strlen(merged);
    }
    if (size > JSON_SIZE_MAX)
        TRY(wg_fail(WG_EINVAL, "a payload of %zu bytes after the merge; at most %d", size,
                    JSON_SIZE_MAX));
    TRY(put_point(commit, key, point->rows.first_row, (struct bytes){ merged, size }));
    chain_change(commit, CHANGE_PAYLOAD, key, checksum64(merged, size, 0));
out:
    arena_fini(&arena);
    return err;
}

wg_err collection_set_payload(struct collection *c, const wg_id *ids, size_t count,
                              const char *payload, size_t *updated)
{
    struct point_batch batch = {
        .ids = ids,
        .count = count,
        .payload = payload,
        .change = merge_payload,
    };
    return write_points(c, &batch, updated);
}

static wg_err apply_clear(struct commit *commit, void *batch)
{
    (void)batch;
    struct id_key none = { 0 };
    chain_change(commit, CHANGE_CLEAR, &none, 0);
    return commit_clear(commit);
}

wg_err collection_clear(struct collection *c)
{
    return write_batch(c, &(struct change_of){ apply_clear, NULL });
}
