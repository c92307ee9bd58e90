/* Vectors of every stored type, from end to end: what is taken and what is refused, how f32 is
 * rounded, and that all that is done to a store (snapshot, restore, export, repair, changes,
 * compaction) keeps them bit for bit. That searches find the right ones, search_store_test says. */
#include "support/check.h"
#include "support/data.h"
#include "support/scratch.h"
#include "support/types.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 19, POINTS = 300, BATCH = 50 };

static wg_context *context;
static struct prng prng;

static const char *path_in(const char *name)
{
    static char paths[8][SCRATCH_PATH_SIZE + 32];
    static size_t next;
    static const char *folder;
    if (!folder) folder = scratch_create();
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    scratch_remove(path);
    return path;
}

static wg_err create(wg_store *store, struct test_space space, uint32_t dim)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = dim;
    params.metric = space.metric;
    params.type = space.type;
    return wg_collection_create(store, "c", &params);
}

/* A collection in memory. */
struct place {
    wg_store *store;
    wg_collection *collection;
    size_t dim;
};

static struct place open_in(const char *path, struct test_space space, uint32_t dim)
{
    struct place p = { .dim = dim };
    assert_ok(wg_store_open(context, path, NULL, &p.store));
    assert_ok(create(p.store, space, dim));
    assert_ok(wg_collection_open(p.store, "c", &p.collection));
    return p;
}

static void close_place(struct place *p)
{
    wg_collection_close(&p->collection);
    wg_store_close(&p->store);
}

/* Points first to first + count. */
static wg_err upsert(struct place *p, uint64_t first, size_t count, wg_type type, const void *data)
{
    wg_id *ids = allocate(count, sizeof *ids);
    for (size_t i = 0; i < count; i++) wg_id_from_number(first + i, &ids[i]);
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = count;
    batch.ids = ids;
    batch.data = data;
    batch.type = type;
    wg_err err = wg_collection_upsert(p->collection, p->dim, &batch);
    free(ids);
    return err;
}

static void get(struct place *p, uint64_t id, void *stored, size_t size)
{
    wg_points *points = NULL;
    wg_id key;
    wg_id_from_number(id, &key);
    assert_ok(wg_collection_get(p->collection, &key, 1, WG_WITH_VECTOR, &points));
    assert_true(wg_points_at(points, 0)->found);
    memcpy(stored, wg_points_at(points, 0)->data, size);
    wg_points_destroy(&points);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = { "f32", "f16", "u8", "bits" };
    static const size_t sizes[] = { 76, 38, 19, 3 };
    for (int t = 0; t < 4; t++) {
        wg_type type = (wg_type)9;
        assert_string_equal(wg_type_name((wg_type)t), names[t]);
        assert_ok(wg_type_parse(names[t], &type));
        assert_int_equal(type, t);
        assert_int_equal(wg_type_vector_size(type, DIM), sizes[t]);
    }
    wg_type type = WG_U8;
    assert_null(wg_type_name((wg_type)4));
    assert_err(WG_EINVAL, "bits", wg_type_parse("f64", &type));
    assert_int_equal(type, WG_U8);
}

static void test_spaces_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        struct test_space space;
        uint32_t dim;
        wg_err err;
        const char *needle;
    } wrong[] = {
        { { WG_BITS, WG_COSINE }, 8, WG_EINVAL, "bits do not go with metric cosine" },
        { { WG_BITS, WG_MANHATTAN }, 8, WG_EINVAL, "hamming" },
        { { WG_F32, WG_HAMMING }, 8, WG_EINVAL, "f32 do not go with metric hamming" },
        { { WG_U8, WG_HAMMING }, 8, WG_EINVAL, "u8 do not go with metric hamming" },
        { { (wg_type)4, WG_DOT }, 8, WG_EINVAL, "type 4" },
        { { (wg_type)65536, WG_DOT }, 8, WG_EINVAL, "type" },
        { { WG_F16, (wg_metric)65536 }, 8, WG_EINVAL, "metric" },
        { { WG_F16, WG_DOT }, 65537, WG_EDIM, "65537" },
        { { WG_BITS, WG_HAMMING }, 0, WG_EDIM, "0 dimensions" },
        { { WG_BITS, WG_HAMMING }, 1048577, WG_EDIM, "1048576" },
    };
    wg_store *store = NULL;
    assert_ok(wg_store_open(context, NULL, NULL, &store));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_err(wrong[i].err, wrong[i].needle, create(store, wrong[i].space, wrong[i].dim));
    for (size_t i = 0; i < TEST_SPACES; i++) {
        assert_ok(create(store, test_space_at(i), DIM));
        assert_ok(wg_collection_drop(store, "c"));
    }
    wg_store_close(&store);
    float row = 0;
    uint64_t found;
    wg_knn_params knn;
    wg_knn_params_init(&knn);
    knn.metric = WG_HAMMING, knn.dim = 1, knn.k = 1;
    knn.rows = knn.queries = &row, knn.row_count = knn.query_count = 1;
    assert_err(WG_EINVAL, "hamming", wg_knn(context, &knn, &found, &row));
}

