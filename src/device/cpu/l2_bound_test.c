/* Tries to break the certificate of L2 proposed by dot products: a row whose canonical value is at
 * most kth must never be excluded. For each pair of vectors the hardest kth is the row's own value.
 * The canonical value itself is checked against long double on the way. */
#include "device/cpu/l2_bound.h"
#include "kernel/kernel.h"
#include "support/check.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 2048, ROWS = 24, QUERIES = 4, LANES = 16 };

static struct kernels c;
static struct prng prng;
static size_t checked, excludable, excluded;
static double nearest_miss; /* the largest left - limit there was, in g (|q|^2 + |x|^2) */

struct pair {
    const float *q, *x;
    size_t dim;
    float canonical, left;
    double query_norm, row_norm, g;
    struct l2_bound bound;
};

static double norm_of(const float *x, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static long double exact_of(const float *a, const float *b, size_t dim)
{
    long double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        long double t = (long double)a[i] - (long double)b[i];
        sum += t * t;
    }
    return sum;
}

/* What proposes: one chain of fma over rising i, as kernel_pack_f32 and kernel_panel_f32 say. */
static float chain(const float *a, const float *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) sum = fmaf(a[i], b[i], sum);
    return sum;
}

/* The left side as the scan computes it: by one fused operation over the sifted scores. */
static struct pair pair_of(const float *q, const float *x, size_t dim)
{
    struct pair p = { .q = q, .x = x, .dim = dim, .bound = l2_bound_of_dim(dim) };
    double n = (double)dim + 4;
    p.g = n * 0x1p-24 / (1 - n * 0x1p-24);
    p.canonical = c.l2(q, x, dim);
    p.left = fmaf(-2, chain(q, x, dim), l2_bound_row(&p.bound, chain(x, x, dim)));
    p.query_norm = norm_of(q, dim);
    p.row_norm = norm_of(x, dim);
    return p;
}

static bool excludes(const struct pair *p, float kth)
{
    return p->left > l2_bound_limit(&p->bound, kth, p->query_norm);
}

static void check_canonical(const struct pair *p)
{
    long double exact = exact_of(p->q, p->x, p->dim);
    double m = ceil((double)p->dim / (double)LANES) + 6, g2 = m * 0x1p-24 / (1 - m * 0x1p-24);
    long double slack = (long double)g2 * exact + (long double)p->dim * 0x1p-149L;
    if (fabsl((long double)p->canonical - exact) > slack)
        fail_msg("dim %zu: canonical %a, exact %La", p->dim, (double)p->canonical, exact);
}

static void check_pair(const char *kind, const float *q, const float *x, size_t dim)
{
    struct pair p = pair_of(q, x, dim);
    check_canonical(&p);
    float kth = p.canonical;
    for (int step = 0; step < 3; step++) {
        if (excludes(&p, kth))
            fail_msg("%s, dim %zu: a row at %a is excluded by kth %a (left %a, limit %a)", kind,
                     dim, (double)p.canonical, (double)kth, (double)p.left,
                     (double)l2_bound_limit(&p.bound, kth, p.query_norm));
        kth = step == 0 ? nextafterf(kth, INFINITY) : 2 * kth;
    }
    assert_false(excludes(&p, INFINITY)); /* until k are held */
    double limit = (double)l2_bound_limit(&p.bound, p.canonical, p.query_norm);
    double scale = p.g * (p.query_norm + p.row_norm);
    double miss = ((double)p.left - limit) / scale;
    if (scale > 1e-30 && miss > nearest_miss) nearest_miss = miss;
    checked++;
}

/* --- vectors --- */

typedef void fill_fn(float *x, size_t dim, size_t row);

static float random_scaled(int low, int high)
{
    return ldexpf(prng_unit(&prng), low + (int)test_below(&prng, (size_t)(high - low + 1)));
}

static void fill_unit(float *x, size_t dim, size_t row)
{
    (void)row;
    for (size_t i = 0; i < dim; i++) x[i] = prng_unit(&prng);
}

static void fill_far(float *x, size_t dim, size_t row) /* a small cluster, far away: cancels */
{
    float spread = ldexpf(1, -(int)(row % 24));
    for (size_t i = 0; i < dim; i++) x[i] = 1000 + (float)(i % 7) + spread * prng_unit(&prng);
}

static void fill_huge(float *x, size_t dim, size_t row)
{
    for (size_t i = 0; i < dim; i++) x[i] = row % 2 ? 1e15f : -1e15f * prng_unit(&prng);
}

