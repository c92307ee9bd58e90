#include "support/copies.h"

#include "support/check.h"
#include "support/content.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY = 50, WIDE_POINTS = 400, TEXT_SIZE = 160 };

static wg_context *context;
static const char *folder;

int copies_set_up(void **state)
{
    (void)state;
    folder = scratch_create();
    context = test_context(NULL, 1);
    return 0;
}

int copies_tear_down(void **state)
{
    (void)state;
    wg_context_destroy(&context);
    scratch_remove(folder);
    return 0;
}

wg_context *copies_context(void)
{
    return context;
}

const char *copies_at(const char *name)
{
    static char paths[8][COPIES_PATH_SIZE];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, COPIES_PATH_SIZE, "%s/%s", folder, name);
    return path;
}

bool copies_exist(const char *path)
{
    return access(path, F_OK) == 0;
}

void copies_make_file(const char *path)
{
    FILE *file = fopen(path, "w");
    must(file && fputs("mine", file) >= 0 && fclose(file) == 0, "cannot write %s", path);
}

struct body {
    copies_body *run;
    uint64_t seed;
};

static void run_body(struct child *parent, void *arg)
{
    const struct body *body = arg;
    must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "cannot be bound to the parent");
    context = test_context(NULL, 1);
    body->run(body->seed, parent);
}

/* The context's threads are not there in a child, so it goes before. */
void copies_start(struct child *child, copies_body *run, uint64_t seed)
{
    struct body body = { run, seed };
    wg_context_destroy(&context);
    child_begin(child, run_body, &body);
    context = test_context(NULL, 1);
    must(child_hear(child) == 'r', "the child did not begin");
}

wg_store *copies_open(const char *path, bool read_only)
{
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = read_only;
    must_ok(wg_store_open(context, path, &params, &store));
    return store;
}

wg_collection *copies_open_collection(wg_store *store, const char *name)
{
    wg_collection *collection = NULL;
    must_ok(wg_collection_open(store, name, &collection));
    return collection;
}

void copies_create(wg_store *store, const char *name, uint32_t dim)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = dim;
    params.metric = WG_DOT;
    params.history = HISTORY;
    must_ok(wg_collection_create(store, name, &params));
}

wg_collection_info copies_info(wg_collection *collection)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    must_ok(wg_collection_info_get(collection, &info));
    return info;
}

static void print_difference(void *user, const char *difference)
{
    (void)user;
    fprintf(stderr, "differs: %s\n", difference);
}

uint64_t copies_differences(const char *a, const char *b)
{
    uint64_t count = UINT64_MAX;
    must_ok(wg_store_equal(context, a, b, print_difference, NULL, &count));
    return count;
}

void run_begin(uint64_t seed, struct run *run)
{
    *run = (struct run){ .prng = { seed } };
    run->model.metric = WG_DOT;
}

void run_next(struct run *run, wg_collection *collection)
{
    struct model_op op;
    size_t touched;
    model_op_make(&run->prng, MODEL_IDS, &op);
    bool changes = op.kind == OP_UPSERT || op.kind == OP_CLEAR || model_touches(&run->model, &op);
    if (collection) must_ok(model_op_run(&op, collection, &touched));
    model_apply(&run->model, &op);
    run->sequence += changes;
}

uint64_t copies_check(const char *path, uint64_t seed)
{
    char why[MODEL_WHY_SIZE];
    struct run run;
    must(content_problems(context, path) == 0, "%s has problems", path);
    wg_store *store = copies_open(path, true);
    wg_collection *collection = copies_open_collection(store, "c");
    uint64_t sequence = copies_info(collection).sequence;
    run_begin(seed, &run);
    while (run.sequence < sequence) run_next(&run, NULL);
    must(model_equals(&run.model, collection, why), "%s at %" PRIu64 ": %s", path, sequence, why);
    wg_collection_close(&collection);
    wg_store_close(&store);
    return sequence;
}

static void wide_id(size_t i, char text[TEXT_SIZE], wg_id *id)
{
    snprintf(text, TEXT_SIZE, "point %0100zu", i);
    must_ok(wg_id_from_string(text, id));
}

void copies_upsert_wide(wg_collection *wide, size_t first, size_t count, float value)
{
    wg_id *ids = allocate(count, sizeof *ids);
    float *vectors = allocate(count * COPIES_WIDE, sizeof *vectors);
    char(*texts)[TEXT_SIZE] = allocate(count, sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        wide_id(first + i, texts[i], &ids[i]);
        for (size_t d = 0; d < COPIES_WIDE; d++)
            vectors[i * COPIES_WIDE + d] = (float)(first + i) + value;
    }
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = count;
    batch.ids = ids;
    batch.vectors = vectors;
    must_ok(wg_collection_upsert(wide, COPIES_WIDE, &batch));
    free(texts);
    free(vectors);
    free(ids);
}

