/* A commit step by step: what one leaves that is aborted, or runs out of memory: nothing. */
#include "base/mem.h"
#include "store/commit.h"
#include "store/write.h"
#include "support/check.h"
#include "support/inner_store.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 32 KiB a row: POINTS do not fit into the first segment. */
enum { DIM = 8192, POINTS = 120 };

static struct surroundings around;
static char folder[SCRATCH_PATH_SIZE];
static float rounds[POINTS];

static int set_up(void **state)
{
    (void)state;
    surroundings_begin(&around);
    snprintf(folder, sizeof folder, "%s/c", scratch_create());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    surroundings_end(&around);
    return 0;
}

/* The collection holds points 0 to count, all of this round. */
static void check_points(struct collection *c, size_t count, float round)
{
    for (size_t i = 0; i < count; i++) rounds[i] = round;
    inner_check(c, rounds, count);
}

static void finish(struct collection **c)
{
    collection_close(c);
    assert_int_equal(inner_problems(folder), 0);
}

static void count_segment(void *user, const char *path, size_t size)
{
    (void)size;
    *(size_t *)user += strcmp(path + strlen(path) - 4, ".seg") == 0;
}

static size_t count_files(void)
{
    size_t count = 0;
    scratch_each_file(folder, count_segment, &count);
    return count;
}

static void an_upsert_spans_segments(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 1000);
    assert_ok(inner_upsert(c, 0, 10, 1)); /* each fills the last segment and begins another */
    assert_ok(inner_upsert(c, 0, 40, 2));
    assert_ok(inner_upsert(c, 0, POINTS, 3));
    struct view *view = collection_view(c);
    assert_int_equal(view->layout.count, 3);
    assert_int_equal(view->source.row_count, 10 + 40 + POINTS);
    assert_int_equal(view->commit.sequence, 3);
    view_release(&view);
    check_points(c, POINTS, 3);
    finish(&c);
    c = inner_open(&around, folder, COLLECTION_WRITE);
    check_points(c, POINTS, 3);
    finish(&c);
}

static void a_view_is_not_changed_by_writes(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 1000);
    assert_ok(inner_upsert(c, 0, 20, 1));
    struct view *view = collection_view(c);
    assert_ok(inner_upsert(c, 0, 10, 2));
    assert_ok(inner_delete(c, 0, 10));
    assert_ok(collection_clear(c));
    assert_int_equal(view->commit.point_count, 20);
    for (uint64_t p = 0; p < 20; p++) {
        struct view_row row;
        assert_ok(view_read(view, p, &row));
        assert_int_equal(row.id.as.number, p);
        assert_true(((const float *)row.vector)[0] == 1);
    }
    view_release(&view);
    inner_check(c, NULL, 0);
    finish(&c);
}

/* Rows that nobody asked for, as they are appended within a commit. */
static struct segment_rows make_rows(size_t count)
{
    static float *vectors;
    static wg_id ids[POINTS];
    if (!vectors) vectors = allocate((size_t)POINTS * DIM, sizeof *vectors);
    for (size_t i = 0; i < POINTS; i++) wg_id_from_number(500 + i, &ids[i]);
    return (struct segment_rows){ .vectors = vectors, .ids = ids, .count = count };
}

enum step { APPEND_FEW, APPEND_MANY, CLEAR, STEPS };

static void begin_and_abort(struct collection *c, enum step step)
{
    struct commit commit;
    uint32_t sums[POINTS];
    struct segment_rows rows = make_rows(step == APPEND_FEW ? 5 : POINTS);
    uint64_t before = c->current->commit.sequence;
    mutex_lock(&c->writer);
    assert_ok(commit_begin(c, &commit));
    commit_begin_batch(&commit);
    assert_int_equal(commit_version(&commit), before + 1);
    if (step != CLEAR) assert_ok(commit_append(&commit, &rows, sums));
    if (step != CLEAR) assert_ok(commit_kill(&commit, 3));
    if (step == CLEAR) assert_ok(commit_clear(&commit));
    assert_ok(commit_end_batch(&commit, step == CLEAR ? CHANGE_CLEAR : CHANGE_UPSERT));
    commit_abort(&commit);
    commit_abort(&commit);
    mutex_unlock(&c->writer);
}

