/* Random writes, reads, searches, reopenings and compactions of a collection against a model in
 * memory; now and then it moves into a copy restored from a snapshot. A second store gets the same
 * writes or, every other time, follows by the list of changes, and begins again from a snapshot
 * when that does not go back far enough. Their histories' hashes are equal at the end. WAGGLE_SEED
 * and WAGGLE_OPS (120 for each metric) repeat and lengthen it. */
#include "support/check.h"
#include "support/content.h"
#include "support/model.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    char path[SCRATCH_PATH_SIZE + 8];
    wg_store *store;
    wg_collection *collection;
    wg_searcher *searcher;
};

static wg_context *contexts[3];
static struct prng prng;
static struct model model;
static uint64_t versions[MODEL_IDS]; /* of each point: the sequence after its last write */
static char why[MODEL_WHY_SIZE];
static size_t reads, searches, moves, changes_applied, too_late;
static bool follows; /* the second store, by the list of changes */

static void subject_open(struct subject *s)
{
    assert_ok(wg_store_open(contexts[test_below(&prng, 3)], s->path, NULL, &s->store));
    assert_ok(wg_collection_open(s->store, "model", &s->collection));
    assert_ok(wg_searcher_create(s->collection, &s->searcher));
}

static void subject_close(struct subject *s)
{
    wg_searcher_destroy(&s->searcher);
    wg_collection_close(&s->collection);
    wg_store_close(&s->store);
}

static void subject_create(struct subject *s)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM;
    params.metric = model.metric;
    params.history = 40;
    snprintf(s->path, sizeof s->path, "%s/s", scratch_create());
    assert_ok(wg_store_open(contexts[0], s->path, NULL, &s->store));
    assert_ok(wg_collection_create(s->store, "model", &params));
    wg_store_close(&s->store);
    subject_open(s);
}

static wg_collection_info info_of(const struct subject *s)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    assert_ok(wg_collection_info_get(s->collection, &info));
    return info;
}

static void write_both(struct subject *subjects)
{
    struct model_op op;
    model_op_make(&prng, 1 + test_below(&prng, 40), &op);
    size_t expected = op.kind == OP_UPSERT ? 0 : model_touches(&model, &op);
    for (size_t i = 0; i < (follows ? 1 : 2); i++) {
        size_t touched;
        assert_ok(model_op_run(&op, subjects[i].collection, &touched));
        assert_int_equal(touched, expected);
    }
    model_apply(&model, &op);
    for (size_t i = 0; i < op.count; i++)
        if (model.points[op.ids[i]].alive) versions[op.ids[i]] = info_of(subjects).sequence;
}

static void read_some(const struct subject *s)
{
    enum { ASKED = 12 };
    wg_id ids[ASKED];
    size_t chosen[ASKED], count = 1 + test_below(&prng, ASKED);
    for (size_t i = 0; i < count; i++) {
        chosen[i] = test_below(&prng, MODEL_IDS); /* the same one twice is fine */
        ids[i] = *model_id(chosen[i]);
    }
    wg_points *points = NULL;
    assert_ok(wg_collection_get(s->collection, ids, count, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                &points));
    assert_int_equal(wg_points_count(points), count);
    for (size_t i = 0; i < count; i++, reads++) {
        const wg_point *point = wg_points_at(points, i);
        if (!model_has_point(&model, chosen[i], point, why)) fail_msg("%s", why);
        assert_true(point->version == (point->found ? versions[chosen[i]] : 0));
    }
    wg_points_destroy(&points);
}

/* A page behind a random id, there or not. */
static void scroll_some(const struct subject *s)
{
    size_t after = test_below(&prng, MODEL_IDS + 1), limit = 1 + test_below(&prng, 30), at = 0;
    const wg_id *behind = after == MODEL_IDS ? NULL : model_id(after);
    wg_points *points = NULL;
    assert_ok(wg_collection_scroll(s->collection, behind, limit, WG_WITH_VECTOR | WG_WITH_PAYLOAD,
                                   &points));
    for (size_t i = behind ? after + 1 : 0; i < MODEL_IDS && at < limit; i++) {
        if (!model.points[i].alive) continue;
        assert_true(at < wg_points_count(points));
        if (!model_has_point(&model, i, wg_points_at(points, at++), why)) fail_msg("%s", why);
    }
    assert_int_equal(wg_points_count(points), at);
    wg_points_destroy(&points);
}

static void search_some(const struct subject *s)
{
    size_t k = 1 + test_below(&prng, prng_next(&prng) % 2 ? 10 : MODEL_IDS + 1);
    if (!model_answers(&model, s->searcher, &prng, k, why)) fail_msg("%s", why);
    searches++;
}

static void reopen(struct subject *s)
{
    subject_close(s);
    if (prng_next(&prng) % 4 == 0) assert_int_equal(content_problems(contexts[0], s->path), 0);
    subject_open(s);
}

