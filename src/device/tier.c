#include "device/tier.h"

#include "os/machine.h"

bool tier_is_here(enum cpu_tier tier)
{
    switch (tier) {
    case CPU_C: return true;
    case CPU_AVX2: return processor_has_avx2();
    case CPU_AVXVNNI: return processor_has_avxvnni();
    case CPU_AVX512: return processor_has_avx512();
    case CPU_VNNI: return processor_has_vnni();
    case CPU_AMX: return amx_allowed();
    case CPU_NEON: return processor_has_neon();
    case CPU_NEONDOT: return processor_has_neondot();
    case CPU_NEONI8MM: return processor_has_neoni8mm();
    case CPU_TIER_COUNT: break;
    }
    return false;
}

enum cpu_tier tier_best(bool amx)
{
    enum cpu_tier best = CPU_TIER_COUNT - 1;
    while ((best == CPU_AMX && !amx) || !tier_is_here(best)) best--;
    return best;
}
