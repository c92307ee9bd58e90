/* Damages tables through store/db.h, so that every checksum of theirs is right, and expects verify
 * to find what no longer agrees. Each damage is a function that edits a copy of a good collection;
 * the table below says what verify is to say of it. */
#include "base/mem.h"
#include "store/compact.h"
#include "store/id.h"
#include "store/live.h"
#include "store/verify.h"
#include "store/write.h"
#include "support/check.h"
#include "support/inner_store.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 4, POINTS = 30, AGAIN = 3, DELETED = 5, ROWS = POINTS + AGAIN, READERS = 100 };

static struct surroundings around;
static char pristine[2][SCRATCH_PATH_SIZE]; /* as it was written; compacted */
static char folder[SCRATCH_PATH_SIZE];      /* the copy that is damaged */

/* --- a collection with points of all kinds of ids, some replaced, some deleted --- */

static const char long_id[] = "a string that is longer than the slot of an id";

static wg_id id_of(size_t i)
{
    wg_id id = { .type = WG_ID_NUMBER, .as.number = 100 + i };
    if (i == 3) id = (wg_id){ WG_ID_STRING, sizeof long_id - 1, { .string = long_id } };
    if (i == 4) id = (wg_id){ WG_ID_STRING, 5, { .string = "short" } };
    return id;
}

/* Three writes: rows 6 to 8 die in the second one, when 30 to 32 are born; five points go in the
 * third one. */
static void write_points(struct collection *c)
{
    wg_id ids[POINTS];
    float vectors[POINTS * DIM];
    const char *payloads[POINTS] = { "{\"a\":1}", NULL, "{\"b\":\"c\"}" };
    struct write_result result;
    for (size_t i = 0; i < POINTS; i++) ids[i] = id_of(i);
    for (size_t i = 0; i < POINTS * DIM; i++) vectors[i] = (float)i;
    struct upsert all = { .count = POINTS, .ids = ids, .vectors = vectors, .payloads = payloads };
    struct upsert again = { .count = AGAIN, .ids = ids + 6, .vectors = vectors };
    struct selection gone = { .change = POINT_DELETE,
                              .count = DELETED,
                              .ids = ids + POINTS - DELETED };
    must_ok(collection_upsert(c, &all, &result));
    must_ok(collection_upsert(c, &again, &result));
    must_ok(collection_change(c, &gone, &result));
}

static int make_pristine(void **state)
{
    (void)state;
    const char *parent = scratch_create();
    surroundings_begin(&around);
    snprintf(folder, sizeof folder, "%s/damaged", parent);
    for (int compacted = 0; compacted < 2; compacted++) {
        snprintf(pristine[compacted], sizeof *pristine, "%s/%d", parent, compacted);
        struct collection *c =
            inner_create(&around, pristine[compacted], DIM, compacted ? 0 : 1000);
        write_points(c);
        if (compacted) must_ok(collection_compact(c, NULL));
        collection_close(&c);
    }
    return 0;
}

static int end_all(void **state)
{
    (void)state;
    surroundings_end(&around);
    return 0;
}

