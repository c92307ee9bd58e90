/* Calls that are gathered: while a device holds one scan back, others come, wait, leave, and are
 * answered together; each gets what he would have got alone. */
#include "search/gather.h"

#include "base/mem.h"
#include "base/prng.h"
#include "os/machine.h"
#include "support/fake_backend.h"
#include "waggle/knn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 500, DIM = 7, QUERIES = 3, K_MAX = 40, CALLERS = 6, LATE_MS = 1000 };

static struct fixture {
    struct pool *pool;
    struct background *background;
    struct kernels kernels;
    struct device_set *set;
    struct residency *residency;
    struct gather *gather;
    struct source sources[3]; /* the first 300 rows; all of them, some dead; the same again */
    struct bitmap live;
    float values[ROWS * DIM];
    size_t in_use;
} f;

static atomic_uint retained[3]; /* each source, by the gather */

static void retain(const struct source *source)
{
    retained[source - f.sources]++;
}

/* A thread with one call. */
struct caller {
    struct thread thread;
    struct gather_call call;
    struct search_answer answer;
    float queries[QUERIES * DIM];
    const struct source *brought;
    atomic_bool cancelled, done;
    wg_err err;
    char message[256];
    uint64_t done_ns;
};

static struct caller callers[CALLERS];

static void create_gather(enum row_type type)
{
    struct gather_params params = {
        .devices = f.set, .dim = DIM, .type = type, .lane_count = 1, .retain = retain
    };
    assert_int_equal(gather_create(&params, &f.gather), WG_OK);
}

static void open_devices(bool falls_back)
{
    const char *reason;
    struct device_set_params params = {
        .backends = fake_backends,
        .host = { f.pool, &f.kernels, "c" },
        .fallback_to_cpu = falls_back,
        .background = f.background,
    };
    assert_int_equal(device_set_create(&params, &f.set), WG_OK);
    assert_int_equal(residency_create(f.set, DIM, &f.residency), WG_OK);
    create_gather(ROW_F32);
    struct slot *cpu = device_set_cpu(f.set);
    for (size_t i = 0; i < 3; i++) {
        struct source *source = &f.sources[i];
        assert_int_equal(source_init(cpu, ROW_F32, DIM, source), WG_OK);
        struct row_batch first = { .values = f.values, .count = 300 };
        assert_int_equal(source_append(source, &first), WG_OK);
        source->moment = i + 1;
    }
    struct row_batch others = { .values = f.values + 300 * DIM, .count = ROWS - 300 };
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(source_append(&f.sources[i], &others), WG_OK);
        assert_int_equal(source_set_live(&f.sources[i], &f.live), WG_OK);
    }
    while (device_set_choose(f.set, &reason) == cpu) background_drain(f.background);
    assert_int_equal(residency_cover(f.residency, &f.sources[0]), WG_OK);
}

static void close_devices(void)
{
    for (size_t i = 0; i < 3; i++) source_fini(&f.sources[i]);
    gather_destroy(&f.gather);
    residency_destroy(&f.residency);
    device_set_destroy(&f.set);
}

static void make_caller(struct caller *caller, struct prng *prng)
{
    *caller = (struct caller){ 0 };
    for (size_t i = 0; i < QUERIES * DIM; i++) caller->queries[i] = prng_unit(prng);
    gather_call_init(&caller->call);
    assert_int_equal(search_create(f.set, &caller->call.search), WG_OK);
}

static void end_callers(void)
{
    for (size_t i = 0; i < CALLERS; i++) {
        search_destroy(&callers[i].call.search);
        gather_call_fini(&callers[i].call);
    }
}

