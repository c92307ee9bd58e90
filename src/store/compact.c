#include "store/compact.h"

#include "base/mem.h"
#include "device/row.h"
#include "store/commit.h"

#include <string.h>

enum { COPY_ROWS = 1024 };

/* After a compaction that failed, so many writes pass before the next one. */
static const uint64_t patience = 1000;

/* Neighbouring segments of a view that become one. */
struct range {
    size_t first, count;
    uint64_t kept; /* rows */
};

static uint64_t end_of(const struct placed *placed)
{
    bool packed = placed->segment->header.numbers_offset != 0;
    return packed ? placed->segment->end_row
                  : placed->segment->header.first_row + placed->row_count;
}

static uint64_t rows_max(const struct view *view)
{
    uint64_t bytes =
        row_size(view->source.type, view->source.dim) + sizeof(struct id_slot) + sizeof(uint64_t);
    uint64_t rows = SEGMENT_BYTES_MAX / bytes;
    return rows < 1 ? 1 : rows < SEGMENT_ROWS_MAX ? rows : SEGMENT_ROWS_MAX;
}

static bool is_needed(const struct view *view, const struct placed *placed, uint64_t i)
{
    return segment_row(placed->segment, i) >= view->commit.history_row || !view->source.masked ||
           bitmap_get(&view->source.live, placed->position + i);
}

/* Rows of a segment that are kept. */
static uint64_t count_needed(const struct view *view, const struct placed *placed)
{
    uint64_t count = 0;
    if (placed->dead_count == 0) return placed->row_count;
    if (end_of(placed) <= view->commit.history_row) return placed->row_count - placed->dead_count;
    for (uint64_t i = 0; i < placed->row_count; i++) count += is_needed(view, placed, i);
    return count;
}

/* The last segment is left alone while rows are appended to it. */
static size_t closed_count(const struct view *view)
{
    const struct layout *layout = &view->layout;
    if (layout->count == 0) return 0;
    const struct segment *last = layout->placed[layout->count - 1].segment;
    return layout->count - !(last->closed || last->header.numbers_offset != 0);
}

static bool is_worn(const struct view *view, const struct placed *placed)
{
    return placed->dead_count > 0 && placed->dead_count >= placed->row_count / 4 &&
           end_of(placed) <= view->commit.history_row;
}

/* Takes in neighbours that are worn too, or small beside it, while all fits in one segment. */
static void widen(const struct view *view, size_t limit, struct range *range)
{
    for (size_t i = range->first + 1; i < limit; i++) {
        const struct placed *next = &view->layout.placed[i];
        uint64_t kept = count_needed(view, next);
        if (range->kept + kept > rows_max(view)) return;
        if (kept == next->row_count && kept > range->kept / 2) return;
        range->kept += kept;
        range->count++;
    }
}

/* The first segment behind row from that is worn or, with all, has anything to drop. */
static bool choose(const struct view *view, uint64_t from, bool all, struct range *out)
{
    size_t limit = closed_count(view);
    for (size_t i = 0; i < limit; i++) {
        const struct placed *placed = &view->layout.placed[i];
        if (placed->segment->header.first_row < from || placed->dead_count == 0) continue;
        if (!all && !is_worn(view, placed)) continue;
        struct range range = { .first = i, .count = 1, .kept = count_needed(view, placed) };
        if (range.kept == placed->row_count) continue;
        widen(view, limit, &range);
        *out = range;
        return true;
    }
    return false;
}

/* One compaction. */
struct compaction {
    struct write write; /* first: the swap is a write of its own */
    struct collection *collection;
    struct view *view;
    const struct stop *stop;
    struct range range;
    struct segment *packed;
    uint32_t *sums;
    char *vectors;
    wg_id *ids;
    uint64_t *numbers;
    size_t filled;
    bool swapped;
};

static wg_err append_filled(struct compaction *c)
{
    struct segment_rows rows = { c->vectors, c->ids, c->numbers, c->filled };
    wg_err err = segment_append(c->packed, &rows, c->sums + c->packed->row_count);
    c->filled = 0;
    return err;
}

/* A row that fails its checksum ends it: damage is not carried on. */
static wg_err copy_row(struct compaction *c, const struct placed *placed, uint64_t i)
{
    wg_err err = WG_OK;
    size_t size = segment_row_size(placed->segment);
    TRY(segment_check_row(placed->segment, i));
    memcpy(c->vectors + c->filled * size, segment_vector(placed->segment, i), size);
    c->ids[c->filled] = segment_id(placed->segment, i);
    c->numbers[c->filled++] = segment_row(placed->segment, i);
    if (c->filled < COPY_ROWS) return WG_OK;
    TRY(append_filled(c));
    if (c->collection->closing) TRY(wg_fail(WG_ECANCELLED, "the collection is closed"));
    if (c->stop) TRY(stop_check(c->stop));
out:
    return err;
}

static wg_err copy_rows(struct compaction *c)
{
    wg_err err = WG_OK;
    for (size_t s = 0; s < c->range.count; s++) {
        const struct placed *placed = &c->view->layout.placed[c->range.first + s];
        for (uint64_t i = 0; i < placed->row_count; i++)
            if (is_needed(c->view, placed, i)) TRY(copy_row(c, placed, i));
    }
    TRY(append_filled(c));
    TRY(segment_flush(c->packed));
    if (c->collection->mode != COLLECTION_IN_MEMORY) TRY(file_sync(&c->packed->file));
    segment_populate(c->packed);
    segment_seal(c->packed);
out:
    return err;
}

