/* Files and folders: what works, and what each wrong use is called. */
#include "base/mem.h"
#include "os/file.h"
#include "support/check.h"
#include "support/scratch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder;

/* A name in the test's folder; four at a time. */
static const char *at(const char *name)
{
    static char paths[4][SCRATCH_PATH_SIZE + 64];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void make(const char *path, const char *content)
{
    struct file file;
    must_ok(file_open(path, FILE_CREATE, &file));
    must_ok(file_write_at(&file, content, strlen(content), 0));
    file_close(&file);
}

/* Runs in a child of an ordinary user, so that permissions count; 0 when it returned. */
static int as_nobody(void (*run)(void))
{
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "cannot fork");
    if (child == 0) {
        if (getuid() == 0) must(setgid(65534) == 0 && setuid(65534) == 0, "cannot become nobody");
        run();
        _exit(0);
    }
    int status = 0;
    must(waitpid(child, &status, 0) == child, "cannot wait");
    return status;
}

#define must_err(want, path, call)                                                           \
    do {                                                                                     \
        wg_err got_ = (call);                                                                \
        must(got_ == (want), "%s, expected %s: %s", wg_err_name(got_), #want, wg_message()); \
        must(strstr(wg_message(), (path)), "\"%s\" does not name %s", wg_message(), (path)); \
    } while (0)

static void what_is_written_is_read(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct file file;
    char bytes[16] = { 0 };
    uint64_t size = 7;
    assert_ok(file_open(at("a"), FILE_CREATE, &file));
    assert_string_equal(file.path, at("a"));
    assert_ok(file_size(&file, &size));
    assert_int_equal(size, 0);
    assert_ok(file_write_at(&file, "hello", 5, 0));
    assert_ok(file_write_at(&file, "world", 5, 10));
    assert_ok(file_size(&file, &size));
    assert_int_equal(size, 15);
    assert_ok(file_read_at(&file, bytes, 15, 0));
    assert_memory_equal(bytes, "hello\0\0\0\0\0world", 15);
    assert_ok(file_read_at(&file, bytes, 3, 11));
    assert_memory_equal(bytes, "orl", 3);
    assert_ok(file_read_at(&file, bytes, 0, 15));
    assert_ok(file_write_at(&file, "", 0, 0));
    file_flush_begin(&file, 0, 15);
    assert_ok(file_sync(&file));
    file_release(&file);
    assert_string_equal(file.path, at("a")); /* for messages */
    assert_err(WG_EIO, at("a"), file_sync(&file));
    file_release(&file);
    file_close(&file);
    assert_null(file.path);
    file_close(&file);
    assert_int_equal(mem_in_use(), before);
}

/* The lowest free handle shows whether one was given back. */
static int next_handle(void)
{
    int next = dup(0);
    close(next);
    return next;
}

static void a_released_file_holds_no_handle(void **state)
{
    (void)state;
    struct file file;
    int next = next_handle();
    make(at("released"), "x");
    assert_ok(file_open(at("released"), FILE_READ, &file));
    assert_int_not_equal(next_handle(), next);
    file_release(&file);
    assert_int_equal(next_handle(), next);
    int taken = dup(0); /* takes the handle's number */
    file_close(&file);
    assert_int_equal(close(taken), 0);
}

static void the_modes_differ(void **state)
{
    (void)state;
    struct file file;
    char bytes[8];
    make(at("m"), "abcdef");
    assert_ok(file_open(at("m"), FILE_READ, &file));
    assert_ok(file_read_at(&file, bytes, 6, 0));
    assert_int_not_equal(file_write_at(&file, "x", 1, 0), WG_OK);
    file_close(&file);
    assert_ok(file_open(at("m"), FILE_READ_WRITE, &file));
    assert_ok(file_write_at(&file, "X", 1, 0));
    assert_ok(file_read_at(&file, bytes, 6, 0));
    assert_memory_equal(bytes, "Xbcdef", 6);
    file_close(&file);
    uint64_t size = 7;
    assert_ok(file_open(at("m"), FILE_CREATE, &file));
    assert_ok(file_size(&file, &size));
    assert_int_equal(size, 0);
    file_close(&file);
}

static void what_is_missing_is_not_found(void **state)
{
    (void)state;
    struct file file = { .path = NULL, .fd = 12345 };
    uint64_t bytes;
    assert_err(WG_ENOTFOUND, at("none"), file_open(at("none"), FILE_READ, &file));
    assert_err(WG_ENOTFOUND, at("none"), file_open(at("none"), FILE_READ_WRITE, &file));
    assert_err(WG_ENOTFOUND, at("no/a"), file_open(at("no/a"), FILE_CREATE, &file));
    assert_null(file.path);
    assert_int_equal(file.fd, 12345);
    assert_err(WG_ENOTFOUND, at("none"), file_remove(at("none")));
    assert_err(WG_ENOTFOUND, at("no/b"), folder_create(at("no/b")));
    assert_err(WG_ENOTFOUND, at("none"), folder_remove(at("none")));
    assert_err(WG_ENOTFOUND, at("none"), folder_sync(at("none")));
    assert_err(WG_ENOTFOUND, at("none"), folder_disk_bytes(at("none"), &bytes));
    assert_err(WG_ENOTFOUND, at("none"), disk_free_bytes(at("none"), &bytes));
    assert_err(WG_ENOTFOUND, at("none"), folder_list(at("none"), NULL, NULL));
    struct file_identity identity;
    assert_err(WG_ENOTFOUND, at("none"), file_identify(at("none"), &identity));
    assert_err(WG_ENOTFOUND, at("to"), file_link(at("none"), at("to")));
    assert_err(WG_ENOTFOUND, at("to"), file_rename(at("none"), at("to")));
    assert_false(file_exists(at("none")));
    assert_false(folder_exists(at("none")));
    assert_false(folder_writable(at("none")));
}

static void a_folder_is_no_file(void **state)
{
    (void)state;
    struct file file = { 0 };
    char byte;
    assert_ok(folder_create(at("folder")));
    assert_false(file_exists(at("folder")));
    assert_err(WG_EIO, at("folder"), file_open(at("folder"), FILE_READ_WRITE, &file));
    assert_err(WG_EIO, at("folder"), file_open(at("folder"), FILE_CREATE, &file));
    wg_err err = file_open(at("folder"), FILE_READ, &file);
    if (err == WG_OK) { /* then reading it says so */
        assert_err(WG_EIO, at("folder"), file_read_at(&file, &byte, 1, 0));
        file_close(&file);
    } else {
        assert_int_equal(err, WG_EIO);
    }
    assert_int_not_equal(file_remove(at("folder")), WG_OK);
    assert_true(folder_exists(at("folder")));
    assert_ok(folder_remove(at("folder")));
}

static void a_file_is_no_folder(void **state)
{
    (void)state;
    struct file file;
    make(at("f"), "");
    assert_err(WG_EEXISTS, at("f"), folder_create(at("f")));
    assert_false(folder_exists(at("f")));
    assert_true(file_exists(at("f")));
    assert_int_not_equal(folder_list(at("f"), NULL, NULL), WG_OK);
    assert_int_not_equal(file_open(at("f/g"), FILE_READ, &file), WG_OK);
    assert_ok(file_remove(at("f")));
    assert_err(WG_ENOTFOUND, at("f"), file_remove(at("f")));
}

static void a_file_that_ends_early_is_corrupt(void **state)
{
    (void)state;
    struct file file;
    char bytes[16];
    make(at("short"), "0123456789");
    assert_ok(file_open(at("short"), FILE_READ, &file));
    assert_ok(file_read_at(&file, bytes, 10, 0));
    assert_err(WG_ECORRUPT, at("short"), file_read_at(&file, bytes, 11, 0));
    assert_err(WG_ECORRUPT, at("short"), file_read_at(&file, bytes, 1, 10));
    assert_err(WG_ECORRUPT, at("short"), file_read_at(&file, bytes, 16, 1ull << 40));
    file_close(&file);
}

static void reserving_keeps_what_is_there(void **state)
{
    (void)state;
    struct file file;
    char bytes[10];
    uint64_t size = 0, disk = 0;
    assert_ok(folder_create(at("r")));
    make(at("r/a"), "0123456789");
    assert_ok(file_open(at("r/a"), FILE_READ_WRITE, &file));
    assert_ok(file_reserve(&file, 3 << 20));
    assert_ok(file_size(&file, &size));
    assert_true(size >= 3 << 20);
    assert_ok(folder_disk_bytes(at("r"), &disk));
    assert_true(disk >= 3 << 20);
    assert_ok(file_reserve(&file, 100));
    assert_ok(file_size(&file, &size));
    assert_true(size >= 3 << 20);
    assert_ok(file_read_at(&file, bytes, 10, 0));
    assert_memory_equal(bytes, "0123456789", 10);
    file_close(&file);
    assert_ok(folder_remove(at("r")));
}

static void a_full_disk_has_no_space(void **state)
{
    (void)state;
    struct file file;
    assert_ok(file_open("/dev/full", FILE_READ_WRITE, &file));
    assert_err(WG_ENOSPC, "/dev/full", file_write_at(&file, "x", 1, 0));
    assert_int_not_equal(file_sync(&file), WG_OK); /* a device that cannot be synced */
    assert_true(strstr(wg_message(), "/dev/full") != NULL);
    file_close(&file);
}

static void files_beyond_the_limit(void)
{
    struct rlimit limit = { 1 << 16, 1 << 16 };
    struct file file;
    static char bytes[1 << 17];
    signal(SIGXFSZ, SIG_IGN);
    must(setrlimit(RLIMIT_FSIZE, &limit) == 0, "cannot limit files");
    must_ok(file_open(at("open/limited"), FILE_CREATE, &file));
    must_err(WG_EIO, at("open/limited"), file_write_at(&file, bytes, sizeof bytes, 0));
    must_err(WG_EIO, at("open/limited"), file_reserve(&file, sizeof bytes));
    file_close(&file);
}

static void an_input_or_output_error_is_named(void **state)
{
    (void)state;
    assert_ok(folder_create(at("open")));
    assert_int_equal(chmod(at("open"), 0777), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(as_nobody(files_beyond_the_limit), 0);
    assert_ok(folder_remove(at("open")));
}

static void nothing_may_be_written(void)
{
    struct file file;
    must_err(WG_EREADONLY, at("p/kept"), file_open(at("p/kept"), FILE_READ_WRITE, &file));
    must_err(WG_EREADONLY, at("p/new"), file_open(at("p/new"), FILE_CREATE, &file));
    must_err(WG_EREADONLY, at("p/sub"), folder_create(at("p/sub")));
    must_err(WG_EREADONLY, at("p/kept"), file_remove(at("p/kept")));
    must(folder_remove(at("p")) != WG_OK, "a folder of another was removed");
    must(folder_exists(at("p")) && !folder_writable(at("p")), "p is writable");
    must_ok(file_open(at("p/kept"), FILE_READ, &file));
    file_close(&file);
}

static void without_permission_it_is_read_only(void **state)
{
    (void)state;
    assert_ok(folder_create(at("p")));
    make(at("p/kept"), "kept");
    assert_int_equal(chmod(at("p/kept"), 0444), 0);
    assert_true(folder_writable(at("p")));
    assert_int_equal(chmod(at("p"), 0555), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(as_nobody(nothing_may_be_written), 0);
    assert_int_equal(chmod(at("p"), 0755), 0);
    assert_ok(folder_remove(at("p")));
}

static void locks_keep_others_out(void **state)
{
    (void)state;
    struct file a, b;
    make(at("lock"), "");
    assert_ok(file_open(at("lock"), FILE_READ_WRITE, &a));
    assert_ok(file_open(at("lock"), FILE_READ, &b));
    assert_ok(file_lock(&a, true));
    assert_err(WG_EBUSY, at("lock"), file_lock(&b, true));
    assert_err(WG_EBUSY, at("lock"), file_lock(&b, false));
    file_close(&a);
    assert_ok(file_lock(&b, false));
    assert_ok(file_open(at("lock"), FILE_READ_WRITE, &a));
    assert_ok(file_lock(&a, false));
    file_close(&b);
    assert_ok(file_open(at("lock"), FILE_READ, &b));
    assert_err(WG_EBUSY, at("lock"), file_lock(&b, true));
    file_close(&b);
    file_close(&a);
}

static void lock_is_held(void)
{
    struct file file;
    must_ok(file_open(at("shared"), FILE_READ, &file));
    must_err(WG_EBUSY, at("shared"), file_lock(&file, true));
    must_ok(file_lock(&file, false));
    file_close(&file);
    must_ok(file_open(at("exclusive"), FILE_READ, &file));
    must_err(WG_EBUSY, at("exclusive"), file_lock(&file, false));
    file_close(&file);
}

static void locks_keep_other_processes_out(void **state)
{
    (void)state;
    struct file shared, exclusive;
    make(at("shared"), "");
    make(at("exclusive"), "");
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(at("shared"), 0644), 0);
    assert_int_equal(chmod(at("exclusive"), 0644), 0);
    assert_ok(file_open(at("shared"), FILE_READ, &shared));
    assert_ok(file_open(at("exclusive"), FILE_READ_WRITE, &exclusive));
    assert_ok(file_lock(&shared, false));
    assert_ok(file_lock(&exclusive, true));
    assert_int_equal(as_nobody(lock_is_held), 0);
    file_close(&shared);
    file_close(&exclusive);
}

static void writes_into_the_map(void)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSEGV, SIG_DFL);
    struct file file;
    const void *map;
    must_ok(file_open(at("map"), FILE_READ, &file));
    must_ok(file_map(&file, 0, 4096, &map));
    *(volatile char *)map = 'x';
}

