/* A process with several writing threads, a searching one and one that compacts is killed with
 * SIGKILL at a random moment, and one that reads beside it too, round after round in one store.
 * After each kill, verify finds nothing; all that was acknowledged is there; and what each writer
 * had in flight is there whole or not at all. Each writer has ids of its own, and its batches
 * follow from a seed, so that this process, which knows how many were acknowledged, knows what must
 * be there. Usage: kill_test [rounds]. */
#include "support/check.h"
#include "support/content.h"
#include "support/model.h"
#include "support/scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100, WRITERS = 3, BATCH_MAX = 120, MOMENT_MAX_US = 30000 };

static char path[SCRATCH_PATH_SIZE + 8];
static struct model model;
static uint64_t acknowledged_count, in_flight_count;

/* The next batch of a writer: of its own ids alone, and never all. */
static void next_op(struct prng *prng, size_t writer, struct model_op *op)
{
    bool seen[MODEL_IDS] = { false };
    size_t count = 0;
    do model_op_make(prng, BATCH_MAX, op);
    while (op->kind == OP_CLEAR);
    for (size_t i = 0; i < op->count; i++) {
        size_t id = op->ids[i] / WRITERS * WRITERS + writer;
        if (id >= MODEL_IDS || seen[id]) continue;
        seen[id] = true;
        op->ids[count] = (uint16_t)id;
        memmove(op->values[count++], op->values[i], sizeof op->values[i]);
    }
    op->count = count;
}

static struct prng writer_prng(uint64_t seed, size_t writer)
{
    struct prng prng = { seed + writer * 1000003 };
    (void)prng_next(&prng);
    return prng;
}

/* What the threads of the child share. */
static wg_collection *collection;
static uint64_t child_seed;
static int acknowledge;

/* Writes until it is killed; through the pipe one byte for each acknowledged batch, which says
 * whose it was. */
static void *write_for_ever(void *arg)
{
    size_t writer = *(size_t *)arg, touched;
    struct prng prng = writer_prng(child_seed, writer);
    struct model_op op;
    char byte = (char)('0' + writer);
    for (;;) {
        next_op(&prng, writer, &op);
        must_ok(model_op_run(&op, collection, &touched));
        must(write(acknowledge, &byte, 1) == 1, "cannot acknowledge");
    }
    return NULL;
}

static void *search_for_ever(void *arg)
{
    (void)arg;
    wg_searcher *searcher = NULL;
    float query[MODEL_DIM] = { 0.5F };
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = query;
    params.query_count = 1;
    params.dim = MODEL_DIM;
    params.with = WG_WITH_PAYLOAD;
    must_ok(wg_searcher_create(collection, &searcher));
    for (;;) must_ok(wg_searcher_run(searcher, &params));
    return NULL;
}

static void *compact_for_ever(void *arg)
{
    (void)arg;
    for (;;) must_ok(wg_collection_compact(collection, NULL));
    return NULL;
}

static void start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, run, arg) == 0, "no thread");
}

static _Noreturn void write_until_killed(uint64_t seed)
{
    static size_t writers[WRITERS];
    wg_context *context = test_context(NULL, 1);
    wg_store *store = NULL;
    child_seed = seed;
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(wg_collection_open(store, "killed", &collection));
    must(write(acknowledge, "o", 1) == 1, "cannot say that the collection is open");
    if (seed % 3 == 0) start(search_for_ever, NULL);
    if (seed % 4 == 0) start(compact_for_ever, NULL);
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = i;
        start(write_for_ever, &writers[i]);
    }
    for (;;) pause();
}

static _Noreturn void read_until_killed(void)
{
    wg_context *context = test_context(NULL, 1);
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = true;
    must_ok(wg_store_open(context, path, &params, &store));
    must_ok(wg_collection_open(store, "killed", &collection));
    search_for_ever(NULL);
    abort();
}

static pid_t start_child(uint64_t seed, bool reads)
{
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "no child");
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
    if (reads) read_until_killed();
    write_until_killed(seed);
}

static void kill_child(pid_t child)
{
    int status;
    must(kill(child, SIGKILL) == 0, "cannot kill %d", (int)child);
    must(waitpid(child, &status, 0) == child, "cannot wait for %d", (int)child);
    must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a child ended by itself: %#x",
         (unsigned)status);
}

static void wait_us(uint64_t us)
{
    struct timespec moment = { .tv_sec = (time_t)(us / 1000000),
                               .tv_nsec = (long)(us % 1000000 * 1000) };
    while (nanosleep(&moment, &moment) != 0 && errno == EINTR);
}

