/* Searches, reads and writes at once. A writer makes a known series of commits; every search, get
 * and scroll of other threads must show exactly the state after one of them: not older than what
 * was acknowledged when it began, and no half of a batch. Cancelling and deadlines stop a call.
 * Made to be run under the thread sanitizer too. */
#include "support/check.h"
#include "support/content.h"
#include "support/data.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GROUPS = 5, GROUP_SIZE = 13, POINTS = GROUPS * GROUP_SIZE, DIM = 33, COMMITS = 400 };

static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static const char *folder;

/* After commit n every point of group g has generation table[n][g]; 0: the group is not there. */
static uint16_t table[COMMITS + 1][GROUPS];
static _Atomic uint64_t acknowledged; /* commits; raised after each */
static atomic_bool stop;
static atomic_size_t looks;

static size_t group_of_commit(uint64_t n)
{
    return n % 7 == 0 ? GROUPS - 1 : n % (GROUPS - 1); /* the last one blinks */
}

static bool commit_deletes(uint64_t n)
{
    return n % 14 == 0;
}

static void make_table(void)
{
    for (uint16_t n = 1; n <= COMMITS; n++) {
        memcpy(table[n], table[n - 1], sizeof *table);
        table[n][group_of_commit(n)] = commit_deletes(n) ? 0 : n;
    }
}

static void group_ids(size_t group, wg_id *ids)
{
    for (size_t i = 0; i < GROUP_SIZE; i++) wg_id_from_number(group + i * GROUPS, &ids[i]);
}

static void write_commit(uint64_t n)
{
    wg_id ids[GROUP_SIZE];
    float vectors[GROUP_SIZE * DIM];
    char text[32];
    const char *payloads[GROUP_SIZE];
    group_ids(group_of_commit(n), ids);
    if (commit_deletes(n)) {
        must_ok(wg_collection_delete(collection, ids, GROUP_SIZE, NULL));
        return;
    }
    snprintf(text, sizeof text, "{\"g\":%d}", (int)n);
    for (size_t i = 0; i < GROUP_SIZE * DIM; i++) vectors[i] = (float)n;
    for (size_t i = 0; i < GROUP_SIZE; i++) payloads[i] = text;
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = GROUP_SIZE;
    batch.ids = ids;
    batch.vectors = vectors;
    batch.payloads = payloads;
    must_ok(wg_collection_upsert(collection, DIM, &batch));
}

static void *write_all(void *unused)
{
    for (uint64_t n = 1; n <= COMMITS; n++) {
        write_commit(n);
        acknowledged = n;
    }
    stop = true;
    return unused;
}

/* --- what a reader saw --- */

struct look {
    size_t counts[GROUPS];
    uint16_t generations[GROUPS];
};

static int generation_in(const char *payload)
{
    const char *colon = strchr(payload, ':');
    must(colon, "payload %s", payload);
    return atoi(colon + 1);
}

static void look_add(struct look *look, const wg_id *id, const float *vector)
{
    must(id->type == WG_ID_NUMBER && id->as.number < POINTS, "an id that nobody wrote");
    size_t group = id->as.number % GROUPS;
    for (size_t i = 1; i < DIM; i++) must(vector[i] == vector[0], "half a vector");
    uint16_t generation = (uint16_t)vector[0];
    if (look->counts[group]++ == 0) look->generations[group] = generation;
    must(look->generations[group] == generation, "group %zu has generations %d and %d", group,
         look->generations[group], generation);
}

/* Which commit this is the state of: one between those acknowledged before and after. */
static uint64_t look_check(const struct look *look, uint64_t before, uint64_t after)
{
    for (size_t g = 0; g < GROUPS; g++)
        must(look->counts[g] == 0 || look->counts[g] == GROUP_SIZE, "%zu points of group %zu",
             look->counts[g], g);
    looks++;
    uint64_t last = after < COMMITS ? after + 1 : COMMITS;
    for (uint64_t n = before; n <= last; n++)
        if (memcmp(table[n], look->generations, sizeof *table) == 0) return n;
    check_die(__FILE__, __LINE__, "one commit's state",
              "generations %d %d %d %d %d are not those of a commit from %" PRIu64 " to %" PRIu64,
              look->generations[0], look->generations[1], look->generations[2],
              look->generations[3], look->generations[4], before, last);
}

