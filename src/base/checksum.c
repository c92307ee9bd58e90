#include "base/checksum.h"

#include <xxhash.h>

uint32_t checksum32(const void *bytes, size_t size, uint64_t seed)
{
    return (uint32_t)checksum64(bytes, size, seed);
}

uint64_t checksum64(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}
