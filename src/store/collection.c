#include "store/collection.h"

#include "base/mem.h"
#include "os/machine.h"
#include "store/codes_file.h"
#include "store/encode.h"
#include "store/id.h"
#include "store/live.h"

#include <inttypes.h>
#include <string.h>

static const uint64_t map_size = UINT64_C(16) << 20; /* it doubles */
static const uint64_t refresh_ns = 200 * UINT64_C(1000000);

static const char *const tables[COLLECTION_TABLE_COUNT] = {
    "meta", "spaces", "segments", "points", "sums", "live", "changes",
};

static enum db_use use_of(enum collection_mode mode, bool alone)
{
    static const enum db_use uses[] = {
        [COLLECTION_WRITE] = DB_WRITE,
        [COLLECTION_READ] = DB_READ,
        [COLLECTION_IN_MEMORY] = DB_IN_MEMORY,
    };
    return alone ? DB_READ_ALONE : uses[mode];
}

wg_err collection_tables_open(const struct tables_place *place, struct db **out)
{
    char *path = NULL;
    wg_err err = path_join(place->folder, "tables", &path);
    struct db_params params = {
        .path = path,
        .tables = tables,
        .table_count = COLLECTION_TABLE_COUNT,
        .map_size = map_size,
        .use = place->use,
        .reader_limit = place->reader_limit,
        .pages = place->pages,
    };
    if (err == WG_OK) err = db_open(&params, out);
    mem_free(&path);
    return err;
}

wg_err collection_db_open(const char *folder, enum db_use use, uint32_t reader_limit,
                          struct db **out)
{
    struct tables_place place = { .folder = folder, .use = use, .reader_limit = reader_limit };
    return collection_tables_open(&place, out);
}

static wg_err write_first(struct db *db, const struct collection_seed *seed)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct format_record format = format_current();
    format.features = features_of_type(seed->space.type);
    struct commit_record commit = { .epoch = 1 };
    struct settings_record settings = { .history = seed->history };
    struct codes_record codes = { .on = 0 };
    struct space_key key = space_key_of(0);
    TRY(db_write_begin(db, &txn));
    TRY(db_put(&txn, TABLE_META, db_text("format"), (struct bytes){ &format, sizeof format }));
    TRY(db_put(&txn, TABLE_META, db_text("commit"), (struct bytes){ &commit, sizeof commit }));
    TRY(db_put(&txn, TABLE_META, db_text("settings"),
               (struct bytes){ &settings, sizeof settings }));
    if (seed->uncoded)
        TRY(db_put(&txn, TABLE_META, db_text("codes"), (struct bytes){ &codes, sizeof codes }));
    TRY(db_put(&txn, TABLE_META, db_text("name"), db_text(seed->name)));
    TRY(db_put(&txn, TABLE_SPACES, KEY_BYTES(key),
               (struct bytes){ &seed->space, sizeof seed->space }));
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

