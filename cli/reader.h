#pragma once
/* Points from a file of vectors, batch by batch: npy, fvecs, bvecs, idx, jsonl. The format is told,
 * or known by the file's name or its first bytes. One thread. */
#include "cli/element.h"
#include "cli/heap.h"
#include "cli/source.h"
#include "waggle/collection.h"

/* Room for a number of points, filled anew by each reader_next. */
struct point_batch {
    size_t room, count, dim;
    float *vectors; /* room x dim */
    wg_id *ids; /* room */
    const char **payloads; /* room: JSON objects or NULL */
    uint64_t *places; /* room: the row, from 0, or the line, from 1, where a point was */
    struct text_pool texts; /* what ids and payloads point to */
};

void point_batch_init(struct point_batch *batch, size_t room, size_t dim);
void point_batch_fini(struct point_batch *batch);

struct reader;

struct reader_params {
    const char *path; /* "-" is standard input; borrowed while the reader lives */
    const char *format; /* NULL: to be found out */
    uint64_t first_id; /* of the first point; points without an id are numbered from here */
    bool bits; /* the bytes of an npy file are eight components each, the lowest bit first */
};

/* Reads as far as is needed to know the dimension. WG_EINVAL says what is wrong with the file, also
 * when its length is known and not what its header promises. */
WG_CHECKED wg_err reader_open(const struct reader_params *params, struct reader **out);
void reader_close(struct reader **reader); /* *reader may be NULL */

size_t reader_dim(const struct reader *reader);
const char *reader_format_name(const struct reader *reader);
/* Points in all, where the file says it. */
bool reader_total(const struct reader *reader, uint64_t *total);
double reader_fraction(struct reader *reader); /* read so far, 0 to 1; below 0: not known */

/* The next points, at most limit and at most batch->room; batch->count is 0 at the end. After an
 * error nothing of the batch is to be used. */
WG_CHECKED wg_err reader_next(struct reader *reader, uint64_t limit, struct point_batch *batch);
/* Reads count points and drops them; fewer where the file ends before. */
WG_CHECKED wg_err reader_skip(struct reader *reader, uint64_t count);

/* Where a point of the batch was, as messages say it: "a.npy: row 17", "a.jsonl:18". */
void reader_place(const struct reader *reader, const struct point_batch *batch, size_t i,
                  char *text, size_t room);

/* Takes over the failure of a call of the library that was given the batch, and returns err. The
 * library counts within the batch; this says where in the file, where it can be found out. */
wg_err reader_explain(const struct reader *reader, const struct point_batch *batch, wg_err err);