static void a_map_shows_the_file_and_outlives_it(void **state)
{
    (void)state;
    struct file file;
    const void *map = NULL;
    make(at("map"), "first");
    assert_ok(file_open(at("map"), FILE_READ_WRITE, &file));
    assert_ok(file_reserve(&file, 8192));
    assert_ok(file_map(&file, 0, 8192, &map));
    assert_memory_equal(map, "first", 5);
    assert_ok(file_write_at(&file, "later", 5, 5000));
    assert_memory_equal((const char *)map + 5000, "later", 5);
    file_close(&file);
    assert_memory_equal((const char *)map + 5000, "later", 5);
    file_unmap(&map, 8192);
    assert_null(map);
    file_unmap(&map, 8192);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_not_equal(as_nobody(writes_into_the_map), 0);
}

static void a_map_can_begin_within_the_file(void **state)
{
    (void)state;
    enum { FAR = 3 * 65536 };
    struct file file;
    const void *map = NULL;
    make(at("far"), "first");
    assert_ok(file_open(at("far"), FILE_READ_WRITE, &file));
    assert_ok(file_write_at(&file, "far away", 8, FAR));
    assert_ok(file_map(&file, FAR, 8, &map));
    file_close(&file);
    file_map_populate(map, 8);
    assert_memory_equal(map, "far away", 8);
    file_unmap(&map, 8);
}

