/* Many collections of one store, of which few are open at a time; their names and aliases. */
#include "support/check.h"
#include "support/content.h"
#include "support/scratch.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { DIM = 8, COLLECTIONS = 20, OPEN_LIMIT = 3, THREADS = 4, POINTS = 15 };

static wg_context *context;
static char path[SCRATCH_PATH_SIZE + 8];
static wg_store *store;
static wg_collection *collections[COLLECTIONS];

static void create(const char *name)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    params.metric = WG_EUCLIDEAN;
    assert_ok(wg_collection_create(store, name, &params));
}

static const char *name_of(size_t i)
{
    static char names[COLLECTIONS][16];
    snprintf(names[i], sizeof names[i], "c%zu", i);
    return names[i];
}

static int begin(void **state)
{
    (void)state;
    wg_store_params params;
    wg_store_params_init(&params);
    params.open_limit = OPEN_LIMIT;
    snprintf(path, sizeof path, "%s/s", scratch_create());
    must_ok(wg_store_open(context, path, &params, &store));
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COLLECTIONS; i++) wg_collection_close(&collections[i]);
    wg_store_close(&store);
    assert_int_equal(content_problems(context, path), 0);
    return 0;
}

static void open_all(void)
{
    for (size_t i = 0; i < COLLECTIONS; i++) create(name_of(i));
    for (size_t i = 0; i < COLLECTIONS; i++)
        assert_ok(wg_collection_open(store, name_of(i), &collections[i]));
}

/* Points first to first + POINTS of this value. */
static void write_points(wg_collection *c, uint64_t first, float value)
{
    wg_id ids[POINTS];
    float vectors[POINTS * DIM];
    wg_batch batch;
    wg_batch_init(&batch);
    for (size_t i = 0; i < POINTS; i++) wg_id_from_number(first + i, &ids[i]);
    for (size_t i = 0; i < POINTS * DIM; i++) vectors[i] = value;
    batch.count = POINTS;
    batch.ids = ids;
    batch.vectors = vectors;
    must_ok(wg_collection_upsert(c, DIM, &batch));
}

static const wg_hit *search(wg_searcher *searcher, float value, size_t k, size_t *count)
{
    float query[DIM];
    wg_search_params params;
    wg_search_params_init(&params);
    for (size_t d = 0; d < DIM; d++) query[d] = value;
    params.queries = query;
    params.query_count = 1;
    params.dim = DIM;
    params.k = k;
    params.with = WG_WITH_VECTOR | WG_WITH_PAYLOAD;
    must_ok(wg_searcher_run(searcher, &params));
    return wg_searcher_hits(searcher, 0, count);
}

/* --- few are open --- */

struct visitor {
    size_t number;
    struct prng prng;
};

