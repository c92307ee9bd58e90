/* Scans of rows with codes equal a full scan by the C tier, bit for bit: rows and scores. Every
 * tier that this processor has, one worker and several; spans of odd lengths with codes of all, of
 * some or of none of their rows, or of another metric; masks; every k. What codes exclude is
 * counted, so that nothing passes here because no code was read, or because every row was. */
#include "base/mem.h"
#include "base/topk.h"
#include "device/row.h"
#include "device/set.h"
#include "os/thread.h"
#include "quant/encode.h"
#include "support/check.h"
#include "support/data.h"
#include "support/types.h"
#include "waggle/knn.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPANS_MAX = 6, ENGINES_MAX = 2 * CPU_TIER_COUNT, MANY_THREADS = 3 };

/* A tier with a number of threads. Scans reuse its scratch: whatever one leaves behind, the next
 * one finds. */
struct engine {
    enum cpu_tier tier;
    size_t thread_count;
    struct pool *pool;
    struct background *background;
    struct device_set *set;
    struct kernels kernels, inner; /* those that count, and those that they call */
};

static struct engine engines[ENGINES_MAX];
static size_t engine_count;
static struct kernels c;
static struct prng prng;
static size_t compared;

/* --- kernels that count --- */

static const struct kernels *inner; /* of the engine that scans */
static atomic_size_t sifted, kept_by_codes, scored_plainly; /* pairs of query and row */

static void count_sift_codes(const struct code_queries *queries, const struct code_panels *panels,
                             uint32_t *kept)
{
    inner->sift_codes(queries, panels, kept);
    atomic_fetch_add(&sifted, queries->count * panels->count * PANEL_ROWS);
    for (size_t i = 0; i < queries->count * panels->count; i++)
        atomic_fetch_add(&kept_by_codes, (size_t)__builtin_popcount(kept[i]));
}

static void count_dot_panel(const float *queries, size_t query_count, const struct panel *panel,
                            float *scores, size_t stride)
{
    inner->dot_panel(queries, query_count, panel, scores, stride);
    atomic_fetch_add(&scored_plainly, query_count * PANEL_ROWS);
}

static void count_dot_tile(const float *queries, size_t query_count, const float *rows,
                           size_t row_count, size_t dim, float *scores)
{
    inner->dot_tile(queries, query_count, rows, row_count, dim, scores);
    atomic_fetch_add(&scored_plainly, query_count * row_count);
}

static void count_l2_tile(const float *queries, size_t query_count, const float *rows,
                          size_t row_count, size_t dim, float *scores)
{
    inner->l2_tile(queries, query_count, rows, row_count, dim, scores);
    atomic_fetch_add(&scored_plainly, query_count * row_count);
}

static void forget_counts(void)
{
    sifted = kept_by_codes = scored_plainly = 0;
}

/* tier and thread_count are set. */
static void engine_create(struct engine *e)
{
    kernels_init(&e->inner, e->tier);
    e->kernels = e->inner;
    e->kernels.sift_codes = count_sift_codes;
    e->kernels.dot_panel = count_dot_panel;
    e->kernels.dot_tile = count_dot_tile;
    e->kernels.l2_tile = count_l2_tile;
    assert_ok(pool_create(e->thread_count, &e->pool));
    assert_ok(background_create(&e->background));
    struct device_set_params params = {
        .backends = backends,
        .host = { e->pool, &e->kernels, cpu_tier_name(e->tier) },
        .only = "cpu",
        .background = e->background,
    };
    assert_ok(device_set_create(&params, &e->set));
}

static void engine_destroy(struct engine *e)
{
    device_set_destroy(&e->set);
    background_destroy(&e->background);
    pool_destroy(&e->pool);
}

/* --- problems --- */

/* What codes a span has. */
enum plan { PLAN_NOWHERE, PLAN_NONE, PLAN_ALL, PLAN_SOME, PLAN_OTHER_METRIC, PLAN_COUNT };

