/* A search over rows of which a device covers some, none or all, with the device failing at every
 * operation in turn: the answer is that of the CPU alone, bit for bit. */
#include "base/mem.h"
#include "base/prng.h"
#include "search/search.h"
#include "support/fake_backend.h"
#include "waggle/knn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 500, DIM = 7, QUERIES = 3, K = 20 };

struct fixture {
    struct pool *pool;
    struct background *background;
    struct kernels kernels;
    struct device_set *set;
    struct residency *residency;
    struct search *search;
    struct source sources[2]; /* the first 300 rows; all of them, some dead */
    struct bitmap live;
    float values[ROWS * DIM], queries[QUERIES * DIM];
    uint64_t rows[QUERIES * K]; /* of the latest answer */
    float scores[QUERIES * K];
    size_t in_use;
};

/* Until the device is trusted again: the more often it failed, the more calls that takes. */
static void settle(struct fixture *f)
{
    const char *reason;
    struct slot *cpu = device_set_cpu(f->set);
    for (int call = 0; call < 1000 && device_set_choose(f->set, &reason) == cpu; call++)
        background_drain(f->background);
    assert_ptr_not_equal(device_set_choose(f->set, &reason), cpu);
}

static void open_devices(struct fixture *f, bool falls_back)
{
    struct device_set_params params = {
        .backends = fake_backends,
        .host = { f->pool, &f->kernels, "c" },
        .fallback_to_cpu = falls_back,
        .background = f->background,
    };
    assert_int_equal(device_set_create(&params, &f->set), WG_OK);
    assert_int_equal(residency_create(f->set, DIM, &f->residency), WG_OK);
    assert_int_equal(search_create(f->set, &f->search), WG_OK);
    struct slot *cpu = device_set_cpu(f->set);
    for (size_t i = 0; i < 2; i++) {
        struct source *source = &f->sources[i];
        assert_int_equal(source_init(cpu, ROW_F32, DIM, source), WG_OK);
        struct row_batch first = { .values = f->values, .count = 300 };
        assert_int_equal(source_append(source, &first), WG_OK);
        source->moment = i + 1;
    }
    struct row_batch others = { .values = f->values + 300 * DIM, .count = ROWS - 300 };
    assert_int_equal(source_append(&f->sources[1], &others), WG_OK);
    assert_int_equal(source_set_live(&f->sources[1], &f->live), WG_OK);
    settle(f);
}

static void close_devices(struct fixture *f)
{
    for (size_t i = 0; i < 2; i++) source_fini(&f->sources[i]);
    search_destroy(&f->search);
    residency_destroy(&f->residency);
    device_set_destroy(&f->set);
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .in_use = mem_in_use() };
    struct prng prng = { 7 };
    fake_reset();
    kernels_init(&f.kernels, CPU_C);
    for (size_t i = 0; i < ROWS * DIM; i++) f.values[i] = (float)(prng_next(&prng) % 5); /* ties */
    for (size_t i = 0; i < QUERIES * DIM; i++) f.queries[i] = prng_unit(&prng);
    assert_int_equal(bitmap_resize(&f.live, ROWS), WG_OK);
    for (size_t r = 0; r < ROWS; r += 3) assert_int_equal(bitmap_clear(&f.live, r), WG_OK);
    assert_int_equal(pool_create(2, &f.pool), WG_OK);
    assert_int_equal(background_create(&f.background), WG_OK);
    open_devices(&f, true);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_devices(f);
    background_destroy(&f->background);
    pool_destroy(&f->pool);
    bitmap_fini(&f->live);
    assert_int_equal(fake.rows_alive, 0);
    assert_int_equal(fake.masks_alive, 0);
    assert_int_equal(mem_in_use(), f->in_use);
    return 0;
}

static wg_err run(struct fixture *f, size_t source, struct residency *residency, enum metric metric,
                  struct search_answer *answer)
{
    struct search_request request = {
        .source = &f->sources[source],
        .residency = residency,
        .metric = metric,
        .queries = f->queries,
        .query_count = QUERIES,
        .k = K,
    };
    wg_err err = search_run(f->search, &request, answer);
    if (err != WG_OK) return err;
    memcpy(f->rows, answer->rows, sizeof f->rows);
    memcpy(f->scores, answer->scores, sizeof f->scores);
    return WG_OK;
}

