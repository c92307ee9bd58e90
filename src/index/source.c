#include "index/source.h"

#include "base/mem.h"

wg_err source_init(struct slot *cpu, enum row_type type, size_t dim, struct source *out)
{
    *out = (struct source){ .cpu = cpu, .type = type, .dim = dim };
    return slot_rows_create(cpu, type, dim, &out->rows);
}

wg_err source_append(struct source *source, const struct row_batch *batch)
{
    wg_err err = WG_OK;
    TRY(mem_resize(&source->parts, source->part_count + 1));
    TRY(slot_rows_append(source->cpu, source->rows, batch));
    source->parts[source->part_count++] =
        (struct source_part){ batch->values, source->row_count, batch->count };
    source->row_count += batch->count;
out:
    return err;
}

wg_err source_set_live(struct source *source, const struct bitmap *live)
{
    wg_err err = WG_OK;
    TRY(bitmap_share(live, &source->live));
    TRY(slot_mask_create(source->cpu, source->rows, live, &source->mask));
    source->masked = true;
out:
    return err;
}

void source_fini(struct source *source)
{
    if (source->mask) slot_mask_destroy(source->cpu, &source->mask);
    if (source->rows) slot_rows_destroy(source->cpu, &source->rows);
    bitmap_fini(&source->live);
    mem_free(&source->parts);
}