struct problem {
    enum metric metric;
    size_t dim, row_count, query_count;
    float *rows, *queries;
    enum row_type type;
    float *inverses; /* of ROW_UNIT_U8, those of the rows' norms */
    char *packed; /* the rows, where they are not f32, and rows are what they are worth */
    struct scored *ranked; /* query_count x row_count, best first */
    size_t span_count, ends[SPANS_MAX];
    enum plan plans[SPANS_MAX];
    struct code_cell cells[SPANS_MAX];
    struct rows *resident[ENGINES_MAX];
};

/* Rows from r on, as they are stored. */
static const void *stored_at(const struct problem *p, size_t r)
{
    return row_at(p->packed ? (void *)p->packed : p->rows, row_size(p->type, p->dim), r);
}

static size_t span_first(const struct problem *p, size_t span)
{
    return span == 0 ? 0 : p->ends[span - 1];
}

static int compare_scored(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return scored_before(*x, *y) ? -1 : scored_before(*y, *x);
}

static void rank_all(struct problem *p)
{
    kernel_pair_f32 *const pairs[] = { c.dot, c.l2, c.l1, c.chebyshev };
    float scale = p->metric == METRIC_DOT ? -1 : 1;
    free(p->ranked);
    p->ranked = allocate(p->query_count * p->row_count, sizeof *p->ranked);
    for (size_t q = 0; q < p->query_count; q++) {
        struct scored *ranked = p->ranked + q * p->row_count;
        for (size_t r = 0; r < p->row_count; r++) {
            float score = pairs[p->metric](p->queries + q * p->dim, p->rows + r * p->dim, p->dim);
            if (p->type == ROW_UNIT_U8) score = score * p->inverses[r] + 0.0f;
            ranked[r] = (struct scored){ scale * score, r };
        }
        qsort(ranked, p->row_count, sizeof *ranked, compare_scored);
    }
}

/* Spans that hold all rows; PLAN_COUNT: any plan. */
static void cut_spans(struct problem *p, size_t span_count, enum plan plan)
{
    static const enum plan any[] = { PLAN_ALL,  PLAN_ALL,  PLAN_ALL,     PLAN_SOME,
                                     PLAN_SOME, PLAN_NONE, PLAN_NOWHERE, PLAN_OTHER_METRIC };
    p->span_count = span_count;
    for (size_t s = 0; s + 1 < span_count; s++) {
        size_t left = p->row_count - span_first(p, s);
        p->ends[s] = span_first(p, s) + test_below(&prng, left / 2 + 1);
    }
    p->ends[span_count - 1] = p->row_count;
    for (size_t s = 0; s < span_count; s++) {
        p->plans[s] = plan;
        if (plan == PLAN_COUNT) p->plans[s] = any[test_below(&prng, sizeof any / sizeof *any)];
    }
}

/* Codes for row_count more rows of the span than are coded. */
static void code_rows(struct problem *p, size_t span, size_t row_count)
{
    size_t first = span_first(p, span), count = p->ends[span] - first;
    bool other = p->plans[span] == PLAN_OTHER_METRIC;
    struct codes *codes = p->cells[span].codes;
    struct encode_params params = {
        .kernels = &c,
        .metric = (p->metric == METRIC_L2) != other ? METRIC_L2 : METRIC_DOT,
        .dim = p->dim,
        .rows = stored_at(p, first),
        .row_count =
            PANEL_ROWS + test_below(&prng, count < PANEL_ROWS ? 1 : count - PANEL_ROWS + 1),
        .capacity = count + test_below(&prng, 100),
        .type = p->type,
    };
    if (count < PANEL_ROWS) return;
    if (!codes) assert_ok(codes_create(&params, &codes));
    size_t end = codes->row_count + row_count;
    codes_cover(codes, &c, params.rows, end < count ? end : count);
    p->cells[span].codes = codes;
}

static void code_spans(struct problem *p)
{
    for (size_t s = 0; s < p->span_count; s++) {
        size_t count = p->ends[s] - span_first(p, s);
        if (p->plans[s] == PLAN_ALL || p->plans[s] == PLAN_OTHER_METRIC) code_rows(p, s, count);
        if (p->plans[s] == PLAN_SOME) code_rows(p, s, test_below(&prng, count + 1));
    }
}

