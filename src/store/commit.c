#include "store/commit.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "device/row.h"
#include "store/compact.h"
#include "store/encode.h"
#include "store/live.h"

#include <string.h>

/* Segments begin small and double, so that small collections are small; a batch that needs more
 * gets a segment of its size at once. */
static const uint64_t segment_bytes_min = UINT64_C(1) << 20;

enum { SUMS_RUN = 4096 };

static struct placed *last_placed(const struct layout *layout)
{
    return layout->count > 0 ? &layout->placed[layout->count - 1] : NULL;
}

/* The segment that the rows from row_end on are appended to while it has room; NULL: a new one. */
static struct segment *open_segment(const struct layout *layout, uint64_t row_end)
{
    const struct placed *last = last_placed(layout);
    if (!last || last->segment->header.numbers_offset != 0 || last->segment->closed) return NULL;
    return last->segment->header.first_row + last->row_count == row_end ? last->segment : NULL;
}

static wg_err copy_base(struct commit *commit)
{
    wg_err err = WG_OK;
    const struct view *base = commit->base;
    TRY(layout_copy(&base->layout, &commit->layout));
    commit->first_touched = commit->layout.count;
    if (base->source.masked) TRY(bitmap_share(&base->source.live, &commit->live));
    TRY(bitmap_resize(&commit->live, base->source.row_count));
out:
    return err;
}

wg_err commit_begin(struct collection *c, struct commit *out)
{
    wg_err err = WG_OK;
    struct commit commit = { .collection = c, .base = c->current };
    if (c->mode == COLLECTION_READ)
        return wg_fail(WG_EREADONLY, "%s: open for reading only", c->folder);
    if (c->broken)
        return wg_fail(WG_EREADONLY,
                       "%s: a sync or commit failed; nothing more is written until the store is "
                       "reopened",
                       c->folder);
    commit.record = commit.base->commit;
    const struct segment *open = open_segment(&commit.base->layout, commit.record.row_end);
    commit.rows_before = open ? open->row_count : 0;
    commit.strings_before = open ? open->strings_size : 0;
    TRY(copy_base(&commit));
    TRY(db_write_begin(c->db, &commit.txn));
    *out = commit;
    return WG_OK;
out:
    commit_abort(&commit);
    return err;
}

void commit_begin_batch(struct commit *commit)
{
    commit->record.sequence++;
    commit->change_count = 0;
    commit->change_row = commit->record.row_end;
    commit->items.size = 0;
}

wg_err commit_end_batch(struct commit *commit, enum change change)
{
    if (commit->change_count == 0 && change != CHANGE_CLEAR) {
        commit->record.sequence--;
        return WG_OK;
    }
    commit->changed = true;
    struct history_entry entry = {
        .record = { .chain_hash = commit->record.chain_hash,
                    .first_row = commit->change_row,
                    .count = commit->change_count,
                    .kind = (uint16_t)change,
                    .flags = commit->items.size > 0 ? CHANGE_HAS_ITEMS : 0 },
        .items = { commit->items.bytes, commit->items.size },
        .limit = commit->collection->history,
    };
    return history_put(&commit->txn, TABLE_CHANGES, &commit->record, &entry);
}

uint64_t commit_version(const struct commit *commit)
{
    return commit->record.sequence;
}

static void commit_fini(struct commit *commit)
{
    db_abort(&commit->txn);
    layout_fini(&commit->layout);
    bitmap_fini(&commit->live);
    mem_free(&commit->dirty);
    change_items_fini(&commit->items);
    commit->dirty_count = 0;
}

static bool has_segment(const struct layout *layout, const struct segment *segment)
{
    for (size_t i = 0; i < layout->count; i++)
        if (layout->placed[i].segment == segment) return true;
    return false;
}

/* What a has and b has not goes with its last view. */
static void doom_others(const struct layout *a, const struct layout *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (!has_segment(b, a->placed[i].segment)) a->placed[i].segment->doomed = true;
}

/* What was written behind the counts is written over by the next commit. New files go, unless the
 * outcome is unknown and they may be named by what is on disk. */
