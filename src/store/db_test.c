/* LMDB as the store uses it: transactions, checksums over key and value. */
#include "base/mem.h"
#include "os/file.h"
#include "store/db.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>

enum { FIRST, SECOND, TABLES, READERS = 20 };

static const char *const names[TABLES] = { "first", "second" };
static char path[SCRATCH_PATH_SIZE];

static struct bytes text(const char *string)
{
    return (struct bytes){ string, strlen(string) };
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s", scratch_create());
    return 0;
}

static wg_err open_sized(struct db **db, enum db_use use, uint64_t map_size)
{
    struct db_params params = {
        .path = path,
        .tables = names,
        .table_count = TABLES,
        .map_size = map_size,
        .use = use,
        .reader_limit = READERS,
    };
    return db_open(&params, db);
}

static struct db *open_db(void)
{
    struct db *db = NULL;
    must_ok(open_sized(&db, DB_WRITE, 1 << 20));
    return db;
}

static void put(struct db *db, unsigned table, const char *key, const char *value)
{
    struct db_txn txn;
    must_ok(db_write_begin(db, &txn));
    must_ok(db_put(&txn, table, text(key), text(value)));
    must_ok(db_commit(&txn));
}

/* The value of a key as a string; NULL: there is none. */
static const char *get(struct db *db, unsigned table, const char *key)
{
    static char copy[256];
    struct db_txn txn;
    struct bytes value = { NULL, 0 };
    bool found = false;
    must_ok(db_read_begin(db, &txn));
    must_ok(db_get(&txn, table, text(key), &found, &value));
    if (found) snprintf(copy, sizeof copy, "%.*s", (int)value.size, (const char *)value.start);
    db_abort(&txn);
    return found ? copy : NULL;
}

static void what_is_committed_is_there(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct db *db = open_db();
    put(db, FIRST, "a", "one");
    put(db, FIRST, "a", "two"); /* replaces */
    put(db, SECOND, "a", "other");
    put(db, SECOND, "empty", "");
    assert_string_equal(get(db, FIRST, "a"), "two");
    assert_string_equal(get(db, SECOND, "a"), "other");
    assert_string_equal(get(db, SECOND, "empty"), "");
    assert_null(get(db, FIRST, "b"));
    db_close(&db);
    assert_null(db);
    db_close(&db);
    assert_int_equal(mem_in_use(), before);
    db = open_db();
    assert_string_equal(get(db, FIRST, "a"), "two");
    db_close(&db);
}

static void in_memory_it_is_the_same(void **state)
{
    (void)state;
    struct db *db = NULL;
    assert_ok(open_sized(&db, DB_IN_MEMORY, 1 << 20));
    put(db, FIRST, "a", "one");
    put(db, SECOND, "a", "other");
    assert_string_equal(get(db, FIRST, "a"), "one");
    assert_string_equal(get(db, SECOND, "a"), "other");
    db_close(&db);
}

static void every_commit_is_a_moment(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct db_txn txn;
    uint64_t moment = db_moment(db);
    for (int i = 0; i < 5; i++) {
        put(db, FIRST, "a", "one");
        assert_int_not_equal(db_moment(db), moment);
        moment = db_moment(db);
    }
    assert_string_equal(get(db, FIRST, "a"), "one"); /* reading is none */
    assert_ok(db_write_begin(db, &txn));
    assert_ok(db_put(&txn, FIRST, text("a"), text("two")));
    assert_int_equal(db_moment(db), moment);
    db_abort(&txn);
    assert_int_equal(db_moment(db), moment);
    db_close(&db);
}

static void what_is_aborted_is_not(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct db_txn txn;
    bool found = true;
    struct bytes value;
    put(db, FIRST, "a", "one");
    assert_ok(db_write_begin(db, &txn));
    assert_ok(db_put(&txn, FIRST, text("a"), text("two")));
    assert_ok(db_put(&txn, FIRST, text("b"), text("new")));
    assert_ok(db_get(&txn, FIRST, text("b"), &found, &value)); /* its own writes are seen */
    assert_true(found);
    assert_ok(db_delete(&txn, FIRST, text("a")));
    assert_ok(db_get(&txn, FIRST, text("a"), &found, &value));
    assert_false(found);
    assert_string_equal(get(db, FIRST, "a"), "one"); /* by no one else */
    db_abort(&txn);
    db_abort(&txn);
    assert_string_equal(get(db, FIRST, "a"), "one");
    assert_null(get(db, FIRST, "b"));
    db_close(&db);
}

