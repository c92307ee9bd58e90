/* A store from its folder to a commit: who may open it, what is swept, what an abort and a failed
 * allocation leave: nothing. What is not tried here: a sync that fails (nothing can make file_sync
 * fail yet on a file that can be written). */
#include "base/mem.h"
#include "store/commit.h"
#include "store/read.h"
#include "store/store.h"
#include "store/verify.h"
#include "support/check.h"
#include "support/fake_backend.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIM = 8192, UPSERT = 120 }; /* 32 KiB a row: 120 rows do not fit into the first segment */

struct fixture {
    struct pool *pool;
    struct background *background;
    struct kernels kernels;
    struct device_set *set;
    char folder[SCRATCH_PATH_SIZE];
    size_t in_use;
};

static struct fixture f;
static const struct space_record wide = { DIM, WG_EUCLIDEAN, 0 }, narrow = { 3, WG_DOT, 0 };

static int set_up(void **state)
{
    (void)state;
    static const struct backend *const cpu_only[] = { &backend_cpu, NULL };
    f = (struct fixture){ .in_use = mem_in_use() };
    snprintf(f.folder, sizeof f.folder, "%s/s", scratch_create());
    kernels_init(&f.kernels, CPU_C);
    assert_ok(pool_create(1, &f.pool));
    assert_ok(background_create(&f.background));
    struct device_set_params params = { .backends = cpu_only,
                                        .host = { f.pool, &f.kernels, "c" },
                                        .fallback_to_cpu = true,
                                        .background = f.background };
    assert_ok(device_set_create(&params, &f.set));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    device_set_destroy(&f.set);
    background_destroy(&f.background);
    pool_destroy(&f.pool);
    assert_int_equal(mem_in_use(), f.in_use);
    return 0;
}

static wg_err open_as(bool create, bool read_only, struct store **out)
{
    struct store_params params = { .devices = f.set,
                                   .background = f.background,
                                   .path = f.folder,
                                   .create = create,
                                   .read_only = read_only };
    return store_open(&params, out);
}

static struct store *open_store(void)
{
    struct store *store = NULL;
    must_ok(open_as(true, false, &store));
    return store;
}

static struct collection *take(struct store *store, const char *name)
{
    struct collection *collection = NULL;
    must_ok(store_take_collection(store, name, &collection));
    return collection;
}

/* A store with an empty collection "c", taken. */
static struct collection *begin(struct store **store, const struct space_record *space)
{
    *store = open_store();
    must_ok(store_create_collection(*store, "c", space));
    return take(*store, "c");
}

static void finish(struct store **store, struct collection **collection)
{
    if (*collection) store_give_back(*store, collection);
    store_close(store);
    assert_null(*store);
}

/* A path in the store's folder; until the next call. */
static const char *in_store(const char *name)
{
    static char path[SCRATCH_PATH_SIZE + 128];
    snprintf(path, sizeof path, "%s/%s", f.folder, name);
    return path;
}

static bool exists(const char *name)
{
    return access(in_store(name), F_OK) == 0;
}

static void make_file(const char *name)
{
    struct file file;
    must_ok(file_open(in_store(name), FILE_CREATE, &file));
    must_ok(file_write_at(&file, "left by a crash", 15, 0));
    file_close(&file);
}

static void make_subfolder(const char *name)
{
    must_ok(folder_create(in_store(name)));
}

static wg_id ids[UPSERT];
static float *vectors; /* UPSERT x DIM */

/* Points first to first + count, whose vectors say their number and the round. */
static wg_err upsert(struct collection *collection, size_t first, size_t count, float round)
{
    size_t dim = collection->space.dim;
    assert_true(count <= UPSERT);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (wg_id){ .type = WG_ID_NUMBER, .as.number = first + i };
        for (size_t d = 0; d < dim; d++) vectors[i * dim + d] = (float)d;
        vectors[i * dim] = round;
        vectors[i * dim + 1] = (float)(first + i);
    }
    struct upsert u = { count, ids, vectors, NULL };
    return collection_upsert(collection, &u);
}