static void look_by_search(wg_searcher *searcher, size_t query_count)
{
    enum { QUERIES_MAX = 3 };
    static const float queries[QUERIES_MAX * DIM];
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = queries, params.query_count = query_count, params.dim = DIM;
    params.k = POINTS + 5;
    params.with = WG_WITH_VECTOR | WG_WITH_PAYLOAD;
    uint64_t before = acknowledged, seen = 0;
    must_ok(wg_searcher_run(searcher, &params));
    for (size_t q = 0; q < query_count; q++) {
        struct look look = { 0 };
        size_t count = 0;
        const wg_hit *hits = wg_searcher_hits(searcher, q, &count);
        for (size_t i = 0; i < count; i++) {
            look_add(&look, &hits[i].id, hits[i].vector);
            if (!hits[i].changed)
                must(hits[i].payload && generation_in(hits[i].payload) == (int)hits[i].vector[0],
                     "payload %s of generation %g", hits[i].payload, (double)hits[i].vector[0]);
            else if (hits[i].payload)
                must(generation_in(hits[i].payload) > (int)hits[i].vector[0], "an older payload");
        }
        uint64_t n = look_check(&look, before, acknowledged);
        must(q == 0 || n == seen, "two queries of one run saw commits %d and %d", (int)seen,
             (int)n);
        seen = n;
    }
}

static void *search_on(void *user)
{
    wg_searcher *searcher = NULL;
    must_ok(wg_searcher_create(collection, &searcher));
    for (size_t i = *(size_t *)user; !stop; i++) look_by_search(searcher, 1 + i % 3);
    look_by_search(searcher, 1);
    wg_searcher_destroy(&searcher);
    return NULL;
}

static void look_at_points(wg_points *points, uint64_t before)
{
    struct look look = { 0 };
    for (size_t i = 0; i < wg_points_count(points); i++) {
        const wg_point *point = wg_points_at(points, i);
        if (!point->found) continue;
        look_add(&look, &point->id, point->vector);
        must(generation_in(point->payload) == (int)point->vector[0], "payload %s, generation %g",
             point->payload, (double)point->vector[0]);
    }
    look_check(&look, before, acknowledged);
    wg_points_destroy(&points);
}

static void *read_on(void *unused)
{
    wg_id ids[POINTS];
    for (size_t i = 0; i < POINTS; i++) wg_id_from_number(i, &ids[i]);
    while (!stop) {
        wg_points *points = NULL;
        uint64_t before = acknowledged;
        must_ok(wg_collection_get(collection, ids, POINTS, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                  &points));
        look_at_points(points, before);
        before = acknowledged;
        must_ok(wg_collection_scroll(collection, NULL, POINTS + 1, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                     &points));
        look_at_points(points, before);
    }
    return unused;
}

/* Comes and goes: handles, searchers, information. */
static void *open_and_close(void *unused)
{
    while (!stop) {
        wg_collection *again = NULL;
        wg_searcher *searcher = NULL;
        must_ok(wg_collection_open(store, "c", &again));
        must_ok(wg_searcher_create(again, &searcher));
        look_by_search(searcher, 1);
        wg_collection_info info;
        wg_collection_info_init(&info);
        must_ok(wg_collection_info_get(again, &info));
        must(info.count % GROUP_SIZE == 0, "%d points", (int)info.count);
        must(wg_collection_count(again) % GROUP_SIZE == 0, "half a batch is counted");
        wg_searcher_destroy(&searcher);
        wg_collection_close(&again);
    }
    return unused;
}

static void start(pthread_t *thread, void *(*body)(void *), void *user)
{
    must(pthread_create(thread, NULL, body, user) == 0, "no thread");
}

static void test_every_look_is_one_commits_state(void **state)
{
    (void)state;
    static size_t numbers[2] = { 0, 1 };
    pthread_t threads[5];
    make_table();
    start(&threads[0], search_on, &numbers[0]);
    start(&threads[1], search_on, &numbers[1]);
    start(&threads[2], read_on, NULL);
    start(&threads[3], open_and_close, NULL);
    start(&threads[4], write_all, NULL);
    for (size_t i = 0; i < 5; i++) pthread_join(threads[i], NULL);
    printf("%zu looks while %d commits were made, each the state of one commit\n", (size_t)looks,
           COMMITS);
    assert_true(looks > 20);
}

