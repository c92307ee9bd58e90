/* npy, NumPy's format: magic, version, the length of a header, and the header, a Python dictionary
 * with the keys descr, fortran_order and shape. */
#include "cli/reader_format.h"
#include "cli/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_SIZE = 6, HEADER_MAX = 64 * 1024, SHAPE_MAX = 8 };
static const unsigned char magic[MAGIC_SIZE] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

static const struct npy_type {
    const char *descr;
    const struct element *element;
} types[] = {
    { "<f4", &element_f32 }, { "<f8", &element_f64 }, { "<f2", &element_f16 },
    { "|u1", &element_u8 },  { "|i1", &element_i8 },  { "<u1", &element_u8 },
    { "<i1", &element_i8 },  { "=f4", &element_f32 }, { "=f8", &element_f64 },
    { "|b1", &element_u8 },
};

static bool matches(const unsigned char *head, size_t size)
{
    return size >= MAGIC_SIZE && memcmp(head, magic, MAGIC_SIZE) == 0;
}

/* The value of a key: what stands behind "'key':". NULL: there is no such key. */
static const char *value_of(const char *header, const char *key)
{
    size_t size = strlen(key);
    for (const char *at = header; (at = strpbrk(at, "'\"")); at++) {
        const char *end = at + 1 + size;
        if (strncmp(at + 1, key, size) != 0 || *end != *at) continue;
        end++;
        end += strspn(end, " ");
        if (*end == ':') return end + 1 + strspn(end + 1, " ");
    }
    return NULL;
}

static wg_err parse_descr(struct reader *reader, const char *value)
{
    if (*value != '\'' && *value != '"')
        return reader_fail(reader, "holds records, expected one number type: <f4, <f8, <f2, |u1, "
                                   "|i1 or |b1");
    size_t size = strcspn(value + 1, "'\"");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (size == strlen(types[i].descr) && memcmp(value + 1, types[i].descr, size) == 0)
            reader->element = types[i].element;
    bool packed = reader->bits && size == 3 && memcmp(value + 2, "u1", 2) == 0;
    if (packed) reader->element = &element_bits;
    if (reader->element) return WG_OK;
    return reader_fail(reader,
                       "holds numbers of type %.*s%s, expected <f4, <f8, <f2, |u1, |i1 or |b1",
                       (int)(size < 64 ? size : 64), value + 1,
                       value[1] == '>' ? " (big-endian)" : "");
}

static wg_err parse_order(const struct reader *reader, const char *value)
{
    if (strncmp(value, "False", 5) == 0) return WG_OK;
    if (strncmp(value, "True", 4) != 0)
        return reader_fail(reader, "its header has no valid fortran_order");
    wg_err err = reader_fail(reader, "is stored column by column (Fortran order), expected row by "
                                     "row (C order)");
    return fail_hint(err, "save it with numpy.ascontiguousarray");
}

static bool parse_sizes(const char *value, uint64_t *sizes, size_t *count)
{
    if (*value++ != '(') return false;
    for (*count = 0;; value += *value == ',') {
        value += strspn(value, " ");
        if (*value == ')') return true;
        char *end;
        errno = 0;
        if (*value < '0' || *value > '9' || *count == SHAPE_MAX) return false;
        sizes[(*count)++] = strtoull(value, &end, 10);
        value = end + (*end == 'L'); /* as Python 2 wrote it */
        value += strspn(value, " ");
        if (errno != 0 || (*value != ',' && *value != ')')) return false;
    }
}

static wg_err parse_shape(struct reader *reader, const char *value)
{
    uint64_t sizes[SHAPE_MAX];
    size_t count;
    if (!parse_sizes(value, sizes, &count))
        return reader_fail(reader, "its header has no valid shape: %.*s", (int)strcspn(value, "\n"),
                           value);
    if (count < 1 || count > 2)
        return reader_fail(reader,
                           "is an array of %zu axes, expected (count, dimension), or "
                           "(dimension,) for one vector",
                           count);
    uint64_t dim = sizes[count - 1];
    if (reader->element->packed && dim <= WG_BITS_DIM_MAX) dim *= reader->element->packed;
    wg_err err = reader_check_dim(reader, dim);
    reader->dim = (size_t)dim;
    reader->total = count == 2 ? sizes[0] : 1;
    return err;
}

static wg_err parse_header(struct reader *reader, const char *header)
{
    wg_err err = WG_OK;
    const char *descr = value_of(header, "descr"), *shape = value_of(header, "shape");
    const char *order = value_of(header, "fortran_order");
    if (!descr || !order || !shape)
        return reader_fail(reader, "its header has no %s",
                           !descr   ? "descr"
                           : !order ? "fortran_order"
                                    : "shape");
    TRY(parse_descr(reader, descr));
    TRY(parse_order(reader, order));
    TRY(parse_shape(reader, shape));
    TRY(matrix_begin(reader));
out:
    return err;
}

static wg_err read_header_size(struct reader *reader, size_t *size)
{
    unsigned char start[MAGIC_SIZE + 2], bytes[4] = { 0 };
    wg_err err = WG_OK;
    TRY(reader_read_header(reader, start, sizeof start));
    if (!matches(start, sizeof start))
        return reader_fail(reader,
                           "is no npy file: begins with %02x %02x %02x %02x, expected "
                           "93 4e 55 4d (\\x93NUMPY)",
                           start[0], start[1], start[2], start[3]);
    unsigned version = start[MAGIC_SIZE];
    if (version < 1 || version > 3)
        return reader_fail(reader, "is npy of version %u, expected 1, 2 or 3", version);
    TRY(reader_read_header(reader, bytes, version == 1 ? 2 : 4));
    *size = element_u32_little_endian(bytes);
    if (*size > HEADER_MAX)
        return reader_fail(reader, "its header says that it has %zu bytes, expected at most %d",
                           *size, HEADER_MAX);
out:
    return err;
}

static wg_err begin(struct reader *reader)
{
    size_t size = 0;
    char *header = NULL;
    wg_err err = WG_OK;
    TRY(read_header_size(reader, &size));
    heap_resize(&header, size + 1);
    TRY(reader_read_header(reader, header, size));
    header[size] = 0;
    TRY(parse_header(reader, header));
out:
    heap_free(&header);
    return err;
}

const struct reader_format format_npy = {
    .name = "npy",
    .extensions = ".npy",
    .matches = matches,
    .begin = begin,
    .read = matrix_read,
};
