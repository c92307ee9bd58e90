/* Copies of LMDB's tables beside other processes: a map that one of them grew, a reader that died,
 * one that goes on writing. */
#include "base/mem.h"
#include "os/file.h"
#include "store/db.h"
#include "support/check.h"
#include "support/child.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A process may be kept waiting for its processor: more copies, until it has written. */
enum { VALUE_SIZE = 1000, PAIRS = 40, PAIRS_GROWN = 1500, COPIES = 30, PATIENCE = 3000 };

static const char *const names[] = { "only" };
static char path[SCRATCH_PATH_SIZE], copy[SCRATCH_PATH_SIZE];

static int make_folders(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s", scratch_create());
    snprintf(copy, sizeof copy, "%s", scratch_create());
    return 0;
}

static struct db *open_db(const char *folder, enum db_use use, uint32_t reader_limit)
{
    struct db *db = NULL;
    struct db_params params = {
        .path = folder,
        .tables = names,
        .table_count = 1,
        .map_size = 256 << 10,
        .use = use,
        .reader_limit = reader_limit,
    };
    must_ok(db_open(&params, &db));
    return db;
}

static struct bytes key_of(const uint64_t *key)
{
    return (struct bytes){ key, sizeof *key };
}

/* Two keys in one commit, key and -key, with the same value, so that half a commit shows. */
static void put_pair(struct db *db, uint64_t key, uint64_t round)
{
    uint64_t value[VALUE_SIZE / sizeof(uint64_t)] = { round }, other = -key;
    struct bytes bytes = { value, sizeof value };
    struct db_txn txn = { 0 };
    wg_err err;
    do {
        must_ok(db_write_begin(db, &txn));
        err = db_put(&txn, 0, key_of(&key), bytes);
        if (err == WG_OK) err = db_put(&txn, 0, key_of(&other), bytes);
        if (err == WG_OK) err = db_commit(&txn);
        must(err == WG_OK || txn.full, "%s", wg_message());
        db_abort(&txn);
        if (err != WG_OK) must_ok(db_grow(db));
    } while (err != WG_OK);
}

/* Zero: there is none. */
static uint64_t round_of(struct db_txn *txn, uint64_t key)
{
    struct bytes value;
    bool found;
    uint64_t round = 0;
    must_ok(db_get(txn, 0, key_of(&key), &found, &value));
    if (found) memcpy(&round, value.start, sizeof round);
    return round;
}

/* How many pairs a copy holds; there is nothing else in it. *rounds: their sum. */
static uint64_t copy_pairs(struct db *db, uint64_t *rounds)
{
    struct db_txn txn;
    uint64_t count, pairs = 0;
    *rounds = 0;
    must_ok(db_copy(db, copy));
    struct db *copied = open_db(copy, DB_READ_ALONE, 1);
    must_ok(db_read_begin(copied, &txn));
    for (uint64_t round; (round = round_of(&txn, pairs + 1)) > 0; pairs++) {
        must(round_of(&txn, -(pairs + 1)) == round, "half of a commit");
        *rounds += round;
    }
    must_ok(db_count(&txn, 0, &count));
    must(count == 2 * pairs, "%d keys, %d pairs", (int)count, (int)pairs);
    db_abort(&txn);
    db_close(&copied);
    return pairs;
}

static void write_some(struct child *parent, void *arg)
{
    struct db *db = open_db(path, DB_IN_MEMORY, 1);
    uint64_t count = *(uint64_t *)arg;
    for (uint64_t i = 1; i <= count; i++) put_pair(db, i, 1);
    db_close(&db);
    (void)parent;
}

static void a_map_that_another_process_grew(void **state)
{
    (void)state;
    uint64_t few = 3, many = PAIRS_GROWN, rounds;
    size_t in_use = mem_in_use();
    child_run(write_some, &few);
    struct db *db = open_db(path, DB_READ, 4);
    assert_int_equal(copy_pairs(db, &rounds), few);
    child_run(write_some, &many);
    assert_int_equal(copy_pairs(db, &rounds), many);
    db_close(&db);
    assert_int_equal(mem_in_use(), in_use);
}

static void read_for_ever(struct child *parent, void *arg)
{
    (void)arg;
    struct db *db = open_db(path, DB_READ, 1);
    struct db_txn txn;
    must_ok(db_read_begin(db, &txn));
    child_say(parent, 'r');
    (void)child_hear(parent);
}

static void a_reader_that_died(void **state)
{
    (void)state;
    struct child child;
    uint64_t few = 3, rounds;
    child_run(write_some, &few);
    child_begin(&child, read_for_ever, NULL);
    assert_int_equal(child_hear(&child), 'r');
    struct db *db = open_db(path, DB_IN_MEMORY, 1);
    assert_err(WG_EBUSY, "copy", db_copy(db, copy));
    child_kill(&child);
    assert_int_equal(copy_pairs(db, &rounds), few);
    db_close(&db);
}

static void write_for_ever(struct child *parent, void *arg)
{
    (void)arg;
    struct db *db = open_db(path, DB_IN_MEMORY, 4);
    put_pair(db, 1, 1);
    child_say(parent, 'w');
    for (uint64_t i = 1; getppid() == parent->pid; i++) {
        put_pair(db, i % PAIRS + 1, i / PAIRS + 1);
        usleep(50); /* at full speed the file grows faster than it is copied */
    }
    db_close(&db);
}

static void beside_a_writer(void **state)
{
    (void)state;
    struct child child;
    uint64_t rounds, last = 0, first = 0;
    child_begin(&child, write_for_ever, NULL);
    assert_int_equal(child_hear(&child), 'w');
    struct db *db = open_db(path, DB_READ, 4);
    for (size_t i = 0; i < COPIES || (last == first && i < PATIENCE); i++) {
        copy_pairs(db, &rounds);
        if (i == 0) first = rounds;
        must(rounds >= last, "%d writes after %d", (int)rounds, (int)last);
        last = rounds;
    }
    child_kill(&child);
    db_close(&db);
    printf("copies of the writes from %d to %d\n", (int)first, (int)last);
    assert_true(last > first);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_map_that_another_process_grew, make_folders),
        cmocka_unit_test_setup(a_reader_that_died, make_folders),
        cmocka_unit_test_setup(beside_a_writer, make_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
