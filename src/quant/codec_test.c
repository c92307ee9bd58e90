/* Every codec: tries to break its bound, for dot and L2, by vectors that are hard, queries along
 * what a row's code lost, centres and scales that suit other rows; what is certified of rows is
 * judged in long double. With the margin cut to a tenth scores must be out of bounds and nearest
 * rows go missing: else the data would not be hard enough to show anything. Then what the header
 * promises: sizes, saturation, picked rows, the same bits from every tier, what happens without
 * memory. */
#include "quant/codec.h"

#include "base/mem.h"
#include "device/tier.h"
#include "support/check.h"
#include "support/data.h"
#include "support/hard.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 1600, ROWS = 24, QUERIES = 12, TRIALS = 420 };

static struct kernels c;
static struct prng prng;

/* Some rows and queries, in code. */
struct trial {
    struct codec_params params;
    struct codec_model *model;
    float rows[ROWS * DIM_MAX], queries[QUERIES * DIM_MAX], lost[ROWS * DIM_MAX];
    uint8_t *codes, *query_codes;
    struct codec_row certificates[ROWS];
    struct code_norms norms[QUERIES];
    float scores[QUERIES * ROWS], canonical[QUERIES * ROWS];
};

/* What was broken, of what was tried. */
struct tally {
    size_t pairs, broken, queries, lost;
};

static float allowed(double x)
{
    return (float)fmin(fmax(x, -1e15), 1e15);
}

/* --- a trial --- */

static void train(struct trial *t, const float *rows)
{
    codec_destroy(&t->model);
    t->params.kernels = &c;
    t->params.rows = rows;
    t->params.row_count = ROWS;
    assert_ok(codec_train(&t->params, &t->model));
    free(t->codes);
    free(t->query_codes);
    t->codes = allocate(ROWS * t->model->code_size, 1);
    t->query_codes = allocate(QUERIES * t->model->query_size, 1);
}

/* What the codes lost of the rows: x' - x^, about. */
static void encode_rows(struct trial *t)
{
    size_t dim = t->params.dim;
    codec_encode(t->model, t->rows, ROWS, t->codes, t->certificates);
    for (size_t r = 0; r < ROWS; r++) {
        float *lost = t->lost + r * dim;
        codec_decode(t->model, t->codes + r * t->model->code_size, lost);
        for (size_t i = 0; i < dim; i++) lost[i] = t->rows[r * dim + i] - lost[i];
    }
}

/* Near a row, at it or at the centre; along what its code lost, where the bound is tight; or as it
 * is. */
static void aim(struct trial *t, size_t q)
{
    size_t way = test_below(&prng, 8), r = test_below(&prng, ROWS), dim = t->params.dim;
    for (size_t i = 0; i < dim; i++) {
        float x = t->rows[r * dim + i], *query = &t->queries[q * dim + i];
        double centre = (double)t->model->centre[i], lost = (double)t->lost[r * dim + i];
        double from = t->params.metric == METRIC_L2 ? centre : 0;
        switch (way) {
        case 0: *query = test_below(&prng, 3) ? x : allowed((double)nextafterf(x, 1e15f)); break;
        case 1: *query = (float)centre; break;
        case 2: *query = allowed(from + lost); break;
        case 3: *query = allowed(from - 1000 * lost); break;
        case 4: *query = x * 1e-30f; break;
        case 5: *query = test_below(&prng, 20) ? -x : 0; break;
        default: break;
        }
    }
}

static void score(struct trial *t)
{
    size_t dim = t->params.dim;
    struct codec_queries queries = { t->query_codes, t->norms, QUERIES };
    struct code_rows rows = { t->codes, t->model->code_size, NULL, ROWS };
    for (size_t q = 0; q < QUERIES; q++)
        codec_encode_query(t->model, t->queries + q * dim,
                           t->query_codes + q * t->model->query_size, &t->norms[q]);
    codec_score(t->model, &queries, &rows, t->certificates, t->scores);
    for (size_t i = 0; i < QUERIES * ROWS; i++) {
        const float *query = t->queries + i / ROWS * dim, *row = t->rows + i % ROWS * dim;
        t->canonical[i] =
            t->params.metric == METRIC_L2 ? c.l2(query, row, dim) : c.dot(query, row, dim);
    }
}

