#pragma once
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

/* gcc 12 at -O2 does not unroll by itself, and keeps the accumulators in memory, at half the
 * speed. */
#define EACH(i, count) _Pragma("GCC unroll 16") for (size_t i = 0; i < (count); i++)

/* X(1) to X(n): the sizes of the groups of queries that a tier compiles each by itself. */
#define UP_TO_3(X)       X(1) X(2) X(3)
#define UP_TO_4(X)       UP_TO_3(X) X(4)
#define UP_TO_5(X)       UP_TO_4(X) X(5)
#define UP_TO_6(X)       UP_TO_5(X) X(6)
#define UP_TO_8(X)       UP_TO_6(X) X(7) X(8)
#define UP_TO_12(X)      UP_TO_8(X) X(9) X(10) X(11) X(12)
#define COUNT_ONE(count) +1
