#pragma once
/* What the tables of a collection and the registry hold, byte for byte; docs/FORMAT.md describes
 * the same. Numbers are little-endian, in keys big-endian so that they sort. Every value is
 * followed by its checksum (store/db.h). */
#include "device/device.h"
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

/* That must be known to open a collection, or a segment: its vectors are not f32. */
enum { FEATURE_TYPES = 1 };

/* Of what holds vectors of this wg_type. */
struct features features_of_type(uint16_t type);

/* Table "meta", key "format". */
struct format_record {
    char magic[FORMAT_MAGIC_SIZE]; /* "WAGGLEDB" */
    uint32_t version;
    struct features features;
};
static_assert(sizeof(struct format_record) == 24, "as in FORMAT.md");

/* A collection's table "meta", key "commit": what the latest write left. */
struct commit_record {
    uint64_t epoch;      /* of the history: it begins at 1 */
    uint64_t sequence;   /* of the write: 1 is the first */
    uint64_t chain_hash; /* over all writes */
    uint64_t point_count;
    uint64_t row_base; /* the first row that may still be there; a multiple of 65,536 */
    uint64_t row_end;  /* the next row's number */
    uint64_t arrangement;   /* rises when rows change their position: compacted, cleared */
    uint64_t horizon;       /* the list of changes holds those behind this sequence */
    uint64_t history_count; /* points in them */
    uint64_t history_bytes; /* of their records */
    uint64_t history_row;   /* rows from this one on are needed by them */
    uint32_t next_segment, reserved;
};
static_assert(sizeof(struct commit_record) == 96, "as in FORMAT.md");

/* Likewise, key "settings". */
struct settings_record {
    uint64_t history; /* how many changed points the list of changes goes back */
};
static_assert(sizeof(struct settings_record) == 8, "as in FORMAT.md");

/* Likewise, key "codes": whether rows have eight-bit codes. Where there is none, they have. */
struct codes_record {
    uint32_t on; /* 0: off */
};
static_assert(sizeof(struct codes_record) == 4, "as in FORMAT.md");

/* Likewise, key "name": the collection's, for a store whose registry is lost. */

/* Table "spaces", key: space_key. */
struct space_record {
    uint32_t dim;
    uint16_t metric; /* a wg_metric */
    uint16_t type;   /* a wg_type, of the stored components */
};
static_assert(sizeof(struct space_record) == 8, "as in FORMAT.md");

/* How its rows are scored; bytes of one of them; whether there can be such a space. */
enum row_type space_row_type(const struct space_record *space);
size_t space_row_size(const struct space_record *space);
bool space_is_allowed(const struct space_record *space);

/* Table "segments", key: row_key of its first row. */
struct segment_record {
    uint64_t end_row; /* no row of it is numbered so, or higher */
    uint64_t row_count, capacity;
    uint64_t strings_size; /* bytes used in the file's region of long ids */
    uint32_t number;
    uint32_t packed; /* 1: the rows that are left of more, with a column of their numbers */
};
static_assert(sizeof(struct segment_record) == 40, "as in FORMAT.md");

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

/* Table "sums", key: row_key of the first row of a run; value: a checksum32 for each row that its
 * segment has from there on, in order.
 * Table "live", key: chunk_key; value: a portable roaring bitmap of the rows in the chunk. */

/* Table "changes", key: change_key. Then, for each point, a change_item with its key and its
 * payload; but an upsert whose flags are 0 has none, for its ids stand in the segments. */
struct change_record {
    uint64_t chain_hash; /* after it */
    uint64_t first_row; /* of an upsert; else the next row's number */
    uint32_t count; /* of points */
    uint16_t kind; /* an enum change */
    uint16_t flags; /* CHANGE_HAS_ITEMS */
};
static_assert(sizeof(struct change_record) == 24, "as in FORMAT.md");

enum change { CHANGE_UPSERT = 1, CHANGE_DELETE, CHANGE_PAYLOAD, CHANGE_CLEAR };
enum { CHANGE_HAS_ITEMS = 1 };

struct change_item {
    uint32_t payload_size;
    uint16_t key_size; /* 0 in an upsert */
    uint16_t reserved;
};
static_assert(sizeof(struct change_item) == 8, "as in FORMAT.md");

/* The registry's table "meta", key "next". */
struct registry_record {
    uint64_t next_collection;
};

/* The registry's table "collections", key: the name. Table "aliases", key: the alias. */
struct collection_record {
    uint64_t number; /* of the collection's folder */
};

struct space_key {
    uint8_t bytes[2];
};
struct row_key {
    uint8_t bytes[10];
};
struct chunk_key {
    uint8_t bytes[6];
};
struct change_key {
    uint8_t bytes[8];
};

struct space_key space_key_of(uint16_t space);
struct row_key row_key_of(uint16_t space, uint64_t row);
struct chunk_key chunk_key_of(uint16_t space, uint32_t chunk);
struct change_key change_key_of(uint64_t sequence);

/* A key's bytes. */
#define KEY_BYTES(key) ((struct bytes){ (key).bytes, sizeof(key).bytes })

/* The number behind the space in a key; of a change_key, the sequence. */
uint64_t key_number(struct bytes key);
uint64_t change_key_sequence(struct bytes key);

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
struct format_record format_current(void); /* without features */
