/* Files that LMDB made, in many shapes: pages_check finds nothing wrong with them, and
 * pages_walk_table gives what LMDB's cursor gives. Also when a commit was cut short, and beside a
 * process that writes. */
#include "store/pages.h"
#include "support/check.h"
#include "support/lmdb_made.h"
#include "support/lmdb_world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE_SIZE = 4096 };

static void fail_at_problem(void *user, const char *text)
{
    const struct world *world = user;
    must(false, "%s: %s", world->file, text);
}

/* LMDB's cursor, moved along with the walk. */
struct beside {
    MDB_cursor *cursor;
    uint64_t count;
};

static wg_err compare_next(void *user, struct bytes key, struct bytes value)
{
    struct beside *beside = user;
    MDB_val other_key, other_value;
    MUST_LMDB(mdb_cursor_get(beside->cursor, &other_key, &other_value, MDB_NEXT));
    must(other_key.mv_size == key.size && other_value.mv_size == value.size &&
             memcmp(other_key.mv_data, key.start, key.size) == 0 &&
             memcmp(other_value.mv_data, value.start, value.size) == 0,
         "key %" PRIu64 " is not LMDB's", beside->count);
    beside->count++;
    return WG_OK;
}

static void compare_walks(struct world *world, const struct pages *pages, MDB_txn *txn,
                          struct pages_report *report)
{
    for (size_t t = 0; t < WORLD_TABLES; t++) {
        struct beside beside = { 0 };
        MDB_stat stat;
        MUST_LMDB(mdb_cursor_open(txn, world->tables[t], &beside.cursor));
        MUST_LMDB(mdb_stat(txn, world->tables[t], &stat));
        must_ok(pages_walk_table(pages, world_names[t], compare_next, &beside, report));
        must(beside.count == stat.ms_entries, "%" PRIu64 " keys, LMDB has %zu", beside.count,
             stat.ms_entries);
        mdb_cursor_close(beside.cursor);
    }
}

/* The newest transaction and the one before it are sound. */
static void check_world(struct world *world)
{
    MDB_txn *txn;
    struct pages pages;
    struct pages_report report = { .problem = fail_at_problem, .user = world };
    struct made file = made_load(world->file);
    MUST_LMDB(mdb_txn_begin(world->env, NULL, MDB_RDONLY, &txn));
    must_ok(pages_open(file.bytes, file.size, PAGES_NEWEST, &pages));
    must(pages.txn_id == mdb_txn_id(txn), "transaction %" PRIu64, pages.txn_id);
    must_ok(pages_check(&pages, world_names, WORLD_TABLES, &report));
    compare_walks(world, &pages, txn, &report);
    must_ok(pages_open(file.bytes, file.size, pages.txn_id - 1, &pages));
    size_t table_count = pages.main.entry_count; /* none before the first commit */
    must_ok(pages_check(&pages, world_names, table_count, &report));
    mdb_txn_abort(txn);
    made_destroy(&file);
}

/* A copy by LMDB, page by page or compacted, is sound too. */
static void check_copy(struct world *world, unsigned flags)
{
    char folder[WORLD_PATH_SIZE], file[WORLD_PATH_SIZE + 16];
    struct pages pages;
    struct pages_report report = { .problem = fail_at_problem, .user = world };
    snprintf(folder, sizeof folder, "%s/copy", world->folder);
    snprintf(file, sizeof file, "%s/data.mdb", folder);
    must(mkdir(folder, 0700) == 0, "cannot make %s", folder);
    MUST_LMDB(mdb_env_copy2(world->env, folder, flags));
    struct made copy = made_load(file);
    must_ok(pages_open(copy.bytes, copy.size, PAGES_NEWEST, &pages));
    must_ok(pages_check(&pages, world_names, WORLD_TABLES, &report));
    made_destroy(&copy);
    scratch_remove(folder);
}