wg_err collection_create(const char *folder, const struct collection_seed *seed)
{
    wg_err err = WG_OK;
    char *path = NULL;
    struct db *db = NULL;
    TRY(path_join(folder, "tables", &path));
    TRY(folder_create(folder));
    TRY(folder_create(path));
    TRY(collection_db_open(folder, use_of(seed->mode, false), seed->reader_limit, &db));
    TRY(write_first(db, seed));
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

/* Where nothing is said, rows have codes. */
static wg_err read_coded(struct db_txn *txn, bool *out)
{
    bool found;
    struct bytes value;
    struct codes_record record = { .on = 1 };
    wg_err err = db_get(txn, TABLE_META, db_text("codes"), &found, &value);
    if (err == WG_OK && found) err = RECORD_READ(value, &record, "the record of codes");
    *out = record.on != 0;
    return err;
}

static bool is_in_bounds(const struct collection_meta *meta)
{
    const struct commit_record *commit = &meta->commit;
    return space_is_allowed(&meta->space) && commit->row_base % BITMAP_CHUNK_BITS == 0 &&
           commit->row_end >= commit->row_base && commit->horizon <= commit->sequence &&
           commit->row_end <= (uint64_t)UINT32_MAX * BITMAP_CHUNK_BITS;
}

wg_err collection_read_meta(struct db_txn *txn, const char *folder, bool read_only,
                            struct collection_meta *out)
{
    wg_err err = WG_OK;
    struct bytes value;
    struct format_record format;
    struct collection_meta meta;
    struct space_key key = space_key_of(0);
    TRY(must_get(txn, TABLE_META, db_text("format"), "the format's record", &value));
    TRY(RECORD_READ(value, &format, "the format's record"));
    TRY(format_check(&format, folder, read_only));
    TRY(must_get(txn, TABLE_META, db_text("commit"), "the commit's record", &value));
    TRY(RECORD_READ(value, &meta.commit, "the commit's record"));
    TRY(must_get(txn, TABLE_META, db_text("settings"), "the settings' record", &value));
    TRY(RECORD_READ(value, &meta.settings, "the settings' record"));
    TRY(read_coded(txn, &meta.coded));
    TRY(must_get(txn, TABLE_SPACES, KEY_BYTES(key), "the space's record", &value));
    TRY(RECORD_READ(value, &meta.space, "the space's record"));
    if (!is_in_bounds(&meta))
        TRY(wg_fail(WG_ECORRUPT, "%s: the collection's records are out of bounds", folder));
    *out = meta;
out:
    return err;
}

/* What the tables name, while it becomes a view. */
struct loading {
    struct db_txn *txn;
    struct collection_meta meta;
    struct layout layout;
    struct bitmap live;
};

static wg_err load_live(struct loading *l)
{
    wg_err err = WG_OK;
    const struct commit_record *commit = &l->meta.commit;
    TRY(bitmap_resize(&l->live, layout_end(&l->layout)));
    for (uint64_t row = commit->row_base; row < commit->row_end; row += BITMAP_CHUNK_BITS) {
        uint64_t words[BITMAP_CHUNK_WORDS], left = commit->row_end - row;
        uint32_t chunk = (uint32_t)(row / BITMAP_CHUNK_BITS);
        struct chunk_key key = chunk_key_of(0, chunk);
        struct bytes value;
        TRY(must_get(l->txn, TABLE_LIVE, KEY_BYTES(key), "a chunk of the live rows", &value));
        TRY(live_decode(value, (uint32_t)(left < BITMAP_CHUNK_BITS ? left : BITMAP_CHUNK_BITS),
                        words));
        TRY(layout_set_live(&l->layout, chunk, words, &l->live));
    }
out:
    return err;
}

/* The view that a transaction's tables describe. before may be NULL: a view whose segments are used
 * again. */
static wg_err load_view(struct collection *c, struct db_txn *txn, const struct view *before,
                        struct view **out)
{
    wg_err err = WG_OK;
    struct loading l = { .txn = txn };
    bool read_only = c->mode == COLLECTION_READ;
    TRY(collection_read_meta(txn, c->folder, read_only, &l.meta));
    struct layout_source source = {
        .folder = c->folder,
        .db = c->db,
        .commit = &l.meta.commit,
        .dim = l.meta.space.dim,
        .type = l.meta.space.type,
        .read_only = read_only,
        .before = before ? &before->layout : NULL,
    };
    if (!before) {
        c->space = l.meta.space;
        c->history = l.meta.settings.history;
    }
    if (!before || read_only) c->coded = l.meta.coded;
    TRY(layout_load_all(&l.layout, &source, txn, TABLE_SEGMENTS));
    TRY(load_live(&l));
    struct view_params params = {
        .cpu = device_set_cpu(c->host->devices),
        .dim = c->space.dim,
        .type = space_row_type(&c->space),
        .commit = l.meta.commit,
        .layout = &l.layout,
        .live = &l.live,
        .coded = c->coded,
    };
    TRY(view_create(&params, out));
out:
    bitmap_fini(&l.live);
    layout_fini(&l.layout);
    if (err == WG_ECORRUPT) err = wg_fail(err, "%s: %s", c->folder, wg_message());
    return err;
}

/* A segment that a newer commit has taken away is not there any more: then that commit is loaded.
 * */
static wg_err load_newest(struct collection *c, const struct view *before, struct view **out)
{
    wg_err err;
    uint64_t moment = 0;
    do {
        struct db_txn txn = { 0 };
        err = db_read_begin(c->db, &txn);
        if (err == WG_OK) moment = db_txn_moment(&txn);
        if (err == WG_OK) err = load_view(c, &txn, before, out);
        db_abort(&txn);
    } while (err == WG_ENOTFOUND && db_moment(c->db) != moment);
    if (err == WG_OK) c->seen_moment = moment;
    return err;
}

/* Of a segment that a record names, or of its codes. */
static bool is_named(const struct collection *c, const char *name)
{
    for (size_t i = 0; i < c->current->layout.count; i++) {
        char known[32], codes[32];
        const struct segment_header *header = &c->current->layout.placed[i].segment->header;
        segment_name(header->space, header->number, known);
        codes_file_name(header->space, header->number, codes);
        if (strcmp(known, name) == 0 || (c->coded && strcmp(codes, name) == 0)) return true;
    }
    return false;
}

/* Segments that no record names: a writer crashed before its commit, or before it removed them;
 * codes without a segment, or not finished. */
static bool sweep_file(void *user, const char *name)
{
    struct collection *c = user;
    char *path = NULL;
    bool ours = segment_is_name(name) || codes_file_is_name(name);
    if (ours && !is_named(c, name) && path_join(c->folder, name, &path) == WG_OK)
        file_discard(path); /* tried again when it is opened next */
    mem_free(&path);
    return true;
}

static void init(struct collection *c)
{
    mutex_init(&c->writer);
    mutex_init(&c->compaction);
    mutex_init(&c->publish);
    mutex_init(&c->refresh);
    condition_init(&c->idle);
    group_init(&c->group);
}

/* LMDB would make tables that are lost anew, and repair then find nothing to repair. */
static wg_err check_tables(const char *folder)
{
    char *path = NULL;
    wg_err err = path_join(folder, "tables", &path);
    if (err == WG_OK) err = db_check_there(path);
    mem_free(&path);
    return err;
}

static void retain_source(const struct source *source)
{
    (void)view_retain(view_of_source(source));
}

/* What searches share. */
static wg_err create_shared(struct collection *c)
{
    wg_err err = WG_OK;
    struct gather_params gather = {
        .devices = c->host->devices,
        .type = space_row_type(&c->space),
        .dim = c->space.dim,
        .components_min = GATHER_COMPONENTS_MIN,
        .retain = retain_source,
    };
    TRY(residency_create(c->host->devices, c->space.dim, &c->residency));
    TRY(gather_create(&gather, &c->gather));
out:
    return err;
}

wg_err collection_open(const struct store_host *host, const struct collection_place *place,
                       struct collection **out)
{
    wg_err err = WG_OK;
    struct collection *c = NULL;
    TRY(mem_resize(&c, 1));
    *c = (struct collection){ .host = host, .mode = place->mode };
    init(c);
    TRY(path_join(place->name, "", &c->name));
    TRY(path_join(place->folder, "", &c->folder));
    if (!place->alone) TRY(check_tables(c->folder));
    TRY(collection_db_open(c->folder, use_of(c->mode, place->alone), host->reader_limit, &c->db));
    TRY(load_newest(c, NULL, &c->current));
    TRY(create_shared(c));
    c->next_segment = c->current->commit.next_segment;
    if (c->mode != COLLECTION_READ) TRY(folder_list(c->folder, sweep_file, c));
    *out = c;
    c = NULL; /* moved */
out:
    collection_close(&c);
    return err;
}

/* Nothing is written that nobody asked for, and nothing that was queued is lost. */
static void finish_work(struct collection *c)
{
    c->closing = true;
    if (c->residency && group_flush(c) != WG_OK) /* it was opened */
        log_line(&c->host->log, WG_LOG_ERROR, "%s: a queued write was not done: %s", c->folder,
                 wg_message());
    if (c->host->timer) background_hurry(c->host->timer, c);
    if (c->host->background) background_cancel(c->host->background, c);
    mutex_lock(&c->publish);
    while (c->job_count > 0) condition_wait(&c->idle, &c->publish);
    mutex_unlock(&c->publish);
}

void collection_close(struct collection **collection)
{
    struct collection *c = *collection;
    if (!c) return;
    finish_work(c);
    gather_destroy(&c->gather);
    if (c->current) collection_save_codes(c);
    residency_destroy(&c->residency);
    view_release(&c->current);
    db_close(&c->db);
    group_fini(&c->group);
    condition_fini(&c->idle);
    mutex_fini(&c->refresh);
    mutex_fini(&c->publish);
    mutex_fini(&c->compaction);
    mutex_fini(&c->writer);
    mem_free(&c->folder);
    mem_free(&c->name);
    mem_free(collection);
}

void collection_job_begin(struct collection *c)
{
    mutex_lock(&c->publish);
    c->job_count++;
    mutex_unlock(&c->publish);
}

void collection_job_end(struct collection *c)
{
    mutex_lock(&c->publish);
    if (--c->job_count == 0) condition_broadcast(&c->idle);
    mutex_unlock(&c->publish);
}

uint32_t collection_next_segment(struct collection *c)
{
    return atomic_fetch_add(&c->next_segment, 1);
}

uint32_t collection_segment_count(const struct collection *c)
{
    return atomic_load(&c->next_segment);
}

void collection_offer(struct collection *c, struct view *next)
{
    mutex_lock(&c->publish);
    c->next = next;
    mutex_unlock(&c->publish);
}

struct view *collection_publish(struct collection *c)
{
    mutex_lock(&c->publish);
    struct view *before = c->current;
    c->current = c->next;
    c->next = NULL;
    mutex_unlock(&c->publish);
    return before;
}

static struct view *current_view(struct collection *c)
{
    mutex_lock(&c->publish);
    struct view *view = view_retain(c->current);
    mutex_unlock(&c->publish);
    return view;
}

uint64_t collection_point_count(struct collection *c)
{
    mutex_lock(&c->publish);
    uint64_t count = c->current->commit.point_count;
    mutex_unlock(&c->publish);
    return count;
}

/* With refresh held. */
static wg_err adopt_newest(struct collection *c)
{
    wg_err err = WG_OK;
    struct view *before = current_view(c), *newest = NULL;
    TRY(load_newest(c, before, &newest));
    view_release(&before);
    collection_offer(c, newest);
    before = collection_publish(c);
out:
    view_release(&before);
    return err;
}

wg_err collection_refresh(struct collection *c)
{
    if (c->mode != COLLECTION_READ || db_archive(c->db)) return WG_OK;
    if (!folder_exists(c->folder))
        return wg_fail(WG_ENOTFOUND, "collection \"%s\" was dropped meanwhile", c->name);
    mutex_lock(&c->refresh);
    wg_err err = db_moment(c->db) == c->seen_moment ? WG_OK : adopt_newest(c);
    mutex_unlock(&c->refresh);
    return err;
}

/* What another process wrote is looked for five times a second, by whichever search comes then. */
static void refresh_if_due(struct collection *c)
{
    uint64_t now = clock_ns(), seen = atomic_load(&c->seen_ns);
    if (now - seen < refresh_ns || !atomic_compare_exchange_strong(&c->seen_ns, &seen, now)) return;
    wg_err err = collection_refresh(c);
    if (err == WG_OK)
        c->complained = false;
    else if (!atomic_exchange(&c->complained, true))
        log_line(&c->host->log, WG_LOG_WARNING, "%s: not refreshed: %s", c->folder, wg_message());
}

struct view *collection_view(struct collection *c)
{
    if (c->mode == COLLECTION_READ) refresh_if_due(c);
    return current_view(c);
}

static void release_view(void *arg, bool cancelled)
{
    struct view *view = arg;
    (void)cancelled;
    view_release(&view);
}

static bool has_doomed(const struct view *view)
{
    for (size_t i = 0; i < view->layout.count; i++)
        if (view->layout.placed[i].segment->doomed) return true;
    return false;
}

void collection_release_view(struct collection *c, struct view **view)
{
    struct view *v = *view;
    *view = NULL;
    if (v && c->host->timer && atomic_load(&v->references) == 1 && has_doomed(v) &&
        background_submit(c->host->timer, release_view, v) == WG_OK)
        return;
    view_release(&v);
}

wg_err collection_make_room(struct collection *c)
{
    if (c->mode == COLLECTION_READ) return WG_OK;
    mutex_lock(&c->writer);
    wg_err err = db_is_filling(c->db) ? db_grow(c->db) : WG_OK;
    mutex_unlock(&c->writer);
    return err;
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

/* Where another process writes, the view is made of what the transaction reads. */
static wg_err view_of_txn(struct collection *c, struct db_txn *txn, uint64_t sequence,
                          struct view **out)
{
    *out = view_of_sequence(c, sequence);
    if (*out || c->mode != COLLECTION_READ) return WG_OK;
    struct view *before = current_view(c);
    wg_err err = load_view(c, txn, before, out);
    view_release(&before);
    return err;
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
        uint64_t moment = db_txn_moment(&out->txn);
        TRY(must_get(&out->txn, TABLE_META, db_text("commit"), "the commit's record", &value));
        TRY(RECORD_READ(value, &commit, "the commit's record"));
        err = view_of_txn(c, &out->txn, commit.sequence, &out->view);
        if (err == WG_ENOTFOUND) {
            db_abort(&out->txn); /* it holds a lock that db_moment takes, which is not recursive */
            if (db_moment(c->db) != moment) continue; /* a segment went */
        }
        TRY(err);
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
    if (!cancelled && !c->closing && residency_cover(c->residency, &cover->view->source) != WG_OK)
        log_line(&c->host->log, WG_LOG_WARNING, "%s: not copied to the device: %s", c->folder,
                 wg_message());
    view_release(&cover->view);
    mem_free(&cover);
    atomic_store(&c->covering, false);
    collection_job_end(c);
}

void collection_cover(struct collection *c)
{
    struct cover *cover = NULL;
    const char *reason;
    struct device_set *devices = c->host->devices;
    if (device_set_choose(devices, &reason) == device_set_cpu(devices)) return;
    if (c->closing || atomic_exchange(&c->covering, true)) return;
    collection_job_begin(c);
    wg_err err = mem_resize(&cover, 1);
    if (err == WG_OK) {
        *cover = (struct cover){ c, current_view(c) };
        err = background_submit(c->host->background, cover_view, cover);
    }
    if (err == WG_OK) return;
    if (cover) view_release(&cover->view);
    mem_free(&cover);
    atomic_store(&c->covering, false);
    collection_job_end(c);
}
