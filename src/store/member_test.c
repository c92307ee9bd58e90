/* Collections of a store, opened when they are used and closed when others are. */
#include "store/store.h"
#include "store/write.h"
#include "support/check.h"
#include "support/inner_store.h"
#include "support/scratch.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { DIM = 3, OPEN_LIMIT = 3, COLLECTIONS = 20 };

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

static struct store *open_store(uint32_t commit_interval_ms)
{
    struct store *store = NULL;
    struct store_params params = {
        .devices = around.set,
        .background = around.background,
        .path = folder,
        .create = true,
        .commit_interval_ms = commit_interval_ms,
        .open_limit = OPEN_LIMIT,
        .reader_limit = 100,
    };
    must_ok(store_open(&params, &store));
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
}

/* Whether the collection holds points 0 to count, all of this round. */
static void check_points(struct collection *collection, size_t count, float round)
{
    float rounds[10];
    for (size_t i = 0; i < count; i++) rounds[i] = round;
    inner_check(collection, rounds, count);
}

static size_t count_handles(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    must(dir, "cannot count the handles");
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static void name_of(size_t i, char name[16])
{
    snprintf(name, 16, "c%zu", i);
}

static struct store *make_many(void)
{
    struct store *store = open_store(0);
    for (size_t i = 0; i < COLLECTIONS; i++) {
        char name[16];
        name_of(i, name);
        must_ok(store_create_collection(store, name, &seed));
    }
    return store;
}

/* Writes to every collection through a handle that is kept, in an order of its own. */
struct visitor {
    struct store *store;
    uint64_t first; /* the point that is this visitor's */
    size_t rounds;
    struct prng prng;
};

static void visit_all(void *arg)
{
    struct visitor *v = arg;
    struct member *members[COLLECTIONS];
    for (size_t i = 0; i < COLLECTIONS; i++) {
        char name[16];
        name_of(i, name);
        must_ok(store_open_member(v->store, name, &members[i]));
    }
    for (size_t round = 0; round < v->rounds; round++)
        for (size_t n = 0; n < COLLECTIONS; n++) {
            struct collection *c = NULL;
            size_t i = test_below(&v->prng, COLLECTIONS);
            must_ok(member_enter(members[i], &c));
            must_ok(inner_upsert(c, v->first, 1, (float)(round + 1)));
            member_leave(members[i]);
        }
    for (size_t i = 0; i < COLLECTIONS; i++) {
        struct collection *c = NULL;
        must_ok(member_enter(members[i], &c));
        must_ok(inner_upsert(c, v->first, 1, 99));
        member_leave(members[i]);
    }
    for (size_t i = 0; i < COLLECTIONS; i++) store_close_member(v->store, &members[i]);
}

/* All can be used at any time, by a few threads, and few are open. */
static void collections_are_opened_when_used(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    struct thread threads[THREADS];
    struct visitor visitors[THREADS];
    size_t before = count_handles();
    struct store *store = make_many();
    size_t idle = count_handles();
    for (size_t t = 0; t < THREADS; t++) {
        visitors[t] = (struct visitor){ store, t, 3, { test_seed() + t } };
        assert_ok(thread_start(visit_all, &visitors[t], &threads[t]));
    }
    for (size_t t = 0; t < THREADS; t++) thread_join(&threads[t]);
    struct used one = use(store, "c0");
    assert_true(count_handles() <= idle + OPEN_LIMIT * 4);
    end_use(&one);
    for (size_t i = 0; i < COLLECTIONS; i++) {
        char name[16];
        name_of(i, name);
        struct used used = use(store, name);
        check_points(used.collection, THREADS, 99);
        end_use(&used);
    }
    store_close(&store);
    assert_int_equal(count_handles(), before);
}

/* What is in use stays open, however many others come. */
static void what_is_used_is_not_closed(void **state)
{
    (void)state;
    struct store *store = make_many();
    struct used used[OPEN_LIMIT + 2];
    for (size_t i = 0; i < OPEN_LIMIT + 2; i++) {
        char name[16];
        name_of(i, name);
        used[i] = use(store, name); /* more than the limit at once */
        assert_ok(inner_upsert(used[i].collection, 0, 2, 1));
    }
    struct view *view = collection_view(used[0].collection);
    for (size_t i = OPEN_LIMIT + 2; i < COLLECTIONS; i++) {
        char name[16];
        name_of(i, name);
        struct used other = use(store, name);
        end_use(&other);
    }
    for (size_t i = 0; i < OPEN_LIMIT + 2; i++) check_points(used[i].collection, 2, 1);
    assert_int_equal(view->commit.point_count, 2);
    view_release(&view);
    for (size_t i = 0; i < OPEN_LIMIT + 2; i++) {
        assert_int_equal(member_point_count(used[i].member), 2);
        end_use(&used[i]);
    }
    store_close(&store);
}

struct churn {
    struct store *store;
    atomic_bool end;
    atomic_size_t opened;
};

static void open_often(void *arg)
{
    static const struct timespec pause = { 0, 300000 };
    struct churn *churn = arg;
    while (!churn->end) {
        struct member *member = NULL;
        struct collection *collection;
        wg_err err = store_open_member(churn->store, "c", &member);
        must(err == WG_OK || err == WG_ENOTFOUND, "%s", wg_message());
        nanosleep(&pause, NULL);
        if (err != WG_OK) continue;
        must_ok(member_enter(member, &collection));
        must(collection->space.dim == DIM, "another collection");
        member_leave(member);
        store_close_member(churn->store, &member);
        churn->opened++;
        nanosleep(&pause, NULL);
    }
}

/* Something to be committed when the collection is closed, so that this takes its time. */
static void queue_write(struct store *store)
{
    static const float vector[DIM];
    struct write_result result;
    wg_id id;
    wg_id_from_number(1, &id);
    struct upsert upsert = { .count = 1, .ids = &id, .vectors = vector, .may_queue = true };
    struct used used = use(store, "c");
    must_ok(collection_upsert(used.collection, &upsert, &result));
    end_use(&used);
}

/* Whoever opens it gets it whole or not at all, and it is not dropped under him. */
static void a_collection_is_dropped_while_others_open_it(void **state)
{
    (void)state;
    struct churn churn = { 0 };
    struct thread threads[3];
    churn.store = open_store(60000);
    for (size_t t = 0; t < 3; t++) assert_ok(thread_start(open_often, &churn, &threads[t]));
    for (size_t dropped = 0; dropped < 60;) {
        wg_err err = store_create_collection(churn.store, "c", &seed);
        assert_true(err == WG_OK || err == WG_EEXISTS);
        queue_write(churn.store);
        err = store_drop_collection(churn.store, "c");
        assert_true(err == WG_OK || err == WG_EBUSY);
        dropped += err == WG_OK;
    }
    churn.end = true;
    for (size_t t = 0; t < 3; t++) thread_join(&threads[t]);
    assert_true(churn.opened > 0);
    store_close(&churn.store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(collections_are_opened_when_used),
        TEST(what_is_used_is_not_closed),
        TEST(a_collection_is_dropped_while_others_open_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
