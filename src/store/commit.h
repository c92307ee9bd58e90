#pragma once
/* One commit under way: rows are appended to segments and changes put into a transaction; then the
 * segments are synced, the transaction is committed, and the new view is published. That LMDB
 * commit is the moment of truth: before it nothing of this is there, after it all.
 *
 * Used by one thread, which holds the collection's writer mutex. */
#include "store/collection.h"
#include "store/id.h"

struct commit {
    struct collection *collection;
    struct db_txn txn;
    struct commit_record record;    /* what it will leave */
    const struct view *base;        /* what it began from; stays current until the end */
    struct bitmap live;             /* by position, as in the base */
    struct segment **segments;      /* retained; those of the base and new ones */
    size_t segment_count;
    size_t first_touched;           /* the first segment that got rows */
    bool *touched_chunks;           /* of the live rows */
    size_t chunk_count;
    uint64_t rows_before, strings_before; /* of the base's last segment, for an abort */
    bool changed; /* anything */
    bool cleared;                   /* the base's segments go */
};

/* WG_EREADONLY after a failed sync. On an error nothing has begun. */
WG_CHECKED wg_err commit_begin(struct collection *collection, struct commit *out);
/* The new version of the collection, and of what this commit writes. */
uint64_t commit_version(const struct commit *commit);

/* Rows get the numbers from record.row_end on. sums, count, receives their checksums. */
WG_CHECKED wg_err commit_append(struct commit *commit, const struct segment_rows *rows,
                                uint32_t *sums);
/* The row is dead from this commit on. */
WG_CHECKED wg_err commit_kill(struct commit *commit, uint64_t row);
/* Every row is; the space of their segments is given back. */
WG_CHECKED wg_err commit_clear(struct commit *commit);
/* Takes a change into the history's hash. */
void commit_chain(struct commit *commit, const void *bytes, size_t size);

/* WG_OK: on disk, and visible. After any error nothing is there, unless the message says that the
 * outcome is unknown. Ends the commit, but for txn.full:
 * that the map was full, and db_grow helps. */
WG_CHECKED wg_err commit_finish(struct commit *commit);
/* Undoes it; one that has ended is fine. */
void commit_abort(struct commit *commit);