/* Every half is kept as it is; what lies halfway between two becomes the one whose last bit is 0,
 * and what lies a little to a side of that becomes the one on that side. */
static void test_every_half(void **state)
{
    (void)state;
    enum { COUNT = 0x7c00, AT_ONCE = 1024 };
    struct test_space space = { WG_F16, WG_DOT };
    struct place p = open_in(NULL, space, AT_ONCE);
    for (unsigned first = 0; first < COUNT; first += AT_ONCE) {
        uint16_t halves[AT_ONCE], stored[AT_ONCE];
        float exact[AT_ONCE + 1], between[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++) halves[i] = (uint16_t)(first + i);
        assert_ok(upsert(&p, 0, 1, WG_F16, halves));
        get(&p, 0, stored, sizeof stored);
        assert_memory_equal(stored, halves, sizeof halves);
        test_type_widen(WG_F16, halves, AT_ONCE, exact);
        exact[AT_ONCE] = ldexpf(1, (int)(first / 1024) - 14);
        bool is_last = first + AT_ONCE == COUNT;
        for (int side = -1; side <= 1; side++) {
            for (unsigned i = 0; i < AT_ONCE; i++) {
                float middle = (exact[i] + exact[i + 1]) / 2;
                between[i] = side == 0 ? middle : nextafterf(middle, side < 0 ? 0 : INFINITY);
                if (is_last && i == AT_ONCE - 1 && side >= 0) between[i] = exact[i];
            }
            assert_ok(upsert(&p, 0, 1, WG_F32, between));
            get(&p, 0, stored, sizeof stored);
            for (unsigned i = 0; i < AT_ONCE; i++) {
                bool up = side > 0 || (side == 0 && i % 2 == 1);
                if (is_last && i == AT_ONCE - 1) up = false;
                assert_int_equal(stored[i], halves[i] + up);
            }
        }
    }
    close_place(&p);
}

static void test_numbers_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        wg_type type;
        float x;
        const char *needle;
    } wrong[] = {
        { WG_F16, 65520, "vector 1: component 2 is 65520" },
        { WG_F16, -65520, "65504" },
        { WG_F16, 1e15f, "65504" },
        { WG_F16, NAN, "vector 1: component 2" },
        { WG_U8, -1, "vector 1: component 2 is -1; expected a whole number from 0 to 255" },
        { WG_U8, 256, "255" },
        { WG_U8, 0.5f, "whole" },
        { WG_U8, INFINITY, "inf" },
        { WG_BITS, 2, "vector 1: component 2 is 2; expected 0 or 1" },
        { WG_BITS, 0.5f, "0 or 1" },
        { WG_BITS, NAN, "vector 1: component 2" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct test_space space = { wrong[i].type,
                                    wrong[i].type == WG_BITS ? WG_HAMMING : WG_EUCLIDEAN };
        struct place p = open_in(NULL, space, 3);
        float vectors[6] = { 0, 1, -0.0f, 1, 0, wrong[i].x };
        assert_err(WG_EINVAL, wrong[i].needle, upsert(&p, 0, 2, WG_F32, vectors));
        assert_int_equal(wg_collection_count(p.collection), 0);
        vectors[5] = 1;
        assert_ok(upsert(&p, 0, 2, WG_F32, vectors));
        close_place(&p);
    }
}

