/* Segments: rows appended and read again, and files that do not fit what the tables say. */
#include "base/checksum.h"
#include "base/mem.h"
#include "store/id.h"
#include "store/segment.h"
#include "support/check.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 5, ROWS = 40, CAPACITY = 100, FIRST_ROW = 65536 };

static char folder[SCRATCH_PATH_SIZE], path[SCRATCH_PATH_SIZE + 40];
static const struct segment_params params = {
    .first_row = FIRST_ROW, .capacity = CAPACITY, .number = 0x1A, .dim = DIM, .space = 3
};
static float vectors[ROWS * DIM];
static wg_id ids[ROWS];
static char texts[ROWS][WG_ID_SIZE_MAX];
static uint32_t sums[ROWS];

/* Numbers, UUIDs, and strings of every size around that of a slot. */
static void make_rows(void)
{
    struct prng prng = { test_seed() };
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = prng_unit(&prng);
    for (size_t i = 0; i < ROWS; i++) {
        uint32_t size = i > 36 ? WG_ID_SIZE_MAX - (uint32_t)(i - 37) : (uint32_t)(i - 1);
        memset(texts[i], 'a' + (int)(i % 26), sizeof texts[i]);
        ids[i] = (wg_id){ WG_ID_STRING, size, { .string = texts[i] } };
        if (i == 0) ids[i] = (wg_id){ .type = WG_ID_NUMBER, .as.number = UINT64_MAX - 7 };
        if (i != 1) continue;
        ids[i] = (wg_id){ .type = WG_ID_UUID };
        memset(ids[i].as.uuid, 0xAB, 16);
    }
}

static wg_err append(struct segment *segment, size_t first, size_t count)
{
    struct segment_rows rows = { vectors + first * DIM, ids + first, NULL, count };
    wg_err err = segment_append(segment, &rows, sums + first);
    return err == WG_OK ? segment_flush(segment) : err;
}

static struct segment_record record_of(const struct segment *segment)
{
    return (struct segment_record){
        FIRST_ROW + segment->row_count, segment->row_count, CAPACITY, segment->strings_size, 0x1A, 0
    };
}

static wg_err open_as(const struct segment_params *as, const struct segment_record *record,
                      enum segment_use use, struct segment **out)
{
    struct segment_place place = { .folder = folder };
    return segment_open(&place, as, record, use, out);
}

static wg_err open_it(const struct segment_record *record, enum segment_use use,
                      struct segment **out)
{
    return open_as(&params, record, use, out);
}

static void check_rows(const struct segment *segment, size_t count)
{
    assert_memory_equal(segment_vectors(segment), vectors, count * DIM * sizeof *vectors);
    for (size_t i = 0; i < count; i++) {
        wg_id id = segment_id(segment, i);
        uint32_t sum = 0;
        assert_int_equal(id.type, ids[i].type);
        if (id.type == WG_ID_NUMBER) assert_int_equal(id.as.number, ids[i].as.number);
        if (id.type == WG_ID_UUID) assert_memory_equal(id.as.uuid, ids[i].as.uuid, 16);
        if (id.type == WG_ID_STRING) {
            assert_int_equal(id.size, ids[i].size);
            assert_memory_equal(id.as.string, ids[i].as.string, id.size);
        }
        assert_ok(segment_row_sum(segment, i, &sum));
        assert_int_equal(sum, sums[i]);
        assert_ok(segment_check_row(segment, i));
        assert_int_equal(segment_row(segment, i), FIRST_ROW + i);
    }
}

/* A segment of all rows, closed, and what the tables say of it. */
static struct segment_record make_segment(void)
{
    struct segment *segment = NULL;
    assert_ok(segment_create(folder, &params, &segment));
    assert_ok(append(segment, 0, ROWS));
    assert_ok(file_sync(&segment->file));
    struct segment_record record = record_of(segment);
    segment_release(&segment);
    assert_null(segment);
    return record;
}

static void rows_are_appended_and_read(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct segment *segment = NULL;
    assert_ok(segment_create(folder, &params, &segment));
    assert_int_equal(segment->row_count, 0);
    for (size_t done = 0, part = 1; done < ROWS; done += part, part = 1 + done / 2) {
        if (part > ROWS - done) part = ROWS - done;
        assert_ok(append(segment, done, part));
        assert_int_equal(segment->row_count, done + part);
        check_rows(segment, done + part);
    }
    struct segment_record record = record_of(segment);
    segment_release(&segment);
    for (int use = SEGMENT_APPEND; use <= SEGMENT_READ_ONLY; use++) {
        assert_ok(open_it(&record, (enum segment_use)use, &segment));
        assert_int_equal(segment->file.fd < 0, use != SEGMENT_APPEND);
        assert_string_equal(segment->file.path, path);
        assert_int_equal(segment->row_count, ROWS);
        assert_int_equal(segment->strings_size, record.strings_size);
        check_rows(segment, ROWS);
        segment_release(&segment);
    }
    assert_int_equal(mem_in_use(), before);
}

