#pragma once
/* Collections for tests that stand below the API: what they need of their surroundings, and points
 * to put into them. What fails is reported as by the must_ checks, so threads and children may use
 * them too. */
#include "store/store.h"

struct surroundings {
    struct pool *pool;
    struct background *background, *timer;
    struct kernels kernels;
    struct device_set *set; /* the CPU alone */
    struct store_host host; /* for collections without a store: no interval, 100 readers */
    size_t in_use;
};

void surroundings_begin(struct surroundings *out);
/* Asserts that nothing is in use that was not before. */
void surroundings_end(struct surroundings *surroundings);

/* Makes a collection, metric WG_DOT, in a folder that does not exist yet, and opens it to write. */
struct collection *inner_create(const struct surroundings *surroundings, const char *folder,
                                uint32_t dim, uint64_t history);
struct collection *inner_open(const struct surroundings *surroundings, const char *folder,
                              enum collection_mode mode);
/* How many problems verify finds, each printed; beside a process that writes. */
uint64_t inner_problems(const char *folder);

/* Points first to first + count in one batch, with numbers for ids. A vector begins with the round
 * and the number; what stands behind follows from them. */
WG_CHECKED wg_err inner_upsert(struct collection *collection, uint64_t first, size_t count,
                               float round);
WG_CHECKED wg_err inner_delete(struct collection *collection, uint64_t first, size_t count);
/* The collection holds exactly points 0 to count, point i of rounds[i]; not those below 0. */
void inner_check(struct collection *collection, const float *rounds, size_t count);