static size_t random_dim(void)
{
    static const size_t dims[] = { 511, 512, 513, 1024, 1536, DIM_MAX };
    return test_below(&prng, 30) ? 1 + test_below(&prng, 140) : dims[test_below(&prng, 6)];
}

/* Trained by the rows, or, now and then, by others. */
static void make_trial(struct trial *t, size_t kind, size_t dim)
{
    t->params.dim = dim;
    t->params.centred = test_below(&prng, 3) != 0;
    hard_fill(&prng, test_below(&prng, 5) ? kind : test_below(&prng, HARD_COUNT), t->rows, ROWS,
              dim);
    train(t, t->rows);
    hard_fill(&prng, kind, t->rows, ROWS, dim);
    hard_fill(&prng, kind, t->queries, QUERIES, dim);
    encode_rows(t);
    for (size_t q = 0; q < QUERIES; q++) aim(t, q);
    score(t);
}

static void each_codec_and_metric(struct trial *t, void (*check)(struct trial *t, size_t codec))
{
    for (size_t i = 0; codecs[i]; i++)
        for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
            t->params.codec = codecs[i];
            t->params.metric = (enum metric)metric;
            check(t, i);
        }
}

/* --- what has to hold --- */

/* Is the nearest row left out when all that cannot be it are? */
static bool nearest_is_lost(const struct trial *t, size_t q, double cut)
{
    double sign = t->params.metric == METRIC_L2 ? 1 : -1;
    size_t best = 0;
    for (size_t r = 1; r < ROWS; r++)
        if (sign * (double)t->canonical[q * ROWS + r] <
            sign * (double)t->canonical[q * ROWS + best])
            best = r;
    double kth = sign * (double)t->canonical[q * ROWS + best];
    double bound = cut * codec_bound(t->model, &t->norms[q], &t->certificates[best]);
    return sign * (double)t->scores[q * ROWS + best] - bound > kth;
}

static void tally_trial(const struct trial *t, double cut, struct tally *tally)
{
    for (size_t i = 0; i < QUERIES * ROWS; i++, tally->pairs++) {
        double bound = codec_bound(t->model, &t->norms[i / ROWS], &t->certificates[i % ROWS]);
        long double off = fabsl((long double)t->scores[i] - (long double)t->canonical[i]);
        tally->broken += !(off <= (long double)(cut * bound));
    }
    for (size_t q = 0; q < QUERIES; q++, tally->queries++)
        tally->lost += nearest_is_lost(t, q, cut);
}

static void try_to_break(struct trial *t, size_t codec)
{
    struct tally whole = { 0 }, tenth = { 0 };
    (void)codec;
    for (size_t i = 0; i < TRIALS; i++) {
        size_t kind = i % HARD_COUNT, before = whole.broken + whole.lost;
        make_trial(t, kind, random_dim());
        tally_trial(t, 1, &whole);
        tally_trial(t, 0.1, &tenth);
        if (whole.broken + whole.lost > before)
            fail_msg("%s, metric %d, dim %zu, %s: a score is out of its bound",
                     t->params.codec->name, t->params.metric, t->params.dim, hard_name(kind));
    }
    printf("%-6s %s: %zu scores within their bounds; at a tenth %zu are not, and %zu of %zu "
           "nearest rows go missing\n",
           t->params.codec->name, t->params.metric == METRIC_L2 ? "l2 " : "dot", whole.pairs,
           tenth.broken, tenth.lost, tenth.queries);
    assert_true(whole.pairs >= 100000 && tenth.broken > 100 && tenth.lost > 0);
}

static void no_score_is_out_of_its_bound(void **state)
{
    each_codec_and_metric(*state, try_to_break);
}

