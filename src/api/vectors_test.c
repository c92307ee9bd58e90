/* Vectors at the door: what is refused, and how the cosine's are normalised, bit for bit. */
#include "api/vectors.h"
#include "support/check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DIM_MAX = 300 };

static struct prng prng;

/* The squared norm as the canonical cosine defines it: volatile, so that nothing is fused or
 * reordered here. */
static double squared_norm(const float *x, size_t dim)
{
    volatile double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        volatile double product = (double)x[i] * (double)x[i];
        sum = sum + product;
    }
    return sum;
}

static void check_normalized(const float *x, size_t dim)
{
    float got[DIM_MAX], in_place[DIM_MAX];
    vectors_normalize(x, 1, dim, got);
    memcpy(in_place, x, dim * sizeof *x);
    vectors_normalize(in_place, 1, dim, in_place);
    double norm2 = squared_norm(x, dim), norm = sqrt(norm2);
    bool stays = norm2 == 0 || fabs(norm2 - 1) <= 1e-6;
    for (size_t i = 0; i < dim; i++) {
        float want = stays ? x[i] : (float)((double)x[i] / norm);
        if (memcmp(&want, &got[i], sizeof want) != 0)
            fail_msg("dim %zu, norm2 %a: component %zu is %a, expected %a", dim, norm2, i,
                     (double)got[i], (double)want);
        assert_memory_equal(&want, &in_place[i], sizeof want);
    }
}

static void each_is_divided_by_its_norm(void **state)
{
    (void)state;
    for (size_t round = 0; round < 5000; round++) {
        float x[DIM_MAX];
        size_t dim = 1 + test_below(&prng, DIM_MAX);
        int scale = (int)test_below(&prng, 90) - 40;
        for (size_t i = 0; i < dim; i++)
            x[i] = ldexpf(prng_unit(&prng), scale - (round % 3 ? 0 : (int)test_below(&prng, 40)));
        check_normalized(x, dim);
    }
}

static void the_largest_and_the_smallest_are_too(void **state)
{
    (void)state;
    float largest[DIM_MAX], tiny[DIM_MAX];
    for (size_t i = 0; i < DIM_MAX; i++) {
        largest[i] = i % 2 ? WG_COMPONENT_MAX : -WG_COMPONENT_MAX;
        tiny[i] = i % 2 ? FLT_TRUE_MIN : -FLT_TRUE_MIN; /* its squared norm is no zero in double */
    }
    for (size_t dim = 1; dim <= DIM_MAX; dim += 13) {
        check_normalized(largest, dim);
        check_normalized(tiny, dim);
    }
    float got;
    vectors_normalize(tiny, 1, 1, &got);
    assert_true(got == -1);
}

static void a_zero_vector_stays_zero(void **state)
{
    (void)state;
    float zeros[3] = { 0, -0.0f, 0 }, got[3] = { 1, 1, 1 };
    vectors_normalize(zeros, 1, 3, got);
    assert_memory_equal(got, zeros, sizeof zeros);
}

/* Those whose squared norm is within 1e-6 of 1 stay as they are, to the last bit. */
static void one_nearly_normal_stays(void **state)
{
    (void)state;
    size_t stayed = 0, moved = 0;
    for (size_t round = 0; round < 4000; round++) {
        float x[4] = { 0 }, got[4];
        double delta = (double)prng_unit(&prng) * 3e-6;
        x[round % 4] = (float)sqrt((1 + delta) * 0.64);
        x[(round + 1) % 4] = (float)sqrt((1 + delta) * 0.36);
        double norm2 = squared_norm(x, 4);
        vectors_normalize(x, 1, 4, got);
        bool same = memcmp(x, got, sizeof x) == 0;
        if (fabs(norm2 - 1) <= 1e-6) assert_true(same);
        if (fabs(norm2 - 1) > 1.2e-6) assert_false(same);
        stayed += same;
        moved += !same;
        check_normalized(x, 4);
    }
    assert_true(stayed > 500 && moved > 500);
}

static void what_was_normalised_stays(void **state)
{
    (void)state;
    for (size_t round = 0; round < 500; round++) {
        float x[DIM_MAX], once[DIM_MAX], twice[DIM_MAX];
        for (size_t i = 0; i < DIM_MAX; i++) x[i] = prng_unit(&prng) * 100;
        vectors_normalize(x, 1, DIM_MAX, once);
        vectors_normalize(once, 1, DIM_MAX, twice);
        assert_memory_equal(once, twice, sizeof once);
    }
}

