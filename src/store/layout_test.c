/* Layouts of random segments against a plain list of row numbers: positions and rows both ways,
 * live bits both ways; and records that do not make a layout. */
#include "base/mem.h"
#include "store/layout.h"
#include "support/check.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 12, SEGMENTS = 7, ROWS_MAX = 3000, WORDS = BITMAP_CHUNK_WORDS };

static struct prng prng;
static const char *folder;
static uint32_t next_number;

/* The rows of a layout, in order, and which live. */
struct plain {
    uint64_t *rows;
    bool *live;
    uint64_t count;
};

static void fill(struct segment *segment, const uint64_t *numbers, size_t count)
{
    float *zeros = allocate(count, sizeof *zeros);
    wg_id *ids = allocate(count, sizeof *ids);
    uint32_t *sums = allocate(count, sizeof *sums);
    for (size_t i = 0; i < count; i++) wg_id_from_number(i, &ids[i]);
    struct segment_rows rows = { zeros, ids, numbers, count };
    must_ok(segment_append(segment, &rows, sums));
    must_ok(segment_flush(segment));
    free(zeros);
    free(ids);
    free(sums);
}

/* numbers: of a packed one's rows; end: the first number that a later segment may have. */
static struct segment *make_segment(uint64_t first, bool packed, const uint64_t *numbers,
                                    size_t count, uint64_t end)
{
    struct segment *segment = NULL;
    struct segment_params params = {
        .first_row = first,
        .capacity = count,
        .end_row = end,
        .number = next_number++,
        .dim = 1,
        .packed = packed,
    };
    must_ok(segment_create(folder, &params, &segment));
    fill(segment, packed ? numbers : NULL, count);
    return segment;
}

/* Adds a random segment behind row `from` to both; returns where it ends. A plain one may hold rows
 * that the layout does not count. */
static uint64_t add_random(struct layout *layout, struct plain *plain, uint64_t from)
{
    size_t count = 1 + test_below(&prng, test_below(&prng, 2) ? 80 : ROWS_MAX);
    bool packed = test_below(&prng, 2);
    uint64_t first = from + (test_below(&prng, 3) ? 0 : test_below(&prng, 70000));
    uint64_t numbers[ROWS_MAX], row = first + (packed ? test_below(&prng, 5) : 0);
    size_t gap = test_below(&prng, 2) ? 2 : 60;
    for (size_t i = 0; i < count; i++) {
        numbers[i] = row;
        row += 1 + (packed ? test_below(&prng, gap) : 0);
    }
    size_t counted = packed ? count : 1 + test_below(&prng, count);
    uint64_t end = packed ? row + test_below(&prng, 100) : numbers[counted - 1] + 1;
    must_ok(layout_add(layout, make_segment(first, packed, numbers, count, end), counted));
    memcpy(plain->rows + plain->count, numbers, counted * sizeof *numbers);
    plain->count += counted;
    return end;
}

static void make_random(struct layout *layout, struct plain *plain)
{
    uint64_t row = test_below(&prng, 2) ? 0 : 65536;
    size_t count = 1 + test_below(&prng, SEGMENTS);
    plain->rows = allocate(SEGMENTS * ROWS_MAX, sizeof *plain->rows);
    plain->live = allocate(SEGMENTS * ROWS_MAX, sizeof *plain->live);
    for (size_t i = 0; i < count; i++) row = add_random(layout, plain, row);
    size_t dead = 1 + test_below(&prng, 5);
    for (uint64_t i = 0; i < plain->count; i++) plain->live[i] = test_below(&prng, dead) == 0;
}

static void plain_fini(struct plain *plain)
{
    free(plain->rows);
    free(plain->live);
}

