#include "kernel/kernel.h"
#include "kernel/x86/avx2.h"
#include "kernel/x86/avx512.h"
#include "kernel/x86/vnni.h"

/* What sums of two products in 16 bits can hold: 2 * 255 * 64. */
enum { QUERY_CODE_MAX_16 = 64 };

/* A tier has every kernel of the list: a hole would not link. VNNI is an instruction for one. */
void kernels_init_x86(struct kernels *k, enum cpu_tier tier)
{
#define X(type, name) k->name = name##_avx2;
    if (tier >= CPU_AVX2) {
        KERNELS(X)
        k->query_code_max = QUERY_CODE_MAX_16;
    }
#undef X
#define X(type, name) k->name = name##_avx512;
    if (tier >= CPU_AVX512) {
        KERNELS(X)
    }
#undef X
    if (tier < CPU_VNNI) return;
    k->sift_codes = sift_codes_vnni;
    k->query_code_max = CODE_MAX;
}