/* A device need not know of limits: what it found beyond is cut off. */
static void hits_end_at_the_limit(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    assert_int_equal(residency_cover(f->residency, &f->sources[0]), WG_OK);
    assert_int_equal(run(f, 0, f->residency, METRIC_L2, &answer), WG_OK);
    assert_ptr_not_equal(answer.slot, device_set_cpu(f->set));
    struct search_request request = {
        .source = &f->sources[0],
        .residency = f->residency,
        .metric = METRIC_L2,
        .queries = f->queries,
        .query_count = QUERIES,
        .k = K,
        .limited = true,
        .limit = f->scores[K / 2], /* of the first query */
    };
    assert_int_equal(search_run(f->search, &request, &answer), WG_OK);
    assert_int_equal(answer.rows[K / 2], f->rows[K / 2]);
    for (size_t i = 0; i < QUERIES * K; i++)
        assert_int_equal(answer.rows[i], f->scores[i] <= request.limit ? f->rows[i] : WG_NO_ROW);
}

/* What the CPU alone says, for every metric. */
static void assert_equal_to_cpu(struct fixture *f, size_t source, struct search_answer *answer)
{
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        struct search_answer of_cpu;
        uint64_t rows[QUERIES * K];
        float scores[QUERIES * K];
        assert_int_equal(run(f, source, NULL, (enum metric)metric, &of_cpu), WG_OK);
        memcpy(rows, f->rows, sizeof rows);
        memcpy(scores, f->scores, sizeof scores);
        assert_int_equal(run(f, source, f->residency, (enum metric)metric, answer), WG_OK);
        assert_memory_equal(rows, f->rows, sizeof rows);
        assert_memory_equal(scores, f->scores, sizeof scores);
    }
}

static void nothing_covered_is_the_cpu(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    assert_equal_to_cpu(f, 1, &answer);
    assert_ptr_equal(answer.slot, device_set_cpu(f->set));
    assert_string_equal(answer.reason, "no rows are on the other device yet");
}

static void a_covered_prefix_and_a_tail_merge(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    assert_int_equal(residency_cover(f->residency, &f->sources[0]), WG_OK);
    assert_equal_to_cpu(f, 1, &answer);
    assert_ptr_equal(answer.slot, device_set_at(f->set, 0));
    assert_int_equal(answer.device_row_count, 300);
    assert_int_equal(residency_cover(f->residency, &f->sources[1]), WG_OK);
    assert_equal_to_cpu(f, 1, &answer);
    assert_int_equal(answer.device_row_count, ROWS);
    assert_equal_to_cpu(f, 0, &answer); /* an older source sees no newer rows */
    assert_int_equal(answer.device_row_count, 300);
}

static void a_failure_at_every_operation_changes_no_answer(void **state)
{
    struct fixture *f = *state;
    for (unsigned at = 1; at <= 12; at++) {
        struct search_answer answer;
        fake.lost = false;
        settle(f);
        assert_int_equal(residency_cover(f->residency, &f->sources[0]), WG_OK);
        fake.lose_at = at;
        assert_equal_to_cpu(f, 1, &answer);
        fake.lose_at = 0;
        fake.lost = false;
        background_drain(f->background);
    }
    wg_device_info info = { .size = sizeof info };
    assert_int_equal(slot_info(device_set_at(f->set, 0), &info), WG_OK);
    assert_true(info.fallbacks > 2);
    assert_true(info.scans > 0);
}

static void a_copy_is_made_anew_after_a_loss(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    assert_int_equal(residency_cover(f->residency, &f->sources[1]), WG_OK);
    fake.lost = true;
    assert_int_equal(run(f, 1, f->residency, METRIC_L2, &answer), WG_OK);
    assert_true(answer.fell_back);
    assert_ptr_equal(answer.slot, device_set_cpu(f->set));
    fake.lost = false;
    settle(f);
    assert_equal_to_cpu(f, 1, &answer);
    assert_int_equal(answer.device_row_count, ROWS); /* by the CPU: the copy is not trusted */
    assert_ptr_equal(answer.slot, device_set_cpu(f->set));
    assert_int_equal(residency_cover(f->residency, &f->sources[1]), WG_OK);
    assert_equal_to_cpu(f, 1, &answer);
    assert_ptr_equal(answer.slot, device_set_at(f->set, 0));
}

static void a_full_device_keeps_what_it_covers(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    assert_int_equal(residency_cover(f->residency, &f->sources[0]), WG_OK);
    fake.memory_bytes = 300 * DIM * sizeof(float);
    assert_int_equal(residency_cover(f->residency, &f->sources[1]), WG_EDEVICEMEMORY);
    assert_equal_to_cpu(f, 1, &answer);
}

