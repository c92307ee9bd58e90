/* A store from its folder to a collection: who may open it, what is swept, which names lead
 * where. */
#include "base/mem.h"
#include "store/store.h"
#include "store/write.h"
#include "support/check.h"
#include "support/inner_store.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIM = 3 };

static struct surroundings around;
static char folder[SCRATCH_PATH_SIZE];
static const struct store_seed seed = { .space = { DIM, WG_DOT, 0 }, .history = 1000 };

static int set_up(void **state)
{
    (void)state;
    surroundings_begin(&around);
    snprintf(folder, sizeof folder, "%s/s", scratch_create());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    surroundings_end(&around);
    return 0;
}

static struct store_params params_of(bool create, bool read_only)
{
    return (struct store_params){
        .devices = around.set,
        .background = around.background,
        .path = folder,
        .create = create,
        .read_only = read_only,
        .open_limit = 10,
        .reader_limit = 100,
    };
}

static wg_err open_as(bool create, bool read_only, struct store **out)
{
    struct store_params params = params_of(create, read_only);
    return store_open(&params, out);
}

static struct store *open_store(void)
{
    struct store *store = NULL;
    must_ok(open_as(true, false, &store));
    return store;
}

/* A collection in use. */
struct used {
    struct store *store;
    struct member *member;
    struct collection *collection;
};

static struct used use(struct store *store, const char *name)
{
    struct used used = { .store = store };
    must_ok(store_open_member(store, name, &used.member));
    must_ok(member_enter(used.member, &used.collection));
    return used;
}

static void end_use(struct used *used)
{
    member_leave(used->member);
    store_close_member(used->store, &used->member);
    assert_null(used->member);
}

/* A store with an empty collection "c", in use. */
static struct used begin(void)
{
    struct store *store = open_store();
    must_ok(store_create_collection(store, "c", &seed));
    return use(store, "c");
}

static void finish(struct used *used)
{
    end_use(used);
    store_close(&used->store);
    assert_null(used->store);
}