static void copy_pristine(bool compacted)
{
    scratch_remove(folder);
    scratch_copy(pristine[compacted], folder);
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

static wg_err run_verify(struct verify_report *report)
{
    struct verify_place place = { .folder = folder, .use = DB_READ, .reader_limit = READERS };
    return verify_collection("docs", &place, report);
}

static struct said verify(void)
{
    struct said said = { 0 };
    size_t before = mem_in_use();
    struct verify_report report = { .problem = note_problem, .user = &said };
    assert_ok(run_verify(&report));
    assert_int_equal(report.problem_count, said.count);
    assert_int_equal(mem_in_use(), before);
    return said;
}

/* --- editing tables --- */

static struct db *db;
static struct db_txn txn;

static void edit_begin(void)
{
    must_ok(collection_db_open(folder, DB_IN_MEMORY, READERS, &db));
    must_ok(db_write_begin(db, &txn));
}

static void edit_end(void)
{
    must_ok(db_commit(&txn));
    db_close(&db);
}

/* An entry of a table, as it is edited. */
static struct entry {
    uint8_t key[ID_KEY_MAX], value[16384];
    size_t key_size, size;
} entry;

static struct bytes entry_key(void)
{
    return (struct bytes){ entry.key, entry.key_size };
}

static void copy_entry(struct bytes key, struct bytes value)
{
    must(key.size <= sizeof entry.key && value.size <= sizeof entry.value, "a large entry");
    entry.key_size = key.size;
    entry.size = value.size;
    memcpy(entry.key, key.start, key.size);
    memcpy(entry.value, value.start, value.size);
}

static void read_key(unsigned table, struct bytes key)
{
    struct bytes value;
    bool found = false;
    must_ok(db_get(&txn, table, key, &found, &value));
    must(found, "no such entry");
    copy_entry(key, value);
}

/* The entry that is so far from the first one. */
static void read_nth(unsigned table, size_t at)
{
    struct db_cursor cursor;
    struct bytes key, value;
    bool found = true;
    must_ok(db_cursor_open(&txn, table, &cursor));
    for (size_t i = 0; i <= at && found; i++) must_ok(db_next(&cursor, &found, &key, &value));
    must(found, "table %u has no entry %zu", table, at);
    copy_entry(key, value);
    db_cursor_close(&cursor);
}

static void read_point(size_t i)
{
    struct id_key key;
    wg_id id = id_of(i);
    must_ok(id_key_make(&id, 0, &key));
    read_key(TABLE_POINTS, id_key_bytes(&key));
}

static void write_entry(unsigned table, struct bytes key)
{
    must_ok(db_put(&txn, table, key, (struct bytes){ entry.value, entry.size }));
}

/* A row that lives is dead, or the other way round. */
static void toggle_live(uint64_t row)
{
    uint64_t words[BITMAP_CHUNK_WORDS];
    char *encoded = NULL;
    must_ok(live_decode((struct bytes){ entry.value, entry.size }, ROWS, words));
    words[row / 64] ^= UINT64_C(1) << row % 64;
    must_ok(live_encode(words, ROWS, &encoded, &entry.size));
    memcpy(entry.value, encoded, entry.size);
    mem_free(&encoded);
}

enum act {
    ADD,    /* value, to a field */
    SET,    /* a field to value */
    CUT,    /* value bytes from the end */
    LIVE,   /* of row value, the other way round */
    COPY,   /* to the key `to` */
    MOVE,   /* likewise, and it goes */
    DELETE, /* the entry */
    EMPTY   /* the table */
};

struct damage {
    unsigned table;
    const char *key; /* of table meta */
    size_t at;       /* a point, or the number of the entry */
    enum act act;
    size_t offset, width; /* of the field */
    uint64_t value;
    struct bytes to;
    const char *finds; /* in what verify says */
};

static void change_field(const struct damage *d)
{
    uint64_t value = 0;
    memcpy(&value, entry.value + d->offset, d->width);
    value = d->act == ADD ? value + d->value : d->value;
    memcpy(entry.value + d->offset, &value, d->width);
}

static void damage(const struct damage *d)
{
    edit_begin();
    if (d->table == TABLE_META) read_key(TABLE_META, db_text(d->key));
    if (d->table == TABLE_POINTS) read_point(d->at);
    if (d->table != TABLE_META && d->table != TABLE_POINTS) read_nth(d->table, d->at);
    if (d->act == ADD || d->act == SET) change_field(d);
    if (d->act == CUT) entry.size -= d->value;
    if (d->act == LIVE) toggle_live(d->value);
    if (d->act < COPY) write_entry(d->table, entry_key());
    if (d->act == DELETE || d->act == MOVE) must_ok(db_delete(&txn, d->table, entry_key()));
    if (d->act == COPY || d->act == MOVE) write_entry(d->table, d->to);
    if (d->act == EMPTY) must_ok(db_empty(&txn, d->table));
    edit_end();
}

struct point_value {
    struct point_record head;
    struct point_rows rows;
    char payload[7];
};

#define FIELD(type, field) offsetof(struct type, field), sizeof((struct type *)NULL)->field
#define COMMIT(field, act, value, finds) \
    { TABLE_META, "commit", 0, act, FIELD(commit_record, field), value, { 0 }, finds }
#define SEGMENT(field, act, value, finds) \
    { TABLE_SEGMENTS, NULL, 0, act, FIELD(segment_record, field), value, { 0 }, finds }
#define POINT(i, field, value, finds) \
    { TABLE_POINTS, NULL, i, SET, FIELD(point_value, field), value, { 0 }, finds }
#define CHANGED(i, field, act, value, finds) \
    { TABLE_CHANGES, NULL, i, act, FIELD(change_record, field), value, { 0 }, finds }
#define WHOLE(table, at, act, value, finds) { table, NULL, at, act, 0, 0, value, { 0 }, finds }
#define META(key, finds)                    { TABLE_META, key, 0, DELETE, 0, 0, 0, { 0 }, finds }
#define TO(table, at, act, key, finds) \
    { table, NULL, at, act, 0, 0, 0, { key, sizeof(key) - 1 }, finds }
#define LESS(n) ((uint64_t)0 - (n))

/* Of points 0 to 24 (ids 100 to 124); point 6 to 8 have rows 30 to 32, the others their number. */
static const struct damage damages[] = {
    { TABLE_SUMS, NULL, 0, ADD, 17 * 4, 4, 1, { 0 }, "row 17" },
    WHOLE(TABLE_SUMS, 0, CUT, 4, "30"),
    WHOLE(TABLE_SUMS, 0, CUT, 1, "checksums"),
    WHOLE(TABLE_SUMS, 1, DELETE, 0, "end at position 30, expected 33"),
    TO(TABLE_SUMS, 0, COPY, "\0\0\0\0\0\0\0\0\x27\x0F", "9999"),
    WHOLE(TABLE_LIVE, 0, LIVE, 14, "row 14, which is dead"),
    WHOLE(TABLE_LIVE, 0, LIVE, 7, "row 7 is live"),   /* replaced */
    WHOLE(TABLE_LIVE, 0, LIVE, 29, "row 29 is live"), /* deleted */
    WHOLE(TABLE_LIVE, 0, CUT, 3, "no bitmap"),
    WHOLE(TABLE_LIVE, 0, DELETE, 0, "0 chunks of live rows"),
    TO(TABLE_LIVE, 0, COPY, "\0\0\0\0\0\x09", "chunk"),
    WHOLE(TABLE_POINTS, 11, DELETE, 0, "24 points"),
    WHOLE(TABLE_POINTS, 2, CUT, 1, "point 102"),
    TO(TABLE_POINTS, 12, COPY, "\7abc", "docs"),
    TO(TABLE_POINTS, 12, MOVE, "\1\0\0\0\0\0\0\0\x4D", "point 77"),
    POINT(20, rows.first_row, 19, "row 19, as another point does"),
    POINT(20, rows.first_row, ROWS, "point 120 names row 33, which is not there"),
    POINT(20, rows.first_row, UINT64_MAX, "point 120"),
    POINT(6, rows.first_row, 6, "point 106 names row 6, which is dead"),
    POINT(12, head.version, 4, "point 112 has version 4"),
    POINT(12, head.version, 0, "point 112 has version 0"),
    POINT(12, head.space_count, 0, "point 112"),
    POINT(2, payload[3], '?', "point 102: payload"),
    COMMIT(point_count, ADD, 1, "25 points, expected 26"),
    COMMIT(row_end, ADD, 1, "docs"),
    COMMIT(row_end, ADD, LESS(1), "docs"),
    COMMIT(row_base, SET, 7, "bounds"),
    COMMIT(row_base, SET, 65536, "bounds"),
    COMMIT(next_segment, SET, 0, "segment"),
    COMMIT(horizon, SET, 1, "change"),
    COMMIT(horizon, SET, 4, "bounds"),
    COMMIT(history_count, ADD, 1, "38 points"),
    COMMIT(history_bytes, ADD, LESS(1), "bytes, expected"),
    COMMIT(history_row, ADD, 1, "docs"),
    COMMIT(sequence, ADD, 1, "docs"),
    META("commit", "commit"),
    META("format", "format"),
    META("settings", "settings"),
    WHOLE(TABLE_SPACES, 0, EMPTY, 0, "space"),
    WHOLE(TABLE_SEGMENTS, 0, EMPTY, 0, "segment is missing"),
    SEGMENT(row_count, ADD, LESS(1), "segment"),
    SEGMENT(row_count, ADD, 1000000, "segment"),
    SEGMENT(capacity, ADD, 1, ".seg"),
    SEGMENT(end_row, ADD, LESS(1), "segment"),
    SEGMENT(number, ADD, 1, "segment"),
    SEGMENT(strings_size, SET, UINT64_MAX, ".seg"),
    SEGMENT(packed, SET, 1, ".seg"),
    WHOLE(TABLE_CHANGES, 0, DELETE, 0, "expected change 1"),
    WHOLE(TABLE_CHANGES, 1, DELETE, 0, "expected change 2"),
    WHOLE(TABLE_CHANGES, 2, DELETE, 0, "2 changes, expected 3"),
    WHOLE(TABLE_CHANGES, 2, CUT, 1, "change"),
    CHANGED(1, first_row, ADD, 1, "change 2 names row 33"),
    CHANGED(2, chain_hash, ADD, 1, "change 3 has chain hash"),
    CHANGED(1, count, ADD, LESS(1), "37 points"),
    CHANGED(1, kind, SET, 9, "kind 9"),
};

/* Of the same points in a packed segment, and without a list of changes. */
static const struct damage compacted_damages[] = {
    { TABLE_SUMS, NULL, 0, ADD, 10 * 4, 4, 1, { 0 }, "row 13" },
    WHOLE(TABLE_SUMS, 0, CUT, 4, "end at position 24, expected 25"),
    WHOLE(TABLE_LIVE, 0, LIVE, 14, "row 14, which is dead"),
    WHOLE(TABLE_LIVE, 0, LIVE, 7, "live rows of chunk 0 are in no segment"),
    WHOLE(TABLE_POINTS, 11, DELETE, 0, "24 points"),
    POINT(20, rows.first_row, 19, "row 19, as another point does"),
    POINT(6, rows.first_row, 6, "point 106 names row 6, which is not there"),
    COMMIT(row_end, ADD, LESS(1), "segment"),
    COMMIT(history_row, ADD, LESS(1), "docs"),
    WHOLE(TABLE_SEGMENTS, 0, EMPTY, 0, "segment is missing"),
    SEGMENT(row_count, ADD, LESS(1), "docs"),
    SEGMENT(end_row, ADD, LESS(1), "docs"),
    SEGMENT(packed, SET, 0, "segment"),
};

/* What is said names the collection, and what is expected of it among other things. */
static size_t run_damages(const struct damage *these, size_t count, bool compacted)
{
    size_t missed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct damage *d = &these[i];
        copy_pristine(compacted);
        damage(d);
        struct said said = verify();
        if (strstr(said.text, d->finds) && strstr(said.text, "docs")) continue;
        print_error("%sdamage %zu, table %u: expected \"%s\" in \"%s\"\n",
                    compacted ? "compacted, " : "", i, d->table, d->finds, said.text);
        missed++;
    }
    return missed;
}

