/* Damages a store in every way that repair knows, and expects it to save exactly what is still
 * right, to say what is not, and to say the same when it only looks. What the damages do is in the
 * table below. Names, and what fails: repair_names_test.c. */
#include "base/mem.h"
#include "store/id.h"
#include "store/live.h"
#include "store/segment.h"
#include "support/check.h"
#include "support/content.h"
#include "support/damaged.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = DAMAGED_DIM, POINTS = DAMAGED_POINTS, PACKED = DAMAGED_PACKED };
enum { FIRST_ROW = 0, SECOND_ROW = PACKED + 1 }; /* of the segments */
enum { LEFT = DAMAGED_LEFT, MORE = DAMAGED_MORE, HISTORY = DAMAGED_HISTORY };

#define BIT(i)         (UINT64_C(1) << (i))
#define BITS(from, to) (BIT(to) - BIT(from)) /* without to */

static struct bytes point_key(size_t i)
{
    static struct id_key key;
    wg_id id = damaged_id(i);
    must_ok(id_key_make(&id, 0, &key));
    return id_key_bytes(&key);
}

static struct bytes row_key(uint64_t row)
{
    static struct row_key key;
    key = row_key_of(0, row);
    return KEY_BYTES(key);
}

static struct bytes chunk_key(void)
{
    static struct chunk_key key;
    key = chunk_key_of(0, 0);
    return KEY_BYTES(key);
}

static struct bytes space_key(void)
{
    static struct space_key key;
    key = space_key_of(0);
    return KEY_BYTES(key);
}

/* A field of an entry of collection docs, which keeps a right checksum. */
static void set_field(unsigned table, struct bytes key, size_t offset, const void *field,
                      size_t size)
{
    struct damaged_value stored;
    damaged_read("c-1", table, key, &stored);
    memcpy(stored.bytes + offset, field, size);
    damaged_put("c-1", table, key, (struct bytes){ stored.bytes, stored.size - 4 });
}

#define SET_FIELD(table, key, type, field, value)                                  \
    do {                                                                           \
        __typeof__(((struct type *)NULL)->field) set = (value);                    \
        set_field((table), (key), offsetof(struct type, field), &set, sizeof set); \
    } while (0)

struct point_value {
    struct point_record head;
    struct point_rows rows;
    char payload[7];
};

static void cut_value(unsigned table, struct bytes key, size_t by)
{
    struct damaged_value stored;
    damaged_read("c-1", table, key, &stored);
    damaged_put("c-1", table, key, (struct bytes){ stored.bytes, stored.size - 4 - by });
}

static void remove_value(unsigned table, struct bytes key)
{
    damaged_put("c-1", table, key, (struct bytes){ 0 });
}

static void put_rubbish(unsigned table, const char *key, size_t key_size)
{
    damaged_put("c-1", table, (struct bytes){ key, key_size }, db_text("rubbish!"));
}

static void spoil_slot(uint64_t row, size_t offset)
{
    struct segment_header header;
    const char *path = damaged_segment(FIRST_ROW);
    FILE *file = fopen(path, "rb");
    must(file && fread(&header, sizeof header, 1, file) == 1, "cannot read %s", path);
    fclose(file);
    damaged_spoil_file(path, header.ids_offset + row * sizeof(struct id_slot) + offset);
}

/* --- the damages --- */

static void nothing(void) {}

static void a_point(void)
{
    damaged_spoil_value("c-1", TABLE_POINTS, point_key(7));
}

static void a_cut_point(void)
{
    cut_value(TABLE_POINTS, point_key(7), 1);
}

static void a_lost_point(void)
{
    remove_value(TABLE_POINTS, point_key(7));
}

static void a_row_of_another(void)
{
    SET_FIELD(TABLE_POINTS, point_key(20), point_value, rows.first_row, 20);
}

static void a_row_that_is_not_there(void)
{
    SET_FIELD(TABLE_POINTS, point_key(20), point_value, rows.first_row, 5000);
}

static void a_version_to_come(void)
{
    SET_FIELD(TABLE_POINTS, point_key(30), point_value, head.version, 1000);
}