static bool is_same(const struct file_identity *a, const struct file_identity *b)
{
    return a->device == b->device && a->file == b->file;
}

static void every_name_of_a_file_has_its_identity(void **state)
{
    (void)state;
    struct file_identity one, linked, other, folder_itself, around;
    make(at("one"), "content");
    make(at("other"), "content");
    assert_ok(file_link(at("one"), at("linked")));
    assert_ok(file_identify(at("one"), &one));
    assert_ok(file_identify(at("linked"), &linked));
    assert_ok(file_identify(at("other"), &other));
    assert_true(is_same(&one, &linked));
    assert_false(is_same(&one, &other));
    assert_ok(file_identify(folder, &folder_itself));
    assert_ok(file_identify(at("."), &around));
    assert_true(is_same(&folder_itself, &around));
    assert_err(WG_EEXISTS, at("other"), file_link(at("one"), at("other")));
    assert_ok(file_remove(at("one")));
    assert_true(file_exists(at("linked")));
}

static void renaming_replaces(void **state)
{
    (void)state;
    struct file file;
    char bytes[3];
    make(at("new"), "new");
    make(at("old"), "longer and older");
    assert_ok(file_rename(at("new"), at("old")));
    assert_false(file_exists(at("new")));
    assert_ok(file_open(at("old"), FILE_READ, &file));
    uint64_t size = 0;
    assert_ok(file_size(&file, &size));
    assert_int_equal(size, 3);
    assert_ok(file_read_at(&file, bytes, 3, 0));
    assert_memory_equal(bytes, "new", 3);
    file_close(&file);
}

