/* Who may use a store's folder: in this process, in a child of it, in others. */
#include "base/mem.h"
#include "store/lock.h"
#include "support/check.h"
#include "support/child.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[SCRATCH_PATH_SIZE], link_path[SCRATCH_PATH_SIZE];

static int set_up(void **state)
{
    (void)state;
    const char *parent = scratch_create();
    struct store_lock lock = { 0 };
    snprintf(path, sizeof path, "%s/store", parent);
    snprintf(link_path, sizeof link_path, "%s/link", parent);
    must_ok(folder_create(path));
    must(symlink(path, link_path) == 0, "cannot link");
    must(chmod(parent, 0755) == 0, "cannot open the folder to others");
    must_ok(store_lock(path, true, STORE_WRITE, &lock));
    store_unlock(&lock);
    return 0;
}

static wg_err lock_as(enum store_use use, struct store_lock *out)
{
    return store_lock(path, false, use, out);
}

static void a_process_has_it_once(void **state)
{
    (void)state;
    size_t in_use = mem_in_use();
    for (int use = STORE_WRITE; use <= STORE_READ_ALONE; use++) {
        struct store_lock lock = { 0 }, second = { 0 };
        assert_ok(lock_as((enum store_use)use, &lock));
        assert_int_equal(lock.use, use);
        for (int again = STORE_WRITE; again <= STORE_READ_ALONE; again++) {
            assert_err(WG_EBUSY, "this process", lock_as((enum store_use)again, &second));
            assert_err(WG_EBUSY, "this process",
                       store_lock(link_path, false, (enum store_use)again, &second));
        }
        assert_false(second.registered);
        store_unlock(&lock);
        assert_ok(store_lock(link_path, false, (enum store_use)use, &lock));
        store_unlock(&lock);
        store_unlock(&lock);
        store_unlock(&second);
    }
    assert_int_equal(mem_in_use(), in_use);
}

static void two_stores_are_two(void **state)
{
    (void)state;
    struct store_lock lock = { 0 }, other = { 0 };
    assert_ok(lock_as(STORE_WRITE, &lock));
    assert_ok(store_lock(scratch_create(), true, STORE_WRITE, &other));
    store_unlock(&lock); /* the one that was locked first goes first */
    assert_ok(lock_as(STORE_WRITE, &lock));
    store_unlock(&other);
    assert_err(WG_EBUSY, "this process", lock_as(STORE_READ, &other));
    store_unlock(&lock);
}

static void a_folder_that_is_not_there_is_not_locked(void **state)
{
    (void)state;
    struct store_lock lock = { 0 };
    assert_err(WG_ENOTFOUND, "/nonexistent",
               store_lock("/nonexistent/s", false, STORE_WRITE, &lock));
    assert_err(WG_ENOTFOUND, "lock", store_lock(scratch_create(), false, STORE_WRITE, &lock));
    assert_false(lock.registered);
    store_unlock(&lock);
}

/* --- other processes --- */

/* Locks it as told and says how that went: 'o', 'b' when another process has it and the message
 * names the parent, else '?'. Lets go when it hears something. */
static void lock_in_child(struct child *parent, void *arg)
{
    struct store_lock lock = { 0 };
    char pid[32];
    snprintf(pid, sizeof pid, "process %d ", (int)parent->pid);
    wg_err err = lock_as(*(enum store_use *)arg, &lock);
    if (err != WG_OK && !strstr(wg_message(), pid)) fprintf(stderr, "%s\n", wg_message());
    child_say(parent, err == WG_OK                                           ? 'o'
                      : err == WG_EBUSY && strstr(wg_message(), pid) != NULL ? 'b'
                                                                             : '?');
    child_hear(parent);
    store_unlock(&lock);
}

/* What the child said; it has ended then. */
static char lock_and_end(enum store_use use)
{
    struct child child;
    child_begin(&child, lock_in_child, &use);
    char said = child_hear(&child);
    child_say(&child, 'e');
    child_end(&child);
    return said;
}

