#pragma once
/* What is born and dies within one request: allocated in blocks, freed at once. One thread. */
#include "base/err.h"

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *first, *current; /* blocks behind the current one are empty */
};

/* Room for size bytes, aligned to 8; lives until arena_reset or arena_fini. */
WG_CHECKED wg_err arena_take(struct arena *arena, size_t size, void **out);
/* A copy of size bytes and a 0 behind them. */
WG_CHECKED wg_err arena_copy(struct arena *arena, const void *bytes, size_t size, char **out);
/* Empties the arena and keeps its blocks, so that the next request like this one allocates nothing.
 */
void arena_reset(struct arena *arena);
void arena_fini(struct arena *arena);
