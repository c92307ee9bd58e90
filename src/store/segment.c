#include "store/segment.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "device/row.h"
#include "quant/encode.h"
#include "store/codes_file.h"
#include "store/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_SIZE = 4096, SLOT_BATCH = 2048, STRINGS_STEP = 64 * 1024 };

/* From here on rows begin their way to the disk while their slots are made; below, the call costs
 * more than it hides. */
enum { FLUSH_BYTES_MIN = 256 << 10 };

static const char magic[FORMAT_MAGIC_SIZE] = "WAGGLSEG";
static const char suffix[] = ".seg";

void segment_name(uint16_t space, uint32_t number, char name[32])
{
    snprintf(name, 32, "%u-%u%s", space, number, suffix);
}

bool segment_is_name(const char *name)
{
    unsigned space, number;
    char again[32];
    if (sscanf(name, "%u-%u", &space, &number) != 2 || space > UINT16_MAX) return false;
    segment_name((uint16_t)space, number, again);
    return strcmp(name, again) == 0;
}

static uint64_t page_up(uint64_t size)
{
    return (size + HEADER_SIZE - 1) / HEADER_SIZE * HEADER_SIZE;
}

static uint32_t header_sum(const struct segment_header *header)
{
    return checksum32(header, offsetof(struct segment_header, sum), 0);
}

static uint64_t ids_offset_of(uint64_t capacity, size_t vector_size)
{
    return HEADER_SIZE + page_up(capacity * vector_size);
}

static uint64_t strings_offset_of(uint64_t capacity, size_t vector_size, bool packed)
{
    uint64_t end =
        ids_offset_of(capacity, vector_size) + page_up(capacity * sizeof(struct id_slot));
    return packed ? end + page_up(capacity * sizeof(uint64_t)) : end;
}

uint64_t segment_file_size(uint64_t capacity, size_t row_size, bool packed)
{
    return strings_offset_of(capacity, row_size, packed);
}

struct segment_header segment_header_of(const struct segment_params *params)
{
    size_t vector_size = row_size((enum row_type)params->type, params->dim);
    struct segment_header header = {
        .version = FORMAT_VERSION,
        .features = features_of_type(params->type),
        .first_row = params->first_row,
        .capacity = params->capacity,
        .ids_offset = ids_offset_of(params->capacity, vector_size),
        .strings_offset = strings_offset_of(params->capacity, vector_size, params->packed),
        .number = params->number,
        .dim = params->dim,
        .space = params->space,
        .type = params->type,
    };
    memcpy(header.magic, magic, sizeof magic);
    if (params->packed)
        header.numbers_offset =
            header.ids_offset + page_up(params->capacity * sizeof(struct id_slot));
    header.sum = header_sum(&header);
    return header;
}

static uint64_t extent_max(const struct segment_header *header)
{
    return header->strings_offset + page_up(header->capacity * WG_ID_SIZE_MAX);
}

static wg_err segment_alloc(const struct segment_params *params, struct segment **out)
{
    wg_err err = mem_resize(out, 1);
    if (err != WG_OK) return err;
    **out = (struct segment){
        .references = 1,
        .header = segment_header_of(params),
        .end_row = params->end_row,
    };
    return WG_OK;
}

static wg_err path_of(const char *folder, const struct segment_params *params, char **out)
{
    char name[32];
    segment_name(params->space, params->number, name);
    return path_join(folder, name, out);
}

/* One that grows is mapped to its largest extent at once; nothing beyond its end is touched. */
static wg_err write_new(struct segment *s, const char *folder)
{
    wg_err err = WG_OK;
    s->map_size = (size_t)extent_max(&s->header);
    TRY(file_reserve(&s->file, s->header.strings_offset));
    TRY(file_write_at(&s->file, &s->header, sizeof s->header, 0));
    TRY(file_map(&s->file, 0, s->map_size, &s->map));
    TRY(file_sync(&s->file));
    TRY(folder_sync(folder));
out:
    return err;
}

wg_err segment_create(const char *folder, const struct segment_params *params, struct segment **out)
{
    wg_err err = WG_OK;
    struct segment *s = NULL;
    char *path = NULL;
    TRY(segment_alloc(params, &s));
    TRY(path_of(folder, params, &path));
    TRY(file_open(path, FILE_CREATE, &s->file));
    s->doomed = true; /* unless all goes well */
    TRY(write_new(s, folder));
    s->doomed = false;
    *out = s;
    s = NULL; /* moved */
out:
    segment_release(&s);
    mem_free(&path);
    return err;
}

