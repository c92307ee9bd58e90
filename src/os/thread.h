#pragma once
/* Threads and what they wait on. POSIX threads on every system (Windows through winpthreads), so
 * the types are theirs; the calls are wrapped because a lock that fails is a bug of ours, never
 * something to return. Threads are created nowhere else. */
#include "base/err.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

struct mutex {
    pthread_mutex_t handle;
};
#define MUTEX_INIT { PTHREAD_MUTEX_INITIALIZER } /* of a static one */
void mutex_init(struct mutex *mutex);
void mutex_fini(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

struct condition {
    pthread_cond_t handle;
};
void condition_init(struct condition *condition);
void condition_fini(struct condition *condition);
void condition_wait(struct condition *condition, struct mutex *locked);
/* Or until clock_ns (os/machine.h) is there. */
void condition_wait_until(struct condition *condition, struct mutex *locked, uint64_t time_ns);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/* Whoever waits may end it as soon as the post that woke him is seen, while the call that posted
 * has not returned. */
struct semaphore {
    sem_t handle;
};
void semaphore_init(struct semaphore *semaphore); /* at 0 */
void semaphore_fini(struct semaphore *semaphore);
void semaphore_post(struct semaphore *semaphore);
void semaphore_wait(struct semaphore *semaphore);

/* Many readers or one writer; a waiting writer goes before new readers. Not recursive. */
struct rwlock {
    pthread_rwlock_t handle;
};
void rwlock_init(struct rwlock *lock);
void rwlock_fini(struct rwlock *lock);
void rwlock_read(struct rwlock *lock);
void rwlock_write(struct rwlock *lock);
void rwlock_unlock(struct rwlock *lock);

struct thread {
    pthread_t handle;
};
/* All signals are blocked in it: they are the program's. */
WG_CHECKED wg_err thread_start(void (*run)(void *arg), void *arg, struct thread *out);
void thread_join(struct thread *thread);
/* Lets another thread that could run go first. */
void thread_yield(void);
