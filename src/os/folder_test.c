/* Folders: what is in them, what goes with them, and temporary ones. */
#include "base/mem.h"
#include "os/file.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
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

struct listed {
    size_t count, stop_at;
    char names[8][32];
};

static bool note_name(void *user, const char *name)
{
    struct listed *listed = user;
    must(listed->count < 8, "too many names");
    snprintf(listed->names[listed->count++], 32, "%s", name);
    return listed->count != listed->stop_at;
}

static bool lists(const struct listed *listed, const char *name)
{
    for (size_t i = 0; i < listed->count; i++)
        if (strcmp(listed->names[i], name) == 0) return true;
    return false;
}

static void names_are_listed(void **state)
{
    (void)state;
    struct listed listed = { 0 };
    assert_ok(folder_create(at("l")));
    assert_ok(folder_list(at("l"), note_name, &listed));
    assert_int_equal(listed.count, 0);
    make(at("l/a"), "");
    make(at("l/.hidden"), "");
    assert_ok(folder_create(at("l/inner")));
    make(at("l/inner/deep"), "");
    assert_ok(folder_list(at("l"), note_name, &listed));
    assert_int_equal(listed.count, 3);
    assert_true(lists(&listed, "a") && lists(&listed, ".hidden") && lists(&listed, "inner"));
    listed = (struct listed){ .stop_at = 2 };
    assert_ok(folder_list(at("l"), note_name, &listed));
    assert_int_equal(listed.count, 2);
    assert_ok(folder_remove(at("l")));
}

static void a_folder_goes_with_what_is_in_it(void **state)
{
    (void)state;
    assert_ok(folder_create(at("outside")));
    make(at("outside/stays"), "");
    assert_ok(folder_create(at("d")));
    assert_err(WG_EEXISTS, at("d"), folder_create(at("d")));
    assert_ok(folder_create(at("d/e")));
    assert_ok(folder_create(at("d/e/f")));
    make(at("d/e/f/g"), "x");
    make(at("d/.h"), "x");
    assert_int_equal(symlink(at("outside"), at("d/link")), 0);
    assert_int_equal(symlink("nowhere", at("d/dangling")), 0);
    assert_ok(folder_sync(at("d")));
    assert_true(folder_exists(at("d/e/f")));
    assert_ok(folder_remove(at("d")));
    assert_false(folder_exists(at("d")));
    assert_int_equal(access(at("outside/stays"), F_OK), 0); /* links are not followed */
    assert_ok(folder_remove(at("outside")));
}

static void disk_bytes_count_what_is_below(void **state)
{
    (void)state;
    static char block[1 << 16];
    memset(block, 7, sizeof block);
    struct file file;
    uint64_t before = 0, after = 0, sparse = 0, free_bytes = 0;
    assert_ok(folder_create(at("b")));
    assert_ok(folder_create(at("b/c")));
    assert_ok(folder_disk_bytes(at("b"), &before));
    assert_ok(file_open(at("b/c/x"), FILE_CREATE, &file));
    assert_ok(file_write_at(&file, block, sizeof block, 0));
    assert_ok(file_sync(&file));
    assert_ok(folder_disk_bytes(at("b"), &after));
    assert_in_range(after - before, sizeof block, 2 * sizeof block);
    assert_ok(file_write_at(&file, "x", 1, 1 << 28)); /* a hole is not allocated */
    assert_ok(file_sync(&file));
    assert_ok(folder_disk_bytes(at("b"), &sparse));
    assert_true(sparse - before < 1 << 24);
    file_close(&file);
    assert_ok(folder_remove(at("b")));
    assert_ok(disk_free_bytes(folder, &free_bytes));
    assert_true(free_bytes > 0);
}

static void temporary_folders_are_new(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    char *first = NULL, *second = NULL;
    assert_ok(folder_create_temporary("waggle-file-test-", &first));
    assert_ok(folder_create_temporary("waggle-file-test-", &second));
    assert_string_not_equal(first, second);
    const char *parent = folder_of_temporary();
    assert_memory_equal(first, parent, strlen(parent));
    assert_memory_equal(first + strlen(parent), "/waggle-file-test-", 18);
    assert_true(folder_writable(first) && folder_writable(second));
    assert_int_equal(rmdir(first), 0); /* it is empty */
    assert_int_equal(rmdir(second), 0);
    mem_free(&first);
    mem_free(&second);
    mem_fail_at(1);
    assert_err(WG_ENOMEM, "", folder_create_temporary("waggle-file-test-", &first));
    mem_fail_at(0);
    assert_null(first);
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
        cmocka_unit_test(names_are_listed),
        cmocka_unit_test(a_folder_goes_with_what_is_in_it),
        cmocka_unit_test(disk_bytes_count_what_is_below),
        cmocka_unit_test(temporary_folders_are_new),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
