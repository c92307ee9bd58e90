/* The disk that crashes are simulated on: what a crash may leave of it is what the syncs allow, all
 * of it is tried, and nothing else. */
#include "support/disk.h"

#include "support/check.h"
#include "support/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 2 * 4096, TRIES = 400 };

static struct disk *disk;
static const char *scratch;
static char left[SCRATCH_PATH_SIZE + 8];

static int begin(void **state)
{
    (void)state;
    disk = disk_create();
    if (!scratch) scratch = scratch_create();
    snprintf(left, sizeof left, "%s/left", scratch);
    return 0;
}

static int end(void **state)
{
    (void)state;
    disk_destroy(&disk);
    return 0;
}

/* --- calls --- */

static void named(enum files_kind kind, const char *path, const char *second)
{
    disk_apply(disk, &(struct recorded){
                         .head = { .kind = kind, .fd = -1 }, .path = path, .second = second });
}

static void opened(int fd, const char *path, uint32_t flags)
{
    disk_apply(disk, &(struct recorded){ .head = { .kind = FILES_OPEN, .fd = fd, .flags = flags },
                                         .path = path });
}

static void ranged(enum files_kind kind, int fd, uint64_t offset, uint64_t size)
{
    disk_apply(disk, &(struct recorded){
                         .head = { .kind = kind, .fd = fd, .offset = offset, .size = size } });
}

static void written(int fd, uint64_t offset, uint64_t size, char byte)
{
    static char bytes[128][SIZE]; /* the disk borrows them */
    memset(bytes[(size_t)byte], byte, SIZE);
    disk_apply(disk, &(struct recorded){
                         .head = { .kind = FILES_WRITE, .fd = fd, .offset = offset, .size = size },
                         .data = (unsigned char *)bytes[(size_t)byte] });
}

static void synced(int fd)
{
    ranged(FILES_SYNC, fd, 0, 0);
}

/* --- what is left --- */

static void crash(enum disk_loss loss, uint64_t seed)
{
    scratch_remove(left);
    must(mkdir(left, 0700) == 0, "cannot make %s", left);
    disk_write_out(disk, &(struct disk_crash){ loss, seed }, left);
}

static bool is_there(const char *path)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    snprintf(whole, sizeof whole, "%s/%s", left, path);
    return access(whole, F_OK) == 0;
}

/* The file's bytes, zeros behind its end; returns its size, -1 when it is not there. */
static ssize_t bytes_of(const char *path, char bytes[static SIZE])
{
    char whole[2 * SCRATCH_PATH_SIZE];
    snprintf(whole, sizeof whole, "%s/%s", left, path);
    memset(bytes, 0, SIZE);
    int file = open(whole, O_RDONLY);
    if (file < 0) return -1;
    ssize_t got = read(file, bytes, SIZE);
    close(file);
    return got;
}

static size_t links_of(const char *path)
{
    char whole[2 * SCRATCH_PATH_SIZE];
    struct stat status;
    snprintf(whole, sizeof whole, "%s/%s", left, path);
    assert_int_equal(stat(whole, &status), 0);
    return (size_t)status.st_nlink;
}

/* --- tests --- */

/* A file "f" whose name is durable, open as descriptor 3, in a folder open as descriptor 4. */
static void make_file(void)
{
    opened(3, "f", O_RDWR | O_CREAT);
    opened(4, "", O_RDONLY);
    synced(4);
}

static void test_bytes_are_durable_when_synced(void **state)
{
    char bytes[SIZE];
    (void)state;
    make_file();
    written(3, 0, 600, 'a');
    assert_false(disk_is_synced(disk));
    crash(DISK_DROPS, 1);
    assert_int_equal(bytes_of("f", bytes), 0);
    crash(DISK_KEEPS, 1);
    assert_int_equal(bytes_of("f", bytes), 600);
    assert_int_equal(bytes[599], 'a');
    synced(3);
    assert_true(disk_is_synced(disk));
    written(3, 100, 10, 'b');
    crash(DISK_DROPS, 1);
    assert_int_equal(bytes_of("f", bytes), 600);
    assert_int_equal(bytes[100], 'a');
    crash(DISK_KEEPS, 1);
    bytes_of("f", bytes);
    assert_int_equal(bytes[99], 'a');
    assert_int_equal(bytes[100], 'b');
    assert_int_equal(bytes[110], 'a');
}

