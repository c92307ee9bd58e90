/* Tries to break the certificate of scores proposed by eight-bit codes: a row whose canonical value
 * is at most kth must be kept. The hardest kth is the row's own value. Rows are coded and sifted by
 * the C tier, whatever the centre and the scale; queries are coded here. What stands beside the
 * codes is judged in long double. With the margins cut to a tenth, rows must go missing: else the
 * data would not be hard enough to show anything. */
#include "device/code_bound.h"
#include "device/device.h"
#include "support/check.h"
#include "support/hard.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 65536, QUERIES_MAX = 14, QUERY_ROOM = QUERIES_MAX, TIGHT_TRIALS = 32 };

static struct kernels c;
static struct prng prng;

/* By how much margins are cut: 1 is the certificate as it is. */
struct cut {
    double error, norm, chain;
};

static const struct cut whole = { 1, 1, 1 }, tenth = { 0.1, 0.1, 0.1 };

/* PANEL_ROWS rows in code and some queries in code. */
struct trial {
    enum metric metric;
    size_t dim, query_count;
    int8_t code_max;
    bool careless; /* queries' codes, now and then */
    struct cut cut;
    struct code_bound bound;
    float *rows, *queries, *centre;
    float scale;
    struct code_sums sums;
    uint8_t *codes;
    float offsets[PANEL_ROWS], own_errors[PANEL_ROWS], error, norm;
    int8_t *plain, *packed; /* the queries' codes: query by query; as sift_codes wants them */
    struct code_norms norms[QUERIES_MAX];
    struct code_query each[QUERIES_MAX];
    int64_t dots[QUERIES_MAX][PANEL_ROWS];
    float values[QUERIES_MAX][PANEL_ROWS]; /* canonical, the lower the better */
};

static float allowed(double x)
{
    return (float)fmin(fmax(x, -1e15), 1e15);
}

/* --- a trial from rows, queries, a centre and a scale --- */

static int code_at(const struct trial *t, size_t r, size_t i)
{
    return t->codes[(i / CODE_STEP * PANEL_ROWS + r) * CODE_STEP + i % CODE_STEP] - 128;
}

/* What is coded of a query. */
static double component_of(const struct trial *t, size_t q, size_t i)
{
    double x = (double)t->queries[q * t->dim + i];
    return t->metric == METRIC_L2 ? x - (double)t->centre[i] : x;
}

static void encode_rows(struct trial *t)
{
    struct coder coder = { t->centre, t->scale, 1 / t->scale, t->dim };
    c.encode(&coder, t->rows, t->codes, &t->sums);
    t->error = t->norm = 0;
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        float own = code_bound_error(&t->bound, (double)t->sums.error[r], (double)t->sums.value[r]);
        own *= (float)t->cut.error;
        t->own_errors[r] = own;
        t->offsets[r] = t->metric == METRIC_L2 ? code_bound_offset_l2(&t->bound, t->sums.value[r])
                                               : code_bound_offset_dot(&t->bound, own);
        t->error = fmaxf(t->error, own);
        t->norm =
            fmaxf(t->norm, code_bound_norm_behind(&t->bound, t->own_errors[r], t->sums.value[r]));
    }
}

static void choose_step(struct trial *t, size_t q)
{
    double largest = 0;
    for (size_t i = 0; i < t->dim; i++) largest = fmax(largest, fabs(component_of(t, q, i)));
    t->norms[q].step = fmaxf((float)(largest / t->code_max), 0x1p-60f);
}

/* Careless codes are no excuse: the certificate knows what they lost. */
static void encode_query(struct trial *t, size_t q)
{
    struct code_norms *n = &t->norms[q];
    double value = 0, code_norm = 0, error = 0, centre = 0, step;
    bool carelessly = t->careless && test_below(&prng, 8) == 0;
    choose_step(t, q);
    step = (double)n->step;
    n->shift = 0;
    for (size_t i = 0; i < t->dim; i++) {
        double x = component_of(t, q, i), code = nearbyint(x / step);
        if (carelessly) code += (double)test_below(&prng, 9) - 4;
        code = fmin(fmax(code, -t->code_max), t->code_max);
        t->plain[q * t->dim + i] = (int8_t)code;
        value += x * x;
        code_norm += step * code * step * code;
        error += (x - step * code) * (x - step * code);
        centre += (double)t->centre[i] * (double)t->centre[i];
        n->shift += (double)t->queries[q * t->dim + i] * (double)t->centre[i];
    }
    n->value = sqrt(value), n->code = sqrt(code_norm), n->error = sqrt(error);
    n->centre = sqrt(centre);
}

