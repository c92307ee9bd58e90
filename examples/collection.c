/* collection.h: points in, points out. What upsert has returned from is on disk. */
#include <waggle/collection.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

int main(void)
{
    static const float vectors[2][3] = { { 1, 0, 0 }, { 0, 1, 0 } };
    static const char *const payloads[2] = { "{\"makes\": \"honey\"}", NULL };
    wg_context *context = NULL;
    wg_store *store = NULL;
    wg_collection *bees = NULL;
    wg_points *points = NULL;
    wg_id ids[2];
    wg_err err;

    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 3;
    TRY(wg_context_create(NULL, &context));
    TRY(wg_store_open(context, "points", NULL, &store));
    TRY(wg_collection_create(store, "bees", &params));
    TRY(wg_collection_open(store, "bees", &bees));

    wg_id_from_number(7, &ids[0]);
    TRY(wg_id_from_string("bumblebee", &ids[1]));
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = 2;
    batch.ids = ids;
    batch.vectors = vectors[0];
    batch.payloads = payloads;
    TRY(wg_collection_upsert(bees, 3, &batch));

    /* Two points need no eight-bit codes: a million would be searched several times faster. */
    TRY(wg_collection_set_codes(bees, false));

    TRY(wg_collection_scroll(bees, NULL, 10, WG_WITH_PAYLOAD, &points));
    for (size_t i = 0; i < wg_points_count(points); i++) {
        const wg_point *point = wg_points_at(points, i);
        char id[WG_ID_TEXT_SIZE];
        wg_id_format(&point->id, id, sizeof id);
        printf("%s %s\n", id, point->payload);
    }
out:
    if (err != WG_OK) fprintf(stderr, "collection: %s\n", wg_message());
    wg_points_destroy(&points);
    wg_collection_close(&bees);
    wg_store_close(&store);
    wg_context_destroy(&context);
    return err != WG_OK;
}
