/* dots_i8 and dots_i4 by the dot product of signed bytes. This file alone is built with it. */
#include "kernel/arm/neondot.h"

#include <arm_neon.h>

#define add_products vdotq_s32

#include "kernel/arm/whole_rows.h"

DEFINE_CODE_ROWS(dots_i8, neondot, int8_t, 1, int32_t)
DEFINE_CODE_ROWS(dots_i4, neondot, int8_t, 2, int32_t)
