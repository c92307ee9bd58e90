/* Every allocation of every call is made to fail once: the call returns WG_ENOMEM and says so (or
 * succeeds without that memory), the content is as before, the same call then succeeds, and when
 * all is closed no allocation is left. And a warmed search allocates nothing at all. */
#include "base/mem.h"
#include "support/check.h"
#include "support/content.h"
#include "support/data.h"
#include "support/scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SEES_MALLOC = 0 };
static atomic_bool watching;
static atomic_size_t malloc_calls;
#else
/* libc's own allocator, watched: LMDB and libc allocate behind the library's one allocator. */
enum { SEES_MALLOC = 1 };
static atomic_bool watching;
static atomic_size_t malloc_calls;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **out, size_t alignment, size_t size);

static void watch(void)
{
    if (watching) malloc_calls++;
}

void *malloc(size_t size)
{
    watch();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    watch();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    watch();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    watch();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    watch();
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}
#endif

enum { DIM = 24, COUNT = 300, QUERIES = 7, K = 10, REQUESTS_MAX = 20000 };

static wg_context *context;
static char path[SCRATCH_PATH_SIZE + 8], fresh_path[SCRATCH_PATH_SIZE + 8];
static wg_store *store;
static wg_collection *collection;
static wg_searcher *searcher;
static struct prng prng;
static float vectors[COUNT * DIM];
static wg_id ids[COUNT];
static unsigned names_made;

/* --- the calls --- */

static wg_err call_context_create(void)
{
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = 3;
    wg_context *made = NULL;
    wg_err err = wg_context_create(&params, &made);
    if (err && made) return WG_ECORRUPT; /* results are written only on success */
    wg_context_destroy(&made);
    return err;
}

static wg_err call_cancel_create(void)
{
    wg_cancel *made = NULL;
    wg_err err = wg_cancel_create(&made);
    wg_cancel_destroy(&made);
    return err;
}

static wg_err call_knn(void)
{
    static uint64_t rows[QUERIES * K];
    static float scores[QUERIES * K];
    wg_knn_params params;
    wg_knn_params_init(&params);
    params.metric = WG_COSINE, params.k = K, params.dim = DIM;
    params.rows = vectors, params.row_count = COUNT;
    params.queries = vectors + DIM, params.query_count = QUERIES;
    return wg_knn(context, &params, rows, scores);
}

/* On some of the rows, so that they are copied, and all of them assigned at the end. */
static wg_err call_kmeans(void)
{
    static float centroids[5 * DIM];
    static uint32_t assignments[COUNT];
    static uint64_t sizes[5];
    wg_kmeans_params params;
    wg_kmeans_params_init(&params);
    params.metric = WG_COSINE, params.cluster_count = 5, params.dim = DIM;
    params.rows = vectors, params.row_count = COUNT, params.rows_per_cluster = 20;
    return wg_kmeans(context, &params, centroids, assignments, sizes, NULL);
}

static wg_err open_store(const char *where)
{
    wg_store *opened = NULL;
    wg_err err = wg_store_open(context, where, NULL, &opened);
    wg_store_close(&opened);
    return err;
}

static wg_err call_store_open(void)
{
    return open_store(path);
}

static wg_err call_store_create(void)
{
    scratch_remove(fresh_path);
    return open_store(fresh_path);
}

static void ignore_problem(void *user, const char *problem)
{
    (void)user;
    print_error("verify: %s\n", problem);
}

static wg_err call_verify(void)
{
    uint64_t problems = 0;
    wg_err err = wg_store_verify(context, path, NULL, ignore_problem, NULL, &problems);
    return problems > 0 ? WG_ECORRUPT : err;
}

static wg_err call_collection_create(void)
{
    char name[32];
    snprintf(name, sizeof name, "made-%u", names_made++);
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 5;
    return wg_collection_create(store, name, &params);
}