/* Rows of an engine's device; made when they are first wanted. */
static struct rows *rows_at(struct problem *p, size_t engine)
{
    struct slot *cpu = device_set_cpu(engines[engine].set);
    struct rows **rows = &p->resident[engine];
    if (*rows) return *rows;
    assert_ok(slot_rows_create(cpu, p->type, p->dim, rows));
    for (size_t s = 0; s < p->span_count; s++) {
        struct row_batch batch = {
            .values = stored_at(p, span_first(p, s)),
            .count = p->ends[s] - span_first(p, s),
            .codes = p->plans[s] == PLAN_NOWHERE ? NULL : &p->cells[s],
        };
        assert_ok(slot_rows_append(cpu, *rows, &batch));
    }
    return *rows;
}

static void problem_free(struct problem *p)
{
    for (size_t e = 0; e < engine_count; e++)
        if (p->resident[e]) slot_rows_destroy(device_set_cpu(engines[e].set), &p->resident[e]);
    for (size_t s = 0; s < p->span_count; s++) {
        struct codes *codes = p->cells[s].codes;
        codes_destroy(&codes);
    }
    free(p->rows);
    free(p->packed);
    free(p->inverses);
    free(p->queries);
    free(p->ranked);
}

/* --- a search, compared --- */

struct search {
    size_t engine, k, row_first, row_end;
    const bool *live; /* NULL: every row */
    bool limited;
    float limit; /* values above it may be left out */
};

static void compare_query(const struct problem *p, const struct search *s, size_t q,
                          const uint64_t *rows, const float *scores)
{
    size_t i = 0;
    float scale = p->metric == METRIC_DOT ? -1 : 1;
    for (size_t n = 0; n < p->row_count && i < s->k; n++) {
        struct scored want = p->ranked[q * p->row_count + n];
        if (want.row < s->row_first || want.row >= s->row_end) continue;
        if (s->live && !s->live[want.row]) continue;
        if (s->limited && want.value > s->limit && rows[i] == WG_NO_ROW) break;
        float score = scale * want.value + 0.0f;
        if (rows[i] != want.row || memcmp(&scores[i], &score, sizeof score) != 0)
            fail_msg("%s, %zu threads, metric %d, dim %zu, %zu rows, %zu queries, k %zu%s: place "
                     "%zu of query %zu is row %" PRIu64 " with %a, expected row %" PRIu64
                     " with %a",
                     cpu_tier_name(engines[s->engine].tier), engines[s->engine].thread_count,
                     p->metric, p->dim, p->row_count, p->query_count, s->k,
                     s->live ? ", masked" : "", i, q, rows[i], (double)scores[i], want.row,
                     (double)score);
        i++;
    }
    compared += i;
    for (; i < s->k; i++) assert_true(rows[i] == WG_NO_ROW);
}

static void make_mask(struct rows *rows, const struct problem *p, const struct search *s,
                      struct mask **out)
{
    struct bitmap bits = { 0 };
    assert_ok(bitmap_resize(&bits, p->row_count));
    for (size_t r = 0; r < p->row_count; r++)
        if (!s->live[r]) assert_ok(bitmap_clear(&bits, r));
    assert_ok(slot_mask_create(device_set_cpu(engines[s->engine].set), rows, &bits, out));
    bitmap_fini(&bits);
}

static void check(struct problem *p, const struct search *s)
{
    struct slot *cpu = device_set_cpu(engines[s->engine].set);
    struct rows *rows = rows_at(p, s->engine);
    struct mask *mask = NULL;
    struct ticket *ticket = NULL;
    struct stop never = { 0 };
    uint64_t *found_rows = allocate(p->query_count * s->k, sizeof *found_rows);
    float *found_scores = allocate(p->query_count * s->k, sizeof *found_scores);
    if (s->live) make_mask(rows, p, s, &mask);
    struct scan scan = {
        .metric = p->metric,
        .queries = p->queries,
        .query_count = p->query_count,
        .row_first = s->row_first,
        .row_end = s->row_end,
        .mask = mask,
        .k = s->k,
        .limited = s->limited,
        .limit = s->limit,
        .found_rows = found_rows,
        .found_scores = found_scores,
        .stop = &never,
    };
    inner = &engines[s->engine].inner;
    assert_ok(slot_scan_submit(cpu, rows, &scan, &ticket));
    assert_ok(slot_wait(cpu, &ticket));
    for (size_t q = 0; q < p->query_count; q++)
        compare_query(p, s, q, found_rows + q * s->k, found_scores + q * s->k);
    slot_mask_destroy(cpu, &mask);
    free(found_rows);
    free(found_scores);
}

