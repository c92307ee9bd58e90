/* What a write's return promises: with an interval nothing until the next commit, which a flush, a
 * conditional write and closing wait for; and errors that come late. */
#include "support/check.h"
#include "support/child.h"
#include "support/content.h"
#include "support/scratch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DIM = 4, LONG_MS = 60000 };

static char path[SCRATCH_PATH_SIZE + 8];

struct opened {
    wg_context *context;
    wg_store *store;
    wg_collection *collection;
};

static void open_store(struct opened *o, uint32_t interval_ms, uint32_t open_limit)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.commit_interval_ms = interval_ms;
    params.open_limit = open_limit;
    *o = (struct opened){ .context = test_context(NULL, 1) };
    must_ok(wg_store_open(o->context, path, &params, &o->store));
}

static struct opened open_with(uint32_t interval_ms)
{
    struct opened o;
    open_store(&o, interval_ms, 10);
    must_ok(wg_collection_open(o.store, "c", &o.collection));
    return o;
}

static void close_all(struct opened *o)
{
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
    must_ok(wg_collection_create(store, name, &params));
}

static int make_store(void **state)
{
    (void)state;
    struct opened o;
    snprintf(path, sizeof path, "%s/s", scratch_create());
    open_store(&o, 0, 10);
    create(o.store, "c");
    close_all(&o);
    return 0;
}

static wg_err upsert(wg_collection *c, uint64_t number, const uint64_t *if_version,
                     uint64_t *sequence)
{
    static const float vector[DIM];
    wg_id id;
    wg_batch batch;
    wg_batch_init(&batch);
    wg_id_from_number(number, &id);
    batch.count = 1;
    batch.ids = &id;
    batch.vectors = vector;
    batch.if_versions = if_version;
    batch.sequence = sequence;
    return wg_collection_upsert(c, DIM, &batch);
}

static void upsert_many(wg_collection *c, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) must_ok(upsert(c, first + i, NULL, NULL));
}

static uint64_t sequence_of(wg_collection *c)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    must_ok(wg_collection_info_get(c, &info));
    return info.sequence;
}

static void sleep_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static uint64_t count_in_store(void)
{
    struct opened o = open_with(0);
    uint64_t count = wg_collection_count(o.collection);
    close_all(&o);
    o.context = test_context(NULL, 1);
    assert_int_equal(content_problems(o.context, path), 0);
    wg_context_destroy(&o.context);
    return count;
}

/* --- acknowledged or not --- */

static void queued_writes_are_seen_after_a_flush(void **state)
{
    (void)state;
    struct opened o = open_with(LONG_MS);
    upsert_many(o.collection, 0, 20);
    assert_int_equal(wg_collection_count(o.collection), 0);
    assert_ok(wg_collection_flush(o.collection));
    assert_int_equal(wg_collection_count(o.collection), 20);
    wg_id id;
    wg_id_from_number(3, &id);
    assert_ok(wg_collection_delete(o.collection, &id, 1, NULL));
    assert_ok(wg_collection_set_payload(o.collection, &id, 1, "{}", NULL));
    assert_int_equal(wg_collection_count(o.collection), 20);
    assert_ok(wg_collection_flush(o.collection));
    assert_int_equal(wg_collection_count(o.collection), 19);
    assert_int_equal(sequence_of(o.collection), 21); /* the point was gone: no write */
    close_all(&o);
}

static void queued_writes_are_seen_after_the_interval(void **state)
{
    (void)state;
    struct opened o = open_with(100);
    upsert_many(o.collection, 0, 20);
    for (int i = 0; i < 5000 && wg_collection_count(o.collection) == 0; i++) sleep_ms(1);
    assert_int_equal(wg_collection_count(o.collection), 20); /* all in one commit */
    close_all(&o);
}

static void closing_commits_what_is_queued(void **state)
{
    (void)state;
    struct opened o = open_with(LONG_MS);
    upsert_many(o.collection, 0, 20);
    close_all(&o);
    assert_int_equal(count_in_store(), 20);
}

