/* Writes held back: what the file holds when they are let go, and that the order of calls counts.
 * */
#include "base/mem.h"
#include "store/behind.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>

static struct file file;
static const char *folder;
static struct behind behind;

static int set_up(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 8];
    folder = scratch_create();
    snprintf(path, sizeof path, "%s/f", folder);
    return file_open(path, FILE_CREATE, &file) == WG_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    behind_fini(&behind);
    file_close(&file);
    scratch_remove(folder);
    return mem_in_use() == 0 ? 0 : -1;
}

static uint64_t size_now(void)
{
    uint64_t size;
    assert_ok(file_size(&file, &size));
    return size;
}

static void put(const char *text, uint64_t offset)
{
    assert_ok(behind_write(&behind, &file, text, strlen(text), offset));
}

static void check_start(const char *expected)
{
    char got[64] = { 0 };
    assert_ok(file_read_at(&file, got, strlen(expected), 0));
    assert_string_equal(got, expected);
}

static void check(const char *expected)
{
    assert_int_equal(size_now(), strlen(expected));
    check_start(expected);
}

static void neighbours_go_together(void **state)
{
    (void)state;
    put("one ", 0);
    put("two ", 4);
    put("three", 8);
    assert_int_equal(size_now(), 0);
    assert_ok(behind_flush(&behind, &file));
    check("one two three");
    assert_ok(behind_flush(&behind, &file));
    check("one two three");
}

static void a_write_elsewhere_comes_after(void **state)
{
    (void)state;
    put("abcdef", 0);
    put("XY", 2); /* over what is held back */
    assert_int_equal(size_now(), 6);
    assert_ok(behind_flush(&behind, &file));
    check("abXYef");
}

static void a_large_write_comes_after(void **state)
{
    (void)state;
    static char large[BEHIND_BYTES + 1], got[sizeof large];
    memset(large, 'l', sizeof large);
    put("small", 0);
    assert_ok(behind_write(&behind, &file, large, BEHIND_BYTES - 100, 5)); /* follows, and fits */
    assert_int_equal(behind.size, 0);
    check_start("smalll");
    put("small", 0);
    assert_ok(behind_write(&behind, &file, large, sizeof large, 0));
    assert_int_equal(size_now(), sizeof large);
    assert_ok(behind_flush(&behind, &file));
    assert_ok(file_read_at(&file, got, sizeof got, 0));
    assert_memory_equal(got, large, sizeof got);
}

static void what_is_held_back_is_bounded(void **state)
{
    (void)state;
    char piece[1000], got[1000];
    for (size_t i = 0; i < 100; i++) {
        memset(piece, (int)('a' + i % 26), sizeof piece);
        assert_ok(behind_write(&behind, &file, piece, sizeof piece, i * sizeof piece));
        assert_true((i + 1) * sizeof piece - size_now() <= BEHIND_BYTES);
    }
    assert_ok(behind_flush(&behind, &file));
    for (size_t i = 0; i < 100; i++) {
        memset(piece, (int)('a' + i % 26), sizeof piece);
        assert_ok(file_read_at(&file, got, sizeof got, i * sizeof got));
        assert_memory_equal(got, piece, sizeof got);
    }
}

static void what_is_forgotten_is_not_written(void **state)
{
    (void)state;
    put("gone", 0);
    behind.size = 0;
    assert_ok(behind_flush(&behind, &file));
    assert_int_equal(size_now(), 0);
    put("here", 0);
    assert_ok(behind_flush(&behind, &file));
    check("here");
    put("gone", 4);
    behind_fini(&behind);
    assert_ok(behind_flush(&behind, &file));
    check("here");
}

static void what_could_not_be_written_is_kept(void **state)
{
    (void)state;
    put("kept", 0);
    int handle = file.fd;
    file.fd = -1;
    assert_int_equal(behind_flush(&behind, &file), WG_EIO);
    file.fd = handle;
    assert_ok(behind_flush(&behind, &file));
    check("kept");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(neighbours_go_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_elsewhere_comes_after, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_write_comes_after, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_held_back_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_forgotten_is_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_could_not_be_written_is_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
