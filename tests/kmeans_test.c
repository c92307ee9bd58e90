/* wg_kmeans, from its header: every row is with its nearest centroid, the objective never rises,
 * the start is drawn as k-means++ says, nothing depends on threads or tier, and what cannot be done
 * is refused. */
#include "support/check.h"
#include "support/data.h"
#include "support/oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 3 };

static wg_context *contexts[TEST_TIERS_MAX * THREADS_MAX];
static size_t context_count;
static struct prng prng;

/* What one call gave. */
struct result {
    float *centroids;
    uint32_t *assignments;
    uint64_t *sizes;
    wg_kmeans_report report;
};

static void result_init(struct result *r, const wg_kmeans_params *p)
{
    r->centroids = allocate(p->cluster_count * p->dim, sizeof *r->centroids);
    r->assignments = allocate(p->row_count, sizeof *r->assignments);
    r->sizes = allocate(p->cluster_count, sizeof *r->sizes);
    wg_kmeans_report_init(&r->report);
}

static void result_free(struct result *r)
{
    free(r->centroids);
    free(r->assignments);
    free(r->sizes);
}

static wg_err call(wg_context *context, const wg_kmeans_params *p, struct result *r)
{
    return wg_kmeans(context, p, r->centroids, r->assignments, r->sizes, &r->report);
}

static wg_kmeans_params params_of(wg_metric metric, size_t clusters, size_t dim, const float *rows,
                                  size_t row_count)
{
    wg_kmeans_params params;
    wg_kmeans_params_init(&params);
    params.metric = metric;
    params.cluster_count = clusters;
    params.dim = dim;
    params.rows = rows;
    params.row_count = row_count;
    return params;
}

static float *stored_rows(const wg_kmeans_params *p)
{
    float *rows = allocate(p->row_count * p->dim, sizeof *rows);
    for (size_t r = 0; r < p->row_count; r++)
        oracle_stored(p->metric, p->rows + r * p->dim, p->dim, rows + r * p->dim);
    return rows;
}

static double length_of(const float *x, size_t dim)
{
    double squares = 0;
    for (size_t i = 0; i < dim; i++) squares += (double)x[i] * (double)x[i];
    return sqrt(squares);
}

static double loss_of(const wg_kmeans_params *p, const float *row, const float *centroid)
{
    double squares = 0, dot = 0;
    for (size_t i = 0; i < p->dim; i++) {
        double difference = (double)row[i] - (double)centroid[i];
        squares += difference * difference;
        dot += (double)row[i] * (double)centroid[i];
    }
    return p->metric == WG_EUCLIDEAN ? squares : length_of(row, p->dim) - dot;
}

/* Assignments against a full scan by the C tier, sizes and objective against the assignments. */
static void check_result(const wg_kmeans_params *p, const struct result *r)
{
    float *rows = stored_rows(p);
    uint64_t *sizes = allocate(p->cluster_count, sizeof *sizes);
    struct oracle_hit *ranked = allocate(p->cluster_count, sizeof *ranked);
    struct oracle_rows centroids = {
        .metric = p->metric, .dim = p->dim, .row_count = p->cluster_count, .rows = r->centroids
    };
    double objective = 0, lengths = 0;
    memset(sizes, 0, p->cluster_count * sizeof *sizes);
    for (size_t row = 0; row < p->row_count; row++) {
        const float *x = rows + row * p->dim;
        oracle_rank(&centroids, x, ranked);
        assert_int_equal(r->assignments[row], ranked[0].row);
        sizes[r->assignments[row]]++;
        objective += loss_of(p, x, r->centroids + r->assignments[row] * p->dim);
        lengths += length_of(x, p->dim);
    }
    assert_memory_equal(sizes, r->sizes, p->cluster_count * sizeof *sizes);
    double slack = 1e-5 * (p->metric == WG_EUCLIDEAN ? objective : lengths) + 1e-30;
    if (!(fabs(objective - r->report.objective) <= slack))
        fail_msg("%s, %zu rows, %zu clusters: the objective is %g, reported %g",
                 wg_metric_name(p->metric), p->row_count, p->cluster_count, objective,
                 r->report.objective);
    free(rows);
    free(sizes);
    free(ranked);
}

