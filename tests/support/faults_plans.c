#include "support/check.h"
#include "support/content.h"
#include "support/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A first segment has room for 64 rows of this dimension. So few of them die that none is compacted
 * in the background, whose calls would come at any time. */
enum { DIM = 4096, FIRST = 60, MORE = 10, DEAD = 8, SMALL_DIM = 8, SMALL_COUNT = 10 };

static wg_err open_as(struct faulted *f, bool read_only)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = read_only;
    return wg_store_open(f->context, f->path, &params, &f->store);
}

static wg_err open_store(struct faulted *f)
{
    return open_as(f, false);
}

static wg_err open_beside(struct faulted *f)
{
    return open_as(f, true);
}

void faults_close(struct faulted *f)
{
    wg_collection_close(&f->collection);
    wg_store_close(&f->store);
}

static wg_err need_collection(struct faulted *f, const char *name)
{
    return f->collection ? WG_OK : wg_collection_open(f->store, name, &f->collection);
}

static wg_id id_of(size_t i)
{
    static const char *const names[] = { "north", "east", "south", "west" };
    wg_id id;
    wg_id_from_number(i, &id);
    if (i < 4) must_ok(wg_id_from_string(names[i], &id));
    return id;
}

/* Points numbered from first on; seed decides what they hold. */
static wg_err upsert(wg_collection *collection, size_t dim, size_t first, size_t count)
{
    struct prng prng = { first + count };
    wg_id *ids = allocate(count, sizeof *ids);
    const char **payloads = allocate(count, sizeof *payloads);
    float *vectors = allocate(count * dim, sizeof *vectors);
    for (size_t i = 0; i < count; i++) {
        ids[i] = id_of(first + i);
        payloads[i] = i % 2 ? "{\"colour\":\"amber\",\"n\":7}" : NULL;
        for (size_t j = 0; j < dim; j++) vectors[i * dim + j] = prng_unit(&prng);
    }
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = count;
    batch.ids = ids;
    batch.vectors = vectors;
    batch.payloads = payloads;
    wg_err err = wg_collection_upsert(collection, dim, &batch);
    free(vectors);
    free(payloads);
    free(ids);
    return err;
}

static wg_err make_collection(wg_store *store, const char *name, uint32_t dim, uint64_t history)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = dim;
    params.metric = WG_DOT;
    params.history = history;
    return wg_collection_create(store, name, &params);
}

static wg_err delete_some(wg_collection *collection, size_t first, size_t count)
{
    wg_id ids[FIRST];
    for (size_t i = 0; i < count; i++) ids[i] = id_of(first + i);
    return wg_collection_delete(collection, ids, count, NULL);
}

void faults_make_store(wg_context *context, const char *path)
{
    wg_store *store;
    wg_collection *collection;
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(make_collection(store, "large", DIM, 0));
    must_ok(wg_collection_open(store, "large", &collection));
    must_ok(upsert(collection, DIM, 0, FIRST));
    must_ok(delete_some(collection, 2, DEAD));
    wg_collection_close(&collection);
    must_ok(make_collection(store, "small", SMALL_DIM, 1000));
    must_ok(wg_collection_open(store, "small", &collection));
    must_ok(upsert(collection, SMALL_DIM, 0, SMALL_COUNT));
    wg_collection_close(&collection);
    must_ok(wg_alias_set(store, "alias", "small"));
    wg_store_close(&store);
}

/* --- what a store holds --- */

