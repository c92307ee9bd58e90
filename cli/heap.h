#pragma once
/* Memory of the command line program. A program that has none left says so and ends with exit code
 * 1: what the library has acknowledged is on disk. So nothing here returns NULL. */
#include <stddef.h>

/* Makes *p point to room for count elements of its type; it may be NULL before. */
#define heap_resize(p, count) (*(p) = heap_resize_bytes(*(p), (count), sizeof **(p)))
void *heap_resize_bytes(void *old, size_t count, size_t size);

/* Frees *p and nulls it; a null *p is fine. */
#define heap_free(p) (heap_free_bytes(*(p)), *(p) = NULL)
void heap_free_bytes(void *bytes);

/* Ends the program; for libraries that return NULL. */
_Noreturn void heap_exhausted(size_t size_bytes);

/* Texts that die together. Zero is an empty pool. */
struct text_pool {
    struct text_chunk *newest;
};

/* A copy of size bytes with a 0 behind them, at one place until the pool is cleared. */
char *text_pool_copy(struct text_pool *pool, const char *bytes, size_t size);
void text_pool_clear(struct text_pool *pool);
