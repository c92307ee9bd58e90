#pragma once
/* A segment: a file of rows, their vectors and beside them their ids. Preallocated, appended to
 * with pwrite, mapped read-only, never overwritten below what a commit has counted.
 *
 * A packed segment holds the rows that were left of one or more neighbours, and a column of their
 * numbers; nothing is appended to it.
 *
 * One thread writes; any number read rows below a count that they were told after the write.
 * Segments are counted references: views hold them, and the last one closes the file. */
#include "device/codes.h"
#include "os/file.h"
#include "store/behind.h"
#include "store/record.h"
#include "waggle/collection.h"

#include <stdatomic.h>

/* The file's first 4,096 bytes begin with this. */
struct segment_header {
    char magic[FORMAT_MAGIC_SIZE]; /* "WAGGLSEG" */
    uint32_t version;
    struct features features;
    uint64_t first_row, capacity; /* rows */
    uint64_t ids_offset, numbers_offset, strings_offset; /* numbers_offset 0: not packed */
    uint32_t number, dim;
    uint16_t space, type;
    uint32_t sum; /* checksum32 of all before it */
};
static_assert(sizeof(struct segment_header) == 80, "as in FORMAT.md");

/* A row's id, and the row's checksum. A string longer than its slot stands in the region of long
 * ids, at offset. */
struct id_slot {
    uint8_t type, reserved; /* a wg_id_type */
    uint16_t size;
    uint8_t bytes[20];
    uint32_t offset;
    uint32_t sum; /* of the row; the same wherever it stands, so offset is not in it */
};
static_assert(sizeof(struct id_slot) == 32, "as in FORMAT.md");

struct segment {
    atomic_uint references;
    atomic_bool doomed; /* the file goes with the last reference */
    atomic_bool closed; /* rows are appended to another one from now on */
    struct file file;
    struct segment_header header;
    const void *map;
    size_t map_size;
    struct behind vectors_behind, slots_behind; /* the writer's, as is row_count */
    uint64_t row_count; /* appended so far */
    uint64_t end_row;   /* of a packed one */
    atomic_uint_least64_t strings_size; /* written so far, and read to check ids */
    uint64_t opened_count; /* rows that were there when the file was opened */
    struct code_cell codes; /* of its rows */
    /* Changed by the thread that has claimed the collection's codes (store/encode.h). */
    atomic_bool uncoded; /* there was no memory for codes; it is not tried again */
    atomic_bool sought; /* they were looked for beside it (store/codes_file.h) */
    atomic_bool unsaved; /* they could not be written there; it is not tried again */
    atomic_uint_least64_t saved_count; /* rows whose codes are there */
};

struct segment_params {
    uint64_t first_row, capacity;
    uint64_t end_row; /* of a packed one */
    uint32_t number, dim;
    uint16_t space, type;
    bool packed;
};

enum { SEGMENT_ROWS_MAX = 1 << 20 };

/* What the file begins with. */
struct segment_header segment_header_of(const struct segment_params *params);

/* WG_ENOSPC leaves no file behind. The folder's names are synced. */
WG_CHECKED wg_err segment_create(const char *folder, const struct segment_params *params,
                                 struct segment **out);
/* What a file is opened for. A sealed one needs its handle no longer than to be mapped. */
enum segment_use { SEGMENT_APPEND, SEGMENT_SEALED, SEGMENT_READ_ONLY };

/* Where a segment's bytes stand: a file of its own in folder, or a part of the file at folder. */
struct segment_place {
    const char *folder;
    uint64_t offset; /* of the part */
    bool is_part;
};

/* WG_ECORRUPT, WG_EVERSION, WG_ENOTFOUND: a file that does not fit what the tables say of it. */
WG_CHECKED wg_err segment_open(const struct segment_place *place,
                               const struct segment_params *params,
                               const struct segment_record *record, enum segment_use use,
                               struct segment **out);
struct segment *segment_retain(struct segment *segment);
void segment_release(struct segment **segment);

/* Makes the pages of its rows ready for those who read it first. */
void segment_populate(const struct segment *segment);

/* Nothing is appended any more: the file's handle is given back. */
void segment_seal(struct segment *segment);

/* The file's name in its folder; room for 32. */
void segment_name(uint16_t space, uint32_t number, char name[32]);
bool segment_is_name(const char *name);

/* Appends rows behind row_count, which moves on; sums receives their checksums. ids are checked
 * and normal (store/id.h). On an error what was counted before stays. */
struct segment_rows {
    const void *vectors; /* count, of the segment's type */
    const wg_id *ids;
    const uint64_t *numbers; /* count, rising; of a packed segment */
    size_t count;
};
WG_CHECKED wg_err segment_append(struct segment *segment, const struct segment_rows *rows,
                                 uint32_t *sums);
/* Rows can be read, and synced, after this. */
WG_CHECKED wg_err segment_flush(struct segment *segment);
/* Takes back what was appended behind these counts. */
void segment_rewind(struct segment *segment, uint64_t row_count, uint64_t strings_size);

/* Bytes that a segment of so many rows takes on the disk, but for long ids. */
uint64_t segment_file_size(uint64_t capacity, size_t row_size, bool packed);

/* Bytes of a vector. */
size_t segment_row_size(const struct segment *segment);
/* All of them, row by row; of row i, below a count that was committed. */
const void *segment_vectors(const struct segment *segment);
const void *segment_vector(const struct segment *segment, uint64_t i);
/* Its number. */
uint64_t segment_row(const struct segment *segment, uint64_t i);
/* The first i, up to row_count, whose row's number is not below row. */
uint64_t segment_find(const struct segment *segment, uint64_t row_count, uint64_t row);
/* Borrowed from the segment; of type 0 when what is there is no id. */
wg_id segment_id(const struct segment *segment, uint64_t i);
/* The checksums of rows first to first + count, as their slots have them. */
void segment_sums(const struct segment *segment, uint64_t first, size_t count, uint32_t *sums);
/* Recomputes what segment_append gave, from the file. WG_ECORRUPT: an id that is none. */
WG_CHECKED wg_err segment_row_sum(const struct segment *segment, uint64_t i, uint32_t *out);
/* WG_ECORRUPT: the row is not what was written. */
WG_CHECKED wg_err segment_check_row(const struct segment *segment, uint64_t i);
