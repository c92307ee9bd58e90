/* The library of tests/preload/files.h: what it records is all that happened, by every name that
 * the calls have; and each call can be made to fail, with the errors that it may give. */
#include "support/check.h"
#include "support/disk.h"
#include "support/scratch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[SCRATCH_PATH_SIZE]; /* that is watched; the current one */
static files_mark_fn *mark;
static files_fail_fn *make_fail;
static files_count_fn *count;

static void find_library(void)
{
    void *functions[] = { dlsym(RTLD_DEFAULT, "files_mark"), dlsym(RTLD_DEFAULT, "files_fail"),
                          dlsym(RTLD_DEFAULT, "files_count") };
    must(functions[0] && functions[1] && functions[2], "the library is not loaded");
    memcpy(&mark, &functions[0], sizeof mark);
    memcpy(&make_fail, &functions[1], sizeof make_fail);
    memcpy(&count, &functions[2], sizeof count);
}

/* --- recording --- */

static void fill(char *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(seed = seed * 1103515245 + 12345);
}

#define EXPECT(call, result)                             \
    do {                                                 \
        errno = 0;                                       \
        must((call) == (result), "%s", strerror(errno)); \
    } while (0)

static void write_in_all_ways(int file)
{
    char bytes[9000];
    fill(bytes, sizeof bytes, 1);
    struct iovec parts[] = { { bytes, 5000 }, { bytes + 5000, 1 }, { bytes + 6000, 700 } };
    EXPECT(write(file, bytes, 9000), 9000);
    EXPECT(lseek(file, 100, SEEK_SET), 100);
    EXPECT(writev(file, parts, 3), 5701);
    EXPECT(write(file, bytes, 3), 3);
    EXPECT(pwrite(file, bytes + 7, 4096, 8192), 4096);
    EXPECT(pwrite64(file, bytes + 8, 1, 20000), 1);
    EXPECT(pwritev(file, parts, 2, 30000), 5001);
    EXPECT(pwritev64(file, parts + 1, 2, 40000), 701);
    EXPECT(write(file, bytes, 0), 0);
    EXPECT(fdatasync(file), 0);
}

static void resize_in_all_ways(int file)
{
    EXPECT(ftruncate(file, 35000), 0);
    EXPECT(ftruncate64(file, 36000), 0);
    EXPECT(posix_fallocate(file, 0, 50000), 0);
    EXPECT(posix_fallocate64(file, 100, 1000), 0);
    EXPECT(fallocate(file, 0, 60000, 5), 0);
    EXPECT(fallocate64(file, FALLOC_FL_KEEP_SIZE, 0, 90000), 0);
    EXPECT(truncate("d/b", 33333), 0);
    EXPECT(fsync(file), 0);
}

static void append_and_sync(void)
{
    int file = open("appended", O_WRONLY | O_CREAT | O_APPEND, 0600);
    EXPECT(write(file, "one", 3), 3);
    EXPECT(pwrite(file, "two", 3, 0), 3); /* Linux appends this as well */
    close(file);
    file = open("synced", O_WRONLY | O_CREAT | O_DSYNC, 0600);
    EXPECT(pwrite(file, "three", 5, 10), 5);
    close(file);
    file = creat("gone", 0600);
    EXPECT(write(file, "x", 1), 1);
    EXPECT(unlink("gone"), 0);
    EXPECT(write(file, "y", 1), 1);
    close(file);
}

static void rename_in_all_ways(int in)
{
    EXPECT(mkdir("d/e", 0700), 0);
    EXPECT(mkdirat(in, "f", 0700), 0);
    EXPECT(link("d/b", "d/e/linked"), 0);
    EXPECT(linkat(in, "b", AT_FDCWD, "linked", 0), 0);
    EXPECT(rename("linked", "d/e/../f/renamed"), 0);
    EXPECT(renameat(in, "e/linked", in, "e/again"), 0);
    EXPECT(renameat2(AT_FDCWD, "d/e", in, "./g", 0), 0);
    EXPECT(unlinkat(in, "g/again", 0), 0);
    EXPECT(rmdir("d/g"), 0);
    EXPECT(mkdir("h", 0700), 0);
    EXPECT(remove("h"), 0);
    EXPECT(mkdir("h", 0700), 0);
    EXPECT(unlinkat(AT_FDCWD, "h", AT_REMOVEDIR), 0);
    EXPECT(fsync(in), 0);
}

