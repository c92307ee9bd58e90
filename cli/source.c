#define _POSIX_C_SOURCE 200809L /* fdopen and friends */
#include "cli/source.h"

#include "cli/heap.h"
#include "cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { GZ_BUFFER_SIZE = 256 * 1024, GZ_READ_MAX = 1 << 30 };

static wg_err inspect(struct source *source, int file)
{
    struct stat status;
    if (fstat(file, &status) != 0) return fail_errno(errno, source_name(source));
    if (S_ISDIR(status.st_mode))
        return fail(WG_EINVAL, "%s: is a directory, expected a file", source_name(source));
    bool whole = S_ISREG(status.st_mode) && lseek(file, 0, SEEK_CUR) == 0;
    source->file_size = whole ? (uint64_t)status.st_size : 0;
    return WG_OK;
}

wg_err source_open(const char *path, struct source *out)
{
    struct source source = { .path = path };
    bool standard = strcmp(path, "-") == 0;
    int file = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return fail_errno(errno, source_name(&source));
    wg_err err = inspect(&source, file);
    if (err == WG_OK) {
        source.gz = gzdopen(file, "rb");
        if (!source.gz) heap_exhausted(GZ_BUFFER_SIZE);
        gzbuffer(source.gz, GZ_BUFFER_SIZE);
        *out = source;
        return WG_OK;
    }
    close(file);
    return err;
}

void source_close(struct source *source)
{
    if (source->gz) gzclose_r(source->gz);
    *source = (struct source){ 0 };
}

static wg_err fail_read(struct source *source)
{
    int code, error = errno;
    const char *text = gzerror(source->gz, &code);
    if (code == Z_ERRNO && error == EINTR && interrupt_requested())
        return fail(WG_ECANCELLED, "interrupted");
    if (code == Z_ERRNO) return fail_errno(error, source_name(source));
    const char *colon = strstr(text, ": "); /* zlib puts its name for the file in front */
    return fail(WG_EINVAL, "%s: broken gzip data behind byte %llu: %s", source_name(source),
                (unsigned long long)source->position, colon ? colon + 2 : text);
}

/* gzread takes an unsigned size, and reads plain files straight into bytes. */
static wg_err fill(struct source *source, unsigned char *bytes, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        wg_err err = interrupt_check(); /* a signal from before the read would not end it */
        if (err != WG_OK) return err;
        size_t part = size - *got < GZ_READ_MAX ? size - *got : GZ_READ_MAX;
        int count = gzread(source->gz, bytes + *got, (unsigned)part);
        if (count < 0) return fail_read(source);
        if (count == 0) break;
        *got += (size_t)count;
    }
    int code = Z_OK;
    if (*got < size) gzerror(source->gz, &code);
    source->position += *got;
    return code == Z_OK ? WG_OK : fail_read(source);
}

wg_err source_read(struct source *source, void *bytes, size_t size, size_t *got)
{
    size_t kept = source->peeked_end - source->peeked_begin, rest;
    if (kept > size) kept = size;
    memcpy(bytes, source->peeked + source->peeked_begin, kept);
    source->peeked_begin += kept;
    source->position += kept;
    wg_err err = fill(source, (unsigned char *)bytes + kept, size - kept, &rest);
    *got = kept + rest;
    return err;
}

wg_err source_peek(struct source *source, void *bytes, size_t size, size_t *got)
{
    if (source->peeked_end == 0) {
        wg_err err = fill(source, source->peeked, SOURCE_PEEK_MAX, &source->peeked_end);
        if (err != WG_OK) return err;
        source->position = 0;
    }
    *got = source->peeked_end < size ? source->peeked_end : size;
    memcpy(bytes, source->peeked, *got);
    return WG_OK;
}

const char *source_name(const struct source *source)
{
    return strcmp(source->path, "-") == 0 ? "standard input" : source->path;
}

bool source_length(struct source *source, uint64_t *length)
{
    if (source->file_size == 0 || !gzdirect(source->gz)) return false;
    *length = source->file_size;
    return true;
}

double source_fraction(struct source *source)
{
    if (source->file_size == 0) return -1;
    return (double)gzoffset(source->gz) / (double)source->file_size;
}
