/* An exact search equals a full scan by the C tier bit for bit: through wg_knn here, through a
 * store in search_store_test.c. Every metric, tier and thread count; every k; ties, duplicates,
 * denormals, the largest components. Each score is checked against float64 as well. */
#include "support/check.h"
#include "support/data.h"
#include "support/oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { THREADS_MAX = 4, METRIC_COUNT = 5 };

static wg_context *contexts[TEST_TIERS_MAX * THREADS_MAX];
static size_t context_count;
static struct prng prng;
static size_t compared;

static wg_context *any_context(void)
{
    return contexts[test_below(&prng, context_count)];
}

struct problem {
    wg_metric metric;
    size_t dim, row_count, query_count;
    float *rows, *queries;     /* as given */
    struct oracle_hit *ranked; /* query_count x row_count, best first */
    bool has_threshold;
    float threshold;
};

static void check_scores(const struct problem *p, const float *query, const float *rows,
                         const struct oracle_hit *ranked)
{
    for (size_t i = 0; i < p->row_count; i += 1 + i / 4) {
        const float *row = rows + ranked[i].row * p->dim;
        if (!oracle_score_is_within_bound(p->metric, query, row, p->dim, ranked[i].score))
            fail_msg("%s, dim %zu: score %a is out of its bound", wg_metric_name(p->metric), p->dim,
                     (double)ranked[i].score);
    }
}

static void rank_all(struct problem *p)
{
    size_t row_values = p->row_count * p->dim;
    float *rows = allocate(row_values + p->dim, sizeof *rows), *query = rows + row_values;
    for (size_t r = 0; r < p->row_count; r++)
        oracle_stored(p->metric, p->rows + r * p->dim, p->dim, rows + r * p->dim);
    const struct oracle_rows all = {
        .metric = p->metric, .dim = p->dim, .row_count = p->row_count, .rows = rows
    };
    for (size_t q = 0; q < p->query_count; q++) {
        struct oracle_hit *ranked = p->ranked + q * p->row_count;
        oracle_stored(p->metric, p->queries + q * p->dim, p->dim, query);
        oracle_rank(&all, query, ranked);
        check_scores(p, query, rows, ranked);
    }
    free(rows);
}

static void problem_make(struct problem *p, enum data_kind kind)
{
    p->rows = allocate(p->row_count * p->dim, sizeof *p->rows);
    p->queries = allocate(p->query_count * p->dim, sizeof *p->queries);
    p->ranked = allocate(p->query_count * p->row_count, sizeof *p->ranked);
    data_fill(&prng, kind, p->row_count, p->dim, p->rows);
    data_fill(&prng, kind, p->query_count, p->dim, p->queries);
    for (size_t q = 0; q < p->query_count && p->row_count > 0; q += 3) /* some are rows */
        memcpy(p->queries + q * p->dim, p->rows + test_below(&prng, p->row_count) * p->dim,
               p->dim * sizeof *p->queries);
    rank_all(p);
}

static void problem_free(struct problem *p)
{
    free(p->rows);
    free(p->queries);
    free(p->ranked);
}

static bool is_beyond(const struct problem *p, float score)
{
    if (!p->has_threshold) return false;
    bool higher_is_better = p->metric == WG_COSINE || p->metric == WG_DOT;
    return higher_is_better ? score < p->threshold : score > p->threshold;
}

static void compare_one(const struct problem *p, size_t q, size_t k, const uint64_t *rows,
                        const float *scores)
{
    const struct oracle_hit *want = p->ranked + q * p->row_count;
    for (size_t i = 0; i < k; i++) {
        bool none = i >= p->row_count || is_beyond(p, want[i].score);
        bool same = none ? rows[i] == WG_NO_ROW && isnan(scores[i])
                         : rows[i] == want[i].row && memcmp(&scores[i], &want[i].score, 4) == 0;
        compared++;
        if (!same)
            fail_msg("%s, dim %zu, %zu rows, query %zu of %zu, k %zu, place %zu: row %zu score %a, "
                     "the C tier's scan gives row %zu score %a",
                     wg_metric_name(p->metric), p->dim, p->row_count, q, p->query_count, k, i,
                     (size_t)rows[i], (double)scores[i], none ? 0 : (size_t)want[i].row,
                     none ? 0 : (double)want[i].score);
    }
}

