/* masked plain|coded DIM FILE.npy: what a scan takes when few rows are live.
 *
 * Each line of standard input is "scattered" or "clustered" (one run of rows), how many of a
 * million rows are live, a number of queries, and one of searches. The answer is a line of JSON:
 * the processor's seconds of a search on one thread, and those of one without a mask, in turns. */
#include "api/context.h"
#include "base/mem.h"
#include "base/prng.h"
#include "bench/npy.h"
#include "kernel/fpenv.h"
#include "os/machine.h"
#include "quant/encode.h"
#include "search/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { K = 10, QUERIES_MAX = 1024 };

struct masked {
    size_t dim;
    uint64_t row_count;
    struct npy rows;
    wg_context *context;
    struct code_cell codes;
    struct search *search;
    struct source whole;
};

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static wg_err make_source(struct masked *m, const struct bitmap *live, struct source *out)
{
    wg_err err = WG_OK;
    struct row_batch batch = { m->rows.values, (size_t)m->row_count, &m->codes };
    TRY(source_init(device_set_cpu(m->context->devices), ROW_F32, m->dim, out));
    TRY(source_append(out, &batch));
    if (live) TRY(source_set_live(out, live));
out:
    return err;
}

static wg_err make_live(const struct masked *m, bool scattered, uint64_t per_million,
                        struct bitmap *out)
{
    wg_err err = WG_OK;
    struct prng prng = { 5 };
    uint64_t live_count = m->row_count * per_million / 1000000, first = m->row_count / 3;
    TRY(bitmap_resize(out, m->row_count));
    for (uint64_t r = 0; r < m->row_count; r++) {
        bool live = scattered ? prng_next(&prng) % 1000000 < per_million
                              : (r + m->row_count - first) % m->row_count < live_count;
        if (!live) TRY(bitmap_clear(out, r));
    }
out:
    return err;
}

/* Queries are rows: what is nearest is near. */
static wg_err search(struct masked *m, const struct source *source, size_t query_count,
                     double *seconds)
{
    struct search_answer answer;
    struct search_request request = {
        .source = source,
        .metric = METRIC_L2,
        .queries = m->rows.values + m->row_count / 2 * m->dim,
        .query_count = query_count,
        .k = K,
    };
    double begun = thread_seconds();
    wg_err err = search_run(m->search, &request, &answer);
    *seconds += thread_seconds() - begun;
    return err;
}

static wg_err run(struct masked *m, const struct bitmap *live, size_t query_count,
                  unsigned search_count)
{
    wg_err err = WG_OK;
    double masked = 0, whole = 0, unused = 0;
    struct source source = { 0 };
    TRY(make_source(m, live, &source));
    TRY(search(m, &source, query_count, &unused));
    for (unsigned i = 0; i < search_count; i++) {
        TRY(search(m, &source, query_count, &masked));
        TRY(search(m, &m->whole, query_count, &whole));
    }
    printf("{\"masked\": %.9f, \"whole\": %.9f}\n", masked / search_count, whole / search_count);
    fflush(stdout);
out:
    source_fini(&source);
    return err;
}

static wg_err serve(struct masked *m)
{
    wg_err err = WG_OK;
    char pattern[16];
    unsigned long per_million, query_count;
    unsigned search_count;
    struct fp_env env = fp_env_enter(); /* as the API does in each call */
    while (scanf("%15s %lu %lu %u", pattern, &per_million, &query_count, &search_count) == 4) {
        struct bitmap live = { 0 };
        if (query_count < 1 || query_count > QUERIES_MAX || query_count > m->row_count / 2)
            TRY(wg_fail(WG_EINVAL, "%lu queries", query_count));
        err = make_live(m, strcmp(pattern, "scattered") == 0, per_million, &live);
        if (err == WG_OK) err = run(m, &live, query_count, search_count);
        bitmap_fini(&live);
        TRY(err);
    }
out:
    fp_env_leave(env);
    return err;
}

static wg_err encode(struct masked *m)
{
    struct codes *codes;
    struct encode_params params = {
        .kernels = device_set_kernels(m->context->devices),
        .metric = METRIC_L2,
        .dim = m->dim,
        .rows = m->rows.values,
        .row_count = m->row_count,
        .capacity = m->row_count,
    };
    wg_err err = codes_create(&params, &codes);
    if (err != WG_OK) return err;
    atomic_store(&m->codes.codes, codes);
    codes_cover(codes, params.kernels, params.rows, params.row_count);
    return WG_OK;
}

static wg_err masked_open(struct masked *m, char **arguments)
{
    wg_err err = WG_OK;
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = 1;
    params.backend = "cpu";
    m->dim = strtoull(arguments[2], NULL, 10);
    if (m->dim < 1) TRY(wg_fail(WG_EINVAL, "DIM is 0"));
    TRY(npy_open(arguments[3], &m->rows));
    m->row_count = m->rows.count / m->dim;
    TRY(wg_context_create(&params, &m->context));
    TRY(search_create(m->context->devices, &m->search));
    if (strcmp(arguments[1], "coded") == 0) TRY(encode(m));
    TRY(make_source(m, NULL, &m->whole));
out:
    return err;
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    static struct masked masked;
    if (argument_count != 4) {
        fprintf(stderr, "usage: masked plain|coded DIM FILE.npy\n");
        return 2;
    }
    TRY(masked_open(&masked, arguments));
    TRY(serve(&masked));
out:
    if (err != WG_OK) fprintf(stderr, "masked: %s\n", wg_message());
    source_fini(&masked.whole);
    search_destroy(&masked.search);
    struct codes *codes = atomic_load(&masked.codes.codes);
    codes_destroy(&codes);
    wg_context_destroy(&masked.context);
    npy_close(&masked.rows);
    return err == WG_OK ? 0 : 1;
}
