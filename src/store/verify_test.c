/* Damages tables through store/db.h, so that every checksum of theirs is right, and expects verify
 * to find what no longer agrees. */
#include "base/mem.h"
#include "store/id.h"
#include "store/live.h"
#include "store/verify.h"
#include "support/check.h"
#include "support/fake_backend.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 4, POINTS = 30, DELETED = 5 };

static struct pool *pool;
static struct background *background;
static struct kernels kernels;
static struct device_set *set;
static char pristine[SCRATCH_PATH_SIZE], store_path[SCRATCH_PATH_SIZE];
static char folder[SCRATCH_PATH_SIZE + 32]; /* of the collection */

/* --- a store with points of all kinds of ids, some replaced, some deleted --- */

static const char long_id[] = "a string that is longer than the slot of an id";

static wg_id id_of(size_t i)
{
    wg_id id = { .type = WG_ID_NUMBER, .as.number = 100 + i };
    if (i == 3) id = (wg_id){ WG_ID_STRING, sizeof long_id - 1, { .string = long_id } };
    if (i == 4) id = (wg_id){ WG_ID_STRING, 5, { .string = "short" } };
    return id;
}

static void write_points(struct collection *c)
{
    wg_id ids[POINTS];
    float vectors[POINTS * DIM];
    const char *payloads[POINTS] = { "{\"a\":1}", NULL, "{\"b\":\"c\"}" };
    for (size_t i = 0; i < POINTS; i++) ids[i] = id_of(i);
    for (size_t i = 0; i < POINTS * DIM; i++) vectors[i] = (float)i;
    struct upsert all = { POINTS, ids, vectors, payloads }, again = { 3, ids + 6, vectors, NULL };
    size_t deleted = 0;
    must_ok(collection_upsert(c, &all));
    must_ok(collection_upsert(c, &again)); /* rows 6 to 8 die, 30 to 32 are born */
    must_ok(collection_delete(c, ids + POINTS - DELETED, DELETED, &deleted));
}

static void make_store(const char *path)
{
    static const struct space_record space = { DIM, WG_DOT, 0 };
    struct store_params params = {
        .devices = set, .background = background, .path = path, .create = true
    };
    struct store *store = NULL;
    struct collection *c = NULL;
    must_ok(store_open(&params, &store));
    must_ok(store_create_collection(store, "docs", &space));
    must_ok(store_take_collection(store, "docs", &c));
    write_points(c);
    store_give_back(store, &c);
    store_close(&store);
}

static int make_pristine(void **state)
{
    (void)state;
    static const struct backend *const cpu_only[] = { &backend_cpu, NULL };
    kernels_init(&kernels, CPU_C);
    must_ok(pool_create(1, &pool));
    must_ok(background_create(&background));
    struct device_set_params params = { .backends = cpu_only,
                                        .host = { pool, &kernels, "c" },
                                        .fallback_to_cpu = true,
                                        .background = background };
    must_ok(device_set_create(&params, &set));
    const char *parent = scratch_create();
    snprintf(pristine, sizeof pristine, "%s/pristine", parent);
    snprintf(store_path, sizeof store_path, "%s/store", parent);
    snprintf(folder, sizeof folder, "%s/c-1", store_path);
    make_store(pristine);
    return 0;
}

static int end_all(void **state)
{
    (void)state;
    device_set_destroy(&set);
    background_destroy(&background);
    pool_destroy(&pool);
    return 0;
}

static int copy_pristine(void **state)
{
    (void)state;
    scratch_remove(store_path);
    scratch_copy(pristine, store_path);
    return 0;
}

/* --- what verify says --- */

struct said {
    size_t count;
    char text[4096];
};

static void note_problem(void *user, const char *problem)
{
    struct said *said = user;
    said->count++;
    strncat(said->text, problem, sizeof said->text - strlen(said->text) - 2);
    strcat(said->text, "\n");
}

static struct said verify(void)
{
    struct said said = { 0 };
    size_t before = mem_in_use();
    struct verify_report report = { .problem = note_problem, .user = &said };
    assert_ok(verify_collection("docs", folder, &report));
    assert_int_equal(report.problem_count, said.count);
    assert_int_equal(mem_in_use(), before);
    return said;
}

/* At least one problem, each a sentence about this collection, one of them with this in it. */
static void finds(const char *needle)
{
    struct said said = verify();
    if (said.count == 0) fail_msg("verify found nothing; expected \"%s\"", needle);
    if (!strstr(said.text, needle)) fail_msg("\"%s\" is not in: %s", needle, said.text);
    assert_non_null(strstr(said.text, "docs"));
}

