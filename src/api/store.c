#include "api/store.h"

#include "api/params.h"
#include "api/vectors.h"
#include "base/mem.h"
#include "store/verify.h"

#include <string.h>

void wg_store_params_init_sized(wg_store_params *params, size_t size)
{
    static const wg_store_params defaults = { .create = true };
    params_fill(params, size, &defaults, sizeof defaults);
}

void wg_collection_params_init_sized(wg_collection_params *params, size_t size)
{
    static const wg_collection_params defaults = { .metric = WG_COSINE };
    params_fill(params, size, &defaults, sizeof defaults);
}

static wg_err open_inner(wg_context *context, const char *path, const wg_store_params *params,
                         struct store **out)
{
    struct store_params inner = {
        .devices = context->devices,
        .background = context->background,
        .log = context->log,
        .path = path,
        .create = params->create,
        .read_only = params->read_only,
    };
    return store_open(&inner, out);
}

wg_err wg_store_open(wg_context *context, const char *path, const wg_store_params *params,
                     wg_store **out)
{
    wg_err err = WG_OK;
    wg_store *store = NULL;
    wg_store_params p;
    wg_store_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    TRY(mem_resize(&store, 1));
    *store = (wg_store){ .context = context };
    TRY(open_inner(context, path, &p, &store->store));
    *out = store;
    store = NULL; /* moved */
out:
    mem_free(&store);
    return err;
}

void wg_store_close(wg_store **store)
{
    if (*store) store_close(&(*store)->store);
    mem_free(store);
}

wg_err wg_collection_create(wg_store *store, const char *name, const wg_collection_params *params)
{
    wg_err err = WG_OK;
    wg_collection_params p;
    wg_collection_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    TRY(dim_check(p.dim));
    TRY(metric_check(p.metric));
    struct space_record space = { .dim = p.dim, .metric = (uint16_t)p.metric };
    TRY(store_create_collection(store->store, name, &space));
out:
    return err;
}

wg_err wg_collection_drop(wg_store *store, const char *name)
{
    return store_drop_collection(store->store, name);
}

struct listing {
    wg_name_fn *visit;
    void *user;
};

static bool pass_name(void *arg, const char *name, uint64_t number)
{
    (void)number;
    const struct listing *listing = arg;
    return listing->visit(listing->user, name);
}

wg_err wg_store_list(wg_store *store, wg_name_fn *visit, void *user)
{
    return store_list(store->store, pass_name, &(struct listing){ visit, user });
}

struct verification {
    struct store *store;
    const char *only; /* NULL: every collection */
    struct verify_report report;
    bool found;
    wg_err err;
};

static bool verify_one(void *arg, const char *name, uint64_t number)
{
    struct verification *v = arg;
    char *folder = NULL;
    if (v->only && strcmp(v->only, name) != 0) return true;
    v->found = true;
    v->err = store_collection_folder(v->store, number, &folder);
    if (v->err == WG_OK) v->err = verify_collection(name, folder, &v->report);
    mem_free(&folder);
    return v->err == WG_OK && !v->only;
}

wg_err wg_store_verify(wg_context *context, const char *path, const char *collection,
                       wg_problem_fn *report, void *user, uint64_t *problem_count)
{
    wg_err err = WG_OK;
    struct verification v = { .only = collection, .report = { report, user, 0 } };
    wg_store_params reading = { .size = sizeof reading, .read_only = true };
    err = open_inner(context, path, &reading, &v.store);
    if (err == WG_ECORRUPT) {
        verify_problem(&v.report, "%s", wg_message());
        *problem_count = v.report.problem_count;
        return WG_OK;
    }
    TRY(err);
    err = store_list(v.store, verify_one, &v);
    if (err == WG_ECORRUPT) verify_problem(&v.report, "%s: registry: %s", path, wg_message());
    if (err != WG_ECORRUPT) TRY(err);
    TRY(v.err);
    if (collection && !v.found && err == WG_OK)
        TRY(wg_fail(WG_ENOTFOUND, "%s: there is no collection \"%s\"", path, collection));
    err = WG_OK;
    *problem_count = v.report.problem_count;
out:
    store_close(&v.store);
    return err;
}
