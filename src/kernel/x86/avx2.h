#pragma once
#include "kernel/kernel.h"

#define X(type, name) type name##_avx2;
KERNELS(X)
#undef X