/* --- editing tables --- */

static struct db *db;
static struct db_txn txn;

static void edit_begin(void)
{
    must_ok(collection_db_open(folder, false, &db));
    must_ok(db_write_begin(db, &txn));
}

static void edit_end(void)
{
    must_ok(db_commit(&txn));
    db_close(&db);
}

/* Copies a value, which must be there, into room bytes; returns its size. */
static size_t copy_value(unsigned table, struct bytes key, void *to, size_t room)
{
    struct bytes value;
    bool found = false;
    must_ok(db_get(&txn, table, key, &found, &value));
    must(found && value.size <= room, "no such value");
    memcpy(to, value.start, value.size);
    return value.size;
}

static void put_value(unsigned table, struct bytes key, const void *value, size_t size)
{
    must_ok(db_put(&txn, table, key, (struct bytes){ value, size }));
}

static struct bytes point_key(size_t i, struct id_key *key)
{
    wg_id id = id_of(i);
    must_ok(id_key_make(&id, 0, key));
    return id_key_bytes(key);
}

static struct bytes text_key(const char *text)
{
    return (struct bytes){ text, strlen(text) };
}

struct point_value {
    struct point_record head;
    struct point_rows rows;
    char payload[64];
};

static size_t read_point(size_t i, struct point_value *value)
{
    struct id_key key;
    return copy_value(TABLE_POINTS, point_key(i, &key), value, sizeof *value);
}

static void write_point(size_t i, const struct point_value *value, size_t size)
{
    struct id_key key;
    put_value(TABLE_POINTS, point_key(i, &key), value, size);
}

static struct commit_record read_commit(void)
{
    struct commit_record commit;
    must(copy_value(TABLE_META, text_key("commit"), &commit, sizeof commit) == sizeof commit,
         "no commit");
    return commit;
}

static void write_commit(const struct commit_record *commit)
{
    put_value(TABLE_META, text_key("commit"), commit, sizeof *commit);
}

/* The first entry of a table; its key is copied, and its value. */
static size_t first_entry(unsigned table, uint8_t key[16], struct bytes *as_key, void *to,
                          size_t room)
{
    struct db_cursor cursor;
    struct bytes found_key, value;
    bool found = false;
    must_ok(db_cursor_open(&txn, table, &cursor));
    must_ok(db_next(&cursor, &found, &found_key, &value));
    must(found && found_key.size <= 16 && value.size <= room, "no entry");
    memcpy(key, found_key.start, found_key.size);
    memcpy(to, value.start, value.size);
    *as_key = (struct bytes){ key, found_key.size };
    size_t size = value.size;
    db_cursor_close(&cursor);
    return size;
}

/* The name of the only segment file. */
static void segment_path(char path[SCRATCH_PATH_SIZE + 64])
{
    uint8_t key[16];
    struct bytes as_key;
    struct segment_record record;
    char name[32];
    must_ok(collection_db_open(folder, true, &db));
    must_ok(db_read_begin(db, &txn));
    first_entry(TABLE_SEGMENTS, key, &as_key, &record, sizeof record);
    segment_name(0, (uint32_t)key_number(as_key, as_key.size), name);
    db_abort(&txn);
    db_close(&db);
    snprintf(path, SCRATCH_PATH_SIZE + 64, "%s/%s", folder, name);
}

static void edit_file(uint64_t offset, const void *bytes, size_t size)
{
    char path[SCRATCH_PATH_SIZE + 64];
    struct file file;
    segment_path(path);
    must_ok(file_open(path, FILE_READ_WRITE, &file));
    must_ok(file_write_at(&file, bytes, size, offset));
    file_close(&file);
}

static struct segment_header header_now(void)
{
    char path[SCRATCH_PATH_SIZE + 64];
    struct file file;
    struct segment_header header;
    segment_path(path);
    must_ok(file_open(path, FILE_READ, &file));
    must_ok(file_read_at(&file, &header, sizeof header, 0));
    file_close(&file);
    return header;
}

