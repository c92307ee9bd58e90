/* sift_codes by the instruction that multiplies and adds four pairs of codes at once. */
#include "kernel/unroll.h"
#include "kernel/x86/vnni.h"

#include <immintrin.h>

/* 24 sums, 2 registers of rows and a query's codes fit the 32 registers. */
enum { VEC_LANES = 16, GROUP_VECS = 2 };
#define GROUPS UP_TO_12

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

#include "kernel/x86/avx512_keep.h"

#include "kernel/codes.h"

DEFINE_SIFT_CODES(vnni)
