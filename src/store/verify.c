#include "store/verify.h"

#include "base/json.h"
#include "base/mem.h"
#include "quant/encode.h"
#include "store/codes_file.h"
#include "store/history.h"
#include "store/id.h"
#include "store/live.h"
#include "store/lock.h"
#include "store/pages.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One collection being checked. */
struct check {
    const char *name;
    struct verify_report *report;
    struct db *db;
    struct db_txn txn;
    const char *folder;
    struct collection_meta meta;
    struct layout_source source;
    struct layout pinned; /* segments that a writer beside may compact away meanwhile */
    struct layout layout;
    struct bitmap live;    /* by position */
    struct bitmap unnamed; /* by position: no point has named the row yet */
    uint64_t sums_end;     /* positions below it have a sum */
    uint64_t chunk_count;  /* of live rows */
    uint64_t point_count;
    uint64_t change_count, changed_points, change_bytes;
    uint64_t history_row, history_end; /* the rows of the list of changes */
};

void verify_problem(struct verify_report *report, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report->problem_count++;
    if (report->problem) report->problem(report->user, text);
}

static void problem(struct check *check, const char *format, ...) WG_PRINTF(2, 3);
static void problem(struct check *check, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    verify_problem(check->report, "collection \"%s\": %s", check->name, text);
}

/* A problem by the latest error. */
static void problem_of(struct check *check, wg_err err)
{
    bool damage = err == WG_ECORRUPT || err == WG_ENOTFOUND || err == WG_EVERSION;
    if (!damage && check->report->cause == WG_OK) check->report->cause = err;
    problem(check, "%s", wg_message());
}

/* Calls visit for every value of a table that passes its checksum; the others are problems. */
static wg_err walk(struct check *check, unsigned table,
                   wg_err (*visit)(struct check *, struct bytes key, struct bytes value))
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    TRY(db_cursor_open(&check->txn, table, &cursor));
    for (bool found = true; found;) {
        struct bytes key, value;
        wg_err of_walk = db_next(&cursor, &found, &key, &value), of_visit = WG_OK;
        if (of_walk == WG_OK && found) of_visit = visit(check, key, value);
        if (of_visit == WG_ENOMEM) TRY(of_visit);
        if (of_walk != WG_OK || of_visit != WG_OK)
            problem_of(check, of_walk != WG_OK ? of_walk : of_visit);
        if (of_walk != WG_OK && of_walk != WG_ECORRUPT) break; /* LMDB itself: it cannot go on */
    }
    err = WG_OK;
out:
    db_cursor_close(&cursor);
    return err;
}

/* But for its checksum, which the walk has checked. */
static wg_err check_nothing(struct check *check, struct bytes key, struct bytes value)
{
    (void)check, (void)key, (void)value;
    return WG_OK;
}

static wg_err check_segment(struct check *check, struct bytes key, struct bytes value)
{
    return layout_load(&check->layout, &check->source, key, value);
}

static void check_row(struct check *check, uint64_t position, uint32_t sum)
{
    uint32_t now;
    uint64_t i;
    const struct segment *segment = layout_at(&check->layout, position, &i)->segment;
    if (segment_row_sum(segment, i, &now) != WG_OK)
        problem(check, "%s", wg_message());
    else if (now != sum || segment_check_row(segment, i) != WG_OK)
        problem(check, "%s: row %" PRIu64 ": wrong checksum", segment->file.path,
                segment_row(segment, i));
}

static wg_err check_sums(struct check *check, struct bytes key, struct bytes value)
{
    uint64_t row = key_number(key), first, end = layout_end(&check->layout);
    size_t count = value.size / sizeof(uint32_t);
    bool found = layout_find(&check->layout, row, &first);
    if (key.size != sizeof(struct row_key) || value.size % sizeof(uint32_t) != 0 || !found ||
        first != check->sums_end || count > end - first)
        return wg_fail(WG_ECORRUPT,
                       "a run of %zu row checksums begins at row %" PRIu64
                       ", expected it at the row of position %" PRIu64 " of %" PRIu64,
                       count, row, check->sums_end, end);
    for (size_t i = 0; i < count; i++) {
        uint32_t sum;
        memcpy(&sum, (const char *)value.start + i * sizeof sum, sizeof sum);
        check_row(check, first + i, sum);
    }
    check->sums_end = first + count;
    return WG_OK;
}

