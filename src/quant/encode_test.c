/* Codes of rows: what is covered, that steps do not matter, that what stands beside the codes
 * holds, and what becomes of data that no scale suits. */
#include "quant/encode.h"

#include "base/mem.h"
#include "support/check.h"
#include "support/data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROWS_MAX = 5000, VALUES_MAX = ROWS_MAX * 24 };

static struct kernels c;
static struct prng prng;

struct fixture {
    float *rows;
    struct encode_params params;
    struct codes *codes;
    size_t in_use;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .rows = allocate(VALUES_MAX, sizeof *f.rows), .in_use = mem_in_use() };
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    codes_destroy(&f->codes);
    free(f->rows);
    assert_int_equal(mem_in_use(), f->in_use);
    return 0;
}

/* Params for row_count rows of dim and no room for more; the rows are the caller's to fill. */
static void choose(struct fixture *f, enum metric metric, size_t row_count, size_t dim)
{
    assert_true(row_count * dim <= VALUES_MAX);
    f->params = (struct encode_params){
        .kernels = &c,
        .metric = metric,
        .dim = dim,
        .rows = f->rows,
        .row_count = row_count,
        .capacity = row_count,
    };
}

static void create(struct fixture *f)
{
    codes_destroy(&f->codes);
    assert_ok(codes_create(&f->params, &f->codes));
    assert_int_equal(f->codes->row_count, 0);
}

static void cover(struct fixture *f, uint64_t row_end)
{
    codes_cover(f->codes, f->params.kernels, f->rows, row_end);
}

static void fill_constant(struct fixture *f, float value)
{
    for (size_t i = 0; i < f->params.row_count * f->params.dim; i++) f->rows[i] = value;
}

static int code_of(const struct codes *codes, uint64_t row, size_t i)
{
    const uint8_t *panel = codes->panels + row / PANEL_ROWS * code_panel_size(codes->dim);
    return panel[(i / CODE_STEP * PANEL_ROWS + row % PANEL_ROWS) * CODE_STEP + i % CODE_STEP] - 128;
}

static void assert_same_codes(const struct codes *a, const struct codes *b)
{
    uint64_t rows = a->row_count, panels = rows / PANEL_ROWS;
    assert_int_equal(rows, b->row_count);
    assert_memory_equal(a->centre, b->centre, a->dim * sizeof *a->centre);
    assert_memory_equal(&a->scale, &b->scale, sizeof a->scale);
    assert_memory_equal(a->panels, b->panels, panels * code_panel_size(a->dim));
    assert_memory_equal(a->offsets, b->offsets, rows * sizeof *a->offsets);
    assert_memory_equal(a->errors, b->errors, panels * sizeof *a->errors);
    assert_memory_equal(a->norms, b->norms, panels * sizeof *a->norms);
}

/* --- what is covered --- */

/* Rows from the end on are not looked at: they are not there yet. */
static void only_whole_panels_are_covered(void **state)
{
    struct fixture *f = *state;
    static const uint64_t ends[] = { 0, 1, 31, 32, 33, 63, 64, 95, 97, 300, 50 };
    static const uint64_t covered[] = { 0, 0, 0, 32, 32, 32, 64, 64, 96, 288, 288 };
    choose(f, METRIC_L2, 300, 5);
    data_fill(&prng, DATA_UNIT, 300, 5, f->rows);
    create(f);
    assert_int_equal(f->codes->metric, METRIC_L2);
    assert_int_equal(f->codes->dim, 5);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        float *rows = allocate(ends[i] * 5, sizeof *rows); /* just these, for the sanitizer */
        memcpy(rows, f->rows, ends[i] * 5 * sizeof *rows);
        codes_cover(f->codes, &c, rows, ends[i]);
        free(rows);
        assert_int_equal(f->codes->row_count, covered[i]);
    }
}

static void no_more_than_the_capacity_is_covered(void **state)
{
    struct fixture *f = *state;
    for (uint64_t capacity = 100; capacity <= 160; capacity++) {
        choose(f, METRIC_DOT, 100, 3);
        f->params.capacity = capacity;
        data_fill(&prng, DATA_UNIT, 500, 3, f->rows);
        create(f);
        cover(f, 500);
        assert_int_equal(f->codes->row_count, capacity / PANEL_ROWS * PANEL_ROWS);
    }
}

static void steps_give_the_same_as_at_once(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 60; i++) {
        size_t dim = 1 + i % 24, count = 32 + test_below(&prng, 1000);
        choose(f, i % 2 ? METRIC_L2 : METRIC_DOT, count, dim);
        data_fill(&prng, (enum data_kind)(i % DATA_KIND_COUNT), count, dim, f->rows);
        create(f);
        for (size_t end = 0; end < count; end += 1 + test_below(&prng, 200)) cover(f, end);
        cover(f, count);
        struct codes *stepwise = f->codes;
        f->codes = NULL;
        create(f);
        cover(f, count);
        assert_same_codes(stepwise, f->codes);
        codes_destroy(&stepwise);
    }
}

