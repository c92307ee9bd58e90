/* IDX, the format of MNIST: two zero bytes, a type, the number of sizes, the sizes as big-endian
 * u32, the elements. The first size counts vectors; the others, multiplied, are the dimension. */
#include "cli/reader_format.h"

#include <string.h>

enum { SIZE_COUNT_MAX = 4 };

static const struct idx_type {
    unsigned char code;
    const struct element *element; /* NULL: not supported */
    const char *name;
} types[] = {
    { 0x08, &element_u8, "u8" },
    { 0x09, NULL, "i8" },
    { 0x0b, NULL, "i16" },
    { 0x0c, NULL, "i32" },
    { 0x0d, &element_f32_big_endian, "f32" },
    { 0x0e, NULL, "f64" },
};

static const struct idx_type *type_of(unsigned char code)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == code) return &types[i];
    return NULL;
}

static bool matches(const unsigned char *head, size_t size)
{
    return size >= 4 && head[0] == 0 && head[1] == 0 && type_of(head[2]) && head[3] >= 1 &&
           head[3] <= SIZE_COUNT_MAX;
}

static wg_err check_magic(struct reader *reader, const unsigned char magic[4])
{
    if (!matches(magic, 4))
        return reader_fail(reader,
                           "is no IDX file: begins with %02x %02x %02x %02x, expected 00 00, a "
                           "type (08 for u8, 0d for f32) and 1 to %d sizes",
                           magic[0], magic[1], magic[2], magic[3], SIZE_COUNT_MAX);
    const struct idx_type *type = type_of(magic[2]);
    if (!type->element) return reader_fail(reader, "holds %s, expected u8 or f32", type->name);
    reader->element = type->element;
    return WG_OK;
}

static wg_err begin(struct reader *reader)
{
    unsigned char magic[4], bytes[4];
    wg_err err = WG_OK;
    TRY(reader_read_header(reader, magic, sizeof magic));
    TRY(check_magic(reader, magic));
    uint64_t dim = 1;
    for (int i = 0; i < magic[3]; i++) {
        TRY(reader_read_header(reader, bytes, sizeof bytes));
        uint64_t size = element_u32_big_endian(bytes);
        if (i == 0)
            reader->total = size;
        else if (__builtin_mul_overflow(dim, size, &dim))
            dim = UINT64_MAX;
    }
    TRY(reader_check_dim(reader, dim));
    reader->dim = (size_t)dim;
    TRY(matrix_begin(reader));
out:
    return err;
}

const struct reader_format format_idx = {
    .name = "idx",
    .extensions = ".idx .idx1-ubyte .idx2-ubyte .idx3-ubyte .idx4-ubyte",
    .matches = matches,
    .begin = begin,
    .read = matrix_read,
};
