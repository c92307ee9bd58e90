#define _GNU_SOURCE /* dirent's directory functions */
#include "base/mem.h"
#include "os/file.h"
#include "os/posix/fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

wg_err path_join(const char *folder, const char *name, char **out)
{
    size_t room = strlen(folder) + strlen(name) + 2;
    char *path = NULL;
    wg_err err = mem_resize(&path, room);
    if (err != WG_OK) return err;
    snprintf(path, room, "%s%s%s", folder, *name ? "/" : "", name);
    *out = path;
    return WG_OK;
}

wg_err folder_create(const char *path)
{
    return mkdir(path, 0777) == 0 ? WG_OK : posix_fail(path, "make the folder");
}

wg_err folder_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return posix_fail(path, "open");
    int result;
    do result = fsync(fd);
    while (result != 0 && errno == EINTR);
    wg_err err = result == 0 ? WG_OK : posix_fail(path, "sync");
    close(fd);
    return err;
}

bool folder_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
}

wg_err file_identify(const char *path, struct file_identity *out)
{
    struct stat status;
    if (stat(path, &status) != 0) return posix_fail(path, "look at");
    *out = (struct file_identity){ status.st_dev, status.st_ino };
    return WG_OK;
}

wg_err file_link(const char *from, const char *to)
{
    return link(from, to) == 0 ? WG_OK : posix_fail(to, "link");
}

wg_err file_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? WG_OK : posix_fail(to, "rename a file to");
}

const char *folder_of_temporary(void)
{
    return folder_writable("/dev/shm") ? "/dev/shm" : P_tmpdir;
}

wg_err folder_create_temporary(const char *prefix, char **out)
{
    wg_err err = WG_OK;
    char name[64], *path = NULL;
    snprintf(name, sizeof name, "%sXXXXXX", prefix);
    TRY(path_join(folder_of_temporary(), name, &path));
    if (!mkdtemp(path)) TRY(posix_fail(path, "make the folder"));
    *out = path;
    path = NULL; /* moved */
out:
    mem_free(&path);
    return err;
}

bool folder_writable(const char *path)
{
    return access(path, W_OK | X_OK) == 0;
}

wg_err folder_list(const char *path, bool (*visit)(void *user, const char *name), void *user)
{
    DIR *folder = opendir(path);
    if (!folder) return posix_fail(path, "list");
    bool go_on = true;
    struct dirent *entry;
    for (errno = 0; go_on && (entry = readdir(folder)) != NULL; errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            go_on = visit(user, entry->d_name);
    wg_err err = go_on && errno != 0 ? posix_fail(path, "list") : WG_OK;
    closedir(folder);
    return err;
}

/* What a walk over a folder does: visits a file or, after all that is in it, a folder. */
struct walk {
    const char *folder;
    wg_err (*visit)(struct walk *walk, const char *path, bool is_folder);
    uint64_t bytes;
    wg_err err;
};

static bool walk_entry(void *user, const char *name)
{
    struct walk *walk = user;
    wg_err err = WG_OK;
    char *path = NULL;
    TRY(path_join(walk->folder, name, &path));
    struct stat status;
    if (lstat(path, &status) != 0) TRY(posix_fail(path, "look at"));
    if (S_ISDIR(status.st_mode)) {
        struct walk below = { .folder = path, .visit = walk->visit };
        TRY(folder_list(path, walk_entry, &below));
        walk->bytes += below.bytes;
        TRY(below.err);
    }
    walk->bytes += (uint64_t)status.st_blocks * 512;
    TRY(walk->visit(walk, path, S_ISDIR(status.st_mode)));
out:
    mem_free(&path);
    if (err == WG_ENOTFOUND) err = WG_OK; /* gone meanwhile */
    walk->err = err;
    return err == WG_OK;
}

static wg_err remove_entry(struct walk *walk, const char *path, bool is_folder)
{
    (void)walk;
    int result = is_folder ? rmdir(path) : unlink(path);
    return result == 0 ? WG_OK : posix_fail(path, "remove");
}

wg_err folder_remove(const char *path)
{
    struct walk walk = { .folder = path, .visit = remove_entry };
    wg_err err = folder_list(path, walk_entry, &walk);
    if (err == WG_OK) err = walk.err;
    if (err == WG_OK) err = remove_entry(&walk, path, true);
    return err;
}

static wg_err count_entry(struct walk *walk, const char *path, bool is_folder)
{
    (void)walk, (void)path, (void)is_folder;
    return WG_OK;
}

wg_err folder_disk_bytes(const char *path, uint64_t *out)
{
    struct walk walk = { .folder = path, .visit = count_entry };
    wg_err err = folder_list(path, walk_entry, &walk);
    if (err == WG_OK) err = walk.err;
    if (err == WG_OK) *out = walk.bytes;
    return err;
}

wg_err disk_free_bytes(const char *path, uint64_t *out)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0) return posix_fail(path, "look at the disk of");
    *out = (uint64_t)status.f_bavail * status.f_frsize;
    return WG_OK;
}

static bool note_any(void *user, const char *name)
{
    (void)name;
    *(bool *)user = true;
    return false;
}

bool folder_free(const char *path)
{
    struct stat status;
    bool any = false;
    if (lstat(path, &status) != 0) return errno == ENOENT;
    return S_ISDIR(status.st_mode) && folder_list(path, note_any, &any) == WG_OK && !any;
}