void commit_abort(struct commit *commit)
{
    if (!commit->collection->broken) doom_others(&commit->layout, &commit->base->layout);
    struct segment *open = open_segment(&commit->base->layout, commit->base->commit.row_end);
    if (open) segment_rewind(open, commit->rows_before, commit->strings_before);
    commit_fini(commit);
}

static uint64_t new_capacity(const struct commit *commit, uint64_t rows_to_come)
{
    const struct placed *last = last_placed(&commit->layout);
    uint64_t row_size = space_row_size(&commit->collection->space) + sizeof(struct id_slot);
    uint64_t bytes = last ? 2 * last->segment->header.capacity * row_size : 0;
    if (bytes < segment_bytes_min) bytes = segment_bytes_min; /* a packed one may be tiny */
    if (bytes < rows_to_come * row_size) bytes = rows_to_come * row_size;
    if (bytes > SEGMENT_BYTES_MAX) bytes = SEGMENT_BYTES_MAX;
    uint64_t capacity = (bytes + row_size - 1) / row_size;
    return capacity < SEGMENT_ROWS_MAX ? capacity : SEGMENT_ROWS_MAX;
}

static wg_err add_segment(struct commit *commit, uint64_t rows_to_come)
{
    wg_err err = WG_OK;
    struct segment *segment;
    struct segment_params params = {
        .first_row = commit->record.row_end,
        .capacity = new_capacity(commit, rows_to_come),
        .number = collection_next_segment(commit->collection),
        .dim = commit->collection->space.dim,
        .type = commit->collection->space.type,
    };
    TRY(segment_create(commit->collection->folder, &params, &segment));
    TRY(layout_add(&commit->layout, segment, 0));
out:
    return err;
}

/* sums of rows that stand in this order in their segment, the first of them numbered first_row. */
static wg_err put_sums(struct commit *commit, uint64_t first_row, const uint32_t *sums,
                       size_t count)
{
    struct row_key key = row_key_of(0, first_row);
    return db_put(&commit->txn, TABLE_SUMS, KEY_BYTES(key),
                  (struct bytes){ sums, count * sizeof *sums });
}

static wg_err mark_dirty(struct commit *commit, uint64_t row)
{
    wg_err err = WG_OK;
    size_t chunk = (size_t)((row - commit->record.row_base) / BITMAP_CHUNK_BITS);
    if (chunk >= commit->dirty_count) {
        TRY(mem_resize(&commit->dirty, chunk + 1));
        while (commit->dirty_count <= chunk) commit->dirty[commit->dirty_count++] = false;
    }
    commit->dirty[chunk] = true;
out:
    return err;
}

/* As many rows as the last segment has room for; it may be a new one. */
static wg_err append_some(struct commit *commit, struct segment_rows *rows, uint32_t *sums)
{
    wg_err err = WG_OK;
    struct segment *open = open_segment(&commit->layout, commit->record.row_end);
    if (!open || open->row_count == open->header.capacity) TRY(add_segment(commit, rows->count));
    struct placed *last = last_placed(&commit->layout);
    size_t index = commit->layout.count - 1;
    struct segment_rows some = *rows;
    uint64_t room = last->segment->header.capacity - last->segment->row_count;
    if (some.count > room) some.count = (size_t)room;
    if (index < commit->first_touched) commit->first_touched = index;
    TRY(segment_append(last->segment, &some, sums));
    TRY(put_sums(commit, commit->record.row_end, sums, some.count));
    for (uint64_t row = commit->record.row_end; row < commit->record.row_end + some.count;
         row = (row / BITMAP_CHUNK_BITS + 1) * BITMAP_CHUNK_BITS)
        TRY(mark_dirty(commit, row));
    last->row_count += some.count;
    commit->record.row_end += some.count;
    rows->vectors = row_at(rows->vectors, segment_row_size(last->segment), some.count);
    rows->ids += some.count;
    rows->count -= some.count;
out:
    return err;
}

wg_err commit_append(struct commit *commit, const struct segment_rows *rows, uint32_t *sums)
{
    struct segment_rows left = *rows;
    wg_err err = WG_OK;
    while (left.count > 0 && err == WG_OK)
        err = append_some(commit, &left, sums + (rows->count - left.count));
    if (err == WG_OK) err = bitmap_resize(&commit->live, layout_end(&commit->layout));
    return err;
}

