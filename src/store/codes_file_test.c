/* Codes beside a segment: written and read again, and every file that is not right is refused. */
#include "base/checksum.h"
#include "base/mem.h"
#include "quant/encode.h"
#include "store/codes_file.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 3, FEW = 96, ROWS = CODES_PART_ROWS + 3 * PANEL_ROWS, CAPACITY = ROWS + 100 };

static char folder[SCRATCH_PATH_SIZE], path[SCRATCH_PATH_SIZE + 40];
static struct kernels kernels;
static float vectors[ROWS * DIM];
static struct segment *segment;

static struct segment_params params_of(uint32_t number, uint64_t first_row)
{
    return (struct segment_params){
        .first_row = first_row, .capacity = CAPACITY, .number = number, .dim = DIM
    };
}

static void append(struct segment *s, const float *from, size_t count, uint64_t first_id)
{
    wg_id *ids = allocate(count, sizeof *ids);
    uint32_t *sums = allocate(count, sizeof *sums);
    for (size_t i = 0; i < count; i++) wg_id_from_number(first_id + i, &ids[i]);
    struct segment_rows rows = { from, ids, NULL, count };
    must_ok(segment_append(s, &rows, sums));
    must_ok(segment_flush(s));
    free(ids);
    free(sums);
}

static struct segment *make(uint32_t number, uint64_t first_row, size_t count)
{
    struct segment *made = NULL;
    struct segment_params params = params_of(number, first_row);
    must_ok(segment_create(folder, &params, &made));
    append(made, vectors, count, 0);
    return made;
}

/* Codes of the segment's rows, as they are made. */
static struct codes *encode(const struct segment *s, enum metric metric)
{
    struct codes *codes = NULL;
    struct encode_params params = {
        .kernels = &kernels,
        .metric = metric,
        .dim = DIM,
        .rows = segment_vectors(s),
        .row_count = s->row_count,
        .capacity = CAPACITY,
    };
    must_ok(codes_create(&params, &codes));
    codes_cover(codes, &kernels, segment_vectors(s), s->row_count);
    return codes;
}

static void write_codes(const struct segment *s, enum metric metric)
{
    uint64_t saved = 0;
    struct codes *codes = encode(s, metric);
    must_ok(codes_file_write(s, codes, &saved));
    must(saved == codes->row_count, "%llu rows", (unsigned long long)saved);
    codes_destroy(&codes);
}

static wg_err read_of(const struct segment *s, uint64_t row_count, enum metric metric,
                      struct codes **out)
{
    struct codes_wanted wanted = { .segment = s, .row_count = row_count, .metric = metric };
    return codes_file_read(&wanted, out);
}

static wg_err read_it(struct codes **out)
{
    return read_of(segment, segment->row_count, METRIC_L2, out);
}

static void must_be_equal(const struct codes *a, const struct codes *b, uint64_t row_count)
{
    uint64_t panel_count = row_count / PANEL_ROWS;
    assert_int_equal(a->row_count, row_count);
    assert_int_equal(a->metric, b->metric);
    assert_int_equal(a->capacity, b->capacity);
    assert_true(a->scale == b->scale && a->centre_norm == b->centre_norm);
    assert_memory_equal(a->centre, b->centre, DIM * sizeof(float));
    assert_memory_equal(a->panels, b->panels, panel_count * code_panel_size(DIM));
    assert_memory_equal(a->offsets, b->offsets, row_count * sizeof(float));
    assert_memory_equal(a->errors, b->errors, panel_count * sizeof(float));
    assert_memory_equal(a->norms, b->norms, panel_count * sizeof(float));
}

static uint64_t size_of_file(void)
{
    struct file file = { 0 };
    uint64_t size;
    must_ok(file_open(path, FILE_READ, &file));
    must_ok(file_size(&file, &size));
    file_close(&file);
    return size;
}

