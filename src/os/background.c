#include "os/background.h"

#include "base/mem.h"
#include "os/machine.h"
#include "os/thread.h"

struct job {
    background_job *run;
    void *arg;
    uint64_t due_ns; /* by clock_ns */
    struct job *after;
};

struct background {
    struct mutex mutex; /* guards all below */
    struct condition work, idle;
    struct job *first; /* in the order in which they are due */
    bool started, busy, closing;
    struct thread thread;
    struct processors processors; /* of whoever created it: the thread's too */
};

/* Takes the first job when it is due; NULL: closing and none is left. */
static struct job *next_job(struct background *b)
{
    for (;;) {
        struct job *job = b->first;
        if (!job && b->closing) return NULL;
        if (job && (b->closing || job->due_ns <= clock_ns())) {
            b->first = job->after;
            return job;
        }
        if (job)
            condition_wait_until(&b->work, &b->mutex, job->due_ns);
        else
            condition_wait(&b->work, &b->mutex);
    }
}

static void background_main(void *arg)
{
    struct background *b = arg;
    processors_use(&b->processors);
    mutex_lock(&b->mutex);
    for (struct job *job; (job = next_job(b)) != NULL;) {
        b->busy = true;
        bool cancelled = b->closing;
        mutex_unlock(&b->mutex);
        job->run(job->arg, cancelled);
        mem_free(&job);
        mutex_lock(&b->mutex);
        b->busy = false;
        if (!b->first) condition_broadcast(&b->idle);
    }
    mutex_unlock(&b->mutex);
}

wg_err background_create(struct background **out)
{
    struct background *b = NULL;
    wg_err err = mem_resize(&b, 1);
    if (err != WG_OK) return err;
    *b = (struct background){ 0 };
    mutex_init(&b->mutex);
    condition_init(&b->work);
    condition_init(&b->idle);
    processors_get(&b->processors);
    *out = b;
    return WG_OK;
}

void background_destroy(struct background **background)
{
    struct background *b = *background;
    if (!b) return;
    mutex_lock(&b->mutex);
    b->closing = true;
    condition_signal(&b->work);
    mutex_unlock(&b->mutex);
    if (b->started) thread_join(&b->thread);
    condition_fini(&b->work);
    condition_fini(&b->idle);
    mutex_fini(&b->mutex);
    mem_free(background);
}

static void insert(struct background *b, struct job *job)
{
    struct job **at = &b->first;
    while (*at && (*at)->due_ns <= job->due_ns) at = &(*at)->after;
    job->after = *at;
    *at = job;
    condition_signal(&b->work);
}

wg_err background_submit_after(struct background *b, uint32_t delay_ms, background_job *run,
                               void *arg)
{
    struct job *job = NULL;
    wg_err err = mem_resize(&job, 1);
    if (err != WG_OK) return err;
    *job = (struct job){ .run = run, .arg = arg };
    if (delay_ms > 0) job->due_ns = clock_ns() + delay_ms * UINT64_C(1000000);
    mutex_lock(&b->mutex);
    if (!b->started) {
        err = thread_start(background_main, b, &b->thread);
        b->started = err == WG_OK;
    }
    if (err == WG_OK) {
        insert(b, job);
        job = NULL; /* moved */
    }
    mutex_unlock(&b->mutex);
    mem_free(&job);
    return err;
}

wg_err background_submit(struct background *b, background_job *run, void *arg)
{
    return background_submit_after(b, 0, run, arg);
}

void background_hurry(struct background *b, const void *arg)
{
    mutex_lock(&b->mutex);
    for (struct job **at = &b->first; *at;) {
        struct job *job = *at;
        if (job->arg != arg || job->due_ns == 0) {
            at = &job->after;
            continue;
        }
        *at = job->after;
        job->due_ns = 0;
        insert(b, job);
        at = &b->first;
    }
    mutex_unlock(&b->mutex);
}

/* With the mutex held: out of the queue; NULL: there is none. */
static struct job *take_job(struct background *b, const void *arg)
{
    struct job **at = &b->first;
    while (*at && (*at)->arg != arg) at = &(*at)->after;
    struct job *job = *at;
    if (job) *at = job->after;
    if (!b->first && !b->busy) condition_broadcast(&b->idle);
    return job;
}

void background_cancel(struct background *b, const void *arg)
{
    for (;;) {
        mutex_lock(&b->mutex);
        struct job *job = take_job(b, arg);
        mutex_unlock(&b->mutex);
        if (!job) return;
        job->run(job->arg, true);
        mem_free(&job);
    }
}

void background_drain(struct background *b)
{
    mutex_lock(&b->mutex);
    while (b->first || b->busy) condition_wait(&b->idle, &b->mutex);
    mutex_unlock(&b->mutex);
}
