/* Every file format: what is read back, in batches of every size, plain, packed and from standard
 * input; and what is refused: files cut at every byte, damaged at random, wrong in each way that
 * the header names. */
#define _DEFAULT_SOURCE /* mkdtemp, dup2 */
#include "cli/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

enum { BYTES_MAX = 1 << 20, POINTS_MAX = 64, FLOATS_MAX = 1 << 20 };

static char folder[] = "/tmp/waggle-reader-XXXXXX";
static unsigned seed = 1;

struct bytes {
    unsigned char at[BYTES_MAX];
    size_t size;
};

static void put(struct bytes *to, const void *bytes, size_t size)
{
    assert_true(to->size + size <= BYTES_MAX);
    memcpy(to->at + to->size, bytes, size);
    to->size += size;
}

static void put_u32(struct bytes *to, uint32_t value, bool big_endian)
{
    for (int i = 0; i < 4; i++) {
        unsigned char byte = (unsigned char)(value >> (big_endian ? 24 - 8 * i : 8 * i));
        put(to, &byte, 1);
    }
}

static void put_f32(struct bytes *to, float value, bool big_endian)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u32(to, bits, big_endian);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *write_plain(const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

static const char *write_packed(const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(name);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    if (size > 0) assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
    return path;
}

/* All points of a file, copied out of their batches. */
struct points {
    size_t count, dim;
    float vectors[FLOATS_MAX];
    wg_id ids[POINTS_MAX];
    char strings[POINTS_MAX][WG_ID_SIZE_MAX + 1];
    char payloads[POINTS_MAX][256]; /* "" where there is none */
    uint64_t places[POINTS_MAX];
};

static void keep(struct points *points, const struct point_batch *batch)
{
    assert_true(points->count + batch->count <= POINTS_MAX);
    assert_true((points->count + batch->count) * batch->dim <= FLOATS_MAX);
    memcpy(points->vectors + points->count * batch->dim, batch->vectors,
           batch->count * batch->dim * sizeof(float));
    for (size_t i = 0; i < batch->count; i++) {
        size_t at = points->count + i;
        points->ids[at] = batch->ids[i];
        if (batch->ids[i].type == WG_ID_STRING) {
            memcpy(points->strings[at], batch->ids[i].as.string, batch->ids[i].size);
            points->strings[at][batch->ids[i].size] = 0;
        }
        snprintf(points->payloads[at], sizeof points->payloads[at], "%s",
                 batch->payloads[i] ? batch->payloads[i] : "");
        points->places[at] = batch->places[i];
    }
    points->count += batch->count;
}

static wg_err read_points(const struct reader_params *params, size_t room, struct points *points)
{
    struct reader *reader = NULL;
    struct point_batch batch = { 0 };
    wg_err err = reader_open(params, &reader);
    points->count = 0;
    if (err != WG_OK) return err;
    points->dim = reader_dim(reader);
    point_batch_init(&batch, room, points->dim);
    do {
        err = reader_next(reader, UINT64_MAX, &batch);
        if (err == WG_OK) keep(points, &batch);
    } while (err == WG_OK && batch.count > 0);
    point_batch_fini(&batch);
    reader_close(&reader);
    return err;
}

static struct points got; /* too large for a stack */

static wg_err read_path(const char *path, const char *format)
{
    return read_points(&(struct reader_params){ .path = path, .format = format }, 3, &got);
}

static void assert_message(const char *part)
{
    if (strstr(fail_message(), part)) return;
    fail_msg("message is \"%s\", expected \"%s\" in it", fail_message(), part);
}

static void assert_refused(const char *path, const char *format, const char *part)
{
    wg_err err = read_path(path, format);
    if (err != WG_EINVAL) fail_msg("got %d, expected WG_EINVAL with \"%s\"", err, part);
    assert_message(part);
}

/* A small file of each format: rows 0 to ROWS - 1 of DIM components row + component / 4. */
enum { ROWS = 7, DIM = 3 };

static float component(size_t row, size_t i)
{
    return (float)row + (float)i * 0.25f;
}

static void put_npy_header(struct bytes *to, int version, const char *header)
{
    unsigned char start[8] = { 0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0 };
    size_t size = strlen(header);
    unsigned char length[4] = { (unsigned char)size, (unsigned char)(size >> 8), 0, 0 };
    put(to, start, sizeof start);
    put(to, length, version == 1 ? 2 : 4);
    put(to, header, size);
}

static void put_npy_shape(struct bytes *to, const char *descr, const char *shape)
{
    char header[200];
    snprintf(header, sizeof header,
             "{'descr': '%s', 'fortran_order': False, 'shape': %s, }          \n", descr, shape);
    put_npy_header(to, 1, header);
}

static void make_npy(struct bytes *to)
{
    put_npy_shape(to, "<f4", "(7, 3)");
    for (size_t i = 0; i < ROWS * DIM; i++) put_f32(to, component(i / DIM, i % DIM), false);
}

static void make_fvecs(struct bytes *to)
{
    for (size_t row = 0; row < ROWS; row++) {
        put_u32(to, DIM, false);
        for (size_t i = 0; i < DIM; i++) put_f32(to, component(row, i), false);
    }
}

static void make_idx(struct bytes *to)
{
    put_u32(to, 0x00000d02, true);
    put_u32(to, ROWS, true);
    put_u32(to, DIM, true);
    for (size_t i = 0; i < ROWS * DIM; i++) put_f32(to, component(i / DIM, i % DIM), true);
}

static void make_jsonl(struct bytes *to)
{
    for (size_t row = 0; row < ROWS; row++) {
        char line[200];
        int size =
            snprintf(line, sizeof line, "{\"vector\": [%g, %g, %g]}\n", (double)component(row, 0),
                     (double)component(row, 1), (double)component(row, 2));
        put(to, line, (size_t)size);
    }
}

static const struct format {
    const char *name;
    void (*make)(struct bytes *to);
    bool known_by_content, any_line_may_end;
} formats[] = {
    { "npy", make_npy, true, false },
    { "fvecs", make_fvecs, false, false },
    { "idx", make_idx, true, false },
    { "jsonl", make_jsonl, true, true },
};
enum { FORMAT_COUNT = sizeof formats / sizeof *formats };

static struct bytes file;

static void make(const struct format *format)
{
    file.size = 0;
    format->make(&file);
}

static void assert_whole(uint64_t first_id, uint64_t first_place)
{
    assert_int_equal(got.count, ROWS);
    assert_int_equal(got.dim, DIM);
    for (size_t row = 0; row < ROWS; row++) {
        assert_int_equal(got.ids[row].type, WG_ID_NUMBER);
        assert_int_equal(got.ids[row].as.number, first_id + row);
        assert_int_equal(got.places[row], first_place + row);
        assert_string_equal(got.payloads[row], "");
        for (size_t i = 0; i < DIM; i++)
            assert_true(got.vectors[row * DIM + i] == component(row, i));
    }
}

static void every_format_in_batches_of_every_size(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMAT_COUNT; f++) {
        char name[32];
        make(&formats[f]);
        for (int packed = 0; packed < 2; packed++) {
            snprintf(name, sizeof name, packed ? "a.%s.gz" : "a.%s", formats[f].name);
            const char *path = (packed ? write_packed : write_plain)(name, file.at, file.size);
            for (size_t room = 1; room < ROWS + 3; room++) {
                struct reader_params params = { .path = path, .first_id = 40 };
                assert_int_equal(read_points(&params, room, &got), WG_OK);
                assert_whole(40, formats[f].any_line_may_end ? 1 : 0);
            }
        }
    }
}