static void delete_wide(wg_collection *wide, size_t first, size_t count, size_t step)
{
    wg_id *ids = allocate(count, sizeof *ids);
    char(*texts)[TEXT_SIZE] = allocate(count, sizeof *texts);
    size_t chosen = 0;
    for (size_t i = first; i < first + count; i += step, chosen++)
        wide_id(i, texts[chosen], &ids[chosen]);
    must_ok(wg_collection_delete(wide, ids, chosen, NULL));
    free(texts);
    free(ids);
}

static void fill_c(wg_store *store, uint64_t seed, size_t writes)
{
    struct run run;
    copies_create(store, "c", MODEL_DIM);
    wg_collection *c = copies_open_collection(store, "c");
    run_begin(seed, &run);
    for (size_t i = 0; i < writes; i++) run_next(&run, c);
    wg_collection_close(&c);
}

void copies_fill_little(wg_store *store, uint64_t seed)
{
    fill_c(store, seed, 5);
}

void copies_fill(wg_store *store, uint64_t seed)
{
    fill_c(store, seed, 40);
    copies_create(store, "wide", COPIES_WIDE);
    copies_create(store, "empty", 3);
    must_ok(wg_alias_set(store, "broad", "wide"));
    wg_collection *wide = copies_open_collection(store, "wide");
    copies_upsert_wide(wide, 0, 100, 0.25F);
    delete_wide(wide, 0, 100, 2);
    copies_upsert_wide(wide, 100, WIDE_POINTS - 100, 0.5F);
    must_ok(wg_collection_compact(wide, NULL));
    copies_upsert_wide(wide, WIDE_POINTS, 10, 0.75F);
    must(copies_info(wide).segment_count >= 3, "%d segments", (int)copies_info(wide).segment_count);
    wg_collection_close(&wide);
}

void copies_disturb(const char *path)
{
    struct run run;
    wg_store *store = copies_open(path, false);
    wg_collection *c = copies_open_collection(store, "c");
    wg_collection *wide = copies_open_collection(store, "broad");
    run_begin(99, &run);
    for (size_t i = 0; i < 10; i++) run_next(&run, c);
    copies_upsert_wide(wide, 50, 300, 9);
    delete_wide(wide, 300, 100, 1);
    must_ok(wg_collection_compact(wide, NULL));
    copies_upsert_wide(wide, 5000, 300, 9);
    must_ok(wg_collection_clear(c));
    wg_collection_close(&c);
    wg_collection_close(&wide);
    must_ok(wg_collection_rename(store, "wide", "wider"));
    must_ok(wg_collection_drop(store, "c"));
    copies_create(store, "new", 5);
    wg_store_close(&store);
    must(content_problems(context, path) == 0, "%s has problems", path);
}

static uint64_t mix_content(uint64_t hash, const char *path, size_t size)
{
    uint64_t *words = allocate(size / sizeof *words + 1, sizeof *words);
    FILE *file = fopen(path, "rb");
    words[size / sizeof *words] = 0;
    must(file && fread(words, 1, size, file) == size, "cannot read %s", path);
    fclose(file);
    for (size_t i = 0; i <= size / sizeof *words; i++)
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    free(words);
    return hash;
}

static void add_file(void *user, const char *path, size_t size)
{
    struct files *files = user;
    struct stat status;
    const char *name = strrchr(path, '/') + 1;
    if (strcmp(name, "lock.mdb") == 0 || strcmp(name, "lock") == 0 || strstr(name, ".codes"))
        return;
    must(stat(path, &status) == 0, "no %s", path);
    must(files->count < sizeof files->identities / sizeof *files->identities, "too many files");
    files->identities[files->count++] = status.st_ino;
    files->linked += status.st_nlink > 1;
    files->holed += strstr(name, ".seg") && (size_t)status.st_blocks * 512 < size;
    files->hash = files->hash * 31 + status.st_ino;
    for (const char *c = path; *c; c++) files->hash = files->hash * 31 + (unsigned char)*c;
    files->hash = mix_content(files->hash, path, size);
}

struct files copies_files(const char *path)
{
    struct files files = { 0 };
    scratch_each_file(path, add_file, &files);
    return files;
}