static void rows_go_on_after_opening(void **state)
{
    (void)state;
    struct segment *segment = NULL;
    assert_ok(segment_create(folder, &params, &segment));
    assert_ok(append(segment, 0, 30));
    struct segment_record record = record_of(segment);
    assert_ok(append(segment, 30, 10)); /* never counted by a commit */
    segment_release(&segment);
    assert_ok(open_it(&record, SEGMENT_APPEND, &segment));
    assert_int_equal(segment->row_count, 30);
    check_rows(segment, 30);
    assert_ok(append(segment, 30, 10));
    check_rows(segment, ROWS);
    segment_release(&segment);
}

static void a_segment_can_be_filled(void **state)
{
    (void)state;
    static wg_id longest[CAPACITY];
    static float zeros[CAPACITY * DIM];
    static char text[WG_ID_SIZE_MAX];
    static uint32_t got[CAPACITY];
    struct segment *segment = NULL;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < CAPACITY; i++)
        longest[i] = (wg_id){ WG_ID_STRING, WG_ID_SIZE_MAX, { .string = text } };
    struct segment_rows rows = { zeros, longest, NULL, CAPACITY };
    assert_ok(segment_create(folder, &params, &segment));
    assert_ok(segment_append(segment, &rows, got));
    assert_ok(segment_flush(segment));
    for (size_t i = 0; i < CAPACITY; i++)
        assert_memory_equal(segment_id(segment, i).as.string, text, WG_ID_SIZE_MAX);
    segment_release(&segment);
}

/* A row's number is under its checksum, so that a row cannot stand in another's place. */
static void equal_rows_have_different_sums(void **state)
{
    (void)state;
    float equal[2 * DIM] = { 0 };
    wg_id same[2] = { { .type = WG_ID_NUMBER, .as.number = 7 },
                      { .type = WG_ID_NUMBER, .as.number = 7 } };
    uint32_t got[2];
    struct segment_rows rows = { equal, same, NULL, 2 };
    struct segment *segment = NULL;
    assert_ok(segment_create(folder, &params, &segment));
    assert_ok(segment_append(segment, &rows, got));
    assert_ok(segment_flush(segment));
    assert_int_not_equal(got[0], got[1]);
    segment_release(&segment);
}

static void rows_are_found_by_their_number(void **state)
{
    (void)state;
    struct segment *segment = NULL;
    assert_ok(segment_create(folder, &params, &segment));
    assert_ok(append(segment, 0, ROWS));
    assert_int_equal(segment_find(segment, ROWS, 0), 0);
    assert_int_equal(segment_find(segment, ROWS, FIRST_ROW), 0);
    assert_int_equal(segment_find(segment, ROWS, FIRST_ROW + 17), 17);
    assert_int_equal(segment_find(segment, 17, FIRST_ROW + 17), 17);
    assert_int_equal(segment_find(segment, 17, FIRST_ROW + 30), 17); /* behind the count */
    assert_int_equal(segment_find(segment, ROWS, UINT64_MAX), ROWS);
    segment_release(&segment);
}

static void flip(uint64_t offset)
{
    struct file file;
    uint8_t byte = 0;
    must_ok(file_open(path, FILE_READ_WRITE, &file));
    must_ok(file_read_at(&file, &byte, 1, offset));
    byte ^= 0x40;
    must_ok(file_write_at(&file, &byte, 1, offset));
    file_close(&file);
}

static struct segment_header header_now(void)
{
    struct file file;
    struct segment_header header;
    must_ok(file_open(path, FILE_READ, &file));
    must_ok(file_read_at(&file, &header, sizeof header, 0));
    file_close(&file);
    return header;
}

/* Whether row i of the file fails its check; and when it does not, that its checksum is the one of
 * when it was written. */
static bool row_is_damaged(const struct segment_record *record, size_t i)
{
    struct segment *segment = NULL;
    uint32_t sum = 0;
    must_ok(open_it(record, SEGMENT_READ_ONLY, &segment));
    wg_err err = segment_check_row(segment, i);
    must(err == WG_OK || err == WG_ECORRUPT, "%s", wg_message());
    if (err == WG_OK) must_ok(segment_row_sum(segment, i, &sum));
    must(err != WG_OK || sum == sums[i], "another row passes as row %zu", i);
    segment_release(&segment);
    return err != WG_OK;
}

