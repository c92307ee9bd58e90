#include "store/commit.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "store/live.h"

#include <string.h>

/* Segments begin small and double, so that small collections are small; a batch that needs more
 * gets a segment of its size at once. */
static const uint64_t segment_bytes_min = UINT64_C(1) << 20, segment_bytes_max = UINT64_C(128)
                                                                                 << 20;

static struct segment *last_segment(const struct commit *commit)
{
    return commit->segment_count > 0 ? commit->segments[commit->segment_count - 1] : NULL;
}

/* The base's last segment, that rows are appended to while it has room. */
static struct segment *open_segment(const struct commit *commit)
{
    const struct view *base = commit->base;
    return base->segment_count > 0 ? base->segments[base->segment_count - 1] : NULL;
}

static wg_err copy_base(struct commit *commit)
{
    wg_err err = WG_OK;
    const struct view *base = commit->base;
    TRY(mem_resize(&commit->segments, base->segment_count));
    for (size_t i = 0; i < base->segment_count; i++)
        commit->segments[commit->segment_count++] = segment_retain(base->segments[i]);
    commit->first_touched = commit->segment_count;
    if (base->source.masked) TRY(bitmap_share(&base->source.live, &commit->live));
    TRY(bitmap_resize(&commit->live, base->source.row_count));
out:
    return err;
}

