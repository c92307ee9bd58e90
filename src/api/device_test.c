/* A device that fails, seen through the public API: the hits stay the same, the report says so, and
 * the list of devices shows it. */
#include "api/context.h"
#include "base/mem.h"
#include "support/check.h"
#include "support/fake_backend.h"
#include "support/oracle.h"
#include "support/scratch.h"
#include "waggle/device.h"
#include "waggle/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 6, ROWS = 400, QUERIES = 3, K = 25 };

struct fixture {
    wg_context *context;
    wg_store *store;
    wg_collection *collection;
    wg_searcher *searcher;
    float rows[(ROWS + 100) * DIM], queries[QUERIES * DIM];
    size_t row_count;
    char logged[4096];
    size_t in_use;
};

static struct fixture f;

static void note_line(void *user, wg_log_level level, const char *line)
{
    (void)user, (void)level;
    strncat(f.logged, line, sizeof f.logged - strlen(f.logged) - 2);
    strcat(f.logged, "\n");
}

static wg_err make_context(bool falls_back, const char *backend, wg_context **out)
{
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = 2;
    params.fallback_to_cpu = falls_back;
    params.backend = backend;
    params.log = note_line;
    return context_create(&params, fake_backends, out);
}

/* Rows of small whole numbers, so that scores tie; ids are row numbers. */
static void upsert(size_t count)
{
    struct prng prng = { test_seed() + f.row_count };
    wg_id ids[ROWS];
    wg_batch batch;
    wg_batch_init(&batch);
    for (size_t i = 0; i < count; i++) wg_id_from_number(f.row_count + i, &ids[i]);
    float *rows = f.rows + f.row_count * DIM;
    for (size_t i = 0; i < count * DIM; i++) rows[i] = (float)test_below(&prng, 4);
    batch.count = count;
    batch.ids = ids;
    batch.vectors = rows;
    assert_ok(wg_collection_upsert(f.collection, DIM, &batch));
    f.row_count += count;
    background_drain(f.context->background);
}

static void begin(bool falls_back)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    params.metric = WG_EUCLIDEAN;
    char path[SCRATCH_PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/s", scratch_create());
    assert_ok(make_context(falls_back, NULL, &f.context));
    assert_ok(wg_store_open(f.context, path, NULL, &f.store));
    assert_ok(wg_collection_create(f.store, "docs", &params));
    assert_ok(wg_collection_open(f.store, "docs", &f.collection));
    assert_ok(wg_searcher_create(f.collection, &f.searcher));
    upsert(ROWS / 2); /* for this the device is tested */
    upsert(ROWS / 2); /* this is copied to it */
}

static void finish(void)
{
    wg_searcher_destroy(&f.searcher);
    wg_collection_close(&f.collection);
    wg_store_close(&f.store);
    wg_context_destroy(&f.context);
}