static void formats_are_known_by_their_content(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMAT_COUNT; f++) {
        make(&formats[f]);
        const char *path = write_plain("nameless", file.at, file.size);
        if (formats[f].known_by_content) {
            assert_int_equal(read_path(path, NULL), WG_OK);
            assert_int_equal(got.count, ROWS);
        } else {
            assert_refused(path, NULL, "neither its name nor its first bytes");
            assert_non_null(strstr(fail_hint_text(), "--format"));
        }
        assert_int_equal(read_path(path, formats[f].name), WG_OK);
        assert_int_equal(got.count, ROWS);
    }
    assert_refused(path_of("nameless"), "tar", "unknown format \"tar\"");
}

/* With the file on descriptor 0, as a file and as a pipe that gives one byte at a time. */
static void read_standard_input(const char *path, bool pipe_it, const char *format)
{
    char command[512];
    int kept = dup(STDIN_FILENO);
    snprintf(command, sizeof command, "dd bs=1 status=none if=%s", path);
    FILE *from = pipe_it ? popen(command, "r") : fopen(path, "rb");
    assert_non_null(from);
    assert_true(dup2(fileno(from), STDIN_FILENO) == STDIN_FILENO);
    wg_err err = read_path("-", format);
    assert_true(dup2(kept, STDIN_FILENO) == STDIN_FILENO);
    close(kept);
    assert_int_equal((pipe_it ? pclose : fclose)(from), 0);
    if (err != WG_OK) fail_msg("%s", fail_message());
}