static void check_same(const wg_kmeans_params *p, const struct result *a, const struct result *b)
{
    assert_memory_equal(a->centroids, b->centroids, p->cluster_count * p->dim * sizeof(float));
    assert_memory_equal(a->assignments, b->assignments, p->row_count * sizeof *a->assignments);
    assert_memory_equal(a->sizes, b->sizes, p->cluster_count * sizeof *a->sizes);
    assert_memory_equal(&a->report.objective, &b->report.objective, sizeof a->report.objective);
    assert_int_equal(a->report.iterations, b->report.iterations);
    assert_int_equal(a->report.converged, b->report.converged);
}

static const wg_metric metrics[] = { WG_EUCLIDEAN, WG_COSINE, WG_DOT };

static void test_every_row_is_with_its_nearest(void **state)
{
    (void)state;
    for (size_t n = 0; n < 90; n++) {
        size_t count = 1 + test_below(&prng, n % 10 == 0 ? 2000 : 120);
        size_t dim = 1 + test_below(&prng, 40), clusters = 1 + test_below(&prng, count + 3);
        float *rows = allocate(count * dim, sizeof *rows);
        data_fill(&prng, (enum data_kind)(n % DATA_KIND_COUNT), count, dim, rows);
        if (n % 2 == 0 && clusters > 60) clusters = 60;
        wg_kmeans_params p = params_of(metrics[n % 3], clusters, dim, rows, count);
        p.rows_per_cluster = test_below(&prng, 2) * (1 + test_below(&prng, 9));
        p.seed = prng_next(&prng);
        if (n % 4 == 1) p.iterations = 0;
        struct result first, other;
        result_init(&first, &p);
        result_init(&other, &p);
        assert_ok(call(contexts[0], &p, &first));
        check_result(&p, &first);
        for (size_t c = 1; c < context_count; c++) {
            assert_ok(call(contexts[c], &p, &other));
            check_same(&p, &first, &other);
        }
        result_free(&first);
        result_free(&other);
        free(rows);
    }
}

/* Each limit of iterations is a look at the same run at another time. */
static void test_the_objective_never_rises(void **state)
{
    (void)state;
    enum { COUNT = 400, DIM = 6, CLUSTERS = 23 };
    float *rows = allocate(COUNT * DIM, sizeof *rows);
    for (size_t n = 0; n < 24; n++) {
        data_fill(&prng, (enum data_kind)(n % DATA_KIND_COUNT), COUNT, DIM, rows);
        wg_kmeans_params p = params_of(metrics[n % 3], CLUSTERS, DIM, rows, COUNT);
        struct result r;
        result_init(&r, &p);
        p.rows_per_cluster = 0;
        double before = INFINITY, start = 0;
        for (p.iterations = 0; p.iterations < 12; p.iterations++) {
            assert_ok(call(contexts[0], &p, &r));
            assert_true(r.report.objective <= before);
            assert_true(r.report.iterations <= p.iterations);
            before = r.report.objective;
            if (p.iterations == 0) start = before;
        }
        if (n % DATA_KIND_COUNT == DATA_UNIT) assert_true(before < 0.95 * start);
        result_free(&r);
    }
    free(rows);
}