static int set_up(void **state)
{
    (void)state;
    f = (struct fixture){ .in_use = mem_in_use() };
    fake_reset();
    struct prng prng = { test_seed() };
    for (size_t i = 0; i < QUERIES * DIM; i++) f.queries[i] = (float)test_below(&prng, 4);
    begin(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    finish();
    assert_int_equal(fake.rows_alive, 0);
    assert_int_equal(fake.masks_alive, 0);
    assert_int_equal(mem_in_use(), f.in_use);
    return 0;
}

static wg_err search(void)
{
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = f.queries;
    params.query_count = QUERIES;
    params.dim = DIM;
    params.k = K;
    return wg_searcher_run(f.searcher, &params);
}

static void check_hits(void)
{
    static struct oracle_hit ranked[ROWS + 100];
    for (size_t q = 0; q < QUERIES; q++) {
        size_t count = 0;
        const wg_hit *hits = wg_searcher_hits(f.searcher, q, &count);
        struct oracle_rows rows = { WG_EUCLIDEAN, DIM, f.row_count, f.rows, NULL, WG_F32 };
        oracle_rank(&rows, f.queries + q * DIM, ranked);
        assert_int_equal(count, K);
        for (size_t i = 0; i < K; i++) {
            assert_int_equal(hits[i].id.as.number, ranked[i].row);
            assert_memory_equal(&hits[i].score, &ranked[i].score, sizeof(float));
        }
    }
}

static wg_search_report report(void)
{
    wg_search_report got;
    wg_search_report_init(&got);
    assert_ok(wg_searcher_report(f.searcher, &got));
    return got;
}

static wg_device_info device(size_t i)
{
    wg_device_info info;
    wg_device_info_init(&info);
    assert_ok(wg_device_get(f.context, i, &info));
    return info;
}

static void the_device_answers(void **state)
{
    (void)state;
    uint64_t scans = device(0).scans;
    assert_ok(search());
    check_hits();
    assert_non_null(strstr(report().device, "fake"));
    assert_int_equal(report().row_count, ROWS);
    assert_int_equal(report().device_row_count, ROWS);
    assert_false(report().fell_back);
    assert_true(report().reason[0] != 0);
    assert_int_equal(device(0).state, WG_DEVICE_READY);
    assert_true(device(0).scans > scans);
}

/* The device, and where it is lost the CPU, find the next hits of what the run searched. */
static void next_hits_go_on_without_the_device(void **state)
{
    (void)state;
    static struct oracle_hit ranked[ROWS + 100];
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = f.queries, params.query_count = 1, params.dim = DIM;
    assert_ok(wg_searcher_run(f.searcher, &params));
    struct oracle_rows rows = { WG_EUCLIDEAN, DIM, f.row_count, f.rows, NULL, WG_F32 };
    oracle_rank(&rows, f.queries, ranked);
    upsert(50); /* not for this searcher */
    wg_next_params next;
    wg_next_params_init(&next);
    next.count = 65;
    for (size_t at = params.k, count; at < ROWS; at += count) {
        fake.lost = at > ROWS / 2;
        assert_ok(wg_searcher_next(f.searcher, &next));
        const wg_hit *hits = wg_searcher_hits(f.searcher, 0, &count);
        assert_true(count == next.count || at + count == ROWS);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(hits[i].id.as.number, ranked[at + i].row);
            assert_memory_equal(&hits[i].score, &ranked[at + i].score, sizeof(float));
        }
        if (at == params.k) assert_non_null(strstr(report().device, "fake"));
    }
    assert_true(report().fell_back);
    fake.lost = false;
}

/* Lost at the n-th operation of a search, for each that there is. */
static void one_that_fails_is_answered_around(void **state)
{
    (void)state;
    size_t fell_back = 0;
    for (unsigned at = 1; at <= 4; at++) {
        uint64_t fallbacks = device(0).fallbacks;
        fake.lose_at = at;
        assert_ok(search());
        check_hits();
        bool failed = fake.lost;
        assert_int_equal(report().fell_back, failed);
        fell_back += failed;
        if (failed) {
            assert_non_null(strstr(report().device, "cpu"));
            assert_int_equal(report().device_row_count, f.row_count);
            assert_int_equal(device(0).state, WG_DEVICE_SUSPECT);
            assert_int_equal(device(0).fallbacks, fallbacks + 1);
        }
        fake.lose_at = 0;
        fake.lost = false;
        assert_ok(search()); /* the CPU's, while the device is tested anew */
        check_hits();
        assert_false(report().fell_back);
        background_drain(f.context->background);
        assert_int_equal(device(0).state, WG_DEVICE_READY);
        upsert(5);
        assert_ok(search());
        check_hits();
        assert_non_null(strstr(report().device, "fake"));
        assert_int_equal(report().device_row_count, f.row_count);
    }
    assert_true(fell_back >= 2);
    assert_non_null(strstr(f.logged, "told to be lost"));
}

static void one_that_stays_away_stays_suspect(void **state)
{
    (void)state;
    fake.lost = true;
    assert_ok(search());
    assert_true(report().fell_back);
    for (int i = 0; i < 3; i++) {
        assert_ok(search());
        check_hits();
        assert_false(report().fell_back); /* it was not begun there */
        background_drain(f.context->background);
        assert_int_not_equal(device(0).state, WG_DEVICE_READY);
    }
    fake.lost = false;
    for (int i = 0; i < 100 && device(0).state != WG_DEVICE_READY; i++) {
        assert_ok(search());
        background_drain(f.context->background);
    }
    assert_int_equal(device(0).state, WG_DEVICE_READY);
}

static void without_fallback_its_error_is_returned(void **state)
{
    (void)state;
    finish();
    f.row_count = 0;
    begin(false);
    size_t count = 7;
    assert_ok(search());
    fake.lost = true;
    assert_err(WG_EDEVICELOST, "told to be lost", search());
    assert_null(wg_searcher_hits(f.searcher, 0, &count));
    assert_int_equal(count, 0);
}