static void every_format_from_standard_input(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMAT_COUNT; f++)
        for (int variant = 0; variant < 4; variant++) {
            make(&formats[f]);
            const char *path =
                (variant & 1 ? write_packed : write_plain)("input", file.at, file.size);
            const char *format = formats[f].known_by_content ? NULL : formats[f].name;
            read_standard_input(path, variant & 2, format);
            assert_whole(0, formats[f].any_line_may_end ? 1 : 0);
        }
}

/* Cut to size bytes, the file is refused; or, JSON Lines cut between lines, shorter. */
static void assert_cut(const struct format *format, const char *path, size_t size)
{
    wg_err err = read_path(path, format->name);
    size_t lines = 0;
    for (size_t i = 0; i < size; i++) lines += file.at[i] == '\n';
    bool whole_line = size > 0 && (file.at[size - 1] == '\n' || file.at[size - 1] == '}');
    if (format->any_line_may_end && whole_line) {
        assert_int_equal(err, WG_OK);
        assert_int_equal(got.count, lines + (file.at[size - 1] == '}'));
        return;
    }
    if (err != WG_EINVAL) fail_msg("%s cut to %zu bytes: got %d", format->name, size, err);
    assert_message(path);
}

static void files_cut_at_every_byte_are_refused(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMAT_COUNT; f++) {
        make(&formats[f]);
        for (size_t size = 0; size < file.size; size++) {
            /* fvecs cut between two rows is a shorter file that nothing tells apart */
            bool row_end = formats[f].make == make_fvecs && size % (4 + 4 * DIM) == 0;
            if (row_end && size > 0) continue;
            assert_cut(&formats[f], write_plain("cut", file.at, size), size);
            assert_cut(&formats[f], write_packed("cut.gz", file.at, size), size);
        }
    }
}

static void gzip_cut_at_every_byte_is_refused(void **state)
{
    (void)state;
    static unsigned char packed[4096];
    for (size_t f = 0; f < FORMAT_COUNT; f++) {
        make(&formats[f]);
        FILE *stream = fopen(write_packed("whole.gz", file.at, file.size), "rb");
        size_t size = fread(packed, 1, sizeof packed, stream);
        fclose(stream);
        for (size_t cut = 0; cut < size; cut++) {
            const char *path = write_plain("part.gz", packed, cut);
            if (read_path(path, formats[f].name) != WG_EINVAL)
                fail_msg("%s.gz cut to %zu bytes is not refused", formats[f].name, cut);
        }
        packed[size - 6] ^= 1; /* of the checksum */
        assert_refused(write_plain("part.gz", packed, size), formats[f].name, "gzip");
    }
}

/* Whatever the bytes are, there is an answer and no crash; a sanitizer watches. */
static void damaged_files_never_crash(void **state)
{
    (void)state;
    srand(seed);
    for (int round = 0; round < 4000; round++) {
        const struct format *format = &formats[(size_t)rand() % FORMAT_COUNT];
        make(format);
        for (int i = rand() % 4; i >= 0; i--)
            file.at[(size_t)rand() % file.size] = (unsigned char)(rand() % 256);
        bool packed = rand() % 2;
        const char *path = (packed ? write_packed : write_plain)("damaged", file.at, file.size);
        wg_err err = read_path(path, format->name);
        if (err != WG_OK && err != WG_EINVAL) fail_msg("round %d: %s", round, fail_message());
        if (err == WG_EINVAL) assert_message("/damaged");
    }
}

