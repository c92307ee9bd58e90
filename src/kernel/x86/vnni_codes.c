/* sift_codes by the instruction that multiplies and adds four pairs of codes at once. */
#include "kernel/x86/vnni.h"

#include <immintrin.h>

/* 24 sums, 2 registers of rows and a query's codes fit the 32 registers. */
enum { VEC_LANES = 16, GROUP_VECS = 2 };
#define GROUPS UP_TO_12

#include "kernel/x86/vnni_dot.h"

#include "kernel/x86/avx512_keep.h"

#include "kernel/codes.h"

DEFINE_SIFT_CODES(vnni)