/* Whether the collection holds points 0 to count, all of this round. */
static void check_points(struct collection *collection, size_t count, float round)
{
    struct arena arena = { 0 };
    struct read_request request = { .count = 1000, .with = WG_WITH_VECTOR };
    wg_point *points = NULL;
    size_t got = 0;
    assert_ok(collection_read(collection, &request, &arena, &points, &got));
    assert_int_equal(got, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(points[i].id.as.number, i);
        assert_true(points[i].vector[0] == round);
        assert_true(points[i].vector[1] == (float)i);
    }
    arena_fini(&arena);
}

static void print_problem(void *user, const char *problem)
{
    (void)user;
    print_message("%s\n", problem);
}

/* Of the store when it is closed. */
static void check_clean(uint64_t number)
{
    char folder[SCRATCH_PATH_SIZE + 32];
    struct verify_report report = { .problem = print_problem };
    snprintf(folder, sizeof folder, "%s/c-%llx", f.folder, (unsigned long long)number);
    assert_ok(verify_collection("c", folder, &report));
    assert_int_equal(report.problem_count, 0);
}

struct suffix {
    const char *end;
    size_t count;
};

static void count_suffix(void *user, const char *path, size_t size)
{
    struct suffix *suffix = user;
    size_t length = strlen(suffix->end);
    (void)size;
    suffix->count += strcmp(path + strlen(path) - length, suffix->end) == 0;
}

static size_t count_files(const char *end)
{
    struct suffix suffix = { end, 0 };
    scratch_each_file(f.folder, count_suffix, &suffix);
    return suffix.count;
}

/* --- the store --- */

static void a_store_is_made_when_asked(void **state)
{
    (void)state;
    struct store *store = NULL;
    assert_err(WG_ENOTFOUND, f.folder, open_as(false, false, &store));
    assert_err(WG_ENOTFOUND, f.folder, open_as(true, true, &store));
    assert_false(exists("."));
    assert_ok(open_as(true, false, &store));
    store_close(&store);
    assert_ok(open_as(false, false, &store));
    store_close(&store);
    assert_ok(open_as(false, true, &store));
    store_close(&store);
    store_close(&store);
    make_file("../file");
    strcpy(f.folder + strlen(f.folder) - 1, "file");
    assert_int_not_equal(open_as(true, false, &store), WG_OK); /* a file where a folder should be */
    assert_null(store);
}

static void one_writes_at_a_time(void **state)
{
    (void)state;
    char pid[32];
    struct store *store = open_store(), *second = NULL, *third = NULL;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_err(WG_EBUSY, "this process", open_as(true, false, &second));
    assert_err(WG_EBUSY, "this process", open_as(false, true, &second));
    assert_null(second);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        must(open_as(true, false, &second) == WG_EBUSY, "opened twice");
        must(strstr(wg_message(), pid), "\"%s\" does not name process %s", wg_message(), pid);
        must(open_as(false, true, &second) == WG_EBUSY, "read while it is written");
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_close(&store);
    assert_ok(open_as(false, true, &second));
    assert_ok(open_as(false, true, &third)); /* readers share */
    assert_int_equal(open_as(true, false, &store), WG_EBUSY);
    store_close(&second);
    store_close(&third);
    assert_ok(open_as(true, false, &store));
    store_close(&store);
}

static bool note_name(void *user, const char *name, uint64_t number)
{
    char *names = user;
    (void)number;
    snprintf(names + strlen(names), 64, "%s,", name);
    return strcmp(name, "stop") != 0;
}

static void collections_come_and_go(void **state)
{
    (void)state;
    struct store *store = open_store();
    char names[512] = "";
    static const char *const made[] = { "b", "a", "\xC3\xBC", "B", "a b" };
    for (size_t i = 0; i < 5; i++) assert_ok(store_create_collection(store, made[i], &narrow));
    assert_err(WG_EEXISTS, "a", store_create_collection(store, "a", &narrow));
    assert_ok(store_list(store, note_name, names));
    assert_string_equal(names, "B,a,a b,b,\xC3\xBC,");
    assert_ok(store_drop_collection(store, "a b"));
    assert_err(WG_ENOTFOUND, "a b", store_drop_collection(store, "a b"));
    assert_ok(store_create_collection(store, "stop", &narrow));
    names[0] = 0;
    assert_ok(store_list(store, note_name, names));
    assert_string_equal(names, "B,a,b,stop,");
    store_close(&store);
    store = open_store();
    names[0] = 0;
    assert_ok(store_list(store, note_name, names));
    assert_string_equal(names, "B,a,b,stop,");
    struct collection *none = NULL;
    assert_err(WG_ENOTFOUND, "nobody", store_take_collection(store, "nobody", &none));
    assert_null(none);
    store_close(&store);
}

