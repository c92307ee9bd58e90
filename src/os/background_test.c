/* The background thread: in order or when due, once each, hurried, drained, cancelled when it ends.
 * */
#include "base/mem.h"
#include "os/background.h"
#include "os/machine.h"
#include "os/thread.h"
#include "support/check.h"

#include <stdatomic.h>
#include <time.h>

enum { JOBS = 600 };

static void sleep_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

struct job {
    atomic_uint runs;
    bool cancelled;
    size_t place; /* in the order of running */
    long ms;
    uint64_t begun_ns;
    pthread_t thread;
};

static struct job jobs[JOBS];
static size_t next_place; /* the background thread's */

static void run_job(void *arg, bool cancelled)
{
    struct job *job = arg;
    job->begun_ns = clock_ns();
    job->cancelled = cancelled;
    job->place = next_place++;
    job->thread = pthread_self();
    if (!cancelled && job->ms > 0) sleep_ms(job->ms);
    job->runs++;
}

static void reset_jobs(long ms)
{
    next_place = 0;
    for (size_t i = 0; i < JOBS; i++) jobs[i] = (struct job){ .ms = ms };
}

static void jobs_run_in_order(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct background *background = NULL;
    reset_jobs(0);
    assert_ok(background_create(&background));
    background_drain(background); /* nothing to wait for */
    for (size_t i = 0; i < JOBS; i++) {
        assert_ok(background_submit(background, run_job, &jobs[i]));
        if (i % 100 == 99) background_drain(background);
        if (i % 100 == 99) assert_int_equal(jobs[i].runs, 1);
    }
    background_drain(background);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].runs, 1);
        assert_false(jobs[i].cancelled);
        assert_int_equal(jobs[i].place, i);
        assert_true(pthread_equal(jobs[i].thread, jobs[0].thread));
        assert_false(pthread_equal(jobs[i].thread, pthread_self()));
    }
    background_destroy(&background);
    assert_null(background);
    background_destroy(&background);
    assert_int_equal(mem_in_use(), before);
}

static void drain_waits_for_the_one_that_runs(void **state)
{
    (void)state;
    struct background *background = NULL;
    reset_jobs(0);
    jobs[0].ms = 60;
    assert_ok(background_create(&background));
    assert_ok(background_submit(background, run_job, &jobs[0]));
    sleep_ms(10); /* it has begun, and left the queue */
    background_drain(background);
    assert_int_equal(jobs[0].runs, 1);
    background_destroy(&background);
}

static void destroying_cancels_what_has_not_begun(void **state)
{
    (void)state;
    size_t before = mem_in_use(), cancelled = 0;
    struct background *background = NULL;
    reset_jobs(5); /* three seconds, were all to run */
    assert_ok(background_create(&background));
    for (size_t i = 0; i < JOBS; i++) assert_ok(background_submit(background, run_job, &jobs[i]));
    while (jobs[0].runs == 0) sleep_ms(1);
    background_destroy(&background);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].runs, 1);
        assert_int_equal(jobs[i].place, i);
        if (i > 0 && jobs[i - 1].cancelled) assert_true(jobs[i].cancelled);
        cancelled += jobs[i].cancelled;
    }
    assert_false(jobs[0].cancelled);
    assert_true(cancelled > 0);
    assert_int_equal(mem_in_use(), before);
}

static void destroying_one_never_used(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct background *background = NULL;
    assert_ok(background_create(&background));
    background_destroy(&background);
    assert_int_equal(mem_in_use(), before);
}

struct submitter {
    struct background *background;
    size_t first, count;
};

static void submit_some(void *arg)
{
    struct submitter *s = arg;
    for (size_t i = 0; i < s->count; i++)
        must_ok(background_submit(s->background, run_job, &jobs[s->first + i]));
    background_drain(s->background);
    for (size_t i = 0; i < s->count; i++)
        must(jobs[s->first + i].runs == 1, "job %zu was not drained", s->first + i);
}

static void many_may_submit(void **state)
{
    (void)state;
    struct background *background = NULL;
    struct submitter submitters[3];
    struct thread threads[3];
    reset_jobs(0);
    assert_ok(background_create(&background));
    for (size_t t = 0; t < 3; t++) {
        submitters[t] = (struct submitter){ background, t * (JOBS / 3), JOBS / 3 };
        assert_ok(thread_start(submit_some, &submitters[t], &threads[t]));
    }
    for (size_t t = 0; t < 3; t++) thread_join(&threads[t]);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].runs, 1);
        if (i % (JOBS / 3) > 0) assert_true(jobs[i].place > jobs[i - 1].place);
    }
    background_destroy(&background);
}

static void submit_after(struct background *background, uint32_t delay_ms, size_t job)
{
    assert_ok(background_submit_after(background, delay_ms, run_job, &jobs[job]));
}

