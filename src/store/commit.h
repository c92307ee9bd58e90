#pragma once
/* One commit under way, for one or more batches: rows are appended to segments and changes put into
 * a transaction; then the segments are synced, the transaction is committed, and the new view is
 * published. That LMDB commit is the moment of truth: before it nothing of this is there, after it
 * all.
 *
 * Used by one thread, which holds the collection's writer mutex. */
#include "store/collection.h"
#include "store/history.h"
#include "store/id.h"

struct commit {
    struct collection *collection;
    struct db_txn txn;
    struct commit_record record; /* what it will leave */
    const struct view *base; /* what it began from; stays current until the end */
    struct layout layout; /* the base's, and new segments */
    struct bitmap live; /* by position */
    bool *dirty; /* chunks of row numbers from record.row_base on, to be written */
    size_t dirty_count;
    size_t first_touched; /* the first segment that got rows */
    uint64_t rows_before, strings_before; /* of the base's last segment, for an abort */
    bool rearranged; /* segments of the base may go */
    bool changed; /* anything */
    /* The batch under way. */
    uint32_t change_count; /* of points */
    uint64_t change_row;
    struct change_items items;
};

/* WG_EREADONLY after a failed sync. On an error nothing has begun. */
WG_CHECKED wg_err commit_begin(struct collection *collection, struct commit *out);

/* A batch: what it changes has the version commit_version. commit_end_batch puts it into the list
 * of changes; a batch without changes takes no sequence. */
void commit_begin_batch(struct commit *commit);
WG_CHECKED wg_err commit_end_batch(struct commit *commit, enum change change);
uint64_t commit_version(const struct commit *commit);

/* Rows get the numbers from record.row_end on. sums, count, receives their checksums. */
WG_CHECKED wg_err commit_append(struct commit *commit, const struct segment_rows *rows,
                                uint32_t *sums);
/* The row is dead from this commit on. */
WG_CHECKED wg_err commit_kill(struct commit *commit, uint64_t row);
/* Every row is; the space of their segments is given back. */
WG_CHECKED wg_err commit_clear(struct commit *commit);
/* One point's change, for the history's hash and its list. payload and key may be empty. */
struct change_of_point {
    enum change change;
    struct bytes key, payload;
    uint64_t content; /* a hash of what it has now */
    bool listed; /* with its key and payload */
};
WG_CHECKED wg_err commit_note(struct commit *commit, const struct change_of_point *change);

/* Puts a segment in the place of the count from first on; packed may be NULL: they only go. sums,
 * one for each of its rows. */
struct swap {
    size_t first, count;
    struct segment *packed; /* retained */
    const uint32_t *sums;
};
WG_CHECKED wg_err commit_swap(struct commit *commit, const struct swap *swap);

/* WG_OK: on disk, and visible. After any error nothing is there, unless the message says that the
 * outcome is unknown. Ends the commit, but for txn.full: that the map was full, and db_grow
 * helps. */
WG_CHECKED wg_err commit_finish(struct commit *commit);
/* Undoes it; one that has ended is fine. */
void commit_abort(struct commit *commit);
