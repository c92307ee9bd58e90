#include "kernel/kernel.h"
#include "kernel/x86/avx2.h"
#include "kernel/x86/avx512.h"

/* A tier has every kernel of the list: a hole would not link. */
void kernels_init_x86(struct kernels *k, enum cpu_tier tier)
{
#define X(type, name) k->name = name##_avx2;
    if (tier >= CPU_AVX2) {
        KERNELS(X)
    }
#undef X
#define X(type, name) k->name = name##_avx512;
    if (tier >= CPU_AVX512) {
        KERNELS(X)
    }
#undef X
}
