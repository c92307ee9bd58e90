#include "store/record.h"

#include "device/row.h"
#include "waggle/knn.h"

#include <string.h>

static const char magic[FORMAT_MAGIC_SIZE] = "WAGGLEDB";

static void write_big_endian(uint8_t *bytes, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(number >> 8 * (size - 1 - i));
}

struct space_key space_key_of(uint16_t space)
{
    struct space_key key;
    write_big_endian(key.bytes, space, 2);
    return key;
}

struct row_key row_key_of(uint16_t space, uint64_t row)
{
    struct row_key key;
    write_big_endian(key.bytes, space, 2);
    write_big_endian(key.bytes + 2, row, 8);
    return key;
}

struct chunk_key chunk_key_of(uint16_t space, uint32_t chunk)
{
    struct chunk_key key;
    write_big_endian(key.bytes, space, 2);
    write_big_endian(key.bytes + 2, chunk, 4);
    return key;
}

struct change_key change_key_of(uint64_t sequence)
{
    struct change_key key;
    write_big_endian(key.bytes, sequence, 8);
    return key;
}

static uint64_t read_big_endian(struct bytes key, size_t from)
{
    const uint8_t *bytes = key.start;
    uint64_t number = 0;
    for (size_t i = from; i < key.size; i++) number = number << 8 | bytes[i];
    return number;
}

uint64_t key_number(struct bytes key)
{
    return read_big_endian(key, 2);
}

uint64_t change_key_sequence(struct bytes key)
{
    return read_big_endian(key, 0);
}

wg_err record_read(struct bytes value, void *record, size_t size, const char *what)
{
    if (value.size != size)
        return wg_fail(WG_ECORRUPT, "%s: a record of %zu bytes, expected %zu", what, value.size,
                       size);
    memcpy(record, value.start, size);
    return WG_OK;
}

wg_err point_read(struct bytes value, struct point *out)
{
    struct point point;
    size_t heads = sizeof point.head + sizeof point.rows;
    if (value.size < heads)
        return wg_fail(WG_ECORRUPT, "a point's record of %zu bytes, expected at least %zu",
                       value.size, heads);
    memcpy(&point.head, value.start, sizeof point.head);
    memcpy(&point.rows, (const char *)value.start + sizeof point.head, sizeof point.rows);
    point.payload = (const char *)value.start + heads;
    if (point.head.space_count != 1 || point.rows.space != 0 || point.rows.row_count != 1)
        return wg_fail(WG_ECORRUPT, "a point with %u spaces and %u rows, expected one of each",
                       point.head.space_count, point.rows.row_count);
    if (value.size != heads + point.head.payload_size)
        return wg_fail(WG_ECORRUPT, "a point's record of %zu bytes, expected %zu", value.size,
                       heads + point.head.payload_size);
    *out = point;
    return WG_OK;
}

enum row_type space_row_type(const struct space_record *space)
{
    bool is_unit = space->type == WG_U8 && space->metric == WG_COSINE;
    return is_unit ? ROW_UNIT_U8 : (enum row_type)space->type;
}

size_t space_row_size(const struct space_record *space)
{
    return row_size((enum row_type)space->type, space->dim);
}

bool space_is_allowed(const struct space_record *space)
{
    bool is_bits = space->type == WG_BITS;
    return space->dim >= 1 && space->dim <= (is_bits ? WG_BITS_DIM_MAX : WG_DIM_MAX) &&
           space->type <= WG_BITS && space->metric <= WG_HAMMING &&
           is_bits == (space->metric == WG_HAMMING);
}

struct features features_of_type(uint16_t type)
{
    return (struct features){ .refuse = type != WG_F32 ? FEATURE_TYPES : 0 };
}

struct format_record format_current(void)
{
    struct format_record format = { .version = FORMAT_VERSION };
    memcpy(format.magic, magic, sizeof magic);
    return format;
}

wg_err features_check(const struct features *features, const char *path, bool read_only)
{
    uint32_t unknown = features->refuse & ~(uint32_t)FEATURE_TYPES;
    if (unknown != 0)
        return wg_fail(WG_EVERSION, "%s: uses features (%#x) that this program does not know", path,
                       unknown);
    if (features->read_only != 0 && !read_only)
        return wg_fail(WG_EREADONLY, "%s: uses features (%#x) that this program can only read",
                       path, features->read_only);
    return WG_OK;
}

wg_err format_check(const struct format_record *format, const char *path, bool read_only)
{
    if (memcmp(format->magic, magic, sizeof magic) != 0)
        return wg_fail(WG_ECORRUPT, "%s: not Waggle's: its magic is wrong", path);
    if (format->version > FORMAT_VERSION)
        return wg_fail(WG_EVERSION, "%s: written in format %u; this program knows up to %d", path,
                       format->version, FORMAT_VERSION);
    return features_check(&format->features, path, read_only);
}
