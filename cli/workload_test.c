/* What benchmarks report: recall that sees a wrong row, a hash that sees a changed bit, the shape
 * of a series of times, and a collection in memory that gives what the array gives. */
#include "cli/workload.h"

#include "cli/measure.h"
#include "support/check.h"

#include <math.h>

enum { ROWS = 3000, DIM = 9, K = 7, QUERIES = 5 };

static wg_context *context;
static struct workload workload;

static int make(void **state)
{
    (void)state;
    struct workload_size size = { ROWS, QUERIES, DIM, K, test_seed(), PAGES_ANY };
    context = test_context(NULL, 2);
    return workload_make(&size, &workload) == WG_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    workload_free(&workload);
    wg_context_destroy(&context);
    return 0;
}

/* Of the found rows of so many queries, those that are right. */
static long right_of(size_t sample)
{
    double recall = -1;
    assert_int_equal(workload_recall(&workload, QUERIES, sample, &recall), WG_OK);
    return lround(recall * (double)(sample * K));
}

static void recall_sees_a_wrong_row(void **state)
{
    (void)state;
    for (wg_metric metric = WG_COSINE; metric <= WG_CHEBYSHEV; metric++) {
        double seconds = 0;
        workload.metric = metric;
        assert_int_equal(workload_search(context, &workload, ROWS, QUERIES, &seconds), WG_OK);
        assert_true(seconds > 0);
        assert_int_equal(right_of(QUERIES), QUERIES * K);
        uint64_t *first = &workload.found_rows[0], nearest = *first;
        *first = workload.found_rows[1]; /* twice the same */
        assert_int_equal(right_of(QUERIES), QUERIES * K - 1);
        assert_int_equal(right_of(1), K - 1);
        *first = WG_NO_ROW;
        assert_int_equal(right_of(1), K - 1);
        for (*first = 0;; ++*first) { /* a row that was not found */
            bool is_found = *first == nearest;
            for (size_t i = 1; i < K; i++) is_found |= workload.found_rows[i] == *first;
            if (!is_found) break;
        }
        assert_int_equal(right_of(1), K - 1);
        *first = workload.found_rows[K - 1];
        workload.k = K - 1; /* of so few, the next one behind them is wrong too */
        double recall = -1;
        assert_int_equal(workload_recall(&workload, 1, 1, &recall), WG_OK);
        workload.k = K;
        assert_int_equal(lround(recall * (K - 1)), K - 2);
    }
}

static void the_hash_sees_one_bit(void **state)
{
    (void)state;
    double seconds;
    workload.metric = WG_DOT;
    assert_int_equal(workload_search(context, &workload, ROWS, QUERIES, &seconds), WG_OK);
    uint64_t hash = workload_hash(&workload, QUERIES);
    assert_int_equal(hash, workload_hash(&workload, QUERIES));
    workload.found_rows[QUERIES * K - 1] ^= 1;
    assert_int_not_equal(hash, workload_hash(&workload, QUERIES));
    workload.found_rows[QUERIES * K - 1] ^= 1;
    workload.found_scores[QUERIES * K - 1] *= 1.0000001F;
    assert_int_not_equal(hash, workload_hash(&workload, QUERIES));
    assert_int_equal(workload_hash(&workload, 0), MEASURE_HASH);
}

static void a_collection_grows_and_has_codes(void **state)
{
    (void)state;
    struct workload_store store;
    bool coded = false;
    double seconds = 0;
    workload.metric = WG_EUCLIDEAN;
    assert_int_equal(workload_store_open(context, &workload, &store), WG_OK);
    assert_int_equal(workload_store_grow(&store, &workload, 100, &coded), WG_OK);
    assert_false(coded);
    assert_int_equal(workload_store_grow(&store, &workload, ROWS, &coded), WG_OK);
    assert_true(coded);
    assert_true(store.code_bytes >= (uint64_t)ROWS * DIM * 7 / 8);
    assert_int_equal(workload_search(context, &workload, ROWS, QUERIES, &seconds), WG_OK);
    assert_int_equal(workload_store_search(&store, &workload, QUERIES, &seconds), WG_OK);
    assert_true(seconds > 0);
    for (size_t q = 0; q < QUERIES; q++) {
        size_t count;
        const wg_hit *hits = wg_searcher_hits(store.searcher, q, &count);
        assert_int_equal(count, K);
        for (size_t i = 0; i < K; i++)
            assert_int_equal(hits[i].id.as.number, workload.found_rows[q * K + i]);
    }
    workload_store_close(&store);
}

static void times_have_a_shape(void **state)
{
    (void)state;
    double times[] = { 9, 1, 2, 8, 3, 7, 4, 6, 5 };
    struct measure_spread spread = measure_spread_of(times, 9);
    assert_true(spread.least == 1);
    assert_true(spread.lower == 3);
    assert_true(spread.median == 5);
    assert_true(spread.upper == 7);
    assert_true(spread.most == 9);
    assert_true(fabs(measure_spread_share(&spread) - 0.8) < 1e-12);
    spread = measure_spread_of(times, 1);
    assert_true(measure_spread_share(&spread) == 0);
}

static void reading_takes_time(void **state)
{
    (void)state;
    assert_true(measure_read(workload.rows, ROWS * DIM * sizeof(float), 1) > 0);
    assert_true(measure_read(workload.rows, ROWS * DIM * sizeof(float), 3) > 0);
    assert_true(measure_read(workload.rows, 64, 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recall_sees_a_wrong_row),
        cmocka_unit_test(the_hash_sees_one_bit),
        cmocka_unit_test(a_collection_grows_and_has_codes),
        cmocka_unit_test(times_have_a_shape),
        cmocka_unit_test(reading_takes_time),
    };
    return cmocka_run_group_tests(tests, make, end);
}