wg_err commit_kill(struct commit *commit, uint64_t row)
{
    wg_err err = WG_OK;
    uint64_t position, i;
    if (!layout_find(&commit->layout, row, &position))
        return wg_fail(WG_ECORRUPT, "%s: a point names row %llu, which is not there",
                       commit->collection->folder, (unsigned long long)row);
    if (!bitmap_get(&commit->live, position)) return WG_OK;
    TRY(bitmap_clear(&commit->live, position));
    size_t at = (size_t)(layout_at(&commit->layout, position, &i) - commit->layout.placed);
    commit->layout.placed[at].dead_count++;
    TRY(mark_dirty(commit, row));
out:
    return err;
}

wg_err commit_clear(struct commit *commit)
{
    wg_err err = WG_OK;
    TRY(db_empty(&commit->txn, TABLE_POINTS));
    TRY(db_empty(&commit->txn, TABLE_SEGMENTS));
    TRY(db_empty(&commit->txn, TABLE_SUMS));
    TRY(db_empty(&commit->txn, TABLE_LIVE));
    doom_others(&commit->layout,
                &commit->base->layout); /* begun by a batch before, in this commit */
    layout_fini(&commit->layout);
    bitmap_fini(&commit->live);
    commit->dirty_count = 0;
    commit->first_touched = 0;
    commit->rearranged = true;
    commit->record.arrangement++;
    commit->record.point_count = 0;
    uint64_t chunks = (commit->record.row_end + BITMAP_CHUNK_BITS - 1) / BITMAP_CHUNK_BITS;
    commit->record.row_base = commit->record.row_end = chunks * BITMAP_CHUNK_BITS;
    commit->change_row = commit->record.row_end;
    TRY(history_empty(&commit->txn, TABLE_CHANGES, &commit->record));
    commit->record.horizon = commit->record.sequence - 1; /* the list begins with this */
out:
    return err;
}

wg_err commit_note(struct commit *commit, const struct change_of_point *change)
{
    uint64_t digest[2] = { checksum64(change->key.start, change->key.size, change->change),
                           change->content };
    commit->record.chain_hash = checksum64(digest, sizeof digest, commit->record.chain_hash);
    commit->change_count += change->change != CHANGE_CLEAR;
    if (!change->listed) return WG_OK;
    return change_items_add(&commit->items,
                            change->change == CHANGE_UPSERT ? (struct bytes){ 0 } : change->key,
                            change->payload);
}

static wg_err delete_rows_of(struct commit *commit, unsigned table, uint64_t first_row,
                             uint64_t end_row)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    for (;;) {
        struct row_key from = row_key_of(0, first_row);
        struct bytes key, value;
        bool found;
        TRY(db_cursor_open(&commit->txn, table, &cursor));
        TRY(db_seek(&cursor, KEY_BYTES(from)));
        TRY(db_next(&cursor, &found, &key, &value));
        if (!found || key_number(key) >= end_row) break;
        struct row_key doomed = row_key_of(0, key_number(key));
        db_cursor_close(&cursor);
        TRY(db_delete(&commit->txn, table, KEY_BYTES(doomed)));
    }
out:
    db_cursor_close(&cursor);
    return err;
}

static wg_err put_segment(struct commit *commit, const struct placed *placed)
{
    const struct segment *segment = placed->segment;
    bool packed = segment->header.numbers_offset != 0;
    struct row_key key = row_key_of(segment->header.space, segment->header.first_row);
    struct segment_record record = {
        .end_row = packed ? segment->end_row : segment->header.first_row + placed->row_count,
        .row_count = placed->row_count,
        .capacity = segment->header.capacity,
        .strings_size = segment->strings_size,
        .number = segment->header.number,
        .packed = packed,
    };
    return db_put(&commit->txn, TABLE_SEGMENTS, KEY_BYTES(key),
                  (struct bytes){ &record, sizeof record });
}

