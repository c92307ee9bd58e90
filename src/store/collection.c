#include "store/collection.h"

#include "base/mem.h"
#include "store/id.h"
#include "store/live.h"
#include "store/segment_list.h"

#include <inttypes.h>
#include <string.h>

static const uint64_t map_size = UINT64_C(4) << 30;

static const char *const tables[COLLECTION_TABLE_COUNT] = {
    "meta", "spaces", "segments", "points", "sums", "live",
};

static wg_err tables_open(const char *path, bool read_only, struct db **out)
{
    struct db_params params = {
        .path = path,
        .tables = tables,
        .table_count = COLLECTION_TABLE_COUNT,
        .map_size = map_size,
        .read_only = read_only,
    };
    return db_open(&params, out);
}

wg_err collection_db_open(const char *folder, bool read_only, struct db **out)
{
    char *path = NULL;
    wg_err err = path_join(folder, "tables", &path);
    if (err == WG_OK) err = tables_open(path, read_only, out);
    mem_free(&path);
    return err;
}

static wg_err write_first(struct db *db, const struct space_record *space)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct format_record format = format_current();
    struct commit_record commit = { .epoch = 1 };
    struct space_key key = space_key_of(0);
    TRY(db_write_begin(db, &txn));
    TRY(db_put(&txn, TABLE_META, db_text("format"), (struct bytes){ &format, sizeof format }));
    TRY(db_put(&txn, TABLE_META, db_text("commit"), (struct bytes){ &commit, sizeof commit }));
    TRY(db_put(&txn, TABLE_SPACES, (struct bytes){ key.bytes, sizeof key.bytes },
               (struct bytes){ space, sizeof *space }));
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

wg_err collection_create(const char *folder, const struct space_record *space)
{
    wg_err err = WG_OK;
    char *path = NULL;
    struct db *db = NULL;
    TRY(path_join(folder, "tables", &path));
    TRY(folder_create(folder));
    TRY(folder_create(path));
    TRY(tables_open(path, false, &db));
    TRY(write_first(db, space));
    TRY(folder_sync(path));
    TRY(folder_sync(folder));
out:
    db_close(&db);
    mem_free(&path);
    return err;
}

static wg_err must_get(struct db_txn *txn, unsigned table, struct bytes key, const char *what,
                       struct bytes *value)
{
    bool found;
    wg_err err = db_get(txn, table, key, &found, value);
    if (err == WG_OK && !found) err = wg_fail(WG_ECORRUPT, "%s is missing", what);
    return err;
}

wg_err collection_read_meta(struct db_txn *txn, const char *folder, bool read_only,
                            struct commit_record *commit, struct space_record *space)
{
    wg_err err = WG_OK;
    struct bytes value;
    struct format_record format;
    struct space_key key = space_key_of(0);
    TRY(must_get(txn, TABLE_META, db_text("format"), "the format's record", &value));
    TRY(RECORD_READ(value, &format, "the format's record"));
    TRY(format_check(&format, folder, read_only));
    TRY(must_get(txn, TABLE_META, db_text("commit"), "the commit's record", &value));
    TRY(RECORD_READ(value, commit, "the commit's record"));
    TRY(must_get(txn, TABLE_SPACES, (struct bytes){ key.bytes, sizeof key.bytes },
                 "the space's record", &value));
    TRY(RECORD_READ(value, space, "the space's record"));
    if (space->dim < 1 || space->dim > WG_DIM_MAX || space->metric > WG_CHEBYSHEV ||
        space->type != 0 || commit->row_base % BITMAP_CHUNK_BITS != 0 ||
        commit->row_end < commit->row_base)
        TRY(wg_fail(WG_ECORRUPT, "%s: the collection's records are out of bounds", folder));
out:
    return err;
}

/* What the tables name, while it becomes a view. */
struct loading {
    struct db_txn txn;
    struct segment_list list;
    struct bitmap live;
};

static wg_err load_segments(struct loading *l)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    struct bytes key, value;
    bool found;
    TRY(db_cursor_open(&l->txn, TABLE_SEGMENTS, &cursor));
    for (;;) {
        TRY(db_next(&cursor, &found, &key, &value));
        if (!found) break;
        TRY(segment_list_add(&l->list, key, value));
    }
    if (segment_list_end(&l->list) != l->list.commit.row_end)
        TRY(wg_fail(WG_ECORRUPT, "the segments end at row %" PRIu64 ", expected row %" PRIu64,
                    segment_list_end(&l->list), l->list.commit.row_end));
out:
    db_cursor_close(&cursor);
    return err;
}

static wg_err load_live(struct loading *l)
{
    wg_err err = WG_OK;
    const struct commit_record *commit = &l->list.commit;
    uint64_t row_count = commit->row_end - commit->row_base;
    TRY(bitmap_resize(&l->live, row_count));
    for (uint64_t first = 0; first < row_count; first += BITMAP_CHUNK_BITS) {
        size_t chunk = first / BITMAP_CHUNK_BITS;
        uint64_t left = row_count - first;
        struct chunk_key key =
            chunk_key_of(0, (uint32_t)(commit->row_base / BITMAP_CHUNK_BITS + chunk));
        struct bytes value;
        TRY(must_get(&l->txn, TABLE_LIVE, (struct bytes){ key.bytes, sizeof key.bytes },
                     "a chunk of the live rows", &value));
        TRY(live_decode(value, chunk,
                        (uint32_t)(left < BITMAP_CHUNK_BITS ? left : BITMAP_CHUNK_BITS), &l->live));
    }
out:
    return err;
}