static void npy_of_every_type(void **state)
{
    (void)state;
    static const float want[] = { 0.0f, 1.0f, -2.5f, 0.099975586f, 5.9604645e-8f, -0.0f };
    static const unsigned char f16[] = { 0x00, 0x00, 0x00, 0x3c, 0x00, 0xc1,
                                         0x66, 0x2e, 0x01, 0x00, 0x00, 0x80 };
    const double f64[] = { 0, 1, -2.5, 0.0999755859375, 0x1p-24, -0.0 };
    file.size = 0;
    put_npy_shape(&file, "<f2", "(2, 3)");
    put(&file, f16, sizeof f16);
    assert_int_equal(read_path(write_plain("f16.npy", file.at, file.size), NULL), WG_OK);
    assert_memory_equal(got.vectors, want, sizeof want);
    file.size = 0;
    put_npy_shape(&file, "<f8", "(2, 3)");
    put(&file, f64, sizeof f64);
    assert_int_equal(read_path(write_plain("f64.npy", file.at, file.size), NULL), WG_OK);
    assert_memory_equal(got.vectors, want, sizeof want);
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        static const unsigned char bytes[] = { 0, 1, 127, 128, 200, 255 };
        file.size = 0;
        put_npy_shape(&file, is_signed ? "|i1" : "|u1", "(2, 3)");
        put(&file, bytes, sizeof bytes);
        assert_int_equal(read_path(write_plain("8.npy", file.at, file.size), NULL), WG_OK);
        for (size_t i = 0; i < sizeof bytes; i++)
            assert_true(got.vectors[i] ==
                        (is_signed ? (float)(signed char)bytes[i] : (float)bytes[i]));
    }
}

static void f16_widens_as_its_definition_says(void **state)
{
    (void)state;
    static float vectors[65536];
    static unsigned char halves[2 * 65536];
    for (uint32_t half = 0; half < 65536; half++) {
        halves[2 * half] = (unsigned char)half;
        halves[2 * half + 1] = (unsigned char)(half >> 8);
    }
    element_f16.convert(halves, vectors, 65536);
    for (uint32_t half = 0; half < 65536; half++) {
        int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
        double magnitude = exponent == 0 ? fraction * 0x1p-24 : (1024 + fraction) * 0x1p-25;
        for (int i = 0; i < exponent; i++) magnitude *= 2;
        if (exponent == 0) magnitude *= 1;
        double want = half & 0x8000 ? -magnitude : magnitude;
        if (exponent < 31) assert_true((double)vectors[half] == want);
        if (exponent == 31 && fraction == 0) assert_true(vectors[half] * 0 != 0);
        if (exponent == 31 && fraction != 0) assert_true(vectors[half] != vectors[half]);
    }
}

static void npy_of_every_version_and_shape(void **state)
{
    (void)state;
    for (int version = 1; version <= 3; version++) {
        file.size = 0;
        put_npy_header(&file, version,
                       "{'shape': (1L, 2L), 'fortran_order': False, 'descr': '<f4'}\n");
        put_f32(&file, 1.5f, false);
        put_f32(&file, 2.5f, false);
        assert_int_equal(read_path(write_plain("v.npy", file.at, file.size), NULL), WG_OK);
        assert_int_equal(got.count, 1);
        assert_int_equal(got.dim, 2);
    }
    file.size = 0;
    put_npy_shape(&file, "<f4", "(2,)");
    put_f32(&file, 1.5f, false);
    put_f32(&file, 2.5f, false);
    assert_int_equal(read_path(write_plain("one.npy", file.at, file.size), NULL), WG_OK);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.dim, 2);
    file.size = 0;
    put_npy_shape(&file, "<f4", "(0, 5)");
    assert_int_equal(read_path(write_plain("none.npy", file.at, file.size), NULL), WG_OK);
    assert_int_equal(got.count, 0);
    assert_int_equal(got.dim, 5);
}

static void npy_that_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *part;
    } wrong[] = {
        { "{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1)}", "big-endian" },
        { "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1)}", "type <i8, expected" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1)}", "records" },
        { "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", "Fortran order" },
        { "{'descr': '<f4', 'fortran_order': 1, 'shape': (1, 1)}", "fortran_order" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "0 axes" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1)}", "3 axes" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0)}", "0 dimensions" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 65537)}", "65537 dimensions" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1)}", "valid shape" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1)}",
          "valid shape" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 4)}",
          "which no file holds" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}", "is truncated" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1)}", "too much data" },
        { "{'fortran_order': False, 'shape': (1, 1)}", "no descr" },
        { "{'descr': '<f4', 'shape': (1, 1)}", "no fortran_order" },
        { "{'descr': '<f4', 'fortran_order': False}", "no shape" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        file.size = 0;
        put_npy_header(&file, 1, wrong[i].header);
        put_f32(&file, 1, false);
        assert_refused(write_plain("wrong.npy", file.at, file.size), NULL, wrong[i].part);
        assert_refused(write_packed("wrong.npy.gz", file.at, file.size), NULL, wrong[i].part);
    }
    file.size = 0;
    put_npy_header(&file, 4, "{}");
    assert_refused(write_plain("wrong.npy", file.at, file.size), NULL, "version 4");
    assert_refused(write_plain("wrong.npy", "PK\3\4not npy", 11), NULL, "is no npy file");
}

