/* callers STORE DIM ROWS.npy QUERIES.npy: many threads that search one collection, one query at
 * a time, each as fast as it can.
 *
 * Each line of standard input is a number of threads, a way and a number of milliseconds.
 * "gathered" is wg_searcher_run. "apart" is the search inside the library, of which every thread
 * does its own, as if nobody else was there. "batch" is one thread that asks as many queries at
 * once as there were threads. The answer is a line of JSON: queries in a second, and the
 * percentiles of a call, in seconds. */
#include "api/store.h"
#include "base/mem.h"
#include "bench/npy.h"
#include "bench/subject.h"
#include "kernel/fpenv.h"
#include "os/machine.h"
#include "os/thread.h"
#include "search/search.h"
#include "waggle/search.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { K = 10, THREADS_MAX = 256, CALLS_MAX = 1 << 20, BATCH_ROWS = 20000 };

struct callers {
    struct subject subject;
    size_t dim, row_count, query_count;
    struct npy rows, queries;
    struct collection *collection; /* entered */
    double *times; /* CALLS_MAX */
    atomic_size_t call_count;
    uint64_t end_ns;
    size_t batch; /* queries of a call */
    bool apart;
    atomic_bool failed;
};

/* A thread, and what it searches with. */
struct caller {
    struct callers *callers;
    struct thread thread;
    size_t next; /* query */
    wg_searcher *searcher;
    struct search *search;
};

static const float *next_queries(struct caller *caller)
{
    const struct callers *all = caller->callers;
    size_t first = caller->next;
    if (first + all->batch > all->query_count) first = 0;
    caller->next = first + all->batch;
    return all->queries.values + first * all->dim;
}

static wg_err search_gathered(struct caller *caller)
{
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = next_queries(caller);
    params.query_count = caller->callers->batch;
    params.dim = caller->callers->dim;
    params.k = K;
    return wg_searcher_run(caller->searcher, &params);
}

static wg_err search_apart(struct caller *caller)
{
    struct view *view = collection_view(caller->callers->collection);
    struct search_answer answer;
    struct search_request request = {
        .source = &view->source,
        .metric = METRIC_L2,
        .queries = next_queries(caller),
        .query_count = 1,
        .k = K,
    };
    struct fp_env env = fp_env_enter();
    wg_err err = search_run(caller->search, &request, &answer);
    fp_env_leave(env);
    view_release(&view);
    return err;
}

