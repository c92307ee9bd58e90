/* The list of changes: applied to another collection it gives an equal one, whatever either did in
 * between; what does not follow is refused; how far the list goes back. WAGGLE_SEED repeats a run,
 * WAGGLE_OPS lengthens it. */
#include "support/check.h"
#include "support/content.h"
#include "support/equal.h"
#include "support/model.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static wg_context *context;
static struct prng prng;

struct side {
    char path[SCRATCH_PATH_SIZE + 8];
    wg_store *store;
    wg_collection *collection;
};

static void side_open(struct side *s)
{
    must_ok(wg_store_open(context, s->path, NULL, &s->store));
    must_ok(wg_collection_open(s->store, "c", &s->collection));
}

static void side_close(struct side *s)
{
    wg_collection_close(&s->collection);
    wg_store_close(&s->store);
}

static void side_make(struct side *s, wg_metric metric, uint64_t history)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM;
    params.metric = metric;
    params.history = history;
    snprintf(s->path, sizeof s->path, "%s/s", scratch_create());
    must_ok(wg_store_open(context, s->path, NULL, &s->store));
    must_ok(wg_collection_create(s->store, "c", &params));
    must_ok(wg_collection_open(s->store, "c", &s->collection));
}

/* Closed, and whole. */
static void side_end(struct side *s)
{
    side_close(s);
    assert_int_equal(content_problems(context, s->path), 0);
}

static wg_collection_info info_of(const struct side *s)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    must_ok(wg_collection_info_get(s->collection, &info));
    return info;
}

static wg_changes *changes_since(const struct side *s, uint64_t since, size_t limit)
{
    wg_changes *changes = NULL;
    must_ok(wg_collection_changes(s->collection, since, limit, &changes));
    return changes;
}

static void write_random(const struct side *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct model_op op;
        size_t touched;
        model_op_make(&prng, 1 + test_below(&prng, 60), &op);
        if (op.kind == OP_CLEAR) continue; /* has a test of its own */
        must_ok(model_op_run(&op, s->collection, &touched));
    }
}

/* Brings copy to where original stands; how many changes it took. */
static size_t follow(const struct side *original, const struct side *copy)
{
    size_t done = 0;
    for (;;) {
        uint64_t here = info_of(copy).sequence;
        size_t limit = 1 + test_below(&prng, 20);
        wg_changes *changes = changes_since(original, here, limit);
        size_t count = wg_changes_count(changes);
        must(count <= limit, "%zu changes, asked for %zu", count, limit);
        for (size_t i = 0; i < count; i++) {
            const wg_change *change = wg_changes_at(changes, i);
            must(change->sequence == here + 1 + i, "change %" PRIu64 " behind %" PRIu64,
                 change->sequence, here + i);
            must_ok(wg_collection_apply(copy->collection, change));
        }
        wg_changes_destroy(&changes);
        done += count;
        if (count == 0) return done;
    }
}

/* --- an equal collection --- */

enum event { COPY_REOPENS, ORIGINAL_REOPENS, ORIGINAL_COMPACTS, COPY_COMPACTS, EVENTS };

static void let_happen(struct side *original, struct side *copy, enum event event)
{
    struct side *s = event == COPY_REOPENS || event == COPY_COMPACTS ? copy : original;
    if (event == ORIGINAL_COMPACTS || event == COPY_COMPACTS)
        must_ok(wg_collection_compact(s->collection, NULL));
    else
        side_close(s), side_open(s);
}

/* Whatever either side does of its own between, and however many changes are fetched at once. */
static void changes_make_an_equal_collection(void **state)
{
    (void)state;
    uint64_t op_count = test_number_from("WAGGLE_OPS", 100);
    for (int metric = 0; metric < 5; metric++) {
        struct side original, copy;
        size_t applied = 0;
        side_make(&original, (wg_metric)metric, 100000);
        side_make(&copy, (wg_metric)metric, 100000);
        for (uint64_t done = 0; done < op_count; done += 10) {
            write_random(&original, 10);
            let_happen(&original, &copy, (enum event)test_below(&prng, EVENTS));
            if (test_below(&prng, 2)) applied += follow(&original, &copy);
        }
        applied += follow(&original, &copy);
        assert_true(applied > op_count / 2);
        equal_check(original.collection, copy.collection);
        side_end(&original);
        side_end(&copy);
    }
}