static wg_err call_collection_drop(void)
{
    return wg_collection_drop(store, "victim");
}

static void make_victim(void)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 5;
    wg_err err = wg_collection_create(store, "victim", &params);
    if (err != WG_EEXISTS) assert_ok(err);
}

static bool every_name(void *user, const char *name)
{
    (void)user, (void)name;
    return true;
}

static wg_err call_list(void)
{
    return wg_store_list(store, every_name, NULL);
}

static wg_err call_collection_open(void)
{
    wg_collection *opened = NULL;
    wg_err err = wg_collection_open(store, "c", &opened);
    wg_collection_close(&opened);
    return err;
}

static wg_err call_upsert(void)
{
    static const char *payloads[COUNT];
    for (size_t i = 0; i < COUNT; i++) payloads[i] = i % 3 ? "{\"x\": {\"y\": [1, 2]}}" : NULL;
    data_fill(&prng, DATA_UNIT, COUNT, DIM, vectors);
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = COUNT;
    batch.ids = ids;
    batch.vectors = vectors;
    batch.payloads = payloads;
    return wg_collection_upsert(collection, DIM, &batch);
}

static wg_err call_delete(void)
{
    size_t deleted;
    return wg_collection_delete(collection, ids + test_below(&prng, COUNT - 20), 20, &deleted);
}

static wg_err call_set_payload(void)
{
    size_t updated;
    return wg_collection_set_payload(collection, ids, 30, "{\"x\":1,\"z\":\"zz\"}", &updated);
}

static wg_err call_clear_payload(void)
{
    return wg_collection_set_payload(collection, ids, 30, NULL, NULL);
}

static wg_err call_clear(void)
{
    return wg_collection_clear(collection);
}

static void refill(void)
{
    assert_ok(call_upsert());
}

static wg_err call_get(void)
{
    wg_points *points = NULL;
    wg_err err =
        wg_collection_get(collection, ids, COUNT, WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points);
    wg_points_destroy(&points);
    return err;
}

static wg_err call_scroll(void)
{
    wg_points *points = NULL;
    wg_err err =
        wg_collection_scroll(collection, &ids[5], 50, WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points);
    wg_points_destroy(&points);
    return err;
}

static wg_err call_info(void)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    return wg_collection_info_get(collection, &info);
}

static wg_err run_search(size_t query_count, size_t k, unsigned with)
{
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = vectors, params.query_count = query_count, params.dim = DIM;
    params.k = k;
    params.with = with;
    return wg_searcher_run(searcher, &params);
}

static wg_err call_searcher_create(void)
{
    wg_searcher *made = NULL;
    wg_err err = wg_searcher_create(collection, &made);
    wg_searcher_destroy(&made);
    return err;
}

static wg_err call_search(void)
{
    return run_search(QUERIES, K, WG_WITH_VECTOR | WG_WITH_PAYLOAD);
}

static wg_err call_next(void)
{
    wg_next_params params;
    wg_next_params_init(&params);
    params.count = 200;
    wg_err err = run_search(1, K, WG_WITH_VECTOR | WG_WITH_PAYLOAD);
    return err == WG_OK ? wg_searcher_next(searcher, &params) : err;
}

/* --- making each allocation fail --- */

enum needs { NOTHING_OPEN, AN_OPEN_COLLECTION };