static void test_names_are_durable_when_their_folder_is_synced(void **state)
{
    (void)state;
    named(FILES_MKDIR, "d", NULL);
    opened(3, "d/f", O_RDWR | O_CREAT);
    written(3, 0, 10, 'a');
    synced(3);
    opened(4, "d", O_RDONLY);
    opened(5, "", O_RDONLY);
    crash(DISK_DROPS, 1);
    assert_false(is_there("d"));
    synced(5);
    crash(DISK_DROPS, 1);
    assert_true(is_there("d"));
    assert_false(is_there("d/f"));
    synced(4);
    named(FILES_UNLINK, "d/f", NULL);
    crash(DISK_DROPS, 1);
    assert_true(is_there("d/f"));
    crash(DISK_KEEPS, 1);
    assert_false(is_there("d/f"));
    synced(4);
    named(FILES_RMDIR, "d", NULL);
    crash(DISK_DROPS, 1);
    assert_true(is_there("d"));
    assert_false(is_there("d/f"));
    synced(5);
    crash(DISK_DROPS, 1);
    assert_false(is_there("d"));
}

/* The old name or the new one, never both or none; what stood there before is there until then. */
static void test_rename_is_one_step(void **state)
{
    char bytes[SIZE];
    bool before = false, after = false;
    (void)state;
    make_file();
    written(3, 0, 10, 'a');
    synced(3);
    opened(5, "g", O_RDWR | O_CREAT);
    written(5, 0, 10, 'b');
    synced(5);
    synced(4);
    named(FILES_RENAME, "g", "f");
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        crash(DISK_MIXES, seed);
        assert_int_equal(bytes_of("f", bytes), 10);
        assert_int_equal(bytes[0], is_there("g") ? 'a' : 'b');
        before = before || is_there("g");
        after = after || !is_there("g");
    }
    assert_true(before && after);
    synced(4);
    crash(DISK_DROPS, 1);
    bytes_of("f", bytes);
    assert_int_equal(bytes[0], 'b');
    assert_false(is_there("g"));
}

static void test_names_are_lost_independently(void **state)
{
    bool seen[4] = { false };
    (void)state;
    opened(3, "f", O_RDWR | O_CREAT);
    opened(4, "g", O_RDWR | O_CREAT);
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        crash(DISK_MIXES, seed);
        seen[is_there("f") + 2 * is_there("g")] = true;
    }
    for (size_t i = 0; i < 4; i++) assert_true(seen[i]);
}

static void test_links_are_one_file(void **state)
{
    char bytes[SIZE];
    (void)state;
    make_file();
    named(FILES_LINK, "f", "g");
    crash(DISK_DROPS, 1);
    assert_false(is_there("g"));
    synced(4);
    written(3, 0, 10, 'a');
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        crash(DISK_MIXES, seed);
        ssize_t size = bytes_of("f", bytes);
        assert_true(bytes_of("g", bytes) == size);
        assert_int_equal(links_of("f"), 2);
    }
    crash(DISK_KEEPS, 1);
    assert_int_equal(bytes_of("g", bytes), 10);
    assert_int_equal(bytes[9], 'a');
}

/* As LMDB's meta page: what else is written to the file stays as unsure as it was. */
static void test_a_synced_write_makes_its_pages_durable_alone(void **state)
{
    char bytes[SIZE];
    (void)state;
    make_file();
    written(3, 0, SIZE, 'a');
    synced(3);
    written(3, 4096, 10, 'b');
    written(3, 0, 10, 'c');
    ranged(FILES_SYNC, 3, 0, 10);
    written(3, 0, 5, 'd');
    crash(DISK_DROPS, 1);
    bytes_of("f", bytes);
    assert_int_equal(bytes[0], 'c');
    assert_int_equal(bytes[4096], 'a');
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        crash(DISK_MIXES, seed);
        bytes_of("f", bytes);
        assert_true(bytes[0] == 'c' || bytes[0] == 'd');
        assert_int_equal(bytes[5], 'c');
    }
}