/* Where it has converged a centroid is the mean of its rows, or their direction. */
static void test_centroids_are_means(void **state)
{
    (void)state;
    enum { COUNT = 500, DIM = 9, CLUSTERS = 7 };
    float *given = allocate(COUNT * DIM, sizeof *given);
    for (size_t n = 0; n < 9; n++) {
        data_fill(&prng, DATA_UNIT, COUNT, DIM, given);
        wg_kmeans_params p = params_of(metrics[n % 3], n < 3 ? 1 : CLUSTERS, DIM, given, COUNT);
        p.iterations = 1000;
        p.rows_per_cluster = 0;
        struct result r;
        result_init(&r, &p);
        assert_ok(call(contexts[0], &p, &r));
        assert_true(r.report.converged && r.report.iterations < 1000);
        float *rows = stored_rows(&p);
        for (size_t c = 0; c < p.cluster_count; c++) {
            float sum[DIM] = { 0 };
            for (size_t row = 0; row < COUNT; row++)
                for (size_t i = 0; i < DIM && r.assignments[row] == c; i++)
                    sum[i] += rows[row * DIM + i];
            double divisor = p.metric == WG_EUCLIDEAN ? (double)r.sizes[c] : length_of(sum, DIM);
            for (size_t i = 0; i < DIM; i++)
                assert_true(fabs((double)sum[i] / divisor - (double)r.centroids[c * DIM + i]) <
                            1e-5);
        }
        free(rows);
        result_free(&r);
    }
    free(given);
}

/* The chances of all sets of centres, as k-means++ defines them. */
static void add_chances(const float *rows, size_t count, size_t left, unsigned set, double chance,
                        double *chances)
{
    double losses[8], sum = 0;
    if (left == 0) {
        chances[set] += chance;
        return;
    }
    for (size_t row = 0; row < count; row++) {
        losses[row] = set == 0 ? 1 : INFINITY;
        for (size_t c = 0; c < count; c++) {
            double difference = (double)rows[row] - (double)rows[c];
            if (set >> c & 1) losses[row] = fmin(losses[row], difference * difference);
        }
        sum += losses[row];
    }
    for (size_t row = 0; row < count; row++)
        if (losses[row] > 0)
            add_chances(rows, count, left - 1, set | 1u << row, chance * losses[row] / sum,
                        chances);
}

/* Of centres 4 and 5 some are drawn by losses that know of the first two alone. */
static void test_the_start_is_drawn_by_squared_distance(void **state)
{
    (void)state;
    enum { COUNT = 7, TRIES = 2500 };
    static const float rows[COUNT] = { 0, 1, 2.5f, 3, 7, 7.5f, 12 };
    for (size_t clusters = 1; clusters <= 5; clusters++) {
        double chances[1 << COUNT] = { 0 };
        size_t times[1 << COUNT] = { 0 };
        add_chances(rows, COUNT, clusters, 0, 1, chances);
        wg_kmeans_params p = params_of(WG_EUCLIDEAN, clusters, 1, rows, COUNT);
        p.iterations = 0;
        struct result r;
        result_init(&r, &p);
        for (p.seed = 0; p.seed < TRIES; p.seed++) {
            unsigned set = 0;
            assert_ok(call(contexts[0], &p, &r));
            for (size_t row = 0; row < COUNT; row++)
                if (r.centroids[r.assignments[row]] == rows[row]) set |= 1u << row;
            times[set]++;
        }
        for (size_t set = 0; set < 1 << COUNT; set++) {
            double want = chances[set] * (double)TRIES, spread = sqrt(want * (1 - chances[set]));
            if (fabs((double)times[set] - want) > 5 * spread + 1)
                fail_msg("%zu clusters: set %zx was drawn %zu times of %d, expected %g", clusters,
                         set, times[set], (int)TRIES, want);
        }
        result_free(&r);
    }
}

/* Groups that are far apart each get a centre at the start, small ones too, by every metric. */
static void test_far_groups_are_found(void **state)
{
    (void)state;
    enum { GROUPS = 40, EACH = 50, DIM = 64 };
    float *rows = allocate(GROUPS * EACH * DIM, sizeof *rows);
    for (size_t i = 0; i < GROUPS * EACH * DIM; i++) rows[i] = 1e-3f * prng_unit(&prng);
    for (size_t row = 0; row < GROUPS * EACH; row++) {
        size_t group = row < GROUPS ? row : test_below(&prng, GROUPS / 2);
        rows[row * DIM + group] += 10;
    }
    for (size_t m = 0; m < 3; m++) {
        wg_kmeans_params p = params_of(metrics[m], GROUPS, DIM, rows, GROUPS * EACH);
        struct result r;
        result_init(&r, &p);
        p.iterations = 1;
        for (p.seed = 0; p.seed < 5; p.seed++) {
            assert_ok(call(contexts[context_count - 1], &p, &r));
            assert_true(r.report.objective < GROUPS * EACH * DIM * 1e-3);
            for (size_t c = 0; c < GROUPS; c++) assert_true(r.sizes[c] > 0);
        }
        result_free(&r);
    }
    free(rows);
}