static const struct {
    const char *name;
    wg_err (*call)(void);
    enum needs needs;
    void (*prepare)(void);
} calls[] = {
    { "context create", call_context_create, NOTHING_OPEN, NULL },
    { "cancel create", call_cancel_create, NOTHING_OPEN, NULL },
    { "knn", call_knn, NOTHING_OPEN, NULL },
    { "kmeans", call_kmeans, NOTHING_OPEN, NULL },
    { "store create", call_store_create, NOTHING_OPEN, NULL },
    { "store open", call_store_open, NOTHING_OPEN, NULL },
    { "verify", call_verify, NOTHING_OPEN, NULL },
    { "collection create", call_collection_create, AN_OPEN_COLLECTION, NULL },
    { "collection drop", call_collection_drop, AN_OPEN_COLLECTION, make_victim },
    { "list", call_list, AN_OPEN_COLLECTION, NULL },
    { "collection open again", call_collection_open, AN_OPEN_COLLECTION, NULL },
    { "upsert", call_upsert, AN_OPEN_COLLECTION, NULL },
    { "delete", call_delete, AN_OPEN_COLLECTION, refill },
    { "set payload", call_set_payload, AN_OPEN_COLLECTION, refill },
    { "clear payload", call_clear_payload, AN_OPEN_COLLECTION, NULL },
    { "clear", call_clear, AN_OPEN_COLLECTION, refill },
    { "get", call_get, AN_OPEN_COLLECTION, refill },
    { "scroll", call_scroll, AN_OPEN_COLLECTION, NULL },
    { "info", call_info, AN_OPEN_COLLECTION, NULL },
    { "searcher create", call_searcher_create, AN_OPEN_COLLECTION, NULL },
    { "search", call_search, AN_OPEN_COLLECTION, NULL },
    { "next hits", call_next, AN_OPEN_COLLECTION, NULL },
};

static void open_all(void)
{
    if (!context) context = test_context(NULL, 2);
    assert_ok(wg_store_open(context, path, NULL, &store));
    assert_ok(wg_collection_open(store, "c", &collection));
    assert_ok(wg_searcher_create(collection, &searcher));
}

static void close_all(void)
{
    wg_searcher_destroy(&searcher);
    wg_collection_close(&collection);
    wg_store_close(&store);
}

/* Whether the failure asked for is still to come; it is called off. */
static bool failure_is_left(uint64_t request)
{
    for (uint64_t i = 0; i < request; i++) {
        char *probe = NULL;
        wg_err err = mem_resize(&probe, 1);
        mem_free(&probe);
        if (err) return true;
    }
    mem_fail_at(0);
    return false;
}

/* One failing request; false when the call makes fewer. */
static bool fail_one(size_t c, uint64_t request, size_t *tolerated)
{
    size_t start = mem_in_use();
    if (calls[c].call != call_context_create) context = test_context(NULL, 2);
    if (calls[c].needs == AN_OPEN_COLLECTION) open_all();
    if (calls[c].prepare) calls[c].prepare();
    uint64_t before = collection ? content_fingerprint(collection) : 0;
    mem_fail_at(request);
    wg_err err = calls[c].call();
    char message[512];
    snprintf(message, sizeof message, "%s", err ? wg_message() : "");
    bool left = failure_is_left(request);
    if (err && err != WG_ENOMEM)
        fail_msg("%s, allocation %" PRIu64 " failed: %s: %s", calls[c].name, request,
                 wg_err_name(err), message);
    if (left && err) fail_msg("%s: WG_ENOMEM without a failed allocation", calls[c].name);
    if (err && !strstr(message, "memory"))
        fail_msg("%s: the message says nothing of memory: %s", calls[c].name, message);
    *tolerated += !left && !err;
    if (err && collection && content_fingerprint(collection) != before)
        fail_msg("%s, allocation %" PRIu64 " failed: the content changed", calls[c].name, request);
    if (err) assert_ok(calls[c].call());
    close_all();
    wg_context_destroy(&context);
    if (mem_in_use() != start)
        fail_msg("%s, allocation %" PRIu64 ": %zu allocations left when all is closed",
                 calls[c].name, request, mem_in_use() - start);
    return !left;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        uint64_t request = 1;
        size_t tolerated = 0;
        while (fail_one(c, request, &tolerated) && request < REQUESTS_MAX) request++;
        assert_true(request < REQUESTS_MAX);
        printf("%s: %" PRIu64 " allocations made to fail, %zu of them not needed\n", calls[c].name,
               request - 1, tolerated);
    }
    context = test_context(NULL, 2);
    assert_int_equal(content_problems(context, path), 0);
    wg_context_destroy(&context);
}