static void a_payload(void)
{
    SET_FIELD(TABLE_POINTS, point_key(31), point_value, payload[0], '[');
}

static void a_key_that_is_no_id(void)
{
    put_rubbish(TABLE_POINTS, "\7abc", 4);
}

static void a_component(void)
{
    damaged_spoil_file(damaged_segment(FIRST_ROW), 4096 + (12 * DIM + 1) * sizeof(float));
}

static void a_component_behind(void)
{
    damaged_spoil_file(damaged_segment(SECOND_ROW), 4096 + (1 * DIM + 3) * sizeof(float));
}

static void an_id_in_its_slot(void)
{
    spoil_slot(10, offsetof(struct id_slot, bytes));
}

static void the_type_of_an_id(void)
{
    spoil_slot(10, offsetof(struct id_slot, type));
}

static void a_sum_in_its_slot(void)
{
    spoil_slot(9, offsetof(struct id_slot, sum));
}

static void a_segment_that_is_gone(void)
{
    must(unlink(damaged_segment(FIRST_ROW)) == 0, "cannot remove it");
}

static void the_last_segment_that_is_gone(void)
{
    must(unlink(damaged_segment(SECOND_ROW)) == 0, "cannot remove it");
}

static void a_segment_that_is_cut(void)
{
    must(truncate(damaged_segment(FIRST_ROW), 4000) == 0, "cannot cut it");
}

static void the_record_of_a_segment(void)
{
    damaged_spoil_value("c-1", TABLE_SEGMENTS, row_key(FIRST_ROW));
}

static void the_key_of_a_segment(void)
{
    put_rubbish(TABLE_SEGMENTS, "\7abc", 4);
}

static void both_segments(void)
{
    remove_value(TABLE_SEGMENTS, row_key(FIRST_ROW));
    remove_value(TABLE_SEGMENTS, row_key(SECOND_ROW));
}

static void sums(void)
{
    damaged_spoil_value("c-1", TABLE_SUMS, row_key(SECOND_ROW));
}

static void one_sum(void)
{
    uint32_t wrong = 5;
    set_field(TABLE_SUMS, row_key(1), 17 * sizeof wrong, &wrong, sizeof wrong);
}

static void sums_of_no_row(void)
{
    put_rubbish(TABLE_SUMS, "abc", 3);
    damaged_put("c-1", TABLE_SUMS, row_key(9999), db_text("rubbish!"));
}

/* More of them than there are rows. */
static void too_many_sums(void)
{
    struct damaged_value stored = { 0 };
    damaged_read("c-1", TABLE_SUMS, row_key(SECOND_ROW), &stored);
    damaged_put("c-1", TABLE_SUMS, row_key(SECOND_ROW), (struct bytes){ stored.bytes, 400 });
}

static void the_live_rows(void)
{
    damaged_spoil_value("c-1", TABLE_LIVE, chunk_key());
}

static void live_rows_that_are_no_bitmap(void)
{
    cut_value(TABLE_LIVE, chunk_key(), 3);
}

static void live_rows_of_no_chunk(void)
{
    static const struct chunk_key far = { "\0\0\0\0\0\x09" };
    put_rubbish(TABLE_LIVE, "abc", 3);
    damaged_put("c-1", TABLE_LIVE, KEY_BYTES(far), db_text("rubbish!"));
}

static void a_row_that_is_dead(void)
{
    uint64_t words[BITMAP_CHUNK_WORDS];
    struct damaged_value stored;
    char *encoded = NULL;
    size_t size;
    damaged_read("c-1", TABLE_LIVE, chunk_key(), &stored);
    must_ok(live_decode((struct bytes){ stored.bytes, stored.size - 4 }, POINTS + 1, words));
    words[0] &= ~BIT(15);
    must_ok(live_encode(words, POINTS + 1, &encoded, &size));
    damaged_put("c-1", TABLE_LIVE, chunk_key(), (struct bytes){ encoded, size });
    mem_free(&encoded);
}

static void the_commit(void)
{
    damaged_spoil_value("c-1", TABLE_META, db_text("commit"));
}

