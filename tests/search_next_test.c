/* wg_searcher_next, from its header: the hits of a query in order, as many at a time as one likes,
 * are those that one run for all of them finds, whatever is written meanwhile. With every type. */
#include "support/check.h"
#include "support/data.h"
#include "support/scratch.h"
#include "support/types.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 12, COUNT = 1500, METRIC_COUNT = 5 };

static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static wg_searcher *searcher;
static struct prng prng;
static struct test_space space;
static float query[DIM];

static void upsert(uint64_t first, size_t count, enum data_kind kind)
{
    wg_id *ids = allocate(count, sizeof *ids);
    float *vectors = allocate(count * DIM, sizeof *vectors);
    data_fill(&prng, kind, count, DIM, vectors);
    test_type_fit(space.type, count * DIM, vectors);
    for (size_t i = 0; i < count; i++) wg_id_from_number(first + i, &ids[i]);
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = count, batch.ids = ids, batch.vectors = vectors;
    assert_ok(wg_collection_upsert(collection, DIM, &batch));
    free(ids);
    free(vectors);
}

static void delete_some(size_t count)
{
    wg_id *ids = allocate(count, sizeof *ids);
    for (size_t i = 0; i < count; i++) wg_id_from_number(test_below(&prng, COUNT), &ids[i]);
    assert_ok(wg_collection_delete(collection, ids, count, NULL));
    free(ids);
}

static void begin_in(struct test_space in, enum data_kind kind)
{
    char path[SCRATCH_PATH_SIZE + 8];
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM, params.metric = in.metric, params.type = in.type;
    space = in;
    snprintf(path, sizeof path, "%s/s", scratch_create());
    assert_ok(wg_store_open(context, path, NULL, &store));
    assert_ok(wg_collection_create(store, "c", &params));
    assert_ok(wg_collection_open(store, "c", &collection));
    assert_ok(wg_searcher_create(collection, &searcher));
    upsert(0, COUNT, kind);
    delete_some(100);
    data_fill(&prng, kind, 1, DIM, query);
    test_type_fit(space.type, DIM, query);
}

static void begin(wg_metric metric, enum data_kind kind)
{
    begin_in((struct test_space){ WG_F32, metric }, kind);
}

static void end(void)
{
    wg_searcher_destroy(&searcher);
    wg_collection_close(&collection);
    wg_store_close(&store);
}

static wg_search_params params_of(size_t k, float threshold)
{
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = query, params.query_count = 1, params.dim = DIM;
    params.k = k, params.threshold = threshold;
    return params;
}

static wg_err next(size_t count)
{
    wg_next_params params;
    wg_next_params_init(&params);
    params.count = count;
    return wg_searcher_next(searcher, &params);
}

struct wanted {
    wg_id id;
    float score;
    char data[DIM * sizeof(float)]; /* as stored */
};

/* All hits, by one run of another searcher. */
static size_t want_all(float threshold, struct wanted *out)
{
    wg_searcher *other = NULL;
    size_t count;
    wg_search_params params = params_of(COUNT * 2, threshold);
    params.with = WG_WITH_VECTOR;
    assert_ok(wg_searcher_create(collection, &other));
    assert_ok(wg_searcher_run(other, &params));
    const wg_hit *hits = wg_searcher_hits(other, 0, &count);
    for (size_t i = 0; i < count; i++) {
        out[i].id = hits[i].id;
        out[i].score = hits[i].score;
        memcpy(out[i].data, hits[i].data, test_type_size(space.type, DIM));
    }
    wg_searcher_destroy(&other);
    return count;
}

/* Compares the hits that there are now with those from place at on; returns the place behind. */
static size_t compare(const struct wanted *want, size_t at, size_t want_count, size_t asked)
{
    size_t count;
    const wg_hit *hits = wg_searcher_hits(searcher, 0, &count);
    assert_int_equal(count, want_count - at < asked ? want_count - at : asked);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(&hits[i].id, &want[at + i].id, sizeof hits[i].id);
        assert_memory_equal(&hits[i].score, &want[at + i].score, sizeof hits[i].score);
        assert_memory_equal(hits[i].data, want[at + i].data, test_type_size(space.type, DIM));
    }
    return at + count;
}

static void write_something(size_t turn)
{
    switch (turn % 4) {
    case 0: upsert(test_below(&prng, COUNT), 300, DATA_UNIT); break; /* most of them again */
    case 1: delete_some(20); break;
    case 2: assert_ok(wg_collection_compact(collection, NULL)); break;
    default:
        if (turn == 7) assert_ok(wg_collection_clear(collection));
    }
}

static void go_through(float threshold, size_t k, struct wanted *want)
{
    size_t want_count = want_all(threshold, want), at, turn = 0;
    wg_search_params params = params_of(k, threshold);
    params.with = WG_WITH_VECTOR;
    assert_ok(wg_searcher_run(searcher, &params));
    at = compare(want, 0, want_count, k);
    while (at < want_count) {
        size_t count = 1 + test_below(&prng, turn < 3 ? 9 : 500);
        write_something(turn++);
        assert_ok(next(count));
        at = compare(want, at, want_count, count);
    }
    for (size_t i = 0; i < 2; i++) { /* and no more */
        assert_ok(next(SIZE_MAX));
        compare(want, want_count, want_count, 1);
    }
}