/* --- data --- */

static void fill_equal(float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++) x[i] = i < dim ? prng_unit(&prng) : x[i - dim];
}

static void fill_last_bit(float *x, size_t count, size_t dim)
{
    fill_equal(x, count, dim);
    for (size_t r = 1; r < count; r++) {
        float *one = &x[r * dim + test_below(&prng, dim)];
        *one = nextafterf(*one, test_below(&prng, 2) ? 2 : -2);
    }
}

static void fill_two_clusters(float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++)
        x[i] = (i / dim % 2 ? 1e4f : -1e4f) + ldexpf(prng_unit(&prng), -6);
}

static void fill_one_huge(float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++) x[i] = prng_unit(&prng);
    for (size_t i = 0; i < dim; i++) x[test_below(&prng, count) * dim + i] *= 1e15f;
}

/* One row in fifty is far larger than the scale of codes allows. */
static void fill_cut(float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++)
        x[i] = prng_unit(&prng) * (i / dim % 50 == 49 ? 300.0f : 1.0f);
}

/* Every row is nearer to 0, and every other one longer along it, than those before it. */
static void fill_ever_better(float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++) {
        float left = (float)(count - i / dim) / (float)count;
        x[i] = i / dim % 2 ? left + 1e-3f * prng_unit(&prng) : -1 - (1 - left);
    }
}

/* Clusters, as real vectors have them: codes exclude nearly all. */
static void fill_clusters(float *x, size_t count, size_t dim)
{
    enum { CLUSTERS = 50 };
    float *centres = allocate(CLUSTERS * dim, sizeof *centres);
    for (size_t i = 0; i < CLUSTERS * dim; i++) centres[i] = prng_unit(&prng);
    for (size_t r = 0; r < count; r++) {
        const float *centre = centres + test_below(&prng, CLUSTERS) * dim;
        for (size_t i = 0; i < dim; i++) x[r * dim + i] = centre[i] + 0.2f * prng_unit(&prng);
    }
    free(centres);
}

static void (*const fills[])(float *x, size_t count, size_t dim) = {
    fill_equal, fill_last_bit, fill_two_clusters, fill_one_huge,
    fill_cut,   fill_clusters, fill_ever_better,
};

/* Codes tell rows apart, or cannot. */
enum { FRIENDLY = 5, HOSTILE = 0 };
enum { FILL_COUNT = sizeof fills / sizeof *fills, KIND_COUNT = FILL_COUNT + DATA_KIND_COUNT };

static void fill(size_t kind, float *x, size_t count, size_t dim)
{
    if (kind < FILL_COUNT)
        fills[kind](x, count, dim);
    else
        data_fill(&prng, (enum data_kind)(kind - FILL_COUNT), count, dim, x);
}

/* Of the rows' kind, or a row, or one nearly, or zero; each at a scale of its own now and then. */
static void choose_queries(struct problem *p, size_t kind)
{
    size_t dim = p->dim;
    fill(kind, p->queries, p->query_count, dim);
    for (size_t q = 0; q < p->query_count; q++) {
        float *query = p->queries + q * dim;
        size_t way = test_below(&prng, 40);
        if (way < 16)
            memcpy(query, p->rows + test_below(&prng, p->row_count) * dim, dim * sizeof *query);
        if (way < 4) query[test_below(&prng, dim)] *= 1 - 0x1p-24f;
        for (size_t i = 0; i < dim && way >= 35; i++)
            query[i] *= way == 35 ? 0 : way == 36 ? 0x1p-20f : 0.25f;
    }
}

