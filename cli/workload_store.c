#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "cli/clock.h"
#include "cli/interrupt.h"
#include "cli/workload.h"

#include <time.h>

enum { BATCH = 16384, PANEL = 32 };

static const double SETTLED_SECONDS = 0.25, DEVICE_SECONDS = 5;

wg_err workload_store_open(wg_context *context, const struct workload *workload,
                           struct workload_store *out)
{
    wg_err err = WG_OK;
    struct workload_store store = { .store = NULL };
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = (uint32_t)workload->dim;
    params.metric = workload->metric;
    TRY_WG(wg_store_open(context, NULL, NULL, &store.store));
    TRY_WG(wg_collection_create(store.store, "rows", &params));
    TRY_WG(wg_collection_open(store.store, "rows", &store.collection));
    TRY_WG(wg_searcher_create(store.collection, &store.searcher));
    *out = store;
    store = (struct workload_store){ .store = NULL }; /* moved */
out:
    workload_store_close(&store);
    return err;
}

static wg_err append(struct workload_store *store, const struct workload *workload, size_t count)
{
    wg_err err = WG_OK;
    wg_id *ids = NULL;
    wg_batch batch;
    wg_batch_init(&batch);
    heap_resize(&ids, count);
    for (size_t i = 0; i < count; i++) wg_id_from_number(store->row_count + i, &ids[i]);
    batch.count = count;
    batch.ids = ids;
    batch.vectors = workload->rows + store->row_count * workload->dim;
    TRY_WG(wg_collection_upsert(store->collection, workload->dim, &batch));
    store->row_count += count;
out:
    heap_free(&ids);
    return err;
}

/* Codes are made in the background, and not of every row: a few hundred may be left, and all where
 * there is no memory for them. So it is over when nothing has changed for a while. */
static wg_err wait_for_codes(struct workload_store *store, bool *coded)
{
    wg_err err = WG_OK;
    const struct timespec pause = { .tv_nsec = 2000000 };
    double changed = clock_seconds();
    uint64_t before = 0;
    for (*coded = false; clock_seconds() - changed < SETTLED_SECONDS;) {
        wg_collection_info info;
        wg_collection_info_init(&info);
        TRY(interrupt_check());
        TRY_WG(wg_collection_info_get(store->collection, &info));
        if (info.coded_row_count != before) changed = clock_seconds();
        before = info.coded_row_count;
        store->code_bytes = info.code_bytes;
        *coded = 8 * before >= 7 * store->row_count;
        if (before >= store->row_count / PANEL * PANEL) break;
        nanosleep(&pause, NULL);
    }
out:
    return err;
}

wg_err workload_store_grow(struct workload_store *store, const struct workload *workload,
                           size_t row_count, bool *coded)
{
    wg_err err = WG_OK;
    while (store->row_count < row_count) {
        size_t left = row_count - store->row_count;
        TRY(interrupt_check());
        TRY(append(store, workload, left < BATCH ? left : BATCH));
    }
    TRY(wait_for_codes(store, coded));
out:
    return err;
}

wg_err workload_store_search(struct workload_store *store, const struct workload *workload,
                             size_t query_count, double *seconds)
{
    wg_err err = WG_OK;
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = workload->queries;
    params.query_count = query_count;
    params.dim = workload->dim;
    params.k = workload->k;
    params.cancel = interrupt_cancel();
    double start = clock_seconds();
    TRY_WG(wg_searcher_run(store->searcher, &params));
    *seconds = clock_seconds() - start;
out:
    return err;
}

wg_err workload_store_meet_device(struct workload_store *store, const struct workload *workload,
                                  bool *answers)
{
    wg_err err = WG_OK;
    double start = clock_seconds(), seconds;
    for (*answers = false; !*answers && clock_seconds() - start < DEVICE_SECONDS;) {
        wg_search_report report;
        wg_search_report_init(&report);
        TRY(workload_store_search(store, workload, 1, &seconds));
        TRY_WG(wg_searcher_report(store->searcher, &report));
        *answers = report.device_row_count > 0;
    }
out:
    return err;
}

void workload_store_close(struct workload_store *store)
{
    wg_searcher_destroy(&store->searcher);
    wg_collection_close(&store->collection);
    wg_store_close(&store->store);
    *store = (struct workload_store){ .store = NULL };
}