/* The first position whose row is not below row. */
static uint64_t lower(const struct plain *plain, uint64_t row)
{
    uint64_t low = 0, high = plain->count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (plain->rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void check_row(const struct layout *layout, const struct plain *plain, uint64_t row)
{
    uint64_t want = lower(plain, row), position = UINT64_MAX;
    bool there = want < plain->count && plain->rows[want] == row;
    if (layout_lower(layout, row) != want)
        fail_msg("row %" PRIu64 " is looked for at %" PRIu64 ", expected %" PRIu64, row,
                 layout_lower(layout, row), want);
    assert_int_equal(layout_find(layout, row, &position), there);
    if (there) assert_int_equal(position, want);
}

static void rows_and_positions_agree(void **state)
{
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct layout layout = { 0 };
        struct plain plain = { 0 };
        uint64_t begin = 0;
        make_random(&layout, &plain);
        assert_int_equal(layout_end(&layout), plain.count);
        for (uint64_t p = 0; p < plain.count; p++) {
            uint64_t i;
            const struct placed *placed = layout_at(&layout, p, &i);
            if (placed->position + placed->row_count == p + 1) begin++;
            assert_true(placed->position <= p && p < placed->position + placed->row_count);
            assert_int_equal(i, p - placed->position);
            assert_int_equal(layout_row(&layout, p), plain.rows[p]);
            check_row(&layout, &plain, plain.rows[p]);
        }
        assert_int_equal(begin, layout.count);
        for (size_t i = 0; i < 3000; i++)
            check_row(&layout, &plain, test_below(&prng, plain.rows[plain.count - 1] + 1000));
        check_row(&layout, &plain, 0);
        check_row(&layout, &plain, UINT64_MAX);
        layout_fini(&layout);
        plain_fini(&plain);
    }
}

static void an_empty_layout_has_no_rows(void **state)
{
    (void)state;
    struct layout layout = { 0 }, copy = { 0 };
    uint64_t position, words[WORDS];
    assert_int_equal(layout_end(&layout), 0);
    assert_int_equal(layout_lower(&layout, 7), 0);
    assert_false(layout_find(&layout, 0, &position));
    struct bitmap live = { 0 };
    layout_get_live(&layout, &live, 0, words);
    for (size_t i = 0; i < WORDS; i++) assert_int_equal(words[i], 0);
    assert_ok(layout_set_live(&layout, 0, words, &live));
    assert_ok(layout_copy(&layout, &copy));
    assert_int_equal(copy.count, 0);
    layout_fini(&copy);
    layout_fini(&layout);
}

static void bitmap_of(const struct plain *plain, struct bitmap *live)
{
    must_ok(bitmap_resize(live, plain->count));
    for (uint64_t p = 0; p < plain->count; p++)
        if (!plain->live[p]) must_ok(bitmap_clear(live, p));
}

/* A chunk's live rows, from the list. */
static void plain_words(const struct plain *plain, uint32_t chunk, uint64_t *words)
{
    uint64_t first = (uint64_t)chunk * BITMAP_CHUNK_BITS;
    memset(words, 0, WORDS * sizeof *words);
    for (uint64_t p = lower(plain, first); p < lower(plain, first + BITMAP_CHUNK_BITS); p++)
        if (plain->live[p])
            words[(plain->rows[p] - first) / 64] |= UINT64_C(1) << (plain->rows[p] - first) % 64;
}

static uint64_t dead_in(const struct plain *plain, const struct placed *placed)
{
    uint64_t dead = 0;
    for (uint64_t i = 0; i < placed->row_count; i++) dead += !plain->live[placed->position + i];
    return dead;
}

static void live_bits_go_by_number_and_by_position(void **state)
{
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct layout layout = { 0 };
        struct plain plain = { 0 };
        struct bitmap live = { 0 }, back = { 0 };
        make_random(&layout, &plain);
        bitmap_of(&plain, &live);
        assert_ok(bitmap_resize(&back, plain.count));
        uint64_t chunks = plain.rows[plain.count - 1] / BITMAP_CHUNK_BITS + 2;
        for (uint32_t chunk = 0; chunk < chunks; chunk++) {
            uint64_t words[WORDS], want[WORDS];
            memset(words, 0xAA, sizeof words);
            layout_get_live(&layout, &live, chunk, words);
            plain_words(&plain, chunk, want);
            for (size_t i = 0; i < WORDS; i++)
                if (words[i] != want[i])
                    fail_msg("word %zu of chunk %u is %016" PRIx64 ", expected %016" PRIx64, i,
                             chunk, words[i], want[i]);
            assert_ok(layout_set_live(&layout, chunk, words, &back));
        }
        for (uint64_t p = 0; p < plain.count; p++)
            assert_int_equal(bitmap_get(&back, p), plain.live[p]);
        for (size_t i = 0; i < layout.count; i++)
            assert_int_equal(layout.placed[i].dead_count, dead_in(&plain, &layout.placed[i]));
        bitmap_fini(&live);
        bitmap_fini(&back);
        layout_fini(&layout);
        plain_fini(&plain);
    }
}