/* Centroids where no row is begin anew, at the rows that are farthest from theirs. */
static void test_no_cluster_is_lost(void **state)
{
    (void)state;
    enum { COUNT = 7, CLUSTERS = 4 };
    static const float rows[COUNT][2] = { { 1, 0 }, { 2, 0 }, { 1, 1 }, { 1, 9 },
                                          { 9, 1 }, { 1, 1 }, { 9, 2 } };
    static const float start[CLUSTERS][2] = { { 1, 0.25f }, { -99, 0 }, { -99, 0 }, { 0, -99 } };
    for (size_t m = 0; m < 3; m++) {
        wg_kmeans_params p = params_of(metrics[m], CLUSTERS, 2, rows[0], COUNT);
        struct result r;
        result_init(&r, &p);
        p.start = start[0];
        p.iterations = 0;
        assert_ok(call(contexts[0], &p, &r));
        check_result(&p, &r);
        assert_int_equal(r.sizes[0], COUNT);
        p.iterations = 2;
        assert_ok(call(contexts[0], &p, &r));
        check_result(&p, &r);
        for (size_t c = 0; c < CLUSTERS; c++) assert_true(r.sizes[c] > 0);
        if (metrics[m] == WG_EUCLIDEAN) assert_int_equal(r.assignments[3] + r.assignments[6], 3);
        result_free(&r);
    }
}

/* What one iteration does, by the definition: rows to the nearest, centroids to the mean. */
static void test_a_given_start(void **state)
{
    (void)state;
    static const float rows[5][2] = { { 0, 0 }, { 2, 0 }, { 10, 0 }, { 12, 2 }, { 4, 3 } };
    static const float start[2][2] = { { 1, 1 }, { 9, 9 } }, want[2][2] = { { 2, 1 }, { 11, 1 } };
    wg_kmeans_params p = params_of(WG_EUCLIDEAN, 2, 2, rows[0], 5);
    struct result r;
    result_init(&r, &p);
    p.start = start[0];
    assert_ok(call(contexts[0], &p, &r));
    assert_memory_equal(r.centroids, want, sizeof want);
    assert_true(r.report.objective == 5 + 1 + 2 + 2 + 8 && r.report.converged);
    float nowhere[2][2] = { { 1, 1 }, { NAN, 9 } };
    p.start = nowhere[0];
    assert_err(WG_EINVAL, "start 1: component 0", call(contexts[0], &p, &r));
    result_free(&r);
}

static void test_fewer_different_rows_than_clusters(void **state)
{
    (void)state;
    static const float rows[8][2] = { { 3, 4 }, { 3, 4 }, { 3, 4 },  { -1, 0 },
                                      { 3, 4 }, { 3, 4 }, { -1, 0 }, { 3, 4 } };
    for (size_t m = 0; m < 3; m++)
        for (size_t clusters = 2; clusters <= 12; clusters += 5) {
            wg_kmeans_params p = params_of(metrics[m], clusters, 2, rows[0], 8);
            struct result r;
            result_init(&r, &p);
            assert_ok(call(contexts[0], &p, &r));
            check_result(&p, &r);
            size_t used = 0;
            for (size_t c = 0; c < clusters; c++) used += r.sizes[c] > 0;
            assert_int_equal(used, 2);
            assert_true(r.report.objective == 0 && r.report.converged);
            p.row_count = 3; /* all of them equal */
            assert_ok(call(contexts[0], &p, &r));
            assert_int_equal(r.sizes[0], 3);
            assert_true(r.report.objective == 0);
            assert_true(fabsf(r.centroids[0] - (m == 0 ? 3 : 0.6f)) < 1e-6f);
            result_free(&r);
        }
}

