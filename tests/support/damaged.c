#include "support/damaged.h"

#include "base/mem.h"
#include "os/file.h"
#include "store/segment.h"
#include "support/check.h"
#include "support/content.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = SCRATCH_PATH_SIZE + 64, READERS = 100, FILE_MAX = 1 << 20 };

static wg_context *context;
static char pristine[PATH_SIZE], damaged[PATH_SIZE], saved[PATH_SIZE];

wg_context *damaged_context(void)
{
    return context;
}

const char *damaged_path(void)
{
    return damaged;
}

const char *damaged_saved(void)
{
    return saved;
}

const char *damaged_at(const char *name)
{
    static char paths[8][PATH_SIZE + 64];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof *paths, "%s/%s", damaged, name);
    return path;
}

/* --- the store --- */

wg_id damaged_id(size_t i)
{
    wg_id id;
    wg_id_from_number(100 + i, &id);
    if (i == 3) must_ok(wg_id_from_string("a string that is longer than an id's slot is", &id));
    if (i == 4) must_ok(wg_id_from_string("short", &id));
    return id;
}

float damaged_component(size_t i, size_t d)
{
    return (float)i + (float)d / 4;
}

static void put(wg_collection *collection, size_t first, size_t count)
{
    wg_id ids[DAMAGED_POINTS];
    float vectors[DAMAGED_POINTS * DAMAGED_DIM];
    char texts[DAMAGED_POINTS][16];
    const char *payloads[DAMAGED_POINTS];
    wg_batch batch;
    wg_batch_init(&batch);
    for (size_t i = 0; i < count; i++) {
        ids[i] = damaged_id(first + i);
        snprintf(texts[i], sizeof texts[i], "{\"n\":%zu}", first + i);
        payloads[i] = (first + i) % 3 ? texts[i] : NULL;
        for (size_t d = 0; d < DAMAGED_DIM; d++)
            vectors[i * DAMAGED_DIM + d] = damaged_component(first + i, d);
    }
    batch.count = count, batch.ids = ids, batch.vectors = vectors, batch.payloads = payloads;
    must_ok(wg_collection_upsert(collection, DAMAGED_DIM, &batch));
}

wg_collection *damaged_create(wg_store *store, const char *name, uint64_t history)
{
    wg_collection *collection = NULL;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DAMAGED_DIM, params.metric = WG_DOT, params.history = history;
    must_ok(wg_collection_create(store, name, &params));
    must_ok(wg_collection_open(store, name, &collection));
    return collection;
}

static void fill(wg_store *store)
{
    wg_id gone[] = { damaged_id(DAMAGED_POINTS - 2), damaged_id(DAMAGED_POINTS - 1) };
    wg_collection *docs = damaged_create(store, "docs", 0),
                  *more = damaged_create(store, "more", DAMAGED_HISTORY);
    put(docs, DAMAGED_POINTS - 1, 1);
    put(docs, 0, DAMAGED_PACKED);
    must_ok(wg_collection_delete(docs, gone + 1, 1, NULL));
    must_ok(wg_collection_compact(docs, NULL)); /* which row 0 makes worth while */
    put(docs, DAMAGED_PACKED, DAMAGED_POINTS - DAMAGED_PACKED);
    must_ok(wg_collection_delete(docs, gone, 2, NULL));
    put(more, 0, DAMAGED_MORE);
    wg_collection_close(&docs);
    wg_collection_close(&more);
    more = damaged_create(store, "none", DAMAGED_HISTORY);
    wg_collection_close(&more);
    must_ok(wg_alias_set(store, "live", "docs"));
    must_ok(wg_alias_set(store, "broad", "more"));
}

void damaged_open(const char *path, bool read_only, wg_store **out)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = read_only;
    must_ok(wg_store_open(context, path, &params, out));
}