static void an_aborted_commit_leaves_nothing(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 1000);
    assert_ok(inner_upsert(c, 0, 10, 1));
    for (size_t step = 0; step < STEPS; step++) {
        begin_and_abort(c, (enum step)step);
        struct view *view = collection_view(c);
        assert_int_equal(view->commit.sequence, 1 + step);
        assert_int_equal(view->source.row_count, 10 + step);
        assert_false(view->source.masked); /* no row is dead */
        view_release(&view);
        check_points(c, 10 + step, 1);
        assert_ok(inner_upsert(c, 10 + step, 1, 1)); /* over what it left in the open segment */
        check_points(c, 11 + step, 1);
    }
    assert_int_equal(count_files(), 1); /* the files of the aborted are gone */
    assert_ok(inner_upsert(c, 13, 87, 1));
    check_points(c, 100, 1);
    finish(&c);
}

/* A batch without changes takes no sequence, and its commit none either. */
static void nothing_changed_is_no_write(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, 3, 1000);
    assert_ok(inner_upsert(c, 0, 5, 1));
    uint64_t moment = db_moment(c->db);
    assert_ok(inner_delete(c, 50, 10));
    assert_ok(inner_upsert(c, 0, 0, 1));
    assert_int_equal(c->current->commit.sequence, 1);
    assert_int_equal(db_moment(c->db), moment);
    assert_ok(inner_delete(c, 4, 10));
    assert_int_equal(c->current->commit.sequence, 2);
    finish(&c);
}

/* --- a segment in the place of others --- */

/* A packed segment of the live ones of the view's rows. */
static struct segment *pack(struct collection *c, uint32_t *sums)
{
    struct view *view = collection_view(c);
    struct segment *packed = NULL;
    struct segment_params params = {
        .end_row = view->commit.row_end,
        .capacity = view->commit.point_count,
        .number = collection_next_segment(c),
        .dim = c->space.dim,
        .packed = true,
    };
    must_ok(segment_create(folder, &params, &packed));
    for (uint64_t p = 0; p < view->source.row_count; p++) {
        struct view_row found;
        uint64_t number = layout_row(&view->layout, p);
        if (!bitmap_get(&view->source.live, p)) continue;
        must_ok(view_read(view, p, &found));
        struct segment_rows row = { found.vector, &found.id, &number, 1 };
        must_ok(segment_append(packed, &row, sums + packed->row_count));
        must_ok(segment_flush(packed));
    }
    view_release(&view);
    return packed;
}

/* A commit that is tried again, for the map was full: its segment must not go with the first try.
 * */
static void a_swap_can_be_tried_again(void **state)
{
    (void)state;
    uint32_t sums[POINTS];
    float left[20];
    struct commit commit;
    struct collection *c = inner_create(&around, folder, 3, 0);
    assert_ok(inner_upsert(c, 0, 20, 1));
    assert_ok(inner_delete(c, 5, 10));
    struct segment *packed = pack(c, sums);
    struct swap swap = { 0, 1, packed, sums };
    mutex_lock(&c->writer);
    for (int again = 0; again < 2; again++) {
        assert_ok(commit_begin(c, &commit));
        assert_ok(commit_swap(&commit, &swap));
        if (!again) commit_abort(&commit);
    }
    assert_ok(commit_finish(&commit));
    mutex_unlock(&c->writer);
    segment_release(&packed);
    for (size_t i = 0; i < 20; i++) left[i] = i < 5 || i >= 15 ? 1 : -1;
    inner_check(c, left, 20);
    assert_int_equal(count_files(), 1);
    finish(&c);
    assert_int_equal(count_files(), 1);
    c = inner_open(&around, folder, COLLECTION_WRITE);
    inner_check(c, left, 20);
    finish(&c);
}

