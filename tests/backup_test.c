/* A snapshot holds what its original holds, and nothing that is done to one shows in the other;
 * where it may be made, and what a crash leaves there. */
#include "support/check.h"
#include "support/content.h"
#include "support/copies.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *at(const char *name)
{
    return copies_at(name);
}

static uint64_t problems(const char *path)
{
    return content_problems(copies_context(), path);
}

static bool share_a_file(const struct files *a, const struct files *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (a->identities[i] == b->identities[j]) return true;
    return false;
}

static void test_a_snapshot_is_the_same_store(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_fill(store, 1);
    assert_ok(wg_store_snapshot(store, at("copy")));
    assert_false(copies_exist(at("copy/unfinished")));
    assert_true(copies_exist(at("copy/lock")));
    wg_store_close(&store);
    assert_int_equal(copies_differences(at("s"), at("copy")), 0);
    assert_int_equal(copies_check(at("copy"), 1), copies_check(at("s"), 1));
    struct files a = copies_files(at("s")), b = copies_files(at("copy"));
    assert_int_equal(a.count, b.count);
    assert_int_equal(a.holed, b.holed); /* there is room for rows to come */
    assert_true(b.linked >= 2); /* sealed and packed ones */
    assert_true(b.linked <= b.count - 6); /* not the four of LMDB, nor two open segments */
}

static void test_an_empty_store_has_a_snapshot(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    assert_ok(wg_store_snapshot(store, at("copy")));
    wg_store_close(&store);
    assert_int_equal(copies_differences(at("s"), at("copy")), 0);
    store = copies_open(at("copy"), false);
    copies_create(store, "first", 2);
    wg_store_close(&store);
    assert_int_equal(problems(at("copy")), 0);
}

static void test_what_is_done_to_one_does_not_show_in_the_other(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_fill(store, 2);
    assert_ok(wg_store_snapshot(store, at("one")));
    assert_ok(wg_store_snapshot(store, at("two")));
    wg_store_close(&store);
    store = copies_open(at("one"), true); /* a snapshot of a snapshot */
    assert_ok(wg_store_snapshot(store, at("three")));
    wg_store_close(&store);
    struct files before = copies_files(at("s")), two = copies_files(at("two"));
    assert_true(share_a_file(&before, &two));
    copies_disturb(at("one"));
    assert_true(copies_files(at("s")).hash == before.hash);
    assert_true(copies_files(at("two")).hash == two.hash);
    copies_check(at("s"), 2);
    copies_disturb(at("s"));
    assert_true(copies_files(at("two")).hash == two.hash);
    copies_check(at("two"), 2);
    assert_int_equal(copies_differences(at("two"), at("three")), 0);
    assert_true(copies_differences(at("s"), at("two")) > 0);
    copies_disturb(at("three"));
    assert_true(copies_files(at("two")).hash == two.hash);
}

/* A snapshot of a store whose last segment is so full is written to, and then the original is. */
static void check_last_segment(wg_store *store, wg_collection *wide, const char *path)
{
    assert_ok(wg_store_snapshot(store, path));
    uint64_t content = content_fingerprint(wide);
    struct files before = copies_files(at("s"));
    wg_store *copy = copies_open(path, false);
    wg_collection *copied = copies_open_collection(copy, "wide");
    assert_true(content_fingerprint(copied) == content);
    copies_upsert_wide(copied, 60, 30, 7);
    uint64_t content_of_copy = content_fingerprint(copied);
    wg_collection_close(&copied);
    wg_store_close(&copy);
    assert_true(content_fingerprint(wide) == content);
    assert_true(copies_files(at("s")).hash == before.hash);
    copies_upsert_wide(wide, 500, 3, 8);
    copy = copies_open(path, true);
    copied = copies_open_collection(copy, "wide");
    assert_true(content_fingerprint(copied) == content_of_copy);
    wg_collection_close(&copied);
    wg_store_close(&copy);
    assert_int_equal(problems(path), 0);
    scratch_remove(path);
}

