/* Threads and what they wait on. */
#include "os/machine.h"
#include "os/thread.h"
#include "support/check.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static void sleep_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static void note_signals(void *arg)
{
    sigset_t blocked;
    must(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0, "no mask");
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        must(sigismember(&blocked, signals[i]) == 1, "signal %d is not blocked", signals[i]);
    *(int *)arg = 42;
}

static void a_thread_runs_without_signals(void **state)
{
    (void)state;
    sigset_t before, after;
    struct thread thread;
    int seen = 0;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    assert_ok(thread_start(note_signals, &seen, &thread));
    thread_join(&thread);
    assert_int_equal(seen, 42);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&before, SIGINT),
                     sigismember(&after, SIGINT)); /* here as before */
    assert_int_equal(sigismember(&before, SIGUSR1), sigismember(&after, SIGUSR1));
}

struct shared {
    struct mutex mutex;
    struct condition condition;
    struct rwlock lock;
    size_t count; /* not atomic: the lock has to do */
    int stage;
    atomic_int order, writer_was, reader_was;
};

static struct shared shared;

static void count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        mutex_lock(&shared.mutex);
        shared.count++;
        mutex_unlock(&shared.mutex);
    }
}

static void a_mutex_lets_one_in(void **state)
{
    (void)state;
    struct thread threads[4];
    shared.count = 0;
    mutex_init(&shared.mutex);
    for (size_t i = 0; i < 4; i++) assert_ok(thread_start(count_up, NULL, &threads[i]));
    for (size_t i = 0; i < 4; i++) thread_join(&threads[i]);
    assert_int_equal(shared.count, 80000);
    mutex_fini(&shared.mutex);
}

static void wait_for_stage(void *arg)
{
    mutex_lock(&shared.mutex);
    while (shared.stage == 0) condition_wait(&shared.condition, &shared.mutex);
    shared.count++;
    mutex_unlock(&shared.mutex);
    (void)arg;
}

static void conditions_wake_the_waiting(void **state)
{
    (void)state;
    struct thread threads[3];
    mutex_init(&shared.mutex);
    condition_init(&shared.condition);
    for (size_t waiting = 1; waiting <= 3; waiting += 2) {
        shared.count = 0;
        shared.stage = 0;
        for (size_t i = 0; i < waiting; i++)
            assert_ok(thread_start(wait_for_stage, NULL, &threads[i]));
        sleep_ms(5);
        mutex_lock(&shared.mutex);
        assert_int_equal(shared.count, 0);
        shared.stage = 1;
        if (waiting == 1)
            condition_signal(&shared.condition);
        else
            condition_broadcast(&shared.condition);
        mutex_unlock(&shared.mutex);
        for (size_t i = 0; i < waiting; i++) thread_join(&threads[i]);
        assert_int_equal(shared.count, waiting);
    }
    condition_fini(&shared.condition);
    mutex_fini(&shared.mutex);
}

static const uint64_t ms_ns = 1000000;

static void a_wait_ends_at_its_time(void **state)
{
    (void)state;
    mutex_init(&shared.mutex);
    condition_init(&shared.condition);
    mutex_lock(&shared.mutex);
    condition_wait_until(&shared.condition, &shared.mutex, 0); /* it has passed */
    condition_wait_until(&shared.condition, &shared.mutex, clock_ns());
    uint64_t until = clock_ns() + 40 * ms_ns, wakes = 0;
    while (clock_ns() < until) { /* it may wake without a reason */
        condition_wait_until(&shared.condition, &shared.mutex, until);
        wakes++;
    }
    assert_true(wakes < 20); /* it slept */
    assert_true(clock_ns() < until + 5000 * ms_ns);
    mutex_unlock(&shared.mutex); /* it is ours after the wait */
    condition_fini(&shared.condition);
    mutex_fini(&shared.mutex);
}

static void wait_a_minute(void *arg)
{
    uint64_t until = clock_ns() + 60000 * ms_ns;
    mutex_lock(&shared.mutex);
    while (shared.stage == 0 && clock_ns() < until)
        condition_wait_until(&shared.condition, &shared.mutex, until);
    mutex_unlock(&shared.mutex);
    *(bool *)arg = clock_ns() < until;
}

