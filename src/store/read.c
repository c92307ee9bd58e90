#include "store/read.h"

#include "base/size.h"
#include "store/id.h"

#include <string.h>

struct reading {
    const struct collection *collection;
    const struct read_request *request;
    struct snapshot snapshot;
    struct arena *arena;
    wg_point *points;
    size_t count;
};

static wg_err copy_id(struct arena *arena, wg_id *id)
{
    char *copy;
    if (id->type != WG_ID_STRING) return WG_OK;
    wg_err err = arena_copy(arena, id->as.string, id->size, &copy);
    if (err == WG_OK) id->as.string = copy;
    return err;
}

static wg_err copy_payload(struct arena *arena, const struct point *point, const char **out)
{
    char *copy;
    bool empty = point->head.payload_size == 0;
    wg_err err = arena_copy(arena, empty ? "{}" : point->payload,
                            empty ? 2 : point->head.payload_size, &copy);
    if (err == WG_OK) *out = copy;
    return err;
}

static wg_err copy_vector(struct reading *r, uint64_t row, const void **out)
{
    wg_err err = WG_OK;
    void *copy;
    uint64_t position;
    struct view_row found;
    const struct view *view = r->snapshot.view;
    size_t size = space_row_size(&r->collection->space);
    if (!layout_find(&view->layout, row, &position))
        TRY(wg_fail(WG_ECORRUPT, "%s: a point names row %llu, which is not there",
                    r->collection->folder, (unsigned long long)row));
    TRY(view_read(view, position, &found));
    TRY(arena_take(r->arena, size, &copy));
    memcpy(copy, found.vector, size);
    *out = copy;
out:
    return err;
}

static wg_err fill(struct reading *r, struct bytes value, wg_point *out)
{
    wg_err err = WG_OK;
    struct point point;
    TRY(point_read(value, &point));
    out->found = true;
    out->version = point.head.version;
    if (r->request->with & WG_WITH_VECTOR) TRY(copy_vector(r, point.rows.first_row, &out->data));
    if (r->request->with & WG_WITH_PAYLOAD) TRY(copy_payload(r->arena, &point, &out->payload));
out:
    return err;
}

static wg_err read_ids(struct reading *r)
{
    wg_err err = WG_OK;
    for (; r->count < r->request->count; r->count++) {
        struct id_key key;
        struct bytes value;
        bool found;
        wg_point *point = &r->points[r->count];
        *point = (wg_point){ .id = r->request->ids[r->count] };
        TRY(id_key_make(&point->id, r->count, &key));
        id_normalize(&point->id);
        TRY(copy_id(r->arena, &point->id));
        TRY(db_get(&r->snapshot.txn, TABLE_POINTS, id_key_bytes(&key), &found, &value));
        if (found) TRY(fill(r, value, point));
    }
out:
    return err;
}

/* The first key behind another: the same and a 0 byte. */
static struct bytes key_behind(struct id_key *key, uint8_t room[ID_KEY_MAX + 1])
{
    memcpy(room, key->bytes, key->size);
    room[key->size] = 0;
    return (struct bytes){ room, key->size + 1 };
}

static wg_err scroll(struct reading *r)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    struct id_key after;
    uint8_t room[ID_KEY_MAX + 1];
    TRY(db_cursor_open(&r->snapshot.txn, TABLE_POINTS, &cursor));
    if (r->request->after) {
        TRY(id_key_make(r->request->after, SIZE_MAX, &after));
        TRY(db_seek(&cursor, key_behind(&after, room)));
    }
    for (; r->count < r->request->count; r->count++) {
        struct bytes key, value;
        bool found;
        TRY(db_next(&cursor, &found, &key, &value));
        if (!found) break;
        wg_point *point = &r->points[r->count];
        *point = (wg_point){ 0 };
        TRY(id_from_key(key, &point->id));
        TRY(copy_id(r->arena, &point->id));
        TRY(fill(r, value, point));
    }
out:
    db_cursor_close(&cursor);
    return err;
}

wg_err collection_read(struct collection *c, const struct read_request *request,
                       struct arena *arena, wg_point **points, size_t *count)
{
    wg_err err = WG_OK;
    struct reading r = { .collection = c, .request = request, .arena = arena };
    struct read_request bounded = *request;
    size_t size;
    void *room;
    TRY(snapshot_begin(c, &r.snapshot));
    uint64_t point_count = r.snapshot.view->commit.point_count;
    if (!request->ids && bounded.count > point_count) bounded.count = (size_t)point_count;
    r.request = &bounded;
    TRY(size_multiply(bounded.count, sizeof(wg_point), &size));
    TRY(arena_take(arena, size, &room));
    r.points = room;
    TRY(request->ids ? read_ids(&r) : scroll(&r));
    *points = r.points;
    *count = r.count;
out:
    snapshot_end(&r.snapshot);
    return err;
}

wg_err collection_read_payloads(struct collection *c, uint64_t sequence, wg_hit *hits, size_t count,
                                struct arena *arena)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    TRY(db_read_begin(c->db, &txn));
    for (size_t i = 0; i < count; i++) {
        struct id_key key;
        struct bytes value;
        struct point point;
        bool found;
        if (id_key_make(&hits[i].id, i, &key) != WG_OK)
            TRY(wg_fail(WG_ECORRUPT, "%s: the row of hit %zu: %s", c->folder, i, wg_message()));
        TRY(db_get(&txn, TABLE_POINTS, id_key_bytes(&key), &found, &value));
        if (found) TRY(point_read(value, &point));
        if (found) TRY(copy_payload(arena, &point, &hits[i].payload));
        hits[i].changed = !found || point.head.version > sequence;
    }
out:
    db_abort(&txn);
    return err;
}