/* --- several writers --- */

enum { WRITERS = 4, WRITES = 40, FIRST_ID = 1000 };

static void *write_own_ids(void *user)
{
    size_t writer = *(size_t *)user;
    for (size_t i = 0; i < WRITES; i++) {
        wg_id ids[3];
        float vectors[3 * DIM];
        for (size_t j = 0; j < 3; j++)
            wg_id_from_number(FIRST_ID + writer + WRITERS * (i * 3 + j), &ids[j]);
        for (size_t j = 0; j < 3 * DIM; j++) vectors[j] = (float)(writer + i);
        wg_batch batch;
        wg_batch_init(&batch);
        batch.count = 3;
        batch.ids = ids;
        batch.vectors = vectors;
        must_ok(wg_collection_upsert(collection, DIM, &batch));
        size_t touched = 0;
        must_ok(wg_collection_set_payload(collection, ids, 2, "{\"w\":1}", &touched));
        must(touched == 2, "%zu of two points were there", touched);
        must_ok(wg_collection_delete(collection, &ids[2], 1, &touched));
        must(touched == 1, "the point just written was not there");
    }
    return NULL;
}

static void test_writers_take_turns(void **state)
{
    (void)state;
    static size_t numbers[WRITERS];
    pthread_t threads[WRITERS];
    uint64_t before = wg_collection_count(collection);
    for (size_t i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        start(&threads[i], write_own_ids, &numbers[i]);
    }
    for (size_t i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(wg_collection_count(collection), before + WRITERS * WRITES * 2);
}

/* --- stopping a call --- */

enum { LONG_ROWS = 60000, LONG_QUERIES = 400, LONG_DIM = 64, LATE_MS = 2000 };

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec moment = { .tv_nsec = (long)ms * 1000000 };
    nanosleep(&moment, NULL);
}

/* Takes seconds on the C tier, if nobody stops it. */
static wg_err run_long(const wg_cancel *cancel, uint64_t timeout_ms)
{
    static float rows[LONG_ROWS * LONG_DIM], queries[LONG_QUERIES * LONG_DIM];
    static uint64_t found[LONG_QUERIES];
    static float scores[LONG_QUERIES];
    struct prng prng = { 3 };
    if (rows[0] == 0) {
        data_fill(&prng, DATA_UNIT, LONG_ROWS, LONG_DIM, rows);
        data_fill(&prng, DATA_UNIT, LONG_QUERIES, LONG_DIM, queries);
    }
    wg_context *slow = test_context("c", 2);
    wg_knn_params params;
    wg_knn_params_init(&params);
    params.metric = WG_MANHATTAN, params.k = 1, params.dim = LONG_DIM;
    params.rows = rows, params.row_count = LONG_ROWS;
    params.queries = queries, params.query_count = LONG_QUERIES;
    params.cancel = cancel;
    params.timeout_ms = timeout_ms;
    wg_err err = wg_knn(slow, &params, found, scores);
    wg_context_destroy(&slow);
    return err;
}

static _Atomic uint64_t requested_at;

static void *cancel_soon(void *user)
{
    sleep_ms(60);
    requested_at = now_ms();
    wg_cancel_request(user);
    return NULL;
}

static void test_cancelled_by_another_thread(void **state)
{
    (void)state;
    wg_cancel *cancel = NULL;
    pthread_t thread;
    assert_ok(wg_cancel_create(&cancel));
    start(&thread, cancel_soon, cancel);
    wg_err err = run_long(cancel, 0);
    uint64_t late = now_ms() - requested_at;
    pthread_join(thread, NULL);
    assert_int_equal(err, WG_ECANCELLED);
    printf("returned %" PRIu64 " ms after the request to cancel\n", late);
    assert_true(late < LATE_MS);
    wg_cancel_destroy(&cancel);
}

static void test_a_deadline_ends_a_call(void **state)
{
    (void)state;
    uint64_t begun = now_ms();
    wg_err err = run_long(NULL, 30);
    uint64_t took = now_ms() - begun;
    assert_int_equal(err, WG_ETIMEOUT);
    printf("a deadline of 30 ms: returned after %" PRIu64 " ms\n", took);
    assert_true(took >= 30 && took < 30 + LATE_MS);
}