static wg_err check_live(struct check *check, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    const struct commit_record *commit = &check->meta.commit;
    uint64_t words[BITMAP_CHUNK_WORDS];
    uint64_t chunk = key_number(key), row = chunk * BITMAP_CHUNK_BITS;
    if (key.size != sizeof(struct chunk_key) || row < commit->row_base || row >= commit->row_end)
        return wg_fail(WG_ECORRUPT, "live rows of a chunk that is not there");
    uint64_t left = commit->row_end - row;
    check->chunk_count++;
    TRY(live_decode(value, (uint32_t)(left < BITMAP_CHUNK_BITS ? left : BITMAP_CHUNK_BITS), words));
    TRY(layout_set_live(&check->layout, (uint32_t)chunk, words, &check->live));
out:
    return err;
}

/* The list goes from the horizon to the latest write without a gap, and its rows are there. */
static wg_err check_change(struct check *check, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    const struct commit_record *commit = &check->meta.commit;
    struct change_reader reader;
    uint64_t expected = commit->horizon + 1 + check->change_count, position;
    if (key.size != sizeof(struct change_key) || change_key_sequence(key) != expected)
        return wg_fail(WG_ECORRUPT,
                       "the list of changes has a key of %zu bytes, %" PRIu64
                       ", expected change %" PRIu64,
                       key.size, change_key_sequence(key), expected);
    check->change_count++;
    TRY(change_check(value));
    TRY(change_read(value, &reader));
    if (check->change_count == 1) check->history_row = reader.record.first_row;
    bool is_upsert = reader.record.kind == CHANGE_UPSERT;
    check->history_end = reader.record.first_row + (is_upsert ? reader.record.count : 0);
    check->changed_points += reader.record.count;
    check->change_bytes += value.size;
    for (uint32_t i = 0; is_upsert && i < reader.record.count; i++)
        if (!layout_find(&check->layout, reader.record.first_row + i, &position))
            TRY(wg_fail(WG_ECORRUPT, "change %" PRIu64 " names row %" PRIu64 ", which is not there",
                        expected, reader.record.first_row + i));
    if (expected == commit->sequence && reader.record.chain_hash != commit->chain_hash)
        TRY(wg_fail(WG_ECORRUPT,
                    "change %" PRIu64 " has chain hash %016" PRIx64
                    ", the latest commit %016" PRIx64,
                    expected, reader.record.chain_hash, commit->chain_hash));
out:
    return err;
}

static wg_err check_changes(struct check *check)
{
    const struct commit_record *commit = &check->meta.commit;
    check->history_row = check->history_end = commit->row_end; /* of an empty list */
    wg_err err = walk(check, TABLE_CHANGES, check_change);
    if (err == WG_OK && commit->horizon + check->change_count != commit->sequence)
        problem(check, "the list of changes has %" PRIu64 " changes, expected %" PRIu64,
                check->change_count, commit->sequence - commit->horizon);
    else if (err == WG_OK && (check->changed_points != commit->history_count ||
                              check->change_bytes != commit->history_bytes))
        problem(check,
                "the list of changes has %" PRIu64 " points in %" PRIu64 " bytes, expected %" PRIu64
                " in %" PRIu64,
                check->changed_points, check->change_bytes, commit->history_count,
                commit->history_bytes);
    else if (err == WG_OK &&
             (check->history_row != commit->history_row || check->history_end != commit->row_end))
        problem(check,
                "the list of changes needs rows %" PRIu64 " to %" PRIu64 ", expected %" PRIu64
                " to %" PRIu64,
                check->history_row, check->history_end, commit->history_row, commit->row_end);
    return err;
}

static bool same_id(const wg_id *a, const wg_id *b)
{
    struct id_key key_a, key_b;
    return id_key_make(a, SIZE_MAX, &key_a) == WG_OK && id_key_make(b, SIZE_MAX, &key_b) == WG_OK &&
           key_a.size == key_b.size && memcmp(key_a.bytes, key_b.bytes, key_a.size) == 0;
}

