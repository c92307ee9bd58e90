/* Payloads: what is an object and what is not, and objects laid over others. */
#include "base/json.h"
#include "base/mem.h"
#include "support/check.h"
#include "support/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static wg_err check(const char *text)
{
    return json_check_object(text, strlen(text));
}

static void objects_are_accepted(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "{}",
        " \t\r\n{ } \n",
        "{\"a\":1,\"b\":-2,\"c\":0,\"d\":1.5e-7,\"e\":true,\"f\":false,\"g\":null}",
        "{\"\":\"\"}",
        "{\"a\":{\"b\":[1,[2,{}],{\"c\":[]}]}}",
        "{\"gr\xC3\xBC\xC3\x9F\":\"\xF0\x9F\x90\x9D\"}",
        "{\"e\":\"\\u00fc\\ud83d\\udc1d\\n\\\"\\\\\\/\"}",
        "{\"max\":18446744073709551615,\"min\":-9223372036854775808,\"double\":1e308}",
    };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (check(fine[i]) != WG_OK) fail_msg("%s: %s", fine[i], wg_message());
}

static void what_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        " ",
        "[]",
        "1",
        "null",
        "\"a\"",
        "true",
        "{",
        "}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":'b'}",
        "{\"a\":1}}",
        "{} {}",
        "{}x",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":\"b}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":NULL}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":5.}",
        "{\"a\":0x10}",
        "{\"a\":1e}",
        "{\"a\":--1}",
        "{/* c */\"a\":1}",
        "{\"a\":1}// c",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\xFF\"}",
        "{\"\xC3\":1}",
        "{\"a\":\"\xED\xA0\x80\"}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wg_err err = check(wrong[i]);
        if (err != WG_EINVAL) fail_msg("%s: %s", wrong[i], wg_err_name(err));
    }
}

static void what_would_change_unsaid_is_refused(void **state)
{
    (void)state;
    assert_err(WG_EINVAL, "", check("{\"a\":18446744073709551616}"));
    assert_err(WG_EINVAL, "", check("{\"a\":-9223372036854775809}"));
    assert_err(WG_EINVAL, "", check("{\"a\":[1,{\"b\":123456789012345678901234567890}]}"));
    assert_err(WG_EINVAL, "", check("{\"a\":1e999}"));
    assert_err(WG_EINVAL, "", check("{\"a\":-1e400}"));
    assert_err(WG_EINVAL, "", check("{\"a\\u0000b\":1}"));
    assert_err(WG_EINVAL, "", check("{\"x\":{\"\\u0000\":1}}"));
    assert_err(WG_EINVAL, "", json_check_object("{\"a\":1}\0", 8));
    assert_err(WG_EINVAL, "", json_check_object("{\"a\":\"b\0c\"}", 11));
    assert_err(WG_EINVAL, "", json_check_object("{\0}", 3));
}

static void the_message_says_where(void **state)
{
    (void)state;
    assert_err(WG_EINVAL, "byte", check("{\"a\":1,\"b\":oops}"));
    assert_err(WG_EINVAL, "11", check("{\"a\":1,\"b\":oops}"));
    assert_err(WG_EINVAL, "byte 7", check("{\"a\":1}x"));
    assert_err(WG_EINVAL, "byte", check("{\"a\":1e999}"));
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char whole[] = "{\"a\":[1,\"\\u00fc\",{\"b\":-2.5e3}]}";
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        char *cut = allocate(size + 1, 1); /* ends with the 0: the sanitizer watches */
        memcpy(cut, whole, size);
        assert_err(WG_EINVAL, "", json_check_object(cut, size));
        free(cut);
    }
    assert_ok(json_check_object(whole, sizeof whole - 1));
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[4096];
    for (int depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 2; depth++) {
        size_t n = 0;
        for (int i = 0; i < depth - 1; i++, n += 5) memcpy(text + n, "{\"a\":", 5);
        memcpy(text + n, "{}", 2);
        n += 2;
        for (int i = 0; i < depth - 1; i++) text[n++] = '}';
        text[n] = 0;
        wg_err err = json_check_object(text, n);
        assert_int_equal(err, depth <= JSON_DEPTH_MAX ? WG_OK : WG_EINVAL);
    }
    static char deep[(1 << 20) + 1];
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', sizeof deep - 6);
    assert_err(WG_EINVAL, "", json_check_object(deep, sizeof deep - 1));
}

