#pragma once
/* A segment: a file of rows, their vectors and beside them their ids. Preallocated, appended to
 * with pwrite, mapped read-only, never overwritten below what a commit has counted.
 *
 * One thread writes; any number read rows below a count that they were told after the write.
 * Segments are counted references: views hold them, and the last one closes the file. */
#include "os/file.h"
#include "store/record.h"
#include "waggle/collection.h"

#include <stdatomic.h>

/* The file's first 4,096 bytes begin with this. */
struct segment_header {
    char magic[FORMAT_MAGIC_SIZE]; /* "WAGGLSEG" */
    uint32_t version;
    struct features features;
    uint64_t first_row, capacity; /* rows */
    uint64_t ids_offset, strings_offset;
    uint32_t number, dim;
    uint16_t space, type;
    uint32_t sum; /* checksum32 of all before it */
};
static_assert(sizeof(struct segment_header) == 72, "as in FORMAT.md");

/* A row's id. A string longer than its slot stands in the region of long ids, at offset. */
struct id_slot {
    uint8_t type, reserved; /* a wg_id_type */
    uint16_t size;
    uint32_t offset;
    uint8_t bytes[24];
};
static_assert(sizeof(struct id_slot) == 32, "as in FORMAT.md");

struct segment {
    atomic_uint references;
    atomic_bool doomed; /* the file goes with the last reference */
    struct file file;
    struct segment_header header;
    const void *map;
    size_t map_size;
    uint64_t row_count; /* written so far; the writer's */
    atomic_uint_least64_t strings_size; /* likewise, and read to check ids */
};

struct segment_params {
    uint64_t first_row, capacity;
    uint32_t number, dim;
    uint16_t space;
};

enum { SEGMENT_ROWS_MAX = 1 << 20 };

/* WG_ENOSPC leaves no file behind. The folder's names are synced. */
WG_CHECKED wg_err segment_create(const char *folder, const struct segment_params *params,
                                 struct segment **out);
/* WG_ECORRUPT, WG_EVERSION, WG_ENOTFOUND: a file that does not fit what the tables say of it. */
WG_CHECKED wg_err segment_open(const char *folder, const struct segment_params *params,
                               const struct segment_record *record, bool read_only,
                               struct segment **out);
struct segment *segment_retain(struct segment *segment);
void segment_release(struct segment **segment);

/* The file's name in its folder; room for 32. */
void segment_name(uint16_t space, uint32_t number, char name[32]);
bool segment_is_name(const char *name);

/* Appends rows behind row_count, which moves on; sums receives their checksums. ids are checked
 * and normal (store/id.h). On an error what was counted before stays. */
struct segment_rows {
    const float *vectors; /* count x dim */
    const wg_id *ids;
    size_t count;
};
WG_CHECKED wg_err segment_append(struct segment *segment, const struct segment_rows *rows,
                                 uint32_t *sums);

/* Row i of the segment, below a count that was committed. */
const float *segment_vectors(const struct segment *segment);
/* Borrowed from the segment; of type 0 when what is there is no id. */
wg_id segment_id(const struct segment *segment, uint64_t i);
/* Recomputes what segment_append gave, from the file. WG_ECORRUPT: an id that is none. */
WG_CHECKED wg_err segment_row_sum(const struct segment *segment, uint64_t i, uint32_t *out);
