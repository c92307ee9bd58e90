#pragma once
/* Which tiers of kernels (kernel/kernel.h) the processor at hand can run. Any thread. */
#include "kernel/kernel.h"

#include <stdbool.h>

/* Of CPU_AMX: asks the operating system for it (os/machine.h, amx_allowed). */
bool tier_is_here(enum cpu_tier tier);
/* amx: whether CPU_AMX may be asked for. */
enum cpu_tier tier_best(bool amx);