static void do_everything(void)
{
    find_library();
    EXPECT(chdir(folder), 0);
    mark("begin");
    EXPECT(mkdir("d", 0700), 0);
    int in = open("d", O_RDONLY | O_DIRECTORY);
    int file = openat(in, "b", O_RDWR | O_CREAT | O_EXCL, 0600);
    write_in_all_ways(file);
    resize_in_all_ways(file);
    append_and_sync();
    rename_in_all_ways(in);
    int again = open64("d/b", O_RDWR);
    EXPECT(pwrite(again, "again", 5, 1000), 5);
    EXPECT(pwrite(file, "both", 4, 1003), 4);
    close(again);
    again = openat64(in, "truncated", O_RDWR | O_CREAT, 0600);
    EXPECT(write(again, "gone", 4), 4);
    close(again);
    again = open("d/truncated", O_WRONLY | O_TRUNC);
    EXPECT(pwrite(again, "new", 3, 1), 3);
    EXPECT(copy_file_range(file, NULL, again, NULL, 10, 0), -1);
    close(again);
    close(file);
    close(in);
    mark("end");
}

static size_t records_of(const struct recording *recording, enum files_kind kind)
{
    size_t found = 0;
    for (size_t i = 0; i < recording->count; i++) found += recording->records[i].head.kind == kind;
    return found;
}

static int run(const char *what, const char *log)
{
    const char *arguments[] = { what, folder };
    return recorder_run(&(struct recorder){ folder, log, arguments, 2 });
}

static void check_recording(const char *scratch)
{
    char log[SCRATCH_PATH_SIZE + 8], spare[SCRATCH_PATH_SIZE + 8];
    struct recording recording;
    struct disk *disk = disk_create();
    snprintf(log, sizeof log, "%s/log", scratch);
    snprintf(spare, sizeof spare, "%s/spare", scratch);
    EXPECT(run("--everything", log), 0);
    recording_load(log, &recording);
    for (size_t i = 0; i < recording.count; i++) disk_apply(disk, &recording.records[i]);
    disk_must_equal(disk, folder, spare);
    EXPECT(strcmp(recording.records[0].path, "begin"), 0);
    EXPECT(strcmp(recording.records[recording.count - 1].path, "end"), 0);
    EXPECT(records_of(&recording, FILES_WRITE), 16u);
    EXPECT(records_of(&recording, FILES_SYNC), 4u); /* one of them by O_DSYNC */
    EXPECT(records_of(&recording, FILES_MKDIR), 5u);
    EXPECT(records_of(&recording, FILES_RMDIR), 3u);
    printf("%zu calls recorded, and they give the same files\n", recording.count);
    recording_free(&recording);
    disk_destroy(&disk);
}

/* --- failing --- */

enum call {
    CREATE,
    WRITE,
    PWRITE,
    WRITEV,
    RESERVE,
    TRUNCATE,
    FSYNC,
    FDATASYNC,
    READ,
    MAP,
    MKDIR,
    RENAME,
    LINK,
    RMDIR,
    UNLINK,
    OPEN,
    CALLS
};

static void note(int errors[static CALLS], enum call call, bool good)
{
    errors[call] = good ? 0 : errno != 0 ? errno : FILES_SHORT;
    errno = 0;
}

static void use_file(int file, int errors[static CALLS])
{
    char bytes[10] = "123456789";
    note(errors, WRITE, write(file, bytes, 10) == 10);
    note(errors, PWRITE, pwrite(file, bytes, 10, 10) == 10);
    note(errors, WRITEV, writev(file, &(struct iovec){ bytes, 10 }, 1) == 10);
    errno = posix_fallocate(file, 0, 100);
    note(errors, RESERVE, errno == 0);
    note(errors, TRUNCATE, ftruncate(file, 50) == 0);
    note(errors, FSYNC, fsync(file) == 0);
    note(errors, FDATASYNC, fdatasync(file) == 0);
    note(errors, READ, pread(file, bytes, 10, 0) >= 0);
    void *map = mmap(NULL, 10, PROT_READ, MAP_SHARED, file, 0);
    note(errors, MAP, map != MAP_FAILED);
    if (map != MAP_FAILED) munmap(map, 10);
}

/* Each once, in an empty folder; errors[call] becomes what it gave, 0 when it did all it should. */
static void call_each(int errors[static CALLS])
{
    errno = 0;
    int file = open("file", O_RDWR | O_CREAT, 0600);
    note(errors, CREATE, file >= 0);
    if (file < 0) file = open("file", O_RDWR | O_CREAT, 0600);
    use_file(file, errors);
    close(file);
    note(errors, MKDIR, mkdir("folder", 0700) == 0);
    note(errors, RENAME, rename("file", "other") == 0);
    note(errors, LINK, link("other", "linked") == 0);
    note(errors, RMDIR, rmdir("folder") == 0);
    note(errors, UNLINK, unlink("other") == 0);
    file = open("linked", O_RDONLY);
    note(errors, OPEN, file >= 0);
    if (file >= 0) close(file);
}

