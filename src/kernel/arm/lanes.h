#pragma once
/* sift_codes by an instruction that multiplies four codes of each of four rows with four of one
 * query, which it takes from a quarter of a register; so a query's codes need not fill one. The
 * tier first says which instruction: DOT(sums, rows, queries, quarter). */
#include "kernel/arm/keep.h"
#include "kernel/kernel.h"

/* 24 sums, 2 registers of rows and the codes of twelve queries in 3 fit the 32 registers. */
enum { VEC_LANES = 4, GROUP_VECS = 2 };
#define GROUPS UP_TO_12

typedef int32x4_t vec;
#define vec_set1 vdupq_n_s32

/* quarter has to be a number in the source; q is a constant after unrolling. */
INLINE vec dot_of(vec sums, vec rows, const int8_t *queries, size_t q)
{
    int8x16_t four = vld1q_s8(queries + q / 4 * 16);
    switch (q % 4) {
    case 0: return DOT(sums, rows, four, 0);
    case 1: return DOT(sums, rows, four, 1);
    case 2: return DOT(sums, rows, four, 2);
    default: return DOT(sums, rows, four, 3);
    }
}
#define vec_dot_of dot_of

#include "kernel/codes.h"