static void a_signal_ends_a_timed_wait(void **state)
{
    (void)state;
    struct thread thread;
    bool in_time = false;
    mutex_init(&shared.mutex);
    condition_init(&shared.condition);
    shared.stage = 0;
    assert_ok(thread_start(wait_a_minute, &in_time, &thread));
    sleep_ms(20);
    mutex_lock(&shared.mutex); /* the waiting one has let go of it */
    shared.stage = 1;
    condition_signal(&shared.condition);
    mutex_unlock(&shared.mutex);
    thread_join(&thread);
    assert_true(in_time);
    condition_fini(&shared.condition);
    mutex_fini(&shared.mutex);
}

static struct mutex never_initialised = MUTEX_INIT;

static void a_static_mutex_is_ready(void **state)
{
    (void)state;
    mutex_lock(&never_initialised);
    mutex_unlock(&never_initialised);
}

static void write_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5000; i++) {
        rwlock_write(&shared.lock);
        shared.count++;
        shared.count++;
        rwlock_unlock(&shared.lock);
    }
}

static void read_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5000; i++) {
        rwlock_read(&shared.lock);
        must(shared.count % 2 == 0, "a reader saw half a write");
        rwlock_unlock(&shared.lock);
    }
}

static void a_writer_is_alone(void **state)
{
    (void)state;
    struct thread threads[4];
    rwlock_init(&shared.lock);
    shared.count = 0;
    for (size_t i = 0; i < 4; i++)
        assert_ok(thread_start(i % 2 ? write_many : read_many, NULL, &threads[i]));
    for (size_t i = 0; i < 4; i++) thread_join(&threads[i]);
    assert_int_equal(shared.count, 20000);
    rwlock_fini(&shared.lock);
}

static void one_read(void *arg)
{
    rwlock_read(&shared.lock);
    *(atomic_int *)arg = ++shared.order;
    rwlock_unlock(&shared.lock);
}

static void one_write(void *arg)
{
    rwlock_write(&shared.lock);
    *(atomic_int *)arg = ++shared.order;
    rwlock_unlock(&shared.lock);
}

static void readers_share(void **state)
{
    (void)state;
    struct thread reader;
    rwlock_init(&shared.lock);
    shared.order = 0;
    rwlock_read(&shared.lock);
    assert_ok(thread_start(one_read, &shared.reader_was, &reader));
    thread_join(&reader); /* comes in beside us */
    assert_int_equal(shared.reader_was, 1);
    rwlock_unlock(&shared.lock);
    rwlock_fini(&shared.lock);
}

static void a_waiting_writer_goes_before_new_readers(void **state)
{
    (void)state;
    struct thread writer, reader;
    rwlock_init(&shared.lock);
    shared.order = 0;
    rwlock_read(&shared.lock);
    assert_ok(thread_start(one_write, &shared.writer_was, &writer));
    sleep_ms(50); /* the writer waits for us */
    assert_ok(thread_start(one_read, &shared.reader_was, &reader));
    sleep_ms(50); /* a reader that could pass it would have */
    assert_int_equal(shared.order, 0);
    rwlock_unlock(&shared.lock);
    thread_join(&writer);
    thread_join(&reader);
    assert_int_equal(shared.writer_was, 1);
    assert_int_equal(shared.reader_was, 2);
    rwlock_fini(&shared.lock);
}

struct posted {
    struct semaphore turn;
    int value;
};

static void fill_and_post(void *arg)
{
    struct posted *posted = arg;
    sleep_ms(5);
    posted->value = 7;
    semaphore_post(&posted->turn);
}

static void a_post_wakes_one_who_waits(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) { /* gone as soon as the post is seen */
        struct posted posted = { .value = 0 };
        struct thread thread;
        semaphore_init(&posted.turn);
        assert_ok(thread_start(fill_and_post, &posted, &thread));
        semaphore_wait(&posted.turn);
        assert_int_equal(posted.value, 7);
        semaphore_fini(&posted.turn);
        thread_join(&thread);
    }
    struct semaphore early;
    semaphore_init(&early);
    semaphore_post(&early);
    semaphore_wait(&early); /* a post before the wait is not lost */
    semaphore_fini(&early);
    thread_yield();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_runs_without_signals),
        cmocka_unit_test(a_mutex_lets_one_in),
        cmocka_unit_test(conditions_wake_the_waiting),
        cmocka_unit_test(a_wait_ends_at_its_time),
        cmocka_unit_test(a_signal_ends_a_timed_wait),
        cmocka_unit_test(a_static_mutex_is_ready),
        cmocka_unit_test(a_post_wakes_one_who_waits),
        cmocka_unit_test(a_writer_is_alone),
        cmocka_unit_test(readers_share),
        cmocka_unit_test(a_waiting_writer_goes_before_new_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
