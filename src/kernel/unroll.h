#pragma once
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* gcc 12 at -O2 does not unroll by itself, and keeps the accumulators in memory, at half the
 * speed. */
#define EACH(i, count) _Pragma("GCC unroll 16") for (size_t i = 0; i < (count); i++)
