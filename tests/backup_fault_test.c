/* A snapshot or a restored store that cannot be made: no memory, no handles of files, files that
 * may not grow, a full disk. Nothing is left then where it would be, and the original is as it
 * was. */
#include "base/mem.h"
#include "support/check.h"
#include "support/content.h"
#include "support/copies.h"
#include "support/scratch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GOOD_IN_A_ROW = 25, LARGE = 64 << 20 };

static const char *at(const char *name)
{
    return copies_at(name);
}

static uint64_t problems(const char *path)
{
    return content_problems(copies_context(), path);
}

static void make_store(const char *path)
{
    wg_store *store = copies_open(path, false);
    copies_fill_little(store, 1);
    wg_store_close(&store);
}

/* Whether it was made; what is there is removed. */
static bool check_made(wg_err err, wg_err expected, const char *path)
{
    if (err == WG_OK) {
        must(problems(path) == 0, "%s has problems", path);
    } else {
        must(err == expected, "%s", wg_message());
        must(!copies_exist(path), "something is left of \"%s\"", wg_message());
    }
    scratch_remove(path);
    return err == WG_OK;
}

static void test_every_allocation_of_a_snapshot(void **state)
{
    (void)state;
    size_t failed = 0, good = 0;
    make_store(at("s"));
    size_t in_use = mem_in_use();
    for (uint64_t n = 1; good < GOOD_IN_A_ROW; n++) {
        wg_store *store = copies_open(at("s"), true);
        mem_fail_at(n);
        wg_err err = wg_store_snapshot(store, at("copy"));
        mem_fail_at(0);
        wg_store_close(&store);
        assert_int_equal(mem_in_use(), in_use);
        bool made = check_made(err, WG_ENOMEM, at("copy"));
        good = made ? good + 1 : 0;
        failed += !made;
    }
    printf("%zu allocations of a snapshot failed\n", failed);
    assert_true(failed > 50);
}

static void test_every_allocation_of_a_restored_store(void **state)
{
    (void)state;
    size_t failed = 0, good = 0;
    make_store(at("s"));
    size_t in_use = mem_in_use();
    for (uint64_t n = 1; good < GOOD_IN_A_ROW; n++) {
        mem_fail_at(n);
        wg_err err = wg_store_restore(copies_context(), at("s"), at("copy"));
        mem_fail_at(0);
        assert_int_equal(mem_in_use(), in_use);
        bool made = check_made(err, WG_ENOMEM, at("copy"));
        good = made ? good + 1 : 0;
        failed += !made;
    }
    printf("%zu allocations of a restored store failed\n", failed);
    assert_true(failed > 50);
}

static void set_limit(__rlimit_resource_t what, rlim_t value)
{
    struct rlimit limits;
    must(getrlimit(what, &limits) == 0, "no limit");
    limits.rlim_cur = value;
    must(setrlimit(what, &limits) == 0, "cannot limit");
}

/* The snapshot or the restored store, while a resource is limited. */
static wg_err make_limited(bool restored, __rlimit_resource_t what, rlim_t value)
{
    struct rlimit before;
    wg_store *store = NULL;
    wg_err err;
    must(getrlimit(what, &before) == 0, "no limit");
    if (!restored) store = copies_open(at("s"), true);
    set_limit(what, value);
    err = restored ? wg_store_restore(copies_context(), at("s"), at("copy"))
                   : wg_store_snapshot(store, at("copy"));
    set_limit(what, before.rlim_cur);
    wg_store_close(&store);
    return err;
}

static void test_files_that_may_not_grow(void **state)
{
    (void)state;
    make_store(at("s"));
    signal(SIGXFSZ, SIG_IGN);
    for (int restored = 0; restored < 2; restored++) {
        size_t failed = 0, made = 0;
        for (rlim_t size = 0; size < 1600000; size += size < 100000 ? 5000 : 100000) {
            bool is_made =
                check_made(make_limited(restored, RLIMIT_FSIZE, size), WG_EIO, at("copy"));
            made += is_made;
            failed += !is_made;
        }
        assert_true(failed > 15 && made > 2);
    }
    assert_int_equal(problems(at("s")), 0);
}

/* Without a handle for a folder what is there cannot be removed; but then it is no store, and the
 * next one made there removes it. */
