/* maintain.h: a copy of a store, checked and compared with the original. */
#include <waggle/maintain.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

static void print(void *user, const char *text)
{
    (void)user;
    printf("%s\n", text);
}

int main(void)
{
    uint64_t problems = 0, differences = 0;
    wg_context *context = NULL;
    wg_store *store = NULL;
    wg_err err;
    TRY(wg_context_create(NULL, &context));
    TRY(wg_store_open(context, "hive", NULL, &store));

    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 3;
    TRY(wg_collection_create(store, "bees", &params));
    TRY(wg_store_snapshot(store, "hive-copy")); /* also while others write */
    wg_store_close(&store);
    TRY(wg_store_verify(context, "hive-copy", NULL, print, NULL, &problems));
    TRY(wg_store_equal(context, "hive", "hive-copy", print, NULL, &differences));
    printf("%d problems, %d differences\n", (int)problems, (int)differences);
out:
    if (err != WG_OK) fprintf(stderr, "maintain: %s\n", wg_message());
    wg_store_close(&store);
    wg_context_destroy(&context);
    return err != WG_OK || problems + differences > 0;
}