static void test_every_state_of_the_last_segment(void **state)
{
    (void)state;
    enum { CAPACITY = 127 };
    wg_store *store = copies_open(at("s"), false);
    copies_create(store, "wide", COPIES_WIDE);
    wg_collection *wide = copies_open_collection(store, "wide");
    check_last_segment(store, wide, at("copy"));
    while (copies_info(wide).row_count < CAPACITY - 20) {
        copies_upsert_wide(wide, 0, 20, 1);
        check_last_segment(store, wide, at("copy"));
    }
    uint64_t rows = copies_info(wide).row_count;
    copies_upsert_wide(wide, 0, CAPACITY - rows, 2); /* to the brim */
    assert_int_equal(copies_info(wide).segment_count, 1);
    check_last_segment(store, wide, at("copy"));
    assert_int_equal(copies_info(wide).segment_count, 2);
    check_last_segment(store, wide, at("copy"));
    assert_ok(wg_collection_compact(wide, NULL)); /* the last one is packed, or closed */
    check_last_segment(store, wide, at("copy"));
    assert_ok(wg_collection_clear(wide));
    check_last_segment(store, wide, at("copy"));
    wg_collection_close(&wide);
    wg_store_close(&store);
    assert_int_equal(problems(at("s")), 0);
}

/* Its files are not synced, so they are not linked even where they could be. */
static void check_not_linked(wg_store *store)
{
    char folder[] = "/dev/shm/waggle-test-XXXXXX";
    if (access("/dev/shm", W_OK | X_OK) != 0) return;
    must(mkdtemp(folder), "cannot make %s", folder);
    assert_ok(wg_store_snapshot(store, folder));
    assert_int_equal(copies_files(folder).linked, 0);
    scratch_remove(folder);
}

static void test_a_store_in_memory(void **state)
{
    (void)state;
    wg_store *store = copies_open(NULL, false);
    copies_fill(store, 3);
    check_not_linked(store);
    assert_ok(wg_store_snapshot(store, at("copy")));
    wg_collection *wide = copies_open_collection(store, "wide");
    uint64_t hash = content_fingerprint(wide);
    wg_collection_close(&wide);
    wg_store_close(&store);
    copies_check(at("copy"), 3);
    assert_int_equal(copies_files(at("copy")).linked, 0);
    store = copies_open(at("copy"), false);
    wide = copies_open_collection(store, "broad");
    assert_true(content_fingerprint(wide) == hash);
    wg_collection_close(&wide);
    wg_store_close(&store);
    copies_disturb(at("copy"));
}

/* Where files cannot be linked they are copied. */
static void test_another_disk(void **state)
{
    (void)state;
    struct stat here, there;
    char other[] = "/dev/shm/waggle-test-XXXXXX", copy[64];
    if (stat(at(""), &here) != 0 || stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev ||
        !mkdtemp(other))
        skip();
    snprintf(copy, sizeof copy, "%s/copy", other);
    wg_store *store = copies_open(at("s"), false);
    copies_fill(store, 4);
    assert_ok(wg_store_snapshot(store, copy));
    wg_store_close(&store);
    assert_int_equal(copies_differences(at("s"), copy), 0);
    copies_check(copy, 4);
    assert_int_equal(copies_files(copy).linked, 0);
    copies_disturb(copy);
    scratch_remove(other);
}

/* 2,000 collections take a while; that they are not all open at once shows with fewer. */
static void test_more_collections_than_are_open_at_once(void **state)
{
    (void)state;
    enum { COUNT = 24 };
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    params.open_limit = 2;
    assert_ok(wg_store_open(copies_context(), at("s"), &params, &store));
    for (size_t i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%zu", i);
        copies_create(store, name, (uint32_t)i + 1);
    }
    assert_ok(wg_store_snapshot(store, at("copy")));
    wg_store_close(&store);
    assert_int_equal(copies_differences(at("s"), at("copy")), 0);
    assert_int_equal(problems(at("copy")), 0);
}

