#define _GNU_SOURCE /* the rwlock kind that prefers writers */
#include "os/thread.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

static void must(int error)
{
    assert(error == 0);
    (void)error;
}

void mutex_init(struct mutex *mutex)
{
    must(pthread_mutex_init(&mutex->handle, NULL));
}

void mutex_fini(struct mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->handle));
}

void mutex_lock(struct mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->handle));
}

void mutex_unlock(struct mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->handle));
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&condition->handle, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

void condition_fini(struct condition *condition)
{
    must(pthread_cond_destroy(&condition->handle));
}

void condition_wait(struct condition *condition, struct mutex *locked)
{
    must(pthread_cond_wait(&condition->handle, &locked->handle));
}

void condition_wait_until(struct condition *condition, struct mutex *locked, uint64_t time_ns)
{
    struct timespec time = {
        .tv_sec = (time_t)(time_ns / 1000000000),
        .tv_nsec = (long)(time_ns % 1000000000),
    };
    int error = pthread_cond_timedwait(&condition->handle, &locked->handle, &time);
    must(error == ETIMEDOUT ? 0 : error);
}

void condition_signal(struct condition *condition)
{
    must(pthread_cond_signal(&condition->handle));
}

void condition_broadcast(struct condition *condition)
{
    must(pthread_cond_broadcast(&condition->handle));
}

void semaphore_init(struct semaphore *semaphore)
{
    must(sem_init(&semaphore->handle, 0, 0) == 0 ? 0 : errno);
}

void semaphore_fini(struct semaphore *semaphore)
{
    must(sem_destroy(&semaphore->handle) == 0 ? 0 : errno);
}

void semaphore_post(struct semaphore *semaphore)
{
    must(sem_post(&semaphore->handle) == 0 ? 0 : errno);
}

void semaphore_wait(struct semaphore *semaphore)
{
    while (sem_wait(&semaphore->handle) != 0) must(errno == EINTR ? 0 : errno);
}

void rwlock_init(struct rwlock *lock)
{
    pthread_rwlockattr_t attributes;
    must(pthread_rwlockattr_init(&attributes));
#ifdef PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
    must(pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
#endif
    must(pthread_rwlock_init(&lock->handle, &attributes));
    must(pthread_rwlockattr_destroy(&attributes));
}

void rwlock_fini(struct rwlock *lock)
{
    must(pthread_rwlock_destroy(&lock->handle));
}

void rwlock_read(struct rwlock *lock)
{
    must(pthread_rwlock_rdlock(&lock->handle));
}

void rwlock_write(struct rwlock *lock)
{
    must(pthread_rwlock_wrlock(&lock->handle));
}

void rwlock_unlock(struct rwlock *lock)
{
    must(pthread_rwlock_unlock(&lock->handle));
}

struct start {
    void (*run)(void *arg);
    void *arg;
};

static void *thread_main(void *arg)
{
    struct start *start = arg, copy = *start;
    mem_free(&start);
    copy.run(copy.arg);
    return NULL;
}

wg_err thread_start(void (*run)(void *arg), void *arg, struct thread *out)
{
    struct start *start = NULL;
    wg_err err = mem_resize(&start, 1);
    if (err != WG_OK) return err;
    *start = (struct start){ run, arg };
    sigset_t all, before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before));
    int error = pthread_create(&out->handle, NULL, thread_main, start);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL));
    if (error == 0) return WG_OK;
    mem_free(&start);
    return wg_fail(WG_ENOMEM, "cannot start a thread: %s", strerror(error));
}

void thread_join(struct thread *thread)
{
    must(pthread_join(thread->handle, NULL));
}

void thread_yield(void)
{
    sched_yield();
}