/* What a code stands for, from the table's own decoder. */
static void decode(const struct trial *t, size_t r, float *coded)
{
    const struct codec_model *m = t->model;
    for (size_t i = 0; i < m->dim; i += CODEC_BLOCK) {
        size_t count = m->dim - i < CODEC_BLOCK ? m->dim - i : CODEC_BLOCK;
        m->codec->decode(m,
                         t->codes + r * m->code_size +
                             i / CODEC_BLOCK * m->codec->code_size(CODEC_BLOCK),
                         count, coded + i);
    }
}

/* r >= |e|, n >= |x^|, at least |x'|^2, and none far off. */
static void check_certificate(const struct trial *t, size_t r)
{
    static float coded[DIM_MAX];
    long double error = 0, norm = 0, value = 0;
    const struct codec_row *row = &t->certificates[r];
    long double own = (long double)row->error, n = (long double)row->norm;
    long double square = (long double)row->square;
    decode(t, r, coded);
    for (size_t i = 0; i < t->params.dim; i++) {
        long double x = (long double)t->rows[r * t->params.dim + i];
        x -= (long double)t->model->centre[i];
        error += (x - (long double)coded[i]) * (x - (long double)coded[i]);
        norm += (long double)coded[i] * (long double)coded[i], value += x * x;
    }
    assert_true(own * own >= error && n * n >= norm && square >= value);
    assert_true(own <= sqrtl(error) * 1.001L + sqrtl(value) * 0x1p-22L + 0x1p-63L);
    assert_true(n <= sqrtl(norm) * 1.001L + 0x1p-63L);
    assert_true(square <= value * 1.001L + 0x1p-140L);
}

static void check_certificates(struct trial *t, size_t codec)
{
    (void)codec;
    for (size_t i = 0; i < 100; i++) {
        make_trial(t, i % HARD_COUNT, random_dim());
        for (size_t r = 0; r < ROWS; r++) check_certificate(t, r);
    }
}

static void certificates_say_what_was_lost(void **state)
{
    each_codec_and_metric(*state, check_certificates);
}

static float largest_bound(const struct trial *t)
{
    float largest = 0;
    for (size_t i = 0; i < QUERIES * ROWS; i++)
        largest = fmaxf(largest, (float)codec_bound(t->model, &t->norms[i / ROWS],
                                                    &t->certificates[i % ROWS]));
    return largest;
}

/* A bound that is always huge would pass all the tests above. Of |q||x|, about dim / 3: */
static void bounds_are_as_small_as_codes_are_fine(void **state)
{
    struct trial *t = *state;
    static const struct {
        const char *name;
        float most;
    } expected[] = { { "f16", 0.0006f }, { "bf16", 0.004f }, { "int8", 0.015f },
                     { "int6", 0.05f },  { "int4", 0.2f },   { "binary", 2 } };
    t->params.metric = METRIC_DOT;
    for (size_t e = 0; e < sizeof expected / sizeof *expected; e++) {
        t->params.codec = codec_find(expected[e].name);
        assert_non_null(t->params.codec);
        t->params.dim = 768, t->params.centred = true;
        for (size_t i = 0; i < ROWS * 768; i++) t->rows[i] = prng_unit(&prng);
        for (size_t i = 0; i < QUERIES * 768; i++) t->queries[i] = prng_unit(&prng);
        train(t, t->rows);
        encode_rows(t);
        score(t);
        printf("%s: %.5f\n", expected[e].name, (double)(largest_bound(t) / (768 / 3.0f)));
        assert_true(largest_bound(t) < expected[e].most * 768 / 3);
    }
}

/* --- the rest of the header --- */

static void codes_are_whole_units_and_have_their_size(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t dim, size;
    } expected[] = {
        { "f16", 1, 64 },    { "f16", 33, 128 },   { "bf16", 768, 1536 }, { "int8", 64, 64 },
        { "int8", 65, 128 }, { "int6", 128, 128 }, { "int6", 256, 192 },  { "int6", 768, 576 },
        { "int4", 128, 64 }, { "int4", 129, 128 }, { "binary", 512, 64 }, { "binary", 513, 128 },
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(codec_find(expected[i].name)->code_size(expected[i].dim),
                         expected[i].size);
    for (size_t i = 0; codecs[i]; i++)
        for (size_t dim = 1; dim < 2000; dim++)
            assert_int_equal(codecs[i]->code_size(dim) % CODE_UNIT, 0);
    assert_null(codec_find("int5"));
}

