#pragma once
/* Points and hits, as JSON and as tables for people. */
#include "cli/output.h"
#include "waggle/search.h"

/* {"id":7,"vector":[...],"payload":{...}}: what import reads. What was not asked for is absent. */
struct json_object *show_point_json(const wg_point *point, const wg_collection_info *info);
/* [{"id":7,"score":0.5, and as above}, ...] */
struct json_object *show_hits_json(const wg_hit *hits, size_t count,
                                   const wg_collection_info *info);

enum { SHOW_COLUMNS_MAX = 5 };

/* A table with the columns id, or rank, id and score, and, as with says, payload and vector. */
struct show {
    struct table table;
    const char *titles[SHOW_COLUMNS_MAX];
    char alignment[SHOW_COLUMNS_MAX];
    const wg_collection_info *info; /* of the collection, for its dim and type */
    unsigned with; /* a sum of WG_WITH_* */
};

void show_begin_points(struct show *show, const wg_collection_info *info, unsigned with);
void show_add_point(struct show *show, const wg_point *point);
void show_end(struct show *show); /* prints it */

void show_hits(const wg_hit *hits, size_t count, const wg_collection_info *info, unsigned with);