static int set_up(void **state)
{
    f = (struct fixture){ .in_use = mem_in_use() };
    struct prng prng = { 7 };
    fake_reset();
    kernels_init(&f.kernels, CPU_C);
    for (size_t i = 0; i < ROWS * DIM; i++) f.values[i] = (float)(prng_next(&prng) % 5); /* ties */
    assert_int_equal(bitmap_resize(&f.live, ROWS), WG_OK);
    for (size_t r = 0; r < ROWS; r += 3) assert_int_equal(bitmap_clear(&f.live, r), WG_OK);
    assert_int_equal(pool_create(2, &f.pool), WG_OK);
    assert_int_equal(background_create(&f.background), WG_OK);
    open_devices(true);
    for (size_t i = 0; i < CALLERS; i++) make_caller(&callers[i], &prng);
    retained[0] = retained[1] = retained[2] = 0;
    fake.scans = 0;
    fake.hold = 1;
    (void)state;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    end_callers();
    close_devices();
    background_destroy(&f.background);
    pool_destroy(&f.pool);
    bitmap_fini(&f.live);
    assert_int_equal(fake.rows_alive, 0);
    assert_int_equal(fake.masks_alive, 0);
    assert_int_equal(mem_in_use(), f.in_use);
    return 0;
}

/* --- calls --- */

static void ask(struct caller *caller, size_t source, size_t query_count, size_t k)
{
    caller->brought = &f.sources[source];
    caller->done = false;
    caller->call.request = (struct search_request){
        .source = caller->brought,
        .residency = f.residency,
        .metric = METRIC_L2,
        .queries = caller->queries,
        .query_count = query_count,
        .k = k,
        .stop = { .cancelled = &caller->cancelled },
    };
}

static void call(void *arg)
{
    struct caller *caller = arg;
    caller->err = gather_search(f.gather, &caller->call, &caller->answer);
    if (caller->err != WG_OK) snprintf(caller->message, sizeof caller->message, "%s", wg_message());
    caller->done_ns = clock_ns();
    caller->done = true;
}

static void start(struct caller *caller)
{
    assert_int_equal(thread_start(call, caller, &caller->thread), WG_OK);
}

static void await_held(void)
{
    while (fake.held == 0) wait_ms(1);
}

static void await_waiting(size_t count)
{
    while (gather_waiting_count(f.gather) != count) wait_ms(1);
}

/* Caller 0 scans, held by the device; the others, up to count, wait for him. */
static void start_all(size_t count)
{
    start(&callers[0]);
    await_held();
    for (size_t i = 1; i < count; i++) {
        start(&callers[i]);
        await_waiting(i);
    }
}

static void join_all(size_t count)
{
    for (size_t i = 0; i < count; i++) thread_join(&callers[i].thread);
}

/* The scan that is held ends, and the next one is held. */
static void let_one_go(void)
{
    unsigned next = fake.scans + 1;
    fake.hold = next;
    while (fake.scans < next || fake.held == 0) wait_ms(1);
}

/* The answer is that of the CPU alone over the source that the call ended with. */
static void assert_answered(const struct caller *caller)
{
    struct search *search = NULL;
    struct search_answer alone;
    struct search_request request = caller->call.request;
    if (caller->err != WG_OK) fail_msg("%s", caller->message);
    request.residency = NULL;
    request.stop = (struct stop){ 0 };
    assert_int_equal(search_create(f.set, &search), WG_OK);
    assert_int_equal(search_run(search, &request, &alone), WG_OK);
    assert_int_equal(caller->answer.query_count, request.query_count);
    assert_int_equal(caller->answer.k, alone.k);
    for (size_t i = 0; i < alone.query_count * alone.k; i++) {
        assert_int_equal(caller->answer.rows[i], alone.rows[i]);
        if (alone.rows[i] != WG_NO_ROW)
            assert_memory_equal(&caller->answer.scores[i], &alone.scores[i], sizeof(float));
    }
    search_destroy(&search);
}

static void assert_stopped(const struct caller *caller, wg_err err)
{
    assert_int_equal(caller->err, err);
    assert_non_null(strstr(caller->message, err == WG_ETIMEOUT ? "deadline" : "cancelled"));
}

