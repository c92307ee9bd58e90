/* writers STORE DIM ROWS.npy: durable upserts of single points by many threads. Each line of
 * standard input is a number of threads and one of points; together they write so many new points,
 * one in each call; the answer is a line of JSON: the seconds until all calls have returned. */
#include "base/mem.h"
#include "bench/npy.h"
#include "bench/subject.h"
#include "os/machine.h"
#include "os/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct work {
    struct subject subject;
    struct npy rows;
    size_t dim;
    atomic_uint_least64_t next; /* the next point's id */
    uint64_t end;               /* of this run */
    pthread_barrier_t begin;
    atomic_bool failed;
};

static void write_points(void *arg)
{
    struct work *work = arg;
    uint64_t row_count = work->rows.count / work->dim, id;
    pthread_barrier_wait(&work->begin);
    while (!work->failed && (id = atomic_fetch_add(&work->next, 1)) < work->end) {
        wg_id one;
        wg_batch batch;
        wg_batch_init(&batch);
        batch.count = 1;
        batch.vectors = work->rows.values + id % row_count * work->dim;
        if (subject_upsert(&work->subject, work->dim, id, &batch, &one) == WG_OK) continue;
        fprintf(stderr, "writers: %s\n", wg_message());
        work->failed = true;
    }
}

static wg_err run(struct work *work, size_t thread_count, uint64_t points, double *seconds)
{
    wg_err err = WG_OK;
    struct thread *threads = NULL;
    size_t started = 0;
    TRY(mem_resize(&threads, thread_count));
    work->end = work->next + points;
    pthread_barrier_init(&work->begin, NULL, (unsigned)thread_count + 1);
    for (; started < thread_count; started++)
        if (thread_start(write_points, work, &threads[started]) != WG_OK) exit(1);
    uint64_t begun = clock_ns();
    pthread_barrier_wait(&work->begin);
    while (started > 0) thread_join(&threads[--started]);
    *seconds = (double)(clock_ns() - begun) * 1e-9;
    pthread_barrier_destroy(&work->begin);
    work->next = work->end; /* each thread took one more */
    if (work->failed) err = WG_EIO;
out:
    mem_free(&threads);
    return err;
}

static wg_err serve(struct work *work)
{
    unsigned threads;
    unsigned long long points;
    wg_err err = WG_OK;
    while (scanf("%u %llu", &threads, &points) == 2) {
        double seconds;
        TRY(run(work, threads, points, &seconds));
        printf("{\"seconds\": %.9f, \"waited\": 0}\n", seconds);
        fflush(stdout);
    }
out:
    return err;
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    static struct work work;
    if (argument_count != 4) {
        fprintf(stderr, "usage: writers STORE DIM ROWS.npy\n");
        return 2;
    }
    work.dim = strtoull(arguments[2], NULL, 10);
    TRY(npy_open(arguments[3], &work.rows));
    TRY(subject_open(arguments[1], work.dim, 1, &work.subject));
    TRY(serve(&work));
out:
    if (err != WG_OK) fprintf(stderr, "writers: %s\n", wg_message());
    subject_close(&work.subject);
    npy_close(&work.rows);
    return err == WG_OK ? 0 : 1;
}
