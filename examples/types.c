/* knn.h: vectors may be stored in less than f32; here as bits, compared by how many differ. */
#include <waggle/search.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

int main(void)
{
    static const unsigned char bits[3] = { 0x00, 0x0f, 0xff }; /* three vectors of eight bits */
    wg_context *context = NULL;
    wg_store *store = NULL;
    wg_collection *prints = NULL;
    wg_searcher *searcher = NULL;
    wg_collection_params params;
    wg_search_params search;
    wg_batch batch;
    wg_id ids[3];
    size_t count;
    wg_err err;
    wg_collection_params_init(&params);
    params.dim = 8, params.metric = WG_HAMMING;
    TRY(wg_type_parse("bits", &params.type));
    printf("%s: %zu byte\n", wg_type_name(params.type), wg_type_vector_size(params.type, 8));
    TRY(wg_context_create(NULL, &context));
    TRY(wg_store_open(context, NULL, NULL, &store));
    TRY(wg_collection_create(store, "prints", &params));
    TRY(wg_collection_open(store, "prints", &prints));
    for (unsigned i = 0; i < 3; i++) wg_id_from_number(i, &ids[i]);
    wg_batch_init(&batch);
    batch.count = 3, batch.ids = ids, batch.data = bits, batch.type = params.type;
    TRY(wg_collection_upsert(prints, 8, &batch));
    TRY(wg_searcher_create(prints, &searcher));
    wg_search_params_init(&search);
    search.data = "\x1f", search.type = params.type;
    search.query_count = 1, search.dim = 8, search.k = 1;
    TRY(wg_searcher_run(searcher, &search));
    const wg_hit *hit = wg_searcher_hits(searcher, 0, &count);
    printf("%u, in %g bit\n", (unsigned)hit->id.as.number, (double)hit->score);
out:
    if (err != WG_OK) fprintf(stderr, "types: %s\n", wg_message());
    wg_searcher_destroy(&searcher);
    wg_collection_close(&prints);
    wg_store_close(&store);
    wg_context_destroy(&context);
    return err != WG_OK;
}
