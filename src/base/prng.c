#include "base/prng.h"

uint64_t prng_next(struct prng *prng)
{
    uint64_t z = prng->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

float prng_unit(struct prng *prng)
{
    return (float)(prng_next(prng) >> 40) * 0x1p-23f - 1.0f;
}
