#pragma once
#include "kernel/kernel.h"

/* How sift_codes_amx wants queries: a tile of the matrix engine is 64 codes of each of 16. */
enum { AMX_LAYOUT_GROUP = 16, AMX_LAYOUT_STEP = 64 };

kernel_sift_codes sift_codes_amx;
/* The same for few queries, by VNNI. */
kernel_sift_codes sift_codes_amx_few;