static wg_err check_header(const struct segment *s, const struct segment_header *found,
                           bool read_only)
{
    const char *path = s->file.path;
    struct segment_header expected = s->header;
    expected.features = found->features;
    expected.sum = header_sum(&expected);
    if (memcmp(found->magic, magic, sizeof magic) != 0)
        return wg_fail(WG_ECORRUPT, "%s: not a segment: its magic is wrong", path);
    if (found->version > FORMAT_VERSION)
        return wg_fail(WG_EVERSION, "%s: format %u; this program knows up to %d", path,
                       found->version, FORMAT_VERSION);
    if (memcmp(found, &expected, sizeof *found) != 0)
        return wg_fail(WG_ECORRUPT, "%s: its header is not the one that the tables describe", path);
    return features_check(&found->features, path, read_only);
}

/* The file holds all that the record counts. */
static wg_err check_extent(const struct segment *s, const struct segment_place *place,
                           const struct segment_record *record)
{
    uint64_t size, needed = s->header.strings_offset + record->strings_size;
    if (record->strings_size > page_up(s->header.capacity * WG_ID_SIZE_MAX))
        return wg_fail(WG_ECORRUPT, "%s: long ids of %" PRIu64 " bytes for %" PRIu64 " rows",
                       s->file.path, record->strings_size, record->capacity);
    wg_err err = file_size(&s->file, &size);
    if (err != WG_OK) return err;
    if (size < place->offset || size - place->offset < needed)
        return wg_fail(WG_ECORRUPT, "%s: has %" PRIu64 " bytes, expected at least %" PRIu64,
                       s->file.path, size, place->offset + needed);
    return WG_OK;
}

/* The numbers are looked up by halving: they must rise, from first_row to below end_row. */
static wg_err check_numbers(const struct segment *s)
{
    if (s->header.numbers_offset == 0) return WG_OK;
    for (uint64_t i = 0; i < s->row_count; i++) {
        uint64_t row = segment_row(s, i);
        uint64_t low = i > 0 ? segment_row(s, i - 1) + 1 : s->header.first_row;
        if (row < low || row >= s->end_row)
            return wg_fail(WG_ECORRUPT, "%s: row %" PRIu64 " of it is numbered %" PRIu64,
                           s->file.path, i, row);
    }
    return WG_OK;
}

wg_err segment_open(const struct segment_place *place, const struct segment_params *params,
                    const struct segment_record *record, enum segment_use use, struct segment **out)
{
    wg_err err = WG_OK;
    struct segment *s = NULL;
    struct segment_header found;
    char *path = NULL;
    bool grows = use == SEGMENT_APPEND || (use == SEGMENT_READ_ONLY && !place->is_part);
    TRY(segment_alloc(params, &s));
    TRY(place->is_part ? path_join(place->folder, "", &path)
                       : path_of(place->folder, params, &path));
    TRY(file_open(path, use == SEGMENT_APPEND ? FILE_READ_WRITE : FILE_READ, &s->file));
    TRY(file_read_at(&s->file, &found, sizeof found, place->offset));
    TRY(check_header(s, &found, use == SEGMENT_READ_ONLY));
    TRY(check_extent(s, place, record));
    s->map_size = grows ? (size_t)extent_max(&s->header)
                        : (size_t)(s->header.strings_offset + record->strings_size);
    TRY(file_map(&s->file, place->offset, s->map_size, &s->map));
    s->row_count = s->opened_count = record->row_count;
    s->strings_size = record->strings_size;
    TRY(check_numbers(s));
    if (use != SEGMENT_APPEND) segment_seal(s);
    *out = s;
    s = NULL; /* moved */
out:
    segment_release(&s);
    mem_free(&path);
    return err;
}

struct segment *segment_retain(struct segment *segment)
{
    atomic_fetch_add(&segment->references, 1);
    return segment;
}

void segment_release(struct segment **segment)
{
    struct segment *s = *segment;
    *segment = NULL;
    if (!s || atomic_fetch_sub(&s->references, 1) != 1) return;
    behind_fini(&s->vectors_behind);
    behind_fini(&s->slots_behind);
    struct codes *codes = atomic_load(&s->codes.codes);
    codes_destroy(&codes);
    file_unmap(&s->map, s->map_size);
    if (s->doomed && s->file.path) { /* else swept at open */
        codes_file_discard(s);
        file_discard(s->file.path);
    }
    file_close(&s->file);
    mem_free(&s);
}

wg_err segment_flush(struct segment *s)
{
    wg_err err = behind_flush(&s->vectors_behind, &s->file);
    return err == WG_OK ? behind_flush(&s->slots_behind, &s->file) : err;
}