static void without_fallback_the_error_comes_back(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    close_devices(f);
    open_devices(f, false);
    assert_int_equal(residency_cover(f->residency, &f->sources[0]), WG_OK);
    fake.lost = true;
    assert_int_equal(run(f, 1, f->residency, METRIC_DOT, &answer), WG_EDEVICELOST);
    assert_non_null(strstr(wg_message(), "told to be lost"));
}

static void a_deadline_and_a_cancellation_end_it(void **state)
{
    struct fixture *f = *state;
    atomic_bool cancelled = true;
    struct search_answer answer;
    struct search_request request = {
        .source = &f->sources[1],
        .metric = METRIC_L1,
        .queries = f->queries,
        .query_count = QUERIES,
        .k = K,
        .stop = { .cancelled = &cancelled },
    };
    assert_int_equal(search_run(f->search, &request, &answer), WG_ECANCELLED);
    request.stop = (struct stop){ .deadline_ns = 1 };
    assert_int_equal(search_run(f->search, &request, &answer), WG_ETIMEOUT);
    request.query_count = 0;
    assert_int_equal(search_run(f->search, &request, &answer), WG_ETIMEOUT);
}

/* Slow is not broken: the answer is waited for, or the deadline ends it; either way the device
 * stays trusted. */
static void a_slow_device_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    struct search_request request = {
        .source = &f->sources[1],
        .residency = f->residency,
        .metric = METRIC_L2,
        .queries = f->queries,
        .query_count = QUERIES,
        .k = K,
    };
    assert_int_equal(residency_cover(f->residency, &f->sources[0]), WG_OK);
    fake.delay_ms = 20;
    assert_equal_to_cpu(f, 1, &answer);
    assert_ptr_equal(answer.slot, device_set_at(f->set, 0));
    assert_false(answer.fell_back);
    request.stop = stop_after(5, NULL);
    assert_int_equal(search_run(f->search, &request, &answer), WG_ETIMEOUT);
    fake.delay_ms = 0;
    assert_equal_to_cpu(f, 1, &answer);
    assert_ptr_equal(answer.slot, device_set_at(f->set, 0));
}

static void a_source_of_another_origin_shares_no_rows(void **state)
{
    struct fixture *f = *state;
    struct search_answer answer;
    assert_int_equal(residency_cover(f->residency, &f->sources[0]), WG_OK);
    f->sources[1].origin = 65536;
    assert_int_equal(run(f, 1, f->residency, METRIC_L2, &answer), WG_OK);
    assert_ptr_equal(answer.slot, device_set_cpu(f->set));
    assert_int_equal(residency_cover(f->residency, &f->sources[1]), WG_OK);
    assert_equal_to_cpu(f, 1, &answer);
    assert_ptr_equal(answer.slot, device_set_at(f->set, 0));
}

static void an_allocation_that_fails_is_an_error_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    struct search_answer warm; /* the CPU's scratch stays */
    assert_int_equal(run(f, 1, NULL, METRIC_L2, &warm), WG_OK);
    wg_err err;
    uint64_t request = 0;
    do {
        struct residency *residency = NULL;
        struct search *search = NULL;
        struct search_answer answer;
        struct search_request search_request = {
            .source = &f->sources[1],
            .metric = METRIC_L2,
            .queries = f->queries,
            .query_count = QUERIES,
            .k = K,
        };
        size_t before = mem_in_use();
        mem_fail_at(++request);
        err = residency_create(f->set, DIM, &residency);
        if (err == WG_OK) err = residency_cover(residency, &f->sources[1]);
        if (err == WG_OK) err = search_create(f->set, &search);
        search_request.residency = residency;
        if (err == WG_OK) err = search_run(search, &search_request, &answer);
        mem_fail_at(0);
        search_destroy(&search);
        residency_destroy(&residency);
        assert_int_equal(mem_in_use(), before);
        assert_true(err == WG_OK || err == WG_ENOMEM);
    } while (err != WG_OK);
    assert_true(request > 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_covered_is_the_cpu),
        TEST(a_covered_prefix_and_a_tail_merge),
        TEST(hits_end_at_the_limit),
        TEST(a_failure_at_every_operation_changes_no_answer),
        TEST(a_copy_is_made_anew_after_a_loss),
        TEST(a_full_device_keeps_what_it_covers),
        TEST(without_fallback_the_error_comes_back),
        TEST(a_deadline_and_a_cancellation_end_it),
        TEST(a_slow_device_is_waited_for),
        TEST(a_source_of_another_origin_shares_no_rows),
        TEST(an_allocation_that_fails_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