/* Makes the checksum of a row, all in the first run, right for what is in the file. */
static void repair_sum(uint64_t row)
{
    uint8_t key[16], segment_key[16];
    struct bytes as_key, as_segment_key;
    uint32_t sums[64];
    struct segment_record record;
    struct space_record space;
    struct commit_record commit;
    struct segment *segment = NULL;
    edit_begin();
    must_ok(collection_read_meta(&txn, folder, false, &commit, &space));
    size_t size = first_entry(TABLE_SUMS, key, &as_key, sums, sizeof sums);
    first_entry(TABLE_SEGMENTS, segment_key, &as_segment_key, &record, sizeof record);
    struct segment_params params = {
        .first_row = record.first_row,
        .capacity = record.capacity,
        .number = (uint32_t)key_number(as_segment_key, as_segment_key.size),
        .dim = space.dim,
    };
    must_ok(segment_open(folder, &params, &record, true, &segment));
    must_ok(segment_row_sum(segment, row, &sums[row]));
    segment_release(&segment);
    put_value(TABLE_SUMS, as_key, sums, size);
    edit_end();
}

/* --- the tests --- */

static void a_good_store_has_no_problems(void **state)
{
    (void)state;
    struct said said = verify();
    assert_string_equal(said.text, "");
    struct verify_report report = { 0 }; /* nobody listens */
    assert_ok(verify_collection("docs", folder, &report));
    assert_int_equal(report.problem_count, 0);
    verify_problem(&report, "row %d", 7);
    assert_int_equal(report.problem_count, 1);
    struct said heard = { 0 };
    report = (struct verify_report){ .problem = note_problem, .user = &heard };
    verify_problem(&report, "row %d", 7);
    assert_string_equal(heard.text, "row 7\n");
}

static void a_wrong_checksum_of_a_row(void **state)
{
    (void)state;
    uint8_t key[16];
    struct bytes as_key;
    uint32_t sums[64];
    edit_begin();
    size_t size = first_entry(TABLE_SUMS, key, &as_key, sums, sizeof sums);
    assert_int_equal(size, POINTS * sizeof *sums);
    sums[17] ^= 1;
    put_value(TABLE_SUMS, as_key, sums, size);
    edit_end();
    finds("row 17");
    assert_int_equal(verify().count, 1);
}

static void a_flipped_component(void **state)
{
    (void)state;
    edit_file(4096 + (12 * DIM + 1) * sizeof(float), "\x01", 1);
    finds("row 12");
}

static void a_missing_checksum(void **state)
{
    (void)state;
    uint8_t key[16];
    struct bytes as_key;
    uint32_t sums[64];
    edit_begin();
    size_t size = first_entry(TABLE_SUMS, key, &as_key, sums, sizeof sums);
    put_value(TABLE_SUMS, as_key, sums, size - sizeof *sums);
    edit_end();
    finds("30");
    copy_pristine(NULL);
    edit_begin();
    first_entry(TABLE_SUMS, key, &as_key, sums, sizeof sums);
    must_ok(db_delete(&txn, TABLE_SUMS, as_key));
    edit_end();
    finds("checksum");
}

static void a_wrong_id_in_a_slot(void **state)
{
    (void)state;
    uint64_t wrong = 999;
    struct segment_header header = header_now();
    edit_file(header.ids_offset + 10 * sizeof(struct id_slot) + offsetof(struct id_slot, bytes),
              &wrong, sizeof wrong);
    finds("row 10"); /* by its checksum */
    repair_sum(10);
    finds("10"); /* by the point's id */
}

static void a_wrong_long_id(void **state)
{
    (void)state;
    struct segment_header header = header_now();
    edit_file(header.strings_offset + 5, "X", 1);
    finds("row 3");
    repair_sum(3);
    assert_true(verify().count > 0);
}

static void change_live(uint64_t row, bool live)
{
    uint8_t key[16];
    struct bytes as_key;
    char bytes[16384], *encoded = NULL;
    struct bitmap old = { 0 }, now = { 0 };
    enum { COUNT = POINTS + 3 };
    edit_begin();
    size_t size = first_entry(TABLE_LIVE, key, &as_key, bytes, sizeof bytes);
    must_ok(bitmap_resize(&old, COUNT));
    must_ok(bitmap_resize(&now, COUNT));
    must_ok(live_decode((struct bytes){ bytes, size }, 0, COUNT, &old));
    must(bitmap_get(&old, row) != live, "row %zu is so already", (size_t)row);
    for (uint64_t i = 0; i < COUNT; i++)
        if (i == row ? !live : !bitmap_get(&old, i)) must_ok(bitmap_clear(&now, i));
    must_ok(live_encode(&now, 0, COUNT, &encoded, &size));
    put_value(TABLE_LIVE, as_key, encoded, size);
    edit_end();
    mem_free(&encoded);
    bitmap_fini(&old);
    bitmap_fini(&now);
}