/* A path in the store's folder; until the next call. */
static const char *in_store(const char *name)
{
    static char path[SCRATCH_PATH_SIZE + 128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
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

/* Whether the collection holds points 0 to count, all of this round. */
static void check_points(struct collection *collection, size_t count, float round)
{
    float rounds[200];
    for (size_t i = 0; i < count; i++) rounds[i] = round;
    inner_check(collection, rounds, count);
}

/* --- opening --- */

static void a_store_is_made_when_asked(void **state)
{
    (void)state;
    struct store *store = NULL;
    assert_err(WG_ENOTFOUND, folder, open_as(false, false, &store));
    assert_err(WG_ENOTFOUND, folder, open_as(true, true, &store));
    assert_false(exists("."));
    assert_ok(open_as(true, false, &store));
    assert_string_equal(store_path(store), folder);
    assert_false(store_is_read_only(store));
    assert_int_equal(store_tables_use(store), DB_WRITE);
    store_close(&store);
    assert_ok(open_as(false, false, &store));
    store_close(&store);
    assert_ok(open_as(false, true, &store));
    assert_true(store_is_read_only(store));
    assert_int_equal(store_tables_use(store), DB_READ);
    store_close(&store);
    store_close(&store);
    make_file("../file");
    strcpy(folder + strlen(folder) - 1, "file");
    assert_int_not_equal(open_as(true, false, &store), WG_OK); /* a file where a folder should be */
    assert_null(store);
}

static void only_an_empty_folder_becomes_a_store(void **state)
{
    (void)state;
    struct store *store = NULL;
    must_ok(folder_create(folder));
    make_file("notes.txt");
    assert_err(WG_EINVAL, folder, open_as(true, false, &store));
    assert_true(exists("notes.txt"));
    assert_ok(file_remove(in_store("notes.txt")));
    assert_ok(open_as(true, false, &store));
    store_close(&store);
}

static void limits_are_at_least_one(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct store_params params = params_of(true, false);
    params.open_limit = 0;
    assert_err(WG_EINVAL, "open_limit", store_open(&params, &store));
    params.open_limit = 1;
    params.reader_limit = 0;
    assert_err(WG_EINVAL, "reader_limit", store_open(&params, &store));
    assert_null(store);
    assert_false(exists("."));
}

static void one_is_open_at_a_time(void **state)
{
    (void)state;
    struct store *store = open_store(), *second = NULL;
    assert_err(WG_EBUSY, "this process", open_as(true, false, &second));
    assert_err(WG_EBUSY, "this process", open_as(false, true, &second));
    assert_null(second);
    store_close(&store);
    store = open_store();
    store_close(&store);
}

static void collections_come_and_go(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct member *member = NULL;
    assert_ok(store_create_collection(store, "a", &seed));
    assert_true(exists("c-1/tables"));
    assert_err(WG_EEXISTS, "\"a\"", store_create_collection(store, "a", &seed));
    assert_err(WG_ENOTFOUND, "nobody", store_open_member(store, "nobody", &member));
    assert_null(member);
    assert_err(WG_ENOTFOUND, "nobody", store_drop_collection(store, "nobody"));
    assert_ok(store_drop_collection(store, "a"));
    assert_false(exists("c-1"));
    assert_ok(store_create_collection(store, "a", &seed));
    assert_true(exists("c-2"));
    store_close(&store);
    store = open_store();
    assert_ok(store_open_member(store, "a", &member));
    store_close_member(store, &member);
    assert_ok(store_drop_collection(store, "a"));
    store_close(&store);
}

static void one_collection_is_shared(void **state)
{
    (void)state;
    struct used first = begin(), second = use(first.store, "c");
    assert_ptr_equal(first.collection, second.collection);
    assert_err(WG_EBUSY, "\"c\"", store_drop_collection(first.store, "c"));
    end_use(&first);
    assert_err(WG_EBUSY, "\"c\"", store_drop_collection(second.store, "c"));
    assert_ok(inner_upsert(second.collection, 0, 3, 1)); /* still open */
    end_use(&second);
    assert_ok(store_drop_collection(second.store, "c"));
    store_close(&second.store);
}

static void a_collection_has_many_names(void **state)
{
    (void)state;
    struct used c = begin();
    assert_ok(store_set_alias(c.store, "alias", "c"));
    struct used other = use(c.store, "alias");
    assert_ptr_equal(other.collection, c.collection);
    assert_ok(store_rename_collection(c.store, "c", "d"));
    struct used third = use(c.store, "d");
    assert_ptr_equal(third.collection, c.collection);
    assert_ok(inner_upsert(c.collection, 0, 3, 1)); /* handles stay good */
    check_points(third.collection, 3, 1);
    struct member *none = NULL;
    assert_err(WG_ENOTFOUND, "\"c\"", store_open_member(c.store, "c", &none));
    assert_err(WG_ENOTFOUND, "\"alias\"", store_rename_collection(c.store, "alias", "e"));
    assert_err(WG_EEXISTS, "\"alias\"", store_rename_collection(c.store, "d", "alias"));
    assert_ok(store_remove_alias(c.store, "alias"));
    assert_err(WG_ENOTFOUND, "\"alias\"", store_open_member(c.store, "alias", &none));
    end_use(&other);
    end_use(&third);
    finish(&c);
    struct used again = use(open_store(), "d");
    check_points(again.collection, 3, 1);
    finish(&again);
}

/* An alias is no collection, whether it is open or not. */
static void an_alias_is_not_dropped(void **state)
{
    (void)state;
    struct used c = begin();
    assert_ok(store_set_alias(c.store, "alias", "c"));
    assert_err(WG_ENOTFOUND, "\"alias\"", store_drop_collection(c.store, "alias"));
    end_use(&c);
    assert_err(WG_ENOTFOUND, "\"alias\"", store_drop_collection(c.store, "alias"));
    assert_ok(store_drop_collection(c.store, "c"));
    struct member *none = NULL;
    assert_err(WG_ENOTFOUND, "\"alias\"", store_open_member(c.store, "alias", &none));
    store_close(&c.store);
}

static void a_read_only_store_is_not_written(void **state)
{
    (void)state;
    struct used c = begin();
    assert_ok(inner_upsert(c.collection, 0, 5, 1));
    finish(&c);
    assert_ok(open_as(false, true, &c.store));
    c = use(c.store, "c");
    check_points(c.collection, 5, 1);
    assert_err(WG_EREADONLY, "", inner_upsert(c.collection, 0, 5, 2));
    assert_err(WG_EREADONLY, "", inner_delete(c.collection, 0, 5));
    assert_err(WG_EREADONLY, "", collection_clear(c.collection));
    assert_err(WG_EREADONLY, "", store_create_collection(c.store, "d", &seed));
    assert_err(WG_EREADONLY, "", store_drop_collection(c.store, "c"));
    assert_err(WG_EREADONLY, "", store_rename_collection(c.store, "c", "d"));
    assert_err(WG_EREADONLY, "", store_set_alias(c.store, "d", "c"));
    assert_err(WG_EREADONLY, "", store_remove_alias(c.store, "d"));
    check_points(c.collection, 5, 1);
    finish(&c);
}

/* --- what crashes leave --- */

static void what_a_crash_left_is_swept(void **state)
{
    (void)state;
    struct used c = begin();
    assert_ok(inner_upsert(c.collection, 0, 5, 1));
    finish(&c);
    make_file("c-1/0-99.seg");
    make_file("c-1/notes.txt");
    make_file("notes.txt");
    make_subfolder("c-ff");
    make_subfolder("c-ff/tables");
    make_file("c-ff/0-0.seg");
    make_subfolder("mine");
    make_subfolder("c-old"); /* no number */
    make_subfolder("c-2.bak");
    assert_ok(open_as(false, true, &c.store)); /* reading changes nothing */
    c = use(c.store, "c");
    finish(&c);
    assert_true(exists("c-1/0-99.seg") && exists("c-ff/0-0.seg"));
    c = use(open_store(), "c");
    check_points(c.collection, 5, 1);
    assert_false(exists("c-ff"));
    assert_false(exists("c-1/0-99.seg"));
    assert_true(exists("notes.txt") && exists("mine") && exists("c-1/notes.txt")); /* not ours */
    assert_true(exists("c-old") && exists("c-2.bak"));
    finish(&c);
    assert_int_equal(inner_problems(in_store("c-1")), 0);
}

/* Without its registry a store cannot tell what is whose: it is not opened, and nothing goes. */
static void a_lost_registry_sweeps_nothing(void **state)
{
    (void)state;
    struct used c = begin();
    struct store *store = NULL;
    assert_ok(inner_upsert(c.collection, 0, 5, 1));
    finish(&c);
    assert_ok(folder_remove(in_store("registry")));
    for (size_t i = 0; i < 2; i++) {
        assert_err(WG_ECORRUPT, "nothing was removed", open_as(true, false, &store));
        assert_true(exists("c-1/0-0.seg") && exists("c-1/tables"));
    }
}

/* The collection is there: it is its file that is not. */
static void a_lost_segment_is_corrupt(void **state)
{
    (void)state;
    struct used c = begin();
    struct member *member = NULL;
    assert_ok(inner_upsert(c.collection, 0, 5, 1));
    finish(&c);
    assert_ok(file_remove(in_store("c-1/0-0.seg")));
    struct store *store = open_store();
    assert_err(WG_ECORRUPT, "0-0.seg", store_open_member(store, "c", &member));
    assert_null(member);
    assert_ok(store_create_collection(store, "d", &seed)); /* the others are none the worse */
    assert_ok(store_drop_collection(store, "c")); /* and it can be dropped */
    store_close(&store);
}

static void every_allocation_of_opening_can_fail(void **state)
{
    (void)state;
    struct used c = begin();
    assert_ok(inner_upsert(c.collection, 0, 20, 1));
    finish(&c);
    size_t in_use = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        char name[16]; /* the round before may have made its own */
        struct store *store = NULL;
        struct member *member = NULL;
        snprintf(name, sizeof name, "d%zu", request);
        mem_fail_at(++request);
        err = open_as(true, false, &store);
        if (err == WG_OK) err = store_create_collection(store, name, &seed);
        if (err == WG_OK) err = store_open_member(store, "c", &member);
        mem_fail_at(0);
        if (err != WG_OK && err != WG_ENOMEM) fail_msg("request %zu: %s", request, wg_message());
        if (member) store_close_member(store, &member);
        store_close(&store);
        assert_int_equal(mem_in_use(), in_use);
    }
    assert_true(request > 20);
    assert_int_equal(inner_problems(in_store("c-1")), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_store_is_made_when_asked),
        TEST(only_an_empty_folder_becomes_a_store),
        TEST(limits_are_at_least_one),
        TEST(one_is_open_at_a_time),
        TEST(collections_come_and_go),
        TEST(one_collection_is_shared),
        TEST(a_collection_has_many_names),
        TEST(an_alias_is_not_dropped),
        TEST(a_read_only_store_is_not_written),
        TEST(what_a_crash_left_is_swept),
        TEST(a_lost_registry_sweeps_nothing),
        TEST(a_lost_segment_is_corrupt),
        TEST(every_allocation_of_opening_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