static void pack_query(struct trial *t, size_t q)
{
    int32_t sum = 0;
    for (size_t i = 0; i < code_step_count(t->dim) * CODE_STEP; i++) {
        int8_t code = i < t->dim ? t->plain[q * t->dim + i] : 0;
        t->packed[code_layout_at(&c.code_layout, t->dim, q, i)] = code;
        sum += code;
    }
    t->each[q] = t->metric == METRIC_L2 ? code_bound_query_l2(&t->norms[q], t->scale)
                                        : code_bound_query_dot(&t->bound, &t->norms[q], t->scale);
    t->each[q].norm_factor *= (float)t->cut.norm;
    t->each[q].start = -128 * sum;
}

static void score_all(struct trial *t)
{
    for (size_t i = 0; i < t->query_count * PANEL_ROWS; i++) {
        size_t q = i / PANEL_ROWS, r = i % PANEL_ROWS, dim = t->dim;
        const float *query = t->queries + q * dim, *row = t->rows + r * dim;
        t->values[q][r] = t->metric == METRIC_L2 ? c.l2(query, row, dim) : -c.dot(query, row, dim);
        t->dots[q][r] = 0;
        for (size_t j = 0; j < dim; j++) t->dots[q][r] += t->plain[q * dim + j] * code_at(t, r, j);
    }
}

static void trial_make(struct trial *t, const struct cut *cut)
{
    t->cut = *cut;
    t->bound = code_bound_of_dim(t->dim);
    t->bound.chain *= cut->chain;
    t->bound.kth_factor = 1 + (t->bound.kth_factor - 1) * cut->chain;
    encode_rows(t);
    for (size_t q = 0; q < t->query_count; q++) {
        encode_query(t, q);
        pack_query(t, q);
    }
    score_all(t);
}

/* --- what has to hold --- */

static float limit_of(const struct trial *t, size_t q, float kth)
{
    return t->metric == METRIC_L2 ? code_bound_limit_l2(&t->bound, &t->norms[q], kth)
                                  : code_bound_limit_dot(&t->bound, &t->norms[q], kth);
}

/* As kernel_sift_codes says it. */
static bool excludes(const struct trial *t, size_t q, size_t r, float kth)
{
    const struct code_query *query = &t->each[q];
    float limit =
        fmaf(query->error_factor, t->error, fmaf(query->norm_factor, t->norm, limit_of(t, q, kth)));
    return fmaf(query->scale, (float)t->dots[q][r], t->offsets[r]) > limit;
}

static size_t count_wrong(const struct trial *t)
{
    size_t wrong = 0;
    for (size_t i = 0; i < t->query_count * PANEL_ROWS; i++)
        wrong +=
            excludes(t, i / PANEL_ROWS, i % PANEL_ROWS, t->values[i / PANEL_ROWS][i % PANEL_ROWS]);
    return wrong;
}

static void check_pair(const struct trial *t, const char *what, size_t q, size_t r)
{
    float value = t->values[q][r];
    const float kths[] = { value, nextafterf(value, INFINITY), value + fabsf(value), FLT_MAX,
                           INFINITY };
    for (size_t i = 0; i < sizeof kths / sizeof *kths; i++)
        if (excludes(t, q, r, kths[i]))
            fail_msg("%s, dim %zu, metric %d: a row at %a is excluded by kth %a", what, t->dim,
                     t->metric, (double)value, (double)kths[i]);
}

