/* beside STORE DIM ROWS.npy QUERIES.npy CPU CPU: how long searches take while another thread
 * writes. Searches run on the first processor, everything else on the second.
 *
 * Each line of standard input is a number of milliseconds, a number of points and one of
 * microseconds. The collection is made anew with all rows; then one thread searches for so long,
 * one query at a time, while the other upserts points that are there, so many in each durable call,
 * as fast as it can; 0: nothing is written. As many points live at the end as at the beginning.
 * Microseconds above 0: the other thread does not know of the collection; once in so long it writes
 * and syncs as many bytes to a file, and is busy in between. That shows what the machine does to a
 * thread beside such a load. The answer is a line of JSON, its percentiles those of single
 * searches, in seconds. */
#include "base/mem.h"
#include "bench/npy.h"
#include "bench/subject.h"
#include "bench/waited.h"
#include "os/file.h"
#include "os/machine.h"
#include "os/thread.h"
#include "waggle/search.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SEARCHES_MAX = 1 << 20, K = 10 };

struct bench {
    struct subject subject;
    size_t dim, row_count, query_count;
    struct npy rows, queries;
    int search_cpu, write_cpu;
    wg_id *ids;                 /* row_count */
    double *times; /* SEARCHES_MAX */
    double waited; /* by the searching thread for its processor, in seconds */
    size_t search_count;
    uint64_t rows_searched; /* by the latest search, dead ones included */
    uint64_t end_ns;
    size_t batch_count;
    uint64_t plain_ns; /* 0: the other thread upserts */
    char *plain_path;
    uint64_t written; /* points */
    atomic_bool done, failed;
};

static bool pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static void fail(struct bench *b)
{
    fprintf(stderr, "beside: %s\n", wg_message());
    b->failed = true;
}

static wg_err upsert(struct bench *b, uint64_t first, size_t count)
{
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = count;
    batch.vectors = b->rows.values + first * b->dim;
    return subject_upsert(&b->subject, b->dim, first, &batch, b->ids);
}

static void write_points(void *arg)
{
    struct bench *b = arg;
    uint64_t batches = b->row_count / b->batch_count;
    for (uint64_t i = 0; !b->done && !b->failed; i++) {
        if (upsert(b, i % batches * b->batch_count, b->batch_count) != WG_OK) fail(b);
        b->written += b->batch_count;
    }
}

static wg_err write_file(struct bench *b)
{
    wg_err err = WG_OK;
    struct file file = { 0 };
    size_t size = b->batch_count * b->dim * sizeof(float);
    uint64_t due = clock_ns(), offset = 0, file_size = b->row_count * b->dim * sizeof(float);
    TRY(file_open(b->plain_path, FILE_CREATE, &file));
    while (!b->done) {
        if (clock_ns() < due) continue;
        due += b->plain_ns;
        TRY(file_write_at(&file, b->rows.values, size, offset));
        TRY(file_sync(&file));
        offset = offset + 2 * size <= file_size ? offset + size : 0;
        b->written += b->batch_count;
    }
out:
    file_close(&file);
    return err;
}

static void write_plain(void *arg)
{
    struct bench *b = arg;
    if (write_file(b) != WG_OK) fail(b);
    file_discard(b->plain_path);
}

static wg_err search_once(struct bench *b, wg_searcher *searcher)
{
    wg_err err = WG_OK;
    wg_search_params params;
    wg_search_report report;
    wg_search_params_init(&params);
    wg_search_report_init(&report);
    params.queries = b->queries.values + b->search_count % b->query_count * b->dim;
    params.query_count = 1;
    params.dim = b->dim;
    params.k = K;
    uint64_t begun = clock_ns();
    TRY(wg_searcher_run(searcher, &params));
    b->times[b->search_count++] = (double)(clock_ns() - begun) * 1e-9;
    TRY(wg_searcher_report(searcher, &report));
    b->rows_searched = report.row_count;
out:
    return err;
}

