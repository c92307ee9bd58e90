#pragma once
/* A collection to measure: a store, and in it one collection of float vectors, compared by
 * Euclidean distance. */
#include "base/err.h"
#include "waggle/collection.h"

#include <stdio.h>

#define SUBJECT_NAME "subject"

struct subject {
    wg_context *context;
    wg_store *store;
    wg_collection *collection;
};

/* An empty one in the place of what is there; no searcher of that is left. */
static inline wg_err subject_renew(struct subject *subject, size_t dim)
{
    wg_err err = WG_OK;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = (uint32_t)dim;
    params.metric = WG_EUCLIDEAN;
    if (subject->collection) {
        wg_collection_close(&subject->collection);
        TRY(wg_collection_drop(subject->store, SUBJECT_NAME));
    }
    TRY(wg_collection_create(subject->store, SUBJECT_NAME, &params));
    TRY(wg_collection_open(subject->store, SUBJECT_NAME, &subject->collection));
out:
    return err;
}

/* path: where nothing is yet. threads work on a call, 0: one for each processor. subject_close also
 * ends one that failed here. */
static inline wg_err subject_open(const char *path, size_t dim, uint32_t threads,
                                  struct subject *out)
{
    wg_err err = WG_OK;
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = threads;
    params.backend = "cpu";
    *out = (struct subject){ 0 };
    TRY(wg_context_create(&params, &out->context));
    TRY(wg_store_open(out->context, path, NULL, &out->store));
    TRY(subject_renew(out, dim));
out:
    return err;
}

static inline void subject_close(struct subject *subject)
{
    wg_collection_close(&subject->collection);
    wg_store_close(&subject->store);
    wg_context_destroy(&subject->context);
}

/* Points with the ids from first on; ids has room for them. */
static inline wg_err subject_upsert(struct subject *subject, size_t dim, uint64_t first,
                                    wg_batch *batch, wg_id *ids)
{
    for (size_t i = 0; i < batch->count; i++) wg_id_from_number(first + i, &ids[i]);
    batch->ids = ids;
    return wg_collection_upsert(subject->collection, dim, batch);
}