void segment_rewind(struct segment *s, uint64_t row_count, uint64_t strings_size)
{
    s->vectors_behind.size = s->slots_behind.size = 0;
    s->row_count = row_count;
    s->strings_size = strings_size;
}

void segment_populate(const struct segment *s)
{
    file_map_populate(segment_vectors(s), s->row_count * segment_row_size(s));
}

void segment_seal(struct segment *segment)
{
    behind_fini(&segment->vectors_behind);
    behind_fini(&segment->slots_behind);
    file_release(&segment->file);
}

static const struct id_slot *slots_of(const struct segment *s)
{
    return (const void *)((const char *)s->map + s->header.ids_offset);
}

void segment_sums(const struct segment *segment, uint64_t first, size_t count, uint32_t *sums)
{
    const struct id_slot *slots = slots_of(segment) + first;
    for (size_t i = 0; i < count; i++) sums[i] = slots[i].sum;
}

size_t segment_row_size(const struct segment *segment)
{
    return row_size((enum row_type)segment->header.type, segment->header.dim);
}

const void *segment_vectors(const struct segment *segment)
{
    return (const char *)segment->map + HEADER_SIZE;
}

const void *segment_vector(const struct segment *segment, uint64_t i)
{
    return row_at(segment_vectors(segment), segment_row_size(segment), i);
}

static const uint64_t *numbers_of(const struct segment *s)
{
    return (const void *)((const char *)s->map + s->header.numbers_offset);
}

uint64_t segment_row(const struct segment *s, uint64_t i)
{
    return s->header.numbers_offset != 0 ? numbers_of(s)[i] : s->header.first_row + i;
}

