#pragma once
#include "kernel/kernel.h"

kernel_sift_codes sift_codes_neondot;
kernel_dots_i8 dots_i8_neondot;
kernel_dots_i4 dots_i4_neondot;
