/* Packed segments, whose rows carry their numbers; and segments within another file. */
#include "base/mem.h"
#include "store/segment.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 5, ROWS = 60, FIRST_ROW = 131072 + 9, NUMBER = 7, LONG_SIZE = 100 };

static char folder[SCRATCH_PATH_SIZE], path[SCRATCH_PATH_SIZE + 40];
static struct segment_params params = {
    .first_row = FIRST_ROW, .capacity = ROWS, .number = NUMBER, .dim = DIM, .packed = true
};
static float vectors[ROWS * DIM];
static wg_id ids[ROWS];
static char texts[ROWS][LONG_SIZE];
static uint64_t numbers[ROWS]; /* rising, with gaps; the first is not the segment's */
static uint32_t sums[ROWS];

static int make_rows(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    char name[32];
    snprintf(folder, sizeof folder, "%s", scratch_create());
    segment_name(0, NUMBER, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    uint64_t row = FIRST_ROW + 3;
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = prng_unit(&prng);
    for (size_t i = 0; i < ROWS; i++) {
        numbers[i] = row;
        row += 1 + test_below(&prng, i % 7 == 0 ? 100000 : 3);
        memset(texts[i], 'a' + (int)(i % 26), LONG_SIZE);
        wg_id_from_number(i, &ids[i]);
        if (i % 3 == 0) ids[i] = (wg_id){ WG_ID_STRING, LONG_SIZE, { .string = texts[i] } };
    }
    params.end_row = row;
    return 0;
}

static wg_err append(struct segment *segment, size_t first, size_t count)
{
    struct segment_rows rows = { vectors + first * DIM, ids + first, numbers + first, count };
    wg_err err = segment_append(segment, &rows, sums + first);
    return err == WG_OK ? segment_flush(segment) : err;
}

/* A packed segment of all rows, closed, and what the tables say of it. */
static struct segment_record make_segment(void)
{
    struct segment *segment = NULL;
    must_ok(segment_create(folder, &params, &segment));
    must_ok(append(segment, 0, 40));
    must_ok(append(segment, 40, ROWS - 40));
    struct segment_record record = {
        params.end_row, ROWS, ROWS, segment->strings_size, NUMBER, true,
    };
    segment_release(&segment);
    return record;
}

static wg_err open_in_folder(const struct segment_record *record, struct segment **out)
{
    struct segment_place place = { .folder = folder };
    return segment_open(&place, &params, record, SEGMENT_SEALED, out);
}

static void check_rows(const struct segment *segment)
{
    assert_int_equal(segment->row_count, ROWS);
    assert_memory_equal(segment_vectors(segment), vectors, sizeof vectors);
    for (size_t i = 0; i < ROWS; i++) {
        wg_id id = segment_id(segment, i);
        uint32_t sum = 0;
        assert_int_equal(segment_row(segment, i), numbers[i]);
        assert_int_equal(id.type, ids[i].type);
        if (id.type == WG_ID_NUMBER) assert_int_equal(id.as.number, i);
        if (id.type == WG_ID_STRING) assert_memory_equal(id.as.string, texts[i], LONG_SIZE);
        assert_ok(segment_row_sum(segment, i, &sum));
        assert_int_equal(sum, sums[i]);
        assert_ok(segment_check_row(segment, i));
    }
}

static void rows_keep_their_numbers(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct segment *segment = NULL;
    struct segment_record record = make_segment();
    assert_ok(open_in_folder(&record, &segment));
    check_rows(segment);
    segment_release(&segment);
    assert_int_equal(mem_in_use(), before);
}

/* A packed row's checksum is that of the same row before it was packed. */
static void packing_changes_no_checksum(void **state)
{
    (void)state;
    struct segment *segment = NULL;
    struct segment_record record = make_segment();
    struct segment_params plain = { .capacity = 10, .number = 1, .dim = DIM };
    assert_ok(open_in_folder(&record, &segment));
    for (size_t i = 0; i < ROWS; i += 7) {
        struct segment *alone = NULL;
        struct segment_rows row = { vectors + i * DIM, ids + i, NULL, 1 };
        uint32_t sum = 0;
        plain.first_row = numbers[i];
        plain.number++;
        assert_ok(segment_create(folder, &plain, &alone));
        assert_ok(segment_append(alone, &row, &sum));
        assert_ok(segment_flush(alone));
        assert_int_equal(sum, sums[i]);
        segment_release(&alone);
    }
    segment_release(&segment);
}

static void numbers_are_found(void **state)
{
    (void)state;
    struct segment *segment = NULL;
    struct segment_record record = make_segment();
    assert_ok(open_in_folder(&record, &segment));
    for (uint64_t count = 0; count <= ROWS; count += 20) {
        uint64_t at = 0;
        for (uint64_t row = FIRST_ROW - 2; row < params.end_row + 2; row++) {
            while (at < count && numbers[at] < row) at++;
            if (segment_find(segment, count, row) != at)
                fail_msg("row %zu is found at %zu, expected %zu", (size_t)row,
                         (size_t)segment_find(segment, count, row), (size_t)at);
            if (at == count) row += 1000; /* the rest is all the same */
        }
    }
    segment_release(&segment);
}

static void write_at(const char *where, const void *bytes, size_t size, uint64_t offset)
{
    struct file file;
    must_ok(file_open(where, FILE_READ_WRITE, &file));
    must_ok(file_write_at(&file, bytes, size, offset));
    file_close(&file);
}

/* Numbers that do not rise, or lie outside of the segment, would be looked up in vain. */
static void numbers_that_cannot_be_are_corrupt(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    struct segment_header header;
    struct segment *segment = NULL;
    struct file file;
    assert_ok(file_open(path, FILE_READ, &file));
    assert_ok(file_read_at(&file, &header, sizeof header, 0));
    file_close(&file);
    const struct {
        size_t i;
        uint64_t number;
    } wrong[] = {
        { 0, FIRST_ROW - 1 },
        { 0, numbers[1] },
        { 30, numbers[29] },
        { 30, numbers[31] },
        { ROWS - 1, params.end_row },
        { ROWS - 1, UINT64_MAX },
        { ROWS - 1, 0 },
    };
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        uint64_t at = header.numbers_offset + wrong[w].i * sizeof(uint64_t);
        write_at(path, &wrong[w].number, sizeof(uint64_t), at);
        assert_err(WG_ECORRUPT, path, open_in_folder(&record, &segment));
        assert_null(segment);
        write_at(path, &numbers[wrong[w].i], sizeof(uint64_t), at);
    }
    uint64_t other = numbers[30] + 1; /* a number that could be: the row's checksum tells */
    if (other == numbers[31]) other = numbers[30] - 1;
    if (other == numbers[29]) return;
    write_at(path, &other, sizeof other, header.numbers_offset + 30 * sizeof other);
    assert_ok(open_in_folder(&record, &segment));
    assert_err(WG_ECORRUPT, path, segment_check_row(segment, 30));
    segment_release(&segment);
}