static uint64_t mix(uint64_t hash, const char *text)
{
    while (*text) hash = (hash ^ (unsigned char)*text++) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

struct listing {
    wg_store *store;
    uint64_t hash;
};

static bool add_collection(void *user, const char *name)
{
    struct listing *listing = user;
    wg_collection *collection;
    must_ok(wg_collection_open(listing->store, name, &collection));
    listing->hash = mix(listing->hash, name) + content_fingerprint(collection);
    wg_collection_close(&collection);
    return true;
}

static bool add_alias(void *user, const char *alias, const char *collection)
{
    struct listing *listing = user;
    listing->hash = mix(mix(listing->hash, alias), collection);
    return true;
}

uint64_t faults_fingerprint(wg_store *store)
{
    struct listing listing = { store, 1 };
    must_ok(wg_store_list(store, add_collection, &listing));
    must_ok(wg_alias_list(store, add_alias, &listing));
    return listing.hash;
}

/* --- steps --- */

static wg_err create_small(struct faulted *f)
{
    return make_collection(f->store, "small", SMALL_DIM, 1000);
}

static wg_err upsert_small(struct faulted *f)
{
    wg_err err = need_collection(f, "small");
    return err == WG_OK ? upsert(f->collection, SMALL_DIM, 0, SMALL_COUNT) : err;
}

static wg_err upsert_more(struct faulted *f)
{
    wg_err err = need_collection(f, "large");
    return err == WG_OK ? upsert(f->collection, DIM, FIRST, MORE) : err;
}

static wg_err update(struct faulted *f)
{
    return upsert(f->collection, DIM, FIRST - 3, 5);
}

static wg_err delete_points(struct faulted *f)
{
    return delete_some(f->collection, FIRST, 4);
}

static wg_err set_payload(struct faulted *f)
{
    wg_id ids[] = { id_of(0), id_of(1), id_of(FIRST - 1) };
    return wg_collection_set_payload(f->collection, ids, 3, "{\"colour\":\"blue\"}", NULL);
}

static wg_err clear(struct faulted *f)
{
    return wg_collection_clear(f->collection);
}

static wg_err compact(struct faulted *f)
{
    wg_err err = need_collection(f, "large");
    return err == WG_OK ? wg_collection_compact(f->collection, NULL) : err;
}

static wg_err snapshot(struct faulted *f)
{
    return wg_store_snapshot(f->store, f->target);
}

static wg_err restore(struct faulted *f)
{
    return wg_store_restore(f->context, f->path, f->target);
}

static wg_err export(struct faulted *f)
{
    wg_err err = need_collection(f, "large");
    return err == WG_OK ? wg_collection_export(f->collection, f->target) : err;
}

static wg_err search(struct faulted *f)
{
    float query[SMALL_DIM] = { 1, -1, 1 };
    wg_search_params params;
    wg_searcher *searcher;
    size_t count = 0;
    wg_search_params_init(&params);
    params.queries = query;
    params.query_count = 1;
    params.dim = SMALL_DIM;
    params.with = WG_WITH_VECTOR | WG_WITH_PAYLOAD;
    wg_err err = need_collection(f, "alias");
    if (err == WG_OK) err = wg_searcher_create(f->collection, &searcher);
    if (err != WG_OK) return err;
    err = wg_searcher_run(searcher, &params);
    const wg_hit *hits = wg_searcher_hits(searcher, 0, &count);
    for (size_t i = 0; i < count && err == WG_OK; i++) {
        char id[WG_ID_TEXT_SIZE];
        wg_id_format(&hits[i].id, id, sizeof id);
        f->read = mix(mix(f->read, id), hits[i].payload);
    }
    wg_searcher_destroy(&searcher);
    return err;
}

static void read_points(struct faulted *f, wg_points **points)
{
    for (size_t i = 0; i < wg_points_count(*points); i++) {
        const wg_point *point = wg_points_at(*points, i);
        f->read = mix(f->read, point->found ? point->payload : "none") + point->version;
    }
    wg_points_destroy(points);
}

static wg_err get(struct faulted *f)
{
    wg_id ids[] = { id_of(0), id_of(5), id_of(FIRST) };
    wg_points *points;
    wg_err err = wg_collection_get(f->collection, ids, 3, WG_WITH_PAYLOAD, &points);
    if (err == WG_OK) read_points(f, &points);
    return err;
}

static wg_err scroll(struct faulted *f)
{
    wg_points *points;
    wg_err err = wg_collection_scroll(f->collection, NULL, 100, WG_WITH_PAYLOAD, &points);
    if (err == WG_OK) read_points(f, &points);
    return err;
}

static wg_err changes(struct faulted *f)
{
    wg_changes *list;
    wg_err err = wg_collection_changes(f->collection, 0, 10, &list);
    if (err != WG_OK) return err;
    for (size_t i = 0; i < wg_changes_count(list); i++)
        f->read += wg_changes_at(list, i)->chain_hash;
    wg_changes_destroy(&list);
    return WG_OK;
}

static wg_err rename_small(struct faulted *f)
{
    return wg_collection_rename(f->store, "small", "tiny");
}

static wg_err add_other_alias(struct faulted *f)
{
    return wg_alias_set(f->store, "other", "tiny");
}

static wg_err switch_alias(struct faulted *f)
{
    return wg_alias_set(f->store, "alias", "large");
}

static wg_err remove_alias(struct faulted *f)
{
    return wg_alias_remove(f->store, "alias");
}

static wg_err drop(struct faulted *f)
{
    return wg_collection_drop(f->store, "tiny");
}

static wg_err drop_large(struct faulted *f)
{
    return wg_collection_drop(f->store, "large");
}

const struct faults_plan faults_plans[] = {
    { .name = "create", .steps = { open_store, create_small, upsert_small }, .from_nothing = true },
    { .name = "write",
      .steps = { open_store, upsert_more, update, delete_points, set_payload, clear },
      .quiet = 1,
      .retries = true,
      .writes = true },
    { .name = "compact",
      .steps = { open_store, compact },
      .quiet = 1,
      .retries = true,
      .writes = true },
    { .name = "snapshot",
      .steps = { open_store, snapshot },
      .quiet = 1,
      .makes = true,
      .retries = true },
    { .name = "restore", .steps = { restore }, .makes = true, .retries = true },
    { .name = "export",
      .steps = { open_store, export },
      .quiet = 1,
      .makes = true,
      .retries = true },
    { .name = "read", .steps = { open_store, search, get, scroll, changes } },
    { .name = "read beside", .steps = { open_beside, search, get, scroll, changes } },
    { .name = "names",
      .steps = { open_store, rename_small, add_other_alias, switch_alias, remove_alias, drop,
                 drop_large },
      .quiet = 1 },
};
const size_t faults_plan_count = sizeof faults_plans / sizeof *faults_plans;