static void size_is_limited(void **state)
{
    (void)state;
    char *text = allocate(JSON_SIZE_MAX + 2, 1);
    memset(text, ' ', JSON_SIZE_MAX + 1);
    memcpy(text, "{\"a\":\"", 6);
    memset(text + 6, 'x', JSON_SIZE_MAX / 2);
    memcpy(text + 6 + JSON_SIZE_MAX / 2, "\"}", 2);
    assert_ok(json_check_object(text, JSON_SIZE_MAX));
    assert_err(WG_EINVAL, "16777217", json_check_object(text, JSON_SIZE_MAX + 1));
    free(text);
}

static void merge_is(const char *object, const char *patch, const char *want)
{
    struct arena arena = { 0 };
    char *merged, got[512];
    assert_ok(json_merge(object, patch, &arena, &merged));
    assert_ok(check(merged));
    assert_true(payload_canonical(merged, got, sizeof got));
    assert_string_equal(got, want);
    arena_fini(&arena);
}

static void the_patch_lies_over_the_object(void **state)
{
    (void)state;
    merge_is("{}", "{}", "{}");
    merge_is("{\"a\":1}", "{}", "{\"a\":1}");
    merge_is("{}", "{\"a\":1}", "{\"a\":1}");
    merge_is("{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}", "{\"a\":1,\"b\":3,\"c\":4}");
    merge_is("{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}");
    merge_is("{\"a\":1}", "{\"a\":null}", "{\"a\":null}");
    merge_is("{\"a\":[1,2]}", "{\"a\":\"b\"}", "{\"a\":\"b\"}");
}

static void values_keep_what_they_say(void **state)
{
    (void)state;
    merge_is("{\"u\":18446744073709551615}", "{\"i\":-9223372036854775808}",
             "{\"i\":-9223372036854775808,\"u\":18446744073709551615}");
    static const char *const doubles[] = { "0.1",        "1e-300",
                                           "123456.789", "3.0000000000000004",
                                           "-0.5",       "1.7976931348623157e308" };
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        char object[64], *merged;
        struct arena arena = { 0 };
        snprintf(object, sizeof object, "{\"a\":%s}", doubles[i]);
        assert_ok(json_merge(object, "{\"b\":1}", &arena, &merged));
        const char *a = strstr(merged, "\"a\":");
        assert_non_null(a);
        assert_true(strtod(a + 4, NULL) == strtod(doubles[i], NULL));
        arena_fini(&arena);
    }
    struct arena arena = { 0 };
    char *merged;
    assert_ok(json_merge("{\"s\":\"\\\"\\\\gr\xC3\xBC/\"}", "{\"t\":\"\\ud83d\\udc1d\"}", &arena,
                         &merged));
    assert_non_null(strstr(merged, "\\\"\\\\gr\xC3\xBC"));
    arena_fini(&arena);
}

static void an_allocation_that_fails_is_no_memory(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct arena arena = { 0 };
        char *merged = NULL;
        mem_fail_at(++request);
        err = check("{\"a\":[1,2,{}]}");
        if (err == WG_OK) err = json_merge("{\"a\":1}", "{\"b\":2}", &arena, &merged);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        arena_fini(&arena);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 1);
}

/* Any text is accepted or refused, and one accepted can be merged. */
static void random_texts_are_judged(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]:,\"\"\"a1-.e\\u0n \x80\xC3";
    struct prng prng = { test_seed() };
    size_t accepted = 0;
    for (size_t round = 0; round < 200000; round++) {
        char text[40] = "{\"a\":";
        size_t size = 5, goal = 6 + test_below(&prng, 12);
        while (size < goal) text[size++] = alphabet[test_below(&prng, sizeof alphabet - 1)];
        text[size++] = '}';
        if (json_check_object(text, size) != WG_OK) continue;
        struct arena arena = { 0 };
        char *merged;
        accepted++;
        assert_ok(json_merge(text, "{\"z\":1}", &arena, &merged));
        assert_ok(check(merged));
        arena_fini(&arena);
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_accepted),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(what_would_change_unsaid_is_refused),
        cmocka_unit_test(the_message_says_where),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(the_patch_lies_over_the_object),
        cmocka_unit_test(values_keep_what_they_say),
        cmocka_unit_test(an_allocation_that_fails_is_no_memory),
        cmocka_unit_test(random_texts_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
