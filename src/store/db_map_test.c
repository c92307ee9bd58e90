/* The map of an LMDB environment: it grows while others read, and is copied while others write. */
#include "os/thread.h"
#include "store/db.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static void value_of(uint64_t i, char value[1000])
{
    memset(value, 'a' + (int)(i % 26), 1000);
    memcpy(value, &i, sizeof i);
}

/* Puts values until all are there, growing the map as often as needed; returns how often. */
static size_t put_growing(struct db *db, uint64_t first, uint64_t count)
{
    size_t grown = 0;
    for (uint64_t next = first; next < first + count;) {
        struct db_txn txn;
        wg_err err = WG_OK;
        uint64_t i = next;
        must_ok(db_write_begin(db, &txn));
        for (; i < first + count && i < next + 50 && err == WG_OK; i++) {
            char value[1000];
            value_of(i, value);
            err = db_put(&txn, FIRST, (struct bytes){ &i, sizeof i },
                         (struct bytes){ value, sizeof value });
        }
        if (err == WG_OK) err = db_commit(&txn);
        must(err == WG_OK || txn.full, "%s", wg_message());
        if (err == WG_OK) next = i;
        if (err == WG_OK) continue;
        db_abort(&txn);
        must_ok(db_grow(db));
        grown++;
    }
    return grown;
}

static size_t count_right(struct db *db)
{
    struct db_txn txn;
    struct db_cursor cursor;
    size_t count = 0;
    must_ok(db_read_begin(db, &txn));
    must_ok(db_cursor_open(&txn, FIRST, &cursor));
    for (;;) {
        struct bytes key, value;
        bool found;
        char want[1000];
        uint64_t i;
        must_ok(db_next(&cursor, &found, &key, &value));
        if (!found) break;
        memcpy(&i, key.start, sizeof i);
        value_of(i, want);
        must(value.size == 1000 && memcmp(value.start, want, 1000) == 0, "value %zu is wrong",
             (size_t)i);
        count++;
    }
    db_cursor_close(&cursor);
    db_abort(&txn);
    return count;
}

static void a_map_tells_when_it_is_filling(void **state)
{
    (void)state;
    struct db *db = open_db();
    bool was_filling = false;
    assert_false(db_is_filling(db));
    for (uint64_t i = 0; put_growing(db, i, 50) == 0; i += 50) was_filling = db_is_filling(db);
    assert_true(was_filling); /* before it was full */
    assert_ok(db_grow(db));
    assert_ok(db_grow(db));
    assert_false(db_is_filling(db));
    db_close(&db);
}

struct reader {
    struct db *db;
    atomic_bool end;
    atomic_size_t rounds;
};

static void read_on(void *arg)
{
    struct reader *reader = arg;
    size_t count = 0;
    while (!reader->end) {
        size_t now = count_right(reader->db);
        must(now >= count && now % 50 == 0, "%zu after %zu", now, count);
        count = now;
        reader->rounds++;
    }
}

static void the_map_grows_under_readers(void **state)
{
    (void)state;
    struct db *db = NULL;
    struct thread threads[2];
    assert_ok(open_sized(&db, DB_WRITE, 256 * 1024));
    struct reader reader = { .db = db };
    for (size_t t = 0; t < 2; t++) assert_ok(thread_start(read_on, &reader, &threads[t]));
    assert_true(put_growing(db, 0, 2000) >= 2);
    while (reader.rounds < 4) {
    }
    reader.end = true;
    for (size_t t = 0; t < 2; t++) thread_join(&threads[t]);
    assert_int_equal(count_right(db), 2000);
    db_close(&db);
    assert_ok(open_sized(&db, DB_WRITE, 256 * 1024)); /* what it grew to is opened */
    assert_int_equal(count_right(db), 2000);
    assert_true(put_growing(db, 2000, 500) < 20);
    assert_int_equal(count_right(db), 2500);
    db_close(&db);
    assert_ok(open_sized(&db, DB_READ_ALONE, 256 * 1024));
    assert_int_equal(count_right(db), 2500);
    db_close(&db);
}

static void write_on(void *arg)
{
    struct reader *writer = arg;
    for (uint64_t first = 0; !writer->end; first += 50) put_growing(writer->db, first, 50);
}

/* Each copy is what one commit left, while others follow. */
static void a_copy_is_one_moment(void **state)
{
    (void)state;
    struct thread thread;
    struct reader writer = { 0 };
    assert_ok(open_sized(&writer.db, DB_IN_MEMORY, 256 << 20)); /* it need not grow */
    put_growing(writer.db, 0, 1000);
    assert_ok(thread_start(write_on, &writer, &thread));
    for (size_t i = 0; i < 5; i++) {
        make_folder(NULL);
        assert_ok(db_copy(writer.db, path));
        struct db *copy = open_db();
        size_t count = count_right(copy);
        assert_true(count >= 1000 && count % 50 == 0);
        put(copy, SECOND, "b", "mine");
        assert_null(get(writer.db, SECOND, "b"));
        db_close(&copy);
    }
    writer.end = true;
    thread_join(&thread);
    assert_err(WG_ENOTFOUND, "/nonexistent", db_copy(writer.db, "/nonexistent"));
    db_close(&writer.db);
}

struct holder {
    struct db *db;
    atomic_int stage;
};

static void hold(void *arg)
{
    struct holder *holder = arg;
    struct timespec time = { 0, 60000000 };
    struct db_txn txn;
    must_ok(db_read_begin(holder->db, &txn));
    holder->stage = 1;
    nanosleep(&time, NULL);
    holder->stage = 2;
    db_abort(&txn);
}

static void growing_waits_for_a_reader(void **state)
{
    (void)state;
    struct holder holder = { .db = open_db() };
    struct thread thread;
    assert_ok(thread_start(hold, &holder, &thread));
    while (holder.stage == 0) {
    }
    assert_ok(db_grow(holder.db));
    assert_int_equal(holder.stage, 2);
    thread_join(&thread);
    db_close(&holder.db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_folder)
    const struct CMUnitTest tests[] = {
        TEST(the_map_grows_under_readers),
        TEST(growing_waits_for_a_reader),
        TEST(a_map_tells_when_it_is_filling),
        TEST(a_copy_is_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