/* Rows become what is left of them in their type. */
static void pack_rows(struct problem *p)
{
    wg_type type = p->type == ROW_F16 ? WG_F16 : WG_U8;
    size_t size = row_size(p->type, p->dim);
    p->packed = allocate(p->row_count, size);
    p->inverses = allocate(p->row_count, sizeof *p->inverses);
    test_type_fit(type, p->row_count * p->dim, p->rows);
    for (size_t r = 0; r < p->row_count; r++) {
        float *row = p->rows + r * p->dim;
        double norm2 = 0;
        test_type_pack(type, row, p->dim, p->packed + r * size);
        test_type_widen(type, p->packed + r * size, p->dim, row);
        for (size_t i = 0; i < p->dim; i++) norm2 += (double)row[i] * (double)row[i];
        p->inverses[r] = norm2 > 0 ? (float)(1 / sqrt(norm2)) : 0;
    }
}

static void problem_make(struct problem *p, size_t kind, size_t span_count, enum plan plan)
{
    p->rows = allocate(p->row_count * p->dim, sizeof *p->rows);
    p->queries = allocate(p->query_count * p->dim, sizeof *p->queries);
    fill(kind, p->rows, p->row_count, p->dim);
    if (p->type != ROW_F32) pack_rows(p);
    choose_queries(p, kind);
    cut_spans(p, span_count, plan);
    code_spans(p);
    rank_all(p);
}

static struct search any_search(const struct problem *p)
{
    size_t n = p->row_count, ks[] = { 1, 10, 1 + test_below(&prng, 50), 1 + test_below(&prng, n) };
    return (struct search){ .engine = test_below(&prng, engine_count),
                            .k = ks[test_below(&prng, 10) / 3],
                            .row_end = n };
}

enum { MASK_NONE, MASK_HALF, MASK_FEW_LIVE, MASK_FEW_DEAD, MASK_COUNT };

/* The mask is written to room. */
static const bool *any_mask(const struct problem *p, bool *room)
{
    size_t way = test_below(&prng, MASK_COUNT), share = way == MASK_HALF ? 2 : 40;
    if (way == MASK_NONE) return NULL;
    for (size_t r = 0; r < p->row_count; r++)
        room[r] = (test_below(&prng, share) == 0) == (way != MASK_FEW_DEAD);
    return room;
}

/* --- the tests --- */

static size_t query_count_of(size_t i)
{
    static const size_t more[] = { 100, 130, 300, 128, 129 };
    return i % 45 < 40 ? i % 45 + 1 : more[i % 45 - 40];
}

/* Many rows in few dimensions: the nearest lie as near to each other as codes can tell apart, and
 * codes exclude all others. */
static void crowd(struct problem *p)
{
    p->dim = 1 + test_below(&prng, 5);
    p->row_count = 4000 + test_below(&prng, 5000);
    p->query_count = 1 + test_below(&prng, 6);
}

static void check_random(size_t i, enum row_type type)
{
    size_t queries = query_count_of(i);
    size_t kind = test_below(&prng, 3) == 0 ? FRIENDLY : test_below(&prng, KIND_COUNT);
    struct problem p = {
        .metric = test_below(&prng, 20) == 0 ? METRIC_L1 + i % 2
                  : i % 2                    ? METRIC_L2
                                             : METRIC_DOT,
        .dim = i % 10 == 9 ? 100 + test_below(&prng, 60) : 1 + test_below(&prng, 40),
        .row_count = 33 + test_below(&prng, queries > 40 ? 1000 : 3000),
        .query_count = queries,
        .type = type,
    };
    if (type == ROW_UNIT_U8) p.metric = METRIC_DOT;
    if (i / 45 % 2 && i % 3 == 0) crowd(&p);
    problem_make(&p, kind, 1 + test_below(&prng, SPANS_MAX), PLAN_COUNT);
    bool *room = allocate(p.row_count, sizeof *room);
    for (size_t n = 0; n < 5; n++) {
        struct search search = any_search(&p);
        search.live = any_mask(&p, room);
        if (n == 1) { /* other queries, which the scratch does not know */
            choose_queries(&p, kind);
            rank_all(&p);
        }
        if (n == 4) { /* more codes for those that have some */
            for (size_t s = 0; s < p.span_count; s++)
                if (p.plans[s] == PLAN_SOME) code_rows(&p, s, p.row_count / 3);
        }
        if (n >= 3) { /* the value of some row, of some query; or any number */
            size_t any = test_below(&prng, p.query_count * p.row_count);
            static const float numbers[] = { 0, -1, 1e35f, -1e35f };
            search.limited = true;
            search.limit = n == 3 ? p.ranked[any / (1 + any % 50)].value : numbers[i / 2 % 4];
        }
        if (n == 2) {
            search.row_first = test_below(&prng, p.row_count);
            search.row_end -= test_below(&prng, p.row_count - search.row_first);
        }
        check(&p, &search);
    }
    free(room);
    problem_free(&p);
}

