#pragma once
/* What one commit left, as searches see it: segments, counts, live rows. Immutable, a counted
 * reference: whoever holds it reads it from any thread, whatever is written meanwhile. Rows are
 * known by their positions in its layout. */
#include "index/source.h"
#include "store/layout.h"

struct view {
    atomic_uint references;
    struct commit_record commit;
    struct source source;
    struct layout layout;
};

struct view_params {
    struct slot *cpu;
    size_t dim;
    enum row_type type;
    struct commit_record commit;
    const struct layout *layout; /* copied */
    const struct bitmap *live;   /* shared; by position */
    bool coded; /* rows' codes may be read in their place */
};

WG_CHECKED wg_err view_create(const struct view_params *params, struct view **out);
struct view *view_retain(struct view *view);
/* The view whose source it is. */
struct view *view_of_source(const struct source *source);
void view_release(struct view **view);

/* What stands at a position; what is returned is borrowed from the view. WG_ECORRUPT: it is not
 * what was written. */
struct view_row {
    wg_id id;
    const void *vector;
};
WG_CHECKED wg_err view_read(const struct view *view, uint64_t position, struct view_row *out);
