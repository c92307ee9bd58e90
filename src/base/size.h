#pragma once
/* Sizes computed from what users and files say: an overflow is an error, never a wrap. */
#include "base/err.h"

#include <stddef.h>

WG_CHECKED wg_err size_multiply(size_t a, size_t b, size_t *product);