static void what_lmdb_makes_is_sound(void **state)
{
    (void)state;
    struct prng seeds = { test_seed() };
    uint64_t worlds = test_number_from("WAGGLE_WORLDS", 24), pages = 0;
    for (uint64_t w = 0; w < worlds; w++) {
        struct world world;
        world_begin(&world, prng_next(&seeds));
        check_world(&world);
        for (size_t left = 40; left > 0; left--) {
            world_transact(&world);
            if (test_below(&world.prng, 3) == 0) world_stir_readers(&world);
            if (test_below(&world.prng, 8) == 0) world_reopen(&world);
            if (test_below(&world.prng, 4) == 0 || left == 1) check_world(&world);
        }
        struct made file = made_load(world.file);
        pages += file.size / PAGE_SIZE;
        made_destroy(&file);
        check_copy(&world, 0);
        check_copy(&world, MDB_CP_COMPACT);
        world_end(&world);
    }
    printf("%" PRIu64 " environments, %" PRIu64 " pages at their ends\n", worlds, pages);
}

static void a_new_environment_is_sound(void **state)
{
    (void)state;
    struct world world;
    struct pages pages;
    struct pages_report report = { .problem = fail_at_problem, .user = &world };
    world_init(&world, 1);
    MUST_LMDB(mdb_env_create(&world.env));
    MUST_LMDB(mdb_env_open(world.env, world.folder, 0, 0600));
    struct made file = made_load(world.file);
    assert_ok(pages_open(file.bytes, file.size, PAGES_NEWEST, &pages));
    assert_int_equal(pages.txn_id, 0);
    assert_ok(pages_check(&pages, NULL, 0, &report));
    report = (struct pages_report){ 0 };
    assert_ok(pages_check(&pages, world_names, WORLD_TABLES, &report));
    assert_int_equal(report.problem_count, WORLD_TABLES);
    made_destroy(&file);
    world_end(&world);
}

static void check_bytes(struct world *world, const struct made *file, uint64_t txn_id)
{
    struct pages pages;
    struct pages_report report = { .problem = fail_at_problem, .user = world };
    must_ok(pages_open(file->bytes, file->size, PAGES_NEWEST, &pages));
    must(pages.txn_id == txn_id, "transaction %" PRIu64 ", expected %" PRIu64, pages.txn_id,
         txn_id);
    must_ok(pages_check(&pages, world_names, WORLD_TABLES, &report));
}

static uint64_t newest_of(const struct made *file)
{
    struct pages pages;
    must_ok(pages_open(file->bytes, file->size, PAGES_NEWEST, &pages));
    return pages.txn_id;
}

/* Pages that a commit wrote, some of them, without the meta page that is its last. */
static void check_cut_short(struct world *world, const struct made *before)
{
    struct made mixed = made_load(world->file);
    for (size_t at = 0; at < before->size; at += PAGE_SIZE)
        if (at < 2 * PAGE_SIZE || test_below(&world->prng, 2) == 0)
            memcpy(mixed.bytes + at, before->bytes + at, PAGE_SIZE);
    check_bytes(world, &mixed, newest_of(before));
    made_destroy(&mixed);
}

/* The meta page could not be written: LMDB writes it again, with the last page and transaction that
 * were there. */
static void check_failed(struct world *world, const struct made *before)
{
    struct made failed = made_load(world->file);
    size_t at = newest_of(&failed) % 2 * PAGE_SIZE + 136;
    memcpy(failed.bytes + at, before->bytes + at, 16);
    check_bytes(world, &failed, newest_of(before));
    made_destroy(&failed);
}

static void a_commit_cut_short_changes_nothing(void **state)
{
    (void)state;
    struct prng seeds = { test_seed() ^ 5 };
    for (size_t w = 0; w < 10; w++) {
        struct world world;
        world_begin(&world, prng_next(&seeds));
        for (size_t left = 30; left > 0; left--) {
            struct made before = made_load(world.file);
            world_transact(&world);
            check_cut_short(&world, &before);
            check_failed(&world, &before);
            made_destroy(&before);
        }
        world_end(&world);
    }
}

