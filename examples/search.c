/* search.h: the points of a collection that are nearest to a query. */
#include <waggle/search.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

int main(void)
{
    static const float vectors[4][2] = { { 1, 0 }, { 1, 1 }, { 0, 1 }, { -1, 0 } };
    static const float query[2] = { 2, 1 };
    wg_context *context = NULL;
    wg_store *store = NULL;
    wg_collection *winds = NULL;
    wg_searcher *searcher = NULL;
    wg_id ids[4];
    wg_err err;

    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 2;
    TRY(wg_context_create(NULL, &context));
    TRY(wg_store_open(context, "directions", NULL, &store));
    TRY(wg_collection_create(store, "winds", &params));
    TRY(wg_collection_open(store, "winds", &winds));

    for (size_t i = 0; i < 4; i++) wg_id_from_number(i, &ids[i]);
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = 4;
    batch.ids = ids;
    batch.vectors = vectors[0];
    TRY(wg_collection_upsert(winds, 2, &batch));

    wg_search_params search;
    wg_search_params_init(&search);
    search.queries = query;
    search.query_count = 1;
    search.dim = 2;
    search.k = 3;
    TRY(wg_searcher_create(winds, &searcher));
    TRY(wg_searcher_run(searcher, &search));
    size_t count;
    const wg_hit *hits = wg_searcher_hits(searcher, 0, &count);
    for (size_t i = 0; i < count; i++)
        printf("id %llu, cosine %.4f\n", (unsigned long long)hits[i].id.as.number, hits[i].score);
    TRY(wg_searcher_next(searcher, NULL)); /* those behind them */
    hits = wg_searcher_hits(searcher, 0, &count);
    printf("and %zu more, the first with cosine %.4f\n", count, hits[0].score);
out:
    if (err != WG_OK) fprintf(stderr, "search: %s\n", wg_message());
    wg_searcher_destroy(&searcher);
    wg_collection_close(&winds);
    wg_store_close(&store);
    wg_context_destroy(&context);
    return err != WG_OK;
}