/* One chain in rising order: a large square first swallows small ones, last it does not. */
static void the_order_of_additions_counts(void **state)
{
    (void)state;
    float first[DIM_MAX], last[DIM_MAX];
    for (size_t i = 0; i < DIM_MAX; i++) first[i] = last[i] = 1e-3f;
    first[0] = last[DIM_MAX - 1] = 1e5f;
    assert_true(squared_norm(first, DIM_MAX) != squared_norm(last, DIM_MAX));
    check_normalized(first, DIM_MAX);
    check_normalized(last, DIM_MAX);
}

static void each_of_many_is_its_own(void **state)
{
    (void)state;
    float x[] = { 3, 4, 0, 0, 0, 2, 1, 0 }, got[8];
    static const float want[] = { 0.6f, 0.8f, 0, 0, 0, 1, 1, 0 };
    vectors_normalize(x, 4, 2, got);
    assert_memory_equal(got, want, sizeof want);
    vectors_normalize(x, 0, 2, NULL);
}

static void components_are_checked(void **state)
{
    (void)state;
    static const float wrong[] = { NAN, -NAN, INFINITY, -INFINITY, 1.001e15f, -1e16f, FLT_MAX };
    struct kernels kernels;
    float x[7 * 5];
    kernels_init(&kernels, CPU_C);
    for (size_t i = 0; i < 35; i++) x[i] = i % 2 ? WG_COMPONENT_MAX : -WG_COMPONENT_MAX;
    assert_ok(vectors_check(&kernels, x, 7, 5, "query"));
    assert_ok(vectors_check(&kernels, NULL, 0, 5, "query"));
    for (size_t i = 0; i < 35; i++)
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            char place[32];
            float saved = x[i];
            x[i] = wrong[w];
            snprintf(place, sizeof place, "%zu", i / 5);
            assert_err(WG_EINVAL, "query", vectors_check(&kernels, x, 7, 5, "query"));
            assert_non_null(strstr(wg_message(), place));
            snprintf(place, sizeof place, "%zu", i % 5);
            assert_non_null(strstr(wg_message(), place));
            x[i] = saved;
        }
}

static void dimensions_are_checked(void **state)
{
    (void)state;
    assert_ok(dim_check(1));
    assert_ok(dim_check(WG_DIM_MAX));
    assert_err(WG_EDIM, "0", dim_check(0));
    assert_err(WG_EDIM, "65537", dim_check(WG_DIM_MAX + 1));
    assert_err(WG_EDIM, "", dim_check(SIZE_MAX));
}

static void metrics_are_known(void **state)
{
    (void)state;
    static const struct {
        wg_metric metric;
        const char *name;
        enum metric computed;
    } known[] = { { WG_COSINE, "cosine", METRIC_DOT },
                  { WG_DOT, "dot", METRIC_DOT },
                  { WG_EUCLIDEAN, "euclidean", METRIC_L2 },
                  { WG_MANHATTAN, "manhattan", METRIC_L1 },
                  { WG_CHEBYSHEV, "chebyshev", METRIC_CHEBYSHEV } };
    for (size_t i = 0; i < 5; i++) {
        wg_metric parsed = (wg_metric)-1;
        assert_string_equal(wg_metric_name(known[i].metric), known[i].name);
        assert_ok(wg_metric_parse(known[i].name, &parsed));
        assert_int_equal(parsed, known[i].metric);
        assert_int_equal(metric_of(known[i].metric), known[i].computed);
        assert_ok(metric_check(known[i].metric));
        float root = known[i].metric == WG_EUCLIDEAN ? 1.5f : 2.25f;
        assert_true(metric_score(known[i].metric, 2.25f) == root);
    }
    static const char *const others[] = { "", "Cosine", "l2", "dot ", "cosine2", "euclid" };
    for (size_t i = 0; i < 6; i++) {
        wg_metric parsed = WG_DOT;
        assert_err(WG_EINVAL, "manhattan", wg_metric_parse(others[i], &parsed));
        assert_int_equal(parsed, WG_DOT);
    }
    assert_null(wg_metric_name((wg_metric)6));
    assert_null(wg_metric_name((wg_metric)-1));
    assert_err(WG_EINVAL, "6", metric_check((wg_metric)6));
}

int main(void)
{
    prng.state = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_divided_by_its_norm),
        cmocka_unit_test(the_largest_and_the_smallest_are_too),
        cmocka_unit_test(a_zero_vector_stays_zero),
        cmocka_unit_test(one_nearly_normal_stays),
        cmocka_unit_test(what_was_normalised_stays),
        cmocka_unit_test(the_order_of_additions_counts),
        cmocka_unit_test(each_of_many_is_its_own),
        cmocka_unit_test(components_are_checked),
        cmocka_unit_test(dimensions_are_checked),
        cmocka_unit_test(metrics_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