static void a_plain_segment_is_not_taken_for_a_packed_one(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    struct segment *segment = NULL;
    struct segment_params plain = params;
    struct segment_place place = { .folder = folder };
    plain.packed = false;
    assert_err(WG_ECORRUPT, path, segment_open(&place, &plain, &record, SEGMENT_SEALED, &segment));
    assert_null(segment);
}

/* Copies the segment's bytes to `at` in the middle of another file. */
static void make_whole(const char *whole, uint64_t at)
{
    static char bytes[1 << 20];
    struct file file;
    uint64_t size = 0;
    must_ok(file_open(path, FILE_READ, &file));
    must_ok(file_size(&file, &size));
    must(size <= sizeof bytes, "a large segment");
    must_ok(file_read_at(&file, bytes, size, 0));
    file_close(&file);
    must_ok(file_open(whole, FILE_CREATE, &file));
    must_ok(file_write_at(&file, "something else before", 21, 0));
    must_ok(file_write_at(&file, bytes, size, at));
    file_close(&file);
}

static void a_segment_can_be_part_of_a_file(void **state)
{
    (void)state;
    enum { AT = 2 * 65536 };
    size_t before = mem_in_use();
    char whole[SCRATCH_PATH_SIZE + 40];
    struct segment *segment = NULL;
    struct segment_record record = make_segment();
    struct segment_place place = { whole, AT, true };
    snprintf(whole, sizeof whole, "%s/whole", folder);
    make_whole(whole, AT);
    assert_ok(segment_open(&place, &params, &record, SEGMENT_READ_ONLY, &segment));
    check_rows(segment);
    segment_release(&segment);
    place.offset = 65536;
    assert_err(WG_ECORRUPT, whole,
               segment_open(&place, &params, &record, SEGMENT_READ_ONLY, &segment));
    place.offset = UINT64_C(1) << 32; /* behind its end */
    assert_err(WG_ECORRUPT, whole,
               segment_open(&place, &params, &record, SEGMENT_READ_ONLY, &segment));
    place.offset = AT;
    uint64_t end = AT + segment_file_size(ROWS, DIM * sizeof(float), true) + record.strings_size;
    assert_int_equal(truncate(whole, (off_t)end - 1), 0);
    assert_err(WG_ECORRUPT, whole,
               segment_open(&place, &params, &record, SEGMENT_READ_ONLY, &segment));
    assert_null(segment);
    assert_int_equal(mem_in_use(), before);
}

/* Its region of numbers is counted in what it takes on the disk. */
static void the_size_on_disk_is_known(void **state)
{
    (void)state;
    struct file file;
    uint64_t size = 0;
    struct segment_record record = make_segment();
    assert_ok(file_open(path, FILE_READ, &file));
    assert_ok(file_size(&file, &size));
    file_close(&file);
    assert_in_range(size, segment_file_size(ROWS, DIM * sizeof(float), true) + record.strings_size,
                    segment_file_size(ROWS, DIM * sizeof(float), true) + (256 << 10));
    assert_true(segment_file_size(100000, DIM * sizeof(float), true) >=
                segment_file_size(100000, DIM * sizeof(float), false) + 100000 * sizeof(uint64_t));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_rows)
    const struct CMUnitTest tests[] = {
        TEST(rows_keep_their_numbers),
        TEST(packing_changes_no_checksum),
        TEST(numbers_are_found),
        TEST(numbers_that_cannot_be_are_corrupt),
        TEST(a_plain_segment_is_not_taken_for_a_packed_one),
        TEST(a_segment_can_be_part_of_a_file),
        TEST(the_size_on_disk_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
