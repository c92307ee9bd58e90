/* Calls that open, make, rename and remove. */
#include "preload/watch.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What fortified code calls. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

/* --- open and close --- */

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    char below[WATCH_PATH_SIZE];
    if (!watch_path(folder, path, below))
        return (int)syscall(SYS_openat, folder, path, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE) watch_die("O_TMPFILE is not followed", path);
    watch_begin();
    if (watch_refuses(FILES_OPEN, (uint64_t)flags)) return (int)watch_end(-1);
    long fd = syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0) {
        watch_fd_opened((int)fd, below, flags);
        watch_log(&(struct files_record){ .kind = FILES_OPEN,
                                          .fd = (int)fd,
                                          .flags = (uint32_t)flags },
                  below, NULL, NULL);
    }
    return (int)watch_end(fd);
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define OPEN_ANY(folder)                                          \
    va_list args;                                                 \
    va_start(args, flags);                                        \
    int fd = open_any(folder, path, flags, mode_of(flags, args)); \
    va_end(args);                                                 \
    return fd

int open(const char *path, int flags, ...)
{
    OPEN_ANY(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
    OPEN_ANY(AT_FDCWD);
}

int openat(int folder, const char *path, int flags, ...)
{
    OPEN_ANY(folder);
}

int openat64(int folder, const char *path, int flags, ...)
{
    OPEN_ANY(folder);
}

int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int folder, const char *path, int flags)
{
    return open_any(folder, path, flags, 0);
}

int __openat64_2(int folder, const char *path, int flags)
{
    return open_any(folder, path, flags, 0);
}

int creat(const char *path, mode_t mode)
{
    return open_any(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
    return creat(path, mode);
}

int close(int fd)
{
    if (!watch_fd(fd)) return (int)syscall(SYS_close, fd);
    watch_begin();
    watch_fd_closed(fd);
    return (int)watch_end(syscall(SYS_close, fd));
}

/* --- what is not followed --- */

int dup(int fd)
{
    if (watch_fd(fd)) watch_die("a descriptor is duplicated", "dup");
    return (int)syscall(SYS_dup, fd);
}

int dup2(int from, int to)
{
    if (watch_fd(from) || watch_fd(to)) watch_die("a descriptor is duplicated", "dup2");
    if (from == to) return (int)syscall(SYS_fcntl, from, F_GETFD) < 0 ? -1 : to;
    return (int)syscall(SYS_dup3, from, to, 0);
}

int dup3(int from, int to, int flags)
{
    if (watch_fd(from) || watch_fd(to)) watch_die("a descriptor is duplicated", "dup3");
    return (int)syscall(SYS_dup3, from, to, flags);
}

static int fcntl_any(int fd, int command, void *argument)
{
    if (watch_fd(fd) && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        watch_die("a descriptor is duplicated", "fcntl");
    return (int)syscall(SYS_fcntl, fd, command, argument);
}

#define FCNTL_ANY                          \
    va_list args;                          \
    va_start(args, command);               \
    void *argument = va_arg(args, void *); \
    va_end(args);                          \
    return fcntl_any(fd, command, argument)

int fcntl(int fd, int command, ...)
{
    FCNTL_ANY;
}

int fcntl64(int fd, int command, ...)
{
    FCNTL_ANY;
}

/* The C library's own function, for the calls that have no system call. */
static void find_next(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) watch_die("there is no such function", name);
    memcpy(function, &found, sizeof found);
}

static void refuse_stdio(const char *path, const char *mode)
{
    char below[WATCH_PATH_SIZE];
    if (strpbrk(mode, "wa+") && watch_path(AT_FDCWD, path, below))
        watch_die("written through stdio", path);
}

FILE *fopen(const char *path, const char *mode)
{
    FILE *(*next)(const char *, const char *);
    refuse_stdio(path, mode);
    find_next("fopen", &next);
    return next(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    FILE *(*next)(const char *, const char *);
    refuse_stdio(path, mode);
    find_next("fopen64", &next);
    return next(path, mode);
}

FILE *fdopen(int fd, const char *mode)
{
    FILE *(*next)(int, const char *);
    if (watch_fd(fd)) watch_die("written through stdio", "fdopen");
    find_next("fdopen", &next);
    return next(fd, mode);
}

/* --- names --- */

int mkdirat(int folder, const char *path, mode_t mode)
{
    char below[WATCH_PATH_SIZE];
    if (!watch_path(folder, path, below)) return (int)syscall(SYS_mkdirat, folder, path, mode);
    watch_begin();
    if (watch_refuses(FILES_MKDIR, 0)) return (int)watch_end(-1);
    long result = syscall(SYS_mkdirat, folder, path, mode);
    if (result == 0)
        watch_log(&(struct files_record){ .kind = FILES_MKDIR, .fd = -1 }, below, NULL, NULL);
    return (int)watch_end(result);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int folder, const char *path, int flags)
{
    char below[WATCH_PATH_SIZE];
    if (!watch_path(folder, path, below)) return (int)syscall(SYS_unlinkat, folder, path, flags);
    enum files_kind kind = flags & AT_REMOVEDIR ? FILES_RMDIR : FILES_UNLINK;
    watch_begin();
    if (watch_refuses(kind, 0)) return (int)watch_end(-1);
    long result = syscall(SYS_unlinkat, folder, path, flags);
    if (result == 0) watch_log(&(struct files_record){ .kind = kind, .fd = -1 }, below, NULL, NULL);
    return (int)watch_end(result);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    int result = unlink(path);
    return result != 0 && errno == EISDIR ? rmdir(path) : result;
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    char below[WATCH_PATH_SIZE], to_below[WATCH_PATH_SIZE];
    bool leaves = watch_path(from_folder, from, below);
    bool arrives = watch_path(to_folder, to, to_below);
    if (!leaves && !arrives)
        return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (leaves != arrives) watch_die("renamed into the folder, or out of it", to);
    if (flags & RENAME_EXCHANGE) watch_die("RENAME_EXCHANGE is not followed", to);
    watch_begin();
    if (watch_refuses(FILES_RENAME, 0)) return (int)watch_end(-1);
    long result = syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (result == 0)
        watch_log(&(struct files_record){ .kind = FILES_RENAME, .fd = -1 }, below, to_below, NULL);
    return (int)watch_end(result);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    char below[WATCH_PATH_SIZE], to_below[WATCH_PATH_SIZE];
    if (!watch_path(to_folder, to, to_below))
        return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    if (!watch_path(from_folder, from, below)) watch_die("linked into the folder", to);
    watch_begin();
    if (watch_refuses(FILES_LINK, 0)) return (int)watch_end(-1);
    long result = syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    if (result == 0)
        watch_log(&(struct files_record){ .kind = FILES_LINK, .fd = -1 }, below, to_below, NULL);
    return (int)watch_end(result);
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int symlinkat(const char *target, int folder, const char *path)
{
    char below[WATCH_PATH_SIZE];
    if (watch_path(folder, path, below)) watch_die("symbolic links are not followed", path);
    return (int)syscall(SYS_symlinkat, target, folder, path);
}

int symlink(const char *target, const char *path)
{
    return symlinkat(target, AT_FDCWD, path);
}