static void test_no_handles(void **state)
{
    (void)state;
    make_store(at("s"));
    for (int restored = 0; restored < 2; restored++) {
        size_t failed = 0, made = 0;
        for (rlim_t count = 3; count < 40; count++) {
            wg_err err = make_limited(restored, RLIMIT_NOFILE, count);
            failed += err != WG_OK;
            made += err == WG_OK;
            if (err == WG_OK) must(problems(at("copy")) == 0, "with %d handles", (int)count);
            if (err == WG_OK) scratch_remove(at("copy"));
            must(err == WG_OK || !copies_exist(at("copy/lock")), "a store is left");
        }
        assert_true(failed > 2 && made > 2);
    }
}

static void remount(const char *disk, size_t size)
{
    char options[32];
    snprintf(options, sizeof options, "size=%zu", size);
    must(mount("waggle-test", disk, "tmpfs", MS_REMOUNT, options) == 0, "cannot remount: %s",
         strerror(errno));
}

/* A disk that has ever more room, until one can be made in the place. */
static void fill_disk(const char *disk, bool restored, size_t from, size_t step)
{
    char place[COPIES_PATH_SIZE + 8];
    snprintf(place, sizeof place, "%s/copy", disk);
    bool made = false;
    size_t failed = 0;
    wg_store *store = restored ? NULL : copies_open(at("s"), true);
    for (size_t size = from; !made; size += step) {
        remount(disk, size);
        wg_err err = restored ? wg_store_restore(copies_context(), at("s"), place)
                              : wg_store_snapshot(store, place);
        must(err == WG_OK || strstr(wg_message(), "space"), "\"%s\"", wg_message());
        remount(disk, LARGE);
        made = check_made(err, WG_ENOSPC, place);
        failed += !made;
    }
    wg_store_close(&store);
    printf("%zu disks were too small, %s\n", failed, restored ? "restored" : "for a snapshot");
    must(failed > 10, "%zu failed", failed);
}

/* The store itself is on the disk: its tables are copied there, its segments linked. */
static void fill_own_disk(const char *disk)
{
    char path[COPIES_PATH_SIZE + 8], copy[COPIES_PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/s", disk);
    snprintf(copy, sizeof copy, "%s/copy", disk);
    remount(disk, LARGE);
    make_store(path);
    wg_store *store = copies_open(path, false);
    wg_collection *c = copies_open_collection(store, "c");
    uint64_t content = content_fingerprint(c);
    bool made = false;
    for (size_t size = 512 << 10; !made; size += 64 << 10) {
        char options[32];
        snprintf(options, sizeof options, "size=%zu", size);
        if (mount("waggle-test", disk, "tmpfs", MS_REMOUNT, options) != 0)
            continue; /* it has more */
        wg_err err = wg_store_snapshot(store, copy);
        remount(disk, LARGE);
        made = check_made(err, WG_ENOSPC, copy);
        must(content_fingerprint(c) == content, "the original has changed");
    }
    wg_collection_close(&c);
    wg_store_close(&store);
    copies_check(path, 1);
}

static void use_small_disk(uint64_t unused, struct child *parent)
{
    (void)unused;
    char disk[COPIES_PATH_SIZE];
    snprintf(disk, sizeof disk, "%s", at("disk"));
    child_say(parent, 'r');
    bool mounted = unshare(CLONE_NEWNS) == 0 &&
                   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount("waggle-test", disk, "tmpfs", 0, "size=1m") == 0;
    child_say(parent, mounted ? 'm' : 'n');
    if (!mounted) return;
    fill_disk(disk, false, 16 << 10, 48 << 10);
    fill_disk(disk, true, 16 << 10, 48 << 10);
    fill_own_disk(disk);
    umount(disk);
}

static void test_a_full_disk(void **state)
{
    (void)state;
    struct child child;
    make_store(at("s"));
    must(mkdir(at("disk"), 0777) == 0, "no folder");
    copies_start(&child, use_small_disk, 0);
    bool mounted = child_hear(&child) == 'm';
    child_end(&child);
    if (!mounted) skip();
    assert_int_equal(problems(at("s")), 0);
}

#define COPIES_TEST(test) cmocka_unit_test_setup_teardown(test, copies_set_up, copies_tear_down)

/* Where nothing waits for a disk, if there is such a place. */
int main(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    static const struct CMUnitTest tests[] = {
        COPIES_TEST(test_every_allocation_of_a_snapshot),
        COPIES_TEST(test_every_allocation_of_a_restored_store),
        COPIES_TEST(test_files_that_may_not_grow),
        COPIES_TEST(test_no_handles),
        COPIES_TEST(test_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