/* to becomes what a snapshot of from says. */
static void move(struct subject *from, struct subject *to)
{
    char snapshot[SCRATCH_PATH_SIZE + 8], path[SCRATCH_PATH_SIZE + 8];
    static const char *folder;
    if (!folder) folder = scratch_create();
    snprintf(snapshot, sizeof snapshot, "%s/snapshot", folder);
    snprintf(path, sizeof path, "%s/%zu", folder, moves);
    assert_ok(wg_store_snapshot(from->store, snapshot));
    assert_ok(wg_store_restore(contexts[0], snapshot, path));
    subject_close(to);
    scratch_remove(to->path);
    memcpy(to->path, path, sizeof path);
    subject_open(to);
    scratch_remove(snapshot);
    moves++;
}

/* The second store comes to where the first one is. */
static void follow(struct subject *subjects)
{
    wg_changes *changes = NULL;
    for (uint64_t at; (at = info_of(&subjects[1]).sequence) < info_of(&subjects[0]).sequence;) {
        size_t limit = 1 + test_below(&prng, 5);
        wg_err err = wg_collection_changes(subjects[0].collection, at, limit, &changes);
        if (err == WG_EGONE) {
            move(&subjects[0], &subjects[1]);
            too_late++;
            continue;
        }
        assert_ok(err);
        for (size_t i = 0; i < wg_changes_count(changes); i++, changes_applied++)
            assert_ok(wg_collection_apply(subjects[1].collection, wg_changes_at(changes, i)));
        wg_changes_destroy(&changes);
    }
}

static void play(struct subject *subjects, uint64_t op_count)
{
    for (uint64_t i = 0; i < op_count; i++) {
        write_both(subjects);
        if (prng_next(&prng) % 12 == 0) reopen(&subjects[0]);
        if (prng_next(&prng) % 16 == 0)
            assert_ok(wg_collection_compact(subjects[0].collection, NULL));
        if (prng_next(&prng) % 40 == 0) move(&subjects[0], &subjects[0]);
        if (follows && (i % 2 || prng_next(&prng) % 3 == 0)) follow(subjects);
        read_some(&subjects[0]);
        scroll_some(&subjects[0]);
        search_some(&subjects[i % 2]);
        if (i % 20 == 0 && !model_equals(&model, subjects[0].collection, why)) fail_msg("%s", why);
    }
}

static void test_against_the_model(void **state)
{
    (void)state;
    uint64_t op_count = test_number_from("WAGGLE_OPS", 120);
    for (int metric = 0; metric < 5; metric++) {
        struct subject subjects[2];
        memset(&model, 0, sizeof model);
        model.metric = (wg_metric)metric;
        follows = metric % 2;
        subject_create(&subjects[0]);
        subject_create(&subjects[1]);
        play(subjects, op_count);
        follow(subjects);
        assert_int_equal(info_of(&subjects[0]).chain_hash, info_of(&subjects[1]).chain_hash);
        assert_int_equal(info_of(&subjects[0]).sequence, info_of(&subjects[1]).sequence);
        assert_true(info_of(&subjects[0]).row_count <= model.row_count); /* clear may drop rows */
        assert_true(info_of(&subjects[0]).row_count >= model_count(&model));
        for (size_t i = 0; i < 2; i++) {
            if (!model_equals(&model, subjects[i].collection, why)) fail_msg("%s", why);
            subject_close(&subjects[i]);
            assert_int_equal(content_problems(contexts[0], subjects[i].path), 0);
        }
        printf("%s: %" PRIu64 " writes\n", wg_metric_name(model.metric), op_count);
    }
    printf("%zu points read and %zu searches equal to the model's; restored %zu times, %zu changes "
           "applied, %zu times too late for that\n",
           reads, searches, moves, changes_applied, too_late);
}

/* Different histories have different hashes: what the test above compares is worth comparing. */
static void test_other_histories_hash_otherwise(void **state)
{
    (void)state;
    struct subject subjects[2];
    struct model_op op;
    size_t touched;
    memset(&model, 0, sizeof model);
    subject_create(&subjects[0]);
    subject_create(&subjects[1]);
    assert_int_equal(info_of(&subjects[0]).chain_hash, info_of(&subjects[1]).chain_hash);
    for (size_t i = 0; i < 2; i++) {
        memset(&op, 0, sizeof op);
        op.count = 1;
        op.seed = i; /* another vector */
        assert_ok(model_op_run(&op, subjects[i].collection, &touched));
    }
    assert_true(info_of(&subjects[0]).chain_hash != info_of(&subjects[1]).chain_hash);
    for (size_t i = 0; i < 2; i++) subject_close(&subjects[i]);
}

static int setup(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) contexts[i] = test_context(NULL, i + 1);
    prng.state = test_seed();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) wg_context_destroy(&contexts[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_model),
        cmocka_unit_test(test_other_histories_hash_otherwise),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
