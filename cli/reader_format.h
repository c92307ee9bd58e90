#pragma once
/* What a file format is to the reader: how it is recognised, begun and read. */
#include "cli/reader.h"

struct reader_format {
    const char *name;       /* for --format */
    const char *extensions; /* ".a .b" */
    bool counts_lines;      /* places are lines, from 1; else rows, from 0 */
    /* Do the first bytes say that it is this format? NULL: they never do. */
    bool (*matches)(const unsigned char *head, size_t size);
    wg_err (*begin)(struct reader *reader); /* sets dim, and total where it is known */
    /* Fills vectors and, where the format has them, ids, payloads and places of up to want points;
     * *got < want only at the end. */
    wg_err (*read)(struct reader *reader, size_t want, struct point_batch *batch, size_t *got);
    void (*end)(struct reader *reader); /* NULL: nothing to free but the reader's own */
};

extern const struct reader_format format_npy, format_fvecs, format_bvecs, format_idx, format_jsonl;

struct reader {
    const struct reader_format *format;
    struct source source;
    size_t dim;
    uint64_t total; /* UINT64_MAX: not known */
    uint64_t row; /* points read so far */
    uint64_t first_id;
    bool bits;
    const struct element *element; /* of the formats that are matrices */
    unsigned char *scratch; /* SCRATCH_SIZE or one row, whichever is more */
    struct jsonl *jsonl;
};

enum { SCRATCH_SIZE = 256 * 1024 }; /* stays in the cache between read and conversion */

/* WG_EINVAL with the file's name in front. */
wg_err reader_fail(const struct reader *reader, const char *format, ...) CLI_PRINTF(2, 3);

/* Headers: all of size bytes, or "ends within its header". */
WG_CHECKED wg_err reader_read_header(struct reader *reader, void *bytes, size_t size);
WG_CHECKED wg_err reader_check_dim(const struct reader *reader, uint64_t dim);

/* For a header that is followed by total rows of dim elements and nothing else. */
WG_CHECKED wg_err matrix_begin(struct reader *reader);
WG_CHECKED wg_err matrix_read(struct reader *reader, size_t want, struct point_batch *batch,
                              size_t *got);