static wg_err check_point_row(struct check *check, const wg_id *id, const char *text, uint64_t row)
{
    uint64_t position, i;
    uint32_t sum;
    if (!layout_find(&check->layout, row, &position)) {
        problem(check, "point %s names row %" PRIu64 ", which is not there", text, row);
        return WG_OK;
    }
    if (!bitmap_get(&check->live, position))
        problem(check, "point %s names row %" PRIu64 ", which is dead", text, row);
    if (!bitmap_get(&check->unnamed, position))
        problem(check, "point %s names row %" PRIu64 ", as another point does", text, row);
    const struct segment *segment = layout_at(&check->layout, position, &i)->segment;
    wg_id stored = { 0 };
    if (segment_row_sum(segment, i, &sum) == WG_OK) stored = segment_id(segment, i);
    if (!same_id(&stored, id))
        problem(check, "point %s names row %" PRIu64 ", which has another id", text, row);
    return bitmap_clear(&check->unnamed, position);
}

static wg_err check_payload(struct check *check, const char *id, const struct point *point)
{
    struct arena arena = { 0 };
    char *text;
    size_t size = point->head.payload_size;
    wg_err err = arena_copy(&arena, point->payload, size, &text);
    if (err == WG_OK && size > 0 && json_check_object(text, size) == WG_EINVAL)
        problem(check, "point %s: payload: %s", id, wg_message());
    arena_fini(&arena);
    return err;
}

static wg_err check_point(struct check *check, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    struct point point;
    wg_id id;
    char text[WG_ID_TEXT_SIZE];
    check->point_count++;
    TRY(id_from_key(key, &id));
    id_format(&id, text, sizeof text);
    err = point_read(value, &point);
    if (err != WG_OK) return wg_fail(err, "point %s: %s", text, wg_message());
    if (point.head.version == 0 || point.head.version > check->meta.commit.sequence)
        problem(check, "point %s has version %" PRIu64 "; the latest commit is %" PRIu64, text,
                point.head.version, check->meta.commit.sequence);
    TRY(check_point_row(check, &id, text, point.rows.first_row));
    TRY(check_payload(check, text, &point));
out:
    return err;
}

/* Every live row is some point's. */
static void check_unnamed(struct check *check)
{
    uint64_t end = layout_end(&check->layout);
    for (uint64_t p = 0; p < end; p++)
        if (bitmap_get(&check->live, p) && bitmap_get(&check->unnamed, p))
            problem(check, "row %" PRIu64 " is live, and no point names it",
                    layout_row(&check->layout, p));
}

static wg_err check_rows_and_points(struct check *check)
{
    wg_err err = WG_OK;
    const struct commit_record *commit = &check->meta.commit;
    uint64_t end = layout_end(&check->layout);
    TRY(bitmap_resize(&check->live, end));
    TRY(bitmap_resize(&check->unnamed, end));
    TRY(walk(check, TABLE_SUMS, check_sums));
    if (check->sums_end != end)
        problem(check, "row checksums end at position %" PRIu64 ", expected %" PRIu64,
                check->sums_end, end);
    TRY(walk(check, TABLE_LIVE, check_live));
    uint64_t chunk_count =
        (commit->row_end - commit->row_base + BITMAP_CHUNK_BITS - 1) / BITMAP_CHUNK_BITS;
    if (check->chunk_count != chunk_count)
        problem(check, "%" PRIu64 " chunks of live rows, expected %" PRIu64, check->chunk_count,
                chunk_count);
    TRY(walk(check, TABLE_POINTS, check_point));
    check_unnamed(check);
    if (check->point_count != commit->point_count)
        problem(check, "%" PRIu64 " points, expected %" PRIu64, check->point_count,
                commit->point_count);
    TRY(check_changes(check));
out:
    return err;
}

/* A cache costs time, no data: it is told of, and not counted. */
static void tell_cache(struct check *check)
{
    char text[1024];
    snprintf(text, sizeof text, "cache: collection \"%s\": %s", check->name, wg_message());
    if (check->report->problem) check->report->problem(check->report->user, text);
}

/* Codes beside the segments, where there are any. */
static wg_err check_codes(struct check *check)
{
    if (db_archive(check->db) || !check->meta.coded) return WG_OK;
    for (size_t i = 0; i < check->layout.count; i++) {
        struct codes *codes = NULL;
        const struct placed *placed = &check->layout.placed[i];
        struct codes_wanted wanted = {
            .segment = placed->segment,
            .row_count = placed->row_count,
            .metric = check->meta.space.metric == WG_EUCLIDEAN ? METRIC_L2 : METRIC_DOT,
            .type = space_row_type(&check->meta.space),
        };
        wg_err err = codes_file_read(&wanted, &codes);
        codes_destroy(&codes);
        if (err == WG_ENOMEM) return err;
        if (err != WG_OK && err != WG_ENOTFOUND) tell_cache(check);
    }
    return WG_OK;
}