static void a_cleared_live_bit(void **state)
{
    (void)state;
    change_live(14, false);
    finds("row 14");
}

static void a_live_bit_of_a_dead_row(void **state)
{
    (void)state;
    change_live(7, true); /* replaced */
    finds("row 7 is live");
    copy_pristine(NULL);
    change_live(POINTS - 1, true); /* deleted */
    finds("row 29 is live");
}

static void live_bits_that_are_gone(void **state)
{
    (void)state;
    uint8_t key[16];
    struct bytes as_key;
    char bytes[16384];
    edit_begin();
    first_entry(TABLE_LIVE, key, &as_key, bytes, sizeof bytes);
    must_ok(db_delete(&txn, TABLE_LIVE, as_key));
    edit_end();
    assert_true(verify().count > 0);
}

static void live_bits_of_no_chunk(void **state)
{
    (void)state;
    uint8_t key[16];
    struct bytes as_key;
    char bytes[16384];
    struct chunk_key beyond = chunk_key_of(0, 9);
    edit_begin();
    size_t size = first_entry(TABLE_LIVE, key, &as_key, bytes, sizeof bytes);
    put_value(TABLE_LIVE, (struct bytes){ beyond.bytes, sizeof beyond.bytes }, bytes, size);
    edit_end();
    finds("chunk");
}

static void a_missing_point(void **state)
{
    (void)state;
    struct id_key key;
    edit_begin();
    must_ok(db_delete(&txn, TABLE_POINTS, point_key(11, &key)));
    edit_end();
    finds("24 points");
}

/* The point that is gone is no longer counted either. */
static void a_missing_point_with_its_count(void **state)
{
    (void)state;
    struct id_key key;
    edit_begin();
    must_ok(db_delete(&txn, TABLE_POINTS, point_key(11, &key)));
    struct commit_record commit = read_commit();
    commit.point_count--;
    write_commit(&commit);
    edit_end();
    finds("row 11 is live");
}

static void two_points_of_one_row(void **state)
{
    (void)state;
    struct point_value value;
    edit_begin();
    size_t size = read_point(20, &value);
    value.rows.first_row = 19;
    write_point(20, &value, size);
    edit_end();
    finds("row 19");
}

static void a_point_of_no_row(void **state)
{
    (void)state;
    static const uint64_t rows[] = { POINTS + 3, 1u << 20, UINT64_MAX };
    for (size_t i = 0; i < 3; i++) {
        struct point_value value;
        copy_pristine(NULL);
        edit_begin();
        size_t size = read_point(20, &value);
        value.rows.first_row = rows[i];
        write_point(20, &value, size);
        edit_end();
        finds("120"); /* its id */
    }
}

static void a_point_of_a_dead_row(void **state)
{
    (void)state;
    struct point_value value;
    edit_begin();
    size_t size = read_point(6, &value);
    value.rows.first_row = 6; /* the row before it was replaced */
    write_point(6, &value, size);
    edit_end();
    finds("106");
}

static void a_point_under_another_id(void **state)
{
    (void)state;
    struct point_value value;
    struct id_key key;
    wg_id stranger = { .type = WG_ID_NUMBER, .as.number = 77 };
    edit_begin();
    size_t size = read_point(12, &value);
    must_ok(db_delete(&txn, TABLE_POINTS, point_key(12, &key)));
    must_ok(id_key_make(&stranger, 0, &key));
    put_value(TABLE_POINTS, id_key_bytes(&key), &value, size);
    edit_end();
    finds("77");
}

static void a_point_from_the_future(void **state)
{
    (void)state;
    struct point_value value;
    edit_begin();
    size_t size = read_point(12, &value);
    value.head.version = 1000;
    write_point(12, &value, size);
    edit_end();
    finds("112");
}

static void a_payload_that_is_none(void **state)
{
    (void)state;
    struct point_value value;
    edit_begin();
    size_t size = read_point(2, &value);
    memcpy(value.payload, "{\"b\":oops", 9);
    write_point(2, &value, size);
    edit_end();
    finds("102");
}

static void a_point_cut_short(void **state)
{
    (void)state;
    struct point_value value;
    edit_begin();
    size_t size = read_point(2, &value);
    write_point(2, &value, size - 1);
    edit_end();
    assert_true(verify().count > 0);
}

