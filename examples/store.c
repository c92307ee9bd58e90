/* store.h: a folder of collections. Makes a collection, renames it, lists, drops it again. */
#include <waggle/store.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

static bool print_name(void *user, const char *name)
{
    (void)user;
    printf("collection \"%s\"\n", name);
    return true;
}

int main(void)
{
    wg_context *context = NULL;
    wg_store *store = NULL;
    wg_err err;
    TRY(wg_context_create(NULL, &context));
    TRY(wg_store_open(context, "animals", NULL, &store));

    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 3;
    params.metric = WG_EUCLIDEAN;
    TRY(wg_collection_create(store, "bees", &params));
    TRY(wg_collection_rename(store, "bees", "wasps"));
    TRY(wg_alias_set(store, "insects", "wasps"));
    TRY(wg_store_list(store, print_name, NULL));
    TRY(wg_collection_drop(store, "wasps"));
out:
    if (err != WG_OK) fprintf(stderr, "store: %s\n", wg_message());
    wg_store_close(&store);
    wg_context_destroy(&context);
    return err != WG_OK;
}