/* The kernel, told another row's value for each query. */
static void check_sifted(struct trial *t, const char *what)
{
    uint32_t kept[QUERIES_MAX];
    float kths[QUERIES_MAX];
    struct code_panels panel = { t->codes, t->offsets, &t->error, &t->norm, t->dim, 1 };
    for (size_t q = 0; q < t->query_count; q++) {
        kths[q] = t->values[q][test_below(&prng, PANEL_ROWS)];
        t->each[q].limit = limit_of(t, q, kths[q]);
    }
    c.sift_codes(&(struct code_queries){ t->packed, t->each, t->query_count }, &panel, kept);
    for (size_t i = 0; i < t->query_count * PANEL_ROWS; i++) {
        size_t q = i / PANEL_ROWS, r = i % PANEL_ROWS;
        bool is_kept = kept[q] >> r & 1;
        assert_int_equal(is_kept, !excludes(t, q, r, kths[q]));
        if (t->values[q][r] <= kths[q] && !is_kept)
            fail_msg("%s, dim %zu, metric %d: row %zu at %a is sifted out by kth %a", what, t->dim,
                     t->metric, r, (double)t->values[q][r], (double)kths[q]);
    }
}

/* r >= |e|, n >= |x^|; the offset is below |x'|^2, or below -r, and none is far off. */
static void check_row(const struct trial *t, size_t r)
{
    long double error = 0, code_norm = 0, value = 0, scale = (long double)t->scale;
    for (size_t i = 0; i < t->dim; i++) {
        long double x = (long double)t->rows[r * t->dim + i] - (long double)t->centre[i];
        long double code = scale * (long double)code_at(t, r, i);
        error += (x - code) * (x - code), code_norm += code * code, value += x * x;
    }
    long double own = (long double)t->own_errors[r], norm = (long double)t->norm;
    long double offset = (long double)t->offsets[r], least = (long double)t->dim * 0x1p-149L;
    assert_true(own * own >= error);
    assert_true(own <= sqrtl(error) * 1.001L + sqrtl(value) * 0x1p-22L + 0x1p-63L);
    assert_true(norm * norm >= code_norm);
    if (t->metric == METRIC_DOT)
        assert_true(offset <= -own && offset >= -own * 1.001L);
    else
        assert_true(offset <= value + least && offset >= value * 0.999L - 2 * least);
}

/* y.x' <= step scale D + s n + |y| r, each query with each row. */
static void check_products(const struct trial *t)
{
    for (size_t i = 0; i < t->query_count * PANEL_ROWS; i++) {
        size_t q = i / PANEL_ROWS, r = i % PANEL_ROWS;
        const struct code_norms *n = &t->norms[q];
        long double exact = 0, most;
        for (size_t j = 0; j < t->dim; j++) {
            long double x = (long double)t->rows[r * t->dim + j] - (long double)t->centre[j];
            exact += (long double)component_of(t, q, j) * x;
        }
        most = (long double)n->step * (long double)t->scale * (long double)t->dots[q][r];
        most += (long double)n->error * (long double)t->norm * (1 + 0x1p-36L);
        most += (long double)n->value * (long double)t->own_errors[r] * (1 + 0x1p-36L);
        assert_true(exact <= most);
    }
}

/* --- vectors --- */

static void choose_centre(struct trial *t)
{
    size_t way = test_below(&prng, 6), row = test_below(&prng, PANEL_ROWS);
    float far = test_below(&prng, 2) ? 1e15f : 1e5f;
    for (size_t i = 0; i < t->dim; i++) {
        double sum = 0;
        for (size_t r = 0; r < PANEL_ROWS; r++) sum += (double)t->rows[r * t->dim + i];
        switch (way) {
        case 0: t->centre[i] = 0; break;
        case 1: t->centre[i] = t->rows[row * t->dim + i]; break;
        case 2: t->centre[i] = far * prng_unit(&prng); break;
        default: t->centre[i] = (float)(sum / (double)PANEL_ROWS); break;
        }
    }
}