static void a_flipped_byte_is_found(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    struct segment_header header = header_now();
    uint64_t longest = header.ids_offset + 37 * sizeof(struct id_slot);
    const struct {
        uint64_t offset;
        size_t row;
    } places[] = {
        { 4096, 0 },
        { 4096 + (uint64_t)ROWS * DIM * 4 - 1, ROWS - 1 },
        { header.ids_offset, 0 },
        { header.ids_offset + 8, 0 },
        { header.ids_offset + 32, 1 },
        { header.ids_offset + 32 + 8 + 15, 1 },
        { header.ids_offset + 32 * 10 + 2, 10 },
        { header.ids_offset + 32 * 10 + 28, 10 }, /* the checksum itself */
        { longest, 37 },
        { longest + 4, 37 },
        { header.strings_offset, 22 },
        { header.strings_offset + record.strings_size - 1, ROWS - 1 },
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        assert_false(row_is_damaged(&record, places[i].row));
        flip(places[i].offset);
        if (!row_is_damaged(&record, places[i].row))
            fail_msg("place %zu: a flipped byte is not seen in row %zu", i, places[i].row);
        flip(places[i].offset);
    }
}

/* Ids that point out of the region of long ids, or are of no type. */
static void an_id_that_is_none_is_corrupt(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    struct segment_header header = header_now();
    static const struct id_slot slots[] = {
        { .type = 0 },
        { .type = 4, .size = 3 },
        { .type = WG_ID_STRING, .size = 0 },
        { .type = WG_ID_STRING, .size = WG_ID_SIZE_MAX + 1 },
        { .type = WG_ID_STRING, .size = UINT16_MAX },
        { .type = WG_ID_STRING, .size = 100, .offset = UINT32_MAX },
        { .type = WG_ID_STRING, .size = 100, .offset = 1u << 30 },
    };
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        struct file file;
        struct segment *segment = NULL;
        uint32_t sum;
        assert_ok(file_open(path, FILE_READ_WRITE, &file));
        assert_ok(file_write_at(&file, &slots[i], sizeof slots[i], header.ids_offset + 64));
        file_close(&file);
        assert_ok(open_it(&record, SEGMENT_READ_ONLY, &segment));
        assert_err(WG_ECORRUPT, "", segment_row_sum(segment, 2, &sum));
        assert_err(WG_ECORRUPT, path, segment_check_row(segment, 2));
        assert_int_equal(segment_id(segment, 2).type, 0);
        segment_release(&segment);
    }
}

static void does_not_open(wg_err want, const struct segment_params *as,
                          const struct segment_record *record)
{
    size_t before = mem_in_use();
    for (int use = SEGMENT_APPEND; use <= SEGMENT_READ_ONLY; use++) {
        struct segment *segment = NULL;
        assert_err(want, folder, open_as(as, record, (enum segment_use)use, &segment));
        assert_null(segment);
    }
    assert_int_equal(mem_in_use(), before);
}

static void a_header_that_does_not_fit_is_corrupt(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    struct segment_params wrong[] = { params, params, params };
    wrong[0].first_row += 65536;
    wrong[1].capacity++;
    wrong[2].dim++;
    for (size_t i = 0; i < 3; i++) does_not_open(WG_ECORRUPT, &wrong[i], &record);
    for (size_t byte = 0; byte < sizeof(struct segment_header); byte++) {
        struct segment *segment = NULL;
        flip(byte);
        wg_err err = open_it(&record, SEGMENT_APPEND, &segment);
        if (err != WG_ECORRUPT && err != WG_EVERSION) fail_msg("byte %zu is not checked", byte);
        flip(byte);
    }
}

static void write_features(struct features features)
{
    struct segment_header header = header_now();
    struct file file;
    header.features = features;
    header.sum = checksum32(&header, offsetof(struct segment_header, sum), 0);
    must_ok(file_open(path, FILE_READ_WRITE, &file));
    must_ok(file_write_at(&file, &header, sizeof header, 0));
    file_close(&file);
}

static void features_of_later_versions_are_honoured(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    struct segment *segment = NULL;
    write_features((struct features){ .ignorable = 4 });
    assert_ok(open_it(&record, SEGMENT_APPEND, &segment));
    segment_release(&segment);
    write_features((struct features){ .read_only = 4 });
    assert_err(WG_EREADONLY, "0x4", open_it(&record, SEGMENT_APPEND, &segment));
    assert_ok(open_it(&record, SEGMENT_READ_ONLY, &segment));
    segment_release(&segment);
    write_features((struct features){ .refuse = 4 });
    does_not_open(WG_EVERSION, &params, &record);
}