/* Writes, searches and reads collections in an order of its own; its points are nobody else's. */
static void *visit(void *arg)
{
    struct visitor *v = arg;
    wg_searcher *searchers[COLLECTIONS];
    float written[COLLECTIONS] = { 0 };
    uint64_t first = v->number * 100;
    for (size_t i = 0; i < COLLECTIONS; i++)
        must_ok(wg_searcher_create(collections[i], &searchers[i]));
    for (size_t round = 1; round < 50; round++) {
        size_t i = test_below(&v->prng, COLLECTIONS), count = 0;
        written[i] = (float)(1000 * v->number + round);
        write_points(collections[i], first, written[i]);
        i = test_below(&v->prng, COLLECTIONS);
        const wg_hit *hits = search(searchers[i], written[i], POINTS, &count);
        for (size_t h = 0; written[i] > 0 && h < POINTS; h++)
            must(h < count && hits[h].score == 0 && hits[h].id.as.number == first + h,
                 "hit %zu is not the one that was written", h);
        must(written[i] == 0 || wg_collection_count(collections[i]) >= POINTS, "points are gone");
    }
    for (size_t i = 0; i < COLLECTIONS; i++) wg_searcher_destroy(&searchers[i]);
    return NULL;
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

static void all_can_be_used_by_many_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct visitor visitors[THREADS];
    size_t idle = count_handles();
    open_all();
    for (size_t t = 0; t < THREADS; t++) {
        visitors[t] = (struct visitor){ t, { test_seed() + t } };
        assert_int_equal(pthread_create(&threads[t], NULL, visit, &visitors[t]), 0);
    }
    for (size_t t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    assert_ok(wg_collection_flush(collections[0]));
    assert_true(count_handles() < idle + 5 * OPEN_LIMIT);
}

/* What a search found stays as it is when the collection's files are closed, and when it is
 * compacted or cleared. */
static void hits_outlive_closed_files(void **state)
{
    (void)state;
    wg_searcher *searchers[COLLECTIONS];
    const wg_hit *hits[COLLECTIONS];
    open_all();
    for (size_t i = 0; i < COLLECTIONS; i++) {
        size_t count = 0;
        write_points(collections[i], 0, (float)i);
        assert_ok(wg_searcher_create(collections[i], &searchers[i]));
        hits[i] = search(searchers[i], (float)i, POINTS, &count);
        assert_int_equal(count, POINTS);
    }
    for (size_t i = 0; i < COLLECTIONS; i++) {
        write_points(collections[i], 0, 77);
        if (i % 2) assert_ok(wg_collection_clear(collections[i]));
        assert_ok(wg_collection_compact(collections[i], NULL));
    }
    for (size_t i = 0; i < COLLECTIONS; i++)
        for (size_t h = 0; h < POINTS; h++) {
            assert_int_equal(hits[i][h].id.as.number, h);
            assert_true(hits[i][h].vector[0] == (float)i && hits[i][h].vector[DIM - 1] == (float)i);
            assert_string_equal(hits[i][h].payload, "{}");
        }
    for (size_t i = 0; i < COLLECTIONS; i++) wg_searcher_destroy(&searchers[i]);
}

/* Handles of many cost no more files than those of few. */
static void there_may_be_many(void **state)
{
    (void)state;
    enum { MANY = 120 };
    size_t idle = count_handles();
    static wg_collection *many[MANY];
    for (size_t i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%zu", i);
        create(name);
        assert_ok(wg_collection_open(store, name, &many[i]));
    }
    assert_true(count_handles() < idle + 5 * OPEN_LIMIT);
    for (size_t i = 0; i < MANY; i += 7) write_points(many[i], i, 1);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(wg_collection_count(many[i]), i % 7 ? 0 : POINTS);
    for (size_t i = 0; i < MANY; i++) wg_collection_close(&many[i]);
}

/* --- names --- */

struct names {
    char text[256];
};

static bool note_name(void *user, const char *name)
{
    struct names *names = user;
    strncat(names->text, name, 100);
    strcat(names->text, " ");
    return true;
}

static bool note_alias(void *user, const char *alias, const char *collection)
{
    struct names *names = user;
    strncat(names->text, alias, 100);
    strcat(names->text, ">");
    return note_name(user, collection);
}

static void names_are(const char *collections_want, const char *aliases_want)
{
    struct names of_collections = { "" }, of_aliases = { "" };
    assert_ok(wg_store_list(store, note_name, &of_collections));
    assert_ok(wg_alias_list(store, note_alias, &of_aliases));
    assert_string_equal(of_collections.text, collections_want);
    assert_string_equal(of_aliases.text, aliases_want);
}

static void names_and_aliases(void **state)
{
    (void)state;
    create("b");
    create("a");
    assert_ok(wg_alias_set(store, "z", "a"));
    assert_ok(wg_alias_set(store, "y", "b"));
    names_are("a b ", "y>b z>a ");
    assert_ok(wg_collection_rename(store, "a", "c"));
    names_are("b c ", "y>b z>c ");
    assert_ok(wg_alias_set(store, "z", "b")); /* switched */
    names_are("b c ", "y>b z>b ");
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    assert_err(WG_EEXISTS, "\"z\"", wg_collection_create(store, "z", &params));
    assert_err(WG_EEXISTS, "\"b\"", wg_alias_set(store, "b", "c"));
    assert_err(WG_EEXISTS, "\"y\"", wg_collection_rename(store, "c", "y"));
    assert_err(WG_ENOTFOUND, "\"z\"", wg_collection_drop(store, "z"));
    assert_err(WG_ENOTFOUND, "\"none\"", wg_alias_set(store, "z", "none"));
    assert_err(WG_ENOTFOUND, "\"none\"", wg_alias_remove(store, "none"));
    assert_ok(wg_collection_drop(store, "b"));
    names_are("c ", "");
}

static atomic_bool ended;

/* Opens the alias again and again: it is always one of the two, whole. */
static void *open_alias(void *arg)
{
    atomic_size_t *seen = arg;
    while (!ended) {
        wg_collection *c = NULL;
        must_ok(wg_collection_open(store, "live", &c));
        uint64_t count = wg_collection_count(c);
        must(count == POINTS || count == 2 * POINTS, "%zu points", (size_t)count);
        seen[count / POINTS - 1]++;
        wg_collection_close(&c);
    }
    return NULL;
}

static void an_alias_is_switched_at_once(void **state)
{
    (void)state;
    static const char *const sides[] = { "blue", "green" };
    pthread_t thread;
    atomic_size_t seen[2] = { 0 };
    ended = false;
    for (size_t i = 0; i < 2; i++) {
        wg_collection *c = NULL;
        create(sides[i]);
        assert_ok(wg_collection_open(store, sides[i], &c));
        for (size_t n = 0; n <= i; n++) write_points(c, n * POINTS, 1);
        wg_collection_close(&c);
    }
    assert_ok(wg_alias_set(store, "live", "blue"));
    assert_int_equal(pthread_create(&thread, NULL, open_alias, seen), 0);
    /* until the thread, which may have to wait for its processor, has seen both */
    for (size_t i = 0; i < 100 || (i < 100000 && (seen[0] == 0 || seen[1] == 0)); i++)
        assert_ok(wg_alias_set(store, "live", sides[i % 2]));
    ended = true;
    pthread_join(thread, NULL);
    assert_true(seen[0] > 0 && seen[1] > 0);
}

/* Handles stay good, whatever the collection is called. */
static void renaming_under_use(void **state)
{
    (void)state;
    wg_collection *c = NULL, *again = NULL;
    create("one");
    assert_ok(wg_collection_open(store, "one", &c));
    write_points(c, 0, 1);
    assert_ok(wg_collection_rename(store, "one", "two"));
    write_points(c, 100, 2);
    assert_ok(wg_collection_open(store, "two", &again));
    assert_int_equal(wg_collection_count(again), 2 * POINTS);
    assert_err(WG_EBUSY, "two", wg_collection_drop(store, "two"));
    wg_collection_close(&again);
    assert_err(WG_EBUSY, "two", wg_collection_drop(store, "two"));
    wg_collection_close(&c);
    assert_ok(wg_collection_drop(store, "two"));
    names_are("", "");
}

static int setup(void **state)
{
    (void)state;
    context = test_context(NULL, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wg_context_destroy(&context);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(all_can_be_used_by_many_threads),
        TEST(hits_outlive_closed_files),
        TEST(there_may_be_many),
        TEST(names_and_aliases),
        TEST(an_alias_is_switched_at_once),
        TEST(renaming_under_use),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