/* A copy of the copy: what was applied is in its list too. */
static void copies_can_be_followed(void **state)
{
    (void)state;
    struct side original, copy, second;
    side_make(&original, WG_COSINE, 100000);
    side_make(&copy, WG_COSINE, 100000);
    side_make(&second, WG_COSINE, 100000);
    for (size_t i = 0; i < 5; i++) {
        write_random(&original, 10);
        follow(&original, &copy);
        follow(&copy, &second);
    }
    equal_check(original.collection, second.collection);
    side_end(&original);
    side_end(&copy);
    side_end(&second);
}

static void upsert_texts(const struct side *s, size_t first, size_t count, float value)
{
    char texts[40][200];
    wg_id ids[40];
    float vectors[40 * MODEL_DIM];
    wg_batch batch;
    wg_batch_init(&batch);
    for (size_t i = 0; i < count; i++) {
        memset(texts[i], 'a' + (int)((first + i) % 26), sizeof *texts);
        snprintf(texts[i] + 100, 100, "-%zu", first + i);
        must_ok(wg_id_from_string(texts[i], &ids[i]));
    }
    for (size_t i = 0; i < count * MODEL_DIM; i++) vectors[i] = value + (float)i;
    batch.count = count;
    batch.ids = ids;
    batch.vectors = vectors;
    must_ok(wg_collection_upsert(s->collection, MODEL_DIM, &batch));
}

static void delete_text(const struct side *s, size_t i)
{
    char text[200];
    wg_id id;
    memset(text, 'a' + (int)(i % 26), sizeof text);
    snprintf(text + 100, 100, "-%zu", i);
    must_ok(wg_id_from_string(text, &id));
    must_ok(wg_collection_delete(s->collection, &id, 1, NULL));
}

/* Long ids stand elsewhere in the segments of a collection that was compacted: that must not tell
 * its history from the other's. The list of changes is short, so that there is what to compact. */
static void where_rows_stand_is_not_history(void **state)
{
    (void)state;
    struct side original, copy;
    size_t apart = 0;
    side_make(&original, WG_EUCLIDEAN, 20);
    side_make(&copy, WG_EUCLIDEAN, 20);
    for (size_t round = 0; round < 6; round++) {
        for (size_t i = 0; i < 4; i++) {
            upsert_texts(&original, i * 10, 15, (float)round);
            follow(&original, &copy);
            delete_text(&original, i * 10 + 5);
            follow(&original, &copy);
        }
        must_ok(wg_collection_compact((round % 2 ? &original : &copy)->collection, NULL));
        apart += info_of(&original).row_count != info_of(&copy).row_count;
    }
    assert_true(apart > 0);
    equal_check(original.collection, copy.collection);
    side_end(&original);
    side_end(&copy);
}

