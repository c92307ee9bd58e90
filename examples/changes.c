/* changes.h: what was written, done again elsewhere. Two stores in memory; one follows the other.
 * */
#include <waggle/changes.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

static wg_err create(wg_context *context, wg_store **store, wg_collection **collection)
{
    wg_err err;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 2;
    params.metric = WG_EUCLIDEAN;
    TRY(wg_store_open(context, NULL, NULL, store));
    TRY(wg_collection_create(*store, "bees", &params));
    TRY(wg_collection_open(*store, "bees", collection));
out:
    return err;
}

/* Whatever the original did since the copy last looked. */
static wg_err follow(wg_collection *original, wg_collection *copy)
{
    wg_changes *changes = NULL;
    wg_collection_info info;
    wg_collection_info_init(&info);
    wg_err err = wg_collection_info_get(copy, &info);
    if (err == WG_OK) err = wg_collection_changes(original, info.sequence, 100, &changes);
    for (size_t i = 0; err == WG_OK && i < wg_changes_count(changes); i++)
        err = wg_collection_apply(copy, wg_changes_at(changes, i));
    wg_changes_destroy(&changes);
    return err;
}

int main(void)
{
    wg_context *context = NULL;
    wg_store *stores[2] = { NULL, NULL };
    wg_collection *original = NULL, *copy = NULL;
    static const float vectors[] = { 1, 2, 3, 4, 5, 6 };
    wg_id ids[3];
    wg_err err;
    TRY(wg_context_create(NULL, &context));
    TRY(create(context, &stores[0], &original));
    TRY(create(context, &stores[1], &copy));
    for (uint64_t i = 0; i < 3; i++) wg_id_from_number(i, &ids[i]);
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = 3, batch.ids = ids, batch.vectors = vectors;
    TRY(wg_collection_upsert(original, 2, &batch));
    TRY(wg_collection_delete(original, ids, 1, NULL));
    TRY(follow(original, copy));
    printf("%d points, and %d in the copy\n", (int)wg_collection_count(original),
           (int)wg_collection_count(copy));
out:
    if (err != WG_OK) fprintf(stderr, "changes: %s\n", wg_message());
    wg_collection_close(&original);
    wg_collection_close(&copy);
    wg_store_close(&stores[0]);
    wg_store_close(&stores[1]);
    wg_context_destroy(&context);
    return err != WG_OK;
}
