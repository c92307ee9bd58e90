#include "waggle/collection.h"

#include "api/params.h"
#include "api/store.h"
#include "api/vectors.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/size.h"
#include "store/id.h"
#include "store/read.h"

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
    TRY(store_take_collection(store->store, name, &collection->collection));
    *out = collection;
    collection = NULL; /* moved */
out:
    mem_free(&collection);
    return err;
}

void wg_collection_close(wg_collection **collection)
{
    wg_collection *c = *collection;
    if (c) store_give_back(c->store->store, &c->collection);
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

wg_err wg_collection_upsert(wg_collection *collection, size_t dim, const wg_batch *batch)
{
    wg_err err = WG_OK;
    struct collection *c = collection->collection;
    float *normalized = NULL;
    wg_batch b;
    size_t size;
    wg_batch_init(&b);
    TRY(PARAMS_READ(batch, &b));
    if (dim != c->space.dim)
        TRY(wg_fail(WG_EDIM, "the vectors have %zu dimensions, collection \"%s\" has %u", dim,
                    c->name, c->space.dim));
    TRY(size_multiply(b.count, dim * sizeof(float), &size));
    TRY(vectors_check(&collection->store->context->kernels, b.vectors, b.count, dim, "vector"));
    TRY(check_payloads(&b));
    if (c->space.metric == WG_COSINE) {
        TRY(mem_resize(&normalized, b.count * dim));
        vectors_normalize(b.vectors, b.count, dim, normalized);
    }
    struct upsert upsert = {
        .count = b.count,
        .ids = b.ids,
        .vectors = normalized ? normalized : b.vectors,
        .payloads = b.payloads,
    };
    TRY(collection_upsert(c, &upsert));
out:
    mem_free(&normalized);
    return err;
}

wg_err wg_collection_delete(wg_collection *collection, const wg_id *ids, size_t count,
                            size_t *deleted)
{
    return collection_delete(collection->collection, ids, count, deleted);
}

wg_err wg_collection_set_payload(wg_collection *collection, const wg_id *ids, size_t count,
                                 const char *payload, size_t *updated)
{
    wg_err err = payload ? json_check_object(payload, strlen(payload)) : WG_OK;
    if (err != WG_OK) return wg_fail(err, "payload: %s", wg_message());
    return collection_set_payload(collection->collection, ids, count, payload, updated);
}

wg_err wg_collection_clear(wg_collection *collection)
{
    return collection_clear(collection->collection);
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
    if (request->with & ~(unsigned)(WG_WITH_VECTOR | WG_WITH_PAYLOAD))
        TRY(wg_fail(WG_EINVAL, "with is %u; expected a sum of 1 (vector) and 2 (payload)",
                    request->with));
    TRY(mem_resize(&points, 1));
    *points = (wg_points){ 0 };
    TRY(collection_read(collection->collection, request, &points->arena, &points->points,
                        &points->count));
    *out = points;
    points = NULL; /* moved */
out:
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

wg_err wg_collection_info_get(wg_collection *collection, wg_collection_info *info)
{
    wg_err err = WG_OK;
    struct collection *c = collection->collection;
    struct view *view = collection_view(c);
    wg_collection_info known = {
        .size = sizeof known,
        .dim = c->space.dim,
        .metric = (wg_metric)c->space.metric,
        .count = view->commit.point_count,
        .row_count = view->source.row_count,
        .segment_count = view->segment_count,
        .vector_bytes = view->source.row_count * c->space.dim * sizeof(float),
        .sequence = view->commit.sequence,
        .chain_hash = view->commit.chain_hash,
    };
    TRY(folder_disk_bytes(c->folder, &known.disk_bytes));
    TRY(PARAMS_WRITE(info, &known));
out:
    view_release(&view);
    return err;
}

uint64_t wg_collection_count(const wg_collection *collection)
{
    struct view *view = collection_view(collection->collection);
    uint64_t count = view->commit.point_count;
    view_release(&view);
    return count;
}