static void one_process_writes(void **state)
{
    (void)state;
    struct store_lock lock = { 0 };
    assert_ok(lock_as(STORE_WRITE, &lock));
    assert_int_equal(lock_and_end(STORE_WRITE), 'b');
    assert_int_equal(lock_and_end(STORE_READ), 'o'); /* reads beside it */
    assert_int_equal(lock_and_end(STORE_READ_ALONE), 'b');
    store_unlock(&lock);
    assert_int_equal(lock_and_end(STORE_WRITE), 'o');
}

static void readers_keep_nobody_out(void **state)
{
    (void)state;
    struct store_lock lock = { 0 };
    assert_ok(lock_as(STORE_READ, &lock));
    assert_int_equal(lock_and_end(STORE_READ), 'o');
    assert_int_equal(lock_and_end(STORE_WRITE), 'o');
    store_unlock(&lock);
}

/* Who cannot write LMDB's lock files keeps writers out, and shares with its like. */
static void lone_readers_keep_writers_out(void **state)
{
    (void)state;
    struct store_lock lock = { 0 };
    struct child child;
    enum store_use alone = STORE_READ_ALONE;
    child_begin(&child, lock_in_child, &alone);
    assert_int_equal(child_hear(&child), 'o');
    assert_err(WG_EBUSY, "read it", lock_as(STORE_WRITE, &lock));
    assert_ok(lock_as(STORE_READ, &lock));
    store_unlock(&lock);
    assert_ok(lock_as(STORE_READ_ALONE, &lock));
    store_unlock(&lock);
    child_say(&child, 'e');
    child_end(&child);
    assert_ok(lock_as(STORE_WRITE, &lock));
    store_unlock(&lock);
}

/* A writer that was killed leaves its id behind, and nobody believes it. */
static void a_killed_writer_holds_nothing(void **state)
{
    (void)state;
    struct store_lock lock = { 0 };
    struct child child, reader;
    enum store_use write = STORE_WRITE, alone = STORE_READ_ALONE;
    char pid[32];
    child_begin(&child, lock_in_child, &write);
    assert_int_equal(child_hear(&child), 'o');
    snprintf(pid, sizeof pid, "process %d ", (int)child.pid);
    assert_err(WG_EBUSY, pid, lock_as(STORE_WRITE, &lock));
    child_kill(&child);
    child_begin(&reader, lock_in_child, &alone);
    assert_int_equal(child_hear(&reader), 'o');
    assert_err(WG_EBUSY, "", lock_as(STORE_WRITE, &lock));
    if (strstr(wg_message(), pid)) fail_msg("a dead process is named: %s", wg_message());
    child_say(&reader, 'e');
    child_end(&reader);
    assert_ok(lock_as(STORE_WRITE, &lock));
    store_unlock(&lock);
}

static void lock_another(struct child *parent, void *arg)
{
    struct store_lock lock = { 0 };
    (void)parent;
    must_ok(store_lock(arg, true, STORE_WRITE, &lock));
    store_unlock(&lock);
}

static void lock_as_a_child(struct child *parent, void *arg)
{
    struct store_lock lock = { 0 };
    (void)arg;
    must_ok(lock_as(STORE_READ, &lock)); /* the parent's entry is not the child's */
    must(lock_as(STORE_READ, &(struct store_lock){ 0 }) == WG_EBUSY, "read twice");
    must(strstr(wg_message(), "this process"), "%s", wg_message());
    store_unlock(&lock);
    child_say(parent, 'd');
    child_hear(parent);
    must_ok(lock_as(STORE_READ, &lock));
    store_unlock(&lock);
}

