#include "waggle/maintain.h"

#include "api/params.h"
#include "api/store.h"
#include "store/backup.h"
#include "store/equal.h"
#include "store/restore.h"
#include "store/verify.h"

/* A store that is only looked at. */
static wg_err open_to_read(wg_context *context, const char *path, struct store **out)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = true;
    struct store_params inner = store_params_of(context, path, &params);
    return store_open(&inner, out);
}

static wg_err verify_folders(const char *path, const char *only, struct verify_report *report)
{
    wg_store_params params;
    wg_store_params_init(&params);
    return store_verify_folders(path, params.reader_limit, only, report);
}

wg_err wg_store_verify(wg_context *context, const char *path, const char *collection,
                       wg_problem_fn *report, void *user, uint64_t *problem_count)
{
    wg_err err = WG_OK;
    struct store *store = NULL;
    struct verify_report inner = { .problem = report, .user = user };
    err = open_to_read(context, path, &store);
    if (err == WG_ECORRUPT) { /* the registry is */
        verify_problem(&inner, "%s", wg_message());
        err = verify_folders(path, collection, &inner);
    } else if (err == WG_OK) {
        err = store_verify(store, collection, &inner);
    }
    if (err == WG_OK) *problem_count = inner.problem_count;
    store_close(&store);
    return err;
}

wg_err wg_store_equal(wg_context *context, const char *path_a, const char *path_b,
                      wg_problem_fn *report, void *user, uint64_t *difference_count)
{
    wg_err err = WG_OK;
    struct store *a = NULL, *b = NULL;
    struct equal_report inner = { .report = report, .user = user };
    TRY(open_to_read(context, path_a, &a));
    TRY(open_to_read(context, path_b, &b));
    TRY(store_compare(a, b, &inner));
    *difference_count = inner.difference_count;
out:
    store_close(&a);
    store_close(&b);
    return err;
}

wg_err wg_store_snapshot(wg_store *store, const char *path)
{
    return store_snapshot(store->store, path);
}

wg_err wg_store_restore(wg_context *context, const char *snapshot, const char *path)
{
    (void)context;
    return store_restore(snapshot, path);
}
