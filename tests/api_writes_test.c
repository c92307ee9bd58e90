/* Wrong inputs to what writes, reads and searches points: each is refused with its code and a
 * message that names the offending thing, and the content is as it was, to the last bit. */
#include "support/check.h"
#include "support/content.h"
#include "support/payload.h"
#include "support/scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 19, COUNT = 21, BAD = 17 }; /* BAD: the offending item; no other number has a 17 */

static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static const char *folder;
static wg_id ids[COUNT];
static float vectors[COUNT * DIM];
static const char *payloads[COUNT];
static uint64_t content;

static wg_batch fine_batch(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        wg_id_from_number(100000 + i, &ids[i]);
        payloads[i] = i % 2 ? "{\"a\": 1}" : NULL;
        for (size_t j = 0; j < DIM; j++) vectors[i * DIM + j] = (float)(i + j);
    }
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = COUNT;
    batch.ids = ids;
    batch.vectors = vectors;
    batch.payloads = payloads;
    return batch;
}

static int open_collection(void **state)
{
    (void)state;
    context = test_context(NULL, 2);
    folder = scratch_create();
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = DIM;
    must_ok(wg_store_open(context, folder, NULL, &store));
    must_ok(wg_collection_create(store, "docs", &params));
    must_ok(wg_collection_open(store, "docs", &collection));
    wg_batch batch = fine_batch();
    must_ok(wg_collection_upsert(collection, DIM, &batch));
    return 0;
}

static int close_collection(void **state)
{
    (void)state;
    wg_collection_close(&collection);
    wg_store_close(&store);
    uint64_t problems = content_problems(context, folder);
    wg_context_destroy(&context);
    return problems > 0;
}

static int remember_content(void **state)
{
    (void)state;
    content = content_fingerprint(collection);
    return 0;
}

#define assert_unchanged() assert_true(content_fingerprint(collection) == content)

#define assert_refused(err, needle, call) \
    do {                                  \
        assert_err(err, needle, call);    \
        assert_unchanged();               \
    } while (0)

static void test_wrong_dimension(void **state)
{
    (void)state;
    wg_batch batch = fine_batch();
    static const size_t wrong[] = { 0, 1, DIM - 1, DIM + 1, WG_DIM_MAX + 1, SIZE_MAX };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_refused(WG_EDIM, "19", wg_collection_upsert(collection, wrong[i], &batch));
        assert_non_null(strstr(wg_message(), "docs"));
    }
    assert_err(WG_EDIM, "20", wg_collection_upsert(collection, DIM + 1, &batch));
}

static void test_refused_components(void **state)
{
    (void)state;
    static const float refused[] = { NAN, INFINITY, -INFINITY, 1e16f, -1e16f, 1.0000001e15f };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        wg_batch batch = fine_batch();
        vectors[BAD * DIM + 13] = refused[i];
        assert_refused(WG_EINVAL, "17", wg_collection_upsert(collection, DIM, &batch));
        assert_non_null(strstr(wg_message(), "13"));
    }
}

static void test_refused_ids(void **state)
{
    (void)state;
    char text[301];
    memset(text, 'i', sizeof text);
    static const uint32_t sizes[] = { 0, 257, 300, UINT32_MAX };
    for (size_t i = 0; i < 4; i++) {
        wg_batch batch = fine_batch();
        ids[BAD] = (wg_id){ .type = WG_ID_STRING, .size = sizes[i], .as.string = text };
        assert_refused(WG_EINVAL, "17", wg_collection_upsert(collection, DIM, &batch));
    }
    static const struct {
        const char *text;
        uint32_t size;
    } strings[] = { { "\xff", 1 },         { "ab\xc3", 3 },   { "a\0b", 3 }, { "\xc0\xaf", 2 },
                    { "\xed\xa0\x80", 3 }, { "\xc3\xa9", 1 }, { "\0", 1 } };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        wg_batch batch = fine_batch();
        ids[BAD] =
            (wg_id){ .type = WG_ID_STRING, .size = strings[i].size, .as.string = strings[i].text };
        assert_refused(WG_EINVAL, "17", wg_collection_upsert(collection, DIM, &batch));
    }
    static const int types[] = { 0, 4, -1 };
    for (size_t i = 0; i < 3; i++) {
        wg_batch batch = fine_batch();
        ids[BAD].type = (wg_id_type)types[i];
        assert_refused(WG_EINVAL, "17", wg_collection_upsert(collection, DIM, &batch));
    }
}