static void a_cut_commit(void)
{
    cut_value(TABLE_META, db_text("commit"), 1);
}

static void the_space(void)
{
    damaged_spoil_value("c-1", TABLE_SPACES, space_key());
}

static void a_space_without_dimensions(void)
{
    SET_FIELD(TABLE_SPACES, space_key(), space_record, dim, 0);
}

static void a_metric_that_is_none(void)
{
    SET_FIELD(TABLE_SPACES, space_key(), space_record, metric, 99);
}

static void a_cut_space(void)
{
    cut_value(TABLE_SPACES, space_key(), 1);
}

static void the_settings(void)
{
    damaged_spoil_value("c-1", TABLE_META, db_text("settings"));
}

static void the_format(void)
{
    damaged_spoil_value("c-1", TABLE_META, db_text("format"));
}

static void the_magic(void)
{
    SET_FIELD(TABLE_META, db_text("format"), format_record, magic[0], 'X');
}

static void the_tables_are_gone(void)
{
    must(unlink(damaged_at("c-1/tables/data.mdb")) == 0, "cannot remove them");
}

static void the_tables_are_empty(void)
{
    must(truncate(damaged_at("c-1/tables/data.mdb"), 0) == 0, "cannot empty them");
}

static void the_tables_are_rubbish(void)
{
    for (uint64_t i = 0; i < 8192; i += 16)
        damaged_spoil_file(damaged_at("c-1/tables/data.mdb"), i);
}

static void the_folder_is_gone(void)
{
    scratch_remove(damaged_at("c-1"));
}

static const struct damage {
    void (*damage)(void);
    uint64_t lost; /* points of docs */
    bool lost_all; /* the collection */
    const char *says; /* NULL: nothing */
} damages[] = {
    { nothing, 0, false, NULL },
    { a_point, BIT(7), false, "wrong checksum" },
    { a_cut_point, BIT(7), false, "point 107 is lost" },
    { a_lost_point, BIT(7), false, "37 points are saved of 38" },
    { a_row_of_another, BIT(20), false, "point 120 is lost: its row 20 has another id" },
    { a_row_that_is_not_there, BIT(20), false, "point 120 is lost: its row 5000 is lost" },
    { a_version_to_come, BIT(30), false, "point 130 is lost: its version 1000" },
    { a_payload, BIT(31), false, "point 131 is lost: its payload" },
    { a_key_that_is_no_id, 0, false, "docs" },
    { a_component, BIT(12), false, "point 112 is lost: its row 13 is damaged" },
    { a_component_behind, BIT(26), false, "point 126 is lost: its row 27 is damaged" },
    { an_id_in_its_slot, BIT(10), false, "point 110 is lost: its row 11 is damaged" },
    { the_type_of_an_id, BIT(10), false, "point 110 is lost: its row 11 is damaged" },
    { a_sum_in_its_slot, BIT(9), false, "point 109 is lost: its row 10 is damaged" },
    { a_segment_that_is_gone, BITS(0, PACKED), false, ".seg: cannot open" },
    { the_last_segment_that_is_gone, BITS(PACKED, LEFT), false, ".seg: cannot open" },
    { a_segment_that_is_cut, BITS(0, PACKED), false, ".seg" },
    { the_record_of_a_segment, BITS(0, PACKED), false, "wrong checksum" },
    { the_key_of_a_segment, 0, false, "a segment's key of 4 bytes" },
    { both_segments, BITS(0, LEFT), false, "its row 1 is lost" },
    { sums, BITS(PACKED, LEFT), false, "wrong checksum" },
    { one_sum, BIT(17), false, "its row 18 is damaged" },
    { sums_of_no_row, 0, false, "row checksums of a segment that is lost" },
    { too_many_sums, 0, false, NULL },
    { the_live_rows, BITS(0, LEFT), false, "nothing says that its row 1 is live" },
    { live_rows_that_are_no_bitmap, BITS(0, LEFT), false, "is no bitmap" },
    { live_rows_of_no_chunk, 0, false, "a chunk that is not there" },
    { a_row_that_is_dead, BIT(14), false, "nothing says that its row 15 is live" },
    { the_commit, BITS(0, LEFT), true, "the record of its latest commit is lost" },
    { a_cut_commit, BITS(0, LEFT), true, "the commit's record" },
    { the_space, BITS(0, LEFT), true, "the record of its space is lost" },
    { a_space_without_dimensions, BITS(0, LEFT), true, "out of bounds" },
    { a_metric_that_is_none, BITS(0, LEFT), true, "out of bounds" },
    { a_cut_space, BITS(0, LEFT), true, "the space's record" },
    { the_settings, 0, false, "wrong checksum" },
    { the_format, 0, false, "wrong checksum" },
    { the_magic, 0, false, "c-1" },
    { the_tables_are_gone, BITS(0, LEFT), true, "data.mdb: cannot open" },
    { the_tables_are_empty, BITS(0, LEFT), true, "data.mdb: is empty" },
    { the_tables_are_rubbish, BITS(0, LEFT), true, "collection \"docs\" is lost" },
    { the_folder_is_gone, BITS(0, LEFT), true, "collection \"docs\" is lost" },
};