static void test_rows_of_zeros(void **state)
{
    (void)state;
    static const float rows[5][2] = { { 0, 0 }, { 0, 0 }, { 0, 2 }, { 0, 0 }, { 1, 0 } };
    for (size_t m = 0; m < 3; m++) {
        wg_kmeans_params p = params_of(metrics[m], 3, 2, rows[0], 5);
        struct result r;
        result_init(&r, &p);
        for (p.seed = 0; p.seed < 20; p.seed++) {
            assert_ok(call(contexts[0], &p, &r));
            check_result(&p, &r);
            assert_true(r.report.objective == 0);
        }
        p.row_count = 2;
        assert_ok(call(contexts[0], &p, &r));
        assert_true(r.centroids[0] == 0 && r.centroids[1] == 0 && r.sizes[0] == 2);
        result_free(&r);
    }
}

/* One row to train on is the centroid, and each row is drawn by some seed. */
static void test_a_sample_is_drawn_evenly(void **state)
{
    (void)state;
    enum { COUNT = 10, TRIES = 2000 };
    float rows[COUNT];
    size_t times[COUNT] = { 0 };
    for (size_t row = 0; row < COUNT; row++) rows[row] = (float)row;
    wg_kmeans_params p = params_of(WG_EUCLIDEAN, 1, 1, rows, COUNT);
    assert_int_equal(p.rows_per_cluster, 256);
    p.rows_per_cluster = 1;
    struct result r;
    result_init(&r, &p);
    for (p.seed = 0; p.seed < TRIES; p.seed++) {
        assert_ok(call(contexts[0], &p, &r));
        assert_true(r.centroids[0] == floorf(r.centroids[0]));
        times[(size_t)r.centroids[0]]++;
        assert_int_equal(r.sizes[0], COUNT);
    }
    for (size_t row = 0; row < COUNT; row++)
        assert_true(times[row] > TRIES / COUNT * 7 / 10 && times[row] < TRIES / COUNT * 13 / 10);
    result_free(&r);
}

static void test_tolerance_and_seed(void **state)
{
    (void)state;
    enum { COUNT = 2000, DIM = 8 };
    float *rows = allocate(COUNT * DIM, sizeof *rows);
    data_fill(&prng, DATA_UNIT, COUNT, DIM, rows);
    wg_kmeans_params p = params_of(WG_EUCLIDEAN, 20, DIM, rows, COUNT);
    struct result whole, other;
    result_init(&whole, &p);
    result_init(&other, &p);
    assert_ok(call(contexts[0], &p, &whole));
    p.tolerance = 0.01;
    assert_ok(call(contexts[0], &p, &other));
    assert_true(other.report.converged && other.report.iterations < whole.report.iterations);
    p.tolerance = 0;
    p.seed = 1;
    assert_ok(call(contexts[0], &p, &other));
    assert_memory_not_equal(whole.centroids, other.centroids, 20 * DIM * sizeof(float));
    result_free(&whole);
    result_free(&other);
    free(rows);
}

static void test_time_and_cancellation(void **state)
{
    (void)state;
    enum { COUNT = 40000, DIM = 32, CLUSTERS = 1000 };
    float *rows = allocate(COUNT * DIM, sizeof *rows);
    data_fill(&prng, DATA_UNIT, COUNT, DIM, rows);
    wg_kmeans_params p = params_of(WG_EUCLIDEAN, CLUSTERS, DIM, rows, COUNT);
    struct result r;
    wg_cancel *cancel;
    result_init(&r, &p);
    p.timeout_ms = 5;
    assert_err(WG_ETIMEOUT, "", call(contexts[0], &p, &r));
    p.timeout_ms = 0;
    assert_ok(wg_cancel_create(&cancel));
    wg_cancel_request(cancel);
    p.cancel = cancel;
    assert_err(WG_ECANCELLED, "", call(contexts[0], &p, &r));
    wg_cancel_reset(cancel);
    p.row_count = 100;
    assert_ok(call(contexts[0], &p, &r));
    wg_cancel_destroy(&cancel);
    result_free(&r);
    free(rows);
}