/* Fine for all rows; or some are clipped, or all; or all codes are 0, or nearly. */
static void choose_scale(struct trial *t)
{
    static const double factors[] = { 1, 1, 1, 0.5, 1e-3, 1e-18, 127, 1e6 };
    double largest = 0, factor = factors[test_below(&prng, 8)];
    for (size_t i = 0; i < PANEL_ROWS * t->dim; i++)
        largest = fmax(largest, fabs((double)t->rows[i] - (double)t->centre[i % t->dim]));
    t->scale = (float)fmax(largest / (double)CODE_MAX * factor, 0x1p-60);
}

/* Queries near a row, at a row or at the centre; along what a row's code lost of it: there the
 * certificate is tight; or none of these. */
static void aim(struct trial *t, size_t q)
{
    size_t way = test_below(&prng, 9), r = test_below(&prng, PANEL_ROWS);
    for (size_t i = 0; i < t->dim; i++) {
        float x = t->rows[r * t->dim + i], centre = t->centre[i], *query = t->queries + q * t->dim;
        double lost = (double)x - (double)centre - (double)t->scale * code_at(t, r, i);
        double from = t->metric == METRIC_L2 ? (double)centre : 0;
        switch (way) {
        case 0: query[i] = x; break;
        case 1: query[i] = test_below(&prng, 2) ? x : allowed((double)nextafterf(x, 1e15f)); break;
        case 2: query[i] = centre; break;
        case 3: query[i] = allowed(from + lost); break;
        case 4: query[i] = allowed(from + 1000 * lost); break;
        case 5: query[i] = x * 1e-30f; break;
        case 6: query[i] = test_below(&prng, 20) ? -x : 0; break;
        default: break; /* as it is */
        }
    }
    if (way == 7) memset(t->queries + q * t->dim, 0, t->dim * sizeof *t->queries);
}

static void make_random(struct trial *t, size_t kind, size_t dim, const struct cut *cut)
{
    t->dim = dim;
    t->query_count = dim > 300 ? 1 + test_below(&prng, 3) : 1 + test_below(&prng, QUERIES_MAX);
    t->code_max = test_below(&prng, 2) ? CODE_MAX : 64;
    hard_fill(&prng, kind, t->rows, PANEL_ROWS, dim);
    hard_fill(&prng, kind, t->queries, t->query_count, dim);
    t->careless = cut == &whole;
    choose_centre(t);
    choose_scale(t);
    t->bound = code_bound_of_dim(dim);
    encode_rows(t); /* aim looks at codes */
    for (size_t q = 0; q < t->query_count; q++) aim(t, q);
    trial_make(t, cut);
}

static size_t next_dim(size_t dim)
{
    static const size_t dims[] = { 100, 128, 784, 1536, DIM_MAX };
    if (dim < 40) return dim + 1;
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        if (dim < dims[i]) return dims[i];
    return 0;
}

/* A round at the largest dimension takes as long as many others: some kinds there. */
static size_t rounds_of(size_t dim, size_t kind)
{
    return dim <= 128 ? 8 : dim < DIM_MAX ? 2 : kind % 5 == 0;
}

static void no_row_that_is_near_is_excluded(void **state)
{
    struct trial *t = *state;
    size_t checked = 0;
    for (size_t kind = 0; kind < HARD_COUNT; kind++)
        for (size_t dim = 1; dim != 0; dim = next_dim(dim))
            for (size_t i = 2 * rounds_of(dim, kind); i > 0; i--) {
                t->metric = i % 2 ? METRIC_L2 : METRIC_DOT;
                make_random(t, kind, dim, &whole);
                for (size_t r = 0; r < PANEL_ROWS; r++) check_row(t, r);
                check_products(t);
                check_sifted(t, hard_name(kind));
                for (size_t p = 0; p < t->query_count * PANEL_ROWS; p++)
                    check_pair(t, hard_name(kind), p / PANEL_ROWS, p % PANEL_ROWS);
                checked += t->query_count * PANEL_ROWS;
            }
    printf("%zu pairs, none excluded by its own value\n", checked);
    assert_true(checked > 500000);
}

/* --- that the data are hard enough, and the certificate of use --- */

