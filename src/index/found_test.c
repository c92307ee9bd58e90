/* What two proposers found, merged, against sorting both. */
#include "base/mem.h"
#include "index/found.h"
#include "support/check.h"

#include <math.h>
#include <stdlib.h>

enum { QUERIES = 3, K_MAX = 12 };

struct pair {
    float score;
    uint64_t row;
};

static bool sort_higher;

static int by_score_and_row(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->score != y->score) return (x->score < y->score) != sort_higher ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Fills query q with count rows from first_row on, best first, and what is undefined with what
 * would win if it were looked at. */
static void fill(struct prng *prng, struct found *found, size_t q, size_t k, size_t count,
                 uint64_t first_row)
{
    struct pair pairs[K_MAX];
    static const float undefined[] = { NAN, INFINITY, -INFINITY, 0 };
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct pair){ (float)test_below(prng, 6) - 3, first_row + 2 * i };
    qsort(pairs, count, sizeof *pairs, by_score_and_row);
    for (size_t i = 0; i < k; i++) {
        found->rows[q * k + i] = i < count ? pairs[i].row : WG_NO_ROW;
        found->scores[q * k + i] = i < count ? pairs[i].score : undefined[test_below(prng, 4)];
    }
}

static size_t collect(const struct found *found, size_t q, size_t k, struct pair *pairs)
{
    size_t count = 0;
    for (size_t i = q * k; i < (q + 1) * k && found->rows[i] != WG_NO_ROW; i++)
        pairs[count++] = (struct pair){ found->scores[i], found->rows[i] };
    return count;
}

static void check_merged(const struct found *a, const struct found *b, size_t k,
                         const struct found *into)
{
    for (size_t q = 0; q < QUERIES; q++) {
        struct pair pairs[2 * K_MAX];
        size_t count = collect(a, q, k, pairs);
        count += collect(b, q, k, pairs + count);
        qsort(pairs, count, sizeof *pairs, by_score_and_row);
        for (size_t i = 0; i < k; i++) {
            if (i >= count) {
                assert_int_equal(into->rows[q * k + i], WG_NO_ROW);
                continue;
            }
            assert_int_equal(into->rows[q * k + i], pairs[i].row);
            assert_true(into->scores[q * k + i] == pairs[i].score);
        }
    }
}

static void merging_is_sorting(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    struct found a = { 0 }, b = { 0 }, into = { 0 };
    for (size_t round = 0; round < 5000; round++) {
        size_t k = 1 + test_below(&prng, K_MAX);
        sort_higher = round % 2;
        assert_ok(found_fit(&a, QUERIES, k));
        assert_ok(found_fit(&b, QUERIES, k));
        assert_ok(found_fit(&into, QUERIES, k));
        for (size_t q = 0; q < QUERIES; q++) {
            fill(&prng, &a, q, k, test_below(&prng, k + 1), 10);
            fill(&prng, &b, q, k, test_below(&prng, k + 1), 1000);
        }
        found_merge(&a, &b, QUERIES, k, sort_higher, &into);
        check_merged(&a, &b, k, &into);
    }
    found_fini(&a);
    found_fini(&b);
    found_fini(&into);
}

static void equal_scores_go_by_row(void **state)
{
    (void)state;
    uint64_t rows_a[] = { 3, 5, 9 }, rows_b[] = { 10, 11, 12 }, rows[3] = { 0 };
    float zeros[] = { 0, 0, 0 }, minus[] = { -0.0f, -0.0f, -0.0f }, scores[3];
    struct found a = { 3, rows_a, zeros }, b = { 3, rows_b, minus }, into = { 3, rows, scores };
    for (int higher = 0; higher < 2; higher++) {
        found_merge(&a, &b, 1, 3, higher, &into);
        assert_memory_equal(rows, rows_a, sizeof rows);
    }
}

static void memory_is_kept_from_search_to_search(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct found found = { 0 };
    assert_ok(found_fit(&found, 4, 5));
    assert_true(found.room >= 20);
    for (size_t i = 0; i < 20; i++) found.rows[i] = i, found.scores[i] = (float)i;
    mem_fail_at(1);
    assert_ok(found_fit(&found, 4, 5));
    assert_ok(found_fit(&found, 2, 10));
    assert_ok(found_fit(&found, 1, 1));
    assert_ok(found_fit(&found, 0, 1000));
    mem_fail_at(0);
    assert_ok(found_fit(&found, 40, 50));
    for (size_t i = 0; i < 2000; i++) found.rows[i] = i, found.scores[i] = (float)i;
    found_fini(&found);
    found_fini(&found);
    assert_int_equal(mem_in_use(), before);
}

static void without_memory_it_still_fits_what_it_did(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    for (uint64_t request = 1; request <= 2; request++) {
        struct found found = { 0 };
        assert_ok(found_fit(&found, 1, 4));
        mem_fail_at(request);
        assert_err(WG_ENOMEM, "", found_fit(&found, 100, 10));
        mem_fail_at(0);
        assert_in_range(found.room, 4, 999);
        for (size_t i = 0; i < 4; i++) found.rows[i] = i, found.scores[i] = (float)i;
        assert_ok(found_fit(&found, 100, 10));
        found.rows[999] = 1;
        found.scores[999] = 1;
        found_fini(&found);
        assert_int_equal(mem_in_use(), before);
    }
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct found found = { 0 };
    assert_int_not_equal(found_fit(&found, SIZE_MAX, 2), WG_OK);
    assert_int_not_equal(found_fit(&found, (size_t)1 << 32, (size_t)1 << 32), WG_OK);
    assert_err(WG_ENOMEM, "", found_fit(&found, SIZE_MAX / 4, 1));
    found_fini(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_is_sorting),
        cmocka_unit_test(equal_scores_go_by_row),
        cmocka_unit_test(memory_is_kept_from_search_to_search),
        cmocka_unit_test(without_memory_it_still_fits_what_it_did),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
