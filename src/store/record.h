#pragma once
/* What the tables of a collection and the registry hold, byte for byte; docs/FORMAT.md describes
 * the same. Numbers are little-endian, in keys big-endian so that they sort. Every value is
 * followed by its checksum (store/db.h). */
#include "store/db.h"

#include <assert.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the store's structs are written as they stand in memory, little-endian"
#endif

/* The magic of every file and of each environment's first record; the version of this format. */
enum { FORMAT_VERSION = 1, FORMAT_MAGIC_SIZE = 8 };

/* Sets of features that a file may use. A reader that does not know one of them may: ignore it,
 * read but not write, or must refuse. */
struct features {
    uint32_t ignorable, read_only, refuse;
};

/* Table "meta", key "format". */
struct format_record {
    char magic[FORMAT_MAGIC_SIZE]; /* "WAGGLEDB" */
    uint32_t version;
    struct features features;
};
static_assert(sizeof(struct format_record) == 24, "as in FORMAT.md");

/* A collection's table "meta", key "commit": what the latest commit left. */
struct commit_record {
    uint64_t epoch;      /* of the history: it begins at 1 */
    uint64_t sequence;   /* of the commit: 1 is the first */
    uint64_t chain_hash; /* over all commits */
    uint64_t point_count;
    uint64_t row_base; /* the first row that may still be live; a multiple of 65,536 */
    uint64_t row_end;  /* the next row's number */
    uint32_t next_segment, reserved;
};
static_assert(sizeof(struct commit_record) == 56, "as in FORMAT.md");

/* Table "spaces", key: space_key. */
struct space_record {
    uint32_t dim;
    uint16_t metric; /* a wg_metric */
    uint16_t type;   /* of the stored components: 0, f32 */
};
static_assert(sizeof(struct space_record) == 8, "as in FORMAT.md");

/* Table "segments", key: segment_key. */
struct segment_record {
    uint64_t first_row, row_count, capacity;
    uint64_t strings_size; /* bytes used in the file's region of long ids */
};
static_assert(sizeof(struct segment_record) == 32, "as in FORMAT.md");

/* Table "points", key: the id's (store/id.h). Then space_count times a point_rows, then the payload
 * as JSON text, of payload_size bytes. */
struct point_record {
    uint64_t version; /* the sequence of the commit that last changed it */
    uint32_t payload_size;
    uint16_t space_count, reserved;
};
static_assert(sizeof(struct point_record) == 16, "as in FORMAT.md");

struct point_rows {
    uint64_t first_row;
    uint32_t row_count;
    uint16_t space, reserved;
};
static_assert(sizeof(struct point_rows) == 16, "as in FORMAT.md");

/* Table "sums", key: row_key of the first row of a run; value: a checksum32 for each of its rows.
 * Table "live", key: chunk_key; value: a portable roaring bitmap of the rows in the chunk. */

/* The registry's table "meta", key "next". */
struct registry_record {
    uint64_t next_collection;
};

/* The registry's table "collections", key: the name. */
struct collection_record {
    uint64_t number; /* of its folder */
};

struct space_key {
    uint8_t bytes[2];
};
struct segment_key {
    uint8_t bytes[6];
};
struct row_key {
    uint8_t bytes[10];
};
struct chunk_key {
    uint8_t bytes[6];
};

struct space_key space_key_of(uint16_t space);
struct segment_key segment_key_of(uint16_t space, uint32_t number);
struct row_key row_key_of(uint16_t space, uint64_t row);
struct chunk_key chunk_key_of(uint16_t space, uint32_t chunk);

/* The number behind the space in a key of size bytes. */
uint64_t key_number(struct bytes key, size_t size);

/* Copies a record of exactly this type out of a value. WG_ECORRUPT: another size. */
#define RECORD_READ(value, record, what) record_read((value), (record), sizeof *(record), (what))
WG_CHECKED wg_err record_read(struct bytes value, void *record, size_t size, const char *what);

/* A point's value, its parts still in place. Holds for the transaction. */
struct point {
    struct point_record head;
    struct point_rows rows; /* of space 0 */
    const char *payload; /* head.payload_size bytes */
};
WG_CHECKED wg_err point_read(struct bytes value, struct point *out);

/* Features that this program does not know: WG_EVERSION to refuse, WG_EREADONLY to write. */
WG_CHECKED wg_err features_check(const struct features *features, const char *path, bool read_only);

/* Checks that the format is one this program may use: WG_ECORRUPT, WG_EVERSION (and, to write,
 * WG_EREADONLY). */
WG_CHECKED wg_err format_check(const struct format_record *format, const char *path,
                               bool read_only);
struct format_record format_current(void);
