/* Many threads search one collection large enough for their searches to be gathered, while points
 * are written, calls are cancelled, deadlines pass, and another is emptied and dropped. Every
 * answer has to be that of one commit, not older than what was acknowledged when the call began,
 * and whole: the points of a group have one generation. Made to be run under the thread sanitizer.
 */
#include "search/gather.h"
#include "support/check.h"
#include "support/scratch.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DIM = 2048,
    FAR = GATHER_COMPONENTS_MIN / DIM, /* points that are far away, and never written again */
    GROUP = 5, /* points that are near, and written together: n / 8 everywhere by commit n */
    COMMITS_MIN = 60,
    COMMITS_MAX = 5000,
    ANSWERS = 200, /* are waited for */
    SEARCHERS = 8,
};

static const float far_away = 1000;

static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static wg_cancel *cancels[SEARCHERS];
static atomic_uint acknowledged; /* commits */
static atomic_bool stop;
static uint64_t seed;
static atomic_size_t answers, stopped;

static wg_collection *make_collection(const char *name)
{
    wg_collection *made = NULL;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    params.metric = WG_EUCLIDEAN;
    must_ok(wg_collection_create(store, name, &params));
    must_ok(wg_collection_open(store, name, &made));
    return made;
}

/* Points with the ids from first on, every component of them value. */
static void write_points(wg_collection *into, size_t first, size_t count, float value)
{
    wg_id *ids = allocate(count, sizeof *ids);
    float *vectors = allocate(count * DIM, sizeof *vectors);
    for (size_t i = 0; i < count; i++) wg_id_from_number(first + i, &ids[i]);
    for (size_t i = 0; i < count * DIM; i++) vectors[i] = value;
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = count;
    batch.ids = ids;
    batch.vectors = vectors;
    must_ok(wg_collection_upsert(into, DIM, &batch));
    free(vectors);
    free(ids);
}

static void *write_all(void *unused)
{
    for (unsigned n = 1; n <= COMMITS_MIN || (answers < ANSWERS && n <= COMMITS_MAX); n++) {
        write_points(collection, 0, GROUP, (float)n / 8);
        acknowledged = n;
    }
    stop = true;
    return unused;
}

static float distance_of(float value)
{
    return value * sqrtf((float)DIM);
}

/* Of one query: the group, one generation of it, then those far away. */
static void check_hits(const wg_searcher *searcher, size_t query, const wg_search_params *params,
                       unsigned before)
{
    size_t count;
    const wg_hit *hits = wg_searcher_hits(searcher, query, &count);
    bool limited = !isnan(params->threshold);
    size_t expected = limited && params->k > GROUP ? GROUP : params->k;
    must(count == expected, "%zu hits, expected %zu", count, expected);
    for (size_t i = 0; i < count && i < GROUP; i++) {
        float generation = 8 * hits[i].vector[0];
        must(hits[i].id.as.number == i, "hit %zu is point %d", i, (int)hits[i].id.as.number);
        must(hits[i].vector[0] == hits[0].vector[0], "generations %g and %g", (double)generation,
             8 * (double)hits[0].vector[0]);
        must(generation >= (float)before, "generation %g after commit %u", (double)generation,
             before);
        must(fabsf(hits[i].score - distance_of(generation / 8)) < 0.01f, "a score of %g at %g",
             (double)hits[i].score, (double)generation);
    }
    for (size_t i = GROUP; i < count; i++)
        must(hits[i].vector[0] == far_away, "a point near: %g", (double)hits[i].vector[0]);
}

static void check_report(const wg_searcher *searcher, unsigned before)
{
    wg_search_report report;
    wg_search_report_init(&report);
    must_ok(wg_searcher_report(searcher, &report));
    must(report.sequence >= 2 + before, "sequence %d, %u acknowledged", (int)report.sequence,
         before);
    must(report.row_count >= FAR + GROUP, "%d rows", (int)report.row_count);
}

/* Every kind of call: hits from 1 to more than there are near, with a threshold, a deadline, a flag
 * that others set. */