/* A collection whose files are closed for others to be opened loses nothing. */
static void making_room_commits_what_is_queued(void **state)
{
    (void)state;
    struct opened o;
    wg_collection *others[4];
    open_store(&o, LONG_MS, 1);
    for (char name = 'd'; name < 'h'; name++) {
        create(o.store, (char[]){ name, 0 });
        assert_ok(wg_collection_open(o.store, (char[]){ name, 0 }, &others[name - 'd']));
    }
    assert_ok(wg_collection_open(o.store, "c", &o.collection));
    for (uint64_t round = 0; round < 5; round++) {
        upsert_many(o.collection, round * 10, 10);
        for (size_t i = 0; i < 4; i++) upsert_many(others[i], round * 10, 10);
    }
    assert_int_equal(wg_collection_count(o.collection), 50);
    for (size_t i = 0; i < 4; i++) assert_ok(wg_collection_flush(others[i]));
    for (size_t i = 0; i < 4; i++) assert_int_equal(wg_collection_count(others[i]), 50);
    for (size_t i = 0; i < 4; i++) wg_collection_close(&others[i]);
    close_all(&o);
    assert_int_equal(count_in_store(), 50);
}

static void write_and_wait(struct child *parent, void *arg)
{
    (void)arg;
    struct opened o = open_with(LONG_MS);
    upsert_many(o.collection, 0, 10);
    must_ok(wg_collection_flush(o.collection));
    upsert_many(o.collection, 10, 10);
    child_say(parent, 'w');
    child_hear(parent);
}

static void a_crash_loses_what_was_not_flushed_and_nothing_else(void **state)
{
    (void)state;
    struct child child;
    child_begin(&child, write_and_wait, NULL);
    assert_int_equal(child_hear(&child), 'w');
    child_kill(&child);
    assert_int_equal(count_in_store(), 10);
}

static void without_an_interval_nothing_is_lost(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 3; round++) {
        struct opened o = open_with(0);
        uint64_t sequence = 0;
        assert_ok(upsert(o.collection, round, NULL, &sequence));
        assert_int_equal(sequence, round);
        assert_int_equal(wg_collection_count(o.collection), round);
        close_all(&o);
        assert_int_equal(count_in_store(), round);
    }
}

/* --- who waits --- */

/* Whoever asks for a result has it, and with it all that was queued before. */
static void who_asks_waits(void **state)
{
    (void)state;
    struct opened o = open_with(LONG_MS);
    uint64_t sequence = 0, version = 0;
    upsert_many(o.collection, 0, 5);
    assert_ok(upsert(o.collection, 5, NULL, &sequence));
    assert_int_equal(sequence, 6);
    assert_int_equal(wg_collection_count(o.collection), 6);
    upsert_many(o.collection, 6, 1);
    assert_ok(upsert(o.collection, 7, &version, NULL)); /* absent */
    assert_int_equal(wg_collection_count(o.collection), 8);
    upsert_many(o.collection, 7, 1); /* queued: version 9 */
    assert_err(WG_ECONFLICT, "id 7", upsert(o.collection, 7, &version, NULL));
    version = 9;
    assert_ok(upsert(o.collection, 7, &version, &sequence));
    assert_int_equal(sequence, 10);
    size_t deleted = 0;
    wg_id id;
    wg_id_from_number(3, &id);
    upsert_many(o.collection, 3, 1);
    assert_ok(wg_collection_delete(o.collection, &id, 1, &deleted));
    assert_int_equal(deleted, 1);
    assert_int_equal(wg_collection_count(o.collection), 7);
    upsert_many(o.collection, 3, 1);
    assert_ok(wg_collection_clear(o.collection));
    assert_int_equal(wg_collection_count(o.collection), 0);
    upsert_many(o.collection, 3, 1);
    assert_ok(wg_collection_compact(o.collection, NULL));
    assert_int_equal(wg_collection_count(o.collection), 1);
    close_all(&o);
}