static void test_data_that_is_refused(void **state)
{
    (void)state;
    uint16_t halves[4] = { 0, 0x3c00, 0, 0x7c00 };
    uint8_t bits[4] = { 0xff, 0x07, 0xff, 0x0f };
    float floats[4] = { 0 };
    struct place p = open_in(NULL, (struct test_space){ WG_F16, WG_DOT }, 2);
    assert_err(WG_EINVAL, "vector 1: component 1 is inf", upsert(&p, 0, 2, WG_F16, halves));
    halves[3] = 0xfe00;
    assert_err(WG_EINVAL, "nan", upsert(&p, 0, 2, WG_F16, halves));
    assert_err(WG_EINVAL, "of type u8; expected f32 or f16", upsert(&p, 0, 2, WG_U8, halves));
    assert_err(WG_EINVAL, "of type none", upsert(&p, 0, 2, (wg_type)7, halves));
    close_place(&p);
    p = open_in(NULL, (struct test_space){ WG_BITS, WG_HAMMING }, 11);
    assert_err(WG_EINVAL, "vector 1: bits behind its 11 components",
               upsert(&p, 0, 2, WG_BITS, bits));
    close_place(&p);
    p = open_in(NULL, (struct test_space){ WG_F32, WG_DOT }, 2);
    assert_err(WG_EINVAL, "of type f16; expected f32", upsert(&p, 0, 2, WG_F16, halves));
    assert_ok(upsert(&p, 0, 2, WG_F32, floats));
    close_place(&p);
}

static wg_err search(struct place *p, wg_type type, const void *query, wg_hit *best)
{
    wg_searcher *searcher = NULL;
    wg_search_params params;
    size_t count;
    wg_search_params_init(&params);
    params.data = query, params.query_count = 1, params.dim = p->dim, params.k = 1;
    params.type = type;
    assert_ok(wg_searcher_create(p->collection, &searcher));
    wg_err err = wg_searcher_run(searcher, &params);
    if (err == WG_OK) *best = *wg_searcher_hits(searcher, 0, &count);
    wg_searcher_destroy(&searcher);
    return err;
}

/* A query of f32 is not rounded to the stored type; one of the stored type is worth what it widens
 * to; against bits there are only bits. */
static void test_queries(void **state)
{
    (void)state;
    wg_hit best;
    struct place p = open_in(NULL, (struct test_space){ WG_U8, WG_EUCLIDEAN }, 2);
    uint8_t bytes[] = { 3, 4, 200, 0 };
    assert_ok(upsert(&p, 0, 2, WG_U8, bytes));
    assert_ok(search(&p, WG_F32, (float[]){ 3, 4.5f }, &best));
    assert_true(best.id.as.number == 0 && best.score == 0.5f);
    assert_ok(search(&p, WG_U8, bytes + 2, &best));
    assert_true(best.id.as.number == 1 && best.score == 0);
    assert_err(WG_EINVAL, "each query is of type f16; expected f32 or u8",
               search(&p, WG_F16, bytes, &best));
    assert_err(WG_EINVAL, "query 0: component 1", search(&p, WG_F32, (float[]){ 0, NAN }, &best));
    close_place(&p);
    p = open_in(NULL, (struct test_space){ WG_BITS, WG_HAMMING }, 3);
    assert_ok(upsert(&p, 0, 2, WG_BITS, (uint8_t[]){ 5, 2 }));
    assert_ok(search(&p, WG_F32, (float[]){ 1, 1, 1 }, &best));
    assert_true(best.id.as.number == 0 && best.score == 1);
    assert_ok(search(&p, WG_BITS, (uint8_t[]){ 2 }, &best));
    assert_true(best.id.as.number == 1 && best.score == 0);
    assert_err(WG_EINVAL, "query 0: component 0 is 0.25; expected 0 or 1",
               search(&p, WG_F32, (float[]){ 0.25f, 0, 0 }, &best));
    assert_err(WG_EINVAL, "bits behind", search(&p, WG_BITS, (uint8_t[]){ 8 }, &best));
    close_place(&p);
}

/* dot * (float)(1 / sqrt(norm2)), the bytes as they were given; 0 for the zero vector. */
static void test_cosine_of_bytes(void **state)
{
    (void)state;
    wg_hit best;
    uint8_t stored[2];
    struct place p = open_in(NULL, (struct test_space){ WG_U8, WG_COSINE }, 2);
    assert_ok(upsert(&p, 0, 2, WG_U8, (uint8_t[]){ 30, 40, 0, 0 }));
    get(&p, 0, stored, 2);
    assert_true(stored[0] == 30 && stored[1] == 40);
    assert_ok(search(&p, WG_F32, (float[]){ 5, 0 }, &best));
    assert_true(best.id.as.number == 0 && best.score == 30 * (float)(1 / 50.0));
    assert_ok(search(&p, WG_F32, (float[]){ -5, 0 }, &best)); /* then the zero vector is better */
    assert_true(best.id.as.number == 1 && best.score == 0 && !signbit(best.score));
    close_place(&p);
}

