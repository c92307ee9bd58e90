/* What npy and idx have in common: a header, then rows of one element type. */
#include "cli/reader_format.h"

#include <inttypes.h>

static size_t row_size_of(const struct reader *reader)
{
    size_t packed = reader->element->packed ? reader->element->packed : 1;
    return reader->dim / packed * reader->element->size;
}

static wg_err check_length(struct reader *reader, uint64_t row_size)
{
    uint64_t length, want, header = reader->source.position;
    bool overflows = __builtin_mul_overflow(reader->total, row_size, &want);
    if (overflows || __builtin_add_overflow(want, header, &want))
        return reader_fail(reader,
                           "its header promises %" PRIu64 " rows of %zu dimensions, which "
                           "no file holds",
                           reader->total, reader->dim);
    if (!source_length(&reader->source, &length) || length == want) return WG_OK;
    return reader_fail(reader,
                       "%s: it has %" PRIu64 " bytes, its header promises %" PRIu64 " (%" PRIu64
                       " x %zu %s behind %" PRIu64 " bytes)",
                       length < want ? "is truncated" : "has too much data", length, want,
                       reader->total, reader->dim, reader->element->name, header);
}

wg_err matrix_begin(struct reader *reader)
{
    size_t row_size = row_size_of(reader);
    heap_resize(&reader->scratch, row_size > SCRATCH_SIZE ? row_size : SCRATCH_SIZE);
    return check_length(reader, row_size);
}

/* A file whose length was not known at the start, packed or a pipe, may end too early. */
static wg_err read_rows(struct reader *reader, uint64_t row, void *bytes, size_t count)
{
    size_t size = count * row_size_of(reader), got;
    wg_err err = source_read(&reader->source, bytes, size, &got);
    if (err != WG_OK || got == size) return err;
    row += got / row_size_of(reader);
    return reader_fail(reader,
                       "is truncated: ends at byte %" PRIu64 ", within row %" PRIu64 " of %" PRIu64,
                       reader->source.position, row, reader->total);
}

static wg_err check_end(struct reader *reader)
{
    unsigned char byte;
    size_t got;
    wg_err err = source_read(&reader->source, &byte, 1, &got);
    if (err != WG_OK || got == 0) return err;
    return reader_fail(reader,
                       "has too much data: its header promises %" PRIu64
                       " rows, which end at byte %" PRIu64,
                       reader->total, reader->source.position - 1);
}

wg_err matrix_read(struct reader *reader, size_t want, struct point_batch *batch, size_t *got)
{
    const struct element *element = reader->element;
    uint64_t left = reader->total - reader->row;
    size_t rows = want < left ? want : (size_t)left;
    *got = 0;
    if (want > 0 && rows == 0) return check_end(reader);
    size_t rows_at_once = element->convert ? SCRATCH_SIZE / row_size_of(reader) : rows;
    if (rows_at_once == 0) rows_at_once = 1;
    for (size_t row = 0; row < rows;) {
        size_t part = rows - row < rows_at_once ? rows - row : rows_at_once;
        float *to = batch->vectors + row * reader->dim;
        void *bytes = element->convert ? (void *)reader->scratch : (void *)to;
        wg_err err = read_rows(reader, reader->row + row, bytes, part);
        if (err != WG_OK) return err;
        if (element->convert) element->convert(reader->scratch, to, part * reader->dim);
        row += part;
    }
    *got = rows;
    return WG_OK;
}
