#include "api/store.h"

#include "api/params.h"
#include "api/stored.h"
#include "base/mem.h"

void wg_store_params_init_sized(wg_store_params *params, size_t size)
{
    static const wg_store_params defaults = {
        .create = true,
        .open_limit = 64,
        .reader_limit = 1022,
    };
    params_fill(params, size, &defaults, sizeof defaults);
}

void wg_collection_params_init_sized(wg_collection_params *params, size_t size)
{
    static const wg_collection_params defaults = {
        .metric = WG_COSINE,
        .history = 10000,
        .codes = true,
    };
    params_fill(params, size, &defaults, sizeof defaults);
}

struct store_params store_params_of(wg_context *context, const char *path,
                                    const wg_store_params *params)
{
    return (struct store_params){
        .devices = context->devices,
        .pool = context->pool,
        .background = context->background,
        .log = context->log,
        .path = path,
        .create = params->create,
        .read_only = params->read_only,
        .commit_interval_ms = params->commit_interval_ms,
        .open_limit = params->open_limit,
        .reader_limit = params->reader_limit,
    };
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
    struct store_params inner = store_params_of(context, path, &p);
    TRY(store_open(&inner, &store->store));
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

/* A number that no enumeration has stays one. */
static uint16_t small_of(unsigned number)
{
    return number < UINT16_MAX ? (uint16_t)number : UINT16_MAX;
}

wg_err wg_collection_create(wg_store *store, const char *name, const wg_collection_params *params)
{
    wg_err err = WG_OK;
    wg_collection_params p;
    wg_collection_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    struct store_seed seed = {
        .space = { .dim = p.dim,
                   .metric = small_of((unsigned)p.metric),
                   .type = small_of((unsigned)p.type) },
        .history = p.history,
        .uncoded = !p.codes,
    };
    TRY(space_check(&seed.space));
    TRY(store_create_collection(store->store, name, &seed));
out:
    return err;
}

wg_err wg_collection_drop(wg_store *store, const char *name)
{
    return store_drop_collection(store->store, name);
}

wg_err wg_collection_rename(wg_store *store, const char *from, const char *to)
{
    return store_rename_collection(store->store, from, to);
}

wg_err wg_alias_set(wg_store *store, const char *alias, const char *collection)
{
    return store_set_alias(store->store, alias, collection);
}

wg_err wg_alias_remove(wg_store *store, const char *alias)
{
    return store_remove_alias(store->store, alias);
}

struct listing {
    wg_name_fn *visit;
    wg_alias_fn *visit_alias;
    void *user;
    struct registry *registry;
    const char *alias; /* whose collection is looked for */
    uint64_t number;
    bool go_on;
    wg_err err;
};

static bool pass_name(void *arg, const char *name, uint64_t number)
{
    (void)number;
    const struct listing *listing = arg;
    return listing->visit(listing->user, name);
}

wg_err wg_store_list(wg_store *store, wg_name_fn *visit, void *user)
{
    struct listing listing = { .visit = visit, .user = user };
    return registry_list(store_registry(store->store), pass_name, &listing);
}

static bool pass_collection(void *arg, const char *name, uint64_t number)
{
    struct listing *listing = arg;
    if (number != listing->number) return true;
    listing->go_on = listing->visit_alias(listing->user, listing->alias, name);
    return false;
}

static bool pass_alias(void *arg, const char *alias, uint64_t number)
{
    struct listing *listing = arg;
    listing->alias = alias;
    listing->number = number;
    listing->err = registry_list(listing->registry, pass_collection, listing);
    return listing->err == WG_OK && listing->go_on;
}

wg_err wg_alias_list(wg_store *store, wg_alias_fn *visit, void *user)
{
    struct listing listing = {
        .visit_alias = visit,
        .user = user,
        .registry = store_registry(store->store),
        .go_on = true,
    };
    wg_err err = registry_list_aliases(listing.registry, pass_alias, &listing);
    return err == WG_OK ? listing.err : err;
}