wg_err commit_begin(struct collection *c, struct commit *out)
{
    wg_err err = WG_OK;
    struct commit commit = { .collection = c, .base = c->current };
    if (c->read_only) return wg_fail(WG_EREADONLY, "%s: open for reading only", c->folder);
    if (c->broken)
        return wg_fail(WG_EREADONLY,
                       "%s: a sync failed; nothing more is written until the store is reopened",
                       c->folder);
    commit.record = commit.base->commit;
    commit.record.sequence++;
    const struct segment *open = open_segment(&commit);
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

uint64_t commit_version(const struct commit *commit)
{
    return commit->record.sequence;
}

static void release_segments(struct commit *commit)
{
    for (size_t i = 0; i < commit->segment_count; i++) segment_release(&commit->segments[i]);
    mem_free(&commit->segments);
    commit->segment_count = 0;
}

static void commit_fini(struct commit *commit)
{
    db_abort(&commit->txn);
    release_segments(commit);
    bitmap_fini(&commit->live);
    mem_free(&commit->touched_chunks);
    commit->chunk_count = 0;
}

/* What was written behind the counts is written over by the next commit. New files go, unless the
 * outcome is unknown and they may be named by what is on disk. */
void commit_abort(struct commit *commit)
{
    size_t kept = commit->cleared ? 0 : commit->base->segment_count;
    for (size_t i = kept; i < commit->segment_count; i++)
        commit->segments[i]->doomed = !commit->collection->broken;
    struct segment *open = open_segment(commit);
    if (open) {
        open->row_count = commit->rows_before;
        open->strings_size = commit->strings_before;
    }
    commit_fini(commit);
}

static uint64_t new_capacity(const struct commit *commit, uint64_t rows_to_come)
{
    const struct segment *last = last_segment(commit);
    uint64_t row_size = commit->collection->space.dim * sizeof(float) + sizeof(struct id_slot);
    uint64_t bytes = last ? 2 * last->header.capacity * row_size : segment_bytes_min;
    if (bytes < rows_to_come * row_size) bytes = rows_to_come * row_size;
    if (bytes > segment_bytes_max) bytes = segment_bytes_max;
    uint64_t capacity = (bytes + row_size - 1) / row_size;
    return capacity < SEGMENT_ROWS_MAX ? capacity : SEGMENT_ROWS_MAX;
}

static wg_err add_segment(struct commit *commit, uint64_t rows_to_come)
{
    wg_err err = WG_OK;
    struct segment_params params = {
        .first_row = commit->record.row_end,
        .capacity = new_capacity(commit, rows_to_come),
        .number = commit->record.next_segment++,
        .dim = commit->collection->space.dim,
    };
    TRY(mem_resize(&commit->segments, commit->segment_count + 1));
    TRY(segment_create(commit->collection->folder, &params,
                       &commit->segments[commit->segment_count]));
    commit->segment_count++;
out:
    return err;
}

static wg_err put_sums(struct commit *commit, const uint32_t *sums, size_t count)
{
    struct row_key key = row_key_of(0, commit->record.row_end);
    return db_put(&commit->txn, TABLE_SUMS, (struct bytes){ key.bytes, sizeof key.bytes },
                  (struct bytes){ sums, count * sizeof *sums });
}

/* As many of the rows as the last segment takes. */
static wg_err append_some(struct commit *commit, struct segment_rows *rows, uint32_t *sums)
{
    wg_err err = WG_OK;
    struct segment *last = last_segment(commit);
    uint64_t room = last ? last->header.capacity - last->row_count : 0;
    if (room == 0) {
        TRY(add_segment(commit, rows->count));
        last = last_segment(commit);
        room = last->header.capacity;
    }
    struct segment_rows some = *rows;
    if (some.count > room) some.count = (size_t)room;
    TRY(segment_append(last, &some, sums));
    if (commit->first_touched >= commit->segment_count)
        commit->first_touched = commit->segment_count - 1;
    TRY(put_sums(commit, sums, some.count));
    commit->record.row_end += some.count;
    rows->vectors += some.count * last->header.dim;
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
    if (err == WG_OK)
        err = bitmap_resize(&commit->live, commit->record.row_end - commit->record.row_base);
    return err;
}

static wg_err touch(struct commit *commit, size_t chunk)
{
    wg_err err = WG_OK;
    if (chunk >= commit->chunk_count) {
        TRY(mem_resize(&commit->touched_chunks, chunk + 1));
        while (commit->chunk_count <= chunk) commit->touched_chunks[commit->chunk_count++] = false;
    }
    commit->touched_chunks[chunk] = true;
out:
    return err;
}

wg_err commit_kill(struct commit *commit, uint64_t row)
{
    uint64_t position = row - commit->record.row_base;
    if (row < commit->record.row_base || row >= commit->record.row_end)
        return wg_fail(WG_ECORRUPT, "%s: a point names row %llu, which is not there",
                       commit->collection->folder, (unsigned long long)row);
    wg_err err = bitmap_clear(&commit->live, position);
    return err == WG_OK ? touch(commit, position / BITMAP_CHUNK_BITS) : err;
}

wg_err commit_clear(struct commit *commit)
{
    wg_err err = WG_OK;
    TRY(db_empty(&commit->txn, TABLE_POINTS));
    TRY(db_empty(&commit->txn, TABLE_SEGMENTS));
    TRY(db_empty(&commit->txn, TABLE_SUMS));
    TRY(db_empty(&commit->txn, TABLE_LIVE));
    release_segments(commit);
    bitmap_fini(&commit->live);
    commit->first_touched = 0;
    commit->cleared = true;
    commit->record.point_count = 0;
    uint64_t chunks = (commit->record.row_end + BITMAP_CHUNK_BITS - 1) / BITMAP_CHUNK_BITS;
    commit->record.row_base = commit->record.row_end = chunks * BITMAP_CHUNK_BITS;
out:
    return err;
}

void commit_chain(struct commit *commit, const void *bytes, size_t size)
{
    commit->changed = true;
    commit->record.chain_hash = checksum64(bytes, size, commit->record.chain_hash);
}

static wg_err put_live(struct commit *commit, size_t chunk)
{
    wg_err err = WG_OK;
    char *bytes = NULL;
    size_t size;
    uint64_t first = (uint64_t)chunk * BITMAP_CHUNK_BITS;
    uint64_t left = commit->record.row_end - commit->record.row_base - first;
    struct chunk_key key =
        chunk_key_of(0, (uint32_t)(commit->record.row_base / BITMAP_CHUNK_BITS + chunk));
    TRY(live_encode(&commit->live, chunk,
                    (uint32_t)(left < BITMAP_CHUNK_BITS ? left : BITMAP_CHUNK_BITS), &bytes,
                    &size));
    TRY(db_put(&commit->txn, TABLE_LIVE, (struct bytes){ key.bytes, sizeof key.bytes },
               (struct bytes){ bytes, size }));
out:
    mem_free(&bytes);
    return err;
}

static wg_err put_all_live(struct commit *commit)
{
    wg_err err = WG_OK;
    uint64_t before = commit->cleared ? 0 : commit->base->source.row_count;
    uint64_t after = commit->record.row_end - commit->record.row_base;
    for (uint64_t p = before; p < after; p = (p / BITMAP_CHUNK_BITS + 1) * BITMAP_CHUNK_BITS)
        TRY(touch(commit, p / BITMAP_CHUNK_BITS));
    for (size_t chunk = 0; chunk < commit->chunk_count; chunk++)
        if (commit->touched_chunks[chunk]) TRY(put_live(commit, chunk));
out:
    return err;
}

static wg_err put_segments(struct commit *commit)
{
    wg_err err = WG_OK;
    for (size_t i = commit->first_touched; i < commit->segment_count; i++) {
        const struct segment *segment = commit->segments[i];
        struct segment_key key = segment_key_of(segment->header.space, segment->header.number);
        struct segment_record record = {
            .first_row = segment->header.first_row,
            .row_count = segment->row_count,
            .capacity = segment->header.capacity,
            .strings_size = segment->strings_size,
        };
        TRY(db_put(&commit->txn, TABLE_SEGMENTS, (struct bytes){ key.bytes, sizeof key.bytes },
                   (struct bytes){ &record, sizeof record }));
    }
    TRY(db_put(&commit->txn, TABLE_META, (struct bytes){ "commit", 6 },
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
        .commit = commit->record,
        .segments = commit->segments,
        .segment_count = commit->segment_count,
        .live = &commit->live,
    };
    return view_create(&params, out);
}

static wg_err sync_segments(struct commit *commit)
{
    for (size_t i = commit->first_touched; i < commit->segment_count; i++) {
        wg_err err = file_sync(&commit->segments[i]->file);
        if (err == WG_OK) continue;
        commit->collection->broken = true;
        return wg_fail(err,
                       "%s; nothing of the batch is there, and the store is read-only until "
                       "it is reopened",
                       wg_message());
    }
    return WG_OK;
}

/* *next becomes what snapshots may meet from now on. */
static void offer_next(struct collection *c, struct view *next)
{
    mutex_lock(&c->publish);
    c->next = next;
    mutex_unlock(&c->publish);
}

/* The next view becomes the current one; the one before is the caller's to release. */
static struct view *publish(struct collection *c)
{
    mutex_lock(&c->publish);
    struct view *before = c->current;
    c->current = c->next;
    c->next = NULL;
    mutex_unlock(&c->publish);
    return before;
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

wg_err commit_finish(struct commit *commit)
{
    wg_err err = WG_OK;
    struct collection *c = commit->collection;
    struct view *view = NULL;
    TRY(put_all_live(commit));
    TRY(put_segments(commit));
    TRY(make_view(commit, &view));
    TRY(sync_segments(commit));
    offer_next(c, view);
    err = commit_txn(commit);
    if (err != WG_OK) {
        offer_next(c, NULL);
        goto out;
    }
    view = publish(c); /* the one before */
    for (size_t i = 0; commit->cleared && i < view->segment_count; i++)
        view->segments[i]->doomed = true;
    commit_fini(commit);
    collection_cover(c);
out:
    if (err != WG_OK) commit_abort(commit);
    view_release(&view);
    return err;
}
