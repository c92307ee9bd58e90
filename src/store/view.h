#pragma once
/* What one commit left, as searches see it: segments, counts, live rows. Immutable, a counted
 * reference: whoever holds it reads it from any thread, whatever is written meanwhile.
 *
 * Position p of a view is row commit.row_base + p. */
#include "index/source.h"
#include "store/segment.h"

struct view {
    atomic_uint references;
    struct commit_record commit;
    struct source source;
    struct segment **segments; /* rising, without gaps from commit.row_base on */
    size_t segment_count;
};

struct view_params {
    struct slot *cpu;
    size_t dim;
    struct commit_record commit;
    struct segment *const *segments; /* retained by the view */
    size_t segment_count;
    const struct bitmap *live; /* shared; by position */
};

WG_CHECKED wg_err view_create(const struct view_params *params, struct view **out);
struct view *view_retain(struct view *view);
void view_release(struct view **view);

/* position < commit.row_end - commit.row_base; what is returned is borrowed from the view. */
wg_id view_id(const struct view *view, uint64_t position);
const float *view_vector(const struct view *view, uint64_t position);