static void clean(void)
{
    make_fail(NULL);
    scratch_remove("file"), scratch_remove("other"), scratch_remove("linked");
    scratch_remove("folder");
}

/* Does it once with this fault; a bit for each call that failed so. */
static unsigned fail_once(const struct files_fault *fault, uint64_t *failed)
{
    int errors[CALLS];
    unsigned calls = 0;
    uint64_t counted;
    make_fail(fault);
    call_each(errors);
    count(&counted, failed);
    for (size_t i = 0; i < CALLS; i++)
        if (errors[i] == fault->error) calls |= 1u << i;
    clean();
    return calls;
}

/* Makes the calls fail in turn, until none is left that did. */
static unsigned fail_in_turn(int error)
{
    unsigned all = 0;
    for (uint64_t n = 1, failed = 1;; n++) {
        unsigned calls = fail_once(&(struct files_fault){ .first = n, .error = error }, &failed);
        if (failed == 0) return all;
        must(failed == 1 && __builtin_popcount(calls) == 1, "call %d of error %d: %#x failed",
             (int)n, error, calls);
        all |= calls;
    }
}

static void fail_in_all_ways(void)
{
    const unsigned all = (1u << CALLS) - 1, writes = 1u << WRITE | 1u << PWRITE | 1u << WRITEV;
    const unsigned data = writes | 1u << RESERVE | 1u << TRUNCATE | 1u << FSYNC | 1u << FDATASYNC;
    const unsigned opens = 1u << OPEN | 1u << CREATE;
    const unsigned names = 1u << MKDIR | 1u << RENAME | 1u << LINK;
    uint64_t failed;
    find_library();
    EXPECT(chdir(folder), 0);
    EXPECT(fail_in_turn(EIO), all & ~(1u << MAP));
    EXPECT(fail_in_turn(ENOSPC), data | names | 1u << CREATE);
    EXPECT(fail_in_turn(EINTR), data | 1u << READ);
    EXPECT(fail_in_turn(FILES_SHORT), writes);
    EXPECT(fail_in_turn(EMFILE), opens);
    EXPECT(fail_in_turn(ENOMEM), opens | 1u << MAP);
    EXPECT(fail_in_turn(EACCES), opens | names | 1u << RMDIR | 1u << UNLINK);
    struct files_fault fault = {
        .first = 2, .error = EIO, .go_on = true, .kinds = 1u << FILES_WRITE
    };
    EXPECT(fail_once(&fault, &failed), writes & ~(1u << WRITE));
    EXPECT(failed, 2u);
    fault.first = 0;
    EXPECT(fail_once(&fault, &failed), 0u);
}

static void fail_by_environment(void)
{
    int errors[CALLS];
    EXPECT(chdir(folder), 0);
    call_each(errors);
    for (size_t i = 0; i < CALLS; i++) {
        int expected = i == FDATASYNC || i == RMDIR ? EIO : 0;
        must(errors[i] == expected, "call %zu gave %d", i, errors[i]);
    }
}

static void check_environment(const char *scratch)
{
    char path[SCRATCH_PATH_SIZE + 8], text[16] = { 0 };
    snprintf(path, sizeof path, "%s/count", scratch);
    setenv("WAGGLE_FILES_FAIL", "2:EIO:on", 1);
    setenv("WAGGLE_FILES_KINDS", "rmdir,sync", 1);
    setenv("WAGGLE_FILES_COUNT", path, 1);
    scratch_remove(folder);
    EXPECT(mkdir(folder, 0700), 0);
    EXPECT(run("--by-environment", NULL), 0);
    int file = open(path, O_RDONLY);
    EXPECT(read(file, text, sizeof text - 1), 4);
    EXPECT(strcmp(text, "3 2\n"), 0);
    close(file);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        snprintf(folder, sizeof folder, "%s", argv[2]);
        if (strcmp(argv[1], "--everything") == 0) do_everything();
        if (strcmp(argv[1], "--fail") == 0) fail_in_all_ways();
        if (strcmp(argv[1], "--by-environment") == 0) fail_by_environment();
        return 0;
    }
    const char *scratch = scratch_create();
    int size = snprintf(folder, sizeof folder, "%s/below", scratch);
    must(size > 0 && size < (int)sizeof folder && mkdir(folder, 0700) == 0, "no folder");
    check_recording(scratch);
    scratch_remove(folder);
    EXPECT(mkdir(folder, 0700), 0);
    EXPECT(run("--fail", NULL), 0);
    check_environment(scratch);
    puts("every call fails as it may, and is counted");
    return 0;
}