static void random_scans_equal_the_full_scan(void **state)
{
    (void)state;
    forget_counts();
    for (size_t i = 0; i < 180; i++) check_random(i, ROW_F32);
    printf("%zu places; %zu pairs by codes, %zu of them kept, %zu without codes\n", compared,
           sifted, kept_by_codes, scored_plainly);
    assert_true(compared > 300000);
    assert_true(sifted > 500000 && kept_by_codes > sifted / 50 && kept_by_codes < sifted);
    assert_true(scored_plainly > 500000);
}

static void scans_of_other_types_equal_the_full_scan(void **state)
{
    (void)state;
    static const enum row_type types[] = { ROW_F16, ROW_U8, ROW_UNIT_U8 };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        size_t before = compared;
        forget_counts();
        for (size_t i = t; i < 90; i += 2) check_random(i, types[t]);
        assert_true(compared - before > 50000);
        assert_true(sifted > 50000 && kept_by_codes > sifted / 100 && kept_by_codes < sifted);
        assert_true(scored_plainly > 50000);
    }
}

static void every_k_up_to_all_rows(void **state)
{
    (void)state;
    for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
        struct problem p = {
            .metric = (enum metric)metric, .dim = 13, .row_count = 450, .query_count = 3
        };
        problem_make(&p, FRIENDLY, 2, PLAN_ALL);
        for (size_t k = 1; k <= p.row_count + 1; k++)
            check(&p, &(struct search){ k % engine_count, k, 0, p.row_count, NULL, false, 0 });
        problem_free(&p);
    }
}

/* Queries that are rows: those have near ones. */
static void aim_at_rows(struct problem *p)
{
    for (size_t q = 0; q < p->query_count; q++)
        memcpy(p->queries + q * p->dim, p->rows + test_below(&prng, p->row_count) * p->dim,
               p->dim * sizeof *p->queries);
    rank_all(p);
}

/* The same scan on every engine; returns how many pairs there are of a query and a row. */
static size_t check_engines(struct problem *p, size_t k)
{
    forget_counts();
    for (size_t e = 0; e < engine_count; e++)
        check(p, &(struct search){ e, k, 0, p->row_count, NULL, false, 0 });
    return engine_count * p->query_count * p->row_count;
}

/* Codes of unit vectors exclude as much as codes of any. */
static void codes_of_other_types_exclude(void **state)
{
    (void)state;
    static const enum row_type types[] = { ROW_F16, ROW_U8, ROW_UNIT_U8 };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct problem p = {
            .metric = METRIC_DOT, .dim = 32, .row_count = 6000, .query_count = 7, .type = types[t]
        };
        problem_make(&p, FRIENDLY, 1, PLAN_ALL);
        aim_at_rows(&p);
        size_t pairs = check_engines(&p, 3);
        assert_true(sifted > pairs / 2 && kept_by_codes < sifted / 8);
        problem_free(&p);
    }
}

/* Nearly no row is read where codes tell rows apart; where they do not, nearly all rows are, and
 * codes are left alone. */
static void both_ways_are_gone(void **state)
{
    (void)state;
    static const size_t counts[] = { 1, 7, 40, 140 };
    for (size_t i = 0; i < 16; i++) {
        struct problem p = { .metric = i / 8 ? METRIC_L2 : METRIC_DOT,
                             .dim = 32,
                             .row_count = 6000,
                             .query_count = counts[i / 2 % 4] };
        problem_make(&p, i % 2 ? HOSTILE : FRIENDLY, 1, PLAN_ALL);
        aim_at_rows(&p);
        size_t pairs = check_engines(&p, 3);
        if (i % 2) {
            assert_true(sifted > 0 && kept_by_codes == sifted);
            assert_true(sifted < pairs / 3 && scored_plainly > pairs / 2);
        } else {
            assert_true(sifted > pairs / 2 && kept_by_codes < sifted / 10);
            assert_true(scored_plainly < pairs / 2);
        }
        problem_free(&p);
    }
}