static bool note_number(void *user, const char *name, uint64_t number)
{
    (void)name;
    *(uint64_t *)user = number;
    return true;
}

static void folders_are_never_named_again(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (size_t round = 0; round < 4; round++) {
        struct store *store = open_store();
        uint64_t number = 0;
        char *folder = NULL;
        assert_ok(store_create_collection(store, "c", &narrow));
        assert_ok(store_list(store, note_number, &number));
        assert_true(number > last || round == 0);
        assert_ok(store_collection_folder(store, number, &folder));
        assert_true(folder_exists(folder));
        assert_ok(store_drop_collection(store, "c"));
        assert_false(folder_exists(folder));
        mem_free(&folder);
        store_close(&store);
        last = number;
    }
}

static void one_collection_is_shared(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *first = begin(&store, &narrow), *second = take(store, "c");
    assert_ptr_equal(first, second);
    assert_err(WG_EBUSY, "c", store_drop_collection(store, "c"));
    store_give_back(store, &first);
    assert_null(first);
    assert_err(WG_EBUSY, "c", store_drop_collection(store, "c"));
    assert_ok(upsert(second, 0, 3, 1)); /* still open */
    store_give_back(store, &second);
    assert_ok(store_drop_collection(store, "c"));
    store_close(&store);
}

static void a_read_only_store_is_not_written(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    size_t touched = 7;
    assert_ok(upsert(c, 0, 5, 1));
    finish(&store, &c);
    assert_ok(open_as(false, true, &store));
    c = take(store, "c");
    check_points(c, 5, 1);
    assert_err(WG_EREADONLY, "", upsert(c, 0, 5, 2));
    assert_err(WG_EREADONLY, "", collection_delete(c, ids, 1, &touched));
    assert_err(WG_EREADONLY, "", collection_set_payload(c, ids, 1, "{}", &touched));
    assert_err(WG_EREADONLY, "", collection_clear(c));
    assert_err(WG_EREADONLY, "", store_create_collection(store, "d", &narrow));
    assert_err(WG_EREADONLY, "", store_drop_collection(store, "d"));
    check_points(c, 5, 1);
    finish(&store, &c);
}

static void what_a_crash_left_is_swept(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    assert_ok(upsert(c, 0, 5, 1));
    finish(&store, &c);
    uint64_t number = 0;
    char folder[64], orphan[128], other[128];
    store = open_store();
    assert_ok(store_list(store, note_number, &number));
    store_close(&store);
    snprintf(folder, sizeof folder, "c-%llx", (unsigned long long)number);
    snprintf(orphan, sizeof orphan, "%s/0-99.seg", folder);
    snprintf(other, sizeof other, "%s/notes.txt", folder);
    make_file(orphan);
    make_file(other);
    make_file("notes.txt");
    make_subfolder("c-ff");
    make_subfolder("c-ff/tables");
    make_file("c-ff/0-0.seg");
    make_subfolder("mine");
    make_subfolder("c-old"); /* no number */
    make_subfolder("c-2.bak");
    assert_ok(open_as(false, true, &store)); /* reading changes nothing */
    c = take(store, "c");
    finish(&store, &c);
    assert_true(exists(orphan) && exists("c-ff/0-0.seg"));
    store = open_store();
    c = take(store, "c");
    check_points(c, 5, 1);
    assert_false(exists("c-ff"));
    assert_false(exists(orphan));
    assert_true(exists("notes.txt") && exists("mine") && exists(other)); /* not ours */
    assert_true(exists("c-old") && exists("c-2.bak"));
    finish(&store, &c);
    check_clean(number);
}