static void fvecs_that_is_refused(void **state)
{
    (void)state;
    make(&formats[1]);
    file.at[2 * (4 + 4 * DIM)] = 2; /* the dimension of row 2 */
    assert_refused(write_plain("a.fvecs", file.at, file.size), NULL, "row 2 has 2 dimensions");
    file.size = 0;
    put_u32(&file, 0xffffffff, false);
    assert_refused(write_plain("a.fvecs", file.at, file.size), NULL, "4294967295 dimensions");
}

static void bvecs_is_read(void **state)
{
    (void)state;
    static const unsigned char bytes[] = { 2, 0, 0, 0, 5, 255, 2, 0, 0, 0, 0, 1 };
    static const float want[] = { 5, 255, 0, 1 };
    assert_int_equal(read_path(write_plain("a.bvecs", bytes, sizeof bytes), NULL), WG_OK);
    assert_int_equal(got.count, 2);
    assert_memory_equal(got.vectors, want, sizeof want);
}

static void idx_images_and_labels(void **state)
{
    (void)state;
    static const unsigned char images[] = { 0, 0, 8, 3, 0, 0, 0, 2,   0, 0,
                                            0, 1, 0, 0, 0, 2, 0, 255, 7, 8 };
    static const unsigned char labels[] = { 0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4 };
    static const float pixels[] = { 0, 255, 7, 8 }, numbers[] = { 9, 0, 4 };
    const char *path = write_packed("train-images-idx3-ubyte.gz", images, sizeof images);
    assert_int_equal(read_path(path, NULL), WG_OK);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.dim, 2);
    assert_memory_equal(got.vectors, pixels, sizeof pixels);
    assert_int_equal(read_path(write_plain("labels", labels, sizeof labels), NULL), WG_OK);
    assert_int_equal(got.count, 3);
    assert_int_equal(got.dim, 1);
    assert_memory_equal(got.vectors, numbers, sizeof numbers);
}