static void changes_say_what_was_written(void **state)
{
    (void)state;
    struct side s;
    wg_id ids[3];
    float vectors[3 * MODEL_DIM] = { 0 };
    const char *payloads[3] = { "{\"a\":1}", NULL, "{}" };
    wg_batch batch;
    wg_batch_init(&batch);
    for (size_t i = 0; i < 3; i++) wg_id_from_number(i, &ids[i]);
    for (size_t i = 0; i < 3 * MODEL_DIM; i++) vectors[i] = (float)i;
    batch.count = 3, batch.ids = ids, batch.vectors = vectors, batch.payloads = payloads;
    side_make(&s, WG_EUCLIDEAN, 1000);
    must_ok(wg_collection_upsert(s.collection, MODEL_DIM, &batch));
    must_ok(wg_collection_set_payload(s.collection, ids, 2, "{\"b\":2}", NULL));
    must_ok(wg_collection_set_payload(s.collection, ids, 1, NULL, NULL));
    must_ok(wg_collection_delete(s.collection, ids + 2, 1, NULL));
    must_ok(wg_collection_delete(s.collection, ids + 2, 1, NULL)); /* none is there: no write */
    wg_changes *changes = changes_since(&s, 0, 100);
    static const wg_change_kind kinds[] = { WG_CHANGE_UPSERT, WG_CHANGE_PAYLOAD, WG_CHANGE_PAYLOAD,
                                            WG_CHANGE_DELETE };
    static const size_t counts[] = { 3, 2, 1, 1 };
    assert_int_equal(wg_changes_count(changes), 4);
    for (size_t i = 0; i < 4; i++) {
        const wg_change *change = wg_changes_at(changes, i);
        assert_int_equal(change->size, sizeof *change);
        assert_int_equal(change->kind, kinds[i]);
        assert_int_equal(change->count, counts[i]);
        assert_int_equal(change->epoch, 1);
        assert_int_equal(change->sequence, i + 1);
        assert_int_equal(change->vectors != NULL, i == 0);
        assert_int_equal(change->ids[0].as.number, i == 3 ? 2 : 0);
    }
    const wg_change *upsert = wg_changes_at(changes, 0), *merge = wg_changes_at(changes, 1);
    assert_memory_equal(upsert->vectors, vectors, sizeof vectors);
    assert_string_equal(upsert->payloads[0], "{\"a\":1}");
    assert_null(upsert->payloads[1]);
    assert_non_null(strstr(merge->payloads[0], "\"a\"")); /* the whole, as it became */
    assert_non_null(strstr(merge->payloads[0], "\"b\""));
    const wg_change *cleared = wg_changes_at(changes, 2);
    assert_true(!cleared->payloads || !cleared->payloads[0] ||
                strcmp(cleared->payloads[0], "{}") == 0);
    assert_int_equal(wg_changes_at(changes, 3)->chain_hash, info_of(&s).chain_hash);
    wg_changes_destroy(&changes);
    assert_null(changes);
    wg_changes_destroy(&changes);
    side_end(&s);
}

/* What was fetched stays as it is, whatever is written, compacted or closed. */
static void changes_outlive_what_follows(void **state)
{
    (void)state;
    struct side original, copy;
    side_make(&original, WG_EUCLIDEAN, 1000);
    side_make(&copy, WG_EUCLIDEAN, 1000);
    upsert_texts(&original, 0, 40, 1);
    upsert_texts(&original, 20, 20, 2);
    wg_changes *changes = changes_since(&original, 0, 10);
    must_ok(wg_collection_clear(original.collection));
    upsert_texts(&original, 0, 40, 3);
    must_ok(wg_collection_compact(original.collection, NULL));
    side_end(&original);
    for (size_t i = 0; i < 2; i++)
        must_ok(wg_collection_apply(copy.collection, wg_changes_at(changes, i)));
    wg_changes_destroy(&changes);
    assert_int_equal(info_of(&copy).count, 40);
    side_end(&copy);
}

/* --- what does not follow --- */

static void refused(const struct side *s, const wg_change *change, wg_err want, const char *needle)
{
    uint64_t before = content_fingerprint(s->collection);
    assert_err(want, needle, wg_collection_apply(s->collection, change));
    assert_int_equal(content_fingerprint(s->collection), before);
}