int damaged_begin(void **state)
{
    (void)state;
    wg_store *store = NULL;
    const char *folder = scratch_create();
    snprintf(pristine, sizeof pristine, "%s/pristine", folder);
    snprintf(damaged, sizeof damaged, "%s/damaged", folder);
    snprintf(saved, sizeof saved, "%s/saved", folder);
    context = test_context(NULL, 1);
    damaged_open(pristine, false, &store);
    fill(store);
    wg_store_close(&store);
    return 0;
}

int damaged_end(void **state)
{
    (void)state;
    wg_context_destroy(&context);
    return 0;
}

int damaged_copy(void **state)
{
    (void)state;
    scratch_remove(damaged);
    scratch_remove(saved);
    scratch_copy(pristine, damaged);
    return 0;
}

/* --- what is saved --- */

static void note(void *user, const char *problem)
{
    struct damaged_said *said = user;
    said->count++;
    strncat(said->text, problem, sizeof said->text - strlen(said->text) - 2);
    strcat(said->text, "\n");
}

wg_err damaged_repair(const char *to, struct damaged_result *out)
{
    *out = (struct damaged_result){ 0 };
    wg_repair_report_init(&out->report);
    return wg_store_repair(context, damaged, to, note, &out->said, &out->report);
}

static void add_sum(void *user, const char *path, size_t size)
{
    uint64_t *sum = user;
    char *bytes = allocate(size + 1, 1);
    FILE *file = fopen(path, "rb");
    must(file && fread(bytes, 1, size, file) == size, "cannot read %s", path);
    for (size_t i = 0; i < size; i++) *sum = *sum * 31 + (unsigned char)bytes[i] + 1;
    fclose(file);
    free(bytes);
}

/* Of all that is in its files. */
static uint64_t sum_of(const char *store)
{
    uint64_t sum = 0;
    scratch_each_file(store, add_sum, &sum);
    return sum;
}

static bool is_right(const wg_point *point, size_t i)
{
    char payload[16];
    snprintf(payload, sizeof payload, "{\"n\":%zu}", i);
    for (size_t d = 0; d < DAMAGED_DIM; d++)
        if (point->vector[d] != damaged_component(i, d)) return false;
    return point->payload && strcmp(point->payload, i % 3 ? payload : "{}") == 0;
}

/* Which of its points are there, as they were; no others are. */
static uint64_t points_of(wg_collection *collection)
{
    uint64_t there = 0;
    size_t count = 0;
    for (size_t i = 0; i < DAMAGED_POINTS; i++) {
        wg_id id = damaged_id(i);
        wg_points *points = NULL;
        must_ok(wg_collection_get(collection, &id, 1, WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points));
        const wg_point *point = wg_points_at(points, 0);
        bool found = point->vector != NULL;
        must(!found || is_right(point, i), "point %zu is another one", i);
        if (found) there |= UINT64_C(1) << i;
        count += found;
        wg_points_destroy(&points);
    }
    must(wg_collection_count(collection) == count, "%d points",
         (int)wg_collection_count(collection));
    return there;
}

/* Of the collection of that name or alias; 0: there is none. */
uint64_t damaged_points_in(wg_store *store, const char *name)
{
    wg_collection *collection = NULL;
    wg_err err = wg_collection_open(store, name, &collection);
    must(err == WG_OK || err == WG_ENOTFOUND, "%s", wg_message());
    uint64_t there = err == WG_OK ? points_of(collection) : 0;
    wg_collection_close(&collection);
    return there;
}

uint64_t damaged_saved_points(const char *name)
{
    wg_store *store = NULL;
    damaged_open(saved, true, &store);
    uint64_t there = damaged_points_in(store, name);
    wg_store_close(&store);
    return there;
}

/* Looks, then saves: both say the same, and what is damaged stays as it is. */
struct damaged_result damaged_save(void)
{
    struct damaged_result looked, result;
    uint64_t before = sum_of(damaged);
    assert_ok(damaged_repair(NULL, &looked));
    assert_false(folder_exists(saved));
    assert_ok(damaged_repair(saved, &result));
    assert_string_equal(looked.said.text, result.said.text);
    assert_memory_equal(&looked.report, &result.report, sizeof result.report);
    assert_true(sum_of(damaged) == before);
    assert_int_equal(content_problems(context, saved), 0);
    return result;
}