#define UUID "c0ffee00-1234-4abc-8def-0123456789ab"

static wg_id raw_string(const char *text)
{
    return (wg_id){ .type = WG_ID_STRING, .size = (uint32_t)strlen(text), .as.string = text };
}

/* The same id twice: as numbers, as strings, as one UUID in two spellings and in two types. */
static void test_twice_in_a_batch(void **state)
{
    (void)state;
    wg_id uuid;
    must_ok(wg_id_from_string(UUID, &uuid));
    const wg_id twins[][2] = {
        { { .type = WG_ID_NUMBER, .as.number = 7 }, { .type = WG_ID_NUMBER, .as.number = 7 } },
        { raw_string("bee"), raw_string("bee") },
        { uuid, uuid },
        { uuid, raw_string(UUID) },
        { raw_string(UUID), raw_string("C0FFEE00-1234-4ABC-8DEF-0123456789AB") },
    };
    static const char *const needles[] = { "7", "bee", UUID, UUID, UUID };
    for (size_t i = 0; i < sizeof twins / sizeof *twins; i++) {
        wg_batch batch = fine_batch();
        ids[2] = twins[i][0];
        ids[BAD] = twins[i][1];
        assert_refused(WG_EINVAL, needles[i], wg_collection_upsert(collection, DIM, &batch));
    }
}

static char *nested(size_t depth, const char *open, const char *close)
{
    size_t size = depth * (strlen(open) + strlen(close)) + 32;
    char *text = allocate(size, 1), *at = text + snprintf(text, size, "{\"a\":");
    for (size_t i = 0; i < depth; i++) at = stpcpy(at, open);
    at = stpcpy(at, "0");
    for (size_t i = 0; i < depth; i++) at = stpcpy(at, close);
    strcpy(at, "}");
    return text;
}

static const char *const not_objects[] = {
    "",
    " ",
    "[]",
    "3",
    "null",
    "true",
    "\"x\"",
    "{",
    "}",
    "{}x",
    "{} {}",
    "[{}]",
    "{\"a\"}",
    "{\"a\":}",
    "{'a':1}",
    "{a:1}",
    "{\"a\":1,}",
    "{,}",
    "{\"a\":01}",
    "{\"a\":1.}",
    "{\"a\":.5}",
    "{\"a\":+1}",
    "{\"a\":-}",
    "{\"a\":1e}",
    "{\"a\":NaN}",
    "{\"a\":Infinity}",
    "{\"a\":0x1}",
    "{\"a\":tru}",
    "{\"a\":nul}",
    "{\"a\":True}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":[1,]}",
    "{\"a\":[1 2]}",
    "{\"a\":\"x}",
    "{\"a\":\"\n\"}",
    "{\"a\":\"\\x\"}",
    "{\"a\":\"\\u12\"}",
    "{\"a\":\"\\u12g4\"}",
    "{\"a\":\"\xff\"}",
    "{\"\xc3\":1}",
    "{1:2}",
    "{\"a\":1}}",
    "{/**/}",
};

static void test_payloads_that_are_no_objects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof not_objects / sizeof *not_objects; i++) {
        wg_batch batch = fine_batch();
        payloads[BAD] = not_objects[i];
        wg_err err = wg_collection_upsert(collection, DIM, &batch);
        if (err != WG_EINVAL || !strstr(wg_message(), "17"))
            fail_msg("payload %s: %s %s", not_objects[i], wg_err_name(err),
                     err ? wg_message() : "");
        assert_unchanged();
        size_t updated = 99;
        err = wg_collection_set_payload(collection, ids, 3, not_objects[i], &updated);
        if (err != WG_EINVAL) fail_msg("set_payload %s: %s", not_objects[i], wg_err_name(err));
        assert_int_equal(updated, 99);
        assert_unchanged();
    }
}