static uint8_t *file_bytes(void)
{
    struct file file = { 0 };
    uint64_t size = size_of_file();
    uint8_t *bytes = allocate(size, 1);
    must_ok(file_open(path, FILE_READ, &file));
    must_ok(file_read_at(&file, bytes, size, 0));
    file_close(&file);
    return bytes;
}

static void write_at(const void *bytes, size_t size, uint64_t at)
{
    struct file file = { 0 };
    must_ok(file_open(path, FILE_READ_WRITE, &file));
    must_ok(file_write_at(&file, bytes, size, at));
    file_close(&file);
}

/* --- tests --- */

static int begin(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    kernels_init(&kernels, CPU_C);
    snprintf(folder, sizeof folder, "%s", scratch_create());
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = prng_unit(&prng);
    snprintf(path, sizeof path, "%s/0-7.codes", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    segment_release(&segment);
    return 0;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const size_t counts[] = { PANEL_ROWS, FEW + 5, CODES_PART_ROWS, ROWS };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (enum metric metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
            size_t before = mem_in_use();
            struct segment *s = make(7, 65536, counts[i]);
            struct codes *made = encode(s, metric), *read = NULL;
            assert_err(WG_ENOTFOUND, "0-7.codes", read_of(s, s->row_count, metric, &read));
            assert_int_equal(codes_file_bytes(s), 0);
            write_codes(s, metric);
            assert_ok(read_of(s, s->row_count, metric, &read));
            must_be_equal(read, made, counts[i] / PANEL_ROWS * PANEL_ROWS);
            assert_int_equal(codes_file_bytes(s), size_of_file());
            assert_int_equal(codes_file_bytes(s), codes_file_size(DIM, made->row_count));
            codes_destroy(&read);
            codes_destroy(&made);
            s->doomed = true;
            segment_release(&s);
            assert_false(file_exists(path)); /* it goes with its segment */
            assert_int_equal(mem_in_use(), before);
        }
    }
}

/* The codes go on from where the file ends, as if they had never been written. */
static void they_go_on(void **state)
{
    (void)state;
    struct segment *s = make(7, 0, FEW);
    struct codes *made = encode(s, METRIC_L2), *read = NULL;
    write_codes(s, METRIC_L2);
    append(s, vectors + FEW * DIM, ROWS - FEW, FEW);
    assert_ok(read_of(s, s->row_count, METRIC_L2, &read));
    assert_int_equal(read->row_count, FEW);
    codes_cover(made, &kernels, segment_vectors(s), ROWS);
    codes_cover(read, &kernels, segment_vectors(s), ROWS);
    must_be_equal(read, made, ROWS);
    uint64_t saved;
    assert_ok(codes_file_write(s, read, &saved)); /* in place of the first one */
    codes_destroy(&read);
    assert_ok(read_of(s, s->row_count, METRIC_L2, &read));
    must_be_equal(read, made, ROWS);
    codes_destroy(&read);
    /* A reader that has fewer rows takes whole parts of them. */
    assert_ok(read_of(s, ROWS - 1, METRIC_L2, &read));
    must_be_equal(read, made, CODES_PART_ROWS);
    codes_destroy(&read);
    assert_ok(read_of(s, FEW, METRIC_L2, &read));
    assert_int_equal(read->row_count, 0);
    codes_destroy(&read);
    codes_destroy(&made);
    s->doomed = true;
    segment_release(&s);
}

/* Bytes are stored as they are for dot and for cosine: the rows' checksums are the same. */
static void codes_of_bytes_by_dot_are_none_by_cosine(void **state)
{
    (void)state;
    struct codes *read = NULL;
    segment = make(7, 65536, FEW);
    write_codes(segment, METRIC_DOT);
    struct codes_wanted wanted = { segment, FEW, METRIC_DOT, ROW_UNIT_U8, NULL };
    assert_err(WG_ECORRUPT, "0-7.codes: its header", codes_file_read(&wanted, &read));
    segment->doomed = true;
    segment_release(&segment);
}