static void jobs_run_when_they_are_due(void **state)
{
    (void)state;
    static const uint32_t delays[] = { 90, 30, 60, 0, 30, 0 };
    static const size_t places[] = { 5, 2, 4, 0, 3, 1 };
    struct background *background = NULL;
    reset_jobs(0);
    assert_ok(background_create(&background));
    uint64_t begun_ns = clock_ns();
    for (size_t i = 0; i < 6; i++) submit_after(background, delays[i], i);
    background_drain(background); /* waits for those that are not due either */
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(jobs[i].runs, 1);
        assert_false(jobs[i].cancelled);
        assert_int_equal(jobs[i].place, places[i]);
        assert_true(jobs[i].begun_ns >= begun_ns + delays[i] * UINT64_C(1000000));
    }
    background_destroy(&background);
}

/* A job that comes later but is due earlier wakes the thread. */
static void an_earlier_job_passes_a_later_one(void **state)
{
    (void)state;
    struct background *background = NULL;
    reset_jobs(0);
    assert_ok(background_create(&background));
    submit_after(background, 60000, 0);
    sleep_ms(20); /* the thread sleeps till then */
    assert_ok(background_submit(background, run_job, &jobs[1]));
    for (int i = 0; i < 5000 && jobs[1].runs == 0; i++) sleep_ms(1);
    assert_int_equal(jobs[1].runs, 1);
    assert_int_equal(jobs[0].runs, 0);
    background_destroy(&background); /* does not wait for the minute */
    assert_int_equal(jobs[0].runs, 1);
    assert_true(jobs[0].cancelled);
}

static void hurried_jobs_wait_no_more(void **state)
{
    (void)state;
    struct background *background = NULL;
    reset_jobs(0);
    assert_ok(background_create(&background));
    background_hurry(background, &jobs[0]); /* there is none */
    for (size_t i = 0; i < 3; i++) submit_after(background, 60000, i);
    submit_after(background, 61000, 1);
    sleep_ms(20);
    background_hurry(background, &jobs[1]);
    for (int i = 0; i < 5000 && jobs[1].runs < 2; i++) sleep_ms(1);
    assert_int_equal(jobs[1].runs, 2); /* both */
    assert_false(jobs[1].cancelled);
    assert_int_equal(jobs[0].runs + jobs[2].runs, 0);
    background_hurry(background, &jobs[0]);
    background_hurry(background, &jobs[2]);
    background_drain(background);
    assert_int_equal(jobs[0].runs + jobs[2].runs, 2);
    assert_false(jobs[0].cancelled || jobs[2].cancelled);
    background_destroy(&background);
}

static wg_err use(struct background **background)
{
    wg_err err = background_create(background);
    for (size_t i = 0; i < 3 && err == WG_OK; i++)
        err = background_submit(*background, run_job, &jobs[i]);
    return err;
}

static void an_allocation_that_fails_leaves_nothing(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct background *background = NULL;
        reset_jobs(0);
        mem_fail_at(++request);
        err = use(&background);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        background_destroy(&background);
        for (size_t i = 0; i < 3; i++) assert_true(jobs[i].runs <= 1);
        assert_true(err != WG_OK || jobs[2].runs == 1);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 1);
}

static void note_processors(void *arg, bool cancelled)
{
    (void)cancelled;
    processors_get(arg);
}

/* A thread that is kept to one processor must not keep the library's there. */
static void the_thread_runs_where_it_was_created(void **state)
{
    (void)state;
    struct background *background;
    struct processors all, one, got = { 0 };
    processors_get(&all);
    if (processor_count() < 2) skip();
    assert_ok(background_create(&background));
    one = (struct processors){ .known = true };
    for (size_t i = 0; i < sizeof all.set * 8; i++) {
        if (!(all.set[i / 8] >> i % 8 & 1)) continue;
        one.set[i / 8] |= (unsigned char)(1 << i % 8);
        break;
    }
    processors_use(&one);
    assert_int_equal(processor_count(), 1);
    assert_ok(background_submit(background, note_processors, &got));
    background_drain(background);
    processors_use(&all);
    background_destroy(&background);
    assert_true(got.known);
    assert_memory_equal(got.set, all.set, sizeof all.set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_order),
        cmocka_unit_test(drain_waits_for_the_one_that_runs),
        cmocka_unit_test(destroying_cancels_what_has_not_begun),
        cmocka_unit_test(destroying_one_never_used),
        cmocka_unit_test(many_may_submit),
        cmocka_unit_test(jobs_run_when_they_are_due),
        cmocka_unit_test(an_earlier_job_passes_a_later_one),
        cmocka_unit_test(hurried_jobs_wait_no_more),
        cmocka_unit_test(an_allocation_that_fails_leaves_nothing),
        cmocka_unit_test(the_thread_runs_where_it_was_created),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