static void paths_are_joined(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    char *path = NULL;
    assert_ok(path_join("a", "b", &path));
    assert_string_equal(path, "a/b");
    mem_free(&path);
    assert_ok(path_join("/x/y", "z.seg", &path));
    assert_string_equal(path, "/x/y/z.seg");
    mem_free(&path);
    mem_fail_at(1);
    assert_err(WG_ENOMEM, "", path_join("a", "b", &path));
    assert_null(path);
    assert_int_equal(mem_in_use(), before);
}

static void opening_without_memory_leaves_nothing_open(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    make(at("n"), "x");
    int next = next_handle();
    for (int mode = FILE_READ; mode <= FILE_CREATE; mode++) {
        struct file file = { 0 };
        mem_fail_at(1);
        assert_err(WG_ENOMEM, "", file_open(at("n"), (enum file_mode)mode, &file));
        mem_fail_at(0);
        assert_null(file.path);
    }
    assert_int_equal(next_handle(), next);
    assert_int_equal(mem_in_use(), before);
}

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_create();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_released_file_holds_no_handle),
        cmocka_unit_test(the_modes_differ),
        cmocka_unit_test(what_is_missing_is_not_found),
        cmocka_unit_test(a_folder_is_no_file),
        cmocka_unit_test(a_file_is_no_folder),
        cmocka_unit_test(a_file_that_ends_early_is_corrupt),
        cmocka_unit_test(reserving_keeps_what_is_there),
        cmocka_unit_test(a_full_disk_has_no_space),
        cmocka_unit_test(an_input_or_output_error_is_named),
        cmocka_unit_test(without_permission_it_is_read_only),
        cmocka_unit_test(locks_keep_others_out),
        cmocka_unit_test(locks_keep_other_processes_out),
        cmocka_unit_test(a_map_shows_the_file_and_outlives_it),
        cmocka_unit_test(a_map_can_begin_within_the_file),
        cmocka_unit_test(every_name_of_a_file_has_its_identity),
        cmocka_unit_test(renaming_replaces),
        cmocka_unit_test(paths_are_joined),
        cmocka_unit_test(opening_without_memory_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
