#pragma once
/* Worker threads that share the tasks of one call with its caller. Any thread may run tasks, many
 * threads at once; idle workers sleep. Nothing about the result may depend on which worker does
 * what. */
#include "base/err.h"

#include <stddef.h>

struct pool;

/* thread_count works on one call, its caller included; at least 1. */
WG_CHECKED wg_err pool_create(size_t thread_count, struct pool **out);
void pool_destroy(struct pool **pool);
size_t pool_thread_count(const struct pool *pool);

/* worker < pool_thread_count, one of a kind within this run: the index of its scratch. */
typedef void pool_task(void *arg, size_t task, size_t worker);

/* Returns when every task is done. Tasks begin in rising order. Allocates nothing. */
void pool_run(struct pool *pool, pool_task *run, void *arg, size_t task_count);
