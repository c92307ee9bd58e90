#pragma once
/* Writing an archive: its parts one behind the other, into a file beside the one that is wanted,
 * which is there when all is on the disk, and else not at all. A killed process leaves the file
 * beside it, "PATH.PROCESS-N.tmp", which the next one to write to path removes. One thread. */
#include "os/file.h"
#include "store/archive.h"

struct archive_writer {
    struct file file;
    char *path, *temporary;
    uint64_t end; /* of what is taken */
    struct archive_part *parts;
    uint32_t part_count;
};

/* WG_EEXISTS: something is at path. *out is to be ended by archive_writer_fini, also after an
 * error. */
WG_CHECKED wg_err archive_writer_open(const char *path, struct archive_writer *out);
/* Takes size bytes, from a multiple of align on. */
uint64_t archive_writer_take(struct archive_writer *writer, uint64_t size, uint64_t align);
WG_CHECKED wg_err archive_writer_add(struct archive_writer *writer,
                                     const struct archive_part *part);
/* The file is there. After an error nothing is. */
WG_CHECKED wg_err archive_writer_finish(struct archive_writer *writer);
void archive_writer_fini(struct archive_writer *writer);

/* A table on its way into the file: entries come in the order of their keys. Several can be. */
struct table_writer {
    struct archive_writer *archive;
    struct archive_part part;
    struct open_node {
        char *bytes;
        size_t size, room;
        size_t last; /* where its last entry begins */
    } nodes[ARCHIVE_HEIGHT_MAX + 1]; /* by their height over the leaves */
};

void table_writer_begin(struct archive_writer *archive, const char *name, struct table_writer *out);
/* WG_ECORRUPT: the key is not behind the one before. */
WG_CHECKED wg_err table_writer_add(struct table_writer *table, struct bytes key,
                                   struct bytes value);
/* The table is a part of the archive. */
WG_CHECKED wg_err table_writer_end(struct table_writer *table);
void table_writer_fini(struct table_writer *table);
