#include "kernel/code_layout.h"
#include "kernel/kernel.h"
#include "kernel/x86/amx.h"
#include "kernel/x86/avx2.h"
#include "kernel/x86/avx512.h"
#include "kernel/x86/avxvnni.h"
#include "kernel/x86/vnni.h"

/* What sums of two products in 16 bits can hold: 2 * 255 * 64. */
enum { QUERY_CODE_MAX_16 = 64 };

/* A tier has every kernel of the list: a hole would not link. VNNI and AMX are instructions for
 * some. */
void kernels_init_x86(struct kernels *k, enum cpu_tier tier)
{
#define X(type, name) k->name = name##_avx2;
    if (tier >= CPU_AVX2) {
        KERNELS(X)
        k->query_code_max = QUERY_CODE_MAX_16;
        k->code_layout = (struct code_layout){ CODE_LAYOUT_GROUP, CODE_LAYOUT_STEP };
    }
#undef X
#define X(type, name) k->name = name##_avx512;
    if (tier >= CPU_AVX512) {
        KERNELS(X)
    }
#undef X
    if (tier == CPU_AVXVNNI || tier >= CPU_VNNI) {
        k->sift_codes = tier == CPU_AVXVNNI ? sift_codes_avxvnni : sift_codes_vnni;
        k->query_code_max = CODE_MAX;
    }
    if (tier >= CPU_VNNI) {
        k->dots_i8 = dots_i8_vnni;
        k->dots_i4 = dots_i4_vnni;
    }
    if (tier < CPU_AMX) return;
    k->sift_codes = sift_codes_amx;
    k->code_layout = (struct code_layout){ AMX_LAYOUT_GROUP, AMX_LAYOUT_STEP };
}