static void search(void *arg)
{
    struct bench *b = arg;
    wg_searcher *searcher = NULL;
    wg_err err = pin(b->search_cpu) ? WG_OK : wg_fail(WG_EIO, "processor %d: no", b->search_cpu);
    if (err == WG_OK) err = wg_searcher_create(b->subject.collection, &searcher);
    double waited = waited_seconds();
    while (err == WG_OK && b->search_count < SEARCHES_MAX && clock_ns() < b->end_ns)
        err = search_once(b, searcher);
    if (err != WG_OK) fail(b);
    b->done = true;
    b->waited = waited_seconds() - waited;
    wg_searcher_destroy(&searcher);
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

static void answer(struct bench *b, double seconds)
{
    size_t count = b->search_count;
    qsort(b->times, count, sizeof *b->times, compare);
    printf("{\"seconds\": %.6f, \"waited\": %.6f, \"searches\": %zu, \"p50\": %.9f, \"p99\": %.9f, "
           "\"written\": %llu, \"rows\": %llu}\n",
           seconds, b->waited, count, percentile(b->times, count, 50),
           percentile(b->times, count, 99), (unsigned long long)b->written,
           (unsigned long long)b->rows_searched);
    fflush(stdout);
}

static wg_err run(struct bench *b, uint64_t milliseconds)
{
    wg_err err = WG_OK;
    struct thread searcher, writer;
    TRY(subject_renew(&b->subject, b->dim));
    TRY(upsert(b, 0, b->row_count));
    b->search_count = 0;
    b->written = 0;
    b->done = false;
    uint64_t begun = clock_ns();
    b->end_ns = begun + milliseconds * 1000000;
    TRY(thread_start(search, b, &searcher));
    if (b->batch_count > 0 &&
        thread_start(b->plain_ns > 0 ? write_plain : write_points, b, &writer) != WG_OK)
        exit(1);
    thread_join(&searcher);
    double seconds = (double)(clock_ns() - begun) * 1e-9;
    if (b->batch_count > 0) thread_join(&writer);
    if (b->failed) return WG_EIO;
    answer(b, seconds);
out:
    return err;
}

static wg_err serve(struct bench *b)
{
    wg_err err = WG_OK;
    unsigned long long milliseconds, points, microseconds;
    while (scanf("%llu %llu %llu", &milliseconds, &points, &microseconds) == 3) {
        b->plain_ns = microseconds * 1000;
        b->batch_count = points < b->row_count ? points : b->row_count;
        TRY(run(b, milliseconds));
    }
out:
    return err;
}

static wg_err bench_open(struct bench *b, char **arguments)
{
    wg_err err = WG_OK;
    b->dim = strtoull(arguments[2], NULL, 10);
    b->search_cpu = atoi(arguments[5]);
    b->write_cpu = atoi(arguments[6]);
    /* Threads that the library starts are where this one is. */
    if (!pin(b->write_cpu)) TRY(wg_fail(WG_EIO, "processor %d: no", b->write_cpu));
    TRY(path_join(arguments[1], "plain", &b->plain_path));
    TRY(npy_open(arguments[3], &b->rows));
    TRY(npy_open(arguments[4], &b->queries));
    b->row_count = b->rows.count / b->dim;
    b->query_count = b->queries.count / b->dim;
    TRY(mem_resize(&b->ids, b->row_count));
    TRY(mem_resize(&b->times, SEARCHES_MAX));
    TRY(subject_open(arguments[1], b->dim, 1, &b->subject));
out:
    return err;
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    static struct bench bench;
    if (argument_count != 7) {
        fprintf(stderr, "usage: beside STORE DIM ROWS.npy QUERIES.npy CPU CPU\n");
        return 2;
    }
    TRY(bench_open(&bench, arguments));
    TRY(serve(&bench));
out:
    if (err != WG_OK) fprintf(stderr, "beside: %s\n", wg_message());
    subject_close(&bench.subject);
    mem_free(&bench.ids);
    mem_free(&bench.times);
    mem_free(&bench.plain_path);
    npy_close(&bench.queries);
    npy_close(&bench.rows);
    return err == WG_OK ? 0 : 1;
}
