#include "cli/importer.h"

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

enum { BATCH_BYTES = 64 << 20, BATCH_BYTES_MAX = 256 << 20 };
enum { BATCH_ROOM_MIN = 1000, BATCH_ROOM_MAX = 131072 };

size_t import_batch_room(size_t dim)
{
    size_t size = dim * sizeof(float), room = BATCH_BYTES / size, most = BATCH_BYTES_MAX / size;
    if (most < BATCH_ROOM_MIN) return most > 0 ? most : 1;
    if (room < BATCH_ROOM_MIN) return BATCH_ROOM_MIN;
    return room < BATCH_ROOM_MAX ? room : BATCH_ROOM_MAX;
}

static wg_err write_batch(struct import *import, struct point_batch *points)
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
    if (err == WG_OK) return WG_OK;
    import->in_doubt = import->queued; /* the error may be that of a batch before */
    return reader_explain(import->reader, points, err);
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

/* Which of the queued points are there is not known after one of their writes has failed. */
static wg_err say_in_doubt(struct import *import, wg_err err)
{
    char text[TEXT_SIZE];
    uint64_t queued = import->done;
    import->done = 0;
    if (queued == 0) return err;
    return fail_hint(err, "of the %s point%s queued before that, some may not be in \"%.255s\"",
                     text_count(queued, text), text_plural(queued), import->name);
}

/* err: how the import ended. Points that are queued count when they are on disk. */
static wg_err finish(struct import *import, wg_err err)
{
    wg_err flushed = import->queued ? wg_collection_flush(import->collection) : WG_OK;
    if (flushed != WG_OK) {
        import->in_doubt = true;
        if (err == WG_OK || err == WG_ECANCELLED) err = fail_library(flushed);
    }
    if (err == WG_OK) return WG_OK;
    return import->in_doubt ? say_in_doubt(import, err) : say_how_far(import, err);
}

wg_err import_run(struct import *import)
{
    struct point_batch batch;
    struct progress progress;
    import->done = 0;
    import->in_doubt = false;
    point_batch_init(&batch, import->batch_room, reader_dim(import->reader));
    progress_begin(&progress, "importing", "points", 0);
    wg_err err = finish(import, import_all(import, &batch, &progress));
    progress_end(&progress);
    point_batch_fini(&batch);
    return err;
}
