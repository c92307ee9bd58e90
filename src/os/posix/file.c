#define _GNU_SOURCE /* sync_file_range */
#include "os/file.h"

#include "base/mem.h"
#include "os/posix/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

wg_err file_open(const char *path, enum file_mode mode, struct file *out)
{
    static const int flags[] = {
        [FILE_READ] = O_RDONLY,
        [FILE_READ_WRITE] = O_RDWR,
        [FILE_CREATE] = O_RDWR | O_CREAT | O_TRUNC,
        [FILE_KEEP] = O_RDWR | O_CREAT,
    };
    wg_err err = WG_OK;
    struct file file = { .fd = -1 };
    TRY(path_join(path, "", &file.path));
    file.fd = open(path, flags[mode] | O_CLOEXEC, 0666);
    if (file.fd < 0) TRY(posix_fail(path, mode >= FILE_CREATE ? "create" : "open"));
    *out = file;
    file.path = NULL; /* moved */
out:
    mem_free(&file.path);
    return err;
}

void file_close(struct file *file)
{
    file_release(file);
    mem_free(&file->path);
}

void file_release(struct file *file)
{
    if (!file->path || file->fd < 0) return;
    close(file->fd);
    file->fd = -1;
}

wg_err file_read_at(const struct file *file, void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(file->fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return posix_fail(file->path, "read");
        if (got == 0)
            return wg_fail(WG_ECORRUPT, "%s: ends at byte %llu, expected %zu bytes from byte %llu",
                           file->path, (unsigned long long)(offset + done), size,
                           (unsigned long long)offset);
        done += (size_t)got;
    }
    return WG_OK;
}

wg_err file_write_at(const struct file *file, const void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t put =
            pwrite(file->fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return posix_fail(file->path, "write");
        done += (size_t)put;
    }
    return WG_OK;
}

wg_err file_reserve(const struct file *file, uint64_t size)
{
    int error;
    do error = posix_fallocate(file->fd, 0, (off_t)size);
    while (error == EINTR);
    if (error == 0) return WG_OK;
    return wg_fail(posix_err(error), "%s: cannot make room for %llu bytes: %s", file->path,
                   (unsigned long long)size, strerror(error));
}

wg_err file_size(const struct file *file, uint64_t *out)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0) return posix_fail(file->path, "look at");
    *out = (uint64_t)status.st_size;
    return WG_OK;
}

wg_err file_sync(const struct file *file)
{
    int result;
    do result = fdatasync(file->fd);
    while (result != 0 && errno == EINTR);
    return result == 0 ? WG_OK : posix_fail(file->path, "sync");
}

void file_flush_begin(const struct file *file, uint64_t offset, uint64_t size)
{
#ifdef SYNC_FILE_RANGE_WRITE
    (void)sync_file_range(file->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
#else
    (void)file, (void)offset, (void)size;
#endif
}

wg_err file_lock(const struct file *file, bool exclusive)
{
    if (flock(file->fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) return WG_OK;
    if (errno == EWOULDBLOCK) return wg_fail(WG_EBUSY, "%s: locked by another process", file->path);
    return posix_fail(file->path, "lock");
}

wg_err file_map(const struct file *file, uint64_t offset, size_t size, const void **out)
{
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, file->fd, (off_t)offset);
    if (map == MAP_FAILED) return posix_fail(file->path, "map");
    *out = map;
    return WG_OK;
}

void file_map_populate(const void *map, size_t size)
{
#ifdef MADV_POPULATE_READ
    void *start;
    memcpy(&start, &map, sizeof start);
    (void)madvise(start, size, MADV_POPULATE_READ);
#else
    (void)map, (void)size;
#endif
}

void file_unmap(const void **map, size_t size)
{
    void *start;
    memcpy(&start, map, sizeof start);
    if (start) munmap(start, size);
    *map = NULL;
}

void file_discard(const char *path)
{
    (void)unlink(path);
}

wg_err file_remove(const char *path)
{
    return unlink(path) == 0 ? WG_OK : posix_fail(path, "remove");
}
