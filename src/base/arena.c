#include "base/arena.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK_SIZE = 1024, ALIGNMENT = 8 };

struct arena_block {
    struct arena_block *after;
    size_t used, room;
    _Alignas(ALIGNMENT) char bytes[];
};

/* An empty block behind the current one, which it becomes. */
static wg_err add_block(struct arena *arena, size_t size)
{
    wg_err err = WG_OK;
    struct arena_block *current = arena->current;
    size_t room = current ? 2 * current->room : BLOCK_SIZE;
    if (room < size) room = size;
    char *bytes = NULL;
    TRY(mem_resize(&bytes, sizeof(struct arena_block) + room));
    struct arena_block *block = (void *)bytes;
    *block = (struct arena_block){ .after = current ? current->after : NULL, .room = room };
    *(current ? &current->after : &arena->first) = block;
    arena->current = block;
out:
    return err;
}

static bool has_room(const struct arena *arena, size_t size)
{
    return arena->current && arena->current->room - arena->current->used >= size;
}

wg_err arena_take(struct arena *arena, size_t size, void **out)
{
    wg_err err = WG_OK;
    if (size > SIZE_MAX / 2) return wg_fail(WG_ENOMEM, "no memory for %zu bytes", size);
    size_t padded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    while (!has_room(arena, padded) && arena->current && arena->current->after)
        arena->current = arena->current->after;
    if (!has_room(arena, padded)) TRY(add_block(arena, padded));
    *out = arena->current->bytes + arena->current->used;
    arena->current->used += padded;
out:
    return err;
}

wg_err arena_copy(struct arena *arena, const void *bytes, size_t size, char **out)
{
    void *copy;
    wg_err err = size < SIZE_MAX ? arena_take(arena, size + 1, &copy)
                                 : wg_fail(WG_ENOMEM, "no memory for %zu bytes", size);
    if (err != WG_OK) return err;
    if (size > 0) memcpy(copy, bytes, size);
    *out = copy;
    (*out)[size] = 0;
    return WG_OK;
}

void arena_reset(struct arena *arena)
{
    for (struct arena_block *block = arena->first; block; block = block->after) block->used = 0;
    arena->current = arena->first;
}

void arena_fini(struct arena *arena)
{
    while (arena->first) {
        char *bytes = (void *)arena->first;
        arena->first = arena->first->after;
        mem_free(&bytes);
    }
    arena->current = NULL;
}