/* The file under another segment's name. */
static void a_file_in_the_wrong_place_is_corrupt(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    char name[32], other[SCRATCH_PATH_SIZE + 40];
    struct segment_params as = params;
    as.number++;
    segment_name(as.space, as.number, name);
    snprintf(other, sizeof other, "%s/%s", folder, name);
    assert_int_equal(rename(path, other), 0);
    does_not_open(WG_ENOTFOUND, &params, &record);
    does_not_open(WG_ECORRUPT, &as, &record);
}

static void a_truncated_file_is_corrupt(void **state)
{
    (void)state;
    struct segment_record record = make_segment();
    struct segment_header header = header_now();
    const uint64_t sizes[] = { header.strings_offset + record.strings_size - 1,
                               header.strings_offset - 1,
                               header.ids_offset + 5,
                               header.ids_offset,
                               4096,
                               71,
                               0 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(truncate(path, (off_t)sizes[i]), 0);
        does_not_open(WG_ECORRUPT, &params, &record);
    }
    assert_int_equal(unlink(path), 0);
    does_not_open(WG_ENOTFOUND, &params, &record);
}

static void a_record_that_cannot_be_is_corrupt(void **state)
{
    (void)state;
    struct segment_record good = make_segment(), bad = good;
    bad.strings_size = UINT64_MAX;
    does_not_open(WG_ECORRUPT, &params, &bad);
    bad.strings_size = 1ull << 40;
    does_not_open(WG_ECORRUPT, &params, &bad);
}

/* What the segment gives back when it is sealed; rows are read as before. */
static void a_sealed_segment_holds_no_handle(void **state)
{
    (void)state;
    struct segment *segment = NULL;
    assert_ok(segment_create(folder, &params, &segment));
    assert_ok(append(segment, 0, ROWS));
    int fd = segment->file.fd;
    assert_true(fcntl(fd, F_GETFD) >= 0);
    segment_seal(segment);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    check_rows(segment, ROWS);
    segment_seal(segment);
    segment->doomed = true;
    segment_release(&segment); /* by its path */
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_doomed_file_goes_with_the_last_reference(void **state)
{
    (void)state;
    struct segment *segment = NULL, *second;
    assert_ok(segment_create(folder, &params, &segment));
    second = segment_retain(segment);
    segment->doomed = true;
    segment_release(&segment);
    assert_int_equal(access(path, F_OK), 0);
    assert_ok(append(second, 0, 3));
    segment_release(&second);
    assert_int_not_equal(access(path, F_OK), 0);
    segment_release(&second);
}

static void names_are_known(void **state)
{
    (void)state;
    char name[32];
    static const char *const others[] = { "", ".seg", "0-1.seg.old", "0-1", "0-1.sega", "tables" };
    segment_name(0, 0, name);
    assert_true(segment_is_name(name));
    segment_name(UINT16_MAX, UINT32_MAX, name);
    assert_true(strlen(name) < 32);
    assert_true(segment_is_name(name));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (segment_is_name(others[i])) fail_msg("%s is no segment's name", others[i]);
}

static void without_memory_no_file_is_left(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct segment *segment = NULL;
        mem_fail_at(++request);
        err = segment_create(folder, &params, &segment);
        if (err == WG_OK) err = append(segment, 0, ROWS);
        mem_fail_at(0);
        if (segment) segment->doomed = true;
        segment_release(&segment);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 2);
    struct segment_record record = make_segment();
    request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct segment *segment = NULL;
        mem_fail_at(++request);
        err = open_it(&record, SEGMENT_APPEND, &segment);
        mem_fail_at(0);
        segment_release(&segment);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 1);
}

static int make_folder(void **state)
{
    (void)state;
    char name[32];
    snprintf(folder, sizeof folder, "%s", scratch_create());
    segment_name(params.space, params.number, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    make_rows();
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_folder)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_appended_and_read),
        TEST(rows_go_on_after_opening),
        TEST(a_segment_can_be_filled),
        TEST(equal_rows_have_different_sums),
        TEST(rows_are_found_by_their_number),
        TEST(a_flipped_byte_is_found),
        TEST(an_id_that_is_none_is_corrupt),
        TEST(a_header_that_does_not_fit_is_corrupt),
        TEST(features_of_later_versions_are_honoured),
        TEST(a_file_in_the_wrong_place_is_corrupt),
        TEST(a_truncated_file_is_corrupt),
        TEST(a_record_that_cannot_be_is_corrupt),
        TEST(a_sealed_segment_holds_no_handle),
        TEST(a_doomed_file_goes_with_the_last_reference),
        TEST(names_are_known),
        TEST(without_memory_no_file_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
