/* One process writes, others read beside it: they see what was committed, soon or when they ask,
 * and nothing else, whatever the writer does. */
#include "support/check.h"
#include "support/child.h"
#include "support/content.h"
#include "support/scratch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

enum { DIM = 24, POINTS = 40 };

static char path[SCRATCH_PATH_SIZE + 8];

/* What a process has open; contexts have threads, so each process makes its own after fork. */
struct opened {
    wg_context *context;
    wg_store *store;
    wg_collection *collection;
    wg_searcher *searcher;
};

static wg_err open_store(struct opened *o, bool read_only, uint32_t reader_limit)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = read_only;
    if (reader_limit > 0) params.reader_limit = reader_limit;
    *o = (struct opened){ .context = test_context(NULL, 1) };
    return wg_store_open(o->context, path, &params, &o->store);
}

static void open_collection(struct opened *o, const char *name)
{
    must_ok(wg_collection_open(o->store, name, &o->collection));
    must_ok(wg_searcher_create(o->collection, &o->searcher));
}

static struct opened open_as(bool read_only)
{
    struct opened o;
    must_ok(open_store(&o, read_only, 0));
    open_collection(&o, "c");
    return o;
}

static void close_all(struct opened *o)
{
    wg_searcher_destroy(&o->searcher);
    wg_collection_close(&o->collection);
    wg_store_close(&o->store);
    wg_context_destroy(&o->context);
}

static void create(wg_store *store, const char *name)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    params.metric = WG_EUCLIDEAN;
    params.history = 200;
    must_ok(wg_collection_create(store, name, &params));
}

static int make_store(void **state)
{
    (void)state;
    struct opened o;
    snprintf(path, sizeof path, "%s/s", scratch_create());
    must_ok(open_store(&o, false, 0));
    create(o.store, "c");
    close_all(&o);
    return 0;
}

/* All points get this generation, in one batch, with payloads of some size. */
static void write_generation(struct opened *o, size_t generation, size_t payload_size)
{
    wg_id ids[POINTS];
    float vectors[POINTS * DIM];
    const char *payloads[POINTS];
    char *text = allocate(payload_size + 64, 1);
    wg_batch batch;
    wg_batch_init(&batch);
    snprintf(text, payload_size + 64, "{\"g\":%zu,\"pad\":\"%*s\"}", generation, (int)payload_size,
             "");
    for (size_t i = 0; i < POINTS; i++) wg_id_from_number(i, &ids[i]);
    for (size_t i = 0; i < POINTS; i++) payloads[i] = text;
    for (size_t i = 0; i < POINTS * DIM; i++) vectors[i] = (float)generation;
    batch.count = POINTS;
    batch.ids = ids;
    batch.vectors = vectors;
    batch.payloads = payloads;
    must_ok(wg_collection_upsert(o->collection, DIM, &batch));
    free(text);
}

/* --- what a reader sees: all points of one generation, or none --- */

static size_t generation_of(const float *vector, const char *payload)
{
    for (size_t d = 1; d < DIM; d++) must(vector[d] == vector[0], "half a vector");
    size_t generation = (size_t)vector[0];
    if (payload) must(strtoul(payload + 5, NULL, 10) == generation, "payload %.20s", payload);
    return generation;
}

static size_t see_points(struct opened *o)
{
    wg_points *points = NULL;
    must_ok(wg_collection_scroll(o->collection, NULL, POINTS + 1, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                 &points));
    size_t count = wg_points_count(points), generation = 0;
    must(count == 0 || count == POINTS, "%zu points", count);
    for (size_t i = 0; i < count; i++) {
        const wg_point *point = wg_points_at(points, i);
        size_t one = generation_of(point->vector, point->payload);
        must(i == 0 || one == generation, "generations %zu and %zu", generation, one);
        generation = one;
    }
    wg_points_destroy(&points);
    return generation;
}