static void check_scale(struct trial *t, size_t codec)
{
    (void)codec;
    for (size_t kind = 0; kind < HARD_COUNT; kind++) {
        int exponent;
        make_trial(t, kind, 20);
        float scale = t->model->scale;
        assert_true(scale >= 0x1p-60f && isfinite(scale));
        if (t->params.codec == &codec_f16) assert_true(frexpf(scale, &exponent) == 0.5f);
        for (int code = 1; code <= t->params.codec->code_max; code++)
            assert_true((double)(scale * (float)code) == (double)scale * code);
    }
}

static void scales_are_not_too_small_and_their_products_exact(void **state)
{
    each_codec_and_metric(*state, check_scale);
}

/* What is known of one component behind a centre of 0: rows from -2 to 2. */
static float decoded(struct trial *t, float value)
{
    static float rows[ROWS];
    uint8_t code[4 * CODE_UNIT];
    struct codec_row row;
    for (size_t r = 0; r < ROWS; r++) rows[r] = r % 2 ? 2 : -2;
    t->params.dim = 1, t->params.metric = METRIC_DOT, t->params.centred = false;
    train(t, rows);
    codec_encode(t->model, &value, 1, code, &row);
    codec_decode(t->model, code, &value);
    return value;
}

static void codes_saturate_and_denormals_are_flushed(void **state)
{
    struct trial *t = *state;
    t->params.codec = &codec_f16;
    assert_true(decoded(t, 1e15f) == 65504 * t->model->scale && t->model->scale == 0x1p-14f);
    assert_true(decoded(t, -1e15f) == -65504 * t->model->scale);
    assert_true(decoded(t, 0x1p-28f) == 0x1p-28f && decoded(t, -0x1.8p-29f) == 0);
    assert_true(decoded(t, 1 + 0x1p-11f) == 1 && decoded(t, 1 + 0x1.8p-10f) == 1 + 0x1p-9f);
    t->params.codec = &codec_bf16;
    assert_true(decoded(t, 0x1p-126f) == 0x1p-126f && decoded(t, 0x1p-127f) == 0);
    assert_true(decoded(t, 1 + 0x1p-8f) == 1 && decoded(t, 1 + 0x1.8p-7f) == 1 + 0x1p-6f);
    for (size_t i = 0; codecs[i]; i++) {
        int most = codecs[i]->code_max;
        t->params.codec = codecs[i];
        if (most == 0) continue;
        assert_true(decoded(t, 1e15f) == (float)most * t->model->scale);
        assert_true(decoded(t, -1e15f) == (float)-most * t->model->scale);
        assert_true(decoded(t, FLT_TRUE_MIN) == 0);
    }
    t->params.codec = &codec_binary;
    assert_true(decoded(t, 1e15f) == 2 && decoded(t, -1e-40f) == -2);
}

/* Rows that are picked, in any order and again, have the score that they have among all; so do as
 * many where they stand. */
static void check_picked(struct trial *t, size_t codec)
{
    static float scores[3 * ROWS], in_place[3 * ROWS];
    static struct codec_row certificates[3 * ROWS];
    uint32_t at[3 * ROWS];
    (void)codec;
    make_trial(t, 0, 1 + test_below(&prng, 1000));
    for (size_t i = 0; i < 3 * ROWS; i++) at[i] = (uint32_t)test_below(&prng, ROWS);
    size_t size = t->model->code_size;
    uint8_t *codes = allocate(3 * ROWS, size);
    for (size_t i = 0; i < 3 * ROWS; i++) {
        memcpy(codes + i * size, t->codes + at[i] * size, size);
        certificates[i] = t->certificates[at[i]];
    }
    struct code_rows rows = { t->codes, size, at, 3 * ROWS };
    struct code_rows copied = { codes, size, NULL, 3 * ROWS };
    for (size_t q = 0; q < QUERIES; q++) {
        struct codec_queries one = { t->query_codes + q * t->model->query_size, &t->norms[q], 1 };
        codec_score(t->model, &one, &rows, t->certificates, scores);
        for (size_t i = 0; i < 3 * ROWS; i++)
            assert_memory_equal(&scores[i], &t->scores[q * ROWS + at[i]], sizeof *scores);
        codec_score(t->model, &one, &copied, certificates, in_place);
        assert_memory_equal(in_place, scores, sizeof scores);
    }
    free(codes);
}

