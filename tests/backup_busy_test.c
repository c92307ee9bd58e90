/* Snapshots of a store that threads and other processes write, compact, search and rearrange
 * meanwhile: each holds what the collection held after one of its writes. WAGGLE_SEED repeats a
 * run. */
#include "support/check.h"
#include "support/content.h"
#include "support/copies.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A process may be kept waiting for its processor: more snapshots, until it has written. */
enum { SNAPSHOTS = 12, PATIENCE = 1000, GROWN_POINTS = 600 };

static const char *at(const char *name)
{
    return copies_at(name);
}

static wg_store *busy_store;
static atomic_bool stop;

static void *write_on(void *seed)
{
    struct run run;
    run_begin(*(uint64_t *)seed, &run);
    wg_collection *c = copies_open_collection(busy_store, "c");
    while (!stop) run_next(&run, c);
    must(copies_info(c).sequence == run.sequence, "sequence %d, expected %d",
         (int)copies_info(c).sequence, (int)run.sequence);
    wg_collection_close(&c);
    return NULL;
}

static void *compact_on(void *unused)
{
    wg_collection *c = copies_open_collection(busy_store, "c");
    while (!stop) must_ok(wg_collection_compact(c, NULL));
    wg_collection_close(&c);
    return unused;
}

static void *search_on(void *unused)
{
    wg_collection *c = copies_open_collection(busy_store, "c");
    wg_searcher *searcher = NULL;
    float query[MODEL_DIM] = { 1 };
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = query;
    params.query_count = 1;
    params.dim = MODEL_DIM;
    params.with = WG_WITH_PAYLOAD;
    must_ok(wg_searcher_create(c, &searcher));
    while (!stop) must_ok(wg_searcher_run(searcher, &params));
    wg_searcher_destroy(&searcher);
    wg_collection_close(&c);
    return unused;
}

/* Collections come, go and change their names. */
static void *shuffle_on(void *unused)
{
    for (size_t i = 0; !stop; i++) {
        char name[2][32];
        for (size_t j = 0; j < 2; j++) snprintf(name[j], sizeof name[j], "d%zu", i * 2 + j);
        copies_create(busy_store, name[0], 4);
        must_ok(wg_alias_set(busy_store, "latest", name[0]));
        must_ok(wg_collection_rename(busy_store, name[0], name[1]));
        if (i < 3) continue;
        snprintf(name[0], sizeof name[0], "d%zu", (i - 3) * 2 + 1);
        wg_err err = wg_collection_drop(busy_store, name[0]);
        while (err == WG_EBUSY) err = wg_collection_drop(busy_store, name[0]); /* being copied */
        must_ok(err);
    }
    return unused;
}

static void start(pthread_t *thread, void *(*body)(void *), void *user)
{
    must(pthread_create(thread, NULL, body, user) == 0, "no thread");
}

static bool count_name(void *user, const char *name)
{
    (void)name;
    ++*(size_t *)user;
    return true;
}

static bool open_alias(void *user, const char *alias, const char *name)
{
    (void)name;
    wg_collection *collection = copies_open_collection(user, alias);
    wg_collection_close(&collection);
    return true;
}

static void check_names(const char *path)
{
    size_t count = 0;
    wg_store *store = copies_open(path, false);
    assert_ok(wg_store_list(store, count_name, &count));
    assert_true(count >= 1 && count <= 6);
    assert_ok(wg_alias_list(store, open_alias, store));
    wg_store_close(&store);
}

static void test_threads_go_on(void **state)
{
    (void)state;
    uint64_t seed = test_seed(), first = UINT64_MAX, last = 0;
    pthread_t threads[4];
    busy_store = copies_open(at("s"), false);
    copies_create(busy_store, "c", MODEL_DIM);
    stop = false;
    start(&threads[0], write_on, &seed);
    start(&threads[1], compact_on, NULL);
    start(&threads[2], search_on, NULL);
    start(&threads[3], shuffle_on, NULL);
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "copy%zu", i);
        must_ok(wg_store_snapshot(busy_store, at(name)));
        usleep(20000);
    }
    stop = true;
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    wg_store_close(&busy_store);
    for (size_t i = 0; i < SNAPSHOTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "copy%zu", i);
        uint64_t sequence = copies_check(at(name), seed);
        assert_true(i == 0 || sequence >= last);
        first = sequence < first ? sequence : first;
        last = sequence;
        check_names(at(name));
    }
    printf("snapshots of the writes from %" PRIu64 " to %" PRIu64 "\n", first, last);
    assert_true(last > first);
}