static void test_the_most_bits(void **state)
{
    (void)state;
    enum { SIZE = WG_BITS_DIM_MAX / 8 };
    uint8_t *bits = allocate(2, SIZE);
    float *query = allocate(WG_BITS_DIM_MAX, sizeof *query);
    wg_hit best;
    struct place p = open_in(NULL, (struct test_space){ WG_BITS, WG_HAMMING }, WG_BITS_DIM_MAX);
    memset(bits, 0xff, SIZE);
    memset(bits + SIZE, 0xaa, SIZE);
    assert_ok(upsert(&p, 0, 1, WG_BITS, bits));
    assert_ok(search(&p, WG_F32, query, &best));
    assert_true(best.score == (float)WG_BITS_DIM_MAX);
    assert_ok(upsert(&p, 1, 1, WG_BITS, bits + SIZE));
    assert_ok(search(&p, WG_F32, query, &best));
    assert_true(best.id.as.number == 1 && best.score == (float)WG_BITS_DIM_MAX / 2);
    close_place(&p);
    free(query);
    free(bits);
}

/* --- what is done to stores --- */

static char expected[POINTS][DIM * sizeof(float)];

static void write_points(struct place *p, struct test_space space)
{
    size_t size = test_type_size(space.type, DIM);
    for (uint64_t first = 0; first < POINTS; first += BATCH) {
        float vectors[BATCH * DIM];
        char packed[BATCH * DIM * sizeof(float)];
        bool native = first / BATCH % 2;
        data_fill(&prng, DATA_SCALES, BATCH, DIM, vectors);
        test_type_fit(space.type, BATCH * DIM, vectors);
        for (size_t i = 0; i < BATCH; i++) {
            float *vector = vectors + i * DIM;
            test_type_pack(space.type, vector, DIM, packed + i * size);
            if (native) test_type_widen(space.type, packed + i * size, DIM, vector);
            test_type_store(space, vector, DIM, expected[first + i]);
        }
        assert_ok(upsert(p, first, BATCH, native ? space.type : WG_F32,
                         native ? (void *)packed : (void *)vectors));
    }
}

/* Of the points that are left: every third is gone. */
static void check_points(struct place *p, struct test_space space)
{
    size_t size = test_type_size(space.type, DIM), at = 0;
    wg_points *points = NULL;
    assert_ok(wg_collection_scroll(p->collection, NULL, POINTS, WG_WITH_VECTOR, &points));
    for (size_t i = 0; i < POINTS; i++) {
        if (i % 3 == 0) continue;
        assert_true(at < wg_points_count(points));
        const wg_point *point = wg_points_at(points, at++);
        assert_true(point->id.as.number == i);
        assert_memory_equal(point->data, expected[i], size);
    }
    assert_int_equal(wg_points_count(points), at);
    wg_points_destroy(&points);
}

static void check_store(const char *path, struct test_space space)
{
    uint64_t problems = 1;
    struct place p = { .dim = DIM };
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = true;
    assert_ok(wg_store_verify(context, path, NULL, NULL, NULL, &problems));
    assert_int_equal(problems, 0);
    assert_ok(wg_store_open(context, path, &params, &p.store));
    assert_ok(wg_collection_open(p.store, "c", &p.collection));
    check_points(&p, space);
    close_place(&p);
}

static void delete_every_third(struct place *p)
{
    for (uint64_t i = 0; i < POINTS; i += 3) {
        wg_id id;
        wg_id_from_number(i, &id);
        assert_ok(wg_collection_delete(p->collection, &id, 1, NULL));
    }
}

static void follow(struct place *p, struct test_space space)
{
    const char *path = path_in("follower");
    struct place q = open_in(path, space, DIM);
    wg_changes *changes = NULL;
    assert_ok(wg_collection_changes(p->collection, 0, SIZE_MAX, &changes));
    for (size_t i = 0; i < wg_changes_count(changes); i++) {
        wg_change change = *wg_changes_at(changes, i);
        assert_int_equal(change.type, space.type);
        change.type = space.type == WG_U8 ? WG_F16 : WG_U8;
        assert_err(WG_ECONFLICT, "of type", wg_collection_apply(q.collection, &change));
        assert_ok(wg_collection_apply(q.collection, wg_changes_at(changes, i)));
    }
    wg_changes_destroy(&changes);
    check_points(&q, space);
    close_place(&q);
    check_store(path, space);
}