/* The tables' side of a swap. */
static wg_err swap_records(struct commit *commit, const struct swap *swap)
{
    wg_err err = WG_OK;
    const struct placed *placed = &commit->layout.placed[swap->first];
    const struct placed *last = &placed[swap->count - 1];
    uint64_t first_row = placed->segment->header.first_row;
    uint64_t end_row = last->segment->header.numbers_offset != 0
                           ? last->segment->end_row
                           : last->segment->header.first_row + last->row_count;
    TRY(delete_rows_of(commit, TABLE_SEGMENTS, first_row, end_row));
    TRY(delete_rows_of(commit, TABLE_SUMS, first_row, end_row));
    if (!swap->packed) goto out;
    TRY(put_segment(commit, &(struct placed){ .segment = swap->packed,
                                              .row_count = swap->packed->row_count }));
    for (uint64_t i = 0; i < swap->packed->row_count; i += SUMS_RUN) {
        uint64_t left = swap->packed->row_count - i;
        TRY(put_sums(commit, segment_row(swap->packed, i), swap->sums + i,
                     left < SUMS_RUN ? (size_t)left : SUMS_RUN));
    }
out:
    return err;
}

/* Adds the segment to the new layout, with its live bits as the old one has them. */
static wg_err add_packed(const struct commit *commit, struct segment *packed, struct layout *layout,
                         struct bitmap *live)
{
    wg_err err = WG_OK;
    TRY(layout_add(layout, segment_retain(packed), packed->row_count));
    struct placed *placed = last_placed(layout);
    TRY(bitmap_resize(live, layout_end(layout)));
    for (uint64_t i = 0; i < packed->row_count; i++) {
        uint64_t before;
        bool there = layout_find(&commit->layout, segment_row(packed, i), &before);
        if (there && bitmap_get(&commit->live, before)) continue;
        placed->dead_count++;
        TRY(bitmap_clear(live, placed->position + i));
    }
out:
    return err;
}

static wg_err add_unchanged(const struct commit *commit, const struct placed *from,
                            struct layout *layout, struct bitmap *live)
{
    wg_err err = WG_OK;
    struct live_range range = { &commit->live, from->position, from->row_count };
    TRY(layout_add(layout, segment_retain(from->segment), from->row_count));
    last_placed(layout)->dead_count = from->dead_count;
    TRY(layout_copy_live(&range, live, last_placed(layout)->position));
out:
    return err;
}

/* Chunks of rows that have no segment any more are not kept. */
static wg_err raise_row_base(struct commit *commit)
{
    wg_err err = WG_OK;
    const struct layout *layout = &commit->layout;
    uint64_t first =
        layout->count > 0 ? layout->placed[0].segment->header.first_row : commit->record.row_end;
    uint64_t base = first / BITMAP_CHUNK_BITS * BITMAP_CHUNK_BITS;
    for (uint64_t row = commit->record.row_base; row < base; row += BITMAP_CHUNK_BITS) {
        struct chunk_key key = chunk_key_of(0, (uint32_t)(row / BITMAP_CHUNK_BITS));
        TRY(db_delete(&commit->txn, TABLE_LIVE, KEY_BYTES(key)));
    }
    commit->record.row_base = base;
out:
    return err;
}

wg_err commit_swap(struct commit *commit, const struct swap *swap)
{
    wg_err err = WG_OK;
    struct layout layout = { 0 };
    struct bitmap live = { 0 };
    TRY(swap_records(commit, swap));
    for (size_t i = 0; i < commit->layout.count; i++) {
        if (i == swap->first && swap->packed) TRY(add_packed(commit, swap->packed, &layout, &live));
        if (i >= swap->first && i < swap->first + swap->count) continue;
        TRY(add_unchanged(commit, &commit->layout.placed[i], &layout, &live));
    }
    layout_fini(&commit->layout);
    bitmap_fini(&commit->live);
    commit->layout = layout;
    commit->live = live;
    commit->first_touched = layout.count;
    commit->rearranged = commit->changed = true;
    commit->record.arrangement++;
    return raise_row_base(commit);
out:
    layout_fini(&layout);
    bitmap_fini(&live);
    return err;
}

