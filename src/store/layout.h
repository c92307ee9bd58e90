#pragma once
/* Segments side by side, in the order of their rows: what maps a row's number to its position and
 * back. A position counts the rows that are there, dead ones included, from 0. Row numbers rise
 * with positions, and may skip: rows that were compacted away have no position.
 *
 * Built by one thread; then read by any. */
#include "base/bitmap.h"
#include "store/segment.h"

struct placed {
    struct segment *segment;
    uint64_t position;  /* of its first row */
    uint64_t row_count; /* of the segment's rows; it may hold newer ones */
    uint64_t dead_count;
};

struct layout {
    struct placed *placed;
    size_t count;
};

/* Retains the segments; *out must be zero. */
WG_CHECKED wg_err layout_copy(const struct layout *from, struct layout *out);
/* Takes the segment over, also on an error. */
WG_CHECKED wg_err layout_add(struct layout *layout, struct segment *take, uint64_t row_count);
void layout_fini(struct layout *layout);

/* The number of positions. */
uint64_t layout_end(const struct layout *layout);
/* The segment of a position below layout_end; *i: the row within it. */
const struct placed *layout_at(const struct layout *layout, uint64_t position, uint64_t *i);
uint64_t layout_row(const struct layout *layout, uint64_t position);
/* The first position whose row is not below row; up to layout_end. */
uint64_t layout_lower(const struct layout *layout, uint64_t row);
/* False: no such row is there. */
bool layout_find(const struct layout *layout, uint64_t row, uint64_t *position);

/* Live rows as they are kept on disk, by number, in chunks of 65,536, and as searches use them, by
 * position. words: BITMAP_CHUNK_WORDS. */
void layout_get_live(const struct layout *layout, const struct bitmap *live, uint32_t chunk,
                     uint64_t *words);
/* Clears in live the positions of the chunk's dead rows and counts them. WG_ECORRUPT: a live row
 * has no position. */
WG_CHECKED wg_err layout_set_live(struct layout *layout, uint32_t chunk, const uint64_t *words,
                                  struct bitmap *live);

/* What is dead of count positions from `from` on becomes dead in live, which is resized to hold
 * them, from its position `to` on. */
struct live_range {
    const struct bitmap *live;
    uint64_t from, count;
};
WG_CHECKED wg_err layout_copy_live(const struct live_range *range, struct bitmap *live,
                                   uint64_t to);

/* Opens the segment of one record of table "segments" and adds it; records come in the order of
 * their keys. before may be NULL: a layout whose segments are used again where they are the same.
 * WG_ECORRUPT when it does not follow on those before, or goes against the commit's record. */
struct layout_source {
    const char *folder;
    const struct db *db;
    const struct commit_record *commit;
    uint32_t dim;
    uint16_t type;
    bool read_only;
    const struct layout *before;
};
WG_CHECKED wg_err layout_load(struct layout *layout, const struct layout_source *source,
                              struct bytes key, struct bytes value);
/* Every table of segments; the cursor's own transaction. */
WG_CHECKED wg_err layout_load_all(struct layout *layout, const struct layout_source *source,
                                  struct db_txn *txn, unsigned table);