/* --- ways to damage it --- */

static const char *const registry_tables[] = { "meta", "collections", "aliases" };

static struct db *open_tables(const char *name)
{
    struct db *db = NULL;
    struct db_params registry = {
        .path = damaged_at(name),
        .tables = registry_tables,
        .table_count = 3,
        .map_size = 1 << 24,
        .use = DB_IN_MEMORY,
        .reader_limit = READERS,
    };
    if (strcmp(name, "registry") == 0)
        must_ok(db_open(&registry, &db));
    else
        must_ok(collection_db_open(damaged_at(name), DB_IN_MEMORY, READERS, &db));
    return db;
}

void damaged_read(const char *tables, unsigned table, struct bytes key, struct damaged_value *out)
{
    struct db_txn txn;
    struct bytes value;
    bool found;
    struct db *db = open_tables(tables);
    must_ok(db_read_begin(db, &txn));
    must_ok(db_get(&txn, table, key, &found, &value));
    must(found && value.size + 4 <= sizeof out->bytes, "%s: table %u has no such entry", tables,
         table);
    out->size = value.size + 4;
    memcpy(out->bytes, value.start, out->size);
    db_abort(&txn);
    db_close(&db);
}

/* With the right checksum; value NULL: it goes. */
void damaged_put(const char *tables, unsigned table, struct bytes key, struct bytes value)
{
    struct db_txn txn;
    struct db *db = open_tables(tables);
    must_ok(db_write_begin(db, &txn));
    must_ok(value.start ? db_put(&txn, table, key, value) : db_delete(&txn, table, key));
    must_ok(db_commit(&txn));
    db_close(&db);
}

/* Turns a bit of the file wherever these bytes stand in it, at their end. */
static void spoil_bytes(const char *path, const char *bytes, size_t size)
{
    char *all = allocate(FILE_MAX, 1), *found;
    FILE *file = fopen(path, "r+b");
    must(file != NULL, "cannot open %s", path);
    size_t length = fread(all, 1, FILE_MAX, file), count = 0;
    for (char *from = all; (found = memmem(from, length - (size_t)(from - all), bytes, size));) {
        found[size - 1] ^= 0x10;
        from = found + size;
        count++;
    }
    rewind(file);
    must(count > 0 && fwrite(all, 1, length, file) == length, "%s does not have them", path);
    fclose(file);
    free(all);
}

/* A bit of its checksum is another one. */
void damaged_spoil_value(const char *tables, unsigned table, struct bytes key)
{
    char path[PATH_SIZE];
    struct damaged_value stored;
    bool is_registry = strcmp(tables, "registry") == 0;
    damaged_read(tables, table, key, &stored);
    snprintf(path, sizeof path, "%s%s/data.mdb", tables, is_registry ? "" : "/tables");
    spoil_bytes(damaged_at(path), stored.bytes, stored.size);
}

/* The file of the segment that begins with this row. */
const char *damaged_segment(uint64_t first_row)
{
    struct damaged_value stored;
    struct segment_record record;
    struct row_key key = row_key_of(0, first_row);
    char name[32], path[64];
    damaged_read("c-1", TABLE_SEGMENTS, KEY_BYTES(key), &stored);
    memcpy(&record, stored.bytes, sizeof record);
    segment_name(0, record.number, name);
    snprintf(path, sizeof path, "c-1/%s", name);
    return damaged_at(path);
}

void damaged_spoil_file(const char *path, uint64_t offset)
{
    char byte;
    int file = open(path, O_RDWR);
    must(file >= 0 && pread(file, &byte, 1, (off_t)offset) == 1, "cannot read %s", path);
    byte ^= 0x10;
    must(pwrite(file, &byte, 1, (off_t)offset) == 1, "cannot write %s", path);
    close(file);
}
