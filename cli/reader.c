#include "cli/reader.h"

#include "cli/id.h"
#include "cli/reader_format.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMATS "npy, fvecs, bvecs, idx or jsonl"

static const struct reader_format *const formats[] = { &format_npy, &format_fvecs, &format_bvecs,
                                                       &format_idx, &format_jsonl };
enum {
    FORMAT_COUNT = sizeof formats / sizeof *formats,
    SKIP_COMPONENTS = 1 << 20,
    PLACE_SIZE = 512
};

void point_batch_init(struct point_batch *batch, size_t room, size_t dim)
{
    *batch = (struct point_batch){ .room = room, .dim = dim };
    heap_resize(&batch->vectors, room * dim);
    heap_resize(&batch->ids, room);
    heap_resize(&batch->payloads, room);
    heap_resize(&batch->places, room);
}

void point_batch_fini(struct point_batch *batch)
{
    heap_free(&batch->vectors);
    heap_free(&batch->ids);
    heap_free(&batch->payloads);
    heap_free(&batch->places);
    text_pool_clear(&batch->texts);
    *batch = (struct point_batch){ 0 };
}

wg_err reader_fail(const struct reader *reader, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(WG_EINVAL, "%s: %s", source_name(&reader->source), text);
}

wg_err reader_read_header(struct reader *reader, void *bytes, size_t size)
{
    size_t got;
    uint64_t at = reader->source.position;
    wg_err err = source_read(&reader->source, bytes, size, &got);
    if (err != WG_OK || got == size) return err;
    return reader_fail(reader, "ends within its header, at byte %llu, expected at least %llu bytes",
                       (unsigned long long)(at + got), (unsigned long long)(at + size));
}

wg_err reader_check_dim(const struct reader *reader, uint64_t dim)
{
    unsigned most = reader->bits ? WG_BITS_DIM_MAX : WG_DIM_MAX;
    if (dim >= 1 && dim <= most) return WG_OK;
    return reader_fail(reader, "vectors have %llu dimensions, expected 1 to %u",
                       (unsigned long long)dim, most);
}

static const struct reader_format *by_name(const char *name)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (strcmp(formats[i]->name, name) == 0) return formats[i];
    return NULL;
}

/* Is the extension, given as its size bytes, a word of the list? */
static bool lists(const char *list, const char *extension, size_t size)
{
    for (const char *word = list; *word; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        if (length == size && memcmp(word, extension, size) == 0) return true;
        word += length;
    }
    return false;
}

static const struct reader_format *by_extension(const char *path)
{
    size_t size = strlen(path);
    if (size > 3 && strcmp(path + size - 3, ".gz") == 0) size -= 3;
    size_t dot = size;
    while (dot > 0 && path[dot - 1] != '.' && path[dot - 1] != '/') dot--;
    if (dot == 0 || path[dot - 1] != '.') return NULL;
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (lists(formats[i]->extensions, path + dot - 1, size - dot + 1)) return formats[i];
    return NULL;
}

static const struct reader_format *by_content(const unsigned char *head, size_t size)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (formats[i]->matches && formats[i]->matches(head, size)) return formats[i];
    return NULL;
}

static wg_err find_format(struct reader *reader, const struct reader_params *params)
{
    unsigned char head[SOURCE_PEEK_MAX];
    size_t size;
    if (params->format) {
        reader->format = by_name(params->format);
        if (!reader->format)
            return fail(WG_EINVAL, "unknown format \"%s\", expected " FORMATS, params->format);
    }
    wg_err err = source_peek(&reader->source, head, sizeof head, &size);
    if (err != WG_OK) return err;
    if (size == 0) return reader_fail(reader, "is empty, expected vectors");
    if (!reader->format) reader->format = by_extension(params->path);
    if (!reader->format) reader->format = by_content(head, size);
    if (reader->format) return WG_OK;
    err = reader_fail(reader, "neither its name nor its first bytes tell its format");
    return fail_hint(err, "say it with --format: " FORMATS);
}

wg_err reader_open(const struct reader_params *params, struct reader **out)
{
    wg_err err = WG_OK;
    struct reader *reader = NULL;
    heap_resize(&reader, 1);
    *reader =
        (struct reader){ .total = UINT64_MAX, .first_id = params->first_id, .bits = params->bits };
    TRY(source_open(params->path, &reader->source));
    TRY(find_format(reader, params));
    TRY(reader->format->begin(reader));
    *out = reader;
    reader = NULL;
out:
    reader_close(&reader);
    return err;
}

void reader_close(struct reader **reader)
{
    struct reader *closed = *reader;
    if (!closed) return;
    if (closed->format && closed->format->end) closed->format->end(closed);
    source_close(&closed->source);
    heap_free(&closed->scratch);
    heap_free(reader);
}

size_t reader_dim(const struct reader *reader)
{
    return reader->dim;
}

const char *reader_format_name(const struct reader *reader)
{
    return reader->format->name;
}

bool reader_total(const struct reader *reader, uint64_t *total)
{
    if (reader->total == UINT64_MAX) return false;
    *total = reader->total;
    return true;
}

double reader_fraction(struct reader *reader)
{
    if (reader->total == UINT64_MAX) return source_fraction(&reader->source);
    return reader->total > 0 ? (double)reader->row / (double)reader->total : 1;
}