static void a_wrong_device_is_never_used(void **state)
{
    (void)state;
    finish();
    f.row_count = 0;
    fake.wrong_bits = true;
    begin(true);
    assert_ok(search());
    check_hits();
    assert_non_null(strstr(report().device, "cpu"));
    assert_int_equal(device(0).state, WG_DEVICE_REJECTED);
    assert_non_null(strstr(f.logged, "self-test failed"));
}

static void scans_are_counted(void **state)
{
    (void)state;
    uint64_t scans = device(0).scans;
    for (uint64_t n = 1; n <= 3; n++) {
        assert_ok(search());
        assert_int_equal(device(0).scans, scans + n);
    }
    upsert(5); /* is copied there, and no scan */
    assert_int_equal(device(0).scans, scans + 3);
}

static void devices_are_listed(void **state)
{
    (void)state;
    wg_device_info info;
    wg_device_info_init(&info);
    assert_int_equal(wg_device_count(f.context), 2);
    assert_string_equal(device(0).backend, "fake");
    assert_string_equal(device(0).name, "Fake");
    assert_string_equal(device(1).backend, "cpu");
    assert_int_equal(device(1).state, WG_DEVICE_READY);
    assert_true(device(1).shares_host_memory);
    assert_err(WG_ENODEVICE, "2", wg_device_get(f.context, 2, &info));
    assert_err(WG_ENODEVICE, "", wg_device_get(f.context, SIZE_MAX, &info));
    info.size = 3;
    assert_err(WG_EINVAL, "", wg_device_get(f.context, 0, &info));
}

static wg_backend_info backend_of(const wg_context *context, size_t i)
{
    wg_backend_info info;
    wg_backend_info_init(&info);
    assert_ok(wg_backend_get((wg_context *)context, i, &info));
    return info;
}

static void backends_say_why_they_have_none(void **state)
{
    (void)state;
    wg_context *context = NULL;
    wg_backend_info info;
    wg_backend_info_init(&info);
    assert_int_equal(wg_backend_count(f.context), 2);
    assert_string_equal(backend_of(f.context, 0).name, "fake");
    assert_int_equal(backend_of(f.context, 0).device_count, 1);
    assert_string_equal(backend_of(f.context, 0).reason, "");
    assert_string_equal(backend_of(f.context, 1).name, "cpu");
    assert_err(WG_ENODEVICE, "2", wg_backend_get(f.context, 2, &info));
    fake.device_count = 0;
    assert_ok(make_context(true, NULL, &context));
    assert_int_equal(wg_device_count(context), 1);
    assert_int_equal(backend_of(context, 0).device_count, 0);
    assert_string_equal(backend_of(context, 0).reason, "the fake device was told not to be there");
    wg_context_destroy(&context);
    fake.device_count = 2;
    assert_ok(make_context(true, NULL, &context));
    assert_int_equal(wg_device_count(context), 3);
    assert_int_equal(backend_of(context, 0).device_count, 2);
    wg_context_destroy(&context);
    assert_ok(make_context(true, "cpu", &context));
    assert_int_equal(wg_device_count(context), 1);
    assert_non_null(strstr(backend_of(context, 0).reason, "cpu"));
    wg_context_destroy(&context);
    assert_err(WG_ECONFIG, "fake, cpu", make_context(true, "abacus", &context));
    assert_null(context);
}

static void the_environment_picks_a_backend(void **state)
{
    (void)state;
    wg_context *context = NULL;
    assert_int_equal(setenv("WAGGLE_BACKEND", "cpu", 1), 0);
    assert_ok(make_context(true, NULL, &context));
    assert_int_equal(wg_device_count(context), 1);
    wg_context_destroy(&context);
    assert_ok(make_context(true, "fake", &context)); /* the parameter goes first */
    assert_int_equal(wg_device_count(context), 2);
    wg_context_destroy(&context);
    assert_int_equal(setenv("WAGGLE_BACKEND", "abacus", 1), 0);
    assert_err(WG_ECONFIG, "abacus", make_context(true, NULL, &context));
    assert_int_equal(unsetenv("WAGGLE_BACKEND"), 0);
}

int main(void)
{
    unsetenv("WAGGLE_BACKEND");
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_device_answers),
        TEST(next_hits_go_on_without_the_device),
        TEST(one_that_fails_is_answered_around),
        TEST(one_that_stays_away_stays_suspect),
        TEST(without_fallback_its_error_is_returned),
        TEST(a_wrong_device_is_never_used),
        TEST(scans_are_counted),
        TEST(devices_are_listed),
        TEST(backends_say_why_they_have_none),
        TEST(the_environment_picks_a_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