static void idx_that_is_refused(void **state)
{
    (void)state;
    static const unsigned char i32[] = { 0, 0, 12, 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    static const unsigned char huge[] = { 0,   0,   8,   4,   0,   0,   0,   1,   255, 255,
                                          255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    assert_refused(write_plain("a.idx", i32, sizeof i32), NULL, "holds i32, expected u8 or f32");
    assert_refused(write_plain("a.idx", huge, sizeof huge), NULL, "expected 1 to 65536");
    assert_refused(write_plain("a.idx", "\1\2\3\4", 4), NULL, "begins with 01 02 03 04");
}

static const char *write_text(const char *text)
{
    return write_plain("a.jsonl", text, strlen(text));
}

static void jsonl_ids_and_payloads(void **state)
{
    (void)state;
    const char *path = write_text(
        "{\"id\": 18446744073709551615, \"vector\": [1]}\r\n"
        "\n"
        "  {\"payload\" : {\"a\": [1, {\"b\": \"}]\\\"\"}]} , \"vector\":[-2.5e-1 ],\"id\":0}\n"
        "{\"id\": \"42\", \"vector\": [3], \"payload\": {}}\n"
        "{\"id\": \"4\\u00e4\\n\", \"vector\": [3]}\n"
        "{\"id\": \"00112233-4455-6677-8899-AABBCCDDEEFF\", \"vector\": [3]}\n"
        "{\"vector\": [1E2]}");
    assert_int_equal(read_path(path, NULL), WG_OK);
    assert_int_equal(got.count, 6);
    assert_true(got.ids[0].as.number == UINT64_MAX && got.ids[0].type == WG_ID_NUMBER);
    assert_int_equal(got.ids[1].as.number, 0);
    assert_true(got.vectors[1] == -0.25f);
    assert_string_equal(got.payloads[1], "{\"a\": [1, {\"b\": \"}]\\\"\"}]}");
    assert_int_equal(got.places[1], 3); /* the blank line counts */
    assert_int_equal(got.ids[2].type, WG_ID_STRING);
    assert_string_equal(got.strings[2], "42");
    assert_string_equal(got.payloads[2], "{}");
    assert_string_equal(got.strings[3], "4\xc3\xa4\n");
    assert_int_equal(got.ids[4].type, WG_ID_UUID);
    assert_int_equal(got.ids[5].as.number, 5);
    assert_true(got.vectors[5] == 100);
}

static void jsonl_that_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } wrong[] = {
        { "{\"id\": -1, \"vector\": [1]}", ":1: column 8: \"id\" is -1, which is negative" },
        { "{\"id\": 1.5, \"vector\": [1]}", "1.5, which is no whole number" },
        { "{\"id\": 1e3, \"vector\": [1]}", "1e3, which is no whole number" },
        { "{\"id\": 18446744073709551616, \"vector\": [1]}", "too large" },
        { "{\"id\": 007, \"vector\": [1]}", "neither number nor string" },
        { "{\"id\": null, \"vector\": [1]}", "neither number nor string" },
        { "{\"id\": [1], \"vector\": [1]}", "neither number nor string" },
        { "{\"id\": \"\", \"vector\": [1]}", ":1: " },
        { "{\"id\": \"a\\u0000b\", \"vector\": [1]}", "0 byte" },
        { "{\"id\": \"\\ud800x\", \"vector\": 1}", "expected an array" },
        { "{\"vector\": [1]}\n{\"vector\": [1, 2]}",
          ":2: the vector has 2 dimensions, expected 1" },
        { "{\"vector\": [1]}\n\n{\"vector\": [NaN]}", ":3: column 13: component 0 of the vector is "
                                                      "NaN" },
        { "{\"vector\": [1, null]}", "component 1 of the vector is null" },
        { "{\"vector\": [1, \"2\"]}", "component 1" },
        { "{\"vector\": [1 2]}", "got '2', expected ',' or ']'" },
        { "{\"vector\": [1,]}", "component 1" },
        { "{\"vector\": [.5]}", "component 0" },
        { "{\"vector\": [1.]}", "component 0" },
        { "{\"vector\": [0x10]}", "component 0" },
        { "{\"vector\": [Infinity]}", "component 0" },
        { "{\"vector\": [1e39]}", "1e39, expected at most 1e+15" },
        { "{\"vector\": []}", "\"vector\" is empty" },
        { "{\"vector\": [[1]]}", "component 0" },
        { "{\"vector\": null}", "\"vector\" is null, expected an array" },
        { "{\"id\": 1}", "there is no \"vector\"" },
        { "{}", "there is no \"vector\"" },
        { "{\"vector\": [1], \"vektor\": 1}", "unknown key \"vektor\"" },
        { "{\"vector\": [1], \"vector\": [2]}", "a second time" },
        { "{\"vector\": [1], \"payload\": [1]}", "\"payload\" is [1], expected an object" },
        { "{\"vector\": [1], \"payload\": null}", "expected an object" },
        { "{\"vector\": [1], \"payload\": {\"a\": }}", "is not valid JSON" },
        { "{\"vector\": [1], \"payload\": {\"a\": \"\xff\"}}", "is not valid JSON" },
        { "{\"vector\": [1], \"payload\": {\"a\" 1}}", "is not valid JSON" },
        { "{\"vector\": [1]", "the line ends, expected ',' or '}'" },
        { "{\"vector\": [1", "expected a closing bracket" },
        { "{\"vector\": [1],}", "expected a key" },
        { "{\"vector\": [1]} x", "got 'x', expected the end of the line" },
        { "{\"vec", "the line ends" },
        { "[1, 2]", "got '[', expected '{'" },
        { "\n \n", "only blank lines" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused(write_text(wrong[i].text), NULL, wrong[i].part);
    assert_refused(write_plain("a.jsonl", "{\"vector\": [1\0]}", 16), NULL, "column 14");
}

static void jsonl_keeps_every_bit(void **state)
{
    (void)state;
    srand(seed + 1);
    for (int round = 0; round < 300; round++) {
        float want[16];
        file.size = 0;
        put(&file, "{\"vector\":[", 11);
        for (size_t i = 0; i < 16; i++) {
            char text[40];
            int digits = 9 + rand() % 9; /* 9 are enough */
            uint32_t bits = (uint32_t)rand() << 16 ^ (uint32_t)rand();
            memcpy(&want[i], &bits, sizeof bits);
            if (!(want[i] * 0 == 0)) want[i] = 0;
            int size = snprintf(text, sizeof text, i ? ",%.*g" : "%.*g", digits, (double)want[i]);
            put(&file, text, (size_t)size);
        }
        put(&file, "]}\n", 3);
        assert_int_equal(read_path(write_plain("b.jsonl", file.at, file.size), NULL), WG_OK);
        assert_memory_equal(got.vectors, want, sizeof want);
    }
}

/* Lines that are longer than what is read at once, so that they cross its end. */
static void jsonl_long_lines(void **state)
{
    (void)state;
    file.size = 0;
    for (int line = 0; line < 3; line++) {
        put(&file, "{\"vector\":[7", 12);
        for (int i = 1; i < 60000; i++) put(&file, ",-1.0", 5);
        put(&file, "]}\n", 3);
    }
    assert_int_equal(read_path(write_plain("long.jsonl", file.at, file.size), NULL), WG_OK);
    assert_int_equal(got.count, 3);
    assert_int_equal(got.dim, 60000);
    for (size_t i = 0; i < 3 * 60000; i++)
        assert_true(got.vectors[i] == (i % 60000 == 0 ? 7.0f : -1.0f));
}

/* A row that is larger than the scratch memory. */
static void the_longest_rows(void **state)
{
    (void)state;
    file.size = 0;
    put_npy_shape(&file, "<f8", "(1, 65536)");
    for (int i = 0; i < 65536; i++) {
        double x = i;
        put(&file, &x, sizeof x);
    }
    assert_int_equal(read_path(write_plain("long.npy", file.at, file.size), NULL), WG_OK);
    assert_int_equal(got.dim, 65536);
    assert_true(got.vectors[65535] == 65535.0f);
    file.size = 0;
    for (int row = 0; row < 2; row++) {
        put_u32(&file, 65536, false);
        for (int i = 0; i < 65536; i++) put_f32(&file, (float)(row + i), false);
    }
    assert_int_equal(read_path(write_plain("long.fvecs", file.at, file.size), NULL), WG_OK);
    assert_int_equal(got.count, 2);
    assert_true(got.vectors[2 * 65536 - 1] == 65536.0f);
}

/* A batch that is converted in several parts. */
static void many_long_rows(void **state)
{
    (void)state;
    enum { COUNT = 13, LONG = 65536 };
    file.size = 0;
    put_npy_shape(&file, "|u1", "(13, 65536)");
    for (int i = 0; i < COUNT * LONG; i++) {
        unsigned char byte = (unsigned char)(i / LONG + i % 251);
        put(&file, &byte, 1);
    }
    struct reader_params params = { .path = write_plain("many.npy", file.at, file.size) };
    assert_int_equal(read_points(&params, COUNT, &got), WG_OK);
    assert_int_equal(got.count, COUNT);
    for (int i = 0; i < COUNT * LONG; i++)
        assert_true(got.vectors[i] == (float)(unsigned char)(i / LONG + i % 251));
}

/* A plain file's length is known: what its header promises is judged before a point is read. */
static void wrong_lengths_are_refused_at_once(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMAT_COUNT; f++) {
        if (formats[f].any_line_may_end) continue;
        for (int change = -1; change <= 1; change += 2) {
            struct reader *reader = NULL;
            make(&formats[f]);
            file.at[file.size] = 0;
            size_t size = change < 0 ? file.size - 1 : file.size + 1;
            struct reader_params params = { .path = write_plain("length", file.at, size) };
            params.format = formats[f].name;
            assert_int_equal(reader_open(&params, &reader), WG_EINVAL);
            assert_null(reader);
        }
    }
}

static void limit_and_skip(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMAT_COUNT; f++) {
        struct reader *reader = NULL;
        struct point_batch batch;
        make(&formats[f]);
        const char *path = write_packed("some.gz", file.at, file.size);
        struct reader_params params = { .path = path, .format = formats[f].name };
        assert_int_equal(reader_open(&params, &reader), WG_OK);
        point_batch_init(&batch, ROWS, reader_dim(reader));
        assert_int_equal(reader_skip(reader, 2), WG_OK);
        assert_int_equal(reader_next(reader, 3, &batch), WG_OK);
        assert_int_equal(batch.count, 3);
        assert_int_equal(batch.ids[0].as.number, 2);
        assert_true(batch.vectors[0] == component(2, 0));
        assert_int_equal(reader_skip(reader, 100), WG_OK);
        assert_int_equal(reader_next(reader, 3, &batch), WG_OK);
        assert_int_equal(batch.count, 0);
        point_batch_fini(&batch);
        reader_close(&reader);
        reader_close(&reader); /* twice is fine */
    }
}

