/* sift_codes by the instruction that multiplies and adds four pairs of codes at once. */
#include "kernel/unroll.h"
#include "kernel/x86/vnni.h"

#include <immintrin.h>

/* 24 sums, 2 registers of rows and a query's codes fit the 32 registers. */
enum { VEC_LANES = 16, GROUP_MAX = 12, GROUP_VECS = 2 };

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

void sift_codes_vnni(const struct code_queries *queries, const struct code_panel *panel,
                     uint32_t *kept)
{
    sift_all(queries, panel, kept, by_count);
}
