#pragma once
#include "kernel/kernel.h"

#define X(type, name) type name##_avx512;
KERNELS(X)
#undef X