static void ids_end_where_64_bits_do(void **state)
{
    (void)state;
    make(&formats[0]);
    struct reader_params params = { .path = write_plain("a.npy", file.at, file.size) };
    params.first_id = UINT64_MAX - ROWS + 1;
    assert_int_equal(read_points(&params, 3, &got), WG_OK);
    assert_true(got.ids[ROWS - 1].as.number == UINT64_MAX);
    params.first_id++;
    assert_int_equal(read_points(&params, 3, &got), WG_EINVAL);
    assert_message("an id beyond 18446744073709551615");
}

static void places_are_rows_or_lines(void **state)
{
    (void)state;
    static const char *const want[] = { "a: row 4", "a: row 4", "a: row 4", "a:5" };
    for (size_t f = 0; f < FORMAT_COUNT; f++) {
        struct reader *reader = NULL;
        struct point_batch batch;
        char text[300];
        make(&formats[f]);
        const char *path = write_plain("a", file.at, file.size);
        struct reader_params params = { .path = path, .format = formats[f].name };
        assert_int_equal(reader_open(&params, &reader), WG_OK);
        point_batch_init(&batch, 3, reader_dim(reader));
        assert_int_equal(reader_skip(reader, 3), WG_OK);
        assert_int_equal(reader_next(reader, UINT64_MAX, &batch), WG_OK);
        reader_place(reader, &batch, 1, text, sizeof text);
        assert_string_equal(strrchr(text, '/') + 1, want[f]);
        point_batch_fini(&batch);
        reader_close(&reader);
    }
}