static void fill_tiny(float *x, size_t dim, size_t row) /* squares are denormal, or gone */
{
    for (size_t i = 0; i < dim; i++) x[i] = random_scaled(-78 + (int)(row % 3), -66);
}

static void fill_denormal(float *x, size_t dim, size_t row)
{
    for (size_t i = 0; i < dim; i++) x[i] = (float)(int)test_below(&prng, 9 + row) * FLT_TRUE_MIN;
}

static void fill_scales(float *x, size_t dim, size_t row)
{
    int scale = (int)(row * 13 % 120) - 70;
    for (size_t i = 0; i < dim; i++) x[i] = ldexpf(prng_unit(&prng), scale);
}

static void fill_one_huge(float *x, size_t dim, size_t row)
{
    for (size_t i = 0; i < dim; i++) x[i] = prng_unit(&prng);
    x[row % dim] = row % 3 ? 1e15f : 3e7f;
}

static void fill_mixed(float *x, size_t dim, size_t row)
{
    (void)row;
    for (size_t i = 0; i < dim; i++) x[i] = test_below(&prng, 4) ? random_scaled(-60, 40) : 0;
}

static void fill_constant(float *x, size_t dim, size_t row) /* every addition rounds one way */
{
    float value = 1 + ldexpf((float)row, -10) + ldexpf(prng_unit(&prng), -20);
    for (size_t i = 0; i < dim; i++) x[i] = value;
}

static const struct {
    const char *name;
    fill_fn *fill;
} kinds[] = {
    { "unit", fill_unit },         { "far", fill_far },           { "huge", fill_huge },
    { "tiny", fill_tiny },         { "denormal", fill_denormal }, { "scales", fill_scales },
    { "one huge", fill_one_huge }, { "mixed", fill_mixed },       { "constant", fill_constant },
};

/* Every third row is the query, or the query but for one unit in the last place here and there. */
static void near_query(const float *q, size_t dim, size_t row, float *x)
{
    if (row % 3 != 0) return;
    memcpy(x, q, dim * sizeof *x);
    for (size_t i = 0; row % 2 && i < dim; i += 1 + row)
        x[i] = nextafterf(x[i], row % 4 == 1 ? 0 : 1e15f);
}

static void check_kind(size_t kind, size_t dim)
{
    static float q[DIM_MAX], x[DIM_MAX];
    for (size_t i = 0; i < QUERIES; i++) {
        kinds[kind].fill(q, dim, i * 5);
        for (size_t row = 0; row < ROWS; row++) {
            kinds[kind].fill(x, dim, row);
            near_query(q, dim, row, x);
            check_pair(kinds[kind].name, q, x, dim);
        }
    }
}

static size_t next_dim(size_t dim)
{
    return dim < 50 ? dim + 1 : dim < 1000 ? dim + 1 + dim / 4 : dim < DIM_MAX ? DIM_MAX : 0;
}

static void no_nearest_row_is_excluded(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (size_t dim = 1; dim != 0; dim = next_dim(dim)) check_kind(kind, dim);
}

/* A chain that begins with 1 and then takes in squares just below half of its last place loses each
 * of them; just above, it gains as much again. Thus the squared norm of x comes out too large and
 * the dot product of q and x too small by nearly all that g allows, at almost no distance. */
static void fill_worst(float *q, float *x, size_t dim, float tilt)
{
    for (size_t i = 0; i < dim; i++) {
        q[i] = i == 0 ? 1 : 0x1p-12f * (1 - 2 * tilt);
        x[i] = i == 0 ? 1 : 0x1p-12f * (1 + tilt);
    }
}

static void rounding_all_one_way_excludes_nothing(void **state)
{
    (void)state;
    static float q[DIM_MAX], x[DIM_MAX];
    for (size_t dim = 2; dim <= DIM_MAX; dim += 1 + dim / 3)
        for (int power = -22; power <= -6; power++)
            for (int sign = -1; sign <= 1; sign += 2) {
                fill_worst(q, x, dim, (float)sign * ldexpf(1, power));
                for (int swap = 0; swap < 2; swap++)
                    check_pair("one way", swap ? x : q, swap ? q : x, dim);
                check_pair("one way", q, q, dim);
                check_pair("one way", x, x, dim);
            }
    fill_worst(q, x, DIM_MAX, 0x1p-20f); /* that the attack is one: 3 g of error at least */
    double norm = norm_of(x, DIM_MAX), g = pair_of(q, x, DIM_MAX).g;
    double row_error = ((double)chain(x, x, DIM_MAX) - norm) / norm;
    double dot_error = ((double)chain(q, x, DIM_MAX) - norm) / norm;
    assert_true(row_error > 0.9 * g);
    assert_true(dot_error < -0.9 * g);
}