/* At first all rows are at one distance, then all are far away: codes are taken up again. */
static void codes_are_tried_again(void **state)
{
    (void)state;
    enum { SAME = 2500 };
    for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
        struct problem p = {
            .metric = (enum metric)metric, .dim = 16, .row_count = 16000, .query_count = 5
        };
        problem_make(&p, HOSTILE, 1, PLAN_NONE);
        for (size_t i = 0; i < p.row_count * p.dim; i++)
            p.rows[i] = i < SAME * p.dim ? 1 : -2 + 0.1f * prng_unit(&prng);
        for (size_t i = 0; i < p.query_count * p.dim; i++) p.queries[i] = 1;
        code_rows(&p, 0, p.row_count);
        rank_all(&p);
        size_t pairs = check_engines(&p, 7);
        assert_true(kept_by_codes > 0 && sifted > pairs / 3 && kept_by_codes < sifted / 2);
        problem_free(&p);
    }
}

/* So many rows that a part of a scan is more than the codes that are sifted at once. */
static void long_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct problem p = { .metric = i % 2 ? METRIC_L2 : METRIC_DOT,
                             .dim = 3,
                             .row_count = 90000,
                             .query_count = 1 + i };
        problem_make(&p, i < 2 ? FRIENDLY : FILL_COUNT, 1 + i % 2, PLAN_ALL);
        aim_at_rows(&p);
        size_t pairs = check_engines(&p, 1 + 5 * i);
        assert_true(sifted > pairs / 4 && kept_by_codes < sifted / 2);
        problem_free(&p);
    }
}

/* Codes of a metric that is none of theirs, or of rows that cannot have any, are not read. */
static void codes_of_another_metric_are_not_read(void **state)
{
    (void)state;
    for (int metric = METRIC_DOT; metric < METRIC_COUNT; metric++) {
        struct problem p = {
            .metric = (enum metric)metric, .dim = 8, .row_count = 2000, .query_count = 20
        };
        problem_make(&p, FRIENDLY, 2, PLAN_OTHER_METRIC);
        (void)check_engines(&p, 5);
        assert_int_equal(sifted, 0);
        problem_free(&p);
    }
}

/* Scans of more queries than are scanned together. */
static void more_queries_than_a_group(void **state)
{
    (void)state;
    for (int metric = METRIC_DOT; metric <= METRIC_L2; metric++) {
        struct problem p = {
            .metric = (enum metric)metric, .dim = 12, .row_count = 700, .query_count = 1100
        };
        problem_make(&p, FRIENDLY, 2, PLAN_ALL);
        aim_at_rows(&p);
        (void)check_engines(&p, 2);
        assert_true(sifted > kept_by_codes);
        problem_free(&p);
    }
}

struct coder_thread {
    struct problem *problem;
    struct codes *codes;
    atomic_bool done;
};

static void *cover_in_steps(void *arg)
{
    struct coder_thread *t = arg;
    t->problem->cells[0].codes = t->codes;
    for (uint64_t end = 0; end <= t->problem->row_count; end += PANEL_ROWS)
        codes_cover(t->codes, &c, t->problem->rows, end);
    t->done = true;
    return NULL;
}

/* Codes appear, and grow, while scans are under way. */
static void codes_are_made_beside_scans(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct problem p = { .metric = i % 2 ? METRIC_L2 : METRIC_DOT,
                             .dim = 24,
                             .row_count = 20000,
                             .query_count = 4 };
        problem_make(&p, FRIENDLY, 1, PLAN_NONE);
        struct coder_thread t = { .problem = &p };
        struct encode_params params = { &c,          p.metric,    p.dim,  p.rows,
                                        p.row_count, p.row_count, ROW_F32 };
        pthread_t thread;
        assert_ok(codes_create(&params, &t.codes));
        for (size_t e = 0; e < engine_count; e++) (void)rows_at(&p, e);
        assert_int_equal(pthread_create(&thread, NULL, cover_in_steps, &t), 0);
        do
            check(&p, &(struct search){ test_below(&prng, engine_count), 4, 0, p.row_count, NULL,
                                        false, 0 });
        while (!t.done);
        pthread_join(thread, NULL);
        assert_true(t.codes->row_count == p.row_count / PANEL_ROWS * PANEL_ROWS);
        problem_free(&p);
    }
}