static wg_err load(struct collection *c)
{
    wg_err err = WG_OK;
    struct loading l = { .list = { .folder = c->folder, .read_only = c->read_only } };
    TRY(db_read_begin(c->db, &l.txn));
    TRY(collection_read_meta(&l.txn, c->folder, c->read_only, &l.list.commit, &c->space));
    l.list.space = c->space;
    TRY(load_segments(&l));
    TRY(load_live(&l));
    struct view_params params = {
        .cpu = device_set_cpu(c->host->devices),
        .dim = c->space.dim,
        .commit = l.list.commit,
        .segments = l.list.segments,
        .segment_count = l.list.count,
        .live = &l.live,
    };
    TRY(view_create(&params, &c->current));
    TRY(residency_create(c->host->devices, c->space.dim, &c->residency));
out:
    db_abort(&l.txn);
    bitmap_fini(&l.live);
    segment_list_fini(&l.list);
    if (err == WG_ECORRUPT) err = wg_fail(err, "%s: %s", c->folder, wg_message());
    return err;
}

/* Segments that no record names: a writer crashed before its commit, or before it removed them. */
static bool sweep_file(void *user, const char *name)
{
    struct collection *c = user;
    bool named = false;
    for (size_t i = 0; i < c->current->segment_count; i++) {
        char known[32];
        const struct segment_header *header = &c->current->segments[i]->header;
        segment_name(header->space, header->number, known);
        named = named || strcmp(known, name) == 0;
    }
    char *path = NULL;
    if (!named && segment_is_name(name) && path_join(c->folder, name, &path) == WG_OK)
        (void)!file_remove(path); /* tried again when it is opened next */
    mem_free(&path);
    return true;
}

wg_err collection_open(const struct store_host *host, const char *name, const char *folder,
                       bool read_only, struct collection **out)
{
    wg_err err = WG_OK;
    struct collection *c = NULL;
    TRY(mem_resize(&c, 1));
    *c = (struct collection){ .host = host, .read_only = read_only };
    mutex_init(&c->writer);
    mutex_init(&c->publish);
    TRY(path_join(name, "", &c->name));
    TRY(path_join(folder, "", &c->folder));
    TRY(collection_db_open(folder, read_only, &c->db));
    TRY(load(c));
    if (!read_only) TRY(folder_list(folder, sweep_file, c));
    *out = c;
    c = NULL; /* moved */
out:
    collection_close(&c);
    return err;
}

void collection_close(struct collection **collection)
{
    struct collection *c = *collection;
    if (!c) return;
    background_drain(c->host->background);
    residency_destroy(&c->residency);
    view_release(&c->current);
    db_close(&c->db);
    mutex_fini(&c->publish);
    mutex_fini(&c->writer);
    mem_free(&c->folder);
    mem_free(&c->name);
    mem_free(collection);
}

struct view *collection_view(struct collection *c)
{
    mutex_lock(&c->publish);
    struct view *view = view_retain(c->current);
    mutex_unlock(&c->publish);
    return view;
}

/* The view of a sequence that is current, or about to be; NULL: newer ones only. */
static struct view *view_of_sequence(struct collection *c, uint64_t sequence)
{
    struct view *view = NULL;
    mutex_lock(&c->publish);
    if (c->current->commit.sequence == sequence)
        view = view_retain(c->current);
    else if (c->next && c->next->commit.sequence == sequence)
        view = view_retain(c->next);
    mutex_unlock(&c->publish);
    return view;
}

wg_err snapshot_begin(struct collection *c, struct snapshot *out)
{
    wg_err err = WG_OK;
    *out = (struct snapshot){ 0 };
    while (!out->view) {
        struct bytes value;
        struct commit_record commit;
        db_abort(&out->txn);
        TRY(db_read_begin(c->db, &out->txn));
        TRY(must_get(&out->txn, TABLE_META, db_text("commit"), "the commit's record", &value));
        TRY(RECORD_READ(value, &commit, "the commit's record"));
        out->view = view_of_sequence(c, commit.sequence);
    }
out:
    if (err != WG_OK) snapshot_end(out);
    return err;
}

void snapshot_end(struct snapshot *snapshot)
{
    db_abort(&snapshot->txn);
    view_release(&snapshot->view);
}

struct cover {
    struct collection *collection;
    struct view *view;
};

static void cover_view(void *arg, bool cancelled)
{
    struct cover *cover = arg;
    struct collection *c = cover->collection;
    if (!cancelled && residency_cover(c->residency, &cover->view->source) != WG_OK)
        log_line(&c->host->log, WG_LOG_WARNING, "%s: not copied to the device: %s", c->folder,
                 wg_message());
    view_release(&cover->view);
    atomic_store(&c->covering, false);
    mem_free(&cover);
}

void collection_cover(struct collection *c)
{
    struct cover *cover = NULL;
    const char *reason;
    struct device_set *devices = c->host->devices;
    if (device_set_choose(devices, &reason) == device_set_cpu(devices)) return;
    if (atomic_exchange(&c->covering, true)) return;
    wg_err err = mem_resize(&cover, 1);
    if (err == WG_OK) {
        *cover = (struct cover){ c, collection_view(c) };
        err = background_submit(c->host->background, cover_view, cover);
    }
    if (err == WG_OK) return;
    if (cover) view_release(&cover->view);
    mem_free(&cover);
    atomic_store(&c->covering, false);
}
