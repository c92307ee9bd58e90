/* LMDB among processes: the number of readers, readers that died, a map that another process grew,
 * reading beside a writer. Those that write do not sync, to be quick. */
#include "base/mem.h"
#include "os/file.h"
#include "store/db.h"
#include "support/check.h"
#include "support/child.h"
#include "support/scratch.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { VALUE_SIZE = 1000 };

static const char *const names[] = { "only" };
static char path[SCRATCH_PATH_SIZE];

static int make_folder(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s", scratch_create());
    return 0;
}

static struct db *open_db(enum db_use use, uint32_t reader_limit)
{
    struct db *db = NULL;
    struct db_params params = {
        .path = path,
        .tables = names,
        .table_count = 1,
        .map_size = 256 << 10,
        .use = use,
        .reader_limit = reader_limit,
    };
    must_ok(db_open(&params, &db));
    return db;
}

static void put(struct db *db, uint64_t key)
{
    char value[VALUE_SIZE];
    struct db_txn txn = { 0 };
    wg_err err;
    memset(value, 'a' + (int)(key % 26), sizeof value);
    do {
        must_ok(db_write_begin(db, &txn));
        err = db_put(&txn, 0, (struct bytes){ &key, sizeof key },
                     (struct bytes){ value, sizeof value });
        if (err == WG_OK) err = db_commit(&txn);
        must(err == WG_OK || txn.full, "%s", wg_message());
        db_abort(&txn);
        if (err != WG_OK) must_ok(db_grow(db));
    } while (err != WG_OK);
}

/* How many of the keys from 0 on are there, with their values. */
static uint64_t count_keys(struct db *db)
{
    struct db_txn txn;
    uint64_t key = 0;
    must_ok(db_read_begin(db, &txn));
    for (;; key++) {
        struct bytes value;
        bool found;
        must_ok(db_get(&txn, 0, (struct bytes){ &key, sizeof key }, &found, &value));
        if (!found) break;
        must(value.size == VALUE_SIZE && *(const char *)value.start == (char)('a' + key % 26),
             "value %zu is wrong", (size_t)key);
    }
    db_abort(&txn);
    return key;
}

static void readers_are_limited(void **state)
{
    (void)state;
    enum { LIMIT = 5 };
    struct db *db = open_db(DB_IN_MEMORY, LIMIT);
    struct db_txn txns[LIMIT], one_more;
    put(db, 0);
    for (size_t i = 0; i < LIMIT; i++) assert_ok(db_read_begin(db, &txns[i]));
    assert_err(WG_EBUSY, "reader", db_read_begin(db, &one_more));
    put(db, 1); /* writing needs none */
    db_abort(&txns[2]);
    assert_ok(db_read_begin(db, &one_more));
    db_abort(&one_more);
    for (size_t i = 0; i < LIMIT; i++) db_abort(&txns[i]);
    assert_int_equal(count_keys(db), 2);
    db_close(&db);
}

/* Begins to read as often as it may, up to 400 times, and says so. */
static void read_often(struct child *parent, void *arg)
{
    struct db_txn txns[400];
    struct rlimit none = { 0, 0 };
    struct db *db = open_db(DB_READ, *(const uint32_t *)arg);
    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < 400; i++) {
        wg_err err = db_read_begin(db, &txns[i]);
        if (err == WG_EBUSY) break;
        must_ok(err);
    }
    child_say(parent, 'r');
    child_hear(parent);
}

/* Whoever opens it first says how many; another one that says more may neither have more, nor bring
 * the first one to read beyond the lock file that it mapped. */
static void the_first_to_open_it_decides(void **state)
{
    (void)state;
    struct child child;
    uint32_t more = 1000;
    struct db *db = open_db(DB_IN_MEMORY, 5);
    put(db, 0);
    child_begin(&child, read_often, &more);
    assert_int_equal(child_hear(&child), 'r');
    for (uint64_t i = 1; i < 20; i++) put(db, i);
    struct db_txn txn;
    assert_err(WG_EBUSY, "reader", db_read_begin(db, &txn));
    child_say(&child, 'e');
    child_end(&child);
    assert_int_equal(count_keys(db), 20);
    db_close(&db);
}

static void slots_of_dead_readers_are_cleared(void **state)
{
    (void)state;
    struct child child;
    uint32_t limit = 5;
    struct db_txn txn;
    struct db *db = open_db(DB_IN_MEMORY, limit);
    put(db, 0);
    child_begin(&child, read_often, &limit);
    assert_int_equal(child_hear(&child), 'r');
    assert_err(WG_EBUSY, "reader", db_read_begin(db, &txn));
    child_kill(&child);
    assert_ok(db_read_begin(db, &txn));
    db_abort(&txn);
    db_close(&db);
}

/* A dead reader's moment is not kept: the pages are used again. */
static void a_dead_reader_does_not_hold_pages(void **state)
{
    (void)state;
    struct child child;
    uint32_t limit = 5;
    struct db *db = open_db(DB_IN_MEMORY, limit);
    put(db, 0);
    child_begin(&child, read_often, &limit);
    assert_int_equal(child_hear(&child), 'r');
    child_kill(&child);
    db_close(&db);
    db = open_db(DB_IN_MEMORY, limit);
    for (size_t round = 0; round < 2000; round++) put(db, round % 10);
    db_close(&db);
    char file[SCRATCH_PATH_SIZE + 16];
    struct file data;
    uint64_t size = 0;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    assert_ok(file_open(file, FILE_READ, &data));
    assert_ok(file_size(&data, &size));
    file_close(&data);
    assert_true(size <= 512 << 10);
}