static void by_many_threads_is_the_same(void **state)
{
    struct fixture *f = *state;
    struct pool *pool = NULL;
    struct stop never = { 0 };
    assert_ok(pool_create(3, &pool));
    for (size_t i = 0; i < 40; i++) {
        size_t count = i < 36 ? 32 + test_below(&prng, 300) : 5000;
        choose(f, i % 2 ? METRIC_L2 : METRIC_DOT, count, 1 + test_below(&prng, 24));
        data_fill(&prng, (enum data_kind)(i % DATA_KIND_COUNT), count, f->params.dim, f->rows);
        create(f);
        cover(f, count);
        struct codes *want = f->codes;
        f->codes = NULL;
        assert_ok(codes_create_whole(&f->params, &(struct encode_all){ pool, &never, i % 3 == 0 },
                                     &f->codes));
        assert_same_codes(want, f->codes);
        assert_true(codes_bytes(want) == codes_bytes(f->codes));
        assert_true(codes_bytes(want) > want->row_count * f->params.dim);
        codes_destroy(&want);
    }
    pool_destroy(&pool);
}

/* What is in rows that belong to no whole panel is for others to check. */
static void refused_components_are_found_on_the_way(void **state)
{
    struct fixture *f = *state;
    static const float refused[] = { NAN, INFINITY, -INFINITY, 1.1e15f };
    struct pool *pool = NULL;
    struct stop never = { 0 }, over = { .deadline_ns = 1 };
    assert_ok(pool_create(2, &pool));
    for (size_t i = 0; i < 64; i++) {
        choose(f, i % 2 ? METRIC_L2 : METRIC_DOT, 3000, 5);
        data_fill(&prng, DATA_UNIT, 3000, 5, f->rows);
        f->rows[test_below(&prng, 3000 / PANEL_ROWS * PANEL_ROWS * 5)] = refused[i % 4];
        struct encode_all all = { pool, &never, true };
        assert_err(WG_EINVAL, "refused", codes_create_whole(&f->params, &all, &f->codes));
        all = (struct encode_all){ pool, &over, false };
        assert_err(WG_ETIMEOUT, "ended", codes_create_whole(&f->params, &all, &f->codes));
        assert_null(f->codes);
    }
    pool_destroy(&pool);
}

/* What is coded already is not touched again, and does not depend on what came after it. */
static void later_rows_change_nothing_that_is_coded(void **state)
{
    struct fixture *f = *state;
    choose(f, METRIC_L2, 320, 7);
    data_fill(&prng, DATA_UNIT, 320, 7, f->rows);
    create(f);
    cover(f, 160);
    size_t size = 5 * code_panel_size(7);
    uint8_t *before = allocate(size, 1);
    memcpy(before, f->codes->panels, size);
    for (size_t i = 0; i < 160 * 7; i++) f->rows[i] = 1e15f;
    cover(f, 320);
    assert_memory_equal(before, f->codes->panels, size);
    assert_int_equal(f->codes->row_count, 320);
    free(before);
}

/* --- what is known of each row --- */

struct exact {
    long double error, code, value; /* squared norms */
};

static struct exact exact_of(const struct fixture *f, uint64_t row)
{
    const struct codes *codes = f->codes;
    struct exact e = { 0 };
    for (size_t i = 0; i < codes->dim; i++) {
        long double x = (long double)f->rows[row * codes->dim + i] - (long double)codes->centre[i];
        long double code = (long double)codes->scale * (long double)code_of(codes, row, i);
        e.error += (x - code) * (x - code), e.code += code * code, e.value += x * x;
    }
    return e;
}

static void check_row(const struct fixture *f, uint64_t row)
{
    const struct codes *codes = f->codes;
    struct exact e = exact_of(f, row);
    long double error = (long double)codes->errors[row / PANEL_ROWS];
    long double norm = (long double)codes->norms[row / PANEL_ROWS];
    long double offset = (long double)codes->offsets[row];
    long double least = (long double)codes->dim * 0x1p-149L; /* what underflows in sums */
    assert_true(error * error >= e.error);
    assert_true(norm * norm >= e.code);
    if (codes->metric == METRIC_L2)
        assert_true(offset <= e.value + least && offset >= e.value * 0.999L - 2 * least);
    else
        assert_true(offset * offset >= e.error && offset < 0 && offset >= -error * 1.001L);
    for (size_t i = codes->dim; i < code_step_count(codes->dim) * CODE_STEP; i++)
        assert_int_equal(code_of(codes, row, i), 0);
}