static wg_err pack(struct compaction *c)
{
    wg_err err = WG_OK;
    const struct placed *first = &c->view->layout.placed[c->range.first];
    struct segment_params params = {
        .first_row = first->segment->header.first_row,
        .end_row = end_of(&first[c->range.count - 1]),
        .capacity = c->range.kept,
        .number = collection_next_segment(c->collection),
        .dim = c->collection->space.dim,
        .type = c->collection->space.type,
        .packed = true,
    };
    if (c->range.kept == 0) return WG_OK;
    TRY(mem_resize(&c->sums, c->range.kept));
    TRY(mem_resize(&c->vectors, COPY_ROWS * space_row_size(&c->collection->space)));
    TRY(mem_resize(&c->ids, COPY_ROWS));
    TRY(mem_resize(&c->numbers, COPY_ROWS));
    TRY(segment_create(c->collection->folder, &params, &c->packed));
    TRY(copy_rows(c));
out:
    return err;
}

/* Writes since the view was taken have only appended, unless the collection was cleared. */
static wg_err apply_swap(struct commit *commit, struct write *write)
{
    struct compaction *c = (struct compaction *)write;
    const struct range *range = &c->range;
    commit->record.sequence--; /* it changes no point */
    c->swapped = false;
    for (size_t i = range->first; i < range->first + range->count; i++)
        if (i >= commit->layout.count ||
            commit->layout.placed[i].segment != c->view->layout.placed[i].segment)
            return WG_OK;
    c->swapped = true;
    return commit_swap(commit, &(struct swap){ range->first, range->count, c->packed, c->sums });
}

static const struct write_ops swap_ops = { .apply = apply_swap };

static void compaction_fini(struct compaction *c)
{
    if (c->packed && !c->swapped) c->packed->doomed = !c->collection->broken;
    segment_release(&c->packed);
    view_release(&c->view);
    mem_free(&c->sums);
    mem_free(&c->vectors);
    mem_free(&c->ids);
    mem_free(&c->numbers);
}

/* *end: compacted up to this row; unchanged when there was nothing to do. */
static wg_err compact_next(struct collection *collection, bool all, const struct stop *stop,
                           uint64_t *end)
{
    wg_err err = WG_OK;
    struct compaction c = {
        .write = { .ops = &swap_ops, .alone = true },
        .collection = collection,
        .view = collection_view(collection),
        .stop = stop,
    };
    if (!choose(c.view, *end, all, &c.range)) goto out;
    TRY(pack(&c));
    err = group_write(collection, &c.write);
    if (err != WG_OK) c.swapped = false;
    TRY(err);
    *end = end_of(&c.view->layout.placed[c.range.first + c.range.count - 1]);
out:
    compaction_fini(&c);
    return err;
}

static void compact_job(void *arg, bool cancelled)
{
    struct collection *c = arg;
    wg_err err = WG_OK;
    uint64_t before = UINT64_MAX;
    mutex_lock(&c->compaction);
    for (uint64_t end = 0; err == WG_OK && end != before && !cancelled && !c->closing;) {
        before = end;
        err = compact_next(c, false, NULL, &end);
    }
    mutex_unlock(&c->compaction);
    if (err != WG_OK && err != WG_ECANCELLED)
        log_line(&c->host->log, WG_LOG_WARNING, "%s: not compacted: %s", c->folder, wg_message());
    if (err != WG_OK) c->compact_after = c->last_sequence + patience;
    atomic_store(&c->compacting, false);
    collection_job_end(c);
}

void collection_tidy(struct collection *c)
{
    struct range range;
    struct view *view = collection_view(c);
    c->last_sequence = view->commit.sequence;
    bool worn = !c->compacting && view->commit.sequence >= c->compact_after &&
                choose(view, 0, false, &range);
    view_release(&view);
    if (!worn || c->closing || atomic_exchange(&c->compacting, true)) return;
    collection_job_begin(c);
    if (background_submit(c->host->background, compact_job, c) == WG_OK) return;
    atomic_store(&c->compacting, false);
    collection_job_end(c);
}

/* Rows go to another segment from now on, so that the last one can be packed too. */
static void close_last(struct collection *c)
{
    mutex_lock(&c->writer);
    const struct layout *layout = &c->current->layout;
    const struct placed *last = layout->count > 0 ? &layout->placed[layout->count - 1] : NULL;
    if (last && count_needed(c->current, last) < last->row_count) last->segment->closed = true;
    mutex_unlock(&c->writer);
}

wg_err collection_compact(struct collection *c, const struct stop *stop)
{
    wg_err err = WG_OK;
    uint64_t before = UINT64_MAX;
    if (c->mode == COLLECTION_READ)
        return wg_fail(WG_EREADONLY, "%s: open for reading only", c->folder);
    TRY(group_flush(c));
    mutex_lock(&c->compaction);
    close_last(c);
    for (uint64_t end = 0; err == WG_OK && end != before;) {
        before = end;
        err = compact_next(c, true, stop, &end);
    }
    mutex_unlock(&c->compaction);
out:
    return err;
}
