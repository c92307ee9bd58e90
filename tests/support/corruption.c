#include "support/corruption.h"

#include "support/check.h"
#include "support/model.h"
#include "support/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 64, CHILD_SECONDS = 60 };
enum verdict { VERDICT_HARMLESS = 10, VERDICT_DETECTED, VERDICT_WRONG, VERDICT_READ_WRONG };

static char original[SCRATCH_PATH_SIZE + 16], damaged[SCRATCH_PATH_SIZE + 16];
static struct model model;
static struct prng prng;

struct file_list {
    const char *name_part;
    size_t count;
    char paths[FILES_MAX][SCRATCH_PATH_SIZE]; /* below the store */
    size_t sizes[FILES_MAX];
};

static void fill_store(wg_collection *collection)
{
    struct prng ops = { 7 };
    struct model_op op;
    size_t touched;
    for (size_t i = 0; i < 40; i++) {
        model_op_make(&ops, MODEL_IDS, &op);
        if (op.kind == OP_CLEAR) continue;
        must_ok(model_op_run(&op, collection, &touched));
        model_apply(&model, &op);
    }
    must(model_count(&model) > 50, "the store to damage has only %zu points", model_count(&model));
}

void corruption_begin(void)
{
    prng.state = test_seed();
    model.metric = WG_EUCLIDEAN;
    const char *folder = scratch_create();
    snprintf(original, sizeof original, "%s/original", folder);
    snprintf(damaged, sizeof damaged, "%s/damaged", folder);
    wg_context *context = test_context(NULL, 1);
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM;
    params.metric = model.metric;
    must_ok(wg_store_open(context, original, NULL, &store));
    must_ok(wg_collection_create(store, "damaged", &params));
    must_ok(wg_collection_open(store, "damaged", &collection));
    fill_store(collection);
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

/* --- in the child --- */

/* Every point by get, all by scroll, a few searches; an error is an answer. */
static wg_err read_everything(wg_collection *collection, bool *right, char *why)
{
    wg_points *points = NULL;
    for (size_t i = 0; i < MODEL_IDS && *right; i++) {
        wg_err err = wg_collection_get(collection, model_id(i), 1, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                       &points);
        if (err) return err;
        *right = model_has_point(&model, i, wg_points_at(points, 0), why);
        wg_points_destroy(&points);
    }
    wg_err err = wg_collection_scroll(collection, NULL, MODEL_IDS + 1,
                                      WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points);
    if (!err && *right && wg_points_count(points) != model_count(&model)) {
        *right = false;
        snprintf(why, MODEL_WHY_SIZE, "%zu points scrolled", wg_points_count(points));
    }
    wg_points_destroy(&points);
    return err;
}

static wg_err search_once(wg_collection *collection, const float *query)
{
    wg_searcher *searcher = NULL;
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = query, params.query_count = 1, params.dim = MODEL_DIM;
    params.k = MODEL_IDS; /* so that every point is met, whatever the query */
    params.with = WG_WITH_VECTOR | WG_WITH_PAYLOAD;
    wg_err err = wg_searcher_create(collection, &searcher);
    if (!err) err = wg_searcher_run(searcher, &params);
    wg_searcher_destroy(&searcher);
    return err;
}

/* What a user would do with it. */
static void use(wg_context *context, bool *right, char *why)
{
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    struct model_op op;
    size_t touched;
    wg_err err = wg_store_open(context, damaged, NULL, &store);
    if (!err) err = wg_collection_open(store, "damaged", &collection);
    if (!err) {
        err = read_everything(collection, right, why);
        if (!err) err = search_once(collection, model.points[0].vector);
        if (!err && *right) *right = model_equals(&model, collection, why);
        struct prng ops = { 8 };
        for (size_t i = 0; i < 3; i++) { /* whatever comes of it: no crash */
            model_op_make(&ops, 50, &op);
            wg_err ignored = model_op_run(&op, collection, &touched);
            (void)ignored;
        }
    }
    wg_collection_close(&collection);
    wg_store_close(&store);
}

static _Noreturn void be_the_child(void)
{
    char why[MODEL_WHY_SIZE] = "";
    bool right = true;
    uint64_t problems = 0;
    alarm(CHILD_SECONDS);
    wg_context *context = test_context(NULL, 1);
    wg_err err = wg_store_verify(context, damaged, NULL, NULL, NULL, &problems);
    bool clean = !err && problems == 0;
    use(context, &right, why);
    wg_context_destroy(&context);
    if (clean && !right) fprintf(stderr, "verify is clean, but %s\n", why);
    if (clean) _exit(right ? VERDICT_HARMLESS : VERDICT_WRONG);
    _exit(right ? VERDICT_DETECTED : VERDICT_READ_WRONG);
}

/* --- in the parent --- */

static void list_file(void *user, const char *path, size_t size)
{
    struct file_list *files = user;
    const char *below = path + strlen(original), *part = files->name_part;
    bool wanted = *part == '!' ? !strstr(below, part + 1) : strstr(below, part) != NULL;
    if (!wanted || size == 0) return;
    must(files->count < FILES_MAX, "more than %d files", FILES_MAX);
    snprintf(files->paths[files->count], SCRATCH_PATH_SIZE, "%s", below);
    files->sizes[files->count++] = size;
}

/* A place in the file: anywhere, or more often where something is written. */
static size_t choose_place(int file, size_t size)
{
    size_t place = test_below(&prng, size);
    if (prng_next(&prng) % 8 == 0) return place;
    char part[4096];
    for (size_t tries = 0; tries < 4000; tries++) {
        place = test_below(&prng, size);
        size_t start = place / sizeof part * sizeof part;
        ssize_t got = pread(file, part, sizeof part, (off_t)start);
        if (got > (ssize_t)(place - start) && part[place - start] != 0) break;
    }
    return place;
}

static void damage_file(enum damage damage, const char *path, size_t size, char *what, size_t room)
{
    if (damage == DAMAGE_REMOVE) {
        must(unlink(path) == 0, "cannot remove %s", path);
        snprintf(what, room, "%s removed", path);
        return;
    }
    int file = open(path, O_RDWR);
    must(file >= 0, "cannot open %s", path);
    size_t place = choose_place(file, size);
    if (damage == DAMAGE_TRUNCATE) {
        if (prng_next(&prng) % 4 == 0) place = place / 4096 * 4096;
        must(ftruncate(file, (off_t)place) == 0, "cannot truncate %s", path);
        snprintf(what, room, "%s cut to %zu of %zu bytes", path, place, size);
    } else {
        unsigned char byte;
        unsigned bit = (unsigned)test_below(&prng, 8);
        must(pread(file, &byte, 1, (off_t)place) == 1, "cannot read %s", path);
        byte = (unsigned char)(byte ^ 1u << bit);
        must(pwrite(file, &byte, 1, (off_t)place) == 1, "cannot write %s", path);
        snprintf(what, room, "%s byte %zu bit %u flipped", path, place, bit);
    }
    close(file);
}

static void count_end(int status, const char *what, struct corruption_counts *counts)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    counts->trials++;
    counts->detected += code == VERDICT_DETECTED || code == VERDICT_READ_WRONG;
    counts->read_wrong += code == VERDICT_READ_WRONG;
    counts->harmless += code == VERDICT_HARMLESS;
    counts->wrong += code == VERDICT_WRONG;
    counts->hung += hung;
    bool crashed = !hung && (code < VERDICT_HARMLESS || code > VERDICT_READ_WRONG);
    counts->crashed += crashed;
    if (crashed || hung || code == VERDICT_WRONG)
        printf("%s: %s (status %#x)\n", what,
               crashed ? "crashed"
               : hung  ? "hung"
                       : "wrong and not detected",
               (unsigned)status);
}