static void damaged_tables_are_found(void **state)
{
    (void)state;
    size_t count = sizeof damages / sizeof *damages;
    size_t compacted = sizeof compacted_damages / sizeof *compacted_damages;
    assert_int_equal(run_damages(damages, count, false) +
                         run_damages(compacted_damages, compacted, true),
                     0);
    print_message("%zu damages found\n", count + compacted);
}

/* --- editing the file of the segment --- */

static const char *segment_path(void)
{
    static char path[SCRATCH_PATH_SIZE + 64];
    struct segment_record record;
    char name[32];
    edit_begin();
    read_nth(TABLE_SEGMENTS, 0);
    memcpy(&record, entry.value, sizeof record);
    db_abort(&txn);
    db_close(&db);
    segment_name(0, record.number, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void edit_file(uint64_t offset, const void *bytes, size_t size)
{
    struct file file;
    must_ok(file_open(segment_path(), FILE_READ_WRITE, &file));
    must_ok(file_write_at(&file, bytes, size, offset));
    file_close(&file);
}

static struct segment_header header_now(void)
{
    struct file file;
    struct segment_header header;
    must_ok(file_open(segment_path(), FILE_READ, &file));
    must_ok(file_read_at(&file, &header, sizeof header, 0));
    file_close(&file);
    return header;
}

/* Makes both checksums of a row of the first run right for what is in the file. */
static void repair_sums(uint64_t row)
{
    struct segment *opened = NULL;
    struct segment_header header = header_now();
    struct segment_record record;
    struct segment_params params = {
        .first_row = header.first_row,
        .capacity = header.capacity,
        .number = header.number,
        .dim = DIM,
    };
    struct segment_place place = { .folder = folder };
    struct damage in_table = { .table = TABLE_SUMS, .act = SET, .offset = row * 4, .width = 4 };
    uint32_t sum;
    memcpy(&record, entry.value, sizeof record); /* header_now has read it */
    must_ok(segment_open(&place, &params, &record, SEGMENT_READ_ONLY, &opened));
    must_ok(segment_row_sum(opened, row, &sum));
    segment_release(&opened);
    edit_file(header.ids_offset + row * sizeof(struct id_slot) + offsetof(struct id_slot, sum),
              &sum, sizeof sum);
    in_table.value = sum;
    damage(&in_table);
}

/* --- the tests --- */

static void good_collections_have_no_problems(void **state)
{
    (void)state;
    for (int compacted = 0; compacted < 2; compacted++) {
        copy_pristine(compacted);
        assert_string_equal(verify().text, "");
        for (unsigned table = 0; table < (compacted ? TABLE_CHANGES : COLLECTION_TABLE_COUNT);
             table++)
            damage(&(struct damage){ .table = table, .key = "commit" }); /* adds nothing */
        assert_string_equal(verify().text, "");
    }
}

static void one_problem_is_told_once(void **state)
{
    (void)state;
    copy_pristine(false);
    damage(&damages[0]);
    assert_int_equal(verify().count, 1);
}

static void reports_are_counted_and_told(void **state)
{
    (void)state;
    struct said heard = { 0 };
    struct verify_report report = { 0 }; /* nobody listens */
    copy_pristine(false);
    assert_ok(run_verify(&report));
    assert_int_equal(report.problem_count, 0);
    verify_problem(&report, "row %d", 7);
    assert_int_equal(report.problem_count, 1);
    report = (struct verify_report){ .problem = note_problem, .user = &heard };
    verify_problem(&report, "row %d", 7);
    assert_string_equal(heard.text, "row 7\n");
}

/* --- damages of files --- */

static void finds(const char *needle)
{
    struct said said = verify();
    if (!strstr(said.text, needle)) fail_msg("\"%s\" is not in: %s", needle, said.text);
}

static void a_flipped_component(void **state)
{
    (void)state;
    copy_pristine(false);
    edit_file(4096 + (12 * DIM + 1) * sizeof(float), "\x01", 1);
    finds("row 12");
}

static void a_flipped_sum_in_a_slot(void **state)
{
    (void)state;
    copy_pristine(false);
    struct segment_header header = header_now();
    edit_file(header.ids_offset + 10 * sizeof(struct id_slot) + offsetof(struct id_slot, sum),
              "\x01\x02\x03", 3);
    finds("row 10");
}

static void a_wrong_id_in_a_slot(void **state)
{
    (void)state;
    uint64_t wrong = 999;
    copy_pristine(false);
    struct segment_header header = header_now();
    edit_file(header.ids_offset + 10 * sizeof(struct id_slot) + offsetof(struct id_slot, bytes),
              &wrong, sizeof wrong);
    finds("row 10"); /* by its checksum */
    repair_sums(10);
    finds("point 110 names row 10, which has another id");
}

static void a_wrong_long_id(void **state)
{
    (void)state;
    copy_pristine(false);
    struct segment_header header = header_now();
    edit_file(header.strings_offset + 5, "X", 1);
    finds("row 3");
    repair_sums(3);
    finds("names row 3, which has another id");
}

static void a_wrong_number_of_a_packed_row(void **state)
{
    (void)state;
    uint64_t wrong = 7; /* not taken, and it still rises */
    copy_pristine(true);
    struct segment_header header = header_now();
    edit_file(header.numbers_offset + 6 * sizeof wrong, &wrong, sizeof wrong);
    finds("row 7");
}

static void a_segment_that_is_gone(void **state)
{
    (void)state;
    copy_pristine(false);
    assert_int_equal(truncate(segment_path(), 5000), 0);
    finds(".seg");
    assert_int_equal(unlink(segment_path()), 0);
    finds(".seg");
}

static void tables_that_are_damaged(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 64];
    struct file file;
    copy_pristine(false);
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
    copy_pristine(false);
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct said said = { 0 };
        struct verify_report report = { .problem = note_problem, .user = &said };
        mem_fail_at(++request);
        err = run_verify(&report);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        assert_string_equal(said.text, ""); /* never a problem of the store's */
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_collections_have_no_problems),
        cmocka_unit_test(damaged_tables_are_found),
        cmocka_unit_test(one_problem_is_told_once),
        cmocka_unit_test(reports_are_counted_and_told),
        cmocka_unit_test(a_flipped_component),
        cmocka_unit_test(a_flipped_sum_in_a_slot),
        cmocka_unit_test(a_wrong_id_in_a_slot),
        cmocka_unit_test(a_wrong_long_id),
        cmocka_unit_test(a_wrong_number_of_a_packed_row),
        cmocka_unit_test(a_segment_that_is_gone),
        cmocka_unit_test(tables_that_are_damaged),
        cmocka_unit_test(without_memory_it_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_pristine, end_all);
}