static wg_err check_tables(struct check *check)
{
    uint64_t before = check->report->problem_count;
    wg_err err = walk(check, TABLE_META, check_nothing);
    if (err == WG_OK) err = walk(check, TABLE_SPACES, check_nothing);
    if (err == WG_OK) err = walk(check, TABLE_SEGMENTS, check_segment);
    if (err != WG_OK) return err;
    bool none = check->layout.count == 0 && check->meta.commit.point_count > 0;
    if (check->report->problem_count == before && !none) {
        err = check_rows_and_points(check);
        return err == WG_OK ? check_codes(check) : err;
    }
    problem(check, "a segment is missing or damaged; what is in the others was not checked");
    return WG_OK;
}

/* *again: a writer has compacted a segment away before it was opened; the commit after that is to
 * be checked. What else is wrong with segments is found, and told, by the walk over them. */
static wg_err pin_segments(struct check *check, bool *again)
{
    uint64_t moment = db_txn_moment(&check->txn);
    *again = false;
    check->source = (struct layout_source){
        .folder = check->folder,
        .db = check->db,
        .commit = &check->meta.commit,
        .dim = check->meta.space.dim,
        .type = check->meta.space.type,
        .read_only = true,
    };
    wg_err err = layout_load_all(&check->pinned, &check->source, &check->txn, TABLE_SEGMENTS);
    if (err == WG_ENOTFOUND) {
        db_abort(&check->txn); /* db_moment takes its lock */
        *again = db_moment(check->db) != moment;
        if (*again)
            layout_fini(&check->pinned);
        else
            return db_read_begin(check->db, &check->txn);
    }
    check->source.before = &check->pinned;
    return err == WG_ENOMEM ? err : WG_OK;
}

/* The transaction, and what it needs of files. */
static wg_err begin(struct check *check)
{
    wg_err err = WG_OK;
    for (bool again = true; again;) {
        TRY(db_read_begin(check->db, &check->txn));
        TRY(collection_read_meta(&check->txn, check->folder, true, &check->meta));
        TRY(pin_segments(check, &again));
    }
out:
    return err;
}

static void tell_page(void *user, const char *text)
{
    problem(user, "tables: %s", text);
}

wg_err verify_collection(const char *name, const struct verify_place *place,
                         struct verify_report *report)
{
    struct check check = { .name = name, .report = report, .folder = place->folder };
    struct pages_report pages = { .problem = tell_page, .user = &check };
    struct tables_place tables = { place->folder, place->use, place->reader_limit, &pages };
    wg_err err = collection_tables_open(&tables, &check.db);
    if (err == WG_OK) err = begin(&check);
    if (err == WG_OK)
        err = check_tables(&check);
    else if (err != WG_ENOMEM) {
        if (pages.problem_count == 0) problem_of(&check, err);
        err = WG_OK;
    }
    db_abort(&check.txn);
    db_close(&check.db);
    layout_fini(&check.layout);
    layout_fini(&check.pinned);
    bitmap_fini(&check.live);
    bitmap_fini(&check.unnamed);
    return err;
}

/* A store's collections being checked one after the other. */
struct walk {
    const char *path;
    enum db_use use;
    uint32_t reader_limit;
    struct verify_report *report;
    const char *only; /* of those without a name, that of this own name; NULL: all */
    uint64_t *named;  /* the numbers that the registry knows */
    size_t named_count;
    wg_err err;
};

static wg_err verify_at(const struct walk *walk, const char *name, uint64_t number)
{
    char *folder = NULL;
    wg_err err = registry_folder(walk->path, number, &folder);
    struct verify_place place = { folder, walk->use, walk->reader_limit };
    if (err == WG_OK) err = verify_collection(name, &place, walk->report);
    mem_free(&folder);
    return err;
}

static bool verify_named(void *user, const char *name, uint64_t number)
{
    wg_err err = WG_OK;
    struct walk *walk = user;
    TRY(mem_resize(&walk->named, walk->named_count + 1));
    walk->named[walk->named_count++] = number;
    TRY(verify_at(walk, name, number));
out:
    walk->err = err;
    return err == WG_OK;
}

