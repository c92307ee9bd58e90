/* Loaded with LD_PRELOAD, counts what the process does to have its writes on the disk: fsync,
 * fdatasync, syncfs, msync that waits, and writes through descriptors that sync by themselves
 * (O_DSYNC, O_SYNC: LMDB's meta page). Calls that go around libc are not seen. Any thread. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { SYNCED_FILES, SYNCED_WRITES, SYNCED_MAPS, KIND_COUNT };

static atomic_ulong counts[KIND_COUNT];

/* Since the start of the process. */
unsigned long sync_count(unsigned kind);

unsigned long sync_count(unsigned kind)
{
    return kind < KIND_COUNT ? counts[kind] : 0;
}

/* The function that this one hides. */
static void *next_of(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static void count_write(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && flags & O_DSYNC) counts[SYNCED_WRITES]++;
}

/* Calls the hidden function of that type, after having counted. */
#define PASS_ON(type, name, ...)          \
    static _Atomic(void *) next;          \
    if (!next) next = next_of(name);      \
    type *call;                           \
    *(void **)&call = atomic_load(&next); \
    return call(__VA_ARGS__)

typedef int file_call(int);
typedef int map_call(void *, size_t, int);
typedef ssize_t write_call(int, const void *, size_t);
typedef ssize_t write_at_call(int, const void *, size_t, off_t);
typedef ssize_t write_pieces_call(int, const struct iovec *, int);
typedef ssize_t write_pieces_at_call(int, const struct iovec *, int, off_t);

int fsync(int fd)
{
    counts[SYNCED_FILES]++;
    PASS_ON(file_call, "fsync", fd);
}

int fdatasync(int fd)
{
    counts[SYNCED_FILES]++;
    PASS_ON(file_call, "fdatasync", fd);
}

int syncfs(int fd)
{
    counts[SYNCED_FILES]++;
    PASS_ON(file_call, "syncfs", fd);
}

int msync(void *start, size_t size, int flags)
{
    if (flags & MS_SYNC) counts[SYNCED_MAPS]++;
    PASS_ON(map_call, "msync", start, size, flags);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    count_write(fd);
    PASS_ON(write_call, "write", fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    count_write(fd);
    PASS_ON(write_at_call, "pwrite", fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    count_write(fd);
    PASS_ON(write_at_call, "pwrite64", fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    count_write(fd);
    PASS_ON(write_pieces_call, "writev", fd, pieces, count);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    count_write(fd);
    PASS_ON(write_pieces_at_call, "pwritev", fd, pieces, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *pieces, int count, off_t offset)
{
    count_write(fd);
    PASS_ON(write_pieces_at_call, "pwritev64", fd, pieces, count, offset);
}