/* A searcher whose run was stopped has no hits and is as good as before. */
static void test_stopped_searches(void **state)
{
    (void)state;
    static float queries[2000 * DIM];
    wg_searcher *searcher = NULL;
    wg_cancel *cancel = NULL;
    size_t stopped = 0;
    assert_ok(wg_searcher_create(collection, &searcher));
    assert_ok(wg_cancel_create(&cancel));
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = queries, params.query_count = 2000, params.dim = DIM;
    params.cancel = cancel;
    for (size_t i = 0; i < 30; i++) {
        pthread_t thread;
        size_t count = 77;
        wg_cancel_reset(cancel);
        params.timeout_ms = i % 3;
        if (i % 2) wg_cancel_request(cancel);
        start(&thread, cancel_soon, cancel);
        wg_err err = wg_searcher_run(searcher, &params);
        must(err == WG_OK || err == WG_ETIMEOUT || err == WG_ECANCELLED, "%s", wg_message());
        const wg_hit *hits = wg_searcher_hits(searcher, 0, &count);
        assert_true(err ? !hits && count == 0 : hits && count > 0);
        stopped += err != WG_OK;
        if (i % 2) assert_int_equal(err, WG_ECANCELLED);
        pthread_join(thread, NULL);
    }
    assert_true(stopped >= 15);
    wg_cancel_destroy(&cancel);
    wg_searcher_destroy(&searcher);
}

/* --- messages --- */

static void *fail_on(void *user)
{
    size_t number = *(size_t *)user;
    char name[32];
    snprintf(name, sizeof name, "nonsense-%zu", number);
    for (size_t i = 0; i < 2000; i++) {
        wg_metric metric;
        must(wg_metric_parse(name, &metric) == WG_EINVAL, "%s is a metric", name);
        must(strstr(wg_message(), name), "another thread's message: %s", wg_message());
    }
    return NULL;
}

static void test_messages_belong_to_their_thread(void **state)
{
    (void)state;
    static size_t numbers[4] = { 0, 1, 2, 3 };
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) start(&threads[i], fail_on, &numbers[i]);
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

/* Many threads with one context: each call's answer is its own. */
static void *knn_on(void *user)
{
    size_t number = *(size_t *)user;
    float rows[50], query = (float)number;
    for (size_t i = 0; i < 50; i++) rows[i] = (float)i;
    for (size_t i = 0; i < 300; i++) {
        uint64_t found;
        float score;
        wg_knn_params params;
        wg_knn_params_init(&params);
        params.metric = WG_EUCLIDEAN, params.k = 1, params.dim = 1;
        params.rows = rows, params.row_count = 50;
        params.queries = &query, params.query_count = 1;
        must_ok(wg_knn(context, &params, &found, &score));
        must(found == number && score == 0, "row %d is nearest to %zu", (int)found, number);
    }
    return NULL;
}

static void test_knn_from_many_threads(void **state)
{
    (void)state;
    static size_t numbers[6] = { 3, 14, 15, 9, 26, 5 };
    pthread_t threads[6];
    for (size_t i = 0; i < 6; i++) start(&threads[i], knn_on, &numbers[i]);
    for (size_t i = 0; i < 6; i++) pthread_join(threads[i], NULL);
}

static int setup(void **state)
{
    (void)state;
    context = test_context(NULL, 2);
    folder = scratch_create();
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    params.metric = WG_EUCLIDEAN;
    must_ok(wg_store_open(context, folder, NULL, &store));
    must_ok(wg_collection_create(store, "c", &params));
    must_ok(wg_collection_open(store, "c", &collection));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wg_collection_close(&collection);
    wg_store_close(&store);
    uint64_t problems = content_problems(context, folder);
    wg_context_destroy(&context);
    return problems > 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_look_is_one_commits_state),
        cmocka_unit_test(test_writers_take_turns),
        cmocka_unit_test(test_cancelled_by_another_thread),
        cmocka_unit_test(test_a_deadline_ends_a_call),
        cmocka_unit_test(test_stopped_searches),
        cmocka_unit_test(test_messages_belong_to_their_thread),
        cmocka_unit_test(test_knn_from_many_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
