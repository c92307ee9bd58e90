#pragma once
#include "kernel/kernel.h"

kernel_sift_codes sift_codes_avxvnni;