/* That the chains here are those of the kernels. */
static void the_kernels_propose_these_chains(void **state)
{
    (void)state;
    static float rows[PANEL_ROWS * 200], q[200], panel[PANEL_ROWS * 200];
    for (size_t dim = 1; dim <= 200; dim += 1 + dim / 2) {
        float norms[PANEL_ROWS], scores[PANEL_ROWS];
        fill_mixed(rows, PANEL_ROWS * dim, 0);
        fill_mixed(q, dim, 0);
        c.pack(rows, PANEL_ROWS, dim, panel, norms);
        c.dot_panel(q, 1, &(struct panel){ panel, NULL, dim }, scores, PANEL_ROWS);
        for (size_t r = 0; r < PANEL_ROWS; r++) {
            assert_true(norms[r] == chain(rows + r * dim, rows + r * dim, dim));
            assert_true(scores[r] == chain(q, rows + r * dim, dim));
        }
    }
}

/* Climbs: small changes of q and x are kept when they bring the bound nearer to breaking. */
static void a_climb_does_not_reach_it(void **state)
{
    (void)state;
    float q[64], x[64];
    for (size_t round = 0; round < 12; round++) {
        size_t dim = 17 + round * 4;
        double best = -INFINITY;
        fill_constant(q, dim, round);
        memcpy(x, q, sizeof x);
        for (size_t step = 0; step < 3000; step++) {
            float *side = step % 2 ? q : x, saved;
            size_t i = test_below(&prng, dim);
            saved = side[i];
            side[i] *= 1 + ldexpf(prng_unit(&prng), -(int)test_below(&prng, 24));
            struct pair p = pair_of(q, x, dim);
            double scale = p.g * (p.query_norm + p.row_norm);
            double limit = (double)l2_bound_limit(&p.bound, p.canonical, p.query_norm);
            double miss = ((double)p.left - limit) / scale;
            if (miss >= best)
                best = miss;
            else
                side[i] = saved;
            check_pair("climb", q, x, dim);
        }
    }
}

/* How much is excluded of what may be: with kth the tenth value of many rows. */
static double share_excluded(fill_fn *fill, size_t dim)
{
    enum { MANY = 400, TENTH = 10 };
    static float q[DIM_MAX], rows[MANY][DIM_MAX];
    float values[MANY], smallest[TENTH];
    excludable = excluded = 0;
    fill(q, dim, 2);
    for (size_t r = 0; r < MANY; r++) fill(rows[r], dim, 3);
    for (size_t t = 0; t < TENTH; t++) smallest[t] = INFINITY;
    for (size_t r = 0; r < MANY; r++) {
        values[r] = c.l2(q, rows[r], dim);
        float value = values[r];
        for (size_t t = 0; t < TENTH; t++)
            if (value < smallest[t]) {
                float moved = smallest[t];
                smallest[t] = value;
                value = moved;
            }
    }
    for (size_t r = 0; r < MANY; r++) {
        struct pair p = pair_of(q, rows[r], dim);
        bool out = excludes(&p, smallest[TENTH - 1]);
        assert_true(!out || values[r] > smallest[TENTH - 1]);
        excludable += values[r] > smallest[TENTH - 1];
        excluded += out;
    }
    return (double)excluded / (double)excludable;
}

static void it_excludes_nearly_all_it_may(void **state)
{
    (void)state;
    static const size_t dims[] = { 16, 128, 768, DIM_MAX };
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        double unit = share_excluded(fill_unit, dims[i]), far = share_excluded(fill_far, dims[i]);
        printf(
            "dim %zu: excluded of what may be: %.1f %% of uniform rows, %.1f %% of a far cluster\n",
            dims[i], 100 * unit, 100 * far);
        assert_true(unit > 0.98);
    }
    printf("%zu pairs; the nearest miss is %.3f g (|q|^2 + |x|^2) short of a wrong exclusion\n",
           checked, -nearest_miss);
    assert_true(nearest_miss < 0);
}

int main(void)
{
    kernels_init(&c, CPU_C);
    prng.state = test_seed();
    nearest_miss = -INFINITY;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_nearest_row_is_excluded),
        cmocka_unit_test(rounding_all_one_way_excludes_nothing),
        cmocka_unit_test(the_kernels_propose_these_chains),
        cmocka_unit_test(a_climb_does_not_reach_it),
        cmocka_unit_test(it_excludes_nearly_all_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
