/* sift_codes by the instruction that multiplies and adds four pairs of codes at once, for
 * processors that have it for 256 bits. */
#include "kernel/x86/avxvnni.h"

#include "kernel/unroll.h"

#include <immintrin.h>

/* 12 sums, 2 registers of rows and a query's codes fit the 16 registers. */
enum { VEC_LANES = 8, GROUP_VECS = 2 };
#define GROUPS UP_TO_6

typedef __m256i vec;
#define vec_set1 _mm256_set1_epi32

/* As in vnni_codes.c, not by the intrinsic. */
INLINE vec vec_dot(vec sums, vec rows, vec query)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(rows), "x"(query));
    return sums;
}

#include "kernel/x86/avx2_keep.h"

#include "kernel/codes.h"

DEFINE_SIFT_CODES(avxvnni)