static void a_reader_keeps_its_moment(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct db_txn txn;
    struct bytes value;
    bool found;
    put(db, FIRST, "a", "one");
    assert_ok(db_read_begin(db, &txn));
    put(db, FIRST, "a", "two");
    assert_ok(db_get(&txn, FIRST, text("a"), &found, &value));
    assert_memory_equal(value.start, "one", 3);
    db_abort(&txn);
    assert_string_equal(get(db, FIRST, "a"), "two");
    db_close(&db);
}

static struct pieces pieces(const char *first, const char *second)
{
    return (struct pieces){ text(first), text(second) };
}

static void pieces_make_one_value(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct db_txn txn;
    struct bytes there = { "x", 1 };
    assert_ok(db_write_begin(db, &txn));
    assert_ok(db_put_pieces(&txn, FIRST, text("a"), pieces("head", "tail")));
    assert_ok(db_put_pieces(&txn, FIRST, text("b"), pieces("head", "")));
    assert_ok(db_put_pieces(&txn, FIRST, text("d"), (struct pieces){ .first = text("one") }));
    assert_ok(db_add_pieces(&txn, FIRST, text("c"), pieces("new", ""), &there));
    assert_null(there.start);
    assert_ok(db_add_pieces(&txn, FIRST, text("a"), pieces("x", "y"), &there));
    assert_int_equal(there.size, 8);
    assert_memory_equal(there.start, "headtail", 8);
    assert_ok(db_commit(&txn));
    assert_string_equal(get(db, FIRST, "a"), "headtail");
    assert_string_equal(get(db, FIRST, "b"), "head");
    assert_string_equal(get(db, FIRST, "c"), "new");
    assert_string_equal(get(db, FIRST, "d"), "one");
    db_close(&db);
}

static void tables_are_counted_and_emptied(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct db_txn txn;
    uint64_t count = 0;
    char key[DB_KEY_MAX];
    memset(key, 'k', sizeof key);
    assert_ok(db_write_begin(db, &txn));
    for (size_t size = 1; size <= DB_KEY_MAX; size++)
        assert_ok(db_put(&txn, SECOND, (struct bytes){ key, size }, text("v")));
    assert_ok(db_put(&txn, FIRST, text("other"), text("v")));
    assert_ok(db_count(&txn, SECOND, &count));
    assert_int_equal(count, DB_KEY_MAX);
    assert_ok(db_empty(&txn, SECOND));
    assert_ok(db_count(&txn, SECOND, &count));
    assert_int_equal(count, 0);
    assert_ok(db_count(&txn, FIRST, &count));
    assert_int_equal(count, 1);
    assert_ok(db_commit(&txn));
    db_close(&db);
}

static void next_is(struct db_cursor *cursor, const char *want)
{
    bool found = !want;
    struct bytes key, value;
    assert_ok(db_next(cursor, &found, &key, &value));
    assert_int_equal(found, want != NULL);
    if (!want) return;
    assert_int_equal(key.size, strlen(want));
    assert_memory_equal(key.start, want, key.size);
    assert_int_equal(value.size, key.size + 1);
    assert_memory_equal(value.start, "v", 1);
    assert_memory_equal((const char *)value.start + 1, want, key.size);
}

static void a_cursor_walks_in_order(void **state)
{
    (void)state;
    static const char *const keys[] = { "d", "b", "bb", "f", "\xFF" };
    struct db *db = open_db();
    struct db_txn txn;
    struct db_cursor cursor;
    for (size_t i = 0; i < 5; i++) {
        char value[8];
        snprintf(value, sizeof value, "v%s", keys[i]);
        put(db, FIRST, keys[i], value);
    }
    assert_ok(db_read_begin(db, &txn));
    assert_ok(db_cursor_open(&txn, SECOND, &cursor));
    next_is(&cursor, NULL);
    assert_ok(db_seek(&cursor, text("a")));
    next_is(&cursor, NULL);
    db_cursor_close(&cursor);
    assert_ok(db_cursor_open(&txn, FIRST, &cursor));
    static const char *const sorted[] = { "b", "bb", "d", "f", "\xFF", NULL, NULL };
    for (size_t i = 0; i < 7; i++) next_is(&cursor, sorted[i]);
    static const struct {
        const char *seek, *next[2];
    } seeks[] = { { "a", { "b", "bb" } },   { "b", { "b", "bb" } },         { "ba", { "bb", "d" } },
                  { "e", { "f", "\xFF" } }, { "\xFF\xFF", { NULL, NULL } }, { "d", { "d", "f" } } };
    for (size_t i = 0; i < sizeof seeks / sizeof *seeks; i++) {
        assert_ok(db_seek(&cursor, text(seeks[i].seek)));
        next_is(&cursor, seeks[i].next[0]);
        next_is(&cursor, seeks[i].next[1]);
    }
    db_cursor_close(&cursor);
    db_abort(&txn);
    db_close(&db);
}

