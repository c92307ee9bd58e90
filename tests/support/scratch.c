#include "support/scratch.h"

#include "support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH_MAX = 64 };

static char made[SCRATCH_MAX][SCRATCH_PATH_SIZE];
static size_t made_count;
static pid_t maker;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

void scratch_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_all(void)
{
    if (getpid() != maker) return;
    for (size_t i = 0; i < made_count; i++) scratch_remove(made[i]);
}

const char *scratch_create(void)
{
    must(made_count < SCRATCH_MAX, "a test makes more than %d folders", SCRATCH_MAX);
    if (made_count == 0) {
        maker = getpid();
        atexit(remove_all);
    }
    const char *parent = getenv("TMPDIR");
    char *path = made[made_count++];
    snprintf(path, SCRATCH_PATH_SIZE, "%s/waggle-test-XXXXXX", parent ? parent : "/tmp");
    must(mkdtemp(path), "cannot make %s", path);
    return path;
}

static void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    struct stat status;
    must(in >= 0 && out >= 0 && fstat(in, &status) == 0, "cannot copy %s to %s", from, to);
    must(ftruncate(out, status.st_size) == 0, "cannot size %s", to);
    char part[65536];
    static const char zeros[sizeof part];
    off_t at = 0;
    for (ssize_t got; (got = read(in, part, sizeof part)) > 0; at += got)
        if (memcmp(part, zeros, (size_t)got) != 0)
            must(pwrite(out, part, (size_t)got, at) == got, "cannot write %s", to);
    close(in);
    close(out);
}

static const char *copy_from, *copy_to;

static int copy_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)where;
    char to[2 * SCRATCH_PATH_SIZE];
    snprintf(to, sizeof to, "%s%s", copy_to, path + strlen(copy_from));
    if (type == FTW_D) must(mkdir(to, 0700) == 0, "cannot make %s", to);
    if (type == FTW_F) copy_file(path, to);
    return 0;
}

void scratch_copy(const char *from, const char *to)
{
    copy_from = from;
    copy_to = to;
    must(nftw(from, copy_one, 16, FTW_PHYS) == 0, "cannot copy %s", from);
}

void scratch_each_file(const char *path, scratch_visit *visit, void *user)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    must(count >= 0, "cannot list %s", path);
    for (int i = 0; i < count; i++) {
        char inner[2 * SCRATCH_PATH_SIZE];
        struct stat status;
        snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        bool dots = strcmp(entries[i]->d_name, ".") == 0 || strcmp(entries[i]->d_name, "..") == 0;
        if (!dots && lstat(inner, &status) == 0) {
            if (S_ISDIR(status.st_mode)) scratch_each_file(inner, visit, user);
            if (S_ISREG(status.st_mode)) visit(user, inner, (size_t)status.st_size);
        }
        free(entries[i]);
    }
    free(entries);
}
