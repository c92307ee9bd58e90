#include "store/view.h"

#include "base/mem.h"

/* Rows of segment i that the view counts: the last one may hold newer ones. */
static uint64_t rows_of(const struct view *view, size_t i)
{
    uint64_t end = i + 1 < view->segment_count ? view->segments[i + 1]->header.first_row
                                               : view->commit.row_end;
    return end - view->segments[i]->header.first_row;
}

static wg_err fill(struct view *view, const struct view_params *params)
{
    wg_err err = WG_OK;
    TRY(mem_resize(&view->segments, params->segment_count));
    for (size_t i = 0; i < params->segment_count; i++)
        view->segments[view->segment_count++] = segment_retain(params->segments[i]);
    TRY(source_init(params->cpu, params->dim, &view->source));
    for (size_t i = 0; i < view->segment_count; i++)
        TRY(source_append(&view->source, segment_vectors(view->segments[i]),
                          (size_t)rows_of(view, i)));
    if (view->commit.point_count < view->source.row_count)
        TRY(source_set_live(&view->source, params->live));
    view->source.moment = view->commit.sequence;
    view->source.origin = view->commit.row_base;
out:
    return err;
}

wg_err view_create(const struct view_params *params, struct view **out)
{
    wg_err err = WG_OK;
    struct view *view = NULL;
    TRY(mem_resize(&view, 1));
    *view = (struct view){ .references = 1, .commit = params->commit };
    TRY(fill(view, params));
    *out = view;
    view = NULL; /* moved */
out:
    view_release(&view);
    return err;
}

struct view *view_retain(struct view *view)
{
    atomic_fetch_add(&view->references, 1);
    return view;
}

void view_release(struct view **view)
{
    struct view *v = *view;
    *view = NULL;
    if (!v || atomic_fetch_sub(&v->references, 1) != 1) return;
    source_fini(&v->source);
    for (size_t i = 0; i < v->segment_count; i++) segment_release(&v->segments[i]);
    mem_free(&v->segments);
    mem_free(&v);
}

static const struct segment *segment_of(const struct view *view, uint64_t row)
{
    size_t low = 0, high = view->segment_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (view->segments[middle]->header.first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return view->segments[low];
}

wg_id view_id(const struct view *view, uint64_t position)
{
    uint64_t row = view->commit.row_base + position;
    const struct segment *segment = segment_of(view, row);
    return segment_id(segment, row - segment->header.first_row);
}

const float *view_vector(const struct view *view, uint64_t position)
{
    uint64_t row = view->commit.row_base + position;
    const struct segment *segment = segment_of(view, row);
    return segment_vectors(segment) + (row - segment->header.first_row) * segment->header.dim;
}
