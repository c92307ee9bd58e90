#include "support/hard.h"

#include "support/data.h"

#include <float.h>
#include <math.h>

static size_t below(struct prng *prng, size_t bound)
{
    return (size_t)(prng_next(prng) % bound);
}

typedef void fill_fn(struct prng *prng, float *x, size_t count, size_t dim);

static void fill_equal(struct prng *prng, float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++) x[i] = i < dim ? prng_unit(prng) : x[i - dim];
}

static void fill_last_bit(struct prng *prng, float *x, size_t count, size_t dim)
{
    fill_equal(prng, x, count, dim);
    for (size_t r = 1; r < count; r++) {
        float *one = &x[r * dim + below(prng, dim)];
        *one = nextafterf(*one, below(prng, 2) ? 2 : -2);
    }
}

static void fill_huge(struct prng *prng, float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++)
        x[i] = below(prng, 2) ? 1e15f : -1e15f * prng_unit(prng);
}

static void fill_denormal(struct prng *prng, float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++) x[i] = ((float)(int)below(prng, 9) - 4) * FLT_TRUE_MIN;
}

static void fill_two_clusters(struct prng *prng, float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++)
        x[i] = (i / dim % 2 ? 1e4f : -1e4f) + ldexpf(prng_unit(prng), -6);
}

static void fill_one_huge(struct prng *prng, float *x, size_t count, size_t dim)
{
    for (size_t i = 0; i < count * dim; i++) x[i] = prng_unit(prng);
    for (size_t i = 0; i < dim; i++) x[i] *= 1e15f;
}

static void fill_alternating(struct prng *prng, float *x, size_t count,
                             size_t dim) /* products cancel */
{
    for (size_t i = 0; i < count * dim; i++) x[i] = (i % 2 ? -1000.0f : 1000.0f) + prng_unit(prng);
}

static void fill_constant(struct prng *prng, float *x, size_t count,
                          size_t dim) /* every addition rounds one way */
{
    float value = 1;
    for (size_t i = 0; i < count * dim; i++)
        x[i] = value = i % dim ? value : 1 + prng_unit(prng) * (i / dim % 2 ? 0.5f : 0x1p-20f);
}

static const struct {
    const char *name;
    fill_fn *fill;
    enum data_kind kind; /* when fill is NULL */
} kinds[] = {
    { "unit", NULL, DATA_UNIT },
    { "few", NULL, DATA_FEW },
    { "wild", NULL, DATA_WILD },
    { "tiny", NULL, DATA_TINY },
    { "far", NULL, DATA_FAR },
    { "scales", NULL, DATA_SCALES },
    { "equal", fill_equal, 0 },
    { "last bit", fill_last_bit, 0 },
    { "huge", fill_huge, 0 },
    { "denormal", fill_denormal, 0 },
    { "two clusters", fill_two_clusters, 0 },
    { "one huge row", fill_one_huge, 0 },
    { "alternating", fill_alternating, 0 },
    { "constant", fill_constant, 0 },
};

_Static_assert(sizeof kinds / sizeof *kinds == HARD_COUNT, "all kinds have a name");

const char *hard_name(size_t kind)
{
    return kinds[kind].name;
}

void hard_fill(struct prng *prng, size_t kind, float *x, size_t count, size_t dim)
{
    if (kinds[kind].fill)
        kinds[kind].fill(prng, x, count, dim);
    else
        data_fill(prng, kinds[kind].kind, count, dim, x);
    for (size_t i = 0; i < count * dim; i++) x[i] = fminf(fmaxf(x[i], -1e15f), 1e15f);
}