static void an_id_that_is_none(void **state)
{
    (void)state;
    struct point_value value;
    edit_begin();
    size_t size = read_point(12, &value);
    put_value(TABLE_POINTS, (struct bytes){ "\7abc", 4 }, &value, size);
    edit_end();
    assert_true(verify().count > 0);
}

static void a_wrong_count(void **state)
{
    (void)state;
    edit_begin();
    struct commit_record commit = read_commit();
    commit.point_count++;
    write_commit(&commit);
    edit_end();
    finds("26"); /* of them, 25 are there */
}

static void a_wrong_end_of_the_rows(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        copy_pristine(NULL);
        edit_begin();
        struct commit_record commit = read_commit();
        commit.row_end += more ? 1 : (uint64_t)-1;
        write_commit(&commit);
        edit_end();
        assert_true(verify().count > 0);
    }
}

/* A number that a new segment would be given, though it is taken. */
static void a_next_segment_that_exists(void **state)
{
    (void)state;
    edit_begin();
    struct commit_record commit = read_commit();
    assert_true(commit.next_segment > 0);
    commit.next_segment = 0;
    write_commit(&commit);
    edit_end();
    assert_true(verify().count > 0);
}

static void a_wrong_record_of_a_segment(void **state)
{
    (void)state;
    for (int what = 0; what < 5; what++) {
        uint8_t key[16];
        struct bytes as_key;
        struct segment_record record;
        copy_pristine(NULL);
        edit_begin();
        first_entry(TABLE_SEGMENTS, key, &as_key, &record, sizeof record);
        if (what == 0) record.row_count--;
        if (what == 1) record.row_count = record.capacity + 1;
        if (what == 2) record.capacity++;
        if (what == 3) record.first_row = 65536;
        if (what == 4) record.strings_size = UINT64_MAX;
        put_value(TABLE_SEGMENTS, as_key, &record, sizeof record);
        edit_end();
        if (verify().count == 0) fail_msg("change %d of the record is not found", what);
    }
}

static void a_segment_that_is_gone(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 64];
    segment_path(path);
    assert_int_equal(unlink(path), 0);
    finds(".seg");
    copy_pristine(NULL);
    assert_int_equal(truncate(path, 5000), 0);
    finds(".seg");
}

static void tables_that_are_damaged(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 64];
    struct file file;
    snprintf(path, sizeof path, "%s/tables/data.mdb", folder);
    assert_int_equal(truncate(path, 4096), 0);
    assert_true(verify().count > 0);
    assert_ok(file_open(path, FILE_CREATE, &file));
    assert_ok(file_write_at(&file, "garbage", 7, 0));
    file_close(&file);
    assert_true(verify().count > 0);
    assert_int_equal(unlink(path), 0);
    assert_true(verify().count > 0);
}

static void without_memory_it_is_an_error(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct said said = { 0 };
        struct verify_report report = { .problem = note_problem, .user = &said };
        mem_fail_at(++request);
        err = verify_collection("docs", folder, &report);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        assert_string_equal(said.text, ""); /* never a problem of the store's */
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, copy_pristine)
    const struct CMUnitTest tests[] = {
        TEST(a_good_store_has_no_problems),
        TEST(a_wrong_checksum_of_a_row),
        TEST(a_flipped_component),
        TEST(a_missing_checksum),
        TEST(a_wrong_id_in_a_slot),
        TEST(a_wrong_long_id),
        TEST(a_cleared_live_bit),
        TEST(a_live_bit_of_a_dead_row),
        TEST(live_bits_that_are_gone),
        TEST(live_bits_of_no_chunk),
        TEST(a_missing_point),
        TEST(a_missing_point_with_its_count),
        TEST(two_points_of_one_row),
        TEST(a_point_of_no_row),
        TEST(a_point_of_a_dead_row),
        TEST(a_point_under_another_id),
        TEST(a_point_from_the_future),
        TEST(a_payload_that_is_none),
        TEST(a_point_cut_short),
        TEST(an_id_that_is_none),
        TEST(a_wrong_count),
        TEST(a_wrong_end_of_the_rows),
        TEST(a_next_segment_that_exists),
        TEST(a_wrong_record_of_a_segment),
        TEST(a_segment_that_is_gone),
        TEST(tables_that_are_damaged),
        TEST(without_memory_it_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_pristine, end_all);
}