static void files_that_are_no_files(void **state)
{
    (void)state;
    assert_int_equal(read_path(path_of("absent.npy"), NULL), WG_ENOTFOUND);
    assert_message("absent.npy: No such file");
    assert_refused(folder, NULL, "is a directory, expected a file");
    for (size_t f = 0; f < FORMAT_COUNT; f++)
        assert_refused(write_plain("empty", "", 0), formats[f].name, "is empty");
    assert_refused(write_packed("empty.gz", "", 0), NULL, "is empty");
}

static int make_folder(void **state)
{
    (void)state;
    printf("seed %u\n", seed);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_in_batches_of_every_size),
        cmocka_unit_test(formats_are_known_by_their_content),
        cmocka_unit_test(every_format_from_standard_input),
        cmocka_unit_test(files_cut_at_every_byte_are_refused),
        cmocka_unit_test(gzip_cut_at_every_byte_is_refused),
        cmocka_unit_test(damaged_files_never_crash),
        cmocka_unit_test(npy_of_every_type),
        cmocka_unit_test(f16_widens_as_its_definition_says),
        cmocka_unit_test(npy_of_every_version_and_shape),
        cmocka_unit_test(npy_that_is_refused),
        cmocka_unit_test(fvecs_that_is_refused),
        cmocka_unit_test(bvecs_is_read),
        cmocka_unit_test(idx_images_and_labels),
        cmocka_unit_test(idx_that_is_refused),
        cmocka_unit_test(jsonl_ids_and_payloads),
        cmocka_unit_test(jsonl_that_is_refused),
        cmocka_unit_test(jsonl_keeps_every_bit),
        cmocka_unit_test(jsonl_long_lines),
        cmocka_unit_test(the_longest_rows),
        cmocka_unit_test(many_long_rows),
        cmocka_unit_test(wrong_lengths_are_refused_at_once),
        cmocka_unit_test(limit_and_skip),
        cmocka_unit_test(ids_end_where_64_bits_do),
        cmocka_unit_test(places_are_rows_or_lines),
        cmocka_unit_test(files_that_are_no_files),
    };
    if (argc > 1) seed = (unsigned)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
