/* A restored store holds what the snapshot held and shares nothing with it; what is being written,
 * or damaged, is not restored. */
#include "support/check.h"
#include "support/content.h"
#include "support/copies.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_MAX = 32 };

static const char *at(const char *name)
{
    return copies_at(name);
}

static wg_err restore(const char *from, const char *to)
{
    return wg_store_restore(copies_context(), at(from), at(to));
}

static void test_a_restored_store(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_fill(store, 1);
    assert_ok(wg_store_snapshot(store, at("copy")));
    assert_err(WG_EBUSY, "s: this process has it open", restore("s", "restored"));
    assert_false(copies_exist(at("restored")));
    wg_store_close(&store);
    copies_make_file(at("copy/mine")); /* what is not the store's stays where it is */
    assert_ok(restore("copy", "restored"));
    assert_false(copies_exist(at("restored/mine")));
    assert_int_equal(copies_differences(at("s"), at("restored")), 0);
    assert_int_equal(copies_check(at("restored"), 1), copies_check(at("s"), 1));
    assert_int_equal(copies_files(at("restored")).linked, 0);
    struct files before = copies_files(at("copy"));
    copies_disturb(at("restored"));
    assert_true(copies_files(at("copy")).hash == before.hash);
    copies_check(at("copy"), 1);
}

static void write_on(uint64_t seed, struct child *parent)
{
    struct run run;
    wg_store *store = copies_open(at("s"), false);
    wg_collection *c = copies_open_collection(store, "c");
    run_begin(seed, &run);
    child_say(parent, 'r');
    for (;;) run_next(&run, c);
}

/* A store whose process was killed is one that nobody writes. */
static void test_a_store_being_written(void **state)
{
    (void)state;
    char pid[32];
    wg_store *store = copies_open(at("s"), false);
    copies_create(store, "c", MODEL_DIM);
    wg_store_close(&store);
    struct child child;
    copies_start(&child, write_on, 2);
    snprintf(pid, sizeof pid, "process %d", (int)child.pid);
    assert_err(WG_EBUSY, pid, restore("s", "restored"));
    assert_false(copies_exist(at("restored")));
    child_kill(&child);
    assert_ok(restore("s", "restored"));
    assert_int_equal(copies_check(at("restored"), 2), copies_check(at("s"), 2));
}

static void test_places(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_fill_little(store, 3);
    wg_store_close(&store);
    must(mkdir(at("full"), 0777) == 0 && mkdir(at("empty"), 0777) == 0, "no folder");
    copies_make_file(at("full/file"));
    assert_err(WG_EINVAL, "not an empty", restore("s", "full"));
    assert_err(WG_EINVAL, "not an empty", restore("s", "s"));
    assert_err(WG_EINVAL, "full/file", restore("s", "full/file"));
    assert_err(WG_EINVAL, "a file", restore("full/file", "restored"));
    assert_err(WG_ENOTFOUND, "no store", restore("full", "restored"));
    assert_err(WG_ENOTFOUND, "no store", restore("none", "restored"));
    assert_err(WG_ENOTFOUND, "none/restored", restore("s", "none/restored"));
    assert_false(copies_exist(at("restored")));
    assert_ok(restore("s", "empty"));
    assert_int_equal(copies_differences(at("s"), at("empty")), 0);
}

struct victims {
    char paths[FILES_MAX][COPIES_PATH_SIZE];
    size_t count;
};

static void add_victim(void *user, const char *path, size_t size)
{
    (void)size;
    struct victims *victims = user;
    if (strcmp(strrchr(path, '/'), "/lock") == 0 || strstr(path, ".codes")) return; /* a cache */
    must(victims->count < FILES_MAX, "too many files");
    snprintf(victims->paths[victims->count++], COPIES_PATH_SIZE, "%s", path);
}

static void flip(const char *path, long position)
{
    FILE *file = fopen(path, "r+b");
    must(file && fseek(file, position, SEEK_SET) == 0, "cannot open %s", path);
    int byte = fgetc(file);
    must(fseek(file, position, SEEK_SET) == 0 && fputc(byte ^ 4, file) != EOF, "cannot write");
    must(fclose(file) == 0, "cannot write %s", path);
}

static void check_damaged(const char *what)
{
    assert_err(WG_ECORRUPT, what, restore("s", "restored"));
    assert_false(copies_exist(at("restored")));
}

static void damage_segment(const char *path)
{
    flip(path, 4096 + 5);
    check_damaged("wrong checksum");
    flip(path, 4096 + 5);
    flip(path, 12);
    check_damaged(strrchr(path, '/'));
    flip(path, 12);
}

/* Damage within LMDB's pages is a matter of verify's tests. */
static void test_a_damaged_snapshot(void **state)
{
    (void)state;
    struct victims files = { .count = 0 };
    size_t segments = 0;
    wg_store *store = copies_open(at("s"), false);
    copies_fill(store, 4);
    wg_store_close(&store);
    scratch_each_file(at("s"), add_victim, &files);
    for (size_t i = 0; i < files.count; i++) {
        const char *path = files.paths[i];
        char kept[COPIES_PATH_SIZE + 8];
        bool is_segment = strstr(path, ".seg") != NULL;
        segments += is_segment;
        if (is_segment) damage_segment(path);
        snprintf(kept, sizeof kept, "%s.kept", path);
        must(rename(path, kept) == 0, "cannot rename");
        if (strstr(path, "/lock.mdb")) {
            assert_ok(restore("s", "restored")); /* it is nobody's */
            scratch_remove(at("restored"));
        } else {
            check_damaged(strrchr(path, '/'));
        }
        must(rename(kept, path) == 0, "cannot rename");
    }
    assert_true(segments >= 4);
    assert_ok(restore("s", "restored"));
}

#define COPIES_TEST(test) cmocka_unit_test_setup_teardown(test, copies_set_up, copies_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        COPIES_TEST(test_a_restored_store),
        COPIES_TEST(test_a_store_being_written),
        COPIES_TEST(test_places),
        COPIES_TEST(test_a_damaged_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