/* What a format does not say itself. */
static void number_points(const struct reader *reader, size_t want, struct point_batch *batch)
{
    for (size_t i = 0; i < want; i++) {
        batch->places[i] = reader->row + i;
        batch->payloads[i] = NULL;
        batch->ids[i] = (wg_id){ .type = WG_ID_NUMBER };
        batch->ids[i].as.number = reader->first_id + reader->row + i;
    }
}

static wg_err check_numbers(const struct reader *reader, size_t count)
{
    uint64_t room = UINT64_MAX - reader->first_id;
    if (count == 0 || reader->row + count - 1 <= room) return WG_OK;
    return reader_fail(reader, "point %llu would have an id beyond %llu",
                       (unsigned long long)room + 1, (unsigned long long)UINT64_MAX);
}

wg_err reader_next(struct reader *reader, uint64_t limit, struct point_batch *batch)
{
    wg_err err = WG_OK;
    size_t want = batch->room < limit ? batch->room : (size_t)limit, got;
    batch->count = 0;
    text_pool_clear(&batch->texts);
    number_points(reader, want, batch);
    TRY(reader->format->read(reader, want, batch, &got));
    TRY(check_numbers(reader, got));
    batch->count = got;
    reader->row += got;
out:
    return err;
}

wg_err reader_skip(struct reader *reader, uint64_t count)
{
    wg_err err = WG_OK;
    struct point_batch batch;
    point_batch_init(&batch, 1 + SKIP_COMPONENTS / (reader->dim + 1), reader->dim);
    while (count > 0) {
        TRY(reader_next(reader, count, &batch));
        if (batch.count == 0) break;
        count -= batch.count;
    }
out:
    point_batch_fini(&batch);
    return err;
}

void reader_place(const struct reader *reader, const struct point_batch *batch, size_t i,
                  char *text, size_t room)
{
    snprintf(text, room, reader->format->counts_lines ? "%s:%llu" : "%s: row %llu",
             source_name(&reader->source), (unsigned long long)batch->places[i]);
}

static bool explain_component(const struct reader *reader, const struct point_batch *batch)
{
    char place[PLACE_SIZE];
    for (size_t i = 0; i < batch->count * batch->dim; i++) {
        float x = batch->vectors[i];
        if (fabsf(x) <= WG_COMPONENT_MAX) continue;
        reader_place(reader, batch, i / batch->dim, place, sizeof place);
        if (isnan(x))
            fail(WG_EINVAL, "%s has a NaN in component %zu, expected numbers", place,
                 i % batch->dim);
        else
            fail(WG_EINVAL, "%s has %g in component %zu, expected at most %g in magnitude", place,
                 (double)x, i % batch->dim, (double)WG_COMPONENT_MAX);
        return true;
    }
    return false;
}

/* Any order will do that puts equal ids together. */
static int compare_ids(const void *a, const void *b)
{
    const wg_id *x = *(const wg_id *const *)a, *y = *(const wg_id *const *)b;
    int order = (x->type > y->type) - (x->type < y->type);
    if (order == 0 && x->type == WG_ID_NUMBER)
        order = (x->as.number > y->as.number) - (x->as.number < y->as.number);
    if (order == 0 && x->type == WG_ID_UUID)
        order = memcmp(x->as.uuid, y->as.uuid, sizeof x->as.uuid);
    if (order == 0 && x->type == WG_ID_STRING) {
        order = (x->size > y->size) - (x->size < y->size);
        if (order == 0) order = memcmp(x->as.string, y->as.string, x->size);
    }
    return order;
}

static bool explain_twice(const struct reader *reader, const struct point_batch *batch)
{
    const wg_id **sorted = NULL;
    char first[PLACE_SIZE], second[PLACE_SIZE], id[WG_ID_TEXT_SIZE];
    size_t i = 1;
    heap_resize(&sorted, batch->count);
    for (size_t at = 0; at < batch->count; at++) sorted[at] = &batch->ids[at];
    qsort(sorted, batch->count, sizeof *sorted, compare_ids);
    while (i < batch->count && compare_ids(&sorted[i - 1], &sorted[i]) != 0) i++;
    bool twice = i < batch->count;
    if (twice) {
        size_t one = (size_t)(sorted[i - 1] - batch->ids), two = (size_t)(sorted[i] - batch->ids);
        reader_place(reader, batch, one < two ? one : two, first, sizeof first);
        reader_place(reader, batch, one < two ? two : one, second, sizeof second);
        fail(WG_EINVAL, "%s has the id %s, which %s has too: once in a batch is allowed", second,
             id_text(&batch->ids[one], id), first);
    }
    heap_free(&sorted);
    return twice;
}

wg_err reader_explain(const struct reader *reader, const struct point_batch *batch, wg_err err)
{
    char place[PLACE_SIZE];
    fail_library(err);
    if (err != WG_EINVAL || explain_component(reader, batch) || explain_twice(reader, batch))
        return err;
    reader_place(reader, batch, 0, place, sizeof place);
    return fail(err, "%s, or one of the %zu behind it: %s", place, batch->count - 1,
                fail_message());
}
