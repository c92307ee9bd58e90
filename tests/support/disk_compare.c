#include "support/check.h"
#include "support/disk.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 2048, PART_SIZE = 4096 };

struct comparison {
    const char *from, *to;
    size_t count;
};

static void count_file(void *user, const char *path, size_t size)
{
    (void)path, (void)size;
    ((struct comparison *)user)->count++;
}

static void compare_bytes(const char *path, const char *other)
{
    char parts[2][PART_SIZE];
    ssize_t got[2] = { 1, 1 };
    int a = open(path, O_RDONLY), b = open(other, O_RDONLY);
    must(a >= 0 && b >= 0, "%s is not in the recording", path);
    for (size_t at = 0; got[0] > 0; at += PART_SIZE) {
        got[0] = read(a, parts[0], PART_SIZE);
        got[1] = read(b, parts[1], PART_SIZE);
        must(got[0] == got[1] && got[0] >= 0 && memcmp(parts[0], parts[1], (size_t)got[0]) == 0,
             "%s is not as recorded, in the page at byte %zu", path, at);
    }
    close(a);
    close(b);
}

static void compare_file(void *user, const char *path, size_t size)
{
    struct comparison *comparison = user;
    char other[PATH_SIZE];
    (void)size;
    comparison->count++;
    const char *name = strrchr(path, '/') + 1;
    if (strcmp(name, "lock") == 0 || strcmp(name, "lock.mdb") == 0) return;
    snprintf(other, sizeof other, "%s%s", comparison->to, path + strlen(comparison->from));
    compare_bytes(path, other);
}

void disk_must_equal(const struct disk *disk, const char *folder, const char *spare)
{
    struct comparison real = { .from = folder, .to = spare }, played = { 0 };
    must(mkdir(spare, 0700) == 0, "cannot make %s", spare);
    disk_write_out(disk, &(struct disk_crash){ .loss = DISK_KEEPS }, spare);
    scratch_each_file(folder, compare_file, &real);
    scratch_each_file(spare, count_file, &played);
    must(real.count == played.count && real.count > 0, "%zu files, and %zu in the recording",
         real.count, played.count);
    scratch_remove(spare);
}