static void check_knn(const struct problem *p, wg_context *context, size_t k)
{
    uint64_t *rows = allocate(p->query_count * k, sizeof *rows);
    float *scores = allocate(p->query_count * k, sizeof *scores);
    wg_knn_params params;
    wg_knn_params_init(&params);
    params.metric = p->metric;
    params.k = k;
    params.dim = p->dim;
    params.rows = p->rows;
    params.row_count = p->row_count;
    params.queries = p->queries;
    params.query_count = p->query_count;
    if (p->has_threshold) params.threshold = p->threshold;
    assert_ok(wg_knn(context, &params, rows, scores));
    for (size_t q = 0; q < p->query_count; q++) compare_one(p, q, k, rows + q * k, scores + q * k);
    free(rows);
    free(scores);
}

/* Every dimension from 1 to 130 and some long ones, every metric, each on every tier and thread
 * count, each with a k of its own. */
static void test_dimensions(void **state)
{
    (void)state;
    static const size_t longer[] = { 255, 256, 257, 784, 1000, 1536, 4099, WG_DIM_MAX };
    for (size_t i = 1; i <= 130 + sizeof longer / sizeof *longer; i++)
        for (int metric = 0; metric < METRIC_COUNT; metric++) {
            struct problem p = { .metric = (wg_metric)metric,
                                 .dim = i <= 130 ? i : longer[i - 131],
                                 .row_count = i <= 136 ? test_below(&prng, 60) : 5,
                                 .query_count = 1 + test_below(&prng, i <= 136 ? 9 : 2) };
            problem_make(&p, (enum data_kind)test_below(&prng, DATA_KIND_COUNT));
            for (size_t c = 0; c < context_count; c++)
                check_knn(&p, contexts[c], 1 + test_below(&prng, p.row_count + 2));
            problem_free(&p);
        }
}

static void test_every_k(void **state)
{
    (void)state;
    static const size_t counts[] = { 0, 1, 2, 3, 15, 16, 17, 40, 75 };
    for (size_t n = 0; n < sizeof counts / sizeof *counts; n++)
        for (int metric = 0; metric < METRIC_COUNT; metric++) {
            struct problem p = { .metric = (wg_metric)metric,
                                 .dim = 1 + test_below(&prng, 40),
                                 .row_count = counts[n],
                                 .query_count = 1 + test_below(&prng, 5) };
            problem_make(&p, n % 2 ? DATA_FEW : DATA_WILD);
            for (size_t k = 1; k <= p.row_count + 1; k++) check_knn(&p, any_context(), k);
            check_knn(&p, any_context(), 4 * p.row_count + 1000);
            problem_free(&p);
        }
}

/* The score of some hit, the floats beside it, and what lets in all or nothing. */
static void test_thresholds(void **state)
{
    (void)state;
    for (size_t n = 0; n < 200; n++) {
        struct problem p = { .metric = (wg_metric)(n % METRIC_COUNT),
                             .dim = 1 + test_below(&prng, 40),
                             .row_count = 1 + test_below(&prng, 400),
                             .query_count = 1 + test_below(&prng, 40),
                             .has_threshold = true };
        problem_make(&p, n % 3 ? DATA_UNIT : DATA_FEW);
        float score = p.ranked[test_below(&prng, p.row_count)].score;
        const float thresholds[] = {
            score, nextafterf(score, INFINITY), nextafterf(score, -INFINITY), INFINITY, -INFINITY, 0
        };
        for (size_t t = 0; t < sizeof thresholds / sizeof *thresholds; t++) {
            p.threshold = thresholds[t];
            check_knn(&p, any_context(), 1 + test_below(&prng, p.row_count + 3));
        }
        problem_free(&p);
    }
}

/* The queries are the last rows. The ranked rows of each, without itself, are its neighbours. */
static void check_graph(const struct problem *p, size_t k)
{
    uint64_t *rows = allocate(p->row_count * k, sizeof *rows);
    float *scores = allocate(p->row_count * k, sizeof *scores);
    wg_knn_graph_params params;
    wg_knn_graph_params_init(&params);
    params.metric = p->metric, params.k = k, params.dim = p->dim;
    params.rows = p->rows, params.row_count = p->row_count;
    assert_ok(wg_knn_graph(any_context(), &params, rows, scores));
    for (size_t q = 0; q < p->query_count; q++) {
        const struct oracle_hit *ranked = p->ranked + q * p->row_count;
        size_t row = p->row_count - p->query_count + q, n = 0;
        for (size_t i = 0; i < p->row_count && n < k; i++) {
            if (ranked[i].row == row) continue;
            assert_int_equal(rows[row * k + n], ranked[i].row);
            assert_memory_equal(&scores[row * k + n], &ranked[i].score, sizeof *scores);
            n++, compared++;
        }
        for (; n < k; n++)
            assert_true(rows[row * k + n] == WG_NO_ROW && isnan(scores[row * k + n]));
    }
    free(rows);
    free(scores);
}