static void what_does_not_follow_is_refused(void **state)
{
    (void)state;
    struct side original, copy, stranger;
    side_make(&original, WG_EUCLIDEAN, 1000);
    side_make(&copy, WG_EUCLIDEAN, 1000);
    side_make(&stranger, WG_EUCLIDEAN, 1000);
    for (size_t i = 0; i < 4; i++) upsert_texts(&original, i * 10, 10, (float)i);
    delete_text(&original, 3);
    upsert_texts(&stranger, 0, 10, 99); /* another history of the same length */
    wg_changes *changes = changes_since(&original, 0, 10);
    const wg_change *first = wg_changes_at(changes, 0), *second = wg_changes_at(changes, 1);
    refused(&copy, second, WG_ECONFLICT, "sequence"); /* a gap */
    must_ok(wg_collection_apply(copy.collection, first));
    refused(&copy, first, WG_ECONFLICT, "sequence"); /* again */
    refused(&copy, wg_changes_at(changes, 2), WG_ECONFLICT, "sequence");
    refused(&stranger, second, WG_ECONFLICT, "history");
    wg_change changed = *second;
    changed.epoch = 2;
    refused(&copy, &changed, WG_ECONFLICT, "epoch");
    changed = *second;
    changed.chain_hash ^= 1;
    refused(&copy, &changed, WG_ECONFLICT, "history");
    changed = *second;
    changed.count--; /* not all of it */
    refused(&copy, &changed, WG_ECONFLICT, "history");
    for (size_t i = 1; i < 4; i++)
        must_ok(wg_collection_apply(copy.collection, wg_changes_at(changes, i)));
    changed = *wg_changes_at(changes, 4); /* deletes a point */
    delete_text(&stranger, 9);
    refused(&stranger, &changed, WG_ECONFLICT, "sequence");
    must_ok(wg_collection_apply(copy.collection, &changed));
    wg_changes_destroy(&changes);
    equal_check(original.collection, copy.collection);
    side_end(&original);
    side_end(&copy);
    side_end(&stranger);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct side s;
    wg_changes *changes = NULL;
    side_make(&s, WG_EUCLIDEAN, 1000);
    upsert_texts(&s, 0, 10, 1);
    assert_err(WG_EINVAL, "limit", wg_collection_changes(s.collection, 0, 0, &changes));
    assert_err(WG_EINVAL, "since", wg_collection_changes(s.collection, 2, 1, &changes));
    assert_null(changes);
    float vector[MODEL_DIM] = { 0 };
    const char *payload = "[]";
    wg_id id;
    wg_id_from_number(1, &id);
    wg_change good = {
        .size = sizeof good,
        .kind = WG_CHANGE_UPSERT,
        .epoch = 1,
        .sequence = 2,
        .dim = MODEL_DIM,
        .metric = WG_EUCLIDEAN,
        .count = 1,
        .ids = &id,
        .vectors = vector,
    };
    wg_change bad = good;
    refused(&s, &good, WG_ECONFLICT, "history"); /* the hash was made up */
    bad.kind = (wg_change_kind)0;
    refused(&s, &bad, WG_EINVAL, "kind");
    bad.kind = (wg_change_kind)5;
    refused(&s, &bad, WG_EINVAL, "kind");
    bad = good;
    bad.dim++;
    refused(&s, &bad, WG_EDIM, "dimensions");
    bad = good;
    bad.metric = WG_DOT;
    refused(&s, &bad, WG_ECONFLICT, "metric");
    bad.metric = (wg_metric)77;
    refused(&s, &bad, WG_EINVAL, "77");
    bad = good;
    bad.payloads = &payload;
    refused(&s, &bad, WG_EINVAL, "payload 0");
    bad = good;
    vector[3] = 1e30f;
    refused(&s, &bad, WG_EINVAL, "vector");
    vector[3] = 0;
    wg_id none = { .type = WG_ID_STRING };
    bad.ids = &none;
    refused(&s, &bad, WG_EINVAL, "id");
    bad = good;
    bad.size = 3;
    refused(&s, &bad, WG_EINVAL, "size");
    side_end(&s);
}

/* --- how far it goes back --- */

static void the_list_goes_back_to_its_horizon(void **state)
{
    (void)state;
    struct side s;
    wg_changes *changes = NULL;
    side_make(&s, WG_EUCLIDEAN, 25);
    for (size_t i = 0; i < 10; i++) {
        upsert_texts(&s, i * 10, 10, 1);
        uint64_t horizon = i < 2 ? 0 : i - 1; /* two batches of ten fit */
        assert_int_equal(info_of(&s).horizon, horizon);
        changes = changes_since(&s, horizon, 100);
        assert_int_equal(wg_changes_count(changes), i + 1 - horizon);
        wg_changes_destroy(&changes);
        if (horizon == 0) continue;
        assert_err(WG_EGONE, "snapshot",
                   wg_collection_changes(s.collection, horizon - 1, 1, &changes));
        assert_null(changes);
    }
    side_close(&s);
    side_open(&s);
    assert_int_equal(info_of(&s).horizon, 8);
    upsert_texts(&s, 0, 30, 1); /* more than it holds */
    assert_int_equal(info_of(&s).horizon, 11);
    changes = changes_since(&s, 11, 100);
    assert_int_equal(wg_changes_count(changes), 0);
    wg_changes_destroy(&changes);
    side_end(&s);
}

