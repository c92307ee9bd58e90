/* data KIND SEED DIM COUNT STREAM: writes COUNT x DIM values, f32, to standard output. Points of
 * one KIND and SEED come from one distribution, whatever their STREAM: rows and queries are two.
 *
 *   gaussian  every component is normal
 *   latent    1,000 clusters in 32 dimensions, mapped linearly to DIM, plus noise of 0.05: about as
 *             hard as SIFT, where a plain mixture of Gaussians is too easy
 */
#include "base/prng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTERS = 1000, LATENT = 32, DIM_MAX = 4096 };

static float centres[CLUSTERS][LATENT];
static float mapping[LATENT][DIM_MAX];
static float point[DIM_MAX];

static double unit(struct prng *prng)
{
    return ((double)(prng_next(prng) >> 11) + 0.5) * 0x1p-53;
}

static float normal(struct prng *prng) /* Box and Muller */
{
    double radius = sqrt(-2 * log(unit(prng)));
    return (float)(radius * cos(6.283185307179586 * unit(prng)));
}

static void make_mixture(struct prng *prng, size_t dim)
{
    for (size_t c = 0; c < CLUSTERS; c++)
        for (size_t i = 0; i < LATENT; i++) centres[c][i] = normal(prng);
    for (size_t i = 0; i < LATENT; i++)
        for (size_t j = 0; j < dim; j++) mapping[i][j] = normal(prng) / sqrtf(LATENT);
}

static void make_latent(struct prng *prng, size_t dim)
{
    const float *centre = centres[prng_next(prng) % CLUSTERS];
    for (size_t j = 0; j < dim; j++) point[j] = 0.05f * normal(prng);
    for (size_t i = 0; i < LATENT; i++) {
        float x = centre[i] + normal(prng);
        for (size_t j = 0; j < dim; j++) point[j] += x * mapping[i][j];
    }
}

static void make_gaussian(struct prng *prng, size_t dim)
{
    for (size_t j = 0; j < dim; j++) point[j] = normal(prng);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 6) {
        fprintf(stderr, "usage: data gaussian|latent SEED DIM COUNT STREAM\n");
        return 2;
    }
    uint64_t seed = strtoull(arguments[2], NULL, 10), stream = strtoull(arguments[5], NULL, 10);
    size_t dim = strtoull(arguments[3], NULL, 10), count = strtoull(arguments[4], NULL, 10);
    struct prng shared = { seed }, own = { seed ^ (stream + 1) * 0x9e3779b97f4a7c15u >> 1 };
    if (dim < 1 || dim > DIM_MAX) {
        fprintf(stderr, "data: %zu dimensions, expected 1 to %d\n", dim, DIM_MAX);
        return 2;
    }
    make_mixture(&shared, dim);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(arguments[1], "latent") == 0)
            make_latent(&own, dim);
        else
            make_gaussian(&own, dim);
        if (fwrite(point, sizeof(float), dim, stdout) != dim) return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