/* --- tests --- */

static void one_caller_begins_at_once(void **state)
{
    (void)state;
    fake.hold = 0;
    ask(&callers[0], 1, 2, 10);
    call(&callers[0]);
    assert_answered(&callers[0]);
    assert_int_equal(fake.scans, 1);
    assert_int_equal(callers[0].answer.device_row_count, 300);
    assert_int_equal(retained[0] + retained[1], 0);
}

/* Any number of hits, any limit, of few queries. */
static void those_who_wait_are_answered_together(void **state)
{
    (void)state;
    static const size_t ks[CALLERS] = { 5, 1, 40, 7, 10, 33 };
    for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], 1, 1 + i % QUERIES, ks[i]);
    for (size_t i = 2; i < CALLERS; i += 2) {
        callers[i].call.request.limited = true;
        callers[i].call.request.limit = 20 + (float)i;
    }
    start_all(CALLERS);
    fake.hold = 0;
    join_all(CALLERS);
    assert_int_equal(fake.scans, 2);
    assert_int_equal(fake.scan_queries, 2 + 3 + 1 + 2 + 3);
    for (size_t i = 0; i < CALLERS; i++) assert_answered(&callers[i]);
}

static void all_limited_are_cut_each_at_his_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLERS; i++) {
        ask(&callers[i], 1, 1, K_MAX);
        callers[i].call.request.limited = true;
        callers[i].call.request.limit = 8 + 3 * (float)i;
    }
    start_all(CALLERS);
    fake.hold = 0;
    join_all(CALLERS);
    assert_int_equal(fake.scans, 2);
    for (size_t i = 0; i < CALLERS; i++) assert_answered(&callers[i]);
    assert_int_equal(callers[1].answer.rows[K_MAX - 1], WG_NO_ROW);
}

/* Queries against bits are bits. The device holds the leader's scan, which is of other rows. */
static void queries_of_bits_are_answered_together(void **state)
{
    (void)state;
    static uint8_t bits[ROWS];
    struct source source;
    struct row_batch batch = { .values = bits, .count = ROWS };
    for (size_t r = 0; r < ROWS; r++) bits[r] = (uint8_t)(r * 37 % (1 << DIM));
    gather_destroy(&f.gather);
    create_gather(ROW_BITS);
    assert_int_equal(source_init(device_set_cpu(f.set), ROW_BITS, DIM, &source), WG_OK);
    assert_int_equal(source_append(&source, &batch), WG_OK);
    ask(&callers[0], 0, 1, 10);
    for (size_t i = 1; i < CALLERS; i++) {
        struct search_request *request = &callers[i].call.request;
        ask(&callers[i], 0, QUERIES, 10 + i);
        memcpy(callers[i].queries, bits + 50 * i, QUERIES);
        request->source = &source, request->residency = NULL, request->metric = METRIC_L1;
    }
    start_all(CALLERS);
    fake.hold = 0;
    join_all(CALLERS);
    for (size_t i = 0; i < CALLERS; i++) assert_answered(&callers[i]);
    source_fini(&source);
}

/* What anybody has seen written is there for all, and is kept for all. */
static void the_newest_source_is_searched(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], i == 3, 1, 10);
    start_all(CALLERS);
    fake.hold = 0;
    join_all(CALLERS);
    assert_ptr_equal(callers[0].call.request.source, &f.sources[0]); /* began before */
    for (size_t i = 0; i < CALLERS; i++) {
        if (i > 0) assert_ptr_equal(callers[i].call.request.source, &f.sources[1]);
        assert_answered(&callers[i]);
    }
    assert_int_equal(retained[0], 0);
    assert_int_equal(retained[1], CALLERS - 2);
}