/* Sectors, pages, and calls: each lost without the others, or torn between old and new; a later
 * write never without an earlier one to the same sector. */
static void test_writes_are_torn_and_reordered(void **state)
{
    char bytes[SIZE];
    bool sector_alone = false, page_alone = false, later_call_alone = false;
    (void)state;
    make_file();
    written(3, 0, SIZE, 'a');
    synced(3);
    written(3, 0, 4096, 'b');
    written(3, 4096, 4096, 'b');
    written(3, 0, 10, 'c');
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        crash(DISK_MIXES, seed);
        assert_int_equal(bytes_of("f", bytes), SIZE);
        for (size_t i = 0; i < SIZE; i++)
            assert_true(bytes[i] == 'a' || bytes[i] == 'b' || (i < 10 && bytes[i] == 'c'));
        for (size_t i = 0; i + 1 < SIZE; i++) /* whole sectors, but for the ten bytes */
            assert_true(bytes[i] == bytes[i + 1] || i % 512 == 511 || i == 9);
        if (bytes[0] == 'c') assert_int_equal(bytes[10], 'b');
        sector_alone = sector_alone || bytes[511] != bytes[512];
        page_alone = page_alone || (bytes[511] != bytes[4096] && bytes[511] == bytes[4095]);
        later_call_alone = later_call_alone || (bytes[511] == 'a' && bytes[4096] == 'b');
    }
    assert_true(sector_alone && page_alone && later_call_alone);
}

static void test_sizes_are_lost_without_bytes(void **state)
{
    char bytes[SIZE];
    bool size_alone = false, none = false;
    (void)state;
    make_file();
    ranged(FILES_RESERVE, 3, 0, SIZE);
    crash(DISK_DROPS, 1);
    assert_int_equal(bytes_of("f", bytes), 0);
    crash(DISK_KEEPS, 1);
    assert_int_equal(bytes_of("f", bytes), SIZE);
    written(3, 0, 10, 'a');
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        crash(DISK_MIXES, seed);
        ssize_t size = bytes_of("f", bytes);
        assert_true(size == 0 || size == SIZE);
        size_alone = size_alone || (size == SIZE && bytes[0] == 0);
        none = none || size == 0;
    }
    assert_true(size_alone && none);
    synced(3);
    ranged(FILES_TRUNCATE, 3, 0, 5);
    ranged(FILES_TRUNCATE, 3, 0, 10);
    crash(DISK_DROPS, 1);
    assert_int_equal(bytes_of("f", bytes), SIZE);
    assert_int_equal(bytes[9], 'a');
    crash(DISK_KEEPS, 1);
    assert_int_equal(bytes_of("f", bytes), 10);
    assert_int_equal(bytes[4], 'a');
    assert_int_equal(bytes[5], 0);
}

/* One write, of which the size came, and not the bytes. */
static void test_a_size_is_lost_apart_from_its_bytes(void **state)
{
    char bytes[SIZE];
    bool seen = false;
    (void)state;
    make_file();
    written(3, 0, 10, 'a');
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        crash(DISK_MIXES, seed);
        seen = seen || (bytes_of("f", bytes) == 10 && bytes[0] == 0);
    }
    assert_true(seen);
}

static void test_a_planted_bug_leaves_syncs_out(void **state)
{
    static const struct disk_bug bug = { "", DISK_SYNC_FILE, "f*", 1 };
    char bytes[SIZE];
    (void)state;
    disk_plant(disk, &bug);
    make_file();
    written(3, 0, 10, 'a');
    synced(3);
    written(3, 0, 10, 'b');
    synced(3);
    crash(DISK_DROPS, 1);
    bytes_of("f", bytes);
    assert_int_equal(bytes[0], 'a');
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_durable_when_synced),
        TEST(names_are_durable_when_their_folder_is_synced),
        TEST(rename_is_one_step),
        TEST(names_are_lost_independently),
        TEST(links_are_one_file),
        TEST(a_synced_write_makes_its_pages_durable_alone),
        TEST(writes_are_torn_and_reordered),
        TEST(sizes_are_lost_without_bytes),
        TEST(a_size_is_lost_apart_from_its_bytes),
        TEST(a_planted_bug_leaves_syncs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