static void refuse(const wg_kmeans_params *p, wg_err err, const char *needle)
{
    float centroids[4];
    uint32_t assignments[4];
    uint64_t sizes[4];
    assert_err(err, needle, wg_kmeans(contexts[0], p, centroids, assignments, sizes, NULL));
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    float rows[4] = { 1, 2, 3, 4 };
    const wg_kmeans_params good = params_of(WG_EUCLIDEAN, 2, 2, rows, 2);
    wg_kmeans_params p = good;
    p.metric = WG_MANHATTAN, refuse(&p, WG_EINVAL, "manhattan");
    p.metric = (wg_metric)7, refuse(&p, WG_EINVAL, "7");
    p = good, p.cluster_count = 0, refuse(&p, WG_EINVAL, "0 clusters");
    p.cluster_count = (size_t)UINT32_MAX + 1, refuse(&p, WG_EINVAL, "4294967296");
    p = good, p.dim = 0, refuse(&p, WG_EDIM, "0");
    p.dim = WG_DIM_MAX + 1, refuse(&p, WG_EDIM, "65537");
    p = good, p.row_count = 0, refuse(&p, WG_EINVAL, "no rows");
    p = good, p.tolerance = -1, refuse(&p, WG_EINVAL, "-1");
    p.tolerance = (double)NAN, refuse(&p, WG_EINVAL, "nan");
    p = good, p.size = 3, refuse(&p, WG_EINVAL, "size");
    p = good, p.row_count = SIZE_MAX / 4, refuse(&p, WG_ENOMEM, "");
    static const float refused[] = { NAN, INFINITY, -INFINITY, 1e16f };
    for (size_t i = 0; i < 4; i++) {
        rows[3] = refused[i];
        for (size_t m = 0; m < 3; m++)
            p = good, p.metric = metrics[m], refuse(&p, WG_EINVAL, "row 1: component 1");
    }
    rows[3] = 4;
    float centroids[4];
    uint32_t assignments[2];
    uint64_t sizes[2];
    assert_ok(wg_kmeans(contexts[0], &good, centroids, assignments, sizes, NULL));
    wg_kmeans_report report = { .size = 1 };
    assert_err(WG_EINVAL, "report",
               wg_kmeans(contexts[0], &good, centroids, assignments, sizes, &report));
}

static int make_contexts(void **state)
{
    (void)state;
    const char *tiers[TEST_TIERS_MAX];
    size_t tier_count = test_tiers(tiers);
    for (size_t t = 0; t < tier_count; t++)
        for (uint32_t threads = 1; threads <= THREADS_MAX; threads++)
            contexts[context_count++] = test_context(tiers[t], threads);
    prng.state = test_seed();
    return 0;
}

static int destroy_contexts(void **state)
{
    (void)state;
    for (size_t c = 0; c < context_count; c++) wg_context_destroy(&contexts[c]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_with_its_nearest),
        cmocka_unit_test(test_the_objective_never_rises),
        cmocka_unit_test(test_centroids_are_means),
        cmocka_unit_test(test_the_start_is_drawn_by_squared_distance),
        cmocka_unit_test(test_far_groups_are_found),
        cmocka_unit_test(test_no_cluster_is_lost),
        cmocka_unit_test(test_a_given_start),
        cmocka_unit_test(test_fewer_different_rows_than_clusters),
        cmocka_unit_test(test_rows_of_zeros),
        cmocka_unit_test(test_a_sample_is_drawn_evenly),
        cmocka_unit_test(test_tolerance_and_seed),
        cmocka_unit_test(test_time_and_cancellation),
        cmocka_unit_test(test_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, make_contexts, destroy_contexts);
}
