#include "cli/heap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 256 * 1024 };

struct text_chunk {
    struct text_chunk *older;
    size_t used, room;
    char bytes[];
};

void heap_exhausted(size_t size_bytes)
{
    fprintf(stderr, "waggle: no memory for %zu bytes\n", size_bytes);
    exit(1);
}

void *heap_resize_bytes(void *old, size_t count, size_t size)
{
    if (count > SIZE_MAX / size) heap_exhausted(SIZE_MAX);
    size_t size_bytes = count > 0 ? count * size : 1;
    void *resized = realloc(old, size_bytes);
    if (!resized) heap_exhausted(size_bytes);
    return resized;
}

void heap_free_bytes(void *bytes)
{
    free(bytes);
}

static void add_chunk(struct text_pool *pool, size_t room)
{
    struct text_chunk *chunk = heap_resize_bytes(NULL, 1, sizeof *chunk + room);
    *chunk = (struct text_chunk){ .older = pool->newest, .room = room };
    pool->newest = chunk;
}

char *text_pool_copy(struct text_pool *pool, const char *bytes, size_t size)
{
    const struct text_chunk *newest = pool->newest;
    if (!newest || newest->room - newest->used <= size)
        add_chunk(pool, size < CHUNK_SIZE ? CHUNK_SIZE : size + 1);
    char *copy = pool->newest->bytes + pool->newest->used;
    memcpy(copy, bytes, size);
    copy[size] = 0;
    pool->newest->used += size + 1;
    return copy;
}

void text_pool_clear(struct text_pool *pool)
{
    while (pool->newest) {
        struct text_chunk *older = pool->newest->older;
        heap_free_bytes(pool->newest);
        pool->newest = older;
    }
}