static uint64_t count_bits(uint64_t bits)
{
    return (uint64_t)__builtin_popcountll(bits);
}

static void check_damage(const struct damage *d)
{
    damaged_copy(NULL);
    d->damage();
    struct damaged_result result = damaged_save();
    uint64_t left = BITS(0, LEFT) & ~d->lost;
    must(damaged_saved_points("docs") == left, "\"%s\" finds %#lx, expected %#lx: %s",
         d->says ? d->says : "", damaged_saved_points("docs"), left, result.said.text);
    assert_true(damaged_saved_points("live") == left);
    assert_true(damaged_saved_points("broad") == BITS(0, MORE));
    if (d->says && !strstr(result.said.text, d->says))
        fail_msg("\"%s\" is not in \"%s\"", d->says, result.said.text);
    if (!d->says) assert_string_equal(result.said.text, "");
    assert_int_equal(result.report.size, sizeof result.report);
    assert_int_equal(result.report.collection_count, d->lost_all ? 2 : 3);
    assert_int_equal(result.report.lost_collection_count, d->lost_all);
    assert_int_equal(result.report.point_count, MORE + count_bits(left));
    assert_int_equal(result.report.lost_count, d->lost_all ? 0 : count_bits(d->lost));
}

static void what_is_right_is_saved(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) check_damage(&damages[i]);
}

static wg_collection_info info_of(const char *store_path, const char *name)
{
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    wg_collection_info info;
    wg_collection_info_init(&info);
    damaged_open(store_path, true, &store);
    must_ok(wg_collection_open(store, name, &collection));
    must_ok(wg_collection_info_get(collection, &info));
    wg_collection_close(&collection);
    wg_store_close(&store);
    return info;
}

/* How many changes a collection that was saved keeps. */
static uint64_t saved_history(const char *folder)
{
    char path[SCRATCH_PATH_SIZE + 80];
    struct db *db = NULL;
    struct db_txn txn;
    struct bytes value;
    struct settings_record settings;
    bool found;
    snprintf(path, sizeof path, "%s/%s", damaged_saved(), folder);
    must_ok(collection_db_open(path, DB_READ, 100, &db));
    must_ok(db_read_begin(db, &txn));
    must_ok(db_get(&txn, TABLE_META, db_text("settings"), &found, &value));
    must_ok(RECORD_READ(value, &settings, "settings"));
    db_abort(&txn);
    db_close(&db);
    return settings.history;
}

/* The space and the settings are what they were; the history is another one. */
static void what_is_saved_begins_anew(void **state)
{
    (void)state;
    damaged_save();
    wg_collection_info before = info_of(damaged_path(), "more"),
                       after = info_of(damaged_saved(), "more");
    assert_int_equal(after.epoch, before.epoch + 1);
    assert_int_equal(after.horizon, after.sequence);
    assert_int_equal(saved_history("c-2"), HISTORY);
    assert_int_equal(after.dim, DIM);
    assert_int_equal(after.metric, WG_DOT);
    damaged_copy(NULL);
    damaged_spoil_value("c-2", TABLE_META, db_text("settings"));
    damaged_save();
    assert_int_equal(saved_history("c-2"), 10000);
}