/* How many batches of each writer were acknowledged before the child died. Every other moment
 * counts from the child's beginning, so that opening is hit too, the others from the open
 * collection. */
static void run_and_kill(uint64_t seed, uint64_t moment_us, size_t counts[WRITERS])
{
    char bytes[4096];
    int ends[2];
    must(pipe(ends) == 0, "no pipe");
    acknowledge = ends[1];
    pid_t writer = start_child(seed, false), reader = seed % 5 == 0 ? start_child(seed, true) : 0;
    close(ends[1]);
    if (seed % 2) must(read(ends[0], bytes, 1) == 1, "the writer did not begin");
    wait_us(moment_us);
    kill_child(writer);
    if (reader) kill_child(reader);
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
        for (ssize_t i = 0; i < got; i++)
            if (bytes[i] != 'o') counts[bytes[i] - '0']++;
    close(ends[0]);
}

/* Whether the collection has what the model says of one writer's ids. */
static bool writer_equals(wg_collection *c, size_t writer, char *why)
{
    wg_points *points = NULL;
    wg_id ids[MODEL_IDS] = { 0 };
    size_t count = 0;
    bool equal = true;
    for (size_t id = writer; id < MODEL_IDS; id += WRITERS) ids[count++] = *model_id(id);
    must_ok(wg_collection_get(c, ids, count, WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points));
    for (size_t i = 0; i < count && equal; i++)
        equal = model_has_point(&model, writer + i * WRITERS, wg_points_at(points, i), why);
    wg_points_destroy(&points);
    return equal;
}

/* Brings the model to what the store holds: the acknowledged batches, or those and one more. */
static void check_writer(wg_collection *c, uint64_t seed, size_t writer, size_t acknowledged)
{
    struct prng prng = writer_prng(seed, writer);
    struct model_op op;
    char why[MODEL_WHY_SIZE], why_next[MODEL_WHY_SIZE];
    for (size_t i = 0; i < acknowledged; i++) {
        next_op(&prng, writer, &op);
        model_apply(&model, &op);
    }
    if (writer_equals(c, writer, why)) return;
    next_op(&prng, writer, &op);
    model_apply(&model, &op);
    in_flight_count++;
    must(writer_equals(c, writer, why_next),
         "seed %" PRIu64
         ", writer %zu, %zu batches acknowledged: %s; and with the one in flight: %s",
         seed, writer, acknowledged, why, why_next);
}

static void check_after_kill(uint64_t seed, const size_t counts[WRITERS])
{
    wg_context *context = test_context(NULL, 1);
    wg_store *store = NULL;
    wg_collection *c = NULL;
    must(content_problems(context, path) == 0, "after the kill of seed %" PRIu64, seed);
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(wg_collection_open(store, "killed", &c));
    for (size_t i = 0; i < WRITERS; i++) check_writer(c, seed, i, counts[i]);
    must(wg_collection_count(c) == model_count(&model), "%" PRIu64 " points, expected %zu",
         wg_collection_count(c), model_count(&model));
    wg_collection_close(&c);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

static void create_store(void)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM;
    params.metric = model.metric;
    params.history = 50; /* so that there is something to compact */
    snprintf(path, sizeof path, "%s/s", scratch_create());
    wg_context *context = test_context(NULL, 1);
    wg_store *store = NULL;
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(wg_collection_create(store, "killed", &params));
    wg_store_close(&store);
    wg_context_destroy(&context);
}

int main(int argc, char **argv)
{
    uint64_t rounds =
        argc > 1 ? strtoull(argv[1], NULL, 10) : test_number_from("WAGGLE_KILL_ROUNDS", ROUNDS);
    struct prng prng = { test_seed() };
    model.metric = WG_EUCLIDEAN;
    (void)model_id(0); /* made here, before there are threads */
    /* SIGKILL takes nothing from the page cache: memory does as well, and more is written in it. */
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    create_store();
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t seed = prng_next(&prng), moment = prng_next(&prng) % MOMENT_MAX_US;
        size_t counts[WRITERS] = { 0 };
        run_and_kill(seed, moment, counts);
        check_after_kill(seed, counts);
        for (size_t i = 0; i < WRITERS; i++) acknowledged_count += counts[i];
    }
    printf("%" PRIu64 " kills, %" PRIu64 " batches acknowledged, none lost; %" PRIu64
           " batches in flight were there, whole\n",
           rounds, acknowledged_count, in_flight_count);
    return rounds > 0 && acknowledged_count == 0;
}
