#pragma once
/* Writing points. Arguments are checked: dim, components, payloads; ids here. Nothing of a batch is
 * there after an error. */
#include "store/collection.h"

struct write_result {
    size_t touched; /* points that existed */
    uint64_t sequence; /* of the collection by this write */
};

struct upsert {
    size_t count;
    const wg_id *ids;
    const void
        *vectors; /* count, as they are stored: of the space's type; normalised when the metric
                            is cosine, unless they are u8 */
    const char *const *payloads; /* NULL: none; an entry may be NULL */
    const uint64_t *if_versions; /* NULL: any; 0: absent */
    bool may_queue; /* the collection's interval holds: nobody needs the result */
};
WG_CHECKED wg_err collection_upsert(struct collection *collection, const struct upsert *upsert,
                                    struct write_result *out);

enum point_change {
    POINT_DELETE,
    POINT_MERGE_PAYLOAD, /* payload NULL: cleared */
};
struct selection {
    enum point_change change;
    size_t count;
    const wg_id *ids;
    const uint64_t *if_versions;
    const char *payload;
    bool may_queue;
};
WG_CHECKED wg_err collection_change(struct collection *collection,
                                    const struct selection *selection, struct write_result *out);

WG_CHECKED wg_err collection_clear(struct collection *collection);

/* Does what another collection's change did. WG_ECONFLICT: this one does not stand where that one
 * stood, or would not come to stand where it does. */
struct replay {
    enum change change;
    uint64_t epoch, sequence, chain_hash;
    size_t count;
    const wg_id *ids;
    const void *vectors; /* as stored */
    const char *const *payloads; /* entries may be NULL */
};
WG_CHECKED wg_err collection_replay(struct collection *collection, const struct replay *replay);
