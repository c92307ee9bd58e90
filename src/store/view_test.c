/* Views: rows of several segments by position, kept alive by whoever holds the view. */
#include "base/mem.h"
#include "store/view.h"
#include "support/check.h"
#include "support/inner_store.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 3, PER_SEGMENT = 50, SEGMENTS = 3, ROWS = PER_SEGMENT * SEGMENTS - 20, BASE = 65536 };
enum { PACKED = 1, DEAD = 77 }; /* a segment; a position */

static struct surroundings around;
static struct layout layout;
static struct bitmap live;
static char folder[SCRATCH_PATH_SIZE];
static float vectors[ROWS * DIM];

static uint64_t row_of(size_t position)
{
    size_t s = position / PER_SEGMENT, i = position % PER_SEGMENT;
    return BASE + s * 1000 + (s == PACKED ? 3 * i + 2 : i);
}

static void add_segment(size_t s)
{
    size_t count = s + 1 < SEGMENTS ? PER_SEGMENT : PER_SEGMENT - 20;
    struct segment *segment = NULL;
    uint32_t sums[PER_SEGMENT];
    wg_id ids[PER_SEGMENT];
    uint64_t numbers[PER_SEGMENT];
    struct segment_params params = {
        .first_row = BASE + s * 1000,
        .end_row = BASE + (s + 1) * 1000,
        .capacity = PER_SEGMENT,
        .number = (uint32_t)s,
        .dim = DIM,
        .packed = s == PACKED,
    };
    for (size_t i = 0; i < count; i++) {
        wg_id_from_number(1000 * s + i, &ids[i]);
        numbers[i] = row_of(s * PER_SEGMENT + i);
    }
    struct segment_rows rows = { vectors + s * PER_SEGMENT * DIM, ids, s == PACKED ? numbers : NULL,
                                 count };
    assert_ok(segment_create(folder, &params, &segment));
    assert_ok(segment_append(segment, &rows, sums));
    assert_ok(segment_flush(segment));
    assert_ok(layout_add(&layout, segment, count));
}

static int set_up(void **state)
{
    (void)state;
    surroundings_begin(&around);
    snprintf(folder, sizeof folder, "%s", scratch_create());
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = (float)i;
    for (size_t s = 0; s < SEGMENTS; s++) add_segment(s);
    assert_ok(bitmap_resize(&live, ROWS));
    assert_ok(bitmap_clear(&live, DEAD));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    layout_fini(&layout);
    bitmap_fini(&live);
    surroundings_end(&around);
    return 0;
}

static wg_err make_view(uint64_t point_count, struct view **out)
{
    struct view_params params = {
        .cpu = device_set_cpu(around.set),
        .dim = DIM,
        .commit = { .sequence = 9, .arrangement = 4, .point_count = point_count },
        .layout = &layout,
        .live = &live,
    };
    return view_create(&params, out);
}

static void check_view(const struct view *view)
{
    assert_int_equal(view->source.row_count, ROWS);
    assert_int_equal(view->source.moment, 9);
    assert_int_equal(view->source.origin, 4);
    assert_int_equal(view->commit.sequence, 9);
    for (size_t p = 0; p < ROWS; p++) {
        struct view_row row = { 0 };
        assert_ok(view_read(view, p, &row));
        assert_int_equal(row.id.type, WG_ID_NUMBER);
        assert_int_equal(row.id.as.number, 1000 * (p / PER_SEGMENT) + p % PER_SEGMENT);
        assert_memory_equal(row.vector, vectors + p * DIM, DIM * sizeof *vectors);
        assert_int_equal(layout_row(&view->layout, p), row_of(p));
        assert_int_equal(bitmap_get(&view->source.live, p), p != DEAD);
    }
}

static void rows_are_found_by_position(void **state)
{
    (void)state;
    struct view *view = NULL;
    assert_ok(make_view(ROWS - 1, &view));
    check_view(view);
    assert_true(view->source.masked);
    view_release(&view);
    assert_null(view);
    view_release(&view);
}

static void without_dead_rows_nothing_is_masked(void **state)
{
    (void)state;
    struct view *view = NULL;
    bitmap_fini(&live);
    assert_ok(bitmap_resize(&live, ROWS));
    assert_ok(make_view(ROWS, &view));
    assert_false(view->source.masked);
    view_release(&view);
}

static void a_view_keeps_what_it_shows(void **state)
{
    (void)state;
    struct view *view = NULL, *second;
    char name[32], path[SCRATCH_PATH_SIZE + 40];
    segment_name(0, 1, name);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(make_view(ROWS - 1, &view));
    assert_ok(bitmap_clear(&live, 5)); /* of a later view */
    for (size_t s = 0; s < SEGMENTS; s++) layout.placed[s].segment->doomed = true;
    layout_fini(&layout);
    second = view_retain(view);
    view_release(&view);
    check_view(second);
    assert_int_equal(access(path, F_OK), 0);
    view_release(&second);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* Whatever is damaged of a row, no value of it is given out. */
static void a_damaged_row_is_not_read(void **state)
{
    (void)state;
    enum { ROW = 7 };
    const struct segment *segment = layout.placed[PACKED].segment;
    const struct segment_header *header = &segment->header;
    const uint64_t places[] = {
        4096 + (ROW * DIM + 1) * sizeof(float),
        header->ids_offset + ROW * sizeof(struct id_slot),
        header->ids_offset + ROW * sizeof(struct id_slot) + 9,
        header->ids_offset + ROW * sizeof(struct id_slot) + offsetof(struct id_slot, sum),
        header->numbers_offset + ROW * sizeof(uint64_t),
    };
    struct view *view = NULL;
    assert_ok(make_view(ROWS - 1, &view));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct view_row row = { 0 };
        uint8_t right, wrong;
        assert_ok(file_read_at(&segment->file, &right, 1, places[i]));
        wrong = right ^ 1;
        assert_ok(file_write_at(&segment->file, &wrong, 1, places[i]));
        assert_err(WG_ECORRUPT, ".seg", view_read(view, PER_SEGMENT + ROW, &row));
        assert_null(row.vector);
        assert_ok(view_read(view, PER_SEGMENT + ROW + 1, &row));
        assert_ok(file_write_at(&segment->file, &right, 1, places[i]));
        assert_ok(view_read(view, PER_SEGMENT + ROW, &row));
    }
    view_release(&view);
}

static void without_memory_nothing_is_kept(void **state)
{
    (void)state;
    struct view *warm = NULL; /* what the CPU keeps from call to call */
    assert_ok(make_view(ROWS - 1, &warm));
    view_release(&warm);
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct view *view = NULL;
        mem_fail_at(++request);
        err = make_view(ROWS - 1, &view);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        view_release(&view);
        for (size_t s = 0; s < SEGMENTS; s++)
            assert_int_equal(layout.placed[s].segment->references, 1);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_found_by_position),     TEST(without_dead_rows_nothing_is_masked),
        TEST(a_view_keeps_what_it_shows),     TEST(a_damaged_row_is_not_read),
        TEST(without_memory_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