/* --- a warmed search allocates nothing --- */

/* The third search has the rows coded, in the background, and those codes kept. */
static void await_codes(void)
{
    wg_collection_info info;
    do {
        wg_collection_info_init(&info);
        assert_ok(wg_collection_info_get(collection, &info));
    } while (info.coded_row_count + 1024 <= info.row_count ||
             2 * info.code_file_bytes <= info.code_bytes);
}

static void check_warmed(size_t query_count, size_t k, unsigned with)
{
    enum { WARM = 3, SEARCHES = 100 };
    for (size_t i = 0; i < WARM; i++) assert_ok(run_search(query_count, k, with));
    await_codes();
    for (size_t i = 0; i < WARM; i++) assert_ok(run_search(query_count, k, with));
    size_t in_use = mem_in_use(), failed = 0;
    mem_fail_at(1);
    malloc_calls = 0;
    watching = true;
    for (size_t i = 0; i < SEARCHES; i++) failed += run_search(query_count, k, with) != WG_OK;
    watching = false;
    bool asked = !failure_is_left(1);
    if (failed > 0 || asked || malloc_calls > 0 || mem_in_use() != in_use)
        fail_msg("%zu queries, k %zu, with %u: a warmed search allocates (%zu of %d failed, malloc "
                 "was called %zu times)",
                 query_count, k, with, failed, SEARCHES, (size_t)malloc_calls);
}

static void test_a_warmed_search_allocates_nothing(void **state)
{
    (void)state;
    open_all();
    refill();
    check_warmed(1, 1, 0);
    check_warmed(1, K, 0);
    check_warmed(QUERIES, K, 0);
    check_warmed(COUNT, 100, 0);
    check_warmed(1, K, 0); /* after larger ones */
    check_warmed(QUERIES, K, WG_WITH_VECTOR);
    close_all();
    wg_context_destroy(&context);
}

static void test_a_warmed_search_with_payloads(void **state)
{
    (void)state;
    open_all();
    refill();
    check_warmed(1, K, WG_WITH_PAYLOAD);
    check_warmed(QUERIES, K, WG_WITH_VECTOR | WG_WITH_PAYLOAD);
    close_all();
    wg_context_destroy(&context);
}

/* The two watches see what they are for. */
static void test_the_watch_sees(void **state)
{
    (void)state;
    malloc_calls = 0;
    watching = true;
    char *volatile taken = malloc(10);
    free(taken);
    watching = false;
    assert_true(!SEES_MALLOC || malloc_calls == 1);
    char *p = NULL;
    mem_fail_at(2);
    assert_ok(mem_resize(&p, 1));
    assert_int_equal(mem_resize(&p, 2), WG_ENOMEM);
    assert_ok(mem_resize(&p, 3));
    mem_free(&p);
}

static int setup(void **state)
{
    (void)state;
    prng.state = test_seed();
    for (size_t i = 0; i < COUNT; i++) wg_id_from_number(i * 3, &ids[i]);
    data_fill(&prng, DATA_UNIT, COUNT, DIM, vectors);
    context = test_context(NULL, 2);
    const char *folder = scratch_create();
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(fresh_path, sizeof fresh_path, "%s/f", folder);
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(wg_collection_create(store, "c", &params));
    must_ok(wg_collection_open(store, "c", &collection));
    must_ok(call_upsert());
    close_all();
    wg_context_destroy(&context);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wg_context_destroy(&context);
    printf("allocations at the end: %zu\n", mem_in_use());
    return mem_in_use() != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_watch_sees),
        cmocka_unit_test(test_every_allocation_fails_once),
        cmocka_unit_test(test_a_warmed_search_allocates_nothing),
        cmocka_unit_test(test_a_warmed_search_with_payloads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
