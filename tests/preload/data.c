/* Calls that read, write, resize, sync and map. */
#include "preload/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "offsets go to the kernel in one register");

/* --- reads: only to fail --- */

static bool read_fails(int fd)
{
    if (!watch_fd(fd)) return false;
    watch_begin();
    return watch_end(watch_refuses(FILES_READ, 0));
}

ssize_t read(int fd, void *bytes, size_t size)
{
    return read_fails(fd) ? -1 : syscall(SYS_read, fd, bytes, size);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    return read_fails(fd) ? -1 : syscall(SYS_pread64, fd, bytes, size, offset);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
    return pread(fd, bytes, size, offset);
}

/* --- writes --- */

enum { AT_POSITION = -1 };

/* Where a write went that has been done; Linux appends with pwrite as well. */
static uint64_t offset_of(int fd, off_t offset, long put)
{
    struct stat status;
    if (watch_appends(fd)) return fstat(fd, &status) == 0 ? (uint64_t)(status.st_size - put) : 0;
    if (offset != AT_POSITION) return (uint64_t)offset;
    return (uint64_t)(syscall(SYS_lseek, fd, 0L, SEEK_CUR) - put);
}

static void log_write(int fd, const void *bytes, uint64_t offset, uint64_t put)
{
    watch_log(&(struct files_record){ .kind = FILES_WRITE,
                                      .fd = fd,
                                      .offset = offset,
                                      .size = put,
                                      .data_size = put },
              NULL, NULL, bytes);
    if (!watch_is_synced(fd)) return;
    watch_log(&(struct files_record){ .kind = FILES_SYNC, .fd = fd, .offset = offset, .size = put },
              NULL, NULL, NULL);
    watch_sync_delay();
}