static void random_rows_go_missing_at_a_tenth(void **state)
{
    struct trial *t = *state;
    size_t wrong[METRIC_COUNT] = { 0 }, pairs = 0;
    for (size_t kind = 0; kind < HARD_COUNT; kind++)
        for (size_t dim = 1; dim < 784; dim = next_dim(dim))
            for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
                t->metric = (enum metric)metric;
                make_random(t, kind, dim, &tenth);
                wrong[metric] += count_wrong(t);
                pairs += t->query_count * PANEL_ROWS;
            }
    printf("%zu pairs at a tenth: %zu and %zu wrongly excluded\n", pairs, wrong[METRIC_DOT],
           wrong[METRIC_L2]);
    assert_true(wrong[METRIC_DOT] > 100 && wrong[METRIC_L2] > 100);
}

static float sign(void)
{
    return test_below(&prng, 2) ? 1 : -1;
}

/* Queries' codes are exact, and rows lose nearly half a step each, all along the query. */
static void make_tight_error(struct trial *t)
{
    t->scale = 1;
    for (size_t i = 0; i < t->dim; i++) {
        float s = sign();
        t->queries[i] = t->code_max * s;
        for (size_t r = 0; r < PANEL_ROWS; r++)
            t->rows[r * t->dim + i] = (float)test_below(&prng, 253) - 126 + 0.49f * s;
    }
}

/* Rows' codes are exact, and the query loses nearly half a step each, all along the rows. */
static void make_tight_norm(struct trial *t)
{
    t->scale = 1;
    for (size_t i = 0; i < t->dim; i++) {
        float s = sign(), code = (float)test_below(&prng, 100) - 50;
        t->queries[i] = i == 0 ? (float)t->code_max : code + 0.49f * s;
        for (size_t r = 0; r < PANEL_ROWS; r++) t->rows[r * t->dim + i] = (float)CODE_MAX * s;
    }
}

/* All codes are exact, and every addition of the canonical score rounds the same way. */
static void make_tight_chain(struct trial *t)
{
    float a = 1 + fabsf(prng_unit(&prng)), b = t->metric == METRIC_L2 ? -3 : 1 + prng_unit(&prng);
    t->scale = a / (float)CODE_MAX;
    for (size_t i = 0; i < t->dim; i++) t->queries[i] = b * a;
    for (size_t i = 0; i < PANEL_ROWS * t->dim; i++) t->rows[i] = a;
}

static void (*const tight[])(struct trial *t) = { make_tight_error, make_tight_norm,
                                                  make_tight_chain };
static const struct cut one_cut[] = { { 0.1, 1, 1 }, { 1, 0.1, 1 }, { 1, 1, 0.1 } };

/* How many of some trials have a row that goes missing. */
static size_t count_broken(struct trial *t, size_t term, size_t dim, const struct cut *cut)
{
    size_t broken = 0;
    t->dim = dim;
    t->query_count = 1;
    t->careless = false;
    memset(t->centre, 0, dim * sizeof *t->centre);
    for (size_t i = 0; i < TIGHT_TRIALS; i++) {
        t->code_max = i % 2 ? CODE_MAX : 64;
        tight[term](t);
        trial_make(t, cut);
        broken += count_wrong(t) > 0;
    }
    return broken;
}

/* Each term on its own, where it is tight; chance decides which way a chain is rounded. */
static void no_term_can_be_cut_to_a_tenth(void **state)
{
    struct trial *t = *state;
    static const size_t dims[][3] = { { 2, 100, 1536 }, { 2, 100, 1536 }, { 2048, 4096, 8192 } };
    static const size_t broken_min[] = { 3 * TIGHT_TRIALS, 3 * TIGHT_TRIALS, 1 };
    for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++)
        for (size_t term = 0; term < 3; term++) {
            size_t broken = 0;
            t->metric = (enum metric)metric;
            for (size_t d = 0; d < 3; d++) {
                assert_int_equal(count_broken(t, term, dims[term][d], &whole), 0);
                broken += count_broken(t, term, dims[term][d], &one_cut[term]);
            }
            printf("metric %d, term %zu at a tenth: %zu of %d trials lose a row\n", metric, term,
                   broken, 3 * TIGHT_TRIALS);
            assert_true(broken >= broken_min[term]);
        }
}