/* Without its registry a store cannot tell what is whose: it is not opened, and nothing goes. */
static void a_lost_registry_sweeps_nothing(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    assert_ok(upsert(c, 0, 5, 1));
    finish(&store, &c);
    assert_ok(folder_remove(in_store("registry")));
    assert_err(WG_ECORRUPT, "the registry is empty", open_as(true, false, &store));
    assert_true(exists("c-1/0-0.seg"));
    assert_err(WG_ECORRUPT, "the registry is empty", open_as(true, false, &store));
    assert_true(exists("c-1/0-0.seg") && exists("c-1/tables"));
}

/* The collection is there: it is its file that is not. */
static void a_lost_segment_is_corrupt(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    assert_ok(upsert(c, 0, 5, 1));
    finish(&store, &c);
    assert_ok(file_remove(in_store("c-1/0-0.seg")));
    store = open_store();
    assert_err(WG_ECORRUPT, "0-0.seg", store_take_collection(store, "c", &c));
    store_close(&store);
}

/* --- writing --- */

static void an_upsert_spans_segments(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &wide);
    assert_ok(upsert(c, 0, 10, 1)); /* each fills the last segment and begins another */
    assert_ok(upsert(c, 0, 40, 2));
    assert_ok(upsert(c, 0, UPSERT, 3));
    struct view *view = collection_view(c);
    assert_int_equal(view->segment_count, 3);
    assert_int_equal(view->source.row_count, 10 + 40 + UPSERT);
    view_release(&view);
    check_points(c, UPSERT, 3);
    finish(&store, &c);
    store = open_store();
    c = take(store, "c");
    check_points(c, UPSERT, 3);
    finish(&store, &c);
    check_clean(1);
}

static void a_view_is_not_changed_by_writes(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    size_t deleted = 0;
    assert_ok(upsert(c, 0, 20, 1));
    struct view *view = collection_view(c);
    assert_ok(upsert(c, 0, 10, 2));
    assert_ok(collection_delete(c, ids, 10, &deleted));
    assert_int_equal(deleted, 10);
    assert_ok(collection_clear(c));
    assert_int_equal(view->commit.point_count, 20);
    for (uint64_t p = 0; p < 20; p++) {
        assert_true(bitmap_get(&view->source.live, p));
        assert_int_equal(view_id(view, p).as.number, p);
        assert_true(view_vector(view, p)[0] == 1);
    }
    view_release(&view);
    check_points(c, 0, 0);
    finish(&store, &c);
}

static void an_aborted_commit_leaves_nothing(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &wide);
    uint32_t sums[UPSERT];
    assert_ok(upsert(c, 0, 10, 1));
    for (size_t round = 0; round < 3; round++) {
        struct commit commit;
        struct segment_rows rows = { vectors, ids, round == 0 ? 5 : UPSERT };
        for (size_t i = 0; i < UPSERT; i++)
            ids[i] = (wg_id){ .type = WG_ID_NUMBER, .as.number = 500 + i };
        mutex_lock(&c->writer);
        assert_ok(commit_begin(c, &commit));
        assert_int_equal(commit_version(&commit), 2 + round);
        if (round < 2) assert_ok(commit_append(&commit, &rows, sums));
        if (round < 2) assert_ok(commit_kill(&commit, 3));
        if (round == 2) assert_ok(commit_clear(&commit));
        commit_abort(&commit);
        commit_abort(&commit);
        mutex_unlock(&c->writer);
        struct view *view = collection_view(c);
        assert_int_equal(view->commit.sequence, 1 + round);
        assert_int_equal(view->source.row_count, 10 + round);
        assert_true(bitmap_get(&view->source.live, 3));
        view_release(&view);
        check_points(c, 10 + round, 1);
        assert_ok(upsert(c, 10 + round, 1, 1)); /* over what it left in the open segment */
        check_points(c, 11 + round, 1);
    }
    assert_int_equal(count_files(".seg"), 1); /* the files of the aborted are gone */
    assert_ok(upsert(c, 13, 87, 1));
    check_points(c, 100, 1);
    finish(&store, &c);
    check_clean(1);
}