/* offset: or AT_POSITION. */
static ssize_t write_any(int fd, const void *bytes, size_t size, off_t offset)
{
    watch_begin();
    ssize_t allowed = watch_allows(size);
    if (allowed < 0) return watch_end(-1);
    long put = offset == AT_POSITION ? syscall(SYS_write, fd, bytes, (size_t)allowed)
                                     : syscall(SYS_pwrite64, fd, bytes, (size_t)allowed, offset);
    if (put > 0 && watch_is_recorded(fd))
        log_write(fd, bytes, offset_of(fd, offset, put), (uint64_t)put);
    return watch_end(put);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (!watch_fd(fd)) return syscall(SYS_write, fd, bytes, size);
    return write_any(fd, bytes, size, AT_POSITION);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (!watch_fd(fd)) return syscall(SYS_pwrite64, fd, bytes, size, offset);
    return write_any(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return pwrite(fd, bytes, size, offset);
}

/* Many parts become one write, as they are one to the disk. */
static ssize_t write_parts(int fd, const struct iovec *parts, int count, off_t offset)
{
    size_t size = 0, at = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    char *whole = malloc(size > 0 ? size : 1);
    if (!whole) watch_die("no memory", "writev");
    for (int i = 0; i < count; i++) {
        memcpy(whole + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    ssize_t put = write_any(fd, whole, size, offset);
    int error = errno;
    free(whole);
    errno = error;
    return put;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!watch_fd(fd)) return syscall(SYS_writev, fd, parts, count);
    return write_parts(fd, parts, count, AT_POSITION);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (!watch_fd(fd)) return syscall(SYS_pwritev, fd, parts, count, offset, 0L);
    return write_parts(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return pwritev(fd, parts, count, offset);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (!watch_fd(fd)) return syscall(SYS_pwritev2, fd, parts, count, offset, 0L, flags);
    if (flags & ~RWF_HIPRI) watch_die("these flags are not followed", "pwritev2");
    return write_parts(fd, parts, count, offset);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags)
{
    return pwritev2(fd, parts, count, offset, flags);
}

/* --- copies within the kernel: as if it had none --- */

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size,
                        unsigned flags)
{
    if (!watch_fd(out))
        return syscall(SYS_copy_file_range, in, in_offset, out, out_offset, size, flags);
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t size)
{
    if (!watch_fd(out)) return syscall(SYS_sendfile, out, in, offset, size);
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t size)
{
    return sendfile(out, in, offset, size);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *argument = va_arg(args, void *);
    va_end(args);
    if (!watch_fd(fd) || (request != FICLONE && request != FICLONERANGE))
        return (int)syscall(SYS_ioctl, fd, request, argument);
    errno = EOPNOTSUPP;
    return -1;
}

/* --- sizes --- */

/* Grows the file where the file system cannot preallocate. */
static long reserve(int fd, int mode, off_t offset, off_t size)
{
    struct stat status;
    long result = syscall(SYS_fallocate, fd, mode, offset, size);
    if (result == 0 || errno != EOPNOTSUPP || mode != 0) return result;
    if (fstat(fd, &status) != 0) return -1;
    return status.st_size >= offset + size ? 0 : syscall(SYS_ftruncate, fd, offset + size);
}

static int reserve_any(int fd, int mode, off_t offset, off_t size)
{
    if (mode & ~FALLOC_FL_KEEP_SIZE) watch_die("this mode is not followed", "fallocate");
    watch_begin();
    if (watch_refuses(FILES_RESERVE, 0)) return (int)watch_end(-1);
    long result = reserve(fd, mode, offset, size);
    if (result == 0 && mode == 0 && watch_is_recorded(fd))
        watch_log(&(struct files_record){ .kind = FILES_RESERVE,
                                          .fd = fd,
                                          .offset = (uint64_t)offset,
                                          .size = (uint64_t)size },
                  NULL, NULL, NULL);
    return (int)watch_end(result);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (!watch_fd(fd)) return (int)syscall(SYS_fallocate, fd, mode, offset, size);
    return reserve_any(fd, mode, offset, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return fallocate(fd, mode, offset, size);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
    int before = errno;
    long result = watch_fd(fd) ? reserve_any(fd, 0, offset, size) : reserve(fd, 0, offset, size);
    int error = result == 0 ? 0 : errno;
    errno = before;
    return error;
}

int posix_fallocate64(int fd, off64_t offset, off64_t size)
{
    return posix_fallocate(fd, offset, size);
}

int ftruncate(int fd, off_t size)
{
    if (!watch_fd(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    watch_begin();
    if (watch_refuses(FILES_TRUNCATE, 0)) return (int)watch_end(-1);
    long result = syscall(SYS_ftruncate, fd, size);
    if (result == 0 && watch_is_recorded(fd))
        watch_log(&(struct files_record){ .kind = FILES_TRUNCATE,
                                          .fd = fd,
                                          .size = (uint64_t)size },
                  NULL, NULL, NULL);
    return (int)watch_end(result);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int truncate(const char *path, off_t size)
{
    char below[WATCH_PATH_SIZE];
    if (!watch_path(AT_FDCWD, path, below)) return (int)syscall(SYS_truncate, path, size);
    watch_begin();
    if (watch_refuses(FILES_TRUNCATE, 0)) return (int)watch_end(-1);
    long result = syscall(SYS_truncate, path, size);
    if (result == 0)
        watch_log(&(struct files_record){ .kind = FILES_TRUNCATE,
                                          .fd = -1,
                                          .size = (uint64_t)size },
                  below, NULL, NULL);
    return (int)watch_end(result);
}

int truncate64(const char *path, off64_t size)
{
    return truncate(path, size);
}

/* --- syncs --- */

static int sync_any(int fd, long number)
{
    if (!watch_fd(fd)) return (int)syscall(number, fd);
    watch_begin();
    if (watch_refuses(FILES_SYNC, 0)) return (int)watch_end(-1);
    watch_sync_delay();
    long result = syscall(number, fd);
    if (result == 0 && watch_is_recorded(fd))
        watch_log(&(struct files_record){ .kind = FILES_SYNC, .fd = fd }, NULL, NULL, NULL);
    return (int)watch_end(result);
}

int fsync(int fd)
{
    return sync_any(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_any(fd, SYS_fdatasync);
}

/* --- maps --- */

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    bool watched = !(flags & MAP_ANONYMOUS) && watch_fd(fd);
    bool writes = (protection & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE;
    if (watched && writes && watch_is_recorded(fd))
        watch_die("written through a shared mapping", "mmap");
    if (watched) {
        watch_begin();
        if (watch_end(watch_refuses(FILES_MAP, 0))) return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return mmap(address, size, protection, flags, fd, offset);
}