/* Many rows equal to one another, too: a row need not be among its own k + 1 nearest. */
static void test_graphs(void **state)
{
    (void)state;
    static const enum data_kind kinds[] = { DATA_UNIT, DATA_FEW, DATA_WILD };
    for (size_t n = 0; n < 45; n++) {
        size_t count = 1 + test_below(&prng, 120), dim = 1 + test_below(&prng, 20);
        struct problem p = { .metric = (wg_metric)(n % METRIC_COUNT), .dim = dim };
        p.row_count = p.query_count = count;
        p.rows = allocate(count * dim, sizeof *p.rows);
        p.ranked = allocate(count * count, sizeof *p.ranked);
        data_fill(&prng, kinds[n / METRIC_COUNT % 3], count, dim, p.rows);
        p.queries = p.rows;
        rank_all(&p);
        check_graph(&p, 1 + test_below(&prng, count + 3));
        free(p.rows);
        free(p.ranked);
    }
}

/* Enough rows and queries for wg_knn to code the rows first. */
static void test_coded_arrays(void **state)
{
    (void)state;
    for (int metric = WG_COSINE; metric <= WG_EUCLIDEAN; metric++)
        for (size_t n = 0; n < 3; n++) {
            struct problem p = { .metric = (wg_metric)metric,
                                 .dim = 1 + test_below(&prng, 40),
                                 .row_count = 8192 + test_below(&prng, 200),
                                 .query_count = 64 + test_below(&prng, 10) };
            problem_make(&p, n == 0 ? DATA_UNIT : n == 1 ? DATA_WILD : DATA_FEW);
            check_knn(&p, any_context(), 1 + test_below(&prng, 100));
            memcpy(p.queries, p.rows + (p.row_count - p.query_count) * p.dim,
                   p.query_count * p.dim * sizeof *p.queries);
            rank_all(&p);
            check_graph(&p, 1 + test_below(&prng, 20));
            problem_free(&p);
        }
}

static void test_k_0_is_refused(void **state)
{
    (void)state;
    float one[1] = { 1 }, score;
    uint64_t row;
    wg_knn_params params;
    wg_knn_params_init(&params);
    params.k = 0;
    params.dim = params.row_count = params.query_count = 1;
    params.rows = params.queries = one;
    assert_err(WG_EINVAL, "k", wg_knn(contexts[0], &params, &row, &score));
}

static void test_every_batch_size(void **state)
{
    (void)state;
    for (size_t batch = 0; batch <= 200; batch++) {
        struct problem p = { .metric = (wg_metric)(batch % METRIC_COUNT),
                             .dim = 1 + test_below(&prng, 48),
                             .row_count = 1 + test_below(&prng, 150),
                             .query_count = batch };
        problem_make(&p, (enum data_kind)(batch / METRIC_COUNT % DATA_KIND_COUNT));
        check_knn(&p, any_context(), 1 + test_below(&prng, 12));
        check_knn(&p, any_context(), 1 + test_below(&prng, p.row_count));
        problem_free(&p);
    }
}

/* Enough rows for several parts, and for the proposer to leave most of them out: here its bound is
 * what keeps the answer right. */
static void test_many_rows(void **state)
{
    (void)state;
    static const size_t ks[] = { 1, 10, 100, 3000 };
    for (int kind = 0; kind < DATA_KIND_COUNT; kind++)
        for (int metric = 0; metric < METRIC_COUNT; metric++) {
            struct problem p = { .metric = (wg_metric)metric,
                                 .dim = 2 + test_below(&prng, 31),
                                 .row_count = 9000 + test_below(&prng, 9000),
                                 .query_count = 1 + test_below(&prng, 4) };
            problem_make(&p, (enum data_kind)kind);
            for (size_t c = 0; c < context_count; c++) check_knn(&p, contexts[c], ks[c % 4]);
            problem_free(&p);
        }
}

/* Long rows of a cluster far from the origin and of scales far apart, a full tile of queries. */
static void test_hard_to_certify(void **state)
{
    (void)state;
    static const enum data_kind kinds[] = { DATA_FAR, DATA_SCALES, DATA_WILD, DATA_UNIT };
    for (size_t i = 0; i < 4; i++)
        for (int metric = WG_COSINE; metric <= WG_EUCLIDEAN; metric++) {
            struct problem p = { .metric = (wg_metric)metric,
                                 .dim = 100 + test_below(&prng, 60),
                                 .row_count = 3000,
                                 .query_count = 17 };
            problem_make(&p, kinds[i]);
            for (size_t c = 0; c < context_count; c++) check_knn(&p, contexts[c], c % 2 ? 10 : 1);
            problem_free(&p);
        }
}

#if defined(__x86_64__)
/* Flush-to-zero, denormals-are-zero, and the four rounding modes: what -ffast-math libraries and
 * interval arithmetic leave behind. Answers are the same, and the host's state is given back. */