static void a_large_call_waits_for_nobody(void **state)
{
    (void)state;
    static float queries[9 * DIM];
    for (size_t i = 0; i < 3; i++) ask(&callers[i], 0, 1, 10);
    callers[1].call.request.queries = queries;
    callers[1].call.request.query_count = 9;
    callers[2].call.request.k = 5000;
    start(&callers[0]);
    await_held();
    start(&callers[1]);
    start(&callers[2]);
    while (fake.held < 3) wait_ms(1);
    fake.hold = 0;
    join_all(3);
    for (size_t i = 0; i < 3; i++) assert_answered(&callers[i]);
}

/* Those who wait leave when they have to, also out of a scan that is under way. */
static void who_has_to_stop_leaves_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], i > 2, 1, 10);
    start_all(CALLERS - 1);
    callers[5].call.request.stop = stop_after(30, NULL);
    uint64_t begun = clock_ns();
    start(&callers[5]);
    thread_join(&callers[5].thread);
    assert_stopped(&callers[5], WG_ETIMEOUT);
    assert_true(callers[5].done_ns - begun < LATE_MS * UINT64_C(1000000));
    callers[1].cancelled = true;
    thread_join(&callers[1].thread);
    assert_stopped(&callers[1], WG_ECANCELLED);
    let_one_go();
    callers[4].cancelled = true; /* 2 leads now, the oldest of equals */
    thread_join(&callers[4].thread);
    assert_stopped(&callers[4], WG_ECANCELLED);
    assert_false(callers[2].done);
    memset(callers[4].queries, 0xff, sizeof callers[4].queries); /* his memory is his again */
    fake.hold = 0;
    thread_join(&callers[0].thread);
    thread_join(&callers[2].thread);
    thread_join(&callers[3].thread);
    assert_answered(&callers[0]);
    assert_answered(&callers[2]);
    assert_answered(&callers[3]);
    assert_int_equal(fake.scans, 2);
    assert_int_equal(fake.scan_queries, 3);
}

static void a_cancelled_leader_ends_nobody_elses_search(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], 1, 1, 10);
    start_all(CALLERS);
    let_one_go();
    callers[1].cancelled = true; /* leads for all */
    thread_join(&callers[1].thread);
    assert_stopped(&callers[1], WG_ECANCELLED);
    while (fake.scans < 3 || fake.held == 0) wait_ms(1);
    assert_int_equal(fake.scan_queries, CALLERS - 2);
    fake.hold = 0;
    thread_join(&callers[0].thread);
    for (size_t i = 2; i < CALLERS; i++) {
        thread_join(&callers[i].thread);
        assert_answered(&callers[i]);
    }
}

/* A scan that failed has its members keep nothing: the next one may be of a newer source. */
static void a_source_is_kept_by_those_who_were_answered(void **state)
{
    (void)state;
    static const size_t brought[] = { 0, 1, 0, 2 };
    for (size_t i = 0; i < 4; i++) ask(&callers[i], brought[i], 1, 10);
    start_all(3);
    let_one_go(); /* caller 1 leads, and 2 with him */
    start(&callers[3]);
    await_waiting(1);
    callers[1].cancelled = true;
    thread_join(&callers[1].thread);
    while (fake.scans < 3 || fake.held == 0) wait_ms(1);
    fake.hold = 0;
    thread_join(&callers[0].thread);
    for (size_t i = 2; i < 4; i++) {
        thread_join(&callers[i].thread);
        assert_ptr_equal(callers[i].call.request.source, &f.sources[2]);
        assert_answered(&callers[i]);
    }
    assert_int_equal(retained[0] + retained[1], 0);
    assert_int_equal(retained[2], 1);
}

