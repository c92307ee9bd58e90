#pragma once
/* Which tiers of kernels (kernel/kernel.h) the processor at hand can run. Any thread. */
#include "kernel/kernel.h"

#include <stdbool.h>

bool tier_is_here(enum cpu_tier tier);
enum cpu_tier tier_best(void);