/* One who reads beside a writer: what is told once may be a meta page half written. */
static size_t check_beside_writer(struct world *world)
{
    MDB_txn *txn;
    struct pages pages;
    struct pages_report report = { 0 };
    struct stat status;
    for (size_t tries = 0; tries < 10; tries++) {
        MUST_LMDB(mdb_txn_begin(world->env, NULL, MDB_RDONLY, &txn));
        int fd = open(world->file, O_RDONLY);
        must(fd >= 0 && fstat(fd, &status) == 0, "cannot open %s", world->file);
        size_t size = (size_t)status.st_size;
        void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        must(map != MAP_FAILED, "cannot map %s", world->file);
        wg_err err = pages_open(map, size, mdb_txn_id(txn), &pages);
        must(err == WG_OK || err == WG_ENOTFOUND || err == WG_ECORRUPT, "%d", err);
        report.problem_count = 0;
        if (err == WG_OK) must_ok(pages_check(&pages, world_names, WORLD_TABLES, &report));
        munmap(map, size);
        close(fd);
        mdb_txn_abort(txn);
        if (err == WG_OK && report.problem_count == 0) return tries;
    }
    return 10;
}

static _Noreturn void write_for_ever(struct world *world)
{
    alarm(120); /* should the test fail */
    world_open(world, 1 << 26);
    for (;;) world_transact(world);
}

static void a_writer_beside_is_no_problem(void **state)
{
    (void)state;
    struct world world;
    size_t again = 0, checks = test_number_from("WAGGLE_CHECKS", 1000);
    world_init(&world, test_seed());
    world.operations = 30;
    for (size_t t = 0; t < WORLD_TABLES; t++)
        world.shapes[t] = (struct table_shape){ KEY_RANDOM, 2000, t * 100 };
    world_open(&world, 1 << 26);
    mdb_env_close(world.env);
    pid_t writer = fork();
    if (writer == 0) write_for_ever(&world);
    world_open(&world, 1 << 26);
    for (size_t i = 0; i < checks; i++) {
        size_t tries = check_beside_writer(&world);
        again += tries;
        must(tries < 10, "a problem stays");
    }
    MDB_envinfo info;
    MUST_LMDB(mdb_env_info(world.env, &info));
    printf("%zu checks in %zu transactions of a writer, %zu made again\n", checks,
           info.me_last_txnid, again);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    world_end(&world);
}

/* The maker of small files, which the other tests rest on, makes what LMDB reads. */
static void lmdb_reads_what_is_made(void **state)
{
    (void)state;
    static unsigned char bytes[300][2], value[9000];
    struct made_entry entries[300];
    struct made_table tables[WORLD_TABLES];
    for (size_t i = 0; i < 300; i++) {
        bytes[i][0] = (unsigned char)(i / 100), bytes[i][1] = (unsigned char)(i % 100);
        entries[i] = (struct made_entry){ { bytes[i], 2 }, { value + i, i * 13 } };
        value[i * 20] = (unsigned char)i;
    }
    for (size_t t = 0; t < WORLD_TABLES; t++)
        tables[t] = (struct made_table){ world_names[t], entries, 100 * t };
    struct made made =
        made_create(&(struct made_params){ 4096, 6, tables, WORLD_TABLES, .free_count = 60 });
    struct world world;
    world_init(&world, 1);
    world.operations = 300;
    made_save(&made, world.file);
    for (size_t t = 0; t < WORLD_TABLES; t++)
        world.shapes[t] = (struct table_shape){ KEY_SHORT, 300, 3000 };
    world_open(&world, 1 << 24);
    check_world(&world);
    for (size_t i = 0; i < 20; i++) world_transact(&world), check_world(&world);
    made_destroy(&made);
    world_end(&world);
}

/* --- damage --- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lmdb_makes_is_sound),
        cmocka_unit_test(a_new_environment_is_sound),
        cmocka_unit_test(a_commit_cut_short_changes_nothing),
        cmocka_unit_test(a_writer_beside_is_no_problem),
        cmocka_unit_test(lmdb_reads_what_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
