/* Stores in memory: the same as on disk, and gone when they are closed or their process ends. */
#include "support/check.h"
#include "support/child.h"
#include "support/equal.h"
#include "support/model.h"
#include "support/scratch.h"

#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct opened {
    wg_context *context;
    wg_store *store;
    wg_collection *collection;
};

static void create(struct opened *o)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM;
    params.metric = WG_EUCLIDEAN;
    params.history = 50;
    must_ok(wg_collection_create(o->store, "c", &params));
    must_ok(wg_collection_open(o->store, "c", &o->collection));
}

/* path NULL: in memory. */
static struct opened open_new(const char *path)
{
    struct opened o = { .context = test_context(NULL, 1) };
    must_ok(wg_store_open(o.context, path, NULL, &o.store));
    create(&o);
    return o;
}

static void close_all(struct opened *o)
{
    wg_collection_close(&o->collection);
    wg_store_close(&o->store);
    wg_context_destroy(&o->context);
}

static void it_is_the_same_as_on_disk(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    char path[SCRATCH_PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/s", scratch_create());
    struct opened memory = open_new(NULL), disk = open_new(path);
    for (size_t i = 0; i < 60; i++) {
        struct model_op op;
        size_t in_memory, on_disk;
        model_op_make(&prng, 60, &op);
        assert_ok(model_op_run(&op, memory.collection, &in_memory));
        assert_ok(model_op_run(&op, disk.collection, &on_disk));
        assert_int_equal(in_memory, on_disk);
        if (i % 9 == 8) assert_ok(wg_collection_compact(memory.collection, NULL));
    }
    equal_check(memory.collection, disk.collection);
    assert_ok(wg_collection_flush(memory.collection));
    assert_ok(wg_collection_rename(memory.store, "c", "d"));
    assert_ok(wg_alias_set(memory.store, "e", "d"));
    wg_collection_close(&memory.collection);
    assert_ok(wg_collection_open(memory.store, "e", &memory.collection));
    equal_check(memory.collection, disk.collection);
    close_all(&memory);
    close_all(&disk);
}

static void each_is_its_own(void **state)
{
    (void)state;
    struct opened first = open_new(NULL), second = open_new(NULL);
    struct model_op op = { .kind = OP_UPSERT, .count = 3, .ids = { 1, 2, 3 } };
    size_t touched;
    assert_ok(model_op_run(&op, first.collection, &touched));
    assert_int_equal(wg_collection_count(first.collection), 3);
    assert_int_equal(wg_collection_count(second.collection), 0);
    close_all(&first);
    assert_ok(model_op_run(&op, second.collection, &touched));
    assert_int_equal(wg_collection_count(second.collection), 3);
    close_all(&second);
}

/* --- what is left --- */

struct search {
    pid_t pid;
    size_t count;
};

/* A store's lock names its process. */
static bool count_of_process(void *user, const char *name)
{
    struct search *search = user;
    char path[SCRATCH_PATH_SIZE], text[32] = "";
    if (strncmp(name, "waggle-memory-", 14) != 0) return true;
    snprintf(path, sizeof path, "%s/%s/lock", folder_of_temporary(), name);
    FILE *file = fopen(path, "r");
    if (file && fgets(text, sizeof text, file)) search->count += atoi(text) == search->pid;
    if (file) fclose(file);
    return true;
}

/* How many folders of stores in memory there are of that process. */
static size_t folders_of(pid_t pid)
{
    struct search search = { pid, 0 };
    must_ok(folder_list(folder_of_temporary(), count_of_process, &search));
    return search.count;
}

static void nothing_is_left_behind(void **state)
{
    (void)state;
    assert_int_equal(folders_of(getpid()), 0);
    struct opened o = open_new(NULL);
    assert_int_equal(folders_of(getpid()), 1);
    close_all(&o);
    assert_int_equal(folders_of(getpid()), 0);
}

/* Opens one, says so, and works on when it is told to. */
static void hold(struct child *parent, void *arg)
{
    (void)arg;
    struct opened o = open_new(NULL);
    struct model_op op = { .kind = OP_UPSERT, .count = 3, .ids = { 1, 2, 3 } };
    size_t touched;
    child_say(parent, 'o');
    child_hear(parent);
    must_ok(model_op_run(&op, o.collection, &touched));
    wg_collection_close(&o.collection);
    must_ok(wg_collection_rename(o.store, "c", "d")); /* its files are where they were */
    must_ok(wg_collection_open(o.store, "d", &o.collection));
    must(wg_collection_count(o.collection) == 3, "points are missing");
    close_all(&o);
}

static void what_a_killed_process_left_is_swept(void **state)
{
    (void)state;
    struct child killed, living;
    child_begin(&killed, hold, NULL);
    child_begin(&living, hold, NULL);
    assert_int_equal(child_hear(&killed), 'o');
    assert_int_equal(child_hear(&living), 'o');
    pid_t dead = killed.pid;
    child_kill(&killed);
    struct opened o = open_new(NULL);
    assert_int_equal(folders_of(dead), 0);
    assert_int_equal(folders_of(living.pid), 1); /* in use */
    child_say(&living, 'g');
    child_end(&living);
    assert_int_equal(folders_of(living.pid), 0);
    close_all(&o);
}

/* Whoever sweeps must not take one that another process is just making. */
static void open_often(struct child *parent, void *arg)
{
    wg_context *context = test_context(NULL, 1);
    (void)arg;
    child_hear(parent);
    for (size_t i = 0; i < 150; i++) {
        wg_store *store = NULL;
        must_ok(wg_store_open(context, NULL, NULL, &store));
        wg_store_close(&store);
    }
    wg_context_destroy(&context);
}

static void many_processes_may_open_theirs_at_once(void **state)
{
    (void)state;
    enum { CHILDREN = 4 };
    struct child children[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++) child_begin(&children[i], open_often, NULL);
    for (size_t i = 0; i < CHILDREN; i++) child_say(&children[i], 'g');
    for (size_t i = 0; i < CHILDREN; i++) child_end(&children[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_same_as_on_disk),
        cmocka_unit_test(each_is_its_own),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(what_a_killed_process_left_is_swept),
        cmocka_unit_test(many_processes_may_open_theirs_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