/* Every allocation of a scan fails once; after that the scratch serves as if nothing had been. */
static void an_allocation_that_fails_spoils_nothing(void **state)
{
    (void)state;
    struct problem p = { .metric = METRIC_L2, .dim = 9, .row_count = 900, .query_count = 20 };
    problem_make(&p, FRIENDLY, 1, PLAN_ALL);
    struct engine fresh = { .tier = CPU_C, .thread_count = 2 };
    engine_create(&fresh);
    struct slot *cpu = device_set_cpu(fresh.set);
    struct rows *rows = NULL;
    struct row_batch batch = { .values = p.rows, .count = p.row_count, .codes = &p.cells[0] };
    assert_ok(slot_rows_create(cpu, ROW_F32, p.dim, &rows));
    assert_ok(slot_rows_append(cpu, rows, &batch));
    uint64_t found_rows[20 * 5], request = 0;
    float found_scores[20 * 5];
    struct stop never = { 0 };
    struct scan scan = { .metric = p.metric,
                         .queries = p.queries,
                         .query_count = p.query_count,
                         .row_end = p.row_count,
                         .k = 5,
                         .found_rows = found_rows,
                         .found_scores = found_scores,
                         .stop = &never };
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct ticket *ticket = NULL;
        mem_fail_at(++request);
        inner = &fresh.inner;
        err = slot_scan_submit(cpu, rows, &scan, &ticket);
        mem_fail_at(0);
        if (err == WG_OK)
            assert_ok(slot_wait(cpu, &ticket));
        else
            assert_int_equal(err, WG_ENOMEM);
    }
    assert_true(request >= 5);
    struct search search = { .k = 5, .row_end = p.row_count };
    for (size_t q = 0; q < p.query_count; q++)
        compare_query(&p, &search, q, found_rows + q * 5, found_scores + q * 5);
    slot_rows_destroy(cpu, &rows);
    engine_destroy(&fresh);
    problem_free(&p);
}

/* --- the whole --- */

static size_t in_use;

static int create_engines(void **state)
{
    (void)state;
    in_use = mem_in_use();
    kernels_init(&c, CPU_C);
    prng.state = test_seed();
    for (int tier = CPU_C; tier < CPU_TIER_COUNT; tier++)
        for (size_t threads = 1; threads <= MANY_THREADS; threads += MANY_THREADS - 1) {
            if (!test_has_tier((enum cpu_tier)tier)) continue;
            engines[engine_count].tier = (enum cpu_tier)tier;
            engines[engine_count].thread_count = threads;
            engine_create(&engines[engine_count++]);
        }
    return 0;
}

static int destroy_engines(void **state)
{
    (void)state;
    for (size_t e = 0; e < engine_count; e++) engine_destroy(&engines[e]);
    printf("%zu places of results equal to the C tier's full scan\n", compared);
    return compared == 0 || mem_in_use() != in_use;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_scans_equal_the_full_scan),
        cmocka_unit_test(scans_of_other_types_equal_the_full_scan),
        cmocka_unit_test(codes_of_other_types_exclude),
        cmocka_unit_test(every_k_up_to_all_rows),
        cmocka_unit_test(both_ways_are_gone),
        cmocka_unit_test(codes_are_tried_again),
        cmocka_unit_test(long_parts),
        cmocka_unit_test(more_queries_than_a_group),
        cmocka_unit_test(codes_of_another_metric_are_not_read),
        cmocka_unit_test(codes_are_made_beside_scans),
        cmocka_unit_test(an_allocation_that_fails_spoils_nothing),
    };
    return cmocka_run_group_tests(tests, create_engines, destroy_engines);
}