static void without_history_there_is_none(void **state)
{
    (void)state;
    struct side s;
    wg_changes *changes = NULL;
    side_make(&s, WG_EUCLIDEAN, 0);
    changes = changes_since(&s, 0, 1);
    assert_int_equal(wg_changes_count(changes), 0);
    wg_changes_destroy(&changes);
    for (size_t i = 0; i < 3; i++) upsert_texts(&s, 0, 10, 1);
    assert_int_equal(info_of(&s).horizon, 3);
    assert_err(WG_EGONE, "", wg_collection_changes(s.collection, 2, 1, &changes));
    side_end(&s);
}

/* Whoever stands right before a clear can follow; before that there was nothing that is worth it.
 * */
static void a_clear_begins_the_list_anew(void **state)
{
    (void)state;
    struct side original, copy;
    wg_changes *changes = NULL;
    side_make(&original, WG_EUCLIDEAN, 1000);
    side_make(&copy, WG_EUCLIDEAN, 1000);
    upsert_texts(&original, 0, 40, 1);
    upsert_texts(&original, 10, 10, 2);
    follow(&original, &copy);
    must_ok(wg_collection_clear(original.collection));
    upsert_texts(&original, 0, 5, 3);
    assert_int_equal(info_of(&original).horizon, 2);
    assert_err(WG_EGONE, "", wg_collection_changes(original.collection, 1, 1, &changes));
    changes = changes_since(&original, 2, 1);
    assert_int_equal(wg_changes_at(changes, 0)->kind, WG_CHANGE_CLEAR);
    assert_int_equal(wg_changes_at(changes, 0)->count, 0);
    wg_changes_destroy(&changes);
    assert_int_equal(follow(&original, &copy), 2);
    must_ok(wg_collection_clear(original.collection));
    assert_int_equal(follow(&original, &copy), 1);
    must_ok(wg_collection_clear(original.collection)); /* an empty one too */
    assert_int_equal(follow(&original, &copy), 1);
    equal_check(original.collection, copy.collection);
    side_end(&original);
    side_end(&copy);
}

/* --- while it is written --- */

static atomic_bool written;

static void *write_on(void *arg)
{
    const struct side *s = arg;
    for (size_t i = 0; i < 120; i++) {
        upsert_texts(s, i % 8 * 5, 20, (float)i);
        if (i % 3 == 0) delete_text(s, i % 40);
        if (i % 40 == 39) must_ok(wg_collection_compact(s->collection, NULL));
    }
    written = true;
    return NULL;
}

static void a_copy_follows_while_others_write(void **state)
{
    (void)state;
    struct side original, copy;
    pthread_t writer;
    size_t applied = 0;
    written = false;
    side_make(&original, WG_EUCLIDEAN, 100000);
    side_make(&copy, WG_EUCLIDEAN, 100);
    assert_int_equal(pthread_create(&writer, NULL, write_on, &original), 0);
    while (!written) applied += follow(&original, &copy);
    applied += follow(&original, &copy);
    pthread_join(writer, NULL);
    assert_int_equal(applied, info_of(&original).sequence);
    equal_check(original.collection, copy.collection);
    side_end(&original);
    side_end(&copy);
}

static int setup(void **state)
{
    (void)state;
    context = test_context(NULL, 1);
    prng.state = test_seed();
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_make_an_equal_collection),
        cmocka_unit_test(copies_can_be_followed),
        cmocka_unit_test(where_rows_stand_is_not_history),
        cmocka_unit_test(changes_say_what_was_written),
        cmocka_unit_test(changes_outlive_what_follows),
        cmocka_unit_test(what_does_not_follow_is_refused),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(the_list_goes_back_to_its_horizon),
        cmocka_unit_test(without_history_there_is_none),
        cmocka_unit_test(a_clear_begins_the_list_anew),
        cmocka_unit_test(a_copy_follows_while_others_write),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