/* Who cannot be cancelled, and has the latest deadline, leads: nobody's scan is begun again. */
static void who_stays_longest_leads(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], 1, 1, 10);
    callers[1].call.request.stop.deadline_ns = clock_ns() + 3600 * UINT64_C(1000000000);
    callers[2].call.request.stop.deadline_ns = UINT64_MAX;
    callers[4].call.request.stop = (struct stop){ 0 };
    start_all(CALLERS);
    let_one_go();
    for (size_t i = 1; i < CALLERS; i++) callers[i].cancelled = true;
    for (size_t i = 1; i < CALLERS; i++) {
        if (i == 4) continue;
        thread_join(&callers[i].thread);
        assert_stopped(&callers[i], WG_ECANCELLED);
    }
    fake.hold = 0;
    thread_join(&callers[0].thread);
    thread_join(&callers[4].thread);
    assert_answered(&callers[4]);
    assert_int_equal(fake.scans, 2);
}

static void a_lost_device_is_replaced_for_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], 1, 1, 10);
    start_all(CALLERS);
    let_one_go();
    fake.lost = true;
    fake.hold = 0;
    join_all(CALLERS);
    for (size_t i = 0; i < CALLERS; i++) {
        assert_answered(&callers[i]);
        assert_int_equal(callers[i].answer.fell_back, i > 0);
    }
}

static void an_error_is_its_leaders(void **state)
{
    (void)state;
    close_devices();
    fake.hold = 0;
    open_devices(false);
    fake.hold = fake.scans + 1;
    for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], 1, 1, 10);
    start_all(CALLERS);
    let_one_go();
    fake.lost = true;
    fake.hold = 0;
    join_all(CALLERS);
    assert_int_equal(callers[1].err, WG_EDEVICELOST);
    assert_non_null(strstr(callers[1].message, "told to be lost"));
    for (size_t i = 2; i < CALLERS; i++) assert_answered(&callers[i]); /* it is suspect: the CPU */
}

/* Memory that is not there for all is not asked for again by each. */
static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (uint64_t request = 1; request < 20; request++) {
        gather_destroy(&f.gather); /* one that has no memory yet */
        create_gather(ROW_F32);
        fake.hold = fake.scans + 1;
        for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], 1, 1, 10 + request);
        start_all(CALLERS);
        mem_fail_at(request);
        fake.hold = 0;
        join_all(CALLERS);
        mem_fail_at(0);
        size_t failed = 0;
        for (size_t i = 0; i < CALLERS; i++) {
            failed += callers[i].err == WG_ENOMEM;
            if (callers[i].err != WG_ENOMEM) assert_answered(&callers[i]);
        }
        assert_true(failed <= 1);
    }
}

/* Held by the device at the same places as before, the second time. The fake device allocates twice
 * in each scan; nobody else does. */
static void a_warmed_group_allocates_nothing(void **state)
{
    (void)state;
    enum { FAKES_OWN = 3 }; /* in the rest of the first scan, and the second */
    for (int round = 0; round < 4; round++) {
        char *probe = NULL;
        fake.hold = fake.scans + 1;
        for (size_t i = 0; i < CALLERS; i++) ask(&callers[i], 1, QUERIES, K_MAX);
        start_all(CALLERS);
        if (round > 1) mem_fail_at(FAKES_OWN + 1);
        fake.hold = 0;
        join_all(CALLERS);
        if (round > 1) assert_int_equal(mem_resize(&probe, 1), WG_ENOMEM);
        for (size_t i = 0; i < CALLERS; i++) assert_answered(&callers[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_caller_begins_at_once),
        TEST(those_who_wait_are_answered_together),
        TEST(all_limited_are_cut_each_at_his_own),
        TEST(queries_of_bits_are_answered_together),
        TEST(the_newest_source_is_searched),
        TEST(a_large_call_waits_for_nobody),
        TEST(who_has_to_stop_leaves_alone),
        TEST(a_cancelled_leader_ends_nobody_elses_search),
        TEST(a_source_is_kept_by_those_who_were_answered),
        TEST(who_stays_longest_leads),
        TEST(a_lost_device_is_replaced_for_all),
        TEST(an_error_is_its_leaders),
        TEST(every_allocation_fails_once),
        TEST(a_warmed_group_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
