#include "store/view.h"

#include "base/mem.h"

static wg_err fill(struct view *view, const struct view_params *params)
{
    wg_err err = WG_OK;
    TRY(layout_copy(params->layout, &view->layout));
    TRY(source_init(params->cpu, params->type, params->dim, &view->source));
    for (size_t i = 0; i < view->layout.count; i++) {
        const struct placed *placed = &view->layout.placed[i];
        struct row_batch batch = { segment_vectors(placed->segment), (size_t)placed->row_count,
                                   params->coded ? &placed->segment->codes : NULL };
        TRY(source_append(&view->source, &batch));
    }
    if (view->commit.point_count < view->source.row_count)
        TRY(source_set_live(&view->source, params->live));
    view->source.moment = view->commit.sequence;
    view->source.origin = view->commit.arrangement;
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

struct view *view_of_source(const struct source *source)
{
    return (struct view *)((uintptr_t)source - offsetof(struct view, source));
}

void view_release(struct view **view)
{
    struct view *v = *view;
    *view = NULL;
    if (!v || atomic_fetch_sub(&v->references, 1) != 1) return;
    source_fini(&v->source);
    layout_fini(&v->layout);
    mem_free(&v);
}

wg_err view_read(const struct view *view, uint64_t position, struct view_row *out)
{
    uint64_t i;
    const struct segment *segment = layout_at(&view->layout, position, &i)->segment;
    wg_err err = segment_check_row(segment, i);
    if (err != WG_OK) return err;
    *out = (struct view_row){
        .id = segment_id(segment, i),
        .vector = segment_vector(segment, i),
    };
    return WG_OK;
}