/* That of a panel is that of one of its rows, nearly. */
static void check_panel(const struct fixture *f, uint64_t panel)
{
    struct exact largest = { 0 };
    for (uint64_t r = panel * PANEL_ROWS; r < (panel + 1) * PANEL_ROWS; r++) {
        struct exact e = exact_of(f, r);
        largest.error = fmaxl(largest.error, e.error);
        largest.value = fmaxl(largest.value, e.value);
    }
    long double error = (long double)f->codes->errors[panel];
    long double norm = (long double)f->codes->norms[panel];
    assert_true(error <= sqrtl(largest.error) * 1.001L + sqrtl(largest.value) * 0x1p-22L + 1e-18L);
    assert_true(norm <= (sqrtl(largest.value) + error) * 1.001L + 0x1p-62L);
}

static void codes_say_what_they_lost(void **state)
{
    struct fixture *f = *state;
    size_t checked = 0;
    for (size_t i = 0; i < 200; i++) {
        size_t dim = 1 + test_below(&prng, 40), count = 32 + test_below(&prng, 500);
        choose(f, i % 2 ? METRIC_L2 : METRIC_DOT, count, dim);
        data_fill(&prng, (enum data_kind)(i / 2 % DATA_KIND_COUNT), count, dim, f->rows);
        create(f);
        cover(f, count);
        for (uint64_t row = 0; row < f->codes->row_count; row++, checked++) check_row(f, row);
        for (uint64_t p = 0; p < f->codes->row_count / PANEL_ROWS; p++) check_panel(f, p);
    }
    printf("%zu rows checked\n", checked);
    assert_true(checked > 30000);
}

static void the_centre_is_the_mean(void **state)
{
    struct fixture *f = *state;
    double squares = 0;
    choose(f, METRIC_L2, 3000, 6);
    data_fill(&prng, DATA_FAR, 3000, 6, f->rows);
    create(f);
    for (size_t i = 0; i < 6; i++) {
        double sum = 0, centre = (double)f->codes->centre[i];
        for (size_t r = 0; r < 3000; r++) sum += (double)f->rows[r * 6 + i];
        assert_true(fabs(centre - sum / 3000) < 1e-4);
        squares += centre * centre;
    }
    assert_true(fabs(f->codes->centre_norm - sqrt(squares)) <= 1e-12 * f->codes->centre_norm);
    cover(f, 3000);
    for (size_t p = 0; p < 3000 / PANEL_ROWS; p++) /* 1e-3 from the centre at most */
        assert_true(f->codes->errors[p] < 1e-3f / (float)CODE_MAX * 3);
}

/* --- data that no scale suits --- */

static void check_all(struct fixture *f)
{
    cover(f, f->params.row_count);
    for (uint64_t row = 0; row < f->codes->row_count; row++) check_row(f, row);
    for (uint64_t p = 0; p < f->codes->row_count / PANEL_ROWS; p++) check_panel(f, p);
}

static void equal_rows_are_their_centre(void **state)
{
    struct fixture *f = *state;
    static const float values[] = { 0, -0.0f, 1, 0.1f, -1e15f, 1e-40f, 0x1p-149f };
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
            choose(f, (enum metric)metric, 77, 9);
            fill_constant(f, values[v]);
            create(f);
            for (size_t i = 0; i < 9; i++) assert_true(f->codes->centre[i] == values[v]);
            assert_true(f->codes->scale >= 0x1p-60f && f->codes->scale < 0x1p-59f);
            check_all(f);
            assert_true(f->codes->errors[0] < 0x1p-63f && f->codes->norms[0] < 0x1p-62f);
        }
}

/* The others are not coded the coarser for it by their scale; its own panel says what it lost. */
static void one_huge_row_is_cut(void **state)
{
    struct fixture *f = *state;
    choose(f, METRIC_L2, 1000, 4);
    data_fill(&prng, DATA_UNIT, 1000, 4, f->rows);
    for (size_t i = 0; i < 4; i++) f->rows[500 * 4 + i] = 1000;
    create(f);
    assert_true(f->codes->scale < 3.0f / (float)CODE_MAX);
    for (size_t i = 0; i < 4; i++)
        assert_true(fabsf(f->codes->centre[i]) < 0.5f); /* the mean is 1 */
    check_all(f);
    assert_true(f->codes->errors[500 / PANEL_ROWS] > 1990);
    for (size_t p = 0; p < 1000 / PANEL_ROWS; p++)
        if (p != 500 / PANEL_ROWS) assert_true(f->codes->errors[p] < 2 * f->codes->scale);
    for (size_t i = 0; i < 4; i++) assert_int_equal(code_of(f->codes, 500, i), CODE_MAX);
}