/* A million brackets must not be a million frames on the stack. */
static void test_deep_nesting(void **state)
{
    (void)state;
    static const char *const brackets[][2] = { { "[", "]" }, { "{\"b\":", "}" } };
    for (size_t i = 0; i < 2; i++) {
        char *deep = nested(1000000, brackets[i][0], brackets[i][1]);
        wg_batch batch = fine_batch();
        payloads[BAD] = deep;
        assert_refused(WG_EINVAL, "17", wg_collection_upsert(collection, DIM, &batch));
        deep[strlen(deep) / 2] = 0; /* and it is never closed */
        assert_refused(WG_EINVAL, "17", wg_collection_upsert(collection, DIM, &batch));
        free(deep);
        char *fine = nested(20, brackets[i][0], brackets[i][1]);
        assert_ok(wg_collection_set_payload(collection, ids, 1, fine, NULL));
        free(fine);
        assert_int_equal(remember_content(state), 0);
    }
}

static void test_struct_size_of_a_batch(void **state)
{
    (void)state;
    wg_batch batch = fine_batch();
    static const size_t sizes[] = { 0, 7, sizeof batch + 4096 };
    for (size_t i = 0; i < 3; i++) {
        batch.size = sizes[i];
        assert_refused(WG_EINVAL, "size", wg_collection_upsert(collection, DIM, &batch));
    }
}

static void test_counts_of_nothing(void **state)
{
    (void)state;
    wg_batch batch;
    wg_batch_init(&batch);
    size_t touched = 5;
    wg_points *points = NULL;
    assert_ok(wg_collection_upsert(collection, DIM, &batch));
    assert_ok(wg_collection_delete(collection, NULL, 0, &touched));
    assert_int_equal(touched, 0);
    assert_ok(wg_collection_get(collection, NULL, 0, 0, &points));
    assert_int_equal(wg_points_count(points), 0);
    wg_points_destroy(&points);
    assert_ok(wg_collection_scroll(collection, NULL, 0, 0, &points));
    assert_int_equal(wg_points_count(points), 0);
    wg_points_destroy(&points);
    assert_int_equal(wg_collection_count(collection), COUNT);
}

static void test_wrong_ids_elsewhere(void **state)
{
    (void)state;
    wg_id wrong[] = { raw_string(""), raw_string("\xff"), { .type = (wg_id_type)9 } };
    for (size_t i = 0; i < 3; i++) {
        wg_id some[20];
        for (size_t j = 0; j < 20; j++) wg_id_from_number(100000 + j, &some[j]);
        some[BAD] = wrong[i];
        wg_points *points = NULL;
        size_t touched = 99;
        assert_refused(WG_EINVAL, "17", wg_collection_delete(collection, some, 20, &touched));
        assert_refused(WG_EINVAL, "17",
                       wg_collection_set_payload(collection, some, 20, "{}", &touched));
        assert_refused(WG_EINVAL, "17", wg_collection_get(collection, some, 20, 0, &points));
        assert_refused(WG_EINVAL, "id", wg_collection_scroll(collection, &wrong[i], 5, 0, &points));
        assert_int_equal(touched, 99);
        assert_null(points);
    }
}

static void test_unknown_parts(void **state)
{
    (void)state;
    wg_points *points = NULL;
    wg_id id;
    wg_id_from_number(1, &id);
    assert_err(WG_EINVAL, "4", wg_collection_get(collection, &id, 1, 4, &points));
    assert_err(WG_EINVAL, "64", wg_collection_scroll(collection, NULL, 1, 64, &points));
    assert_null(points);
}

static void test_absent_points(void **state)
{
    (void)state;
    wg_id absent[3];
    for (size_t i = 0; i < 3; i++) wg_id_from_number(5 + i, &absent[i]);
    wg_points *points = NULL;
    size_t touched = 99;
    assert_ok(wg_collection_get(collection, absent, 3, WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points));
    assert_int_equal(wg_points_count(points), 3);
    for (size_t i = 0; i < 3; i++) {
        const wg_point *point = wg_points_at(points, i);
        assert_int_equal(point->id.as.number, 5 + i);
        assert_false(point->found);
        assert_null(point->vector);
        assert_null(point->payload);
        assert_int_equal(point->version, 0);
    }
    wg_points_destroy(&points);
    assert_null(points);
    assert_ok(wg_collection_delete(collection, absent, 3, &touched));
    assert_int_equal(touched, 0);
    assert_ok(wg_collection_set_payload(collection, absent, 3, "{\"z\":1}", &touched));
    assert_int_equal(touched, 0);
}