static void *search_on(void *user)
{
    static const float queries[2 * DIM];
    size_t number = *(size_t *)user;
    struct prng prng = { seed + number };
    wg_searcher *searcher = NULL;
    must_ok(wg_searcher_create(collection, &searcher));
    while (!stop) {
        wg_search_params params;
        wg_search_params_init(&params);
        params.queries = queries, params.query_count = 1 + test_below(&prng, 2), params.dim = DIM;
        params.k = 1 + test_below(&prng, 40);
        params.with = WG_WITH_VECTOR;
        if (test_below(&prng, 2)) params.threshold = distance_of(far_away / 2);
        bool timed = test_below(&prng, 4) == 0, cancelled = test_below(&prng, 4) == 0;
        if (timed) params.timeout_ms = 1 + test_below(&prng, 20);
        if (cancelled) params.cancel = cancels[number];
        unsigned before = acknowledged;
        wg_err err = wg_searcher_run(searcher, &params);
        if (cancelled) wg_cancel_reset(cancels[number]);
        stopped += err != WG_OK;
        answers += err == WG_OK;
        must(err == WG_OK || (timed && err == WG_ETIMEOUT) || (cancelled && err == WG_ECANCELLED),
             "%s", wg_message());
        for (size_t q = 0; q < params.query_count && err == WG_OK; q++)
            check_hits(searcher, q, &params, before);
        if (err == WG_OK) check_report(searcher, before);
    }
    wg_searcher_destroy(&searcher);
    return NULL;
}

static void *cancel_on(void *unused)
{
    const struct timespec moment = { .tv_nsec = 3000000 };
    for (size_t i = 0; !stop; i++) {
        nanosleep(&moment, NULL);
        wg_cancel_request(cancels[i % SEARCHERS]);
    }
    return unused;
}

/* --- a collection that is emptied, and then dropped --- */

struct victim {
    wg_collection *collection;
    wg_searcher *searcher;
    atomic_bool *over;
};

/* There are all points, or none. */
static void *search_victim(void *user)
{
    static const float query[DIM];
    struct victim *victim = user;
    bool emptied = false;
    while (!*victim->over) {
        wg_search_params params;
        wg_search_params_init(&params);
        params.queries = query, params.query_count = 1, params.dim = DIM;
        must_ok(wg_searcher_run(victim->searcher, &params));
        size_t count;
        wg_searcher_hits(victim->searcher, 0, &count);
        must(count == (emptied ? 0 : params.k) || count == 0, "%zu hits", count);
        emptied = count == 0;
    }
    wg_searcher_destroy(&victim->searcher);
    wg_collection_close(&victim->collection);
    return NULL;
}

static void drop_once(void)
{
    enum { USERS = 4 };
    struct victim victims[USERS];
    pthread_t threads[USERS];
    atomic_bool over = false;
    const struct timespec moment = { .tv_nsec = 30000000 };
    wg_collection *own = make_collection("victim");
    write_points(own, 0, FAR, far_away);
    for (size_t i = 0; i < USERS; i++) {
        victims[i] = (struct victim){ .over = &over };
        must_ok(wg_collection_open(store, "victim", &victims[i].collection));
        must_ok(wg_searcher_create(victims[i].collection, &victims[i].searcher));
        must(pthread_create(&threads[i], NULL, search_victim, &victims[i]) == 0, "no thread");
    }
    nanosleep(&moment, NULL);
    must(wg_collection_drop(store, "victim") == WG_EBUSY, "dropped under its users");
    must_ok(wg_collection_clear(own));
    wg_collection_close(&own);
    over = true;
    for (size_t i = 0; i < USERS; i++) pthread_join(threads[i], NULL);
    must_ok(wg_collection_drop(store, "victim"));
}

static void *drop_on(void *unused)
{
    while (!stop) drop_once();
    return unused;
}

static void test_all_at_once(void **state)
{
    (void)state;
    static size_t numbers[SEARCHERS];
    pthread_t threads[SEARCHERS + 3];
    write_points(collection, 1000, FAR, far_away);
    write_points(collection, 0, GROUP, 0);
    for (size_t i = 0; i < SEARCHERS; i++) numbers[i] = i;
    for (size_t i = 0; i < SEARCHERS; i++)
        must(pthread_create(&threads[i], NULL, search_on, &numbers[i]) == 0, "no thread");
    must(pthread_create(&threads[SEARCHERS], NULL, write_all, NULL) == 0, "no thread");
    must(pthread_create(&threads[SEARCHERS + 1], NULL, cancel_on, NULL) == 0, "no thread");
    must(pthread_create(&threads[SEARCHERS + 2], NULL, drop_on, NULL) == 0, "no thread");
    for (size_t i = 0; i < SEARCHERS + 3; i++) pthread_join(threads[i], NULL);
    printf("%zu answers, %zu calls stopped, while %u commits were made\n", (size_t)answers,
           (size_t)stopped, (unsigned)acknowledged);
    assert_true(answers >= ANSWERS);
}

static int setup(void **state)
{
    (void)state;
    seed = test_seed();
    context = test_context(NULL, 2);
    must_ok(wg_store_open(context, scratch_create(), NULL, &store));
    collection = make_collection("c");
    for (size_t i = 0; i < SEARCHERS; i++) must_ok(wg_cancel_create(&cancels[i]));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < SEARCHERS; i++) wg_cancel_destroy(&cancels[i]);
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