static char content[1 << 20]; /* of the database's file */

static uint64_t read_content(struct file *file)
{
    char name[SCRATCH_PATH_SIZE + 16];
    uint64_t size = 0;
    snprintf(name, sizeof name, "%s/data.mdb", path);
    must_ok(file_open(name, FILE_READ_WRITE, file));
    must_ok(file_size(file, &size));
    must(size <= sizeof content, "a large database");
    must_ok(file_read_at(file, content, size, 0));
    return size;
}

/* Changes the bytes of the file that read old, all of them, to new of the same size. */
static size_t replace_in_file(const char *old, const char *new)
{
    struct file file;
    size_t length = strlen(old), replaced = 0;
    uint64_t size = read_content(&file);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(content + i, old, length) == 0) {
            must_ok(file_write_at(&file, new, length, i));
            replaced++;
        }
    file_close(&file);
    return replaced;
}

/* Exchanges two values of the same size, each with the checksum behind it. */
static void exchange_in_file(const char *a, const char *b)
{
    struct file file;
    size_t length = strlen(a);
    uint64_t size = read_content(&file);
    char *in_a = memmem(content, size, a, length), *in_b = memmem(content, size, b, length);
    must(in_a && in_b, "a value is not in the file");
    must_ok(file_write_at(&file, in_a, length + 4, (uint64_t)(in_b - content)));
    must_ok(file_write_at(&file, in_b, length + 4, (uint64_t)(in_a - content)));
    file_close(&file);
}

static void walk_over_damage(struct db *db, const char *damaged, size_t count)
{
    struct db_txn txn;
    struct db_cursor cursor;
    size_t seen = 0, corrupt = 0;
    assert_ok(db_read_begin(db, &txn));
    assert_ok(db_cursor_open(&txn, FIRST, &cursor));
    for (bool found = true; found;) {
        struct bytes key = { NULL, 0 }, value;
        wg_err err = db_next(&cursor, &found, &key, &value);
        assert_true(err == WG_OK || err == WG_ECORRUPT);
        if (err == WG_ECORRUPT) {
            found = true;
            corrupt++;
            assert_int_equal(key.size, strlen(damaged));
            assert_memory_equal(key.start, damaged, key.size);
        }
        seen += found;
        assert_true(seen <= count);
    }
    assert_int_equal(seen, count);
    assert_int_equal(corrupt, 1);
    db_cursor_close(&cursor);
    db_abort(&txn);
}

static void a_flipped_byte_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *key;
    } damages[] = { { "the value of m", "the valuf of m", "key-m" },
                    { "the value of m", "The value of m", "key-m" },
                    { "key-m", "key-n", "key-n" } };
    for (size_t i = 0; i < 3; i++) {
        struct db *db = open_db();
        put(db, FIRST, "key-a", "the value of a");
        put(db, FIRST, "key-m", "the value of m");
        put(db, FIRST, "key-z", "the value of z");
        db_close(&db);
        assert_true(replace_in_file(damages[i].old, damages[i].new) > 0);
        struct db_txn txn;
        struct bytes value;
        bool found;
        db = open_db();
        assert_ok(db_read_begin(db, &txn));
        assert_err(WG_ECORRUPT, "", db_get(&txn, FIRST, text(damages[i].key), &found, &value));
        assert_ok(db_get(&txn, FIRST, text("key-z"), &found, &value));
        assert_true(found);
        db_abort(&txn);
        walk_over_damage(db, damages[i].key, 3);
        assert_ok(db_write_begin(db, &txn));
        assert_ok(db_empty(&txn, FIRST));
        assert_ok(db_commit(&txn));
        db_close(&db);
    }
}

