#pragma once
/* Snapshots: copies of a whole store that is written and searched meanwhile. Any thread. */
#include "store/store.h"

/* path becomes a store that holds each collection as one of its commits left it. Files that are
 * never written again are linked. Nothing is held up, but the writers of a collection for the
 * moment in which its map grows; and a collection is not dropped (WG_EBUSY) while it is copied. On
 * an error nothing is left at path. WG_EINVAL: path is neither an empty folder nor a new one. */
WG_CHECKED wg_err store_snapshot(struct store *store, const char *path);
