#pragma once
/* sift_codes by an instruction that multiplies four codes of each of four rows with four of one
 * query, which it takes from a quarter of a register; so a query's codes need not fill one. The
 * tier first says which instruction: DOT(sums, rows, queries, quarter). */
#include "kernel/arm/keep.h"
#include "kernel/kernel.h"

/* 24 sums, 2 registers of rows and the codes of twelve queries in 3 fit the 32 registers. */
enum { VEC_LANES = 4, GROUP_MAX = CODE_QUERIES, GROUP_VECS = 2 };

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

DEFINE_GROUP(1)
DEFINE_GROUP(2)
DEFINE_GROUP(3)
DEFINE_GROUP(4)
DEFINE_GROUP(5)
DEFINE_GROUP(6)
DEFINE_GROUP(7)
DEFINE_GROUP(8)
DEFINE_GROUP(9)
DEFINE_GROUP(10)
DEFINE_GROUP(11)
DEFINE_GROUP(12)

static group_sift *const by_count[GROUP_MAX + 1] = {
    NULL,          sift_group_1,  sift_group_2,  sift_group_3, sift_group_4,
    sift_group_5,  sift_group_6,  sift_group_7,  sift_group_8, sift_group_9,
    sift_group_10, sift_group_11, sift_group_12,
};