/* Looks when it is asked to, and says how many tens of keys there are. */
static void look_when_asked(struct child *parent, void *arg)
{
    (void)arg;
    struct db *db = open_db(DB_READ, 100);
    child_say(parent, 'o');
    while (child_hear(parent) == 'l') child_say(parent, (char)('A' + count_keys(db) / 100));
    db_close(&db);
}

static void readers_follow_a_map_that_grows(void **state)
{
    (void)state;
    struct child child;
    struct db *db = open_db(DB_IN_MEMORY, 100);
    uint64_t count = 0, moment = db_moment(db);
    child_begin(&child, look_when_asked, NULL);
    assert_int_equal(child_hear(&child), 'o');
    for (int hundreds = 0; hundreds <= 20; hundreds++) { /* 2 MB in a map of 256 KiB */
        while (count < (uint64_t)hundreds * 100) put(db, count++);
        child_say(&child, 'l');
        assert_int_equal(child_hear(&child), 'A' + hundreds);
    }
    child_say(&child, 'e');
    child_end(&child);
    assert_int_not_equal(db_moment(db), moment);
    db_close(&db);
}

static void write_when_asked(struct child *parent, void *arg)
{
    (void)arg;
    struct db *db = open_db(DB_IN_MEMORY, 100);
    uint64_t count = 0;
    for (child_say(parent, 'o'); child_hear(parent) == 'w'; child_say(parent, 'd'))
        for (size_t i = 0; i < 700; i++) put(db, count++);
    db_close(&db);
}

static void moments_of_others_are_seen(void **state)
{
    (void)state;
    struct child child;
    struct db_txn held;
    child_begin(&child, write_when_asked, NULL);
    assert_int_equal(child_hear(&child), 'o');
    struct db *db = open_db(DB_READ, 100);
    for (uint64_t round = 1; round <= 3; round++) {
        uint64_t moment = db_moment(db);
        assert_ok(db_read_begin(db, &held));
        child_say(&child, 'w');
        assert_int_equal(child_hear(&child), 'd');
        struct bytes value;
        bool found = true;
        uint64_t key = (round - 1) * 700;
        assert_ok(db_get(&held, 0, (struct bytes){ &key, sizeof key }, &found, &value));
        assert_false(found); /* a reader keeps its moment, whatever the map does */
        db_abort(&held);
        assert_int_not_equal(db_moment(db), moment);
        assert_int_equal(count_keys(db), round * 700);
        moment = db_moment(db);
        assert_int_equal(db_moment(db), moment);
    }
    assert_int_not_equal(db_write_begin(db, &held), WG_OK);
    child_say(&child, 'e');
    child_end(&child);
    assert_int_equal(count_keys(db), 2100);
    db_close(&db);
}

static void open_when_asked(struct child *parent, void *arg)
{
    (void)arg;
    while (child_hear(parent) == 'o') {
        struct db *db = open_db(DB_READ, 100);
        must(count_keys(db) == 50, "keys are missing");
        child_say(parent, 'd');
        child_hear(parent);
        must(count_keys(db) == 50, "keys are missing");
        db_close(&db);
        child_say(parent, 'c');
    }
}

/* Copies come without a lock file; whoever comes first makes it, beside others who do. */
static void many_may_open_one_without_a_lock_file(void **state)
{
    (void)state;
    enum { CHILDREN = 4, ROUNDS = 300 };
    struct child children[CHILDREN];
    char lock[SCRATCH_PATH_SIZE + 16];
    struct db *db = open_db(DB_IN_MEMORY, 100);
    for (uint64_t i = 0; i < 50; i++) put(db, i);
    db_close(&db);
    snprintf(lock, sizeof lock, "%s/lock.mdb", path);
    for (size_t i = 0; i < CHILDREN; i++) child_begin(&children[i], open_when_asked, NULL);
    for (size_t round = 0; round < ROUNDS; round++) {
        static const char calls[] = "oc", answers[] = "dc";
        assert_int_equal(unlink(lock), 0);
        for (size_t step = 0; step < 2; step++) {
            for (size_t i = 0; i < CHILDREN; i++) child_say(&children[i], calls[step]);
            for (size_t i = 0; i < CHILDREN; i++)
                assert_int_equal(child_hear(&children[i]), answers[step]);
        }
    }
    for (size_t i = 0; i < CHILDREN; i++) child_say(&children[i], 'e');
    for (size_t i = 0; i < CHILDREN; i++) child_end(&children[i]);
}

static void write_until_told(struct child *parent, void *arg)
{
    (void)arg;
    struct db *db = open_db(DB_IN_MEMORY, 10);
    uint64_t key = 0;
    put(db, key++);
    child_say(parent, 'b');
    while (!child_has_said(parent)) put(db, key++);
    db_close(&db);
}

/* The writer's map grows between the steps of opening, too. */
static void it_opens_while_another_writes(void **state)
{
    (void)state;
    struct child child;
    uint64_t before = 0;
    child_begin(&child, write_until_told, NULL);
    assert_int_equal(child_hear(&child), 'b');
    for (size_t i = 0; i < 60; i++) {
        struct db *db = open_db(DB_READ, 10);
        uint64_t now = count_keys(db);
        assert_true(now > 0 && now >= before);
        before = now;
        db_close(&db);
    }
    child_say(&child, 'e');
    child_end(&child);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_folder)
    const struct CMUnitTest tests[] = {
        TEST(readers_are_limited),
        TEST(the_first_to_open_it_decides),
        TEST(slots_of_dead_readers_are_cleared),
        TEST(a_dead_reader_does_not_hold_pages),
        TEST(readers_follow_a_map_that_grows),
        TEST(it_opens_while_another_writes),
        TEST(moments_of_others_are_seen),
        TEST(many_may_open_one_without_a_lock_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