static void a_live_row_without_a_position_is_corrupt(void **state)
{
    (void)state;
    struct layout layout = { 0 };
    struct bitmap live = { 0 };
    static const uint64_t numbers[] = { 10, 11, 20, 70000 };
    uint64_t words[WORDS] = { 0 };
    assert_ok(layout_add(&layout, make_segment(5, true, numbers, 4, 80000), 4));
    assert_ok(bitmap_resize(&live, 4));
    words[0] = UINT64_C(1) << 10 | UINT64_C(1) << 20;
    assert_ok(layout_set_live(&layout, 0, words, &live));
    assert_true(bitmap_get(&live, 0) && !bitmap_get(&live, 1) && bitmap_get(&live, 2));
    static const size_t nowhere[] = { 0, 9, 12, 19, 21, 65535 };
    for (size_t i = 0; i < 6; i++) {
        uint64_t bit = UINT64_C(1) << nowhere[i] % 64;
        words[nowhere[i] / 64] |= bit;
        assert_err(WG_ECORRUPT, "chunk 0", layout_set_live(&layout, 0, words, &live));
        words[nowhere[i] / 64] &= ~bit;
    }
    bitmap_fini(&live);
    layout_fini(&layout);
}

static void live_bits_are_moved(void **state)
{
    (void)state;
    enum { BITS = 140000 };
    static bool dead[BITS];
    for (size_t round = 0; round < 40; round++) {
        struct bitmap from = { 0 }, to = { 0 };
        uint64_t count = test_below(&prng, round % 2 ? 300 : 70000), at = test_below(&prng, 70000);
        struct live_range range = { &from, test_below(&prng, 70000), count };
        size_t sparse = 1 + test_below(&prng, 200);
        assert_ok(bitmap_resize(&from, BITS));
        assert_ok(bitmap_resize(&to, at));
        for (size_t i = 0; i < BITS; i++) {
            dead[i] = test_below(&prng, sparse) == 0;
            if (dead[i]) assert_ok(bitmap_clear(&from, i));
        }
        if (at > 0) assert_ok(bitmap_clear(&to, at - 1));
        assert_ok(layout_copy_live(&range, &to, at));
        for (uint64_t i = 0; i < count; i++)
            if (bitmap_get(&to, at + i) == dead[range.from + i])
                fail_msg("bit %" PRIu64 " of %" PRIu64 " moved to %" PRIu64, i, count, at);
        for (uint64_t i = 0; i < at; i++) assert_int_equal(bitmap_get(&to, i), i != at - 1);
        assert_true(bitmap_get(&to, at + count)); /* nothing behind it was touched */
        bitmap_fini(&from);
        bitmap_fini(&to);
    }
}

static void a_copy_holds_the_segments(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct layout layout = { 0 }, copy = { 0 };
    static const uint64_t numbers[] = { 1, 5 };
    struct segment *segment = make_segment(0, true, numbers, 2, 9);
    assert_ok(layout_add(&layout, segment_retain(segment), 2));
    layout.placed[0].dead_count = 1;
    assert_ok(layout_copy(&layout, &copy));
    assert_int_equal(segment->references, 3);
    layout_fini(&layout);
    assert_int_equal(layout_row(&copy, 1), 5);
    assert_int_equal(copy.placed[0].dead_count, 1);
    layout_fini(&copy);
    assert_int_equal(segment->references, 1);
    mem_fail_at(1);
    assert_err(WG_ENOMEM, "", layout_add(&layout, segment, 2)); /* taken over even so */
    mem_fail_at(0);
    assert_int_equal(mem_in_use(), before);
}

/* --- from the tables' records --- */

static struct commit_record commit;

static wg_err load(struct layout *layout, const struct layout *before, uint64_t first_row,
                   const struct segment_record *record)
{
    struct layout_source source = {
        .folder = folder, .commit = &commit, .dim = 1, .before = before
    };
    struct row_key key = row_key_of(0, first_row);
    return layout_load(layout, &source, KEY_BYTES(key), (struct bytes){ record, sizeof *record });
}