static void conditional_changes_of_points(void **state)
{
    (void)state;
    struct opened o = open_with(0);
    wg_selection selection;
    wg_id ids[2];
    uint64_t versions[2] = { 1, 2 }, sequence = 0;
    size_t touched = 7;
    for (uint64_t i = 0; i < 2; i++) wg_id_from_number(i, &ids[i]);
    upsert_many(o.collection, 0, 2);
    wg_selection_init(&selection);
    selection.count = 2;
    selection.ids = ids;
    selection.if_versions = versions;
    selection.touched = &touched;
    selection.sequence = &sequence;
    assert_ok(wg_collection_set_payload_if(o.collection, &selection, "{\"a\":1}"));
    assert_int_equal(touched, 2);
    assert_int_equal(sequence, 3);
    assert_err(WG_ECONFLICT, "id 0", wg_collection_delete_if(o.collection, &selection));
    versions[0] = 3;
    assert_err(WG_ECONFLICT, "id 1", wg_collection_delete_if(o.collection, &selection));
    assert_int_equal(wg_collection_count(o.collection), 2); /* none of it */
    assert_int_equal(sequence_of(o.collection), 3);
    versions[1] = 3;
    assert_ok(wg_collection_delete_if(o.collection, &selection));
    assert_int_equal(wg_collection_count(o.collection), 0);
    versions[0] = versions[1] = 0;
    assert_ok(wg_collection_delete_if(o.collection, &selection)); /* absent, as expected */
    assert_int_equal(touched, 0);
    assert_int_equal(sequence, 4);
    close_all(&o);
}

/* --- errors that come late --- */

static wg_err upsert_twice(wg_collection *c, uint64_t number)
{
    static const float vectors[2 * DIM];
    wg_id ids[2];
    wg_batch batch;
    wg_batch_init(&batch);
    for (size_t i = 0; i < 2; i++) wg_id_from_number(number, &ids[i]);
    batch.count = 2;
    batch.ids = ids;
    batch.vectors = vectors;
    return wg_collection_upsert(c, DIM, &batch);
}

static void a_queued_write_that_fails_is_told_of(void **state)
{
    (void)state;
    struct opened o = open_with(LONG_MS);
    upsert_many(o.collection, 0, 2);
    wg_err err = upsert_twice(o.collection, 7); /* told now or then, but told */
    if (err == WG_OK) {
        upsert_many(o.collection, 2, 2);
        assert_err(WG_EINVAL, "twice", wg_collection_flush(o.collection));
    } else {
        assert_int_equal(err, WG_EINVAL);
        upsert_many(o.collection, 2, 2);
    }
    assert_ok(wg_collection_flush(o.collection)); /* once */
    assert_int_equal(wg_collection_count(o.collection), 4); /* the others are there */
    if (err == WG_OK) {
        assert_ok(upsert_twice(o.collection, 7));
        uint64_t sequence = 0;
        assert_ok(upsert(o.collection, 4, NULL, &sequence)); /* commits it, and is not harmed */
        assert_err(WG_EINVAL, "earlier", upsert(o.collection, 5, NULL, NULL));
        assert_ok(upsert(o.collection, 5, NULL, NULL));
    }
    close_all(&o);
}

/* --- several threads --- */

static void *upsert_hundred(void *arg)
{
    struct opened *o = arg;
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t next;
    pthread_mutex_lock(&mutex);
    uint64_t first = next;
    next += 100;
    pthread_mutex_unlock(&mutex);
    upsert_many(o->collection, first, 100);
    must_ok(wg_collection_flush(o->collection));
    return NULL;
}

static void threads_share_commits(void **state)
{
    (void)state;
    static const uint32_t intervals[] = { 0, 1, 20 };
    pthread_t threads[6];
    for (uint64_t i = 0; i < 3; i++) {
        struct opened o = open_with(intervals[i]);
        for (size_t t = 0; t < 6; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, upsert_hundred, &o), 0);
        for (size_t t = 0; t < 6; t++) pthread_join(threads[t], NULL);
        assert_int_equal(wg_collection_count(o.collection), (i + 1) * 600);
        assert_int_equal(sequence_of(o.collection), (i + 1) * 600);
        close_all(&o);
        assert_int_equal(count_in_store(), (i + 1) * 600);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_store)
    const struct CMUnitTest tests[] = {
        TEST(queued_writes_are_seen_after_a_flush),
        TEST(queued_writes_are_seen_after_the_interval),
        TEST(closing_commits_what_is_queued),
        TEST(making_room_commits_what_is_queued),
        TEST(a_crash_loses_what_was_not_flushed_and_nothing_else),
        TEST(without_an_interval_nothing_is_lost),
        TEST(who_asks_waits),
        TEST(conditional_changes_of_points),
        TEST(a_queued_write_that_fails_is_told_of),
        TEST(threads_share_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
