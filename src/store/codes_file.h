#pragma once
/* Codes of a segment's rows (device/codes.h) kept beside it, "0-7.codes" beside "0-7.seg"; every
 * byte is in docs/FORMAT.md. A cache: a file that is missing, torn, damaged or of other rows costs
 * the time of making codes again. So it is never synced; it is known to be right by checksums that
 * go over the codes and over the checksums of the very rows they stand for.
 *
 * One thread writes the file of a segment; any process reads it. */
#include "store/segment.h"

struct codes_header {
    char magic[FORMAT_MAGIC_SIZE]; /* "WAGGLCOD" */
    uint32_t version;
    struct features features;
    uint64_t first_row, row_count; /* of the segment; its rows that are coded */
    uint64_t contents_sum;         /* checksum64 of the parts' sums and the centre */
    double centre_norm;
    uint32_t number, dim; /* of the segment */
    uint16_t space, metric; /* 0: dot products, 1: L2 */
    uint16_t kind, panel_rows; /* CODES_EIGHT_BITS, PANEL_ROWS */
    float scale;
    uint32_t sum; /* checksum32 of all before it */
};
static_assert(sizeof(struct codes_header) == 80, "as in FORMAT.md");

enum { CODES_EIGHT_BITS = 1, CODES_PART_ROWS = 16384 };

/* Whether a file of that name is one of codes, also one that was not finished; room for 32. */
bool codes_file_is_name(const char *name);
void codes_file_name(uint16_t space, uint32_t number, char name[32]);
/* Bytes of one with so many rows. */
uint64_t codes_file_size(size_t dim, uint64_t row_count);

/* Writes the codes beside the segment in place of those that are there; *saved, if it is not NULL:
 * how many rows they cover. WG_ENOSPC also when they would take much of the room that the disk has
 * left. */
WG_CHECKED wg_err codes_file_write(const struct segment *segment, const struct codes *codes,
                                   uint64_t *saved);

/* Codes of the segment's rows below row_count, into memory of their own: what becomes of the file
 * changes nothing. WG_ENOTFOUND: there is none. WG_ECORRUPT, WG_EVERSION: it is not used. */
struct codes_wanted {
    const struct segment *segment;
    uint64_t row_count;
    enum metric metric;
    enum row_type type;
    const struct stop *stop; /* may be NULL */
};
WG_CHECKED wg_err codes_file_read(const struct codes_wanted *wanted, struct codes **out);

/* How large the file is; 0: there is none. wg_message() stays as it is. */
uint64_t codes_file_bytes(const struct segment *segment);
/* Removes it if that can be done; wg_message() stays as it is. */
void codes_file_discard(const struct segment *segment);