static void picked_rows_have_the_same_scores(void **state)
{
    each_codec_and_metric(*state, check_picked);
}

/* Of another tier's kernels: model, codes, queries, scores. */
static void check_tier(struct trial *t, const struct kernels *kernels)
{
    static float scores[QUERIES * ROWS];
    struct codec_params params = t->params;
    struct codec_model *model = NULL, *own = t->model;
    params.kernels = kernels;
    assert_ok(codec_train(&params, &model));
    assert_memory_equal(model->centre, own->centre, params.dim * sizeof *model->centre);
    assert_memory_equal(&model->scale, &own->scale, sizeof model->scale);
    memcpy(scores, t->scores, sizeof scores);
    t->model = model;
    score(t);
    t->model = own;
    codec_destroy(&model);
    assert_memory_equal(scores, t->scores, sizeof scores);
}

static void check_tiers(struct trial *t, size_t codec)
{
    struct kernels kernels;
    (void)codec;
    for (size_t i = 0; i < 2 * HARD_COUNT; i++)
        for (int tier = CPU_C; tier < CPU_TIER_COUNT; tier++) {
            if (!tier_is_here((enum cpu_tier)tier)) continue;
            kernels_init(&kernels, (enum cpu_tier)tier);
            make_trial(t, i % HARD_COUNT, random_dim());
            train(t, t->rows);
            encode_rows(t);
            score(t);
            check_tier(t, &kernels);
        }
}

static void every_tier_gives_the_same_bits(void **state)
{
    each_codec_and_metric(*state, check_tiers);
}

static void check_shortage(struct trial *t, size_t codec)
{
    (void)codec;
    make_trial(t, 0, 20);
    size_t before = mem_in_use();
    uint64_t request = 1;
    for (;; request++) {
        struct codec_model *model = NULL;
        mem_fail_at(request);
        wg_err err = codec_train(&t->params, &model);
        mem_fail_at(0);
        if (err == WG_OK) codec_destroy(&model);
        assert_null(model); /* written on success only */
        assert_int_equal(mem_in_use(), before);
        if (err == WG_OK) break;
        assert_int_equal(err, WG_ENOMEM);
    }
    assert_true(request > 2);
    mem_fail_at(1); /* nothing else allocates */
    encode_rows(t);
    score(t);
    mem_fail_at(0);
    assert_int_equal(mem_in_use(), before);
}

static void an_allocation_that_fails_leaves_nothing(void **state)
{
    each_codec_and_metric(*state, check_shortage);
}

static int set_up(void **state)
{
    struct trial *t = allocate(1, sizeof *t);
    memset(t, 0, sizeof *t);
    kernels_init(&c, CPU_C);
    prng.state = test_seed();
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct trial *t = *state;
    codec_destroy(&t->model);
    free(t->codes);
    free(t->query_codes);
    free(t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_score_is_out_of_its_bound),
        cmocka_unit_test(certificates_say_what_was_lost),
        cmocka_unit_test(bounds_are_as_small_as_codes_are_fine),
        cmocka_unit_test(codes_are_whole_units_and_have_their_size),
        cmocka_unit_test(scales_are_not_too_small_and_their_products_exact),
        cmocka_unit_test(codes_saturate_and_denormals_are_flushed),
        cmocka_unit_test(picked_rows_have_the_same_scores),
        cmocka_unit_test(every_tier_gives_the_same_bits),
        cmocka_unit_test(an_allocation_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