static bool is_named(const struct walk *walk, uint64_t number)
{
    size_t i = 0;
    while (i < walk->named_count && walk->named[i] != number) i++;
    return i < walk->named_count;
}

/* The name that the tables of a folder keep; as it is when they cannot be read, which is told when
 * all of them is checked. */
static wg_err read_own_name(const struct walk *walk, uint64_t number, char name[NAME_SIZE_MAX + 1])
{
    wg_err err = WG_OK;
    char *folder = NULL;
    struct db *db = NULL;
    struct db_txn txn = { 0 };
    struct bytes value;
    bool found;
    TRY(registry_folder(walk->path, number, &folder));
    TRY(collection_db_open(folder, walk->use, walk->reader_limit, &db));
    TRY(db_read_begin(db, &txn));
    TRY(db_get(&txn, TABLE_META, db_text("name"), &found, &value));
    if (found)
        snprintf(name, NAME_SIZE_MAX + 1, "%.*s", (int)value.size, (const char *)value.start);
out:
    db_abort(&txn);
    db_close(&db);
    mem_free(&folder);
    return err == WG_ENOMEM ? err : WG_OK;
}

static bool verify_unnamed(void *user, const char *entry)
{
    wg_err err = WG_OK;
    struct walk *walk = user;
    uint64_t number;
    char name[NAME_SIZE_MAX + 1];
    if (!registry_is_folder(entry, &number) || is_named(walk, number)) return true;
    snprintf(name, sizeof name, "%s", entry);
    TRY(read_own_name(walk, number, name));
    if (!walk->only || strcmp(walk->only, name) == 0) TRY(verify_at(walk, name, number));
out:
    walk->err = err;
    return err == WG_OK;
}

/* Where names were lost, what has none may be a collection, not only what a drop left. */
static wg_err verify_folders(struct walk *walk)
{
    wg_err err = WG_OK;
    if (file_exists(walk->path))
        (void)verify_unnamed(walk, "c-1"); /* the only one of an exported file */
    else
        TRY(folder_list(walk->path, verify_unnamed, walk));
    TRY(walk->err);
out:
    return err;
}

static void tell_problem(void *user, const char *problem)
{
    verify_problem(user, "%s", problem);
}

static wg_err verify_all(struct walk *walk, struct registry *registry)
{
    wg_err err = WG_OK;
    TRY(registry_check(registry, tell_problem, walk->report));
    err = registry_list(registry, verify_named, walk);
    bool lost_names = err == WG_ECORRUPT; /* which was told; all others were visited */
    if (!lost_names) TRY(err);
    TRY(walk->err);
    err = WG_OK;
    if (lost_names) TRY(verify_folders(walk));
out:
    return err;
}

static wg_err verify_only(struct walk *walk, struct registry *registry, const char *only)
{
    wg_err err = WG_OK;
    uint64_t number;
    char name[NAME_SIZE_MAX + 1];
    err = registry_find(registry, only, &number);
    if (err == WG_ECORRUPT) {
        verify_problem(walk->report, "registry: \"%s\": %s", only, wg_message());
        walk->only = only;
        return verify_folders(walk);
    }
    TRY(err);
    snprintf(name, sizeof name, "%s", only); /* it may be an alias */
    TRY(read_own_name(walk, number, name));
    TRY(verify_at(walk, name, number));
out:
    return err;
}

wg_err store_verify(struct store *store, const char *only, struct verify_report *report)
{
    struct walk walk = {
        .path = store_path(store),
        .use = store_tables_use(store),
        .reader_limit = store_reader_limit(store),
        .report = report,
    };
    struct registry *registry = store_registry(store);
    wg_err err = only ? verify_only(&walk, registry, only) : verify_all(&walk, registry);
    mem_free(&walk.named);
    return err;
}

wg_err store_verify_folders(const char *path, uint32_t reader_limit, const char *only,
                            struct verify_report *report)
{
    wg_err err = WG_OK;
    struct store_lock lock = { 0 };
    struct walk walk = {
        .path = path,
        .reader_limit = reader_limit,
        .report = report,
        .only = only,
    };
    if (file_exists(path)) return WG_OK; /* what tells where its parts are is lost too */
    TRY(store_lock(path, false, STORE_READ, &lock));
    walk.use = lock.use == STORE_READ ? DB_READ : DB_READ_ALONE;
    TRY(verify_folders(&walk));
out:
    store_unlock(&lock);
    return err;
}
