/* sift_codes by the dot product of signed bytes. This file alone is built with it. */
#include "kernel/arm/neondot.h"

#include <arm_neon.h>

#define vec_load         load_signed
#define vec_start(query) vec_set1(0)
#define DOT(sums, rows, queries, quarter) \
    vdotq_laneq_s32(sums, vreinterpretq_s8_s32(rows), queries, quarter)

#include "kernel/arm/lanes.h"

DEFINE_SIFT_CODES(neondot)