static void test_deleting_one_twice(void **state)
{
    (void)state;
    wg_batch batch = fine_batch();
    wg_id twice[3] = { ids[4], ids[5], ids[4] };
    size_t deleted = 99;
    assert_ok(wg_collection_delete(collection, twice, 3, &deleted));
    assert_int_equal(deleted, 2);
    assert_int_equal(wg_collection_count(collection), COUNT - 2);
    assert_ok(wg_collection_upsert(collection, DIM, &batch));
    assert_int_equal(wg_collection_count(collection), COUNT);
}

/* The longest of everything that is allowed comes back as it was. */
static void test_the_longest_allowed(void **state)
{
    (void)state;
    enum { LONG = 1 << 20 };
    char text[WG_ID_SIZE_MAX], *payload = allocate(LONG + 1, 1);
    memset(text, 'L', sizeof text);
    memset(payload, 'p', LONG);
    memcpy(payload, "{\"p\":\"", 6);
    memcpy(payload + LONG - 2, "\"}", 2);
    wg_batch batch = fine_batch();
    ids[0] = (wg_id){ .type = WG_ID_STRING, .size = sizeof text, .as.string = text };
    payloads[0] = payload;
    for (size_t j = 0; j < DIM; j++) vectors[j] = j % 2 ? WG_COMPONENT_MAX : -WG_COMPONENT_MAX;
    batch.count = 1;
    assert_ok(wg_collection_upsert(collection, DIM, &batch));
    wg_points *points = NULL;
    assert_ok(wg_collection_get(collection, ids, 1, WG_WITH_PAYLOAD, &points));
    const wg_point *point = wg_points_at(points, 0);
    assert_true(point->found);
    assert_int_equal(point->id.size, sizeof text);
    assert_memory_equal(point->id.as.string, text, sizeof text);
    char *got = allocate(LONG + 16, 1);
    assert_true(payload_canonical(point->payload, got, LONG + 16));
    assert_string_equal(got, payload);
    wg_points_destroy(&points);
    assert_ok(wg_collection_delete(collection, ids, 1, NULL));
    free(payload);
    free(got);
}

/* --- searching --- */

static void assert_no_hits(const wg_searcher *searcher)
{
    size_t count = 9;
    assert_null(wg_searcher_hits(searcher, 0, &count));
    assert_int_equal(count, 0);
}

static void test_search_arguments(void **state)
{
    (void)state;
    static float queries[COUNT * DIM];
    wg_searcher *searcher = NULL;
    assert_ok(wg_searcher_create(collection, &searcher));
    wg_search_params params;
    wg_search_params_init(&params);
    assert_int_equal(params.k, 10);
    params.queries = queries, params.query_count = COUNT, params.dim = DIM;
    const wg_search_params fine = params;
#define assert_search_refused(err, needle)                           \
    do {                                                             \
        assert_ok(wg_searcher_run(searcher, &fine));                 \
        assert_err(err, needle, wg_searcher_run(searcher, &params)); \
        assert_no_hits(searcher);                                    \
        params = fine;                                               \
    } while (0)
    params.k = 0;
    assert_search_refused(WG_EINVAL, "k");
    params.with = 64;
    assert_search_refused(WG_EINVAL, "64");
    static const size_t wrong[] = { 0, DIM - 1, DIM + 1, SIZE_MAX };
    for (size_t i = 0; i < 4; i++) {
        params.dim = wrong[i];
        assert_search_refused(WG_EDIM, "19");
    }
    static const size_t sizes[] = { 0, 7, sizeof params + 4096 };
    for (size_t i = 0; i < 3; i++) {
        params.size = sizes[i];
        assert_search_refused(WG_EINVAL, "size");
    }
    wg_cancel *cancel = NULL;
    assert_ok(wg_cancel_create(&cancel));
    wg_cancel_request(cancel);
    params.cancel = cancel;
    assert_search_refused(WG_ECANCELLED, "");
    wg_cancel_destroy(&cancel);
    params.query_count = 0, params.queries = NULL;
    assert_ok(wg_searcher_run(searcher, &params));
    assert_no_hits(searcher);
    wg_search_report report;
    wg_search_report_init(&report);
    assert_ok(wg_searcher_run(searcher, &fine));
    assert_ok(wg_searcher_report(searcher, &report));
    assert_true(strlen(report.device) > 0 && strlen(report.reason) > 0);
    assert_false(report.fell_back);
    assert_true(report.row_count >= COUNT);
    report.size = 0;
    assert_err(WG_EINVAL, "size", wg_searcher_report(searcher, &report));
    wg_searcher_destroy(&searcher);
    assert_null(searcher);
}