static void test_stores_of_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEST_SPACES; i++) {
        struct test_space space = test_space_at(i);
        const char *path = path_in("s"), *snapshot = path_in("snapshot");
        const char *restored = path_in("restored"), *file = path_in("c.waggle");
        const char *salvaged = path_in("salvaged");
        uint64_t differences = 1;
        wg_repair_report report;
        struct place p = open_in(path, space, DIM);
        write_points(&p, space);
        delete_every_third(&p);
        check_points(&p, space);
        follow(&p, space);
        assert_ok(wg_store_snapshot(p.store, snapshot));
        assert_ok(wg_collection_compact(p.collection, NULL));
        check_points(&p, space);
        assert_ok(wg_collection_export(p.collection, file));
        close_place(&p);
        check_store(path, space);
        check_store(snapshot, space);
        check_store(file, space);
        assert_ok(wg_store_restore(context, snapshot, restored));
        check_store(restored, space);
        assert_ok(wg_store_equal(context, path, restored, NULL, NULL, &differences));
        assert_int_equal(differences, 0);
        wg_repair_report_init(&report);
        assert_ok(wg_store_repair(context, path, salvaged, NULL, NULL, &report));
        assert_int_equal(report.point_count, POINTS - POINTS / 3);
        assert_int_equal(report.lost_count, 0);
        check_store(salvaged, space);
    }
}

/* Writes that are queued own copies of what they were given. */
static void test_queued_writes(void **state)
{
    (void)state;
    wg_store_params params;
    wg_store_params_init(&params);
    params.commit_interval_ms = 60000;
    for (size_t i = 5; i < TEST_SPACES; i += 5) {
        struct test_space space = test_space_at(i);
        struct place p = { .dim = DIM };
        assert_ok(wg_store_open(context, NULL, &params, &p.store));
        assert_ok(create(p.store, space, DIM));
        assert_ok(wg_collection_open(p.store, "c", &p.collection));
        write_points(&p, space);
        assert_ok(wg_collection_flush(p.collection));
        delete_every_third(&p);
        assert_ok(wg_collection_flush(p.collection));
        check_points(&p, space);
        close_place(&p);
    }
}

static void expect_problem(void *user, const char *problem)
{
    const char **needle = user;
    if (*needle && strstr(problem, *needle)) *needle = NULL;
}

static void differ(struct test_space a, struct test_space b, float y, const char *needle)
{
    const char *paths[] = { path_in("a"), path_in("b") };
    float vector[DIM] = { 0 };
    uint64_t differences = 0;
    for (int i = 0; i < 2; i++) {
        struct place p = open_in(paths[i], i ? b : a, DIM);
        vector[17] = i ? y : 1;
        assert_ok(upsert(&p, 5, 1, WG_F32, vector));
        close_place(&p);
    }
    assert_ok(wg_store_equal(context, paths[0], paths[1], expect_problem, &needle, &differences));
    assert_true(differences > 0);
    assert_null(needle);
}

static void test_stores_that_differ(void **state)
{
    (void)state;
    struct test_space half = { WG_F16, WG_DOT }, byte = { WG_U8, WG_DOT };
    struct test_space bit = { WG_BITS, WG_HAMMING };
    differ(half, byte, 1, "type: f16 and u8");
    differ(half, half, 1.5f, "point 5: component 17 of its vector: 1 and 1.5");
    differ(byte, byte, 255, "point 5: component 17 of its vector: 1 and 255");
    differ(bit, bit, 0, "point 5: component 17 of its vector: 1 and 0");
}

static int setup(void **state)
{
    (void)state;
    context = test_context(NULL, 2);
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
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_spaces_that_cannot_be),
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_numbers_that_do_not_fit),
        cmocka_unit_test(test_data_that_is_refused),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_cosine_of_bytes),
        cmocka_unit_test(test_the_most_bits),
        cmocka_unit_test(test_stores_of_every_type),
        cmocka_unit_test(test_queued_writes),
        cmocka_unit_test(test_stores_that_differ),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
