/* fvecs and bvecs, the formats of the TEXMEX data sets: each row is its dimension as little-endian
 * i32, then that many f32 or u8. */
#include "cli/reader_format.h"

#include <inttypes.h>
#include <string.h>

enum { PREFIX_SIZE = 4 };

static size_t row_size(const struct reader *reader)
{
    return PREFIX_SIZE + reader->dim * reader->element->size;
}

static wg_err check_length(struct reader *reader)
{
    uint64_t length, size = row_size(reader);
    if (!source_length(&reader->source, &length)) return WG_OK;
    if (length % size != 0)
        return reader_fail(reader,
                           "is truncated, or no %s file: its %" PRIu64
                           " bytes are no multiple of the %" PRIu64
                           " that a row of %zu dimensions takes",
                           reader->format->name, length, size, reader->dim);
    reader->total = length / size;
    return WG_OK;
}

static wg_err begin(struct reader *reader, const struct element *element)
{
    unsigned char prefix[PREFIX_SIZE];
    size_t got;
    wg_err err = WG_OK;
    TRY(source_peek(&reader->source, prefix, sizeof prefix, &got));
    if (got < sizeof prefix)
        return reader_fail(reader, "is truncated: has %zu bytes, expected a dimension of 4", got);
    uint32_t dim = element_u32_little_endian(prefix);
    TRY(reader_check_dim(reader, dim));
    reader->dim = dim;
    reader->element = element;
    size_t size = row_size(reader);
    heap_resize(&reader->scratch, size > SCRATCH_SIZE ? size : SCRATCH_SIZE);
    TRY(check_length(reader));
out:
    return err;
}

static wg_err begin_fvecs(struct reader *reader)
{
    return begin(reader, &element_f32);
}

static wg_err begin_bvecs(struct reader *reader)
{
    return begin(reader, &element_u8);
}

static wg_err take_row(struct reader *reader, uint64_t row, const unsigned char *bytes, float *to)
{
    uint32_t dim = element_u32_little_endian(bytes);
    if (dim != reader->dim)
        return reader_fail(reader,
                           "row %" PRIu64 " has %" PRIu32 " dimensions, expected %zu, as "
                           "the rows before it",
                           row, dim, reader->dim);
    if (reader->element->convert)
        reader->element->convert(bytes + PREFIX_SIZE, to, reader->dim);
    else
        memcpy(to, bytes + PREFIX_SIZE, reader->dim * sizeof *to);
    return WG_OK;
}

/* Up to want rows, as many as the scratch holds. */
static wg_err read_part(struct reader *reader, size_t want, size_t done, float *to, size_t *rows)
{
    size_t size = row_size(reader), got;
    size_t at_once = size < SCRATCH_SIZE ? SCRATCH_SIZE / size : 1;
    if (at_once > want) at_once = want;
    wg_err err = source_read(&reader->source, reader->scratch, at_once * size, &got);
    *rows = got / size;
    for (size_t i = 0; err == WG_OK && i < *rows; i++)
        err = take_row(reader, reader->row + done + i, reader->scratch + i * size,
                       to + i * reader->dim);
    if (err != WG_OK || got % size == 0) return err;
    return reader_fail(reader, "is truncated: ends at byte %" PRIu64 ", within row %" PRIu64,
                       reader->source.position, reader->row + done + *rows);
}

static wg_err read_rows(struct reader *reader, size_t want, struct point_batch *batch, size_t *got)
{
    size_t done = 0, part = 1;
    while (done < want && part > 0) {
        float *to = batch->vectors + done * reader->dim;
        wg_err err = read_part(reader, want - done, done, to, &part);
        if (err != WG_OK) return err;
        done += part;
    }
    *got = done;
    return WG_OK;
}

const struct reader_format format_fvecs = {
    .name = "fvecs",
    .extensions = ".fvecs",
    .begin = begin_fvecs,
    .read = read_rows,
};

const struct reader_format format_bvecs = {
    .name = "bvecs",
    .extensions = ".bvecs",
    .begin = begin_bvecs,
    .read = read_rows,
};
