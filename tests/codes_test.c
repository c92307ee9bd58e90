/* Codes of a collection's rows: when they come, that they follow writes, compaction and opening,
 * and that they change no answer. That they are right is coded_scan_test's. */
#include "support/check.h"
#include "support/data.h"
#include "support/scratch.h"
#include "waggle/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIM = 24, ROWS = 6000, LEFT_MAX = 1024 + 32 };

static char path[SCRATCH_PATH_SIZE + 8];
static float vectors[ROWS * DIM];
static wg_context *context;
static wg_store *store;
static wg_collection *collection;

static void open_collection(void)
{
    context = test_context(NULL, 2);
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(wg_collection_open(store, "c", &collection));
}

static void close_collection(void)
{
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

static void create(wg_metric metric)
{
    struct prng prng = { test_seed() };
    wg_collection_params params;
    snprintf(path, sizeof path, "%s/s", scratch_create());
    data_fill(&prng, DATA_UNIT, ROWS, DIM, vectors);
    context = test_context(NULL, 2);
    must_ok(wg_store_open(context, path, NULL, &store));
    wg_collection_params_init(&params);
    params.dim = DIM;
    params.metric = metric;
    params.history = 0;
    must_ok(wg_collection_create(store, "c", &params));
    must_ok(wg_collection_open(store, "c", &collection));
}

static void upsert(size_t first, size_t count)
{
    wg_id *ids = allocate(count, sizeof *ids);
    wg_batch batch;
    for (size_t i = 0; i < count; i++) wg_id_from_number(first + i, &ids[i]);
    wg_batch_init(&batch);
    batch.count = count;
    batch.ids = ids;
    batch.vectors = vectors + first * DIM;
    must_ok(wg_collection_upsert(collection, DIM, &batch));
    free(ids);
}

static wg_collection_info info(void)
{
    wg_collection_info now;
    wg_collection_info_init(&now);
    must_ok(wg_collection_info_get(collection, &now));
    return now;
}

/* The ids of ten queries' hits, one after the other. */
static void search(uint64_t found[100])
{
    wg_searcher *searcher = NULL;
    wg_search_params params;
    must_ok(wg_searcher_create(collection, &searcher));
    wg_search_params_init(&params);
    params.queries = vectors;
    params.query_count = 10;
    params.dim = DIM;
    must_ok(wg_searcher_run(searcher, &params));
    for (size_t q = 0; q < 10; q++) {
        size_t count;
        const wg_hit *hits = wg_searcher_hits(searcher, q, &count);
        must(count == 10, "%zu hits", count);
        for (size_t i = 0; i < 10; i++) found[q * 10 + i] = hits[i].id.as.number;
    }
    wg_searcher_destroy(&searcher);
}

/* All but what is too little; within a minute. */
static void await_codes(void)
{
    struct timespec pause = { 0, 2000000 };
    for (size_t i = 0; i < 30000; i++) {
        wg_collection_info now = info();
        if (now.coded_row_count + LEFT_MAX * now.segment_count > now.row_count &&
            now.coded_row_count > 0)
            return;
        nanosleep(&pause, NULL);
    }
    must(false, "the rows are not coded");
}

static void codes_follow_the_rows(void **state)
{
    (void)state;
    uint64_t before[100], after[100];
    create(WG_EUCLIDEAN);
    upsert(0, 900); /* too few */
    search(before);
    assert_int_equal(info().coded_row_count, 0);
    assert_int_equal(info().code_bytes, 0);
    upsert(900, 2000);
    await_codes();
    uint64_t few = info().coded_row_count;
    upsert(2900, ROWS - 2900);
    await_codes();
    assert_true(info().coded_row_count > few && info().coded_row_count <= ROWS);
    assert_true(info().code_bytes >= info().coded_row_count * (DIM + sizeof(float)));
    search(before);
    close_collection();
    open_collection();
    assert_int_equal(info().coded_row_count, 0); /* they are a cache */
    search(after);
    assert_memory_equal(after, before, sizeof after);
    await_codes();
    search(after);
    assert_memory_equal(after, before, sizeof after);
    close_collection();
}

static void packed_rows_are_coded_anew(void **state)
{
    (void)state;
    uint64_t before[100], after[100];
    create(WG_COSINE);
    upsert(0, ROWS);
    upsert(0, ROWS / 2); /* half of the rows before are dead */
    await_codes();
    search(before);
    assert_ok(wg_collection_compact(collection, NULL));
    search(after);
    assert_memory_equal(after, before, sizeof after);
    await_codes();
    assert_int_equal(info().row_count, ROWS);
    search(after);
    assert_memory_equal(after, before, sizeof after);
    assert_ok(wg_collection_clear(collection));
    assert_int_equal(info().coded_row_count, 0);
    close_collection();
}

static void other_metrics_have_none(void **state)
{
    (void)state;
    uint64_t found[100];
    struct timespec pause = { 0, 2000000 };
    create(WG_MANHATTAN);
    upsert(0, ROWS);
    search(found);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(info().coded_row_count, 0);
        nanosleep(&pause, NULL);
    }
    close_collection();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_follow_the_rows),
        cmocka_unit_test(packed_rows_are_coded_anew),
        cmocka_unit_test(other_metrics_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