/* The checksum covers the key and the table: a good value in the wrong place is not good. */
static void a_value_in_the_wrong_place_is_found(void **state)
{
    (void)state;
    for (unsigned other = FIRST; other <= SECOND; other++) {
        const char *key = other == FIRST ? "key-y" : "key-x";
        struct db *db = open_db();
        struct db_txn txn;
        struct bytes value;
        bool found;
        assert_ok(db_write_begin(db, &txn));
        assert_ok(db_put(&txn, FIRST, text("key-x"), text("same size 1")));
        assert_ok(db_put(&txn, other, text(key), text("same size 2")));
        assert_ok(db_commit(&txn));
        db_close(&db);
        exchange_in_file("same size 1", "same size 2");
        db = open_db();
        assert_ok(db_read_begin(db, &txn));
        assert_err(WG_ECORRUPT, "", db_get(&txn, FIRST, text("key-x"), &found, &value));
        assert_err(WG_ECORRUPT, "", db_get(&txn, other, text(key), &found, &value));
        db_abort(&txn);
        db_close(&db);
        make_folder(NULL);
    }
}

static void reading_only_leaves_no_trace(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct db_txn txn;
    char lock[SCRATCH_PATH_SIZE + 16];
    put(db, FIRST, "a", "one");
    db_close(&db);
    snprintf(lock, sizeof lock, "%s/lock.mdb", path);
    scratch_remove(lock);
    assert_ok(open_sized(&db, DB_READ_ALONE, 1 << 20));
    assert_string_equal(get(db, FIRST, "a"), "one");
    assert_int_not_equal(db_write_begin(db, &txn), WG_OK);
    db_close(&db);
    struct file file;
    assert_int_equal(file_open(lock, FILE_READ, &file), WG_ENOTFOUND);
}

static void what_is_not_there_is_not_opened(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct db *db = NULL;
    for (int use = DB_WRITE; use <= DB_IN_MEMORY; use++) {
        struct db_params params = {
            .path = "/nonexistent/folder",
            .tables = names,
            .table_count = TABLES,
            .map_size = 1 << 20,
            .use = (enum db_use)use,
            .reader_limit = READERS,
        };
        assert_int_not_equal(db_open(&params, &db), WG_OK);
    }
    assert_int_not_equal(open_sized(&db, DB_READ_ALONE, 1 << 20), WG_OK); /* an empty folder */
    assert_int_not_equal(open_sized(&db, DB_READ, 1 << 20), WG_OK);
    assert_null(db);
    assert_int_equal(mem_in_use(), before);
}

static void a_file_that_is_none_is_refused(void **state)
{
    (void)state;
    struct db *db = NULL;
    struct file file;
    char name[SCRATCH_PATH_SIZE + 16];
    static const char garbage[8192] = "not a database at all";
    snprintf(name, sizeof name, "%s/data.mdb", path);
    assert_ok(file_open(name, FILE_CREATE, &file));
    assert_ok(file_write_at(&file, garbage, sizeof garbage, 0));
    file_close(&file);
    assert_err(WG_ECORRUPT, path, open_sized(&db, DB_WRITE, 1 << 20));
    assert_err(WG_ECORRUPT, path, open_sized(&db, DB_READ_ALONE, 1 << 20));
    assert_null(db);
}

static void opening_without_memory_leaves_nothing(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    struct db *db = NULL;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = open_sized(&db, DB_WRITE, 1 << 20);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        if (err != WG_OK) assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 1);
    db_close(&db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_folder)
    const struct CMUnitTest tests[] = {
        TEST(what_is_committed_is_there),     TEST(what_is_aborted_is_not),
        TEST(in_memory_it_is_the_same),       TEST(every_commit_is_a_moment),
        TEST(a_reader_keeps_its_moment),      TEST(pieces_make_one_value),
        TEST(tables_are_counted_and_emptied), TEST(a_cursor_walks_in_order),
        TEST(a_flipped_byte_is_found),        TEST(a_value_in_the_wrong_place_is_found),
        TEST(reading_only_leaves_no_trace),   TEST(what_is_not_there_is_not_opened),
        TEST(a_file_that_is_none_is_refused), TEST(opening_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