static void check_under_host_state(const struct problem *p, unsigned control)
{
    enum { CONTROL_BITS = 0xffc0 }; /* the others are sticky flags */
    unsigned before = _mm_getcsr();
    for (size_t c = 0; c < context_count; c++) {
        size_t k = 1 + c;
        uint64_t rows[3 * TEST_TIERS_MAX * THREADS_MAX];
        float scores[3 * TEST_TIERS_MAX * THREADS_MAX];
        wg_knn_params params;
        wg_knn_params_init(&params);
        params.metric = p->metric, params.k = k, params.dim = p->dim;
        params.rows = p->rows, params.row_count = p->row_count;
        params.queries = p->queries, params.query_count = 3;
        _mm_setcsr((before & ~(unsigned)CONTROL_BITS) | control);
        wg_err err = wg_knn(contexts[c], &params, rows, scores);
        unsigned after = _mm_getcsr() & CONTROL_BITS;
        _mm_setcsr(before);
        assert_int_equal(err, WG_OK);
        assert_int_equal(after, control);
        for (size_t q = 0; q < 3; q++) compare_one(p, q, k, rows + q * k, scores + q * k);
    }
}

static void test_host_float_state(void **state)
{
    (void)state;
    static const unsigned flush[] = { 0, 0x8000, 0x0040, 0x8040 };
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        for (unsigned s = 0; s < 16; s++) {
            struct problem p = { .metric = (wg_metric)metric,
                                 .dim = 1 + test_below(&prng, 70),
                                 .row_count = 400,
                                 .query_count = 3 };
            problem_make(&p, s % 3 == 0 ? DATA_TINY : s % 3 == 1 ? DATA_WILD : DATA_UNIT);
            check_under_host_state(&p, 0x1f80 | flush[s / 4] | (s % 4) << 13);
            problem_free(&p);
        }
}
#endif

/* A score is the metric's own value: known answers, so that the oracle itself is not the only
 * witness. */
static void test_known_scores(void **state)
{
    (void)state;
    static const float rows[] = { 3, 4, 0, 0, -3, 4 }, query[] = { 3, 4 };
    static const struct {
        wg_metric metric;
        uint64_t rows[3];
        float scores[3];
    } known[] = { { WG_COSINE, { 0, 2, 1 }, { 1.0f, 0.28f, 0 } },
                  { WG_DOT, { 0, 2, 1 }, { 25, 7, 0 } },
                  { WG_EUCLIDEAN, { 0, 1, 2 }, { 0, 5, 6 } },
                  { WG_MANHATTAN, { 0, 2, 1 }, { 0, 6, 7 } },
                  { WG_CHEBYSHEV, { 0, 1, 2 }, { 0, 4, 6 } } };
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        uint64_t found[3];
        float scores[3];
        wg_knn_params params;
        wg_knn_params_init(&params);
        params.metric = known[m].metric, params.k = 3, params.dim = 2;
        params.rows = rows, params.row_count = 3;
        params.queries = query, params.query_count = 1;
        assert_ok(wg_knn(any_context(), &params, found, scores));
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(found[i], known[m].rows[i]);
            assert_true(fabsf(scores[i] - known[m].scores[i]) < 1e-6f);
            assert_false(signbit(scores[i]));
        }
    }
}

static int make_contexts(void **state)
{
    (void)state;
    const char *tiers[TEST_TIERS_MAX];
    size_t tier_count = test_tiers(tiers);
    for (size_t t = 0; t < tier_count; t++)
        for (uint32_t threads = 1; threads <= THREADS_MAX; threads++) {
            wg_context *context = test_context(tiers[t], threads);
            assert_int_equal(wg_context_threads(context), threads);
            assert_string_equal(wg_context_cpu(context), tiers[t]);
            contexts[context_count++] = context;
        }
    prng.state = test_seed();
    return 0;
}

static int destroy_contexts(void **state)
{
    (void)state;
    for (size_t c = 0; c < context_count; c++) wg_context_destroy(&contexts[c]);
    printf("%zu places of results equal to the C tier's full scan\n", compared);
    return compared == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_scores),     cmocka_unit_test(test_k_0_is_refused),
        cmocka_unit_test(test_every_k),          cmocka_unit_test(test_every_batch_size),
        cmocka_unit_test(test_dimensions),       cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_hard_to_certify),  cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_graphs),           cmocka_unit_test(test_coded_arrays),
#if defined(__x86_64__)
        cmocka_unit_test(test_host_float_state),
#endif
    };
    return cmocka_run_group_tests(tests, make_contexts, destroy_contexts);
}