static void test_all_hits_while_others_are_written(void **state)
{
    (void)state;
    static const enum data_kind kinds[] = { DATA_UNIT, DATA_FEW, DATA_WILD };
    struct wanted *want = allocate(COUNT * 2, sizeof *want);
    for (size_t n = 0; n < 2 * METRIC_COUNT; n++) {
        begin((wg_metric)(n % METRIC_COUNT), kinds[n % 3]);
        float threshold = NAN;
        if (n >= METRIC_COUNT) threshold = (want_all(NAN, want), want[COUNT / 3].score);
        go_through(threshold, 1 + test_below(&prng, 200), want);
        upsert(0, COUNT, kinds[n % 3]);
        go_through(NAN, COUNT, want);
        end();
    }
    free(want);
}

static void test_payloads_of_next_hits(void **state)
{
    (void)state;
    begin(WG_EUCLIDEAN, DATA_UNIT);
    wg_search_params params = params_of(5, NAN);
    params.with = WG_WITH_PAYLOAD;
    assert_ok(wg_searcher_run(searcher, &params));
    upsert(0, COUNT, DATA_UNIT); /* every point again */
    assert_ok(next(3));
    size_t count;
    const wg_hit *hits = wg_searcher_hits(searcher, 0, &count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_true(hits[i].changed && !hits[i].vector);
        assert_string_equal(hits[i].payload, "{}");
    }
    end();
}

static void test_what_has_no_next_hits(void **state)
{
    (void)state;
    size_t count;
    begin(WG_COSINE, DATA_UNIT);
    assert_err(WG_EINVAL, "no next hits", next(1)); /* before any run */
    float queries[2 * DIM] = { 0 };
    wg_search_params params = params_of(5, NAN);
    params.queries = queries, params.query_count = 2;
    assert_ok(wg_searcher_run(searcher, &params));
    assert_err(WG_EINVAL, "not one query", next(1));
    wg_searcher_hits(searcher, 0, &count);
    assert_int_equal(count, 0);
    params = params_of(5, NAN);
    assert_ok(wg_searcher_run(searcher, &params));
    assert_err(WG_EINVAL, "count", next(0));
    assert_ok(next(1));
    wg_next_params wrong = { .size = 3 };
    assert_err(WG_EINVAL, "size", wg_searcher_next(searcher, &wrong));
    params.k = 0;
    assert_err(WG_EINVAL, "k", wg_searcher_run(searcher, &params));
    assert_err(WG_EINVAL, "no next hits", next(1)); /* after one that failed */
    assert_ok(wg_collection_clear(collection));
    params = params_of(5, NAN);
    assert_ok(wg_searcher_run(searcher, &params));
    assert_ok(next(1));
    wg_searcher_hits(searcher, 0, &count);
    assert_int_equal(count, 0);
    end();
}

/* The query's memory, in whatever type it is given, is the caller's again after the run. */
static void run_and_take_back(wg_search_params *params, wg_type type)
{
    size_t size = test_type_size(type, DIM);
    void *given = allocate(1, size);
    test_type_pack(type, query, DIM, given);
    params->data = given, params->type = type;
    assert_ok(wg_searcher_run(searcher, params));
    memset(given, 0, size);
    free(given);
}

/* A call that fails skips nothing. */
static void check_after_a_failure(struct wanted *want, wg_cancel *cancel, wg_type type)
{
    char packed[sizeof query];
    test_type_pack(type, query, DIM, packed);
    test_type_widen(type, packed, DIM, query);
    size_t want_count = want_all(NAN, want), count;
    wg_search_params params = params_of(50, NAN);
    params.with = WG_WITH_VECTOR;
    run_and_take_back(&params, type);
    wg_next_params cancelled;
    wg_next_params_init(&cancelled);
    cancelled.cancel = cancel, cancelled.count = 70;
    wg_cancel_request(cancel);
    assert_err(WG_ECANCELLED, "", wg_searcher_next(searcher, &cancelled));
    assert_null(wg_searcher_hits(searcher, 0, &count));
    wg_cancel_reset(cancel);
    assert_ok(wg_searcher_next(searcher, &cancelled));
    compare(want, 50, want_count, 70);
}

static void test_after_a_failure(void **state)
{
    (void)state;
    struct wanted *want = allocate(COUNT * 2, sizeof *want);
    wg_cancel *cancel = NULL;
    assert_ok(wg_cancel_create(&cancel));
    for (size_t i = 0; i < TEST_SPACES; i++) {
        begin_in(test_space_at(i), DATA_UNIT);
        check_after_a_failure(want, cancel, WG_F32);
        if (space.type != WG_F32) check_after_a_failure(want, cancel, space.type);
        end();
    }
    wg_cancel_destroy(&cancel);
    free(want);
}

static int set_up(void **state)
{
    (void)state;
    prng.state = test_seed();
    context = test_context(NULL, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wg_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_hits_while_others_are_written),
        cmocka_unit_test(test_payloads_of_next_hits),
        cmocka_unit_test(test_what_has_no_next_hits),
        cmocka_unit_test(test_after_a_failure),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
