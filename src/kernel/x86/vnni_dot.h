#pragma once
/* Sixteen sums in a register, and the instruction that adds four products to each. */
#include "kernel/unroll.h"

#include <immintrin.h>

typedef __m512i vec;
#define vec_load _mm512_loadu_si512
#define vec_set1 _mm512_set1_epi32

/* By the intrinsic gcc 12 copies each sum to a new register and back, and spills half of them: a
 * third of the speed. */
INLINE vec vec_dot(vec sums, vec rows, vec query)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(rows), "v"(query));
    return sums;
}