static void try_once(enum damage damage, const struct file_list *files,
                     struct corruption_counts *counts)
{
    size_t file = test_below(&prng, files->count);
    char path[2 * SCRATCH_PATH_SIZE], what[3 * SCRATCH_PATH_SIZE];
    scratch_remove(damaged);
    scratch_copy(original, damaged);
    snprintf(path, sizeof path, "%s%s", damaged, files->paths[file]);
    damage_file(damage, path, files->sizes[file], what, sizeof what);
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "no child");
    if (child == 0) be_the_child();
    int status;
    must(waitpid(child, &status, 0) == child, "cannot wait for %d", (int)child);
    count_end(status, what, counts);
}

struct corruption_counts corruption_run(enum damage damage, const char *name_part, size_t trials)
{
    struct file_list *files = allocate(1, sizeof *files);
    struct corruption_counts counts = { 0 };
    static const char *const names[] = { "bits flipped", "truncations", "files removed" };
    files->name_part = name_part;
    scratch_each_file(original, list_file, files);
    must(files->count > 0, "the store has no file with %s in its name", name_part);
    for (size_t i = 0; i < trials; i++) try_once(damage, files, &counts);
    printf("%zu %s in %zu files (%s): %zu detected, %zu harmless, %zu wrong, %zu crashed, "
           "%zu hung; %zu were read wrong before verify reported them\n",
           counts.trials, names[damage], files->count, *name_part ? name_part : "all",
           counts.detected, counts.harmless, counts.wrong, counts.crashed, counts.hung,
           counts.read_wrong);
    free(files);
    return counts;
}
