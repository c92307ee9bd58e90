#include "waggle/collection.h"

#include "api/params.h"
#include "api/store.h"
#include "api/stored.h"
#include "base/json.h"
#include "base/mem.h"
#include "quant/encode.h"
#include "store/archive.h"
#include "store/codes_file.h"
#include "store/compact.h"
#include "store/encode.h"
#include "store/id.h"
#include "store/read.h"
#include "store/write.h"

#include <string.h>

struct wg_points {
    struct arena arena;
    wg_point *points;
    size_t count;
};

wg_err wg_collection_open(wg_store *store, const char *name, wg_collection **out)
{
    wg_err err = WG_OK;
    wg_collection *collection = NULL;
    TRY(mem_resize(&collection, 1));
    *collection = (wg_collection){ .store = store };
    TRY(store_open_member(store->store, name, &collection->member));
    *out = collection;
    collection = NULL; /* moved */
out:
    mem_free(&collection);
    return err;
}

void wg_collection_close(wg_collection **collection)
{
    wg_collection *c = *collection;
    if (c) store_close_member(c->store->store, &c->member);
    mem_free(collection);
}

void wg_id_from_number(uint64_t number, wg_id *out)
{
    *out = (wg_id){ .type = WG_ID_NUMBER, .as.number = number };
}

wg_err wg_id_from_string(const char *string, wg_id *out)
{
    size_t size = string ? strlen(string) : 0;
    wg_err err = id_check_string(string, size);
    if (err != WG_OK) return wg_fail(err, "id: %s", wg_message());
    wg_id id = { .type = WG_ID_STRING, .size = (uint32_t)size, .as.string = string };
    id_normalize(&id);
    *out = id;
    return WG_OK;
}

size_t wg_id_format(const wg_id *id, char *text, size_t room)
{
    return id_format(id, text, room);
}

void wg_batch_init_sized(wg_batch *batch, size_t size)
{
    static const wg_batch defaults;
    params_fill(batch, size, &defaults, sizeof defaults);
}

static wg_err check_payloads(const wg_batch *batch)
{
    for (size_t i = 0; batch->payloads && i < batch->count; i++) {
        const char *payload = batch->payloads[i];
        wg_err err = payload ? json_check_object(payload, strlen(payload)) : WG_OK;
        if (err != WG_OK) return wg_fail(err, "payload %zu: %s", i, wg_message());
    }
    return WG_OK;
}

static wg_err check_dim(const struct collection *c, size_t dim)
{
    if (dim != c->space.dim)
        return wg_fail(WG_EDIM, "the vectors have %zu dimensions, collection \"%s\" has %u", dim,
                       c->name, c->space.dim);
    return WG_OK;
}

static wg_err upsert(wg_collection *collection, struct collection *c, const wg_batch *b)
{
    wg_err err = WG_OK;
    struct stored_room room = { 0 };
    const void *vectors;
    struct write_result result;
    struct given given = { b->data, b->type, b->count, c->space.dim, "vector" };
    TRY(vectors_to_store(&collection->store->context->kernels, &c->space, &given, &room, &vectors));
    TRY(check_payloads(b));
    struct upsert inner = {
        .count = b->count,
        .ids = b->ids,
        .vectors = vectors,
        .payloads = b->payloads,
        .if_versions = b->if_versions,
        .may_queue = !b->sequence,
    };
    TRY(collection_upsert(c, &inner, &result));
    if (b->sequence) *b->sequence = result.sequence;
out:
    mem_free(&room.bytes);
    return err;
}

wg_err wg_collection_upsert(wg_collection *collection, size_t dim, const wg_batch *batch)
{
    wg_err err = WG_OK;
    struct collection *c = NULL;
    wg_batch b;
    wg_batch_init(&b);
    TRY(PARAMS_READ(batch, &b));
    TRY(member_enter(collection->member, &c));
    TRY(check_dim(c, dim));
    TRY(upsert(collection, c, &b));
out:
    if (c) member_leave(collection->member);
    return err;
}

void wg_selection_init_sized(wg_selection *selection, size_t size)
{
    static const wg_selection defaults;
    params_fill(selection, size, &defaults, sizeof defaults);
}

static wg_err change_points(wg_collection *collection, const wg_selection *selection,
                            enum point_change change, const char *payload)
{
    wg_err err = WG_OK;
    struct collection *c = NULL;
    struct write_result result;
    wg_selection s;
    wg_selection_init(&s);
    TRY(PARAMS_READ(selection, &s));
    if (payload) {
        err = json_check_object(payload, strlen(payload));
        if (err != WG_OK) TRY(wg_fail(err, "payload: %s", wg_message()));
    }
    struct selection inner = {
        .change = change,
        .count = s.count,
        .ids = s.ids,
        .if_versions = s.if_versions,
        .payload = payload,
        .may_queue = !s.touched && !s.sequence,
    };
    TRY(member_enter(collection->member, &c));
    TRY(collection_change(c, &inner, &result));
    if (s.touched) *s.touched = result.touched;
    if (s.sequence) *s.sequence = result.sequence;
out:
    if (c) member_leave(collection->member);
    return err;
}

static wg_selection selection_of(const wg_id *ids, size_t count, size_t *touched)
{
    wg_selection selection;
    wg_selection_init(&selection);
    selection.ids = ids;
    selection.count = count;
    selection.touched = touched;
    return selection;
}

wg_err wg_collection_delete(wg_collection *collection, const wg_id *ids, size_t count,
                            size_t *deleted)
{
    wg_selection selection = selection_of(ids, count, deleted);
    return change_points(collection, &selection, POINT_DELETE, NULL);
}

