#pragma once
/* A collection as one file (store/archive.h): its live rows, packed, with their numbers, so that
 * the order of equal scores stays; its points as they are; an empty list of changes, whose horizon
 * is the latest write. Any thread; searches and writes go on. */
#include "store/collection.h"

/* As wg_collection_export. A segment of the file has at most segment_rows rows; 0: as many as
 * SEGMENT_BYTES_MAX hold. */
WG_CHECKED wg_err collection_export(struct collection *collection, const char *path,
                                    uint64_t segment_rows);