static wg_err put_live(struct commit *commit, uint32_t chunk)
{
    wg_err err = WG_OK;
    uint64_t words[BITMAP_CHUNK_WORDS];
    char *bytes = NULL;
    size_t size;
    uint64_t left = commit->record.row_end - (uint64_t)chunk * BITMAP_CHUNK_BITS;
    struct chunk_key key = chunk_key_of(0, chunk);
    layout_get_live(&commit->layout, &commit->live, chunk, words);
    TRY(live_encode(words, (uint32_t)(left < BITMAP_CHUNK_BITS ? left : BITMAP_CHUNK_BITS), &bytes,
                    &size));
    TRY(db_put(&commit->txn, TABLE_LIVE, KEY_BYTES(key), (struct bytes){ bytes, size }));
out:
    mem_free(&bytes);
    return err;
}

static wg_err put_all(struct commit *commit)
{
    wg_err err = WG_OK;
    uint64_t base = commit->record.row_base / BITMAP_CHUNK_BITS;
    for (size_t chunk = 0; chunk < commit->dirty_count; chunk++)
        if (commit->dirty[chunk]) TRY(put_live(commit, (uint32_t)(base + chunk)));
    for (size_t i = commit->first_touched; i < commit->layout.count; i++)
        TRY(put_segment(commit, &commit->layout.placed[i]));
    commit->record.next_segment = collection_segment_count(commit->collection);
    TRY(db_put(&commit->txn, TABLE_META, db_text("commit"),
               (struct bytes){ &commit->record, sizeof commit->record }));
out:
    return err;
}

static wg_err make_view(struct commit *commit, struct view **out)
{
    struct collection *c = commit->collection;
    struct view_params params = {
        .cpu = device_set_cpu(c->host->devices),
        .dim = c->space.dim,
        .type = space_row_type(&c->space),
        .commit = commit->record,
        .layout = &commit->layout,
        .live = &commit->live,
        .coded = c->coded,
    };
    return view_create(&params, out);
}

static wg_err flush_segments(struct commit *commit)
{
    wg_err err = WG_OK;
    for (size_t i = commit->first_touched; i < commit->layout.count && err == WG_OK; i++)
        err = segment_flush(commit->layout.placed[i].segment);
    return err;
}

static wg_err sync_segments(struct commit *commit)
{
    if (commit->collection->mode == COLLECTION_IN_MEMORY) return WG_OK;
    for (size_t i = commit->first_touched; i < commit->layout.count; i++) {
        wg_err err = file_sync(&commit->layout.placed[i].segment->file);
        if (err == WG_OK) continue;
        commit->collection->broken = true;
        return wg_fail(err,
                       "%s; nothing of the batch is there, and the store is read-only until "
                       "it is reopened",
                       wg_message());
    }
    return WG_OK;
}

static wg_err commit_txn(struct commit *commit)
{
    wg_err err = db_commit(&commit->txn);
    if (err == WG_OK || err == WG_ENOSPC || commit->txn.full) return err;
    commit->collection->broken = true;
    return wg_fail(err,
                   "%s; whether the batch is there is unknown until the store is reopened, "
                   "and it is read-only until then",
                   wg_message());
}

/* Of the commit's segments only the last one is appended to from now on. All stay, also one that an
 * earlier try of this commit gave up. */
static void settle_segments(const struct commit *commit)
{
    for (size_t i = 0; i < commit->layout.count; i++)
        commit->layout.placed[i].segment->doomed = false;
    size_t first = commit->first_touched > 0 ? commit->first_touched - 1 : 0;
    for (size_t i = first; i + 1 < commit->layout.count; i++)
        segment_seal(commit->layout.placed[i].segment);
}

wg_err commit_finish(struct commit *commit)
{
    wg_err err = WG_OK;
    struct collection *c = commit->collection;
    struct view *view = NULL;
    TRY(put_all(commit));
    TRY(flush_segments(commit));
    TRY(make_view(commit, &view));
    TRY(sync_segments(commit));
    collection_offer(c, view);
    err = commit_txn(commit);
    if (err != WG_OK) {
        collection_offer(c, NULL);
        goto out;
    }
    struct layout *before = &c->current->layout;
    settle_segments(commit);
    if (commit->rearranged) doom_others(before, &view->layout);
    view = collection_publish(c); /* the one before */
    commit_fini(commit);
    collection_cover(c);
    collection_encode(c, c->current);
    collection_tidy(c);
out:
    if (err != WG_OK) commit_abort(commit);
    view_release(&view);
    return err;
}
