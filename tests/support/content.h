#pragma once
/* Everything that a collection holds, as one number: equal content, equal number. */
#include "waggle/waggle.h"

/* Of all points in id order (id, version, vector, payload), and of the collection's sequence, chain
 * hash, number of points, dimension and metric; not of its rows, which compaction changes. Fails as
 * a must_ check does. */
uint64_t content_fingerprint(wg_collection *collection);

/* How many problems wg_store_verify finds in the store at path, each printed. */
uint64_t content_problems(wg_context *context, const char *path);
