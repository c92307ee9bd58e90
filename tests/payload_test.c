/* Payloads come back as they were, and merging keys into one leaves the other keys' values alone,
 * to the last digit. A value that cannot be kept so is refused, never changed in silence. */
#include "support/check.h"
#include "support/payload.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static wg_id id;

static const char *const values[] = {
    "0",
    "1",
    "-1",
    "1.10",
    "-0.0",
    "0.1",
    "1e5",
    "1E+5",
    "1e-7",
    "3.141592653589793",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "-123456789012345678901234567890",
    "0.1000000000000000055511151231257827",
    "1e308",
    "5e-324",
    "1e400",
    "-1e400",
    "true",
    "false",
    "null",
    "\"\"",
    "\"text\"",
    "\"a/b\"",
    "\"\xc3\xa9\"",
    "\"\xf0\x9f\x90\x9d\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"\\n\\t\\b\\f\\r\"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\x7f\"",
    "[]",
    "{}",
    "[[],{},[{}]]",
    "[1,2.50,\"x\",null,{\"y\":[true]}]",
    "{\"a\":{\"b\":{\"c\":1.0}}}",
    "{\"\":1}",
    "{\"x\\u0000y\":1}",
};

static wg_err try_upsert(const char *payload)
{
    static const float vector[2] = { 1, 2 };
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = 1;
    batch.ids = &id;
    batch.vectors = vector;
    batch.payloads = &payload;
    return wg_collection_upsert(collection, 2, &batch);
}

static void upsert(const char *payload)
{
    assert_ok(try_upsert(payload));
}

/* Refused is fine, for what stands beyond the double's or the 64 bit integer's range. */
static bool is_refused(wg_err err, const char *value)
{
    if (err == WG_OK) return false;
    assert_int_equal(err, WG_EINVAL);
    assert_true(strpbrk(value, "0123456789"));
    printf("%s is refused: %s\n", value, wg_message());
    return true;
}

static void assert_payload(const char *wanted, const char *after)
{
    char got[2048], want[2048];
    wg_points *points = NULL;
    assert_ok(wg_collection_get(collection, &id, 1, WG_WITH_PAYLOAD, &points));
    assert_true(payload_canonical(wg_points_at(points, 0)->payload, got, sizeof got));
    assert_true(payload_canonical(wanted, want, sizeof want));
    if (strcmp(got, want) != 0) fail_msg("after %s: %s, expected %s", after, got, want);
    wg_points_destroy(&points);
}

static void test_values_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"keep\":%s,\"x\":1}", values[i]);
        if (!is_refused(try_upsert(text), values[i])) assert_payload(text, "upsert");
    }
}

static void test_merging_leaves_the_rest(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[512], merged[512], got[512] = "";
        snprintf(text, sizeof text, "{\"keep\":%s,\"x\":1}", values[i]);
        snprintf(merged, sizeof merged, "{\"keep\":%s,\"x\":[2]}", values[i]);
        if (is_refused(try_upsert(text), values[i])) continue;
        assert_ok(wg_collection_set_payload(collection, &id, 1, "{\"x\":[2]}", NULL));
        wg_points *points = NULL;
        assert_ok(wg_collection_get(collection, &id, 1, WG_WITH_PAYLOAD, &points));
        if (!payload_canonical(wg_points_at(points, 0)->payload, got, sizeof got) ||
            strcmp(got, merged) != 0) {
            print_error("%s became %s\n", text, got);
            wrong++;
        }
        wg_points_destroy(&points);
    }
    assert_int_equal(wrong, 0);
}

static void test_merging_brings_values_unchanged(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char patch[512], merged[512], got[512] = "";
        snprintf(patch, sizeof patch, "{\"new\":%s}", values[i]);
        snprintf(merged, sizeof merged, "{\"new\":%s,\"x\":1}", values[i]);
        upsert("{\"x\":1}");
        wg_err err = wg_collection_set_payload(collection, &id, 1, patch, NULL);
        if (is_refused(err, values[i])) continue;
        wg_points *points = NULL;
        assert_ok(wg_collection_get(collection, &id, 1, WG_WITH_PAYLOAD, &points));
        if (!payload_canonical(wg_points_at(points, 0)->payload, got, sizeof got) ||
            strcmp(got, merged) != 0) {
            print_error("%s was merged as %s\n", patch, got);
            wrong++;
        }
        wg_points_destroy(&points);
    }
    assert_int_equal(wrong, 0);
}

static void test_how_keys_merge(void **state)
{
    (void)state;
    static const struct {
        const char *before, *patch, *after;
    } cases[] = {
        { "{}", "{}", "{}" },
        { "{\"a\":1}", "{}", "{\"a\":1}" },
        { "{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}" },
        { "{\"a\":1,\"b\":2}", "{\"a\":{\"c\":3}}", "{\"a\":{\"c\":3},\"b\":2}" },
        { "{\"a\":{\"c\":3}}", "{\"a\":{\"d\":4}}", "{\"a\":{\"d\":4}}" }, /* whole values */
        { "{\"a\":1}", "{\"a\":null}", "{\"a\":null}" },
        { "{\"a\":[1,2,3]}", "{\"a\":[4]}", "{\"a\":[4]}" },
        { " { \"a\" : 1 } ", "\n{\t\"b\"\r:2}\n", "{\"a\":1,\"b\":2}" },
        { "{\"\":1}", "{\"\":2}", "{\"\":2}" },
        { "{\"\xc3\xa9\":1}", "{\"\xc3\xa9\":2}", "{\"\xc3\xa9\":2}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        upsert(cases[i].before);
        assert_ok(wg_collection_set_payload(collection, &id, 1, cases[i].patch, NULL));
        assert_payload(cases[i].after, cases[i].patch);
        assert_ok(wg_collection_set_payload(collection, &id, 1, NULL, NULL));
        assert_payload("{}", "clearing");
    }
}

static int setup(void **state)
{
    (void)state;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 2;
    wg_id_from_number(1, &id);
    context = test_context(NULL, 1);
    must_ok(wg_store_open(context, scratch_create(), NULL, &store));
    must_ok(wg_collection_create(store, "c", &params));
    must_ok(wg_collection_open(store, "c", &collection));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_come_back),
        cmocka_unit_test(test_merging_leaves_the_rest),
        cmocka_unit_test(test_merging_brings_values_unchanged),
        cmocka_unit_test(test_how_keys_merge),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