static void call_on(void *arg)
{
    struct caller *caller = arg;
    struct callers *all = caller->callers;
    wg_err err = WG_OK;
    while (err == WG_OK && clock_ns() < all->end_ns) {
        uint64_t begun = clock_ns();
        err = all->apart ? search_apart(caller) : search_gathered(caller);
        size_t at = atomic_fetch_add(&all->call_count, 1);
        if (at < CALLS_MAX) all->times[at] = (double)(clock_ns() - begun) * 1e-9;
    }
    if (err != WG_OK) fprintf(stderr, "callers: %s\n", wg_message());
    if (err != WG_OK) all->failed = true;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The nearest rank. */
static double percentile(const double *sorted, size_t count, size_t percent)
{
    size_t rank = (count * percent + 99) / 100;
    return sorted[rank > 0 ? rank - 1 : 0];
}

static void answer(struct callers *all, double seconds)
{
    size_t count = all->call_count < CALLS_MAX ? all->call_count : CALLS_MAX;
    qsort(all->times, count, sizeof *all->times, compare);
    printf("{\"seconds\": %.6f, \"rate\": %.3f, \"p50\": %.9f, \"p99\": %.9f}\n", seconds,
           (double)(all->call_count * all->batch) / seconds, percentile(all->times, count, 50),
           percentile(all->times, count, 99));
    fflush(stdout);
}

static wg_err run(struct callers *all, size_t thread_count, uint64_t milliseconds)
{
    wg_err err = WG_OK;
    static struct caller callers[THREADS_MAX];
    size_t started = 0;
    uint64_t begun = clock_ns();
    all->call_count = 0;
    for (size_t i = 0; i < thread_count; i++) {
        callers[i] = (struct caller){ .callers = all, .next = i * all->query_count / thread_count };
        TRY(wg_searcher_create(all->subject.collection, &callers[i].searcher));
        TRY(search_create(all->subject.context->devices, &callers[i].search));
    }
    begun = clock_ns();
    all->end_ns = begun + milliseconds * 1000000;
    for (; started < thread_count; started++)
        TRY(thread_start(call_on, &callers[started], &callers[started].thread));
out:
    for (size_t i = 0; i < started; i++) thread_join(&callers[i].thread);
    if (err == WG_OK && !all->failed) answer(all, (double)(clock_ns() - begun) * 1e-9);
    for (size_t i = 0; i < thread_count; i++) {
        wg_searcher_destroy(&callers[i].searcher);
        search_destroy(&callers[i].search);
    }
    return all->failed ? WG_EIO : err;
}

static wg_err serve(struct callers *all)
{
    wg_err err = WG_OK;
    unsigned threads, milliseconds;
    char way[16];
    while (scanf("%u %15s %u", &threads, way, &milliseconds) == 3) {
        bool batch = strcmp(way, "batch") == 0;
        if (threads < 1 || threads > THREADS_MAX) TRY(wg_fail(WG_EINVAL, "%u threads", threads));
        all->apart = strcmp(way, "apart") == 0;
        all->batch = batch ? threads : 1;
        if (all->batch > all->query_count) all->batch = all->query_count;
        TRY(run(all, batch ? 1 : threads, milliseconds));
    }
out:
    return err;
}

static wg_err fill(struct callers *all)
{
    wg_err err = WG_OK;
    wg_id *ids = NULL;
    TRY(mem_resize(&ids, BATCH_ROWS));
    for (uint64_t first = 0; first < all->row_count; first += BATCH_ROWS) {
        wg_batch batch;
        wg_batch_init(&batch);
        uint64_t left = all->row_count - first;
        batch.count = left < BATCH_ROWS ? (size_t)left : BATCH_ROWS;
        batch.vectors = all->rows.values + first * all->dim;
        TRY(subject_upsert(&all->subject, all->dim, first, &batch, ids));
    }
out:
    mem_free(&ids);
    return err;
}

/* The third search begins to code the rows, in the background. */
static wg_err await_codes(struct callers *all)
{
    wg_err err = WG_OK;
    wg_collection_info info;
    struct caller caller = { .callers = all };
    all->batch = 1;
    TRY(wg_searcher_create(all->subject.collection, &caller.searcher));
    do {
        TRY(search_gathered(&caller));
        wait_ms(20);
        wg_collection_info_init(&info);
        TRY(wg_collection_info_get(all->subject.collection, &info));
    } while (info.coded_row_count + 1024 <= info.row_count);
out:
    wg_searcher_destroy(&caller.searcher);
    return err;
}

static wg_err callers_open(struct callers *all, char **arguments)
{
    wg_err err = WG_OK;
    all->dim = strtoull(arguments[2], NULL, 10);
    TRY(npy_open(arguments[3], &all->rows));
    TRY(npy_open(arguments[4], &all->queries));
    all->row_count = all->rows.count / all->dim;
    all->query_count = all->queries.count / all->dim;
    TRY(mem_resize(&all->times, CALLS_MAX));
    TRY(subject_open(arguments[1], all->dim, 0, &all->subject));
    TRY(fill(all));
    TRY(await_codes(all));
    TRY(member_enter(all->subject.collection->member, &all->collection));
out:
    return err;
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    static struct callers callers;
    if (argument_count != 5) {
        fprintf(stderr, "usage: callers STORE DIM ROWS.npy QUERIES.npy\n");
        return 2;
    }
    TRY(callers_open(&callers, arguments));
    TRY(serve(&callers));
out:
    if (err != WG_OK) fprintf(stderr, "callers: %s\n", wg_message());
    if (callers.collection) member_leave(callers.subject.collection->member);
    subject_close(&callers.subject);
    mem_free(&callers.times);
    npy_close(&callers.queries);
    npy_close(&callers.rows);
    return err == WG_OK ? 0 : 1;
}
