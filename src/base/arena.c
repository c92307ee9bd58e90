#include "base/arena.h"

#include "base/mem.h"

#include <string.h>

enum { BLOCK_SIZE = 16 * 1024, ALIGNMENT = 8 };

struct arena_block {
    struct arena_block *before;
    size_t used, room;
    _Alignas(ALIGNMENT) char bytes[];
};

static wg_err add_block(struct arena *arena, size_t size)
{
    wg_err err = WG_OK;
    size_t room = arena->block ? 2 * arena->block->room : BLOCK_SIZE;
    if (room < size) room = size;
    char *bytes = NULL;
    TRY(mem_resize(&bytes, sizeof(struct arena_block) + room));
    struct arena_block *block = (void *)bytes;
    *block = (struct arena_block){ .before = arena->block, .room = room };
    arena->block = block;
out:
    return err;
}

wg_err arena_take(struct arena *arena, size_t size, void **out)
{
    wg_err err = WG_OK;
    size_t padded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (padded < size) return wg_fail(WG_ENOMEM, "no memory for %zu bytes", size);
    if (!arena->block || arena->block->room - arena->block->used < padded)
        TRY(add_block(arena, padded));
    *out = arena->block->bytes + arena->block->used;
    arena->block->used += padded;
out:
    return err;
}

wg_err arena_copy(struct arena *arena, const void *bytes, size_t size, char **out)
{
    void *copy;
    wg_err err = arena_take(arena, size + 1, &copy);
    if (err != WG_OK) return err;
    if (size > 0) memcpy(copy, bytes, size);
    *out = copy;
    (*out)[size] = 0;
    return WG_OK;
}

static void free_until(struct arena *arena, const struct arena_block *last)
{
    while (arena->block != last) {
        char *bytes = (void *)arena->block;
        arena->block = arena->block->before;
        mem_free(&bytes);
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_block *newest = arena->block;
    if (!newest) return;
    arena->block = newest->before;
    free_until(arena, NULL);
    newest->before = NULL;
    newest->used = 0;
    arena->block = newest;
}

void arena_fini(struct arena *arena)
{
    free_until(arena, NULL);
}
