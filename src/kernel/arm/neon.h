#pragma once
#include "kernel/kernel.h"

#define X(type, name) type name##_neon;
KERNELS(X)
#undef X
