#pragma once
/* A store in one file, read-only. Its parts have the names that the files and tables of a store's
 * folder have: "registry/collections", "c-1/tables/points", "c-1/0-7.seg". Whoever has the path of
 * such a folder, "x.waggle/c-1", finds the parts in it.
 *
 * A table is a tree of nodes, and whoever points to a node has its checksum, up to the header's
 * (Merkle, "A digital signature based on a conventional encryption function", CRYPTO 1987). So what
 * is opened is the contents alone, and what is read later is what was written, or WG_ECORRUPT.
 *
 * The file is mapped, and what is read is borrowed from the archive. Any thread. Written by
 * store/archive_writer.h. */
#include "store/record.h"

enum {
    ARCHIVE_NAME_SIZE = 40,
    ARCHIVE_HEIGHT_MAX = 16,
    ARCHIVE_NODE_SIZE = 4096, /* of a node with more than one entry, at most */
    ARCHIVE_SEGMENT_ALIGN = 65536, /* what any machine can map */
};

/* The file begins with this. */
struct archive_header {
    char magic[FORMAT_MAGIC_SIZE]; /* "WAGGLONE" */
    uint32_t version;
    struct features features;
    uint64_t size; /* of the file */
    uint64_t contents_offset, contents_sum; /* of the array of parts, checksum64 with seed 0 */
    uint32_t part_count;
    uint32_t sum; /* checksum32 of all before it */
};
static_assert(sizeof(struct archive_header) == 56, "as in FORMAT.md");

/* Where a node stands. */
struct archive_node {
    uint64_t offset, size;
    uint64_t sum; /* checksum64 of its bytes, seeded with its height over the leaves */
};
static_assert(sizeof(struct archive_node) == 24, "as in FORMAT.md");

/* A table, or a segment's bytes: these stand at offset, a multiple of ARCHIVE_SEGMENT_ALIGN. */
struct archive_part {
    char name[ARCHIVE_NAME_SIZE]; /* with a 0 behind it */
    struct archive_node root;     /* of an empty table: size 0 */
    uint64_t count; /* of entries, or rows */
    uint32_t height; /* of the root over the leaves */
    uint32_t reserved;
};
static_assert(sizeof(struct archive_part) == 80, "as in FORMAT.md");

/* A node is a row of entries: this, the key and the value, each filled up to a multiple of 8 bytes.
 * Over the leaves the value is an archive_node, and the key the first one below it. */
struct archive_entry {
    uint32_t value_size;
    uint16_t key_size, reserved;
};
static_assert(sizeof(struct archive_entry) == 8, "as in FORMAT.md");

struct archive;

/* Opens the file that path is, or leads into: "x.waggle/c-1/tables". *out is NULL, and that is no
 * error, when no file stands on the way. WG_EINVAL: it is some other file. WG_ECORRUPT,
 * WG_EVERSION. */
WG_CHECKED wg_err archive_open(const char *path, struct archive **out);
void archive_close(struct archive **archive);

const char *archive_path(const struct archive *archive);
uint64_t archive_size(const struct archive *archive);

/* The part of that name in a folder of the archive; NULL: there is none. */
const struct archive_part *archive_find(const struct archive *archive, const char *folder,
                                        const char *name);

/* *found false: the table has no such key. */
WG_CHECKED wg_err archive_get(const struct archive *archive, const struct archive_part *table,
                              struct bytes key, bool *found, struct bytes *value);

/* Walks a table in the order of its keys. */
struct archive_cursor {
    const struct archive *archive;
    const struct archive_part *table;
    struct bytes left; /* of the leaf it stands in */
    struct bytes next; /* the first key of the leaf behind; start NULL: there is none */
};
struct archive_cursor archive_cursor_at_first(const struct archive *archive,
                                              const struct archive_part *table);
/* The next one is the first key not below this one. */
WG_CHECKED wg_err archive_seek(struct archive_cursor *cursor, struct bytes key);
/* *found false: none is left. WG_ECORRUPT: a leaf, or more of them, cannot be read; *found is true,
 * *key is the first one that is lost, and the walk goes on behind. */
WG_CHECKED wg_err archive_next(struct archive_cursor *cursor, bool *found, struct bytes *key,
                               struct bytes *value);

/* In the order of the keys; as memcmp, the shorter of two that are equal up to its end first. */
int archive_compare(struct bytes a, struct bytes b);
/* Bytes of an entry in its node. */
size_t archive_entry_size(size_t key_size, size_t value_size);
