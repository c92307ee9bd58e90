#include "os/pool.h"

#include "base/mem.h"
#include "os/thread.h"

#include <stdatomic.h>
#include <stdbool.h>

/* On the stack of the thread that runs it. */
struct job {
    pool_task *run;
    void *arg;
    size_t task_count;
    atomic_size_t next;
    size_t helper_count; /* workers in it now; guarded by the pool's mutex */
    struct job *after;   /* likewise */
};

struct worker {
    struct pool *pool;
    struct thread thread;
    size_t index;
};

struct pool {
    struct mutex mutex;
    struct condition work, done;
    struct job *jobs; /* oldest first; guarded by mutex */
    bool closing;     /* guarded by mutex */
    size_t worker_count;
    struct worker *workers; /* worker i is known to its tasks as i + 1; the caller is 0 */
};

static void do_tasks(struct job *job, size_t worker)
{
    for (size_t task; (task = atomic_fetch_add(&job->next, 1)) < job->task_count;)
        job->run(job->arg, task, worker);
}

static struct job *first_with_tasks(struct pool *pool)
{
    struct job *job = pool->jobs;
    while (job && atomic_load(&job->next) >= job->task_count) job = job->after;
    return job;
}

static void worker_main(void *arg)
{
    struct worker *worker = arg;
    struct pool *pool = worker->pool;
    mutex_lock(&pool->mutex);
    while (!pool->closing) {
        struct job *job = first_with_tasks(pool);
        if (!job) {
            condition_wait(&pool->work, &pool->mutex);
            continue;
        }
        job->helper_count++;
        mutex_unlock(&pool->mutex);
        do_tasks(job, worker->index);
        mutex_lock(&pool->mutex);
        if (--job->helper_count == 0) condition_broadcast(&pool->done);
    }
    mutex_unlock(&pool->mutex);
}

wg_err pool_create(size_t thread_count, struct pool **out)
{
    wg_err err = WG_OK;
    struct pool *pool = NULL;
    TRY(mem_resize(&pool, 1));
    *pool = (struct pool){ 0 };
    mutex_init(&pool->mutex);
    condition_init(&pool->work);
    condition_init(&pool->done);
    TRY(mem_resize(&pool->workers, thread_count));
    while (pool->worker_count < thread_count - 1) {
        struct worker *worker = &pool->workers[pool->worker_count];
        *worker = (struct worker){ .pool = pool, .index = pool->worker_count + 1 };
        TRY(thread_start(worker_main, worker, &worker->thread));
        pool->worker_count++;
    }
    *out = pool;
    pool = NULL; /* moved */
out:
    pool_destroy(&pool);
    return err;
}

void pool_destroy(struct pool **pool)
{
    struct pool *p = *pool;
    if (!p) return;
    mutex_lock(&p->mutex);
    p->closing = true;
    condition_broadcast(&p->work);
    mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->worker_count; i++) thread_join(&p->workers[i].thread);
    condition_fini(&p->work);
    condition_fini(&p->done);
    mutex_fini(&p->mutex);
    mem_free(&p->workers);
    mem_free(pool);
}

size_t pool_thread_count(const struct pool *pool)
{
    return pool->worker_count + 1;
}

static void offer(struct pool *pool, struct job *job)
{
    mutex_lock(&pool->mutex);
    struct job **last = &pool->jobs;
    while (*last) last = &(*last)->after;
    *last = job;
    condition_broadcast(&pool->work);
    mutex_unlock(&pool->mutex);
}

static void withdraw(struct pool *pool, struct job *job)
{
    mutex_lock(&pool->mutex);
    struct job **at = &pool->jobs;
    while (*at != job) at = &(*at)->after;
    *at = job->after;
    while (job->helper_count > 0) condition_wait(&pool->done, &pool->mutex);
    mutex_unlock(&pool->mutex);
}

void pool_run(struct pool *pool, pool_task *run, void *arg, size_t task_count)
{
    struct job job = { .run = run, .arg = arg, .task_count = task_count };
    bool shared = task_count > 1 && pool->worker_count > 0;
    if (shared) offer(pool, &job);
    do_tasks(&job, 0);
    if (shared) withdraw(pool, &job);
}
