/* hits STORE DIM ROWS.npy QUERIES.npy: what it costs to return ids. The rows are searched twice: as
 * a collection, by wg_searcher_run, with the ids of its ten hits read; and bare, by the search
 * inside the library over the same rows in an array, which finds row numbers. The difference is all
 * that a collection adds: checks, the view, ids, the report.
 *
 * Each line of standard input is "whole" or "bare", "warm" or "cold", and a number of searches; the
 * answer is a line of JSON: the seconds that they took, and of these the seconds that the thread
 * waited for its core. Cold: other memory was read before each search, outside of the time. */
#include "api/context.h"
#include "base/mem.h"
#include "bench/npy.h"
#include "bench/subject.h"
#include "bench/waited.h"
#include "kernel/fpenv.h"
#include "os/machine.h"
#include "search/search.h"
#include "waggle/search.h"

#include <stdlib.h>
#include <string.h>

enum { K = 10, EVICT_BYTES = 128 << 20, LINE_SIZE = 64 };

struct both {
    size_t dim;
    struct npy rows, queries;
    size_t query_count, next_query;
    struct subject subject;
    wg_searcher *searcher;
    struct search *search;
    struct source source;
    char *other_memory;
    uint64_t sum; /* of what was found, so that it is read; and of other memory */
};

static const float *next_query(struct both *both)
{
    return both->queries.values + both->next_query++ % both->query_count * both->dim;
}

static wg_err search_whole(struct both *both, uint64_t found[K])
{
    wg_err err = WG_OK;
    size_t count;
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = next_query(both);
    params.query_count = 1;
    params.dim = both->dim;
    params.k = K;
    TRY(wg_searcher_run(both->searcher, &params));
    const wg_hit *hits = wg_searcher_hits(both->searcher, 0, &count);
    for (size_t i = 0; i < count; i++) found[i] = hits[i].id.as.number;
out:
    return err;
}

static wg_err search_bare(struct both *both, uint64_t found[K])
{
    wg_err err = WG_OK;
    struct search_answer answer;
    struct search_request request = {
        .source = &both->source,
        .metric = METRIC_L2,
        .queries = next_query(both),
        .query_count = 1,
        .k = K,
    };
    TRY(search_run(both->search, &request, &answer));
    for (size_t i = 0; i < answer.k; i++) found[i] = answer.rows[i];
out:
    return err;
}

/* Every cache is full of something else afterwards. */
static void read_other_memory(struct both *both)
{
    for (size_t i = 0; i < EVICT_BYTES; i += LINE_SIZE)
        both->sum += (uint64_t)both->other_memory[i]++;
}

static wg_err run(struct both *both, bool whole, bool cold, unsigned count)
{
    wg_err err = WG_OK;
    uint64_t found[K] = { 0 }, begun = clock_ns(), other = 0;
    double waited = waited_seconds();
    for (; count > 0; count--) {
        if (cold) {
            uint64_t stopped = clock_ns();
            read_other_memory(both);
            other += clock_ns() - stopped;
        }
        TRY(whole ? search_whole(both, found) : search_bare(both, found));
        for (size_t i = 0; i < K; i++) both->sum += found[i];
    }
    double seconds = (double)(clock_ns() - begun - other) * 1e-9;
    printf("{\"seconds\": %.9f, \"waited\": %.9f, \"sum\": %llu}\n", seconds,
           cold ? 0 : waited_seconds() - waited, (unsigned long long)both->sum);
    fflush(stdout);
out:
    return err;
}

static wg_err serve(struct both *both)
{
    wg_err err = WG_OK;
    char way[8], state[8];
    unsigned count;
    struct fp_env env = fp_env_enter(); /* as the API does in each call */
    while (scanf("%7s %7s %u", way, state, &count) == 3)
        TRY(run(both, strcmp(way, "whole") == 0, strcmp(state, "cold") == 0, count));
out:
    fp_env_leave(env);
    return err;
}

/* Ids are row numbers: both ways have to find the same. */
static wg_err compare(struct both *both)
{
    wg_err err = WG_OK;
    uint64_t whole[K] = { 0 }, bare[K] = { 0 };
    for (size_t q = 0; q < both->query_count; q++) {
        both->next_query = q;
        TRY(search_whole(both, whole));
        both->next_query = q;
        TRY(search_bare(both, bare));
        if (memcmp(whole, bare, sizeof whole) != 0)
            TRY(wg_fail(WG_ECORRUPT, "query %zu: two ways find different rows", q));
    }
out:
    return err;
}

static wg_err fill(struct both *both)
{
    wg_err err = WG_OK;
    wg_id *ids = NULL;
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = both->rows.count / both->dim;
    batch.vectors = both->rows.values;
    TRY(mem_resize(&ids, batch.count));
    TRY(subject_upsert(&both->subject, both->dim, 0, &batch, ids));
    TRY(wg_searcher_create(both->subject.collection, &both->searcher));
    struct device_set *devices = both->subject.context->devices;
    TRY(search_create(devices, &both->search));
    TRY(source_init(device_set_cpu(devices), ROW_F32, both->dim, &both->source));
    TRY(source_append(&both->source, &(struct row_batch){ both->rows.values, batch.count, NULL }));
    TRY(mem_resize(&both->other_memory, EVICT_BYTES));
    memset(both->other_memory, 1, EVICT_BYTES);
out:
    mem_free(&ids);
    return err;
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct both both = { 0 };
    if (argument_count != 5) {
        fprintf(stderr, "usage: hits STORE DIM ROWS.npy QUERIES.npy\n");
        return 2;
    }
    both.dim = strtoull(arguments[2], NULL, 10);
    TRY(npy_open(arguments[3], &both.rows));
    TRY(npy_open(arguments[4], &both.queries));
    both.query_count = both.queries.count / both.dim;
    TRY(subject_open(arguments[1], both.dim, 1, &both.subject));
    TRY(fill(&both));
    TRY(compare(&both));
    TRY(serve(&both));
out:
    if (err != WG_OK) fprintf(stderr, "hits: %s\n", wg_message());
    mem_free(&both.other_memory);
    source_fini(&both.source);
    search_destroy(&both.search);
    wg_searcher_destroy(&both.searcher);
    subject_close(&both.subject);
    npy_close(&both.queries);
    npy_close(&both.rows);
    return err == WG_OK ? 0 : 1;
}