/* Of another number, another place, other rows, another id, another metric: all but one row are
 * alike. */
static void codes_of_others_are_refused(void **state)
{
    (void)state;
    struct codes *read = NULL;
    char other[SCRATCH_PATH_SIZE + 40];
    segment = make(7, 65536, FEW);
    write_codes(segment, METRIC_L2);
    assert_err(WG_ECORRUPT, "0-7.codes: its header", read_of(segment, FEW, METRIC_DOT, &read));
    uint8_t *bytes = file_bytes();
    uint64_t size = size_of_file();
    struct segment *another = make(8, 65536, FEW);
    snprintf(other, sizeof other, "%s/0-8.codes", folder);
    must_ok(file_rename(path, other));
    assert_err(WG_ECORRUPT, "0-8.codes: its header", read_of(another, FEW, METRIC_L2, &read));
    another->doomed = true;
    segment_release(&another);
    assert_false(file_exists(other));
    /* The same name and place, and another last row; then another id of the last row. */
    for (int by_id = 0; by_id < 2; by_id++) {
        float row[DIM] = { 0.25F, 0.5F, 0.75F };
        segment->doomed = true;
        segment_release(&segment);
        segment = make(7, 65536, FEW - 1);
        append(segment, by_id ? vectors + (FEW - 1) * DIM : row, 1, by_id ? FEW : FEW - 1);
        struct file file = { 0 };
        must_ok(file_open(path, FILE_CREATE, &file));
        must_ok(file_write_at(&file, bytes, size, 0));
        file_close(&file);
        assert_err(WG_ECORRUPT, "wrong checksum over the codes of rows 0 to 96", read_it(&read));
    }
    free(bytes);
}

/* Bytes between the header and the contents, and behind those, mean nothing. */
static bool means_nothing(uint64_t at)
{
    uint64_t contents_end = 4096 + sizeof(uint64_t) + DIM * sizeof(float);
    return (at >= sizeof(struct codes_header) && at < 4096) ||
           (at >= contents_end && at < UINT64_C(2) * 4096);
}

static void every_byte_matters(void **state)
{
    (void)state;
    struct codes *made, *read = NULL;
    segment_release(&segment);
    segment = make(7, 65536, FEW);
    made = encode(segment, METRIC_L2);
    write_codes(segment, METRIC_L2);
    uint8_t *bytes = file_bytes();
    uint64_t size = size_of_file();
    for (uint64_t at = 0; at < size; at++) {
        uint8_t flipped = bytes[at] ^ (uint8_t)(1U << at % 8);
        write_at(&flipped, 1, at);
        size_t before = mem_in_use();
        wg_err err = read_it(&read);
        if (means_nothing(at)) {
            assert_ok(err);
            must_be_equal(read, made, FEW);
            codes_destroy(&read);
        } else if (err != WG_ECORRUPT && err != WG_EVERSION) {
            fail_msg("byte %llu of %llu: %d", (unsigned long long)at, (unsigned long long)size,
                     err);
        }
        assert_int_equal(mem_in_use(), before);
        write_at(&bytes[at], 1, at);
    }
    assert_ok(read_it(&read));
    codes_destroy(&read);
    codes_destroy(&made);
    free(bytes);
}

