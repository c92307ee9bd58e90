#include "kernel/arm/neon.h"
#include "kernel/arm/neondot.h"
#include "kernel/arm/neoni8mm.h"
#include "kernel/code_layout.h"

/* A tier has every kernel of the list: a hole would not link. The others are an instruction for
 * some. Sums in 16 bits are of two products at most, and these of codes that are both signed: all
 * tiers take any code of a query. */
void kernels_init_arm(struct kernels *k, enum cpu_tier tier)
{
#define X(type, name) k->name = name##_neon;
    if (tier >= CPU_NEON) {
        KERNELS(X)
        k->code_layout = (struct code_layout){ CODE_LAYOUT_GROUP, CODE_LAYOUT_STEP };
    }
#undef X
    if (tier >= CPU_NEONDOT) {
        k->sift_codes = sift_codes_neondot;
        k->dots_i8 = dots_i8_neondot;
        k->dots_i4 = dots_i4_neondot;
    }
    if (tier >= CPU_NEONI8MM) k->sift_codes = sift_codes_neoni8mm;
}
