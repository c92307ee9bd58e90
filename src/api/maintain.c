#include "waggle/maintain.h"

#include "api/params.h"
#include "api/store.h"
#include "base/mem.h"
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

struct verification {
    struct store *store;
    uint64_t only; /* its number; 0: every collection */
    struct verify_report report;
    wg_err err;
};

static bool verify_one(void *arg, const char *name, uint64_t number)
{
    struct verification *v = arg;
    if (v->only && v->only != number) return true;
    v->err = store_verify_collection(v->store, name, number, &v->report);
    return v->err == WG_OK && !v->only;
}

wg_err wg_store_verify(wg_context *context, const char *path, const char *collection,
                       wg_problem_fn *report, void *user, uint64_t *problem_count)
{
    wg_err err = WG_OK;
    struct verification v = { .report = { .problem = report, .user = user } };
    err = open_to_read(context, path, &v.store);
    if (err == WG_ECORRUPT) {
        verify_problem(&v.report, "%s", wg_message());
        *problem_count = v.report.problem_count;
        return WG_OK;
    }
    TRY(err);
    if (collection) TRY(registry_find(store_registry(v.store), collection, &v.only));
    err = registry_list(store_registry(v.store), verify_one, &v);
    if (err == WG_ECORRUPT) verify_problem(&v.report, "%s: registry: %s", path, wg_message());
    if (err != WG_ECORRUPT) TRY(err);
    TRY(v.err);
    err = WG_OK;
    *problem_count = v.report.problem_count;
out:
    store_close(&v.store);
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