static void the_largest_components_overflow_nothing(void **state)
{
    struct fixture *f = *state;
    choose(f, METRIC_DOT, 64, 24);
    for (size_t i = 0; i < 64 * 24; i++) f->rows[i] = i / 24 % 2 ? 1e15f : -1e15f;
    create(f);
    check_all(f);
    for (size_t i = 0; i < 64 * 24; i++) f->rows[i] = i < 40 * 24 ? 0 : 1e15f;
    choose(f, METRIC_L2, 32, 24); /* chosen by the zeros: the smallest scale */
    f->params.capacity = 64;
    create(f);
    f->params.row_count = 64;
    check_all(f);
    assert_true(isfinite(f->codes->errors[1]) && isfinite(f->codes->offsets[63]));
}

/* --- any caller, any tier, any shortage --- */

static void every_tier_makes_the_same_codes(void **state)
{
    struct fixture *f = *state;
    for (int tier = CPU_C; tier < CPU_TIER_COUNT; tier++)
        for (size_t i = 0; i < 2 * DATA_KIND_COUNT && test_has_tier((enum cpu_tier)tier); i++) {
            struct kernels kernels;
            kernels_init(&kernels, (enum cpu_tier)tier);
            choose(f, i % 2 ? METRIC_L2 : METRIC_DOT, 200, 1 + test_below(&prng, 24));
            data_fill(&prng, (enum data_kind)(i / 2), 200, f->params.dim, f->rows);
            create(f);
            cover(f, 200);
            struct codes *want = f->codes;
            f->codes = NULL;
            f->params.kernels = &kernels;
            create(f);
            cover(f, 200);
            assert_same_codes(want, f->codes);
            codes_destroy(&want);
        }
}

#if defined(__x86_64__)
/* Flush-to-zero, denormals-are-zero and the rounding modes. */
static void the_callers_float_state_changes_nothing(void **state)
{
    struct fixture *f = *state;
    static const unsigned controls[] = { 0x9fc0, 0x3f80, 0x5f80, 0x7f80, 0xffc0 };
    unsigned before = _mm_getcsr();
    for (size_t i = 0; i < 5 * DATA_KIND_COUNT; i++) {
        choose(f, i % 2 ? METRIC_L2 : METRIC_DOT, 100, 11);
        data_fill(&prng, (enum data_kind)(i / 5), 100, 11, f->rows);
        create(f);
        cover(f, 100);
        struct codes *want = f->codes, *got = NULL;
        f->codes = NULL;
        _mm_setcsr(controls[i % 5]);
        wg_err err = codes_create(&f->params, &got);
        if (err == WG_OK) codes_cover(got, &c, f->rows, 100);
        unsigned after = _mm_getcsr();
        _mm_setcsr(before);
        f->codes = got;
        assert_int_equal(err, WG_OK);
        assert_int_equal(after & 0xffc0, controls[i % 5]);
        assert_same_codes(want, got);
        codes_destroy(&want);
    }
}
#endif

static void an_allocation_that_fails_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t request = 1;
    choose(f, METRIC_L2, 100, 8);
    data_fill(&prng, DATA_UNIT, 100, 8, f->rows);
    for (;; request++) {
        struct codes *codes = NULL;
        mem_fail_at(request);
        wg_err err = codes_create(&f->params, &codes);
        mem_fail_at(0);
        if (err == WG_OK) codes_destroy(&codes);
        assert_null(codes); /* written on success only */
        assert_int_equal(mem_in_use(), f->in_use);
        if (err == WG_OK) break;
        assert_int_equal(err, WG_ENOMEM);
    }
    assert_true(request >= 8); /* the codes, five arrays, two while it chooses */
}

static void covering_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    choose(f, METRIC_DOT, 640, 8);
    data_fill(&prng, DATA_UNIT, 640, 8, f->rows);
    create(f);
    size_t before = mem_in_use();
    mem_fail_at(1);
    cover(f, 640);
    mem_fail_at(0);
    assert_int_equal(f->codes->row_count, 640);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_whole_panels_are_covered),
        TEST(no_more_than_the_capacity_is_covered),
        TEST(steps_give_the_same_as_at_once),
        TEST(by_many_threads_is_the_same),
        TEST(refused_components_are_found_on_the_way),
        TEST(later_rows_change_nothing_that_is_coded),
        TEST(codes_say_what_they_lost),
        TEST(the_centre_is_the_mean),
        TEST(equal_rows_are_their_centre),
        TEST(one_huge_row_is_cut),
        TEST(the_largest_components_overflow_nothing),
        TEST(every_tier_makes_the_same_codes),
#if defined(__x86_64__)
        TEST(the_callers_float_state_changes_nothing),
#endif
        TEST(an_allocation_that_fails_leaves_nothing),
        TEST(covering_allocates_nothing),
    };
    kernels_init(&c, CPU_C);
    prng.state = test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
