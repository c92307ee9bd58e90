/* sift_codes by the dot product of unsigned bytes with signed ones, which spares to take the 128
 * from the rows. This file alone is built with it. */
#include "kernel/arm/neoni8mm.h"

#include <arm_neon.h>

#define vec_load(codes) vreinterpretq_s32_u8(vld1q_u8(codes))
#define DOT(sums, rows, queries, quarter) \
    vusdotq_laneq_s32(sums, vreinterpretq_u8_s32(rows), queries, quarter)

#include "kernel/arm/lanes.h"

DEFINE_SIFT_CODES(neoni8mm)