static size_t see_hits(struct opened *o)
{
    static const float query[DIM];
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = query;
    params.query_count = 1;
    params.dim = DIM;
    params.k = POINTS + 1;
    params.with = WG_WITH_VECTOR;
    must_ok(wg_searcher_run(o->searcher, &params));
    size_t count = 0, generation = 0;
    const wg_hit *hits = wg_searcher_hits(o->searcher, 0, &count);
    must(count == 0 || count == POINTS, "%zu hits", count);
    for (size_t i = 0; i < count; i++) {
        size_t one = generation_of(hits[i].vector, NULL);
        must(i == 0 || one == generation, "generations %zu and %zu", generation, one);
        generation = one;
    }
    return generation;
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Does as it is told: 'r' refreshes and says what it sees then, 'p' says what points it sees, 'w'
 * waits for the next generation and says how long that took in tenths of a second, 'e' ends. */
static void read_as_told(struct child *parent, void *arg)
{
    (void)arg;
    struct opened o = open_as(true);
    size_t seen = 0;
    child_say(parent, 'o');
    for (char told; (told = child_hear(parent)) != 'e';) {
        double begun = now_s();
        size_t before = seen;
        if (told == 'p') child_say(parent, (char)see_points(&o));
        if (told == 'p') continue;
        if (told == 'r') must_ok(wg_collection_refresh(o.collection));
        do {
            seen = see_hits(&o);
        } while (told == 'w' && seen == before && now_s() - begun < 20);
        if (told == 'r') must(see_points(&o) == seen, "points of another generation");
        if (told == 'r') must(wg_collection_count(o.collection) == POINTS, "another count");
        child_say(parent, told == 'r' ? (char)seen : (char)((now_s() - begun) * 10));
    }
    close_all(&o);
}

static void readers_see_commits(void **state)
{
    (void)state;
    struct child reader;
    child_begin(&reader, read_as_told, NULL);
    assert_int_equal(child_hear(&reader), 'o');
    struct opened o = open_as(false);
    for (size_t generation = 1; generation <= 10; generation++) {
        write_generation(&o, generation, 0);
        child_say(&reader, 'r'); /* at once */
        assert_int_equal(child_hear(&reader), generation);
    }
    for (size_t generation = 11; generation <= 14; generation++) {
        child_say(&reader, 'w');
        write_generation(&o, generation, 0);
        assert_in_range(child_hear(&reader), 0, 10); /* within a second */
    }
    child_say(&reader, 'e');
    child_end(&reader);
    close_all(&o);
}

/* Points as they are read by id or in order are today's, without a refresh. */
static void reading_points_is_up_to_date(void **state)
{
    (void)state;
    struct opened o = open_as(false);
    struct child reader;
    write_generation(&o, 1, 0);
    close_all(&o);
    child_begin(&reader, read_as_told, NULL);
    assert_int_equal(child_hear(&reader), 'o');
    o = open_as(false);
    for (size_t generation = 2; generation < 8; generation++) {
        write_generation(&o, generation, 0);
        child_say(&reader, 'p');
        assert_int_equal(child_hear(&reader), generation);
    }
    child_say(&reader, 'e');
    child_end(&reader);
    close_all(&o);
}

/* Looks until it is told to end: whatever it sees must be one commit, and never an older one than
 * before. Then it must see the last one. */
static void look_on(struct child *parent, void *arg)
{
    (void)arg;
    struct opened o = open_as(true);
    size_t last_hits = 0, last_points = 0, looks = 0;
    fd_set line;
    child_say(parent, 'o');
    for (bool end = false; !end; looks++) {
        struct timeval none = { 0, 0 };
        FD_ZERO(&line);
        FD_SET(parent->in, &line);
        end = select(parent->in + 1, &line, NULL, NULL, &none) == 1;
        if (end || looks % 3 == 0) must_ok(wg_collection_refresh(o.collection));
        size_t hits = see_hits(&o), points = see_points(&o);
        must(hits == 0 || hits >= last_hits, "hits of %zu after %zu", hits, last_hits);
        must(points == 0 || points >= last_points, "points of %zu after %zu", points, last_points);
        must(points == 0 || points >= hits, "points of %zu, hits of %zu", points, hits);
        if (hits > 0) last_hits = hits;
        if (points > 0) last_points = points;
    }
    must(child_hear(parent) == 'e', "told something else");
    child_say(parent, see_points(&o) == see_hits(&o) ? (char)see_hits(&o) : -1);
    must(looks > 5, "looked only %zu times", looks);
    close_all(&o);
}

/* Clears, compacts, lets the map grow from 16 MB on; all of it under readers. */
static void readers_see_whole_commits_only(void **state)
{
    (void)state;
    enum { READERS = 2, GENERATIONS = 120 };
    struct child readers[READERS];
    for (size_t i = 0; i < READERS; i++) child_begin(&readers[i], look_on, NULL);
    for (size_t i = 0; i < READERS; i++) assert_int_equal(child_hear(&readers[i]), 'o');
    struct opened o = open_as(false);
    for (size_t generation = 1; generation <= GENERATIONS; generation++) {
        write_generation(&o, generation, generation % 10 == 0 ? 400000 : 100);
        if (generation % 7 == 3) must_ok(wg_collection_clear(o.collection));
        if (generation % 5 == 4) must_ok(wg_collection_compact(o.collection, NULL));
    }
    for (size_t i = 0; i < READERS; i++) child_say(&readers[i], 'e');
    for (size_t i = 0; i < READERS; i++) assert_int_equal(child_hear(&readers[i]), GENERATIONS);
    for (size_t i = 0; i < READERS; i++) child_end(&readers[i]);
    close_all(&o);
    o.context = test_context(NULL, 1);
    assert_int_equal(content_problems(o.context, path), 0);
    wg_context_destroy(&o.context);
}

/* --- names --- */

static void find_as_told(struct child *parent, void *arg)
{
    (void)arg;
    struct opened o = open_as(true);
    child_say(parent, 'o');
    for (char told; (told = child_hear(parent)) != 'e';) {
        char name[2] = { told, 0 };
        wg_collection *found = NULL;
        wg_err err = wg_collection_open(o.store, name, &found);
        must(err == WG_OK || err == WG_ENOTFOUND, "%s", wg_message());
        wg_collection_close(&found);
        child_say(parent, err == WG_OK ? 'y' : 'n');
    }
    wg_err err = wg_collection_refresh(o.collection);
    must(err == WG_ENOTFOUND && strstr(wg_message(), "dropped"), "%s", wg_message());
    see_hits(&o); /* what was there when it was dropped, or before */
    close_all(&o);
}

static bool finds(const struct child *reader, char name)
{
    child_say(reader, name);
    return child_hear(reader) == 'y';
}

static void readers_see_names_come_and_go(void **state)
{
    (void)state;
    struct child reader;
    child_begin(&reader, find_as_told, NULL);
    assert_int_equal(child_hear(&reader), 'o');
    struct opened o = open_as(false);
    assert_false(finds(&reader, 'd'));
    create(o.store, "d");
    assert_true(finds(&reader, 'd'));
    assert_ok(wg_alias_set(o.store, "a", "d"));
    assert_true(finds(&reader, 'a'));
    assert_ok(wg_collection_rename(o.store, "d", "e2"));
    assert_false(finds(&reader, 'd'));
    assert_true(finds(&reader, 'a'));
    assert_ok(wg_collection_drop(o.store, "e2"));
    assert_false(finds(&reader, 'a'));
    write_generation(&o, 1, 0);
    wg_searcher_destroy(&o.searcher);
    wg_collection_close(&o.collection);
    assert_ok(wg_collection_drop(o.store, "c")); /* another process has it open: no matter */
    child_say(&reader, 'e');
    child_end(&reader);
    close_all(&o);
}

/* --- who may --- */

static void try_to_write(struct child *parent, void *arg)
{
    struct opened o;
    char pid[32];
    (void)arg;
    snprintf(pid, sizeof pid, "process %d ", (int)parent->pid);
    wg_err err = open_store(&o, false, 0);
    must(err == WG_EBUSY, "%s", wg_err_name(err));
    must(strstr(wg_message(), pid), "\"%s\" does not name %s", wg_message(), pid);
    wg_context_destroy(&o.context);
    o = open_as(true);
    wg_id id;
    wg_id_from_number(1, &id);
    must(wg_collection_delete(o.collection, &id, 1, NULL) == WG_EREADONLY, "written");
    must(wg_collection_compact(o.collection, NULL) == WG_EREADONLY, "compacted");
    must(wg_collection_clear(o.collection) == WG_EREADONLY, "cleared");
    must(wg_collection_flush(o.collection) == WG_OK, "%s", wg_message());
    close_all(&o);
}

static void a_second_writer_is_told_of_the_first(void **state)
{
    (void)state;
    struct opened o = open_as(false), second;
    child_run(try_to_write, NULL); /* though it has what we have open, as a child of fork */
    assert_err(WG_EBUSY, "this process", open_store(&second, true, 0));
    wg_context_destroy(&second.context);
    write_generation(&o, 1, 0);
    close_all(&o);
}

static void write_until_killed(struct child *parent, void *arg)
{
    (void)arg;
    struct opened o = open_as(false);
    child_say(parent, 'o');
    for (size_t generation = see_points(&o) + 1;; generation++) {
        write_generation(&o, generation, 1000);
        must_ok(wg_collection_compact(o.collection, NULL)); /* begins a segment, or two */
    }
}

/* Readers outlive writers, and read on beside the next one. */
static void readers_outlive_killed_writers(void **state)
{
    (void)state;
    struct child writer, reader;
    child_begin(&reader, look_on, NULL);
    assert_int_equal(child_hear(&reader), 'o');
    for (size_t round = 0; round < 5; round++) {
        struct timespec moment = { 0, 60000000 };
        child_begin(&writer, write_until_killed, NULL);
        assert_int_equal(child_hear(&writer), 'o');
        nanosleep(&moment, NULL);
        child_kill(&writer);
    }
    child_say(&reader, 'e');
    assert_int_not_equal(child_hear(&reader), -1); /* two generations */
    child_end(&reader);
}

/* --- how many may read --- */

static atomic_size_t refused, answered;

static void *get_often(void *arg)
{
    struct opened *o = arg;
    wg_id id;
    wg_id_from_number(3, &id);
    for (size_t i = 0; i < 3000 && (refused == 0 || answered < 100); i++) {
        wg_points *points = NULL;
        wg_err err = wg_collection_get(o->collection, &id, 1, WG_WITH_PAYLOAD, &points);
        if (err == WG_OK) must(wg_points_at(points, 0)->found, "the point is not found");
        if (err != WG_OK)
            must(err == WG_EBUSY && strstr(wg_message(), "reader"), "%s", wg_message());
        *(err == WG_OK ? &answered : &refused) += 1;
        wg_points_destroy(&points);
    }
    return NULL;
}

static bool note_alias(void *user, const char *alias, const char *collection)
{
    snprintf(user, 64, "%s>%s", alias, collection);
    return true;
}

/* One transaction at a time: calls that come one by one are not refused. */
static void the_number_of_readers_is_a_setting(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct opened o;
    pthread_t threads[THREADS];
    char aliases[64] = "";
    refused = answered = 0;
    snprintf(path, sizeof path, "%s/s", scratch_create());
    assert_ok(open_store(&o, false, 1));
    create(o.store, "c");
    open_collection(&o, "c");
    write_generation(&o, 1, 200000);
    assert_int_equal(see_points(&o), 1);
    assert_int_equal(see_hits(&o), 1);
    assert_ok(wg_alias_set(o.store, "a", "c"));
    assert_ok(wg_alias_list(o.store, note_alias, aliases));
    assert_string_equal(aliases, "a>c");
    for (size_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, get_often, &o), 0);
    for (size_t t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    assert_true(refused > 0 && answered > 0);
    assert_int_equal(see_points(&o), 1);
    close_all(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_store)
    const struct CMUnitTest tests[] = {
        TEST(readers_see_commits),
        TEST(reading_points_is_up_to_date),
        TEST(readers_see_whole_commits_only),
        TEST(readers_see_names_come_and_go),
        TEST(a_second_writer_is_told_of_the_first),
        TEST(readers_outlive_killed_writers),
        TEST(the_number_of_readers_is_a_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
