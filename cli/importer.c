#include "cli/importer.h"

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

enum { BATCH_BYTES = 16 << 20, BATCH_ROOM_MIN = 1000, BATCH_ROOM_MAX = 65536 };

size_t import_batch_room(size_t dim)
{
    size_t room = BATCH_BYTES / (dim * sizeof(float));
    if (room < BATCH_ROOM_MIN) return BATCH_ROOM_MIN;
    return room < BATCH_ROOM_MAX ? room : BATCH_ROOM_MAX;
}

static wg_err write_batch(const struct import *import, struct point_batch *points)
{
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = points->count;
    batch.ids = points->ids;
    batch.vectors = points->vectors;
    batch.payloads = points->payloads;
    if (import->payload)
        for (size_t i = 0; i < points->count; i++)
            points->payloads[i] = import->payload(import->user, points->places[i]);
    wg_err err = wg_collection_upsert(import->collection, points->dim, &batch);
    return err == WG_OK ? WG_OK : reader_explain(import->reader, points, err);
}

static double fraction_of(const struct import *import)
{
    if (import->limit == UINT64_MAX) return reader_fraction(import->reader);
    uint64_t total = import->limit, all;
    if (reader_total(import->reader, &all) && all < total) total = all;
    return total > 0 ? (double)import->done / (double)total : 1;
}

static wg_err import_all(struct import *import, struct point_batch *batch,
                         struct progress *progress)
{
    wg_err err = WG_OK;
    progress_update(progress, 0, fraction_of(import));
    while (import->done < import->limit) {
        TRY(interrupt_check());
        TRY(reader_next(import->reader, import->limit - import->done, batch));
        if (batch->count == 0) break;
        TRY(write_batch(import, batch));
        import->done += batch->count;
        progress_update(progress, import->done, fraction_of(import));
    }
out:
    return err;
}

static wg_err say_how_far(const struct import *import, wg_err err)
{
    char text[TEXT_SIZE], hint[512];
    if (import->done == 0) return err;
    snprintf(hint, sizeof hint, "%s point%s imported before that %s in \"%.255s\"",
             text_count(import->done, text), text_plural(import->done),
             import->done == 1 ? "is" : "are", import->name);
    return fail_hint(err, "%s", hint);
}

wg_err import_run(struct import *import)
{
    struct point_batch batch;
    struct progress progress;
    import->done = 0;
    point_batch_init(&batch, import->batch_room, reader_dim(import->reader));
    progress_begin(&progress, "importing", "points", 0);
    wg_err err = import_all(import, &batch, &progress);
    progress_end(&progress);
    point_batch_fini(&batch);
    return err == WG_OK ? WG_OK : say_how_far(import, err);
}
