/* sift_codes for few queries that are laid out for the matrix engine: half a tile or less is
 * faster without it. */
#include "kernel/x86/amx.h"

#include "kernel/unroll.h"

#include <immintrin.h>

enum { VEC_LANES = 16, GROUP_VECS = 2 };
#define GROUPS UP_TO_8

#include "kernel/x86/vnni_dot.h"

#include "kernel/x86/avx512_keep.h"

#define LAYOUT_GROUP AMX_LAYOUT_GROUP
#define LAYOUT_STEP  AMX_LAYOUT_STEP
#include "kernel/codes.h"

DEFINE_SIFT_CODES(amx_few)