/* Equal scores are in the order of the rows, not of the ids: two of them are strings. */
static void the_order_of_rows_stays(void **state)
{
    (void)state;
    static const float query[DIM];
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    wg_searcher *searcher = NULL;
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = query, params.query_count = 1, params.dim = DIM, params.k = POINTS;
    a_point();
    damaged_save();
    damaged_open(damaged_saved(), true, &store);
    must_ok(wg_collection_open(store, "docs", &collection));
    must_ok(wg_searcher_create(collection, &searcher));
    assert_ok(wg_searcher_run(searcher, &params));
    size_t count = 0;
    const wg_hit *hits = wg_searcher_hits(searcher, 0, &count);
    assert_int_equal(count, LEFT - 1);
    for (size_t i = 0; i < count; i++) {
        wg_id expected = damaged_id(i < 7 ? i : i + 1);
        assert_int_equal(hits[i].id.type, expected.type);
        if (expected.type == WG_ID_NUMBER)
            assert_int_equal(hits[i].id.as.number, expected.as.number);
    }
    wg_searcher_destroy(&searcher);
    wg_collection_close(&collection);
    wg_store_close(&store);
}

/* More than are written at once, and of ids that are longer than a slot. */
static void many_points(void **state)
{
    (void)state;
    enum { MANY = 9000 };
    wg_store *store = NULL;
    damaged_open(damaged_path(), false, &store);
    wg_collection *collection = damaged_create(store, "many", 5);
    wg_id *ids = allocate(MANY, sizeof *ids);
    float *vectors = allocate(MANY * DIM, sizeof *vectors);
    char(*texts)[48] = allocate(MANY, sizeof *texts);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof *texts, "the point of the number %07zu and so on", i);
        must_ok(wg_id_from_string(texts[i], &ids[i]));
        for (size_t d = 0; d < DIM; d++) vectors[i * DIM + d] = damaged_component(i, d);
    }
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = MANY, batch.ids = ids, batch.vectors = vectors;
    must_ok(wg_collection_upsert(collection, DIM, &batch));
    uint64_t content = content_fingerprint(collection);
    wg_collection_close(&collection);
    wg_store_close(&store);
    struct damaged_result result = damaged_save();
    assert_int_equal(result.report.point_count, MANY + LEFT + MORE);
    damaged_open(damaged_saved(), true, &store);
    must_ok(wg_collection_open(store, "many", &collection));
    assert_int_equal(wg_collection_count(collection), MANY);
    assert_true(content != content_fingerprint(collection)); /* versions are others */
    for (size_t i = 0; i < MANY; i += 500) {
        wg_points *points = NULL;
        assert_ok(wg_collection_get(collection, &ids[i], 1, WG_WITH_VECTOR, &points));
        assert_memory_equal(wg_points_at(points, 0)->vector, vectors + i * DIM,
                            DIM * sizeof *vectors);
        wg_points_destroy(&points);
    }
    wg_collection_close(&collection);
    wg_store_close(&store);
    free(texts);
    free(vectors);
    free(ids);
}

/* It is not damaged, and what a newer program means by it is not known. */
static void a_newer_format(void **state)
{
    (void)state;
    struct damaged_result result;
    SET_FIELD(TABLE_META, db_text("format"), format_record, features.refuse, 2);
    assert_err(WG_EVERSION, "does not know", damaged_repair(NULL, &result));
    assert_err(WG_EVERSION, "does not know", damaged_repair(damaged_saved(), &result));
    assert_false(folder_exists(damaged_saved()));
}

#define TEST(name) cmocka_unit_test_setup(name, damaged_copy)

/* Where nothing waits for a disk, if there is such a place. */
int main(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {
        TEST(what_is_right_is_saved),  TEST(what_is_saved_begins_anew),
        TEST(the_order_of_rows_stays), TEST(many_points),
        TEST(a_newer_format),
    };
    return cmocka_run_group_tests(tests, damaged_begin, damaged_end);
}
