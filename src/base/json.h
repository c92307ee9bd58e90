#pragma once
/* Payloads: JSON objects as text. Parsing and printing are json-c's; what json-c would change
 * without a word (an integer beyond 64 bits, a number beyond double, \u0000) is refused.
 * Any thread. */
#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>

enum { JSON_DEPTH_MAX = 64, JSON_SIZE_MAX = 16 * 1024 * 1024 };

/* text is size bytes and a 0 behind them. WG_EINVAL says what is wrong and at which byte. */
WG_CHECKED wg_err json_check_object(const char *text, size_t size);

/* The keys of patch laid over those of object, both checked before; *out is in the arena. White
 * space goes, and an integer -0 becomes 0. */
WG_CHECKED wg_err json_merge(const char *object, const char *patch, struct arena *arena,
                             char **out);