static void test_places(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_fill_little(store, 5);
    must(mkdir(at("full"), 0777) == 0 && mkdir(at("empty"), 0777) == 0, "no folder");
    copies_make_file(at("full/file"));
    copies_make_file(at("file"));
    assert_err(WG_EINVAL, "full: not an empty folder", wg_store_snapshot(store, at("full")));
    assert_int_equal(copies_files(at("full")).count, 1);
    assert_err(WG_EINVAL, "file", wg_store_snapshot(store, at("file")));
    assert_err(WG_EINVAL, "not an empty", wg_store_snapshot(store, at("s")));
    assert_err(WG_ENOTFOUND, "none/copy", wg_store_snapshot(store, at("none/copy")));
    assert_err(WG_ENOTFOUND, "", wg_store_snapshot(store, ""));
    assert_ok(wg_store_snapshot(store, at("empty")));
    assert_ok(wg_store_snapshot(store, at("slash/")));
    assert_err(WG_EINVAL, "not an empty", wg_store_snapshot(store, at("slash")));
    wg_store_close(&store);
    assert_int_equal(copies_differences(at("empty"), at("slash")), 0);
}

/* Only what a snapshot left unfinished is removed, and only when nobody makes it any more. */
static void test_what_is_unfinished(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_fill_little(store, 6);
    must(mkdir(at("copy"), 0777) == 0 && mkdir(at("copy/c-7"), 0777) == 0, "no folder");
    assert_err(WG_EINVAL, "not an empty", wg_store_snapshot(store, at("copy")));
    assert_true(copies_exist(at("copy/c-7")));
    copies_make_file(at("copy/unfinished"));
    copies_make_file(at("copy/mine"));
    assert_err(WG_EINVAL, "not an empty", wg_store_snapshot(store, at("copy")));
    assert_true(copies_exist(at("copy/c-7")) && copies_exist(at("copy/mine")));
    must(unlink(at("copy/mine")) == 0, "cannot remove");
    int busy = open(at("copy/unfinished"), O_RDWR);
    must(busy >= 0 && flock(busy, LOCK_EX) == 0, "cannot lock");
    assert_err(WG_EBUSY, "copy: another", wg_store_snapshot(store, at("copy")));
    assert_true(copies_exist(at("copy/c-7")) && copies_exist(at("copy/unfinished")));
    close(busy);
    assert_ok(wg_store_snapshot(store, at("copy")));
    assert_false(copies_exist(at("copy/c-7")) || copies_exist(at("copy/unfinished")));
    wg_store_close(&store);
    assert_int_equal(copies_differences(at("s"), at("copy")), 0);
}

static void make_snapshot(uint64_t unused, struct child *parent)
{
    (void)unused;
    wg_store *store = copies_open(at("s"), true);
    child_say(parent, 'r');
    must_ok(wg_store_snapshot(store, at("copy")));
    for (;;) pause();
}

/* There is no store, or a whole one; and then one can be made there. */
static void test_a_crash(void **state)
{
    (void)state;
    size_t unfinished = 0;
    wg_store *store = copies_open(at("s"), false);
    copies_fill(store, 7);
    wg_store_close(&store);
    for (unsigned us = 0; us < 20000; us += 1000) {
        wg_store *copy = NULL;
        wg_store_params params;
        wg_store_params_init(&params);
        params.read_only = true;
        struct child child;
        copies_start(&child, make_snapshot, 0);
        usleep(us);
        child_kill(&child);
        wg_err err = wg_store_open(copies_context(), at("copy"), &params, &copy);
        wg_store_close(&copy);
        if (err != WG_OK) {
            must(err == WG_ENOTFOUND, "%s", wg_message());
            unfinished += copies_exist(at("copy/unfinished"));
            store = copies_open(at("s"), true);
            assert_ok(wg_store_snapshot(store, at("copy")));
            wg_store_close(&store);
        }
        copies_check(at("copy"), 7);
        scratch_remove(at("copy"));
    }
    printf("%zu snapshots were left unfinished\n", unfinished);
    assert_true(unfinished > 0);
}

#define COPIES_TEST(test) cmocka_unit_test_setup_teardown(test, copies_set_up, copies_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        COPIES_TEST(test_a_snapshot_is_the_same_store),
        COPIES_TEST(test_an_empty_store_has_a_snapshot),
        COPIES_TEST(test_what_is_done_to_one_does_not_show_in_the_other),
        COPIES_TEST(test_every_state_of_the_last_segment),
        COPIES_TEST(test_a_store_in_memory),
        COPIES_TEST(test_another_disk),
        COPIES_TEST(test_more_collections_than_are_open_at_once),
        COPIES_TEST(test_places),
        COPIES_TEST(test_what_is_unfinished),
        COPIES_TEST(test_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
