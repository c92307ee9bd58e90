#include "preload/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 65536, LOG_FD_MIN = 512 };
enum { WATCHED = 1, RECORDED = 2, SYNCED = 4, APPENDS = 8 };

static char folder[PATH_MAX];
static size_t folder_size; /* 0: nothing is watched */
static _Atomic unsigned char fds[FDS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Guarded by the lock, once the library is loaded. */
static int log_fd = -1;
static struct timespec sync_delay;
static struct files_fault fault;
static uint64_t calls, failed;

static const char *const kind_names[FILES_KIND_COUNT] = {
    "open", "mkdir",  "read", "write",  "reserve", "truncate",
    "sync", "rename", "link", "unlink", "rmdir",   "map",
};

void watch_die(const char *why, const char *what)
{
    struct iovec parts[] = { { (char[]){ "preload/files: " }, 15 },
                             { (void *)(uintptr_t)why, strlen(why) },
                             { (char[]){ ": " }, 2 },
                             { (void *)(uintptr_t)what, strlen(what) },
                             { (char[]){ "\n" }, 1 } };
    (void)!syscall(SYS_writev, STDERR_FILENO, parts, 5);
    abort();
}

/* --- paths --- */

/* The folder that a relative path begins from, with a '/' behind it. */
static bool start_of(int from, char *out, size_t room)
{
    char link[32];
    if (from == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", from);
    long size = syscall(SYS_readlinkat, AT_FDCWD, link, out, room - 2);
    if (size < 0) return false;
    out[size] = '/';
    out[size + 1] = 0;
    return true;
}

/* Takes out ".", ".." and double slashes. There are no symbolic links below the folder. */
static void normalize(char *path)
{
    char *to = path, *from = path;
    while (*from) {
        while (*from == '/') from++;
        size_t size = strcspn(from, "/");
        if (size == 2 && memcmp(from, "..", 2) == 0) {
            while (to > path && *--to != '/') {
            }
        } else if (size > 0 && !(size == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, size);
            to += size;
        }
        from += size;
    }
    *to = 0;
}

bool watch_path(int from, const char *path, char *below)
{
    char whole[2 * PATH_MAX] = "";
    if (folder_size == 0 || !path) return false;
    if (*path != '/' && !start_of(from, whole, PATH_MAX)) return false;
    size_t start = strlen(whole);
    if (strlen(path) >= sizeof whole - start) return false;
    strcpy(whole + start, path);
    normalize(whole);
    if (strncmp(whole, folder, folder_size) != 0) return false;
    const char *rest = whole + folder_size;
    if (*rest != 0 && *rest != '/') return false;
    if (*rest == '/') rest++;
    if (strlen(rest) >= WATCH_PATH_SIZE) watch_die("the path is too long", rest);
    strcpy(below, rest);
    return true;
}

/* --- descriptors --- */

static unsigned char state_of(int fd)
{
    return fd >= 0 && fd < FDS_MAX ? atomic_load(&fds[fd]) : 0;
}

bool watch_fd(int fd)
{
    return state_of(fd) != 0;
}

bool watch_is_recorded(int fd)
{
    return state_of(fd) & RECORDED;
}

bool watch_is_synced(int fd)
{
    return state_of(fd) & SYNCED;
}

bool watch_appends(int fd)
{
    return state_of(fd) & APPENDS;
}

void watch_fd_opened(int fd, const char *below, int flags)
{
    if (fd >= FDS_MAX) watch_die("too many descriptors", below);
    const char *slash = strrchr(below, '/'), *name = slash ? slash + 1 : below;
    bool is_lock = strcmp(name, "lock") == 0 || strcmp(name, "lock.mdb") == 0;
    int state = WATCHED | (is_lock ? 0 : RECORDED);
    if (flags & O_DSYNC) state |= SYNCED; /* O_SYNC contains it */
    if (flags & O_APPEND) state |= APPENDS;
    atomic_store(&fds[fd], (unsigned char)state);
}

void watch_fd_closed(int fd)
{
    atomic_store(&fds[fd], 0);
}

void watch_begin(void)
{
    pthread_mutex_lock(&lock);
}

long watch_end(long result)
{
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

/* --- failing --- */

static bool is_one_of(int error, const int *errors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (error == errors[i]) return true;
    return false;
}

#define KIND(name)            (1u << FILES_##name)
#define ONE_OF(error, errors) is_one_of((error), (errors), sizeof(errors) / sizeof *(errors))

/* The kinds of call that may give this error. */
static unsigned kinds_that_give(int error)
{
    static const int room[] = { ENOSPC, EDQUOT }, names[] = { EACCES, EPERM, EROFS };
    static const int descriptors[] = { EMFILE, ENFILE };
    const unsigned named =
        KIND(OPEN) | KIND(MKDIR) | KIND(RENAME) | KIND(LINK) | KIND(UNLINK) | KIND(RMDIR);
    const unsigned written = KIND(WRITE) | KIND(RESERVE) | KIND(TRUNCATE) | KIND(SYNC);
    if (error == FILES_SHORT) return KIND(WRITE);
    if (error == EINTR) return written | KIND(READ);
    if (error == ENOMEM) return KIND(OPEN) | KIND(MAP);
    if (ONE_OF(error, descriptors)) return KIND(OPEN);
    if (ONE_OF(error, names)) return named;
    if (ONE_OF(error, room)) return (named | written) & ~(KIND(UNLINK) | KIND(RMDIR));
    return (named | written | KIND(READ));
}

static bool may_give(enum files_kind kind, int error, uint64_t detail)
{
    if (!(kinds_that_give(error) >> kind & 1)) return false;
    if (error == FILES_SHORT) return detail >= 2;
    bool needs_room = error == ENOSPC || error == EDQUOT;
    return !(needs_room && kind == FILES_OPEN && !(detail & O_CREAT));
}

/* Counts the call. */
static bool is_next(enum files_kind kind, uint64_t detail)
{
    if (fault.kinds != 0 && !(fault.kinds >> kind & 1)) return false;
    if (fault.error == 0 || !may_give(kind, fault.error, detail)) return false;
    calls++;
    bool fails = fault.first != 0 && (calls == fault.first || (fault.go_on && calls > fault.first));
    failed += fails;
    return fails;
}

bool watch_refuses(enum files_kind kind, uint64_t detail)
{
    if (!is_next(kind, detail)) return false;
    errno = fault.error;
    return true;
}

ssize_t watch_allows(size_t size)
{
    if (!is_next(FILES_WRITE, size)) return (ssize_t)size;
    if (fault.error == FILES_SHORT) return (ssize_t)(size / 2);
    errno = fault.error;
    return -1;
}

#define EXPORTED __attribute__((visibility("default")))
EXPORTED files_mark_fn files_mark;
EXPORTED files_fail_fn files_fail;
EXPORTED files_count_fn files_count;

void files_fail(const struct files_fault *next)
{
    watch_begin();
    fault = next ? *next : (struct files_fault){ 0 };
    if (fault.go_on && fault.error == EINTR) watch_die("EINTR cannot go on", "it is tried again");
    calls = failed = 0;
    watch_end(0);
}

void files_count(uint64_t *calls_made, uint64_t *calls_failed)
{
    watch_begin();
    *calls_made = calls;
    *calls_failed = failed;
    watch_end(0);
}

/* --- the log --- */

void watch_log(const struct files_record *record, const char *path, const char *second,
               const void *data)
{
    struct files_record head = *record;
    if (log_fd < 0) return;
    head.path_size = (uint16_t)(path ? strlen(path) + 1 : 0);
    head.second_size = (uint16_t)(second ? strlen(second) + 1 : 0);
    struct iovec parts[] = { { &head, sizeof head },
                             { (void *)(uintptr_t)path, head.path_size },
                             { (void *)(uintptr_t)second, head.second_size },
                             { (void *)(uintptr_t)data, (size_t)head.data_size } };
    size_t whole = sizeof head + head.path_size + head.second_size + (size_t)head.data_size;
    int error = errno;
    long put = syscall(SYS_writev, log_fd, parts, 4);
    if (put < 0 || (size_t)put != whole) watch_die("cannot write the log", strerror(errno));
    errno = error;
}

void files_mark(const char *text)
{
    watch_begin();
    watch_log(&(struct files_record){ .kind = FILES_MARK, .fd = -1 }, text, NULL, NULL);
    watch_end(0);
}

void watch_sync_delay(void)
{
    if (sync_delay.tv_nsec > 0) nanosleep(&sync_delay, NULL);
}

/* --- what the environment says --- */

static int error_of(const char *name, size_t size)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {
        { "EIO", EIO },       { "ENOSPC", ENOSPC },     { "EDQUOT", EDQUOT }, { "EINTR", EINTR },
        { "EMFILE", EMFILE }, { "ENFILE", ENFILE },     { "ENOMEM", ENOMEM }, { "EACCES", EACCES },
        { "EROFS", EROFS },   { "short", FILES_SHORT },
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strlen(errors[i].name) == size && memcmp(errors[i].name, name, size) == 0)
            return errors[i].error;
    int error = atoi(name);
    if (error <= 0) watch_die("no such error", name);
    return error;
}

static void read_fault(const char *text)
{
    char *end;
    fault.first = strtoull(text, &end, 10);
    if (*end != ':') watch_die("WAGGLE_FILES_FAIL is not N:ERROR", text);
    const char *name = end + 1, *behind = strchr(name, ':');
    fault.error = error_of(name, behind ? (size_t)(behind - name) : strlen(name));
    fault.go_on = behind && strcmp(behind, ":on") == 0;
}

static void read_kinds(const char *text)
{
    for (const char *at = text; *at;) {
        size_t size = strcspn(at, ","), kind = 0;
        while (kind < FILES_KIND_COUNT &&
               (strlen(kind_names[kind]) != size || memcmp(kind_names[kind], at, size) != 0))
            kind++;
        if (kind == FILES_KIND_COUNT) watch_die("no such kind of call", at);
        fault.kinds |= 1u << kind;
        at += size + (at[size] == ',');
    }
}

static void open_log(const char *path)
{
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* out of the way, so that the process gets the descriptors that it would get without us */
    log_fd = fd < 0 ? -1 : (int)syscall(SYS_fcntl, (int)fd, F_DUPFD_CLOEXEC, LOG_FD_MIN);
    if (log_fd < 0) watch_die("cannot open the log", path);
    syscall(SYS_close, (int)fd);
}

__attribute__((constructor)) static void begin(void)
{
    const char *below = getenv("WAGGLE_FILES_BELOW"), *log = getenv("WAGGLE_FILES_LOG");
    const char *fail = getenv("WAGGLE_FILES_FAIL"), *kinds = getenv("WAGGLE_FILES_KINDS");
    const char *delay = getenv("WAGGLE_FILES_SYNC_US");
    if (!below) return;
    if (delay) sync_delay.tv_nsec = atol(delay) % 1000000 * 1000;
    if (fail) read_fault(fail);
    if (kinds) read_kinds(kinds);
    if (log) open_log(log);
    if (!realpath(below, folder)) watch_die("there is no such folder", below);
    folder_size = strlen(folder);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("WAGGLE_FILES_COUNT");
    char text[64];
    if (!path || folder_size == 0) return;
    int size = snprintf(text, sizeof text, "%llu %llu\n", (unsigned long long)calls,
                        (unsigned long long)failed);
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || syscall(SYS_write, (int)fd, text, (size_t)size) != size)
        watch_die("cannot write the count", path);
    syscall(SYS_close, (int)fd);
}