static void test_search_components(void **state)
{
    (void)state;
    static const float refused[] = { NAN, INFINITY, -INFINITY, 1e16f, -1e16f };
    static float queries[COUNT * DIM];
    wg_searcher *searcher = NULL;
    assert_ok(wg_searcher_create(collection, &searcher));
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        wg_search_params params;
        wg_search_params_init(&params);
        params.queries = queries, params.query_count = COUNT, params.dim = DIM;
        queries[BAD * DIM + 13] = refused[i];
        assert_err(WG_EINVAL, "17", wg_searcher_run(searcher, &params));
        assert_non_null(strstr(wg_message(), "13"));
        assert_no_hits(searcher);
        queries[BAD * DIM + 13] = 0;
        assert_ok(wg_searcher_run(searcher, &params));
    }
    wg_searcher_destroy(&searcher);
}

/* --- reading only --- */

static void test_read_only(void **state)
{
    (void)state;
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_store_params how;
    wg_store_params_init(&how);
    how.read_only = true;
    assert_ok(wg_store_open(context, folder, &how, &store));
    assert_ok(wg_collection_open(store, "docs", &collection));
    wg_batch batch = fine_batch();
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 3;
    assert_refused(WG_EREADONLY, "", wg_collection_upsert(collection, DIM, &batch));
    assert_refused(WG_EREADONLY, "", wg_collection_delete(collection, ids, 2, NULL));
    assert_refused(WG_EREADONLY, "", wg_collection_set_payload(collection, ids, 2, "{}", NULL));
    assert_refused(WG_EREADONLY, "", wg_collection_set_payload(collection, ids, 2, NULL, NULL));
    assert_refused(WG_EREADONLY, "", wg_collection_clear(collection));
    assert_err(WG_EREADONLY, "", wg_collection_create(store, "other", &params));
    wg_collection_close(&collection);
    assert_err(WG_EREADONLY, "", wg_collection_drop(store, "docs"));
    wg_store_close(&store);
    assert_ok(wg_store_open(context, folder, NULL, &store));
    assert_ok(wg_collection_open(store, "docs", &collection));
    assert_unchanged();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wrong_dimension, remember_content),
        cmocka_unit_test_setup(test_refused_components, remember_content),
        cmocka_unit_test_setup(test_refused_ids, remember_content),
        cmocka_unit_test_setup(test_twice_in_a_batch, remember_content),
        cmocka_unit_test_setup(test_payloads_that_are_no_objects, remember_content),
        cmocka_unit_test_setup(test_deep_nesting, remember_content),
        cmocka_unit_test_setup(test_struct_size_of_a_batch, remember_content),
        cmocka_unit_test_setup(test_counts_of_nothing, remember_content),
        cmocka_unit_test_setup(test_wrong_ids_elsewhere, remember_content),
        cmocka_unit_test_setup(test_unknown_parts, remember_content),
        cmocka_unit_test_setup(test_absent_points, remember_content),
        cmocka_unit_test_setup(test_deleting_one_twice, remember_content),
        cmocka_unit_test_setup(test_the_longest_allowed, remember_content),
        cmocka_unit_test_setup(test_search_arguments, remember_content),
        cmocka_unit_test_setup(test_search_components, remember_content),
        cmocka_unit_test_setup(test_read_only, remember_content),
    };
    return cmocka_run_group_tests(tests, open_collection, close_collection);
}
