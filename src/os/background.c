#include "os/background.h"

#include "base/mem.h"
#include "os/thread.h"

struct job {
    background_job *run;
    void *arg;
    struct job *after;
};

struct background {
    struct mutex mutex; /* guards all below */
    struct condition work, idle;
    struct job *first, **last;
    bool started, busy, closing;
    struct thread thread;
};

/* Takes the first job; NULL: closing and none is left. */
static struct job *next_job(struct background *b)
{
    while (!b->first && !b->closing) condition_wait(&b->work, &b->mutex);
    struct job *job = b->first;
    if (!job) return NULL;
    b->first = job->after;
    if (!b->first) b->last = &b->first;
    return job;
}

static void background_main(void *arg)
{
    struct background *b = arg;
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
    *b = (struct background){ .last = &b->first };
    mutex_init(&b->mutex);
    condition_init(&b->work);
    condition_init(&b->idle);
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

wg_err background_submit(struct background *b, background_job *run, void *arg)
{
    struct job *job = NULL;
    wg_err err = mem_resize(&job, 1);
    if (err != WG_OK) return err;
    *job = (struct job){ .run = run, .arg = arg };
    mutex_lock(&b->mutex);
    if (!b->started) {
        err = thread_start(background_main, b, &b->thread);
        b->started = err == WG_OK;
    }
    if (err == WG_OK) {
        *b->last = job;
        b->last = &job->after;
        job = NULL; /* moved */
        condition_signal(&b->work);
    }
    mutex_unlock(&b->mutex);
    mem_free(&job);
    return err;
}

void background_drain(struct background *b)
{
    mutex_lock(&b->mutex);
    while (b->first || b->busy) condition_wait(&b->idle, &b->mutex);
    mutex_unlock(&b->mutex);
}
