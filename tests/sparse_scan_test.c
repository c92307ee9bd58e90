/* Scans with masks that leave from no row to all of them, scattered or together: the answer is that
 * of ranking the live rows' canonical scores, bit for bit, for every metric, with codes and
 * without, few queries and many, and up to as many hits as there are rows. */
#include "api/context.h"
#include "base/mem.h"
#include "base/topk.h"
#include "kernel/fpenv.h"
#include "quant/encode.h"
#include "search/search.h"
#include "support/check.h"
#include "support/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FIRST_ROWS: no whole panels. ROWS: several blocks to a task. */
enum { DIM = 20, FIRST_ROWS = 7016, ROWS = 12000, QUERIES = 70 };

enum pattern { SCATTERED, TOGETHER, AT_ENDS, MIXED, PATTERN_COUNT };

static wg_context *contexts[2]; /* of one thread and three */
static struct kernels c_tier;
static struct prng prng;
static float rows[ROWS * DIM], queries[QUERIES * DIM];
static bool model[ROWS]; /* which rows are live */
static size_t compared;

struct problem {
    enum metric metric;
    struct code_cell cells[2]; /* of the first rows, and the others */
    struct scored *ranked; /* QUERIES x ROWS: all rows, best first */
};

/* --- the truth --- */

static float value_of(enum metric metric, const float *query, const float *row)
{
    switch (metric) {
    case METRIC_L2: return c_tier.l2(query, row, DIM);
    case METRIC_L1: return c_tier.l1(query, row, DIM);
    case METRIC_CHEBYSHEV: return c_tier.chebyshev(query, row, DIM);
    default: return -c_tier.dot(query, row, DIM);
    }
}

static int compare(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return scored_before(*x, *y) ? -1 : scored_before(*y, *x);
}

static void rank(struct problem *p)
{
    p->ranked = allocate((size_t)QUERIES * ROWS, sizeof *p->ranked);
    for (size_t q = 0; q < QUERIES; q++) {
        struct scored *ranked = p->ranked + q * ROWS;
        for (size_t r = 0; r < ROWS; r++)
            ranked[r] =
                (struct scored){ value_of(p->metric, queries + q * DIM, rows + r * DIM), r };
        qsort(ranked, ROWS, sizeof *ranked, compare);
    }
}

static void assert_is_truth(const struct problem *p, const struct search_request *request,
                            const struct search_answer *answer)
{
    for (size_t q = 0; q < answer->query_count; q++) {
        const struct scored *ranked = p->ranked + q * ROWS;
        size_t at = q * answer->k, end = at + answer->k;
        for (size_t r = 0; r < ROWS && at < end; r++) {
            if (!model[ranked[r].row]) continue;
            if (request->limited && ranked[r].value > request->limit) break;
            float score = (p->metric == METRIC_DOT ? -ranked[r].value : ranked[r].value) + 0.0f;
            if (answer->rows[at] != ranked[r].row ||
                memcmp(&answer->scores[at], &score, sizeof score) != 0)
                fail_msg("metric %d, query %zu, place %zu: row %d with %a, expected %d with %a",
                         p->metric, q, at - q * answer->k, (int)answer->rows[at],
                         (double)answer->scores[at], (int)ranked[r].row, (double)score);
            at++, compared++;
        }
        for (; at < end; at++) assert_int_equal(answer->rows[at], WG_NO_ROW);
    }
}

/* --- what is searched --- */

static void encode(struct problem *p, size_t part, const float *values, size_t count)
{
    struct codes *codes = NULL;
    struct encode_params params = { &c_tier, p->metric, DIM, values, count, count, ROW_F32 };
    assert_ok(codes_create(&params, &codes));
    codes_cover(codes, &c_tier, values, count);
    atomic_store(&p->cells[part].codes, codes);
}

static void problem_make(struct problem *p, enum metric metric, enum data_kind kind, bool coded)
{
    *p = (struct problem){ .metric = metric };
    data_fill(&prng, kind, ROWS, DIM, rows);
    data_fill(&prng, kind, QUERIES, DIM, queries);
    rank(p);
    if (!coded || (metric != METRIC_DOT && metric != METRIC_L2)) return;
    encode(p, 0, rows, FIRST_ROWS);
    encode(p, 1, rows + FIRST_ROWS * DIM, ROWS - FIRST_ROWS);
}

static void problem_free(struct problem *p)
{
    for (size_t i = 0; i < 2; i++) {
        struct codes *codes = atomic_load(&p->cells[i].codes);
        codes_destroy(&codes);
    }
    free(p->ranked);
}

