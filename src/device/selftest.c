#include "device/selftest.h"

#include "base/mem.h"
#include "base/prng.h"
#include "base/topk.h"
#include "kernel/fpenv.h"

#include <string.h>

enum { ROWS = 700, APPENDS = 3, QUERIES = 5, DIM_MAX = 131, K_MAX = 40 };

static const size_t dims[] = { 1, 16, 100, DIM_MAX };
static const size_t ks[] = { 1, 10, K_MAX };

struct trial {
    struct slot *slot;
    struct rows *rows;
    struct mask *mask;
    struct bitmap live;
    size_t dim, k;
    enum metric metric;
    bool masked;
    float values[ROWS * DIM_MAX], queries[QUERIES * DIM_MAX];
    uint64_t found_rows[QUERIES * K_MAX];
    float found_scores[QUERIES * K_MAX];
    struct scored best[K_MAX];
};

static float component(struct prng *prng)
{
    float x = prng_unit(prng);
    switch (prng_next(prng) % 24) {
    case 0: return 0.0f;
    case 1: return -0.0f;
    case 2: return x * 1e15f;
    case 3: return x * 1e-40f;
    case 4: return x * 1e-23f; /* products of these underflow */
    default: return x;
    }
}

/* Every fourth row repeats an earlier one, so that rows tie. */
static void generate(struct trial *t, struct prng *prng)
{
    for (size_t i = 0; i < ROWS * t->dim; i++) t->values[i] = component(prng);
    for (size_t i = 0; i < QUERIES * t->dim; i++) t->queries[i] = component(prng);
    for (size_t r = 4; r < ROWS; r += 4)
        memcpy(t->values + r * t->dim, t->values + prng_next(prng) % r * t->dim,
               t->dim * sizeof *t->values);
}

static wg_err upload(struct trial *t, struct prng *prng)
{
    wg_err err = WG_OK;
    TRY(slot_rows_create(t->slot, ROW_F32, t->dim, &t->rows));
    for (size_t a = 0; a < APPENDS; a++) {
        size_t first = a * ROWS / APPENDS, end = (a + 1) * ROWS / APPENDS;
        struct row_batch batch = { .values = t->values + first * t->dim, .count = end - first };
        TRY(slot_rows_append(t->slot, t->rows, &batch));
    }
    TRY(bitmap_resize(&t->live, ROWS));
    for (size_t r = 0; r < ROWS; r++)
        if (prng_next(prng) % 3 == 0) TRY(bitmap_clear(&t->live, r));
    TRY(slot_mask_create(t->slot, t->rows, &t->live, &t->mask));
out:
    return err;
}

static void release(struct trial *t)
{
    slot_mask_destroy(t->slot, &t->mask);
    slot_rows_destroy(t->slot, &t->rows);
    bitmap_fini(&t->live);
}

static kernel_pair_f32 *pair_of(const struct kernels *c, enum metric metric)
{
    switch (metric) {
    case METRIC_DOT: return c->dot;
    case METRIC_L2: return c->l2;
    case METRIC_L1: return c->l1;
    default: return c->chebyshev;
    }
}

static void full_scan(struct trial *t, const float *query, struct topk *top)
{
    struct kernels c;
    kernels_init(&c, CPU_C);
    struct fp_env env = fp_env_enter();
    for (size_t r = 0; r < ROWS; r++) {
        float score = pair_of(&c, t->metric)(query, t->values + r * t->dim, t->dim);
        float value = t->metric == METRIC_DOT ? -score : score;
        if (!t->masked || bitmap_get(&t->live, r)) topk_push(top, (struct scored){ value, r });
    }
    fp_env_leave(env);
    topk_sort(top);
}

static wg_err compare(struct trial *t)
{
    for (size_t q = 0; q < QUERIES; q++) {
        struct topk top = { .items = t->best, .k = t->k };
        full_scan(t, t->queries + q * t->dim, &top);
        for (size_t i = 0; i < t->k; i++) {
            float value = t->best[i].value;
            float want = (t->metric == METRIC_DOT ? -value : value) + 0.0f;
            float got = t->found_scores[q * t->k + i];
            if (t->found_rows[q * t->k + i] == t->best[i].row &&
                memcmp(&want, &got, sizeof want) == 0)
                continue;
            return wg_fail(WG_ECORRUPT,
                           "metric %d, %zu dimensions, k %zu%s: neighbour %zu of query %zu is row "
                           "%llu with %a, expected row %llu with %a",
                           t->metric, t->dim, t->k, t->masked ? ", masked" : "", i, q,
                           (unsigned long long)t->found_rows[q * t->k + i], (double)got,
                           (unsigned long long)t->best[i].row, (double)want);
        }
    }
    return WG_OK;
}

static wg_err scan_and_compare(struct trial *t)
{
    wg_err err = WG_OK;
    struct ticket *ticket = NULL;
    struct stop never = { 0 };
    struct scan scan = {
        .metric = t->metric,
        .queries = t->queries,
        .query_count = QUERIES,
        .row_end = ROWS,
        .mask = t->masked ? t->mask : NULL,
        .k = t->k,
        .found_rows = t->found_rows,
        .found_scores = t->found_scores,
        .stop = &never,
    };
    TRY(slot_scan_submit(t->slot, t->rows, &scan, &ticket));
    TRY(slot_wait(t->slot, &ticket));
    TRY(compare(t));
out:
    return err;
}

static wg_err test_dim(struct trial *t, struct prng *prng)
{
    wg_err err = WG_OK;
    generate(t, prng);
    TRY(upload(t, prng));
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
            t->metric = (enum metric)metric;
            t->k = ks[i];
            t->masked = !t->masked;
            TRY(scan_and_compare(t));
        }
out:
    release(t);
    return err;
}

wg_err device_self_test(struct slot *slot)
{
    wg_err err = WG_OK;
    struct prng prng = { 1 };
    struct trial *trial = NULL;
    TRY(mem_resize(&trial, 1));
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        *trial = (struct trial){ .slot = slot, .dim = dims[i] };
        TRY(test_dim(trial, &prng));
    }
out:
    mem_free(&trial);
    return err;
}