static void a_child_of_fork_opens_its_own(void **state)
{
    (void)state;
    struct store_lock lock = { 0 };
    struct child child;
    char other[SCRATCH_PATH_SIZE];
    snprintf(other, sizeof other, "%s", scratch_create());
    assert_ok(lock_as(STORE_READ, &lock));
    child_run(lock_another, other);
    child_begin(&child, lock_as_a_child, NULL);
    assert_int_equal(child_hear(&child), 'd');
    assert_err(WG_EBUSY, "this process", lock_as(STORE_READ, &(struct store_lock){ 0 }));
    child_say(&child, 'g');
    child_end(&child);
    store_unlock(&lock);
}

static bool names_another(const char *message)
{
    const char *found = strstr(message, "process ");
    unsigned long pid = found ? strtoul(found + 8, NULL, 10) : 0;
    return pid != 0 && pid != (unsigned long)getpid();
}

/* Whoever makes the store with another beside it: one of them has it, the other one is told by
 * whom. */
static void make_it(struct child *parent, void *arg)
{
    struct store_lock lock = { 0 };
    for (char heard; (heard = child_hear(parent)) != 'e';) {
        wg_err err = store_lock(arg, true, STORE_WRITE, &lock);
        bool named = err == WG_EBUSY && names_another(wg_message());
        if (err != WG_OK && !named) fprintf(stderr, "%s\n", wg_message());
        child_say(parent, err == WG_OK ? 'o' : named ? 'b' : '?');
        child_hear(parent);
        store_unlock(&lock);
        child_say(parent, 'd');
    }
}

static void two_may_make_it_at_once(void **state)
{
    (void)state;
    enum { ROUNDS = 200 };
    struct child children[2];
    char made[SCRATCH_PATH_SIZE], file[SCRATCH_PATH_SIZE + 8];
    snprintf(made, sizeof made, "%s", scratch_create());
    snprintf(file, sizeof file, "%s/lock", made);
    for (size_t i = 0; i < 2; i++) child_begin(&children[i], make_it, made);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < 2; i++) child_say(&children[i], 'g');
        char first = child_hear(&children[0]), second = child_hear(&children[1]);
        if ((first != 'o' || second != 'b') && (first != 'b' || second != 'o'))
            fail_msg("round %zu: %c and %c", round, first, second);
        for (size_t i = 0; i < 2; i++) child_say(&children[i], 'd');
        for (size_t i = 0; i < 2; i++) assert_int_equal(child_hear(&children[i]), 'd');
        assert_int_equal(unlink(file), 0);
    }
    for (size_t i = 0; i < 2; i++) child_say(&children[i], 'e');
    for (size_t i = 0; i < 2; i++) child_end(&children[i]);
}

static void read_as_nobody(struct child *parent, void *arg)
{
    struct store_lock lock = { 0 };
    (void)arg;
    if (getuid() == 0) must(setgid(65534) == 0 && setuid(65534) == 0, "cannot become nobody");
    must_ok(lock_as(STORE_READ, &lock));
    must(lock.use == STORE_READ_ALONE, "it is used as %d", (int)lock.use);
    child_say(parent, 'd');
    child_hear(parent);
    store_unlock(&lock);
}

static void who_may_not_write_reads_alone(void **state)
{
    (void)state;
    struct child child;
    struct store_lock lock = { 0 };
    assert_int_equal(chmod(path, 0555), 0);
    child_begin(&child, read_as_nobody, NULL);
    assert_int_equal(child_hear(&child), 'd');
    assert_int_equal(chmod(path, 0755), 0);
    assert_err(WG_EBUSY, "read it", lock_as(STORE_WRITE, &lock));
    child_say(&child, 'e');
    child_end(&child);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(a_process_has_it_once),
        TEST(two_stores_are_two),
        TEST(a_folder_that_is_not_there_is_not_locked),
        TEST(one_process_writes),
        TEST(readers_keep_nobody_out),
        TEST(lone_readers_keep_writers_out),
        TEST(a_killed_writer_holds_nothing),
        TEST(a_child_of_fork_opens_its_own),
        TEST(two_may_make_it_at_once),
        TEST(who_may_not_write_reads_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