/* A certificate that excludes nothing would pass all the tests above. */
static void nearly_all_that_are_far_are_excluded(void **state)
{
    struct trial *t = *state;
    size_t excluded = 0, pairs = 0;
    for (size_t dim = 16; dim != 0 && dim < DIM_MAX; dim = next_dim(dim))
        for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
            t->metric = (enum metric)metric, t->dim = dim, t->query_count = QUERIES_MAX;
            t->code_max = CODE_MAX, t->scale = 1.0f / (float)CODE_MAX, t->careless = false;
            memset(t->centre, 0, dim * sizeof *t->centre);
            for (size_t i = 0; i < PANEL_ROWS * dim; i++) t->rows[i] = prng_unit(&prng);
            for (size_t i = 0; i < QUERIES_MAX * dim; i++) t->queries[i] = prng_unit(&prng);
            trial_make(t, &whole);
            for (size_t i = 0; i < QUERIES_MAX * PANEL_ROWS; i++, pairs++) {
                size_t q = i / PANEL_ROWS, r = i % PANEL_ROWS;
                float apart = 0.02f * (float)dim * (metric == METRIC_L2 ? 1.0f : 0.4f);
                excluded += excludes(t, q, r, t->values[q][r] - apart);
            }
        }
    printf("%zu of %zu rows excluded\n", excluded, pairs);
    assert_true(excluded > pairs * 9 / 10);
}

/* Thresholds that a user chose, below whatever there is. */
static void limits_are_numbers_for_any_threshold(void **state)
{
    struct trial *t = *state;
    for (size_t i = 0; i < 200; i++) {
        t->metric = i % 2 ? METRIC_L2 : METRIC_DOT;
        make_random(t, i % HARD_COUNT, 1 + test_below(&prng, 40), &whole);
        for (size_t q = 0; q < t->query_count; q++) {
            assert_false(isnan(limit_of(t, q, -FLT_MAX)) || isnan(limit_of(t, q, FLT_MAX)));
            assert_true(limit_of(t, q, -FLT_MAX) <= limit_of(t, q, t->values[q][0]));
            assert_true(limit_of(t, q, t->values[q][0]) <= limit_of(t, q, FLT_MAX));
        }
    }
}

/* A query that is too short to divide by excludes nothing. */
static void a_query_of_zeros_excludes_nothing_by_dot(void **state)
{
    struct trial *t = *state;
    t->metric = METRIC_DOT;
    make_random(t, 0, 16, &whole);
    for (size_t i = 0; i < t->query_count * 16; i++) t->queries[i] = i % 3 ? 0 : 0x1p-110f;
    trial_make(t, &whole);
    for (size_t i = 0; i < t->query_count * PANEL_ROWS; i++)
        assert_false(excludes(t, i / PANEL_ROWS, i % PANEL_ROWS, -1e30f));
}

static int set_up(void **state)
{
    kernels_init(&c, CPU_C);
    prng.state = test_seed();
    struct trial *t = allocate(1, sizeof *t);
    t->rows = allocate(PANEL_ROWS * DIM_MAX, sizeof *t->rows);
    t->queries = allocate(QUERIES_MAX * DIM_MAX, sizeof *t->queries);
    t->centre = allocate(DIM_MAX, sizeof *t->centre);
    t->codes = allocate(code_panel_size(DIM_MAX), 1);
    t->plain = allocate(QUERIES_MAX * DIM_MAX, 1);
    t->packed = allocate(QUERY_ROOM * DIM_MAX, 1);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct trial *t = *state;
    free(t->rows);
    free(t->queries);
    free(t->centre);
    free(t->codes);
    free(t->plain);
    free(t->packed);
    free(t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_row_that_is_near_is_excluded),
        cmocka_unit_test(random_rows_go_missing_at_a_tenth),
        cmocka_unit_test(no_term_can_be_cut_to_a_tenth),
        cmocka_unit_test(nearly_all_that_are_far_are_excluded),
        cmocka_unit_test(limits_are_numbers_for_any_threshold),
        cmocka_unit_test(a_query_of_zeros_excludes_nothing_by_dot),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