static void write_in_child(uint64_t seed, struct child *parent)
{
    struct run run;
    busy_store = copies_open(at("s"), false);
    wg_collection *c = copies_open_collection(busy_store, "c");
    run_begin(seed, &run);
    child_say(parent, 'r');
    for (size_t i = 0;; i++) {
        run_next(&run, c);
        if (i % 8 == 0) must_ok(wg_collection_compact(c, NULL));
    }
}

/* The tables grow past 16 MiB meanwhile, so their map grows under the reader. */
static void *grow_tables(void *user)
{
    wg_collection *collection = user;
    enum { TEXT = 60000, POINTS = GROWN_POINTS };
    char *payload = allocate(TEXT + 64, 1);
    snprintf(payload, TEXT + 64, "{\"text\":\"%0*d\"}", TEXT, 0);
    for (size_t i = 0; i < POINTS; i++) {
        float vector[2] = { 1, (float)i };
        const char *payloads[] = { payload };
        wg_id id;
        wg_batch batch;
        wg_id_from_number(i, &id);
        wg_batch_init(&batch);
        batch.count = 1;
        batch.ids = &id;
        batch.vectors = vector;
        batch.payloads = payloads;
        must_ok(wg_collection_upsert(collection, 2, &batch));
    }
    free(payload);
    return NULL;
}

static void grow_in_child(uint64_t unused, struct child *parent)
{
    (void)unused;
    busy_store = copies_open(at("s"), false);
    wg_collection *big = copies_open_collection(busy_store, "big");
    child_say(parent, 'r');
    grow_tables(big);
    for (;;) pause();
}

static void test_another_process_goes_on_writing(void **state)
{
    (void)state;
    uint64_t seed = test_seed() + 1, last = 0;
    wg_store *store = copies_open(at("s"), false);
    copies_create(store, "c", MODEL_DIM);
    wg_store_close(&store);
    struct child child;
    copies_start(&child, write_in_child, seed);
    store = copies_open(at("s"), true);
    for (size_t i = 0; i < SNAPSHOTS || (last == 0 && i < PATIENCE); i++) {
        char name[32];
        snprintf(name, sizeof name, "copy%zu", i);
        must_ok(wg_store_snapshot(store, at(name)));
        uint64_t sequence = copies_check(at(name), seed);
        assert_true(sequence >= last);
        last = sequence;
    }
    child_kill(&child);
    wg_store_close(&store);
    printf("snapshots up to write %" PRIu64 " of another process\n", last);
    assert_true(last > 0);
    wg_collection *c = NULL;
    store = copies_open(at("copy0"), false); /* it is a store: writes go on from there */
    assert_ok(wg_collection_open(store, "c", &c));
    struct run run;
    run_begin(seed, &run);
    while (run.sequence < copies_info(c).sequence) run_next(&run, NULL);
    for (size_t i = 0; i < 30; i++) run_next(&run, c);
    wg_collection_close(&c);
    wg_store_close(&store);
    copies_check(at("copy0"), seed);
}

static void test_another_process_grows_the_map(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_create(store, "big", 2);
    wg_store_close(&store);
    struct child child;
    copies_start(&child, grow_in_child, 0);
    store = copies_open(at("s"), true);
    uint64_t count = 0;
    while (count < GROWN_POINTS) {
        must_ok(wg_store_snapshot(store, at("copy")));
        assert_int_equal(content_problems(copies_context(), at("copy")), 0);
        wg_store *copy = copies_open(at("copy"), true);
        wg_collection *big = copies_open_collection(copy, "big");
        count = wg_collection_count(big);
        wg_collection_close(&big);
        wg_store_close(&copy);
        scratch_remove(at("copy"));
    }
    child_kill(&child);
    wg_store_close(&store);
}

static void test_the_map_grows_meanwhile(void **state)
{
    (void)state;
    busy_store = copies_open(at("s"), false);
    copies_create(busy_store, "big", 2);
    wg_collection *big = copies_open_collection(busy_store, "big");
    pthread_t thread;
    start(&thread, grow_tables, big);
    for (size_t i = 0; i < 30; i++) {
        must_ok(wg_store_snapshot(busy_store, at("copy")));
        assert_int_equal(content_problems(copies_context(), at("copy")), 0);
        scratch_remove(at("copy"));
    }
    pthread_join(thread, NULL);
    wg_collection_close(&big);
    wg_store_close(&busy_store);
    assert_int_equal(content_problems(copies_context(), at("s")), 0);
}

#define COPIES_TEST(test) cmocka_unit_test_setup_teardown(test, copies_set_up, copies_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        COPIES_TEST(test_threads_go_on),
        COPIES_TEST(test_another_process_goes_on_writing),
        COPIES_TEST(test_another_process_grows_the_map),
        COPIES_TEST(test_the_map_grows_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
