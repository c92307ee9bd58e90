/* A writing process is killed with SIGKILL at a random moment, round after round in one store.
 * After each kill, verify finds nothing; all that was acknowledged is there; and the batch in
 * flight is there whole or not at all. The writer's batches follow from a seed, so that this
 * process, which knows how many were acknowledged, knows what must be there. Usage: kill_test
 * [rounds]. */
#include "support/check.h"
#include "support/content.h"
#include "support/model.h"
#include "support/scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100, BATCH_MAX = 120, MOMENT_MAX_US = 30000 };

static char path[SCRATCH_PATH_SIZE + 8];
static struct model model;
static uint64_t acknowledged_count, in_flight_count;

/* Writes until it is killed, through the pipe one byte when the collection is open and one for each
 * acknowledged batch. */
static _Noreturn void write_until_killed(uint64_t seed, int acknowledge)
{
    struct prng prng = { seed };
    struct model_op op;
    size_t touched;
    wg_context *context = test_context(NULL, 1);
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(wg_collection_open(store, "killed", &collection));
    must(write(acknowledge, "o", 1) == 1, "cannot say that the collection is open");
    for (;;) {
        model_op_make(&prng, BATCH_MAX, &op);
        must_ok(model_op_run(&op, collection, &touched));
        must(write(acknowledge, "a", 1) == 1, "cannot acknowledge");
    }
}

static void wait_us(uint64_t us)
{
    struct timespec moment = { .tv_sec = (time_t)(us / 1000000),
                               .tv_nsec = (long)(us % 1000000 * 1000) };
    while (nanosleep(&moment, &moment) != 0 && errno == EINTR);
}

/* Returns how many batches the child acknowledged before it died. Every other moment counts from
 * the child's beginning, so that opening is hit too, the others from the open collection. */
static size_t run_and_kill(uint64_t seed, uint64_t moment_us)
{
    char opened = 0;
    int ends[2];
    must(pipe(ends) == 0, "no pipe");
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "no child");
    if (child == 0) {
        close(ends[0]);
        write_until_killed(seed, ends[1]);
    }
    close(ends[1]);
    if (seed % 2) must(read(ends[0], &opened, 1) == 1, "the writer did not begin");
    wait_us(moment_us);
    must(kill(child, SIGKILL) == 0, "cannot kill %d", (int)child);
    int status;
    must(waitpid(child, &status, 0) == child, "cannot wait for %d", (int)child);
    must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the writer ended by itself: %#x",
         (unsigned)status);
    size_t count = 0;
    char bytes[4096];
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;) count += (size_t)got;
    close(ends[0]);
    return count > 0 && !opened ? count - 1 : count;
}

/* Brings the model to what the store holds: the acknowledged batches, or those and one more. */
static void check_after_kill(uint64_t round, uint64_t seed, size_t acknowledged)
{
    struct prng prng = { seed };
    struct model_op op;
    char why[MODEL_WHY_SIZE], why_next[MODEL_WHY_SIZE];
    for (size_t i = 0; i < acknowledged; i++) {
        model_op_make(&prng, BATCH_MAX, &op);
        model_apply(&model, &op);
    }
    wg_context *context = test_context(NULL, 1);
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    must(content_problems(context, path) == 0, "after the kill of round %" PRIu64, round);
    must_ok(wg_store_open(context, path, NULL, &store));
    must_ok(wg_collection_open(store, "killed", &collection));
    if (!model_equals(&model, collection, why)) {
        model_op_make(&prng, BATCH_MAX, &op);
        model_apply(&model, &op);
        in_flight_count++;
        must(model_equals(&model, collection, why_next),
             "round %" PRIu64 ", %zu batches acknowledged: %s; and with the one in flight: %s",
             round, acknowledged, why, why_next);
    }
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

static void create_store(void)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM;
    params.metric = model.metric;
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
    create_store();
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t seed = prng_next(&prng), moment = prng_next(&prng) % MOMENT_MAX_US;
        size_t acknowledged = run_and_kill(seed, moment);
        check_after_kill(round, seed, acknowledged);
        acknowledged_count += acknowledged;
    }
    printf("%" PRIu64 " kills, %" PRIu64 " batches acknowledged, none lost; %" PRIu64
           " batches in flight were there, whole\n",
           rounds, acknowledged_count, in_flight_count);
    return rounds > 0 && acknowledged_count == 0;
}
