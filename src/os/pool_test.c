/* The thread pool: every task once, whoever calls, however many threads there are. */
#include "base/mem.h"
#include "os/pool.h"
#include "os/thread.h"
#include "support/check.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_MAX = 4, TASKS_MAX = 700, CALLERS = 5 };

struct run {
    size_t thread_count, task_count;
    atomic_uint done[TASKS_MAX];
    atomic_bool busy[THREADS_MAX];
    size_t latest[THREADS_MAX]; /* the task that this worker did last, plus 1; the worker's own */
    atomic_size_t begun;
};

static void one_task(void *arg, size_t task, size_t worker)
{
    struct run *run = arg;
    must(task < run->task_count, "task %zu of %zu", task, run->task_count);
    must(worker < run->thread_count, "worker %zu of %zu", worker, run->thread_count);
    must(!atomic_exchange(&run->busy[worker], true), "worker %zu is two", worker);
    must(run->latest[worker] <= task, "task %zu after %zu", task, run->latest[worker] - 1);
    run->latest[worker] = task + 1;
    for (volatile int i = 0; i < (int)(task * 37 % 500); i++) {
    }
    run->done[task]++;
    run->begun++;
    run->busy[worker] = false;
}

static void run_and_check(struct pool *pool, size_t task_count)
{
    struct run *run = allocate(1, sizeof *run);
    run->thread_count = pool_thread_count(pool);
    run->task_count = task_count;
    pool_run(pool, one_task, run, task_count);
    must(run->begun == task_count, "%zu of %zu tasks", (size_t)run->begun, task_count);
    for (size_t t = 0; t < task_count; t++)
        must(run->done[t] == 1, "task %zu was done %u times", t, (unsigned)run->done[t]);
    free(run);
}

static void every_task_is_done_once(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= THREADS_MAX; threads++) {
        size_t before = mem_in_use();
        struct pool *pool = NULL;
        assert_ok(pool_create(threads, &pool));
        assert_int_equal(pool_thread_count(pool), threads);
        for (size_t tasks = 0; tasks <= TASKS_MAX; tasks += 1 + tasks / 4)
            run_and_check(pool, tasks);
        pool_destroy(&pool);
        assert_null(pool);
        pool_destroy(&pool);
        assert_int_equal(mem_in_use(), before);
    }
}

struct caller {
    struct pool *pool;
    uint64_t seed;
};

static void call_often(void *arg)
{
    struct caller *caller = arg;
    struct prng prng = { caller->seed };
    for (int i = 0; i < 300; i++) run_and_check(caller->pool, test_below(&prng, 60));
}

static void many_may_call_at_once(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    for (size_t threads = 1; threads <= THREADS_MAX; threads++) {
        struct pool *pool = NULL;
        struct thread calling[CALLERS];
        struct caller callers[CALLERS];
        assert_ok(pool_create(threads, &pool));
        for (size_t c = 0; c < CALLERS; c++) {
            callers[c] = (struct caller){ pool, seed + c };
            assert_ok(thread_start(call_often, &callers[c], &calling[c]));
        }
        for (size_t c = 0; c < CALLERS; c++) thread_join(&calling[c]);
        pool_destroy(&pool);
    }
}

struct meeting {
    struct mutex mutex;
    struct condition condition;
    size_t there, wanted;
};

/* Returns only when all are there: the tasks have to run at the same time. */
static void meet(void *arg, size_t task, size_t worker)
{
    (void)task, (void)worker;
    struct meeting *meeting = arg;
    mutex_lock(&meeting->mutex);
    meeting->there++;
    condition_broadcast(&meeting->condition);
    while (meeting->there < meeting->wanted) condition_wait(&meeting->condition, &meeting->mutex);
    mutex_unlock(&meeting->mutex);
}

static void all_threads_work_on_one_call(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= THREADS_MAX; threads++) {
        struct pool *pool = NULL;
        struct meeting meeting = { .wanted = threads };
        mutex_init(&meeting.mutex);
        condition_init(&meeting.condition);
        assert_ok(pool_create(threads, &pool));
        for (int round = 0; round < 20; round++) {
            meeting.there = 0;
            pool_run(pool, meet, &meeting, threads);
        }
        pool_destroy(&pool);
        condition_fini(&meeting.condition);
        mutex_fini(&meeting.mutex);
    }
}

static void note_order(void *arg, size_t task, size_t worker)
{
    size_t *next = arg;
    must(worker == 0 && task == *next, "task %zu, expected %zu", task, *next);
    (*next)++;
}

static void one_thread_goes_in_order(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    size_t next = 0;
    assert_ok(pool_create(1, &pool));
    pool_run(pool, note_order, &next, 1000);
    assert_int_equal(next, 1000);
    pool_destroy(&pool);
}

static void running_allocates_nothing(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    char *p = NULL;
    assert_ok(pool_create(3, &pool));
    mem_fail_at(1);
    struct run *run = allocate(1, sizeof *run);
    run->thread_count = 3;
    run->task_count = 50;
    pool_run(pool, one_task, run, 50);
    assert_int_equal(mem_resize(&p, 1), WG_ENOMEM); /* nobody asked before us */
    assert_null(p);
    free(run);
    pool_destroy(&pool);
}

static void creating_without_memory_leaves_nothing(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    struct pool *pool = NULL;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = pool_create(3, &pool);
        mem_fail_at(0);
        if (err == WG_OK) break;
        assert_int_equal(err, WG_ENOMEM);
        assert_null(pool);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 1);
    pool_destroy(&pool);
    assert_int_equal(mem_in_use(), before);
}

/* In a child, with so little address space that some thread's stack does not fit. */
static void creating_without_threads_leaves_nothing(void **state)
{
    (void)state;
    const char *instrumented = getenv("WAGGLE_INSTRUMENTED");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer needs its address space */
#endif
    if (instrumented && strcmp(instrumented, "") != 0) skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = { 96u << 20, 96u << 20 };
        size_t before = mem_in_use();
        struct pool *pool = NULL;
        must(setrlimit(RLIMIT_AS, &limit) == 0, "cannot limit memory");
        wg_err err = pool_create(200, &pool);
        must(err != WG_OK && !pool, "200 threads were made");
        must(strlen(wg_message()) > 0, "without a reason");
        must(mem_in_use() == before, "memory is left");
        must_ok(pool_create(2, &pool)); /* the threads that were made are gone */
        run_and_check(pool, 100);
        pool_destroy(&pool);
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creating_without_threads_leaves_nothing),
        cmocka_unit_test(every_task_is_done_once),
        cmocka_unit_test(many_may_call_at_once),
        cmocka_unit_test(all_threads_work_on_one_call),
        cmocka_unit_test(one_thread_goes_in_order),
        cmocka_unit_test(running_allocates_nothing),
        cmocka_unit_test(creating_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