static bool is_live(enum pattern pattern, size_t row, double density)
{
    double count = density * (double)ROWS;
    switch (pattern) {
    case TOGETHER: return (double)((row + ROWS - ROWS / 3) % ROWS) < count;
    case AT_ENDS: return (double)row < count / 2 || (double)(ROWS - 1 - row) < count / 2;
    case MIXED: return test_below(&prng, 1000) < (size_t)(row / 700 % 2 ? 1000 : 1000 * density);
    default: return (double)test_below(&prng, 1000000) < 1e6 * density;
    }
}

static void make_live(enum pattern pattern, double density, struct bitmap *out)
{
    assert_ok(bitmap_resize(out, ROWS));
    for (size_t r = 0; r < ROWS; r++) {
        model[r] = is_live(pattern, r, density);
        if (!model[r]) assert_ok(bitmap_clear(out, r));
    }
}

static void make_source(struct problem *p, wg_context *context, const struct bitmap *live,
                        struct source *out)
{
    struct row_batch first = { rows, FIRST_ROWS, &p->cells[0] };
    struct row_batch others = { rows + FIRST_ROWS * DIM, ROWS - FIRST_ROWS, &p->cells[1] };
    assert_ok(source_init(device_set_cpu(context->devices), ROW_F32, DIM, out));
    assert_ok(source_append(out, &first));
    assert_ok(source_append(out, &others));
    assert_ok(source_set_live(out, live));
}

static void check_shapes(struct problem *p, wg_context *context, const struct source *source)
{
    static const size_t ks[] = { 1, 10, ROWS }, query_counts[] = { 1, 5, 17, QUERIES };
    struct search *search = NULL;
    struct search_answer answer;
    struct fp_env env = fp_env_enter();
    assert_ok(search_create(context->devices, &search));
    for (size_t i = 0; i < 12; i++) {
        if (ks[i % 3] == ROWS && query_counts[i / 3] > 5) continue; /* slow, and no other */
        struct search_request request = {
            .source = source,
            .metric = p->metric,
            .queries = queries,
            .query_count = query_counts[i / 3],
            .k = ks[i % 3],
            .limited = test_below(&prng, 3) == 0,
            .limit = p->ranked[ROWS / 4].value,
        };
        assert_ok(search_run(search, &request, &answer));
        assert_is_truth(p, &request, &answer);
    }
    search_destroy(&search);
    fp_env_leave(env);
}

static void check_pattern(struct problem *p, enum pattern pattern, double density)
{
    struct bitmap live = { 0 };
    make_live(pattern, density, &live);
    struct source source = { 0 };
    wg_context *context = contexts[test_below(&prng, 2)];
    make_source(p, context, &live, &source);
    check_shapes(p, context, &source);
    source_fini(&source);
    bitmap_fini(&live);
}

/* Also just below and above where the choice is made. */
static void check_all(enum metric metric, enum data_kind kind, bool coded)
{
    static const double densities[] = {
        0, 1.0 / (double)ROWS, 0.001, 0.01, 0.06, 0.08, 0.1, 0.16, 0.34, 0.42, 0.5, 0.7, 1
    };
    struct problem p;
    problem_make(&p, metric, kind, coded);
    for (int pattern = 0; pattern < PATTERN_COUNT; pattern++)
        for (size_t d = 0; d < sizeof densities / sizeof *densities; d++)
            check_pattern(&p, (enum pattern)pattern, densities[d]);
    problem_free(&p);
}

static void test_every_metric(void **state)
{
    (void)state;
    for (int metric = METRIC_DOT; metric <= METRIC_CHEBYSHEV; metric++)
        check_all((enum metric)metric, metric % 2 ? DATA_UNIT : DATA_FEW, false);
}

static void test_with_codes(void **state)
{
    (void)state;
    check_all(METRIC_L2, DATA_UNIT, true);
    check_all(METRIC_L2, DATA_FEW, true);
    check_all(METRIC_DOT, DATA_FAR, true);
}

static int setup(void **state)
{
    (void)state;
    prng.state = test_seed();
    kernels_init(&c_tier, CPU_C);
    contexts[0] = test_context(NULL, 1);
    contexts[1] = test_context(NULL, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) wg_context_destroy(&contexts[c]);
    printf("%zu places equal to the ranked live rows\n", compared);
    return compared == 0 || mem_in_use() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_metric),
        cmocka_unit_test(test_with_codes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
