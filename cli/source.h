#pragma once
/* Bytes of a file or of standard input, unpacked on the way when they are gzip. */
#include "cli/error.h"

#include <stddef.h>
#include <stdint.h>

enum { SOURCE_PEEK_MAX = 64 };

struct source {
    struct gzFile_s *gz;
    const char *path; /* "-" is standard input; borrowed */
    uint64_t file_size; /* of a regular file, packed; 0: not known */
    uint64_t position;  /* bytes given so far, unpacked */
    unsigned char peeked[SOURCE_PEEK_MAX];
    size_t peeked_begin, peeked_end;
};

/* WG_ENOTFOUND, WG_EIO; WG_EINVAL for a directory. Zero is a closed source. */
WG_CHECKED wg_err source_open(const char *path, struct source *out);
void source_close(struct source *source);

/* Fills bytes; *got < size only at the end of the data. WG_EIO, WG_EINVAL for broken gzip data,
 * WG_ECANCELLED for a signal while it waited. */
WG_CHECKED wg_err source_read(struct source *source, void *bytes, size_t size, size_t *got);
/* The first bytes, before anything is read; they are read again later. size <= SOURCE_PEEK_MAX. */
WG_CHECKED wg_err source_peek(struct source *source, void *bytes, size_t size, size_t *got);

const char *source_name(const struct source *source); /* for messages */
/* How many bytes there are in all, where that can be known: a plain file. */
bool source_length(struct source *source, uint64_t *length);
double source_fraction(struct source *source); /* read so far, 0 to 1; below 0: not known */
