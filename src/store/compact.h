#pragma once
/* Compaction: the rows that are still needed of worn neighbouring segments are copied to one packed
 * segment, which takes their place in one commit. Rows keep their numbers. Needed are the live ones
 * and those of the list of changes. Any thread; one compaction of a collection at a time. */
#include "os/stop.h"
#include "store/collection.h"

/* Begins to compact in the background what a quarter of is dead. */
void collection_tidy(struct collection *collection);

/* Everything that has a row to drop, now. WG_ECANCELLED, WG_ETIMEOUT: what was done stays done. */
WG_CHECKED wg_err collection_compact(struct collection *collection, const struct stop *stop);
