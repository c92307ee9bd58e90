/* Files of codes of any bytes, beside a segment of a few rows. The first byte is flags: 1, the
 * checksums are made right beforehand, so that what stands behind them is reached; 2, the bytes are
 * the file's as they are. Else header, contents and parts follow each other, and are put where they
 * belong, so that inputs are short. What is read is within bounds. */
#include "base/checksum.h"
#include "base/mem.h"
#include "quant/encode.h"
#include "store/codes_file.h"
#include "support/check.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 3, ROWS = 70 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct segment *segment;
static int file; /* of codes */
static char path[SCRATCH_PATH_SIZE + 16];

/* Vectors that are the same in every run, so that a corpus holds. */
static void make_segment(void)
{
    float vectors[ROWS * DIM];
    wg_id ids[ROWS];
    uint32_t sums[ROWS];
    const char *folder = scratch_create();
    struct segment_params params = { .first_row = 0, .capacity = 128, .number = 1, .dim = DIM };
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = (float)(i * 37 % 101) / 50;
    for (size_t i = 0; i < ROWS; i++) wg_id_from_number(i, &ids[i]);
    struct segment_rows rows = { vectors, ids, NULL, ROWS };
    must_ok(segment_create(folder, &params, &segment));
    must_ok(segment_append(segment, &rows, sums));
    must_ok(segment_flush(segment));
    snprintf(path, sizeof path, "%s/0-1.codes", folder);
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(file >= 0, "%s is not made", path);
}

/* Of a file of one part, as large as its header says: the sums of its codes with those of the rows,
 * of the contents and of the header. */
static void mend(uint8_t *bytes, size_t size)
{
    struct codes_header header;
    if (size < sizeof header) return;
    memcpy(&header, bytes, sizeof header);
    size_t count = (size_t)header.row_count, parts = 8192;
    size_t contents_size = sizeof(uint64_t) + DIM * sizeof(float);
    if (count <= ROWS && header.dim == DIM && size == codes_file_size(DIM, count)) {
        uint32_t sums[ROWS];
        size_t panels = count / PANEL_ROWS;
        size_t pieces[] = { panels * code_panel_size(DIM), count * 4, panels * 4, panels * 4 };
        segment_sums(segment, 0, count, sums);
        uint64_t sum = checksum64(sums, count * sizeof *sums, 0);
        for (size_t i = 0, at = parts; i < 4; at += pieces[i], i++)
            sum = checksum64(bytes + at, pieces[i], sum);
        memcpy(bytes + 4096, &sum, sizeof sum);
        header.contents_sum = checksum64(bytes + 4096, contents_size, 0);
    }
    header.sum = checksum32(&header, offsetof(struct codes_header, sum), 0);
    memcpy(bytes, &header, sizeof header);
}

/* The file that an input stands for. */
struct image {
    uint8_t *bytes;
    size_t size;
};

static size_t copy_piece(struct image *image, size_t at, const uint8_t **from, size_t left,
                         size_t most)
{
    size_t size = left < most ? left : most;
    if (size > 0) memcpy(image->bytes + at, *from, size);
    *from += size;
    if (size > 0) image->size = at + size;
    return left - size;
}

static struct image image_of(const uint8_t *data, size_t size, bool as_it_is)
{
    enum { CONTENTS_AT = 4096, CONTENTS_SIZE = 8 + DIM * 4, PARTS_AT = 8192 };
    struct image image = { .bytes = allocate(PARTS_AT + size, 1) };
    if (as_it_is) {
        (void)copy_piece(&image, 0, &data, size, size);
        return image;
    }
    size = copy_piece(&image, 0, &data, size, sizeof(struct codes_header));
    size = copy_piece(&image, CONTENTS_AT, &data, size, CONTENTS_SIZE);
    (void)copy_piece(&image, PARTS_AT, &data, size, size);
    return image;
}

static uint32_t sum_of(const struct codes *codes)
{
    uint32_t sum = 0;
    uint64_t panels = codes->row_count / PANEL_ROWS;
    sum ^= checksum32(codes->panels, panels * code_panel_size(DIM), 0);
    sum ^= checksum32(codes->offsets, codes->row_count * sizeof(float), 0);
    sum ^= checksum32(codes->errors, panels * sizeof(float), 0);
    return sum ^ checksum32(codes->norms, panels * sizeof(float), 0);
}

static void read_it(enum metric metric)
{
    struct codes *codes = NULL;
    struct codes_wanted wanted = { .segment = segment, .row_count = ROWS, .metric = metric };
    size_t before = mem_in_use();
    wg_err err = codes_file_read(&wanted, &codes);
    must(err == WG_OK || ((err == WG_ECORRUPT || err == WG_EVERSION) && wg_message()[0]), "%d: %s",
         err, wg_message());
    must(!codes == (err != WG_OK), "codes, and %d", err);
    if (codes) {
        must(codes->row_count <= ROWS && codes->row_count % PANEL_ROWS == 0, "rows");
        must(codes->metric == metric && codes->dim == DIM && codes->capacity == 128,
             "another kind");
        must(isfinite(codes->scale) && codes->scale > 0, "scale %g", (double)codes->scale);
        static volatile uint32_t all; /* every byte is there to be read */
        all ^= sum_of(codes);
    }
    codes_destroy(&codes);
    must(mem_in_use() == before, "%zu allocations are left, expected %zu", mem_in_use(), before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    if (!segment) make_segment();
    struct image image = image_of(data + 1, size - 1, data[0] & 2);
    if (data[0] & 1) mend(image.bytes, image.size);
    ssize_t written = pwrite(file, image.bytes, image.size, 0);
    must(written == (ssize_t)image.size && ftruncate(file, written) == 0, "not written");
    read_it(METRIC_DOT);
    read_it(METRIC_L2);
    free(image.bytes);
    return 0;
}