/* Cut at every page and beside it, or with zeros from there on: what a crash may leave. */
static void what_a_crash_leaves_is_refused(void **state)
{
    (void)state;
    static uint8_t zeros[4096];
    struct codes *read = NULL;
    segment_release(&segment);
    segment = make(7, 65536, ROWS);
    write_codes(segment, METRIC_L2);
    uint8_t *bytes = file_bytes();
    uint64_t size = size_of_file();
    for (uint64_t at = 0; at < size; at += 4096) {
        uint64_t left = size - at < 4096 ? size - at : 4096;
        bool empty = memcmp(bytes + at, zeros, left) == 0;
        write_at(zeros, left, at); /* a page that did not reach the disk */
        assert_int_equal(read_it(&read), empty ? WG_OK : WG_ECORRUPT);
        if (empty) codes_destroy(&read);
        write_at(bytes + at, left, at);
    }
    for (uint64_t at = 0; at < size; at += 4096) {
        for (int beside = -1; beside <= 1; beside++) {
            uint64_t cut = at + (uint64_t)(at > 0 ? beside : 0);
            must(truncate(path, (off_t)cut) == 0, "truncate");
            assert_int_equal(read_it(&read), WG_ECORRUPT);
            write_at(bytes, size, 0);
        }
    }
    write_at(zeros, 1, size); /* and longer than it says */
    assert_err(WG_ECORRUPT, "bytes, expected", read_it(&read));
    must(truncate(path, (off_t)size) == 0, "truncate");
    assert_ok(read_it(&read));
    codes_destroy(&read);
    free(bytes);
}

/* With a header whose checksum is right: a newer version, features, counts that cannot be. */
static void headers_that_say_more_are_refused(void **state)
{
    (void)state;
    struct codes *read = NULL;
    struct codes_header header;
    segment_release(&segment);
    segment = make(7, 65536, FEW);
    write_codes(segment, METRIC_L2);
    uint8_t *bytes = file_bytes();
    for (int what = 0; what < 9; what++) {
        memcpy(&header, bytes, sizeof header);
        if (what == 0) header.version = 2;
        if (what == 1) header.features.refuse = 2;
        if (what == 2) header.features.read_only = header.features.ignorable = 1;
        if (what == 3) header.row_count = 0;
        if (what == 4) header.row_count = FEW + 1;
        if (what == 5) header.row_count = UINT64_MAX / PANEL_ROWS * PANEL_ROWS;
        if (what == 6) header.kind = 2;
        if (what == 7) header.scale = 0x1p-61F;
        if (what == 8) header.centre_norm = -1;
        header.sum = checksum32(&header, offsetof(struct codes_header, sum), 0);
        write_at(&header, sizeof header, 0);
        assert_int_equal(read_it(&read), what < 2 ? WG_EVERSION : what == 2 ? WG_OK : WG_ECORRUPT);
        codes_destroy(&read);
    }
    free(bytes);
}

static void stopped_reading_leaves_nothing(void **state)
{
    (void)state;
    struct codes *read = NULL;
    atomic_bool cancelled = true;
    struct stop stop = { .cancelled = &cancelled };
    segment_release(&segment);
    segment = make(7, 65536, FEW);
    write_codes(segment, METRIC_L2);
    size_t before = mem_in_use();
    struct codes_wanted wanted = { segment, FEW, METRIC_L2, ROW_F32, &stop };
    assert_err(WG_ECANCELLED, "", codes_file_read(&wanted, &read));
    assert_null(read);
    assert_int_equal(mem_in_use(), before);
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = { "0-0.codes", "65535-4294967295.codes", "0-7.codes.tmp" };
    static const char *const bad[] = {
        "",           ".codes",        "0-7.seg",  "0-7.codes.", "0-7.codes.tmp2",
        "00-7.codes", "65536-0.codes", "0-7.code", "tables"
    };
    char name[32];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(codes_file_is_name(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(codes_file_is_name(bad[i]));
    codes_file_name(UINT16_MAX, UINT32_MAX, name);
    assert_string_equal(name, good[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(they_go_on),
        cmocka_unit_test(codes_of_bytes_by_dot_are_none_by_cosine),
        cmocka_unit_test(codes_of_others_are_refused),
        cmocka_unit_test(every_byte_matters),
        cmocka_unit_test(what_a_crash_leaves_is_refused),
        cmocka_unit_test(headers_that_say_more_are_refused),
        cmocka_unit_test(stopped_reading_leaves_nothing),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
