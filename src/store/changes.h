#pragma once
/* Reading the list of changes. What is read is copied into an arena of the caller's, but for the
 * vectors and ids of upserts, which are the view's. */
#include "base/arena.h"
#include "store/collection.h"
#include "waggle/changes.h"

struct changes {
    struct arena arena;
    struct view *view;
    wg_metric metric;
    wg_type type;
    wg_change *changes;
    size_t count;
};

/* As wg_collection_changes. *out is to be ended by changes_fini, also after an error. */
WG_CHECKED wg_err collection_changes(struct collection *collection, uint64_t since, size_t limit,
                                     struct changes *out);
void changes_fini(struct changes *changes);
