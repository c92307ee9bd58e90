#pragma once
/* The list of a collection's changes: what each write did, in order. Applied to another collection
 * that stands where the first one stood, it gives an equal one; so copies can follow an original.
 *
 * The list goes back to the collection's horizon (waggle/collection.h, wg_collection_info). Whoever
 * stands before it begins again from a snapshot (waggle/maintain.h). */
#include "waggle/collection.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum wg_change_kind {
    WG_CHANGE_UPSERT = 1, /* ids, vectors, payloads */
    WG_CHANGE_DELETE = 2, /* ids: those that existed */
    WG_CHANGE_PAYLOAD = 3, /* ids, payloads: what each has now */
    WG_CHANGE_CLEAR = 4
} wg_change_kind;

/* One write. */
typedef struct wg_change {
    size_t size;
    wg_change_kind kind;
    uint64_t epoch; /* of the history; another one has other changes of the same numbers */
    uint64_t sequence; /* of the collection after it */
    uint64_t chain_hash; /* likewise */
    uint32_t dim; /* of the collection */
    wg_metric metric; /* likewise */
    size_t count; /* of ids, vectors, payloads */
    const wg_id *ids;
    union {
        const float *vectors; /* count x dim, as stored; NULL but for an upsert */
        const void *data; /* the same, of the type below */
    };
    const char *const *payloads; /* JSON objects; an entry, or all, may be NULL: {} */
    wg_type type; /* of the collection */
} wg_change;

/* Some changes; what they point to lives as long as this. */
typedef struct wg_changes wg_changes;
WG_API size_t wg_changes_count(const wg_changes *changes);
WG_API const wg_change *wg_changes_at(const wg_changes *changes, size_t i); /* i < count */
WG_API void wg_changes_destroy(wg_changes **changes);

/* The writes behind sequence since, at most limit of them, at least 1 if there is any; none: the
 * collection stands there. WG_EGONE: since lies before the horizon, and a snapshot is needed;
 * WG_EINVAL: since lies behind the latest commit, or limit is 0. WG_ECORRUPT, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_collection_changes(wg_collection *collection, uint64_t since,
                                               size_t limit, wg_changes **out);

/* Does to this collection what the change did to the other. WG_EDIM: it has another dimension.
 * WG_ECONFLICT: it has another metric or type, or does not stand where the other stood: its epoch,
 * its sequence (expected: the change's, less 1), or the chain hash that the change would lead to
 * is another; nothing has changed then. Else as the writes of waggle/collection.h. */
WG_API WG_CHECKED wg_err wg_collection_apply(wg_collection *collection, const wg_change *change);

#ifdef __cplusplus
}
#endif
