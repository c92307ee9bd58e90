/* Tries to break the certificate of proposed dot products: a row whose canonical value is at most
 * kth must never be excluded, and the hardest kth is the row's own value. Rows are packed and
 * proposed by the kernels that the scan uses. */
#include "device/cpu/dot_bound.h"
#include "device/cpu/l2_bound.h"
#include "kernel/kernel.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 2048, QUERIES = 4 };

static const size_t dims[] = { 1, 2, 3, 4, 5, 15, 16, 17, 31, 100, 128, 300, 784, DIM_MAX };

static struct kernels c;
static struct prng prng;
static size_t checked, excludable, excluded;

/* Vectors of one kind, proposed: PANEL_ROWS rows for QUERIES queries. */
struct trial {
    size_t dim;
    float queries[QUERIES * DIM_MAX], rows[PANEL_ROWS * DIM_MAX], panel[PANEL_ROWS * DIM_MAX];
    float norms[PANEL_ROWS], scores[QUERIES * PANEL_ROWS];
};

static float unit(size_t i)
{
    (void)i;
    return prng_unit(&prng);
}

static float alternating(size_t i) /* products cancel */
{
    return (i % 2 ? -1000.0f : 1000.0f) + prng_unit(&prng);
}

static float constant(size_t i) /* every addition rounds the same way */
{
    (void)i;
    return 1.0f + 0x1p-23f * (float)(prng_next(&prng) % 3);
}

static float tiny(size_t i) /* products are denormal, or gone */
{
    (void)i;
    return ldexpf(prng_unit(&prng), -70 - (int)(prng_next(&prng) % 8));
}

static float denormal(size_t i)
{
    return (float)(prng_next(&prng) % 9) * 0x1p-149f * (i % 3 ? 1.0f : -1.0f);
}

static float huge(size_t i)
{
    (void)i;
    return 1e15f * prng_unit(&prng);
}

static float mixed(size_t i)
{
    return i % 5 ? ldexpf(prng_unit(&prng), (int)(prng_next(&prng) % 100) - 60) : 0.0f;
}

/* The chain begins with 1 and then loses every product, each just below half of its last place; the
 * canonical score, in sixteen lanes, loses a sixteenth of them: nearly what the bound allows. */
static float losing(size_t i)
{
    return i == 0 ? 1.0f : 0x1.fffffep-13f;
}

static float (*const kinds[])(size_t i) = {
    unit, alternating, constant, tiny, denormal, huge, mixed, losing,
};

static void propose(struct trial *t, size_t dim, float (*of_queries)(size_t),
                    float (*of_rows)(size_t))
{
    t->dim = dim;
    for (size_t i = 0; i < QUERIES * dim; i++) t->queries[i] = of_queries(i % dim);
    for (size_t i = 0; i < PANEL_ROWS * dim; i++) t->rows[i] = of_rows(i % dim);
    memcpy(t->rows, t->queries, dim * sizeof *t->rows); /* a row that is a query */
    c.pack(t->rows, PANEL_ROWS, dim, t->panel, t->norms);
    c.dot_panel(t->queries, QUERIES, &(struct panel){ t->panel, NULL, dim }, t->scores, PANEL_ROWS);
}

static double squared_norm(const float *x, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static bool dot_excludes(const struct trial *t, size_t q, size_t r, float kth)
{
    struct dot_bound bound = dot_bound_of_dim(t->dim);
    double norm = squared_norm(t->queries + q * t->dim, t->dim);
    float left = fmaf(dot_bound_scale(norm), t->scores[q * PANEL_ROWS + r],
                      dot_bound_row(&bound, t->norms[r]));
    return left > dot_bound_limit(&bound, kth, norm);
}

static bool l2_excludes(const struct trial *t, size_t q, size_t r, float kth)
{
    struct l2_bound bound = l2_bound_of_dim(t->dim);
    double norm = squared_norm(t->queries + q * t->dim, t->dim);
    float left = fmaf(-2, t->scores[q * PANEL_ROWS + r], l2_bound_row(&bound, t->norms[r]));
    return left > l2_bound_limit(&bound, kth, norm);
}

static void check_row(const struct trial *t, size_t q, size_t r)
{
    const float *query = t->queries + q * t->dim, *row = t->rows + r * t->dim;
    float dot = -c.dot(query, row, t->dim), l2 = c.l2(query, row, t->dim);
    if (dot_excludes(t, q, r, dot)) fail_msg("dot, dim %zu: %a is excluded", t->dim, (double)dot);
    if (l2_excludes(t, q, r, l2)) fail_msg("l2, dim %zu: %a is excluded", t->dim, (double)l2);
    assert_false(dot_excludes(t, q, r, INFINITY)); /* until k are held */
    checked++;
}

static void no_row_that_is_near_is_excluded(void **state)
{
    struct trial *t = *state;
    size_t count = sizeof kinds / sizeof *kinds;
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t pair = 0; pair < count * count; pair++) {
            propose(t, dims[d], kinds[pair / count], kinds[pair % count]);
            for (size_t i = 0; i < QUERIES * PANEL_ROWS; i++)
                check_row(t, i / PANEL_ROWS, i % PANEL_ROWS);
        }
    printf("%zu pairs, none excluded by its own value\n", checked);
    assert_true(checked > 80000);
}

/* A certificate that excludes nothing would pass the test above. */
static void nearly_all_that_are_far_are_excluded(void **state)
{
    struct trial *t = *state;
    for (size_t d = 6; d < sizeof dims / sizeof *dims; d++) {
        propose(t, dims[d], unit, unit);
        for (size_t i = 0; i < QUERIES * PANEL_ROWS; i++) {
            size_t q = i / PANEL_ROWS, r = i % PANEL_ROWS;
            const float *query = t->queries + q * t->dim, *row = t->rows + r * t->dim;
            float value = -c.dot(query, row, t->dim);
            float kth =
                value - 0.01f * sqrtf(t->norms[r]) * (float)sqrt(squared_norm(query, t->dim));
            excludable++;
            excluded += dot_excludes(t, q, r, kth);
        }
    }
    printf("%zu of %zu rows excluded\n", excluded, excludable);
    assert_true(excluded > excludable * 9 / 10);
}

/* A query that is too short to divide by excludes nothing. */
static void a_query_of_zeros_excludes_nothing(void **state)
{
    struct trial *t = *state;
    propose(t, 16, unit, unit);
    memset(t->queries, 0, sizeof t->queries);
    c.dot_panel(t->queries, QUERIES, &(struct panel){ t->panel, NULL, 16 }, t->scores, PANEL_ROWS);
    for (size_t r = 0; r < PANEL_ROWS; r++) assert_false(dot_excludes(t, 0, r, -1e30f));
}

static int set_up(void **state)
{
    kernels_init(&c, CPU_C);
    prng.state = test_seed();
    *state = allocate(1, sizeof(struct trial));
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_row_that_is_near_is_excluded),
        cmocka_unit_test(nearly_all_that_are_far_are_excluded),
        cmocka_unit_test(a_query_of_zeros_excludes_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
