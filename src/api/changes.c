#include "waggle/changes.h"

#include "api/params.h"
#include "api/store.h"
#include "api/stored.h"
#include "api/vectors.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/changes.h"
#include "store/write.h"

#include <string.h>

struct wg_changes {
    struct changes inner;
};

size_t wg_changes_count(const wg_changes *changes)
{
    return changes->inner.count;
}

const wg_change *wg_changes_at(const wg_changes *changes, size_t i)
{
    return &changes->inner.changes[i];
}

void wg_changes_destroy(wg_changes **changes)
{
    if (*changes) changes_fini(&(*changes)->inner);
    mem_free(changes);
}

wg_err wg_collection_changes(wg_collection *collection, uint64_t since, size_t limit,
                             wg_changes **out)
{
    wg_err err = WG_OK;
    wg_changes *changes = NULL;
    struct collection *c = NULL;
    TRY(mem_resize(&changes, 1));
    *changes = (wg_changes){ 0 };
    TRY(member_enter(collection->member, &c));
    TRY(collection_changes(c, since, limit, &changes->inner));
    *out = changes;
    changes = NULL; /* moved */
out:
    if (c) member_leave(collection->member);
    wg_changes_destroy(&changes);
    return err;
}

static wg_err check(const wg_change *change)
{
    wg_err err = WG_OK;
    if (change->kind < WG_CHANGE_UPSERT || change->kind > WG_CHANGE_CLEAR)
        return wg_fail(WG_EINVAL, "a change of kind %d; expected 1 to 4", (int)change->kind);
    TRY(metric_check(change->metric));
    if (!wg_type_name(change->type))
        return wg_fail(WG_EINVAL, "a change of type %d; expected 0 to 3", (int)change->type);
    for (size_t i = 0; change->payloads && i < change->count; i++) {
        const char *payload = change->payloads[i];
        err = payload ? json_check_object(payload, strlen(payload)) : WG_OK;
        if (err != WG_OK) TRY(wg_fail(err, "payload %zu: %s", i, wg_message()));
    }
out:
    return err;
}

static wg_err replay(wg_collection *collection, struct collection *c, const wg_change *change)
{
    wg_err err = WG_OK;
    bool is_upsert = change->kind == WG_CHANGE_UPSERT;
    if (change->dim != c->space.dim)
        TRY(wg_fail(WG_EDIM, "the change has %u dimensions, collection \"%s\" has %u", change->dim,
                    c->name, c->space.dim));
    if (change->metric != (wg_metric)c->space.metric)
        TRY(wg_fail(WG_ECONFLICT, "the change is of metric %s, collection \"%s\" has %s",
                    wg_metric_name(change->metric), c->name,
                    wg_metric_name((wg_metric)c->space.metric)));
    if (change->type != (wg_type)c->space.type)
        TRY(wg_fail(WG_ECONFLICT, "the change is of vectors of type %s, collection \"%s\" has %s",
                    wg_type_name(change->type), c->name, wg_type_name((wg_type)c->space.type)));
    struct given given = { change->data, change->type, change->count, c->space.dim, "vector" };
    if (is_upsert) TRY(vectors_check_stored(&collection->store->context->kernels, &given));
    struct replay inner = {
        .change = (enum change)change->kind,
        .epoch = change->epoch,
        .sequence = change->sequence,
        .chain_hash = change->chain_hash,
        .count = change->kind == WG_CHANGE_CLEAR ? 0 : change->count,
        .ids = change->ids,
        .vectors = is_upsert ? change->data : NULL,
        .payloads = change->payloads,
    };
    TRY(collection_replay(c, &inner));
out:
    return err;
}

wg_err wg_collection_apply(wg_collection *collection, const wg_change *change)
{
    wg_err err = WG_OK;
    struct collection *c = NULL;
    wg_change given = { .size = sizeof given };
    TRY(PARAMS_READ(change, &given));
    TRY(check(&given));
    TRY(member_enter(collection->member, &c));
    TRY(replay(collection, c, &given));
out:
    if (c) member_leave(collection->member);
    return err;
}