/* --- failures --- */

/* After each failure the collection is as before. */
static void every_allocation_of_a_write_can_fail(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 1000);
    size_t request = 0, failed = 0;
    assert_ok(inner_upsert(c, 0, POINTS / 2, 1));
    size_t in_use = mem_in_use();
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = inner_upsert(c, 0, POINTS, 2);
        mem_fail_at(0);
        if (err == WG_OK) break;
        assert_int_equal(err, WG_ENOMEM);
        assert_int_equal(mem_in_use(), in_use);
        check_points(c, POINTS / 2, 1);
        failed++;
    }
    assert_true(failed > 10);
    check_points(c, POINTS, 2);
    finish(&c);
    print_message("an upsert over several segments failed at each of %zu allocations\n", failed);
}

static wg_err write_otherwise(struct collection *c, int what)
{
    wg_id ids[10];
    struct write_result result;
    for (uint64_t i = 0; i < 10; i++) wg_id_from_number(i, &ids[i]);
    struct selection selection = {
        .change = POINT_MERGE_PAYLOAD, .count = 10, .ids = ids, .payload = "{\"a\":1}"
    };
    return what == 0   ? inner_delete(c, 0, 10)
           : what == 1 ? collection_change(c, &selection, &result)
                       : collection_clear(c);
}

static void every_allocation_of_other_writes_can_fail(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, 3, 1000);
    for (int what = 0; what < 3; what++) {
        assert_ok(inner_upsert(c, 0, 20, (float)what));
        for (uint64_t request = 1;; request++) {
            mem_fail_at(request);
            wg_err err = write_otherwise(c, what);
            mem_fail_at(0);
            if (err == WG_OK) break;
            assert_int_equal(err, WG_ENOMEM);
            check_points(c, 20, (float)what);
        }
    }
    inner_check(c, NULL, 0);
    finish(&c);
}

static void every_allocation_of_opening_can_fail(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, 3, 1000);
    struct collection_place place = { .name = "c", .folder = folder };
    assert_ok(inner_upsert(c, 0, 20, 1));
    assert_ok(inner_delete(c, 10, 10));
    finish(&c);
    size_t in_use = mem_in_use(), request = 0;
    for (int mode = COLLECTION_WRITE; mode <= COLLECTION_READ; mode++) {
        place.mode = (enum collection_mode)mode;
        for (wg_err err = WG_ENOMEM; err != WG_OK;) {
            mem_fail_at(++request);
            err = collection_open(&around.host, &place, &c);
            mem_fail_at(0);
            assert_true(err == WG_OK || err == WG_ENOMEM);
            if (err != WG_OK) assert_int_equal(mem_in_use(), in_use);
        }
        assert_true(request > 10);
        check_points(c, 10, 1);
        collection_close(&c);
        request = 0;
    }
}

static void a_broken_collection_is_read_only(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, 3, 1000);
    assert_ok(inner_upsert(c, 0, 5, 1));
    c->broken = true; /* as a failed sync leaves it */
    assert_err(WG_EREADONLY, "sync", inner_upsert(c, 0, 5, 2));
    assert_err(WG_EREADONLY, "sync", inner_delete(c, 0, 5));
    assert_err(WG_EREADONLY, "sync", collection_clear(c));
    check_points(c, 5, 1);
    finish(&c);
    c = inner_open(&around, folder, COLLECTION_WRITE);
    assert_ok(inner_upsert(c, 0, 5, 2)); /* until it is opened again */
    check_points(c, 5, 2);
    finish(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_upsert_spans_segments),
        TEST(a_view_is_not_changed_by_writes),
        TEST(an_aborted_commit_leaves_nothing),
        TEST(nothing_changed_is_no_write),
        TEST(a_swap_can_be_tried_again),
        TEST(every_allocation_of_a_write_can_fail),
        TEST(every_allocation_of_other_writes_can_fail),
        TEST(every_allocation_of_opening_can_fail),
        TEST(a_broken_collection_is_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