/* A plain segment of rows 0 to 10, a packed one of three from 20 to 40, a plain one from 40 on. */
static void make_three(struct segment_record records[3])
{
    static const uint64_t numbers[] = { 22, 23, 38 };
    struct segment *made[3] = {
        make_segment(0, false, NULL, 10, 10),
        make_segment(20, true, numbers, 3, 40),
        make_segment(40, false, NULL, 5, 45),
    };
    static const uint64_t ends[] = { 10, 40, 45 };
    for (size_t i = 0; i < 3; i++) {
        records[i] = (struct segment_record){
            .end_row = ends[i],
            .row_count = made[i]->row_count,
            .capacity = made[i]->header.capacity,
            .number = made[i]->header.number,
            .packed = i == 1,
        };
        segment_release(&made[i]);
    }
    commit = (struct commit_record){ .row_end = 45, .next_segment = next_number };
}

static void segments_are_opened_from_records(void **state)
{
    (void)state;
    static const uint64_t firsts[] = { 0, 20, 40 };
    size_t in_use = mem_in_use();
    struct segment_record records[3];
    struct layout layout = { 0 }, again = { 0 };
    make_three(records);
    for (size_t i = 0; i < 3; i++) assert_ok(load(&layout, NULL, firsts[i], &records[i]));
    assert_int_equal(layout_end(&layout), 18);
    assert_int_equal(layout_row(&layout, 9), 9);
    assert_int_equal(layout_row(&layout, 12), 38);
    assert_int_equal(layout_row(&layout, 17), 44);
    for (size_t i = 0; i < 3; i++) assert_ok(load(&again, &layout, firsts[i], &records[i]));
    for (size_t i = 0; i < 3; i++) { /* the same ones are used again */
        assert_ptr_equal(again.placed[i].segment, layout.placed[i].segment);
        assert_int_equal(layout.placed[i].segment->references, 2);
    }
    layout_fini(&again);
    layout_fini(&layout);
    assert_int_equal(mem_in_use(), in_use);
}

static void records_that_do_not_follow_are_corrupt(void **state)
{
    (void)state;
    struct segment_record records[3];
    make_three(records);
    for (int what = 0; what < 11; what++) {
        struct layout layout = { 0 };
        struct segment_record wrong = records[1];
        uint64_t first = 20;
        assert_ok(load(&layout, NULL, 0, &records[0]));
        if (what == 0) first = 9; /* into the one before */
        if (what == 1) first = 41, wrong = records[2]; /* its file begins elsewhere */
        if (what == 2) wrong.end_row = 46; /* behind the last row */
        if (what == 3) wrong.end_row = 19;
        if (what == 4) wrong.row_count = 21; /* more than it spans */
        if (what == 5) wrong.row_count = 4; /* more than its room */
        if (what == 6) wrong.capacity = SEGMENT_ROWS_MAX + 1;
        if (what == 7) wrong.number = commit.next_segment;
        if (what == 8) wrong.packed = 0;
        if (what == 9) wrong.end_row = 38; /* its last row is that one */
        if (what == 10) first = 0, wrong = records[0]; /* twice */
        if (load(&layout, NULL, first, &wrong) != WG_ECORRUPT)
            fail_msg("record %d is taken: %s", what, wg_message());
        assert_int_equal(layout.count, 1);
        layout_fini(&layout);
    }
    struct layout layout = { 0 };
    struct layout_source source = { .folder = folder, .commit = &commit, .dim = 1 };
    struct row_key key = row_key_of(0, 0);
    assert_err(WG_ECORRUPT, "",
               layout_load(&layout, &source, (struct bytes){ key.bytes, 9 },
                           (struct bytes){ records, sizeof *records }));
    assert_err(WG_ECORRUPT, "",
               layout_load(&layout, &source, KEY_BYTES(key),
                           (struct bytes){ records, sizeof *records - 1 }));
    records[0].number = 99; /* no such file */
    commit.next_segment = 100;
    assert_err(WG_ENOTFOUND, "0-99.seg", load(&layout, NULL, 0, &records[0]));
    layout_fini(&layout);
}

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_create();
    next_number = 0;
    return 0;
}

int main(void)
{
    prng.state = test_seed();
#define TEST(name) cmocka_unit_test_setup(name, make_folder)
    const struct CMUnitTest tests[] = {
        TEST(rows_and_positions_agree),
        TEST(an_empty_layout_has_no_rows),
        TEST(live_bits_go_by_number_and_by_position),
        TEST(a_live_row_without_a_position_is_corrupt),
        TEST(live_bits_are_moved),
        TEST(a_copy_holds_the_segments),
        TEST(segments_are_opened_from_records),
        TEST(records_that_do_not_follow_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
