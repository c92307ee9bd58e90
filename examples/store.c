/* store.h: a folder of collections. Makes a collection, lists, checks the files, drops it again. */
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

static void print_problem(void *user, const char *problem)
{
    (void)user;
    printf("problem: %s\n", problem);
}

int main(void)
{
    uint64_t problems = 0;
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
    TRY(wg_store_list(store, print_name, NULL));
    TRY(wg_collection_drop(store, "bees"));
    wg_store_close(&store);
    TRY(wg_store_verify(context, "animals", NULL, print_problem, NULL, &problems));
    printf("%llu problems\n", (unsigned long long)problems);
out:
    if (err != WG_OK) fprintf(stderr, "store: %s\n", wg_message());
    wg_store_close(&store);
    wg_context_destroy(&context);
    return err != WG_OK || problems > 0;
}
