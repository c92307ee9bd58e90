/* Views: rows of several segments by position, kept alive by whoever holds the view. */
#include "base/mem.h"
#include "store/view.h"
#include "support/check.h"
#include "support/fake_backend.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 3, PER_SEGMENT = 50, SEGMENTS = 3, ROWS = PER_SEGMENT * SEGMENTS - 20, BASE = 65536 };

struct fixture {
    struct pool *pool;
    struct background *background;
    struct kernels kernels;
    struct device_set *set;
    struct segment *segments[SEGMENTS];
    struct bitmap live;
    char folder[SCRATCH_PATH_SIZE];
    size_t in_use;
};

static float vectors[ROWS * DIM];

static void make_segments(struct fixture *f)
{
    uint32_t sums[PER_SEGMENT];
    for (size_t s = 0; s < SEGMENTS; s++) {
        struct segment_params params = { .first_row = BASE + s * PER_SEGMENT,
                                         .capacity = PER_SEGMENT,
                                         .number = (uint32_t)s,
                                         .dim = DIM };
        size_t count = s + 1 < SEGMENTS ? PER_SEGMENT : PER_SEGMENT - 20;
        wg_id ids[PER_SEGMENT];
        for (size_t i = 0; i < count; i++)
            ids[i] = (wg_id){ .type = WG_ID_NUMBER, .as.number = 1000 * s + i };
        struct segment_rows rows = { vectors + s * PER_SEGMENT * DIM, ids, count };
        assert_ok(segment_create(f->folder, &params, &f->segments[s]));
        assert_ok(segment_append(f->segments[s], &rows, sums));
    }
}

static int set_up(void **state)
{
    static struct fixture f;
    static const struct backend *const cpu_only[] = { &backend_cpu, NULL };
    f = (struct fixture){ .in_use = mem_in_use() };
    snprintf(f.folder, sizeof f.folder, "%s", scratch_create());
    kernels_init(&f.kernels, CPU_C);
    assert_ok(pool_create(1, &f.pool));
    assert_ok(background_create(&f.background));
    struct device_set_params params = { .backends = cpu_only,
                                        .host = { f.pool, &f.kernels, "c" },
                                        .fallback_to_cpu = true,
                                        .background = f.background };
    assert_ok(device_set_create(&params, &f.set));
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = (float)i;
    make_segments(&f);
    assert_ok(bitmap_resize(&f.live, ROWS));
    assert_ok(bitmap_clear(&f.live, 77));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t s = 0; s < SEGMENTS; s++) segment_release(&f->segments[s]);
    bitmap_fini(&f->live);
    device_set_destroy(&f->set);
    background_destroy(&f->background);
    pool_destroy(&f->pool);
    assert_int_equal(mem_in_use(), f->in_use);
    return 0;
}

static wg_err make_view(struct fixture *f, struct view **out)
{
    struct view_params params = {
        .cpu = device_set_cpu(f->set),
        .dim = DIM,
        .commit = { .sequence = 9, .row_base = BASE, .row_end = BASE + ROWS },
        .segments = f->segments,
        .segment_count = SEGMENTS,
        .live = &f->live,
    };
    return view_create(&params, out);
}

static void check_view(const struct view *view)
{
    assert_int_equal(view->source.row_count, ROWS);
    assert_int_equal(view->commit.sequence, 9);
    for (size_t p = 0; p < ROWS; p++) {
        wg_id id = view_id(view, p);
        assert_int_equal(id.type, WG_ID_NUMBER);
        assert_int_equal(id.as.number, 1000 * (p / PER_SEGMENT) + p % PER_SEGMENT);
        assert_memory_equal(view_vector(view, p), vectors + p * DIM, DIM * sizeof *vectors);
        assert_int_equal(bitmap_get(&view->source.live, p), p != 77);
    }
}

static void rows_are_found_by_position(void **state)
{
    struct fixture *f = *state;
    struct view *view = NULL;
    assert_ok(make_view(f, &view));
    check_view(view);
    view_release(&view);
    assert_null(view);
    view_release(&view);
}

static void a_view_keeps_what_it_shows(void **state)
{
    struct fixture *f = *state;
    struct view *view = NULL, *second;
    char name[32], path[SCRATCH_PATH_SIZE + 40];
    segment_name(0, 1, name);
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    assert_ok(make_view(f, &view));
    assert_ok(bitmap_clear(&f->live, 5)); /* of a later view */
    for (size_t s = 0; s < SEGMENTS; s++) {
        f->segments[s]->doomed = true;
        segment_release(&f->segments[s]);
    }
    second = view_retain(view);
    view_release(&view);
    check_view(second);
    assert_int_equal(access(path, F_OK), 0);
    view_release(&second);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void without_memory_nothing_is_kept(void **state)
{
    struct fixture *f = *state;
    struct view *warm = NULL; /* what the CPU keeps from call to call */
    assert_ok(make_view(f, &warm));
    view_release(&warm);
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct view *view = NULL;
        mem_fail_at(++request);
        err = make_view(f, &view);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        view_release(&view);
        for (size_t s = 0; s < SEGMENTS; s++) assert_int_equal(f->segments[s]->references, 1);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_found_by_position),
        TEST(a_view_keeps_what_it_shows),
        TEST(without_memory_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