/* After each failure the collection is as before. */
static void every_allocation_of_a_write_can_fail(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &wide);
    size_t request = 0, failed = 0;
    assert_ok(upsert(c, 0, UPSERT / 2, 1));
    size_t in_use = mem_in_use();
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = upsert(c, 0, UPSERT, 2);
        mem_fail_at(0);
        if (err == WG_OK) break;
        assert_int_equal(err, WG_ENOMEM);
        assert_int_equal(mem_in_use(), in_use);
        check_points(c, UPSERT / 2, 1);
        failed++;
    }
    assert_true(failed > 10);
    check_points(c, UPSERT, 2);
    finish(&store, &c);
    check_clean(1);
    print_message("an upsert over several segments failed at each of %zu allocations\n", failed);
}

static void every_allocation_of_other_writes_can_fail(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    size_t touched = 0;
    for (int what = 0; what < 3; what++) {
        assert_ok(upsert(c, 0, 20, (float)what));
        for (uint64_t request = 1;; request++) {
            mem_fail_at(request);
            wg_err err = what == 0   ? collection_delete(c, ids, 10, &touched)
                         : what == 1 ? collection_set_payload(c, ids, 10, "{\"a\":1}", &touched)
                                     : collection_clear(c);
            mem_fail_at(0);
            if (err == WG_OK) break;
            assert_int_equal(err, WG_ENOMEM);
            check_points(c, 20, (float)what);
        }
    }
    check_points(c, 0, 0);
    finish(&store, &c);
    check_clean(1);
}

static void every_allocation_of_opening_can_fail(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    assert_ok(upsert(c, 0, 20, 1));
    finish(&store, &c);
    size_t in_use = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        char name[16]; /* the round before may have made its own */
        snprintf(name, sizeof name, "d%zu", request);
        mem_fail_at(++request);
        err = open_as(true, false, &store);
        if (err == WG_OK) err = store_create_collection(store, name, &narrow);
        if (err == WG_OK) err = store_take_collection(store, "c", &c);
        mem_fail_at(0);
        if (err != WG_OK && err != WG_ENOMEM) fail_msg("request %zu: %s", request, wg_message());
        if (c) check_points(c, 20, 1);
        if (c) store_give_back(store, &c);
        store_close(&store);
        assert_int_equal(mem_in_use(), in_use);
    }
    assert_true(request > 20);
    check_clean(1);
}

static void a_broken_collection_is_read_only(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct collection *c = begin(&store, &narrow);
    assert_ok(upsert(c, 0, 5, 1));
    c->broken = true; /* as a failed sync leaves it */
    assert_err(WG_EREADONLY, "", upsert(c, 0, 5, 2));
    check_points(c, 5, 1);
    finish(&store, &c);
    store = open_store();
    c = take(store, "c");
    assert_ok(upsert(c, 0, 5, 2)); /* until it is opened again */
    check_points(c, 5, 2);
    finish(&store, &c);
}

static int allocate_vectors(void **state)
{
    (void)state;
    vectors = allocate((size_t)UPSERT * DIM, sizeof *vectors);
    return 0;
}

static int free_vectors(void **state)
{
    (void)state;
    free(vectors);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_store_is_made_when_asked),
        TEST(one_writes_at_a_time),
        TEST(collections_come_and_go),
        TEST(folders_are_never_named_again),
        TEST(one_collection_is_shared),
        TEST(a_read_only_store_is_not_written),
        TEST(what_a_crash_left_is_swept),
        TEST(a_lost_registry_sweeps_nothing),
        TEST(a_lost_segment_is_corrupt),
        TEST(an_upsert_spans_segments),
        TEST(a_view_is_not_changed_by_writes),
        TEST(an_aborted_commit_leaves_nothing),
        TEST(every_allocation_of_a_write_can_fail),
        TEST(every_allocation_of_other_writes_can_fail),
        TEST(every_allocation_of_opening_can_fail),
        TEST(a_broken_collection_is_read_only),
    };
    return cmocka_run_group_tests(tests, allocate_vectors, free_vectors);
}
