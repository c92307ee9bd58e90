#pragma once
/* Reading points: by id, in id order, and the payloads of hits. What is read is copied into an
 * arena of the caller's. */
#include "base/arena.h"
#include "store/collection.h"
#include "waggle/search.h"

struct read_request {
    const wg_id *ids; /* count of them; or NULL: scroll */
    const wg_id *after; /* scroll: behind this id; NULL: from the first */
    size_t count; /* scroll: at most */
    unsigned with; /* a sum of WG_WITH_* */
};

/* *points: *count of them, one for each id asked for, or as many as there were. */
WG_CHECKED wg_err collection_read(struct collection *collection, const struct read_request *request,
                                  struct arena *arena, wg_point **points, size_t *count);

/* Sets payload and changed of hits found in the view of that sequence. The payload is today's, and
 * NULL when the point is gone. */
WG_CHECKED wg_err collection_read_payloads(struct collection *collection, uint64_t sequence,
                                           wg_hit *hits, size_t count, struct arena *arena);