uint64_t segment_find(const struct segment *s, uint64_t row_count, uint64_t row)
{
    uint64_t low = 0, high = row_count;
    if (row <= s->header.first_row) return 0;
    if (s->header.numbers_offset == 0) {
        uint64_t i = row - s->header.first_row;
        return i < row_count ? i : row_count;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (numbers_of(s)[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_long(const struct id_slot *slot)
{
    return slot->type == WG_ID_STRING && slot->size > sizeof slot->bytes;
}

static const char *long_string(const struct segment *s, const struct id_slot *slot)
{
    return (const char *)s->map + s->header.strings_offset + slot->offset;
}

/* By its slot alone: the type, the size, and where a long string stands. */
static bool is_id(const struct segment *s, const struct id_slot *slot)
{
    bool is_string = slot->type == WG_ID_STRING;
    bool fits = slot->type >= WG_ID_NUMBER && slot->type <= WG_ID_STRING &&
                slot->size <= WG_ID_SIZE_MAX && is_string == (slot->size > 0);
    return fits && (!is_long(slot) || (uint64_t)slot->offset + slot->size <= s->strings_size);
}

wg_id segment_id(const struct segment *s, uint64_t i)
{
    const struct id_slot *slot = &slots_of(s)[i];
    if (!is_id(s, slot)) return (wg_id){ 0 };
    wg_id id = { .type = (wg_id_type)slot->type, .size = slot->size };
    switch (id.type) {
    case WG_ID_NUMBER: memcpy(&id.as.number, slot->bytes, sizeof id.as.number); break;
    case WG_ID_UUID: memcpy(id.as.uuid, slot->bytes, sizeof id.as.uuid); break;
    case WG_ID_STRING:
        id.as.string = is_long(slot) ? long_string(s, slot) : (const char *)slot->bytes;
        break;
    }
    return id;
}

/* Covers the row's number, vector, slot and long string. */
static uint32_t row_sum(uint64_t row, struct bytes vector, const struct id_slot *slot,
                        const char *string)
{
    uint64_t sum = checksum64(slot, offsetof(struct id_slot, offset), row);
    if (is_long(slot)) sum = checksum64(string, slot->size, sum);
    return checksum32(vector.start, vector.size, sum);
}

wg_err segment_row_sum(const struct segment *s, uint64_t i, uint32_t *out)
{
    const struct id_slot *slot = &slots_of(s)[i];
    if (!is_id(s, slot))
        return wg_fail(WG_ECORRUPT, "%s: row %" PRIu64 ": its id is none", s->file.path,
                       segment_row(s, i));
    struct bytes vector = { segment_vector(s, i), segment_row_size(s) };
    *out = row_sum(segment_row(s, i), vector, slot, is_long(slot) ? long_string(s, slot) : NULL);
    return WG_OK;
}

wg_err segment_check_row(const struct segment *s, uint64_t i)
{
    uint32_t sum;
    wg_err err = segment_row_sum(s, i, &sum);
    if (err == WG_OK && sum != slots_of(s)[i].sum)
        err = wg_fail(WG_ECORRUPT, "%s: row %" PRIu64 ": wrong checksum", s->file.path,
                      segment_row(s, i));
    return err;
}

/* Long ids of one append, written behind those of the segment. */
struct strings {
    char *bytes;
    size_t size, room;
};

static wg_err add_string(struct strings *strings, const wg_id *id)
{
    wg_err err = WG_OK;
    if (strings->room - strings->size < id->size) {
        size_t room = strings->room * 2 + STRINGS_STEP;
        TRY(mem_resize(&strings->bytes, room));
        strings->room = room;
    }
    memcpy(strings->bytes + strings->size, id->as.string, id->size);
    strings->size += id->size;
out:
    return err;
}

static wg_err make_slot(const struct segment *s, const wg_id *id, struct strings *strings,
                        struct id_slot *out)
{
    wg_err err = WG_OK;
    struct id_slot slot = { .type = (uint8_t)id->type };
    if (id->type == WG_ID_NUMBER) memcpy(slot.bytes, &id->as.number, sizeof id->as.number);
    if (id->type == WG_ID_UUID) memcpy(slot.bytes, id->as.uuid, sizeof id->as.uuid);
    if (id->type == WG_ID_STRING) {
        slot.size = (uint16_t)id->size;
        size_t here = id->size < sizeof slot.bytes ? id->size : sizeof slot.bytes;
        memcpy(slot.bytes, id->as.string, here);
    }
    if (is_long(&slot)) {
        slot.offset = (uint32_t)(s->strings_size + strings->size);
        TRY(add_string(strings, id));
    }
    *out = slot;
out:
    return err;
}

/* Slots and sums of up to SLOT_BATCH rows, from row i of the append on. */
static wg_err append_slots(struct segment *s, const struct segment_rows *rows, size_t i,
                           struct strings *strings, uint32_t *sums)
{
    wg_err err = WG_OK;
    struct id_slot slots[SLOT_BATCH];
    size_t vector_size = segment_row_size(s);
    size_t count = rows->count - i < SLOT_BATCH ? rows->count - i : SLOT_BATCH;
    for (size_t j = 0; j < count; j++) {
        const wg_id *id = &rows->ids[i + j];
        uint64_t row =
            rows->numbers ? rows->numbers[i + j] : s->header.first_row + s->row_count + i + j;
        TRY(make_slot(s, id, strings, &slots[j]));
        struct bytes vector = { row_at(rows->vectors, vector_size, i + j), vector_size };
        slots[j].sum = row_sum(row, vector, &slots[j], is_long(&slots[j]) ? id->as.string : NULL);
        sums[i + j] = slots[j].sum;
    }
    uint64_t at = s->header.ids_offset + (s->row_count + i) * sizeof *slots;
    TRY(behind_write(&s->slots_behind, &s->file, slots, count * sizeof *slots, at));
out:
    return err;
}

static wg_err append_strings(struct segment *s, const struct strings *strings)
{
    wg_err err = WG_OK;
    uint64_t at = s->header.strings_offset + s->strings_size, end = at + strings->size, size;
    if (strings->size == 0) return WG_OK;
    TRY(file_size(&s->file, &size));
    if (end > size) TRY(file_reserve(&s->file, page_up(end) + STRINGS_STEP));
    TRY(file_write_at(&s->file, strings->bytes, strings->size, at));
out:
    return err;
}

wg_err segment_append(struct segment *s, const struct segment_rows *rows, uint32_t *sums)
{
    wg_err err = WG_OK;
    struct strings strings = { 0 };
    size_t vector_size = segment_row_size(s), size = rows->count * vector_size;
    assert(rows->count <= s->header.capacity - s->row_count);
    uint64_t at = HEADER_SIZE + s->row_count * vector_size;
    TRY(behind_write(&s->vectors_behind, &s->file, rows->vectors, size, at));
    if (size >= FLUSH_BYTES_MIN) file_flush_begin(&s->file, at, size);
    for (size_t i = 0; i < rows->count; i += SLOT_BATCH)
        TRY(append_slots(s, rows, i, &strings, sums));
    if (rows->numbers)
        TRY(file_write_at(&s->file, rows->numbers, rows->count * sizeof *rows->numbers,
                          s->header.numbers_offset + s->row_count * sizeof *rows->numbers));
    TRY(append_strings(s, &strings));
    s->row_count += rows->count;
    s->strings_size += strings.size;
out:
    mem_free(&strings.bytes);
    return err;
}
