/* JSON Lines: one point per line, as json_line.h says. Blank lines are passed over. */
#include "cli/json_line.h"
#include "cli/reader_format.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK_SIZE = 256 * 1024, LINE_SIZE_MAX = 64 * 1024 * 1024 };

struct jsonl {
    char *buffer; /* what is read and not yet used is from begin to end */
    size_t begin, end, room;
    bool ended;        /* the source has no more */
    uint64_t number;   /* of the current line, from 1 */
    bool has_line;     /* the current line is split, and its vector read, but not yet taken */
    struct json_line line;
    float *vector; /* of the current line */
    size_t vector_room;
};

static wg_err fail_line(const struct reader *reader)
{
    return fail(WG_EINVAL, "%s:%llu: %s", source_name(&reader->source),
                (unsigned long long)reader->jsonl->number, fail_message());
}

static bool matches(const unsigned char *head, size_t size)
{
    size_t at = 0;
    while (at < size && head[at] && strchr(" \t\r\n", head[at])) at++;
    return at < size && head[at] == '{';
}

/* Moves what is left to the front and reads behind it. */
static wg_err refill(struct reader *reader)
{
    struct jsonl *jsonl = reader->jsonl;
    size_t kept = jsonl->end - jsonl->begin, got;
    if (kept > 0) memmove(jsonl->buffer, jsonl->buffer + jsonl->begin, kept);
    jsonl->begin = 0;
    jsonl->end = kept;
    if (kept > LINE_SIZE_MAX) {
        fail(WG_EINVAL, "the line has more than %d bytes", LINE_SIZE_MAX);
        jsonl->number++;
        return fail_line(reader);
    }
    if (kept + CHUNK_SIZE > jsonl->room) {
        jsonl->room = 2 * jsonl->room > kept + CHUNK_SIZE ? 2 * jsonl->room : kept + CHUNK_SIZE;
        heap_resize(&jsonl->buffer, jsonl->room + 1);
    }
    wg_err err = source_read(&reader->source, jsonl->buffer + kept, jsonl->room - kept, &got);
    jsonl->end += got;
    jsonl->ended = got < jsonl->room - kept;
    return err;
}

/* The next line, with a 0 instead of its newline; *line is NULL at the end. */
static wg_err next_line(struct reader *reader, char **line, size_t *size)
{
    struct jsonl *jsonl = reader->jsonl;
    char *newline = NULL;
    for (size_t searched = 0;;) {
        char *begin = jsonl->buffer ? jsonl->buffer + jsonl->begin : NULL;
        size_t have = jsonl->end - jsonl->begin;
        if (have > searched) newline = memchr(begin + searched, '\n', have - searched);
        if (newline || jsonl->ended) break;
        searched = have;
        wg_err err = refill(reader);
        if (err != WG_OK) return err;
    }
    size_t stop = newline ? (size_t)(newline - jsonl->buffer) : jsonl->end;
    bool at_end = !newline && jsonl->begin == jsonl->end;
    *line = at_end ? NULL : jsonl->buffer + jsonl->begin;
    *size = stop - jsonl->begin;
    jsonl->buffer[stop] = 0;
    jsonl->begin = newline ? stop + 1 : stop;
    jsonl->number += !at_end;
    return WG_OK;
}

static wg_err read_vector(struct jsonl *jsonl, size_t *dim)
{
    wg_err err = json_line_vector(&jsonl->line, jsonl->vector, jsonl->vector_room, dim);
    if (err != WG_OK || *dim <= jsonl->vector_room) return err;
    jsonl->vector_room = *dim;
    heap_resize(&jsonl->vector, *dim);
    return json_line_vector(&jsonl->line, jsonl->vector, *dim, dim);
}

/* Splits the next line that is not blank and reads its vector; *dim is 0 at the end. */
static wg_err parse_line(struct reader *reader, size_t *dim)
{
    struct jsonl *jsonl = reader->jsonl;
    char *text;
    size_t size;
    do {
        wg_err err = next_line(reader, &text, &size);
        if (err != WG_OK) return err;
    } while (text && strspn(text, " \t\r") == size);
    jsonl->has_line = text != NULL;
    *dim = 0;
    if (!text) return WG_OK;
    wg_err err = json_line_split(text, size, &jsonl->line);
    if (err == WG_OK) err = read_vector(jsonl, dim);
    if (err == WG_OK && *dim == 0) err = fail(WG_EINVAL, "\"vector\" is empty");
    return err == WG_OK ? WG_OK : fail_line(reader);
}

static wg_err begin(struct reader *reader)
{
    wg_err err = WG_OK;
    heap_resize(&reader->jsonl, 1);
    *reader->jsonl = (struct jsonl){ 0 };
    TRY(parse_line(reader, &reader->dim));
    if (!reader->jsonl->has_line) return reader_fail(reader, "has no points, only blank lines");
    TRY(reader_check_dim(reader, reader->dim));
out:
    return err;
}

static wg_err take_line(struct reader *reader, struct point_batch *batch, size_t i)
{
    wg_err err = WG_OK;
    struct jsonl *jsonl = reader->jsonl;
    memcpy(batch->vectors + i * reader->dim, jsonl->vector, reader->dim * sizeof *jsonl->vector);
    batch->places[i] = jsonl->number;
    if (jsonl->line.id.begin) TRY(json_line_id(&jsonl->line, &batch->texts, &batch->ids[i]));
    if (jsonl->line.payload.begin)
        TRY(json_line_payload(&jsonl->line, &batch->texts, &batch->payloads[i]));
    jsonl->has_line = false;
out:
    return err == WG_OK ? WG_OK : fail_line(reader);
}

static wg_err read_lines(struct reader *reader, size_t want, struct point_batch *batch, size_t *got)
{
    struct jsonl *jsonl = reader->jsonl;
    for (*got = 0; *got < want; ++*got) {
        size_t dim = reader->dim;
        wg_err err = jsonl->has_line ? WG_OK : parse_line(reader, &dim);
        if (err != WG_OK) return err;
        if (!jsonl->has_line) break;
        if (dim != reader->dim) {
            fail(WG_EINVAL, "the vector has %zu dimensions, expected %zu, as the lines before it",
                 dim, reader->dim);
            return fail_line(reader);
        }
        err = take_line(reader, batch, *got);
        if (err != WG_OK) return err;
    }
    return WG_OK;
}

static void end(struct reader *reader)
{
    if (!reader->jsonl) return;
    heap_free(&reader->jsonl->buffer);
    heap_free(&reader->jsonl->vector);
    heap_free(&reader->jsonl);
}

const struct reader_format format_jsonl = {
    .name = "jsonl",
    .extensions = ".jsonl .ndjson",
    .counts_lines = true,
    .matches = matches,
    .begin = begin,
    .read = read_lines,
    .end = end,
};
