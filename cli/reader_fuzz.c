/* Files of vectors from any bytes. The first byte says the format, or that it is to be found out;
 * the second how many points to skip and how large the batches are; the rest is the file. What a
 * plain file gives, the same file packed with gzip gives too, whole or not at all, and in batches
 * of another size. Bytes that are gzip themselves are unpacked, as any file. */
#include "cli/reader.h"
#include "support/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char *const formats[] = { NULL, "npy", "fvecs", "bvecs", "idx", "jsonl" };
enum { FORMAT_COUNT = sizeof formats / sizeof *formats };
enum { SKIP_DIM_MAX = 256 }; /* reader_skip takes room for thousands of points at once */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file is standard input, so that nothing is left behind after a crash. */
static void put_on_standard_input(const void *bytes, size_t size)
{
    static FILE *file;
    if (!file) {
        file = tmpfile();
        must(file && dup2(fileno(file), STDIN_FILENO) == STDIN_FILENO, "no temporary file");
    }
    must(ftruncate(STDIN_FILENO, 0) == 0 && lseek(STDIN_FILENO, 0, SEEK_SET) == 0, "no new start");
    must(pwrite(STDIN_FILENO, bytes, size, 0) == (ssize_t)size, "%zu bytes were not written", size);
}

static void put_packed_on_standard_input(const uint8_t *bytes, size_t size)
{
    z_stream stream = { 0 };
    must(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib");
    size_t room = deflateBound(&stream, size);
    uint8_t *packed = allocate(room, 1);
    stream.next_in = (Bytef *)bytes; /* zlib's type lacks a const; it only reads */
    stream.avail_in = (unsigned)size;
    stream.next_out = packed;
    stream.avail_out = (unsigned)room;
    must(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib");
    put_on_standard_input(packed, stream.total_out);
    deflateEnd(&stream);
    free(packed);
}

/* What was read, summed up so that two readings can be compared. */
struct reading {
    wg_err err;
    uint64_t skipped, count, hash;
    size_t dim;
};

static void add(struct reading *reading, const void *bytes, size_t size)
{
    const uint8_t *at = bytes; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        reading->hash = (reading->hash ^ at[i]) * UINT64_C(0x100000001b3);
}

static void add_id(struct reading *reading, const wg_id *id)
{
    char text[WG_ID_TEXT_SIZE];
    size_t length = wg_id_format(id, text, sizeof text);
    must(length > 0 && length < sizeof text, "an id of %zu bytes, type %d", length, id->type);
    add(reading, &id->type, sizeof id->type);
    add(reading, text, length + 1);
}

static void add_point(struct reading *reading, const struct point_batch *batch, size_t i)
{
    const char *payload = batch->payloads[i];
    must(!payload || payload[0] == '{', "the payload %s", payload);
    add(reading, batch->vectors + i * batch->dim, batch->dim * sizeof(float));
    add_id(reading, &batch->ids[i]);
    add(reading, &batch->places[i], sizeof batch->places[i]);
    if (payload) add(reading, payload, strlen(payload) + 1);
}

static void must_be_said(wg_err err)
{
    const char *message = fail_message(), name[] = "standard input";
    must(err == WG_EINVAL, "%d: %s", err, message);
    must(strncmp(message, name, sizeof name - 1) == 0 && strlen(message) > sizeof name,
         "the message is \"%s\"", message);
}

/* As after a call of the library that refused the batch. */
static void explain(const struct reader *reader, const struct point_batch *batch)
{
    must(reader_explain(reader, batch, WG_EINVAL) == WG_EINVAL, "another error");
    must_be_said(WG_EINVAL);
}

static void read_rest(struct reader *reader, size_t room, uint64_t drop, struct reading *reading)
{
    struct point_batch batch;
    point_batch_init(&batch, room, reader_dim(reader));
    do {
        reading->err = reader_next(reader, room, &batch);
        if (reading->err != WG_OK) break;
        must(batch.count <= room && batch.dim == reading->dim, "%zu points", batch.count);
        for (size_t i = 0; i < batch.count; i++)
            if (reading->count++ >= drop) add_point(reading, &batch, i);
        double fraction = reader_fraction(reader);
        must(fraction < 0 || fraction <= 1, "fraction %g", fraction);
        if (batch.count > 0) explain(reader, &batch);
    } while (batch.count > 0);
    point_batch_fini(&batch);
}

/* Sums up all but the first points: these are skipped or, where skips is false, only read. */
static struct reading read_all(const char *format, uint64_t without, bool skips, size_t room)
{
    struct reader_params params = { .path = "-", .format = format, .first_id = 40 };
    struct reader *reader = NULL;
    struct reading reading = { .err = reader_open(&params, &reader), .hash = 1 };
    uint64_t total;
    if (reading.err == WG_OK) {
        reading.dim = reader_dim(reader);
        must(reading.dim >= 1 && reading.dim <= WG_DIM_MAX, "%zu dimensions", reading.dim);
        must(!format || strcmp(reader_format_name(reader), format) == 0, "another format");
        if (skips && reading.dim <= SKIP_DIM_MAX) reading.skipped = without;
        if (reading.skipped > 0) reading.err = reader_skip(reader, without);
        if (reading.err == WG_OK) read_rest(reader, room, without - reading.skipped, &reading);
        if (reading.err == WG_OK && reading.skipped == 0 && reader_total(reader, &total))
            must(reading.count == total, "%llu points, of %llu", (unsigned long long)reading.count,
                 (unsigned long long)total);
    } else {
        must(!reader, "a reader of what is refused");
    }
    if (reading.err != WG_OK) must_be_said(reading.err);
    reader_close(&reader);
    return reading;
}

static void must_be_same(const struct reading *got, const struct reading *want)
{
    must(got->err == want->err, "packed %d, plain %d: %s", got->err, want->err, fail_message());
    if (want->err != WG_OK) return;
    uint64_t left = want->count > got->skipped ? want->count - got->skipped : 0;
    must(got->dim == want->dim, "packed %zu dimensions, plain %zu", got->dim, want->dim);
    must(got->count == left && got->hash == want->hash, "packed %llu points, plain %llu of them",
         (unsigned long long)got->count, (unsigned long long)left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const char *format = formats[data[0] % FORMAT_COUNT];
    uint64_t without = data[1] % 4;
    size_t room = 1 + data[1] / 4 % 8, file_size = size - 2;
    const uint8_t *file = data + 2;
    put_on_standard_input(file, file_size);
    struct reading plain = read_all(format, without, false, room);
    if (file_size >= 2 && file[0] == 0x1f && file[1] == 0x8b) return 0; /* packed already */
    put_packed_on_standard_input(file, file_size);
    struct reading packed = read_all(format, without, true, 9 - room);
    must_be_same(&packed, &plain);
    return 0;
}