wg_err wg_collection_delete_if(wg_collection *collection, const wg_selection *points)
{
    return change_points(collection, points, POINT_DELETE, NULL);
}

wg_err wg_collection_set_payload(wg_collection *collection, const wg_id *ids, size_t count,
                                 const char *payload, size_t *updated)
{
    wg_selection selection = selection_of(ids, count, updated);
    return change_points(collection, &selection, POINT_MERGE_PAYLOAD, payload);
}

wg_err wg_collection_set_payload_if(wg_collection *collection, const wg_selection *points,
                                    const char *payload)
{
    return change_points(collection, points, POINT_MERGE_PAYLOAD, payload);
}

/* Calls that need nothing but the collection. */
static wg_err with_collection(wg_collection *collection, wg_err (*call)(struct collection *c))
{
    struct collection *c;
    wg_err err = member_enter(collection->member, &c);
    if (err != WG_OK) return err;
    err = call(c);
    member_leave(collection->member);
    return err;
}

wg_err wg_collection_clear(wg_collection *collection)
{
    return with_collection(collection, collection_clear);
}

wg_err wg_collection_flush(wg_collection *collection)
{
    return with_collection(collection, group_flush);
}

wg_err wg_collection_refresh(wg_collection *collection)
{
    return with_collection(collection, collection_refresh);
}

wg_err wg_collection_compact(wg_collection *collection, const wg_cancel *cancel)
{
    struct collection *c;
    struct stop stop = stop_of(0, cancel);
    wg_err err = member_enter(collection->member, &c);
    if (err != WG_OK) return err;
    err = collection_compact(c, &stop);
    member_leave(collection->member);
    return err;
}

wg_err wg_collection_set_codes(wg_collection *collection, bool on)
{
    struct collection *c;
    wg_err err = member_enter(collection->member, &c);
    if (err != WG_OK) return err;
    err = collection_set_codes(c, on);
    member_leave(collection->member);
    return err;
}

size_t wg_points_count(const wg_points *points)
{
    return points->count;
}

const wg_point *wg_points_at(const wg_points *points, size_t i)
{
    return &points->points[i];
}

void wg_points_destroy(wg_points **points)
{
    if (*points) arena_fini(&(*points)->arena);
    mem_free(points);
}

static wg_err read_points(wg_collection *collection, const struct read_request *request,
                          wg_points **out)
{
    wg_err err = WG_OK;
    wg_points *points = NULL;
    struct collection *c = NULL;
    if (request->with & ~(unsigned)(WG_WITH_VECTOR | WG_WITH_PAYLOAD))
        TRY(wg_fail(WG_EINVAL, "with is %u; expected a sum of 1 (vector) and 2 (payload)",
                    request->with));
    TRY(mem_resize(&points, 1));
    *points = (wg_points){ 0 };
    TRY(member_enter(collection->member, &c));
    TRY(collection_read(c, request, &points->arena, &points->points, &points->count));
    *out = points;
    points = NULL; /* moved */
out:
    if (c) member_leave(collection->member);
    wg_points_destroy(&points);
    return err;
}

wg_err wg_collection_get(wg_collection *collection, const wg_id *ids, size_t count, unsigned with,
                         wg_points **out)
{
    static const wg_id none;
    struct read_request request = { .ids = ids ? ids : &none, .count = count, .with = with };
    return read_points(collection, &request, out);
}

wg_err wg_collection_scroll(wg_collection *collection, const wg_id *after, size_t limit,
                            unsigned with, wg_points **out)
{
    struct read_request request = { .after = after, .count = limit, .with = with };
    return read_points(collection, &request, out);
}

void wg_collection_info_init_sized(wg_collection_info *info, size_t size)
{
    static const wg_collection_info defaults;
    params_fill(info, size, &defaults, sizeof defaults);
}

static void count_codes(const struct view *view, bool has_files, wg_collection_info *out)
{
    for (size_t i = 0; i < view->layout.count; i++) {
        const struct segment *segment = view->layout.placed[i].segment;
        const struct codes *codes = atomic_load(&segment->codes.codes);
        if (has_files) out->code_file_bytes += codes_file_bytes(segment);
        if (!codes) continue;
        out->coded_row_count += codes->row_count;
        out->code_bytes += codes_bytes(codes);
    }
}

static wg_err describe(struct collection *c, wg_collection_info *out)
{
    struct view *view = collection_view(c);
    wg_collection_info known = {
        .size = sizeof known,
        .dim = c->space.dim,
        .metric = (wg_metric)c->space.metric,
        .type = (wg_type)c->space.type,
        .count = view->commit.point_count,
        .row_count = view->source.row_count,
        .segment_count = view->layout.count,
        .vector_bytes = view->source.row_count * space_row_size(&c->space),
        .epoch = view->commit.epoch,
        .sequence = view->commit.sequence,
        .chain_hash = view->commit.chain_hash,
        .horizon = view->commit.horizon,
        .codes = c->coded,
    };
    const struct archive *archive = db_archive(c->db);
    count_codes(view, !archive, &known);
    view_release(&view);
    wg_err err = WG_OK;
    if (archive)
        known.disk_bytes = archive_size(archive);
    else
        err = folder_disk_bytes(c->folder, &known.disk_bytes);
    if (err == WG_OK) *out = known;
    return err;
}

wg_err wg_collection_info_get(wg_collection *collection, wg_collection_info *info)
{
    wg_err err = WG_OK;
    struct collection *c;
    wg_collection_info known;
    TRY(member_enter(collection->member, &c));
    err = describe(c, &known);
    member_leave(collection->member);
    TRY(err);
    TRY(PARAMS_WRITE(info, &known));
out:
    return err;
}

uint64_t wg_collection_count(const wg_collection *collection)
{
    return member_point_count(collection->member);
}
