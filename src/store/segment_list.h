#pragma once
/* The segments that the tables of a collection name, in their order. One thread. */
#include "store/segment.h"

struct segment_list {
    const char *folder;
    struct commit_record commit;
    struct space_record space;
    bool read_only;
    struct segment **segments;
    size_t count;
};

/* Opens the segment of one record of table "segments"; records come in the order of their keys.
 * WG_ECORRUPT when it does not follow on those before, or goes against the commit's record. */
WG_CHECKED wg_err segment_list_add(struct segment_list *list, struct bytes key, struct bytes value);
/* The row behind the last one. */
uint64_t segment_list_end(const struct segment_list *list);
void segment_list_fini(struct segment_list *list);
