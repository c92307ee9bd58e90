/* Errors as codes, and the message that belongs to a thread. */
#include "base/err.h"
#include "os/thread.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

static void every_code_has_a_name_a_text_and_a_status(void **state)
{
    (void)state;
#define X(name, value, http, text)                            \
    assert_int_equal(WG_##name, value);                       \
    assert_string_equal(wg_err_name(WG_##name), "WG_" #name); \
    assert_string_equal(wg_err_text(WG_##name), text);        \
    assert_int_equal(wg_err_http(WG_##name), http);
    WG_ERRORS(X)
#undef X
}

static void a_code_that_is_none_has_them_too(void **state)
{
    (void)state;
    static const int values[] = { 1, -1000, 77, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        wg_err err = (wg_err)values[i];
        assert_non_null(wg_err_name(err));
        assert_non_null(wg_err_text(err));
        assert_int_equal(wg_err_http(err), 500);
    }
}

static void a_failure_is_recorded_and_returned(void **state)
{
    (void)state;
    assert_int_equal(wg_fail(WG_EDIM, "query has %d dimensions, %s has %zu", 3, "\"docs\"",
                             (size_t)768),
                     WG_EDIM);
    assert_string_equal(wg_message(), "query has 3 dimensions, \"docs\" has 768");
    assert_int_equal(wg_fail(WG_EIO, "plain"), WG_EIO);
    assert_string_equal(wg_message(), "plain");
}

static void a_message_may_quote_the_one_before(void **state)
{
    (void)state;
    (void)wg_fail(WG_EIO, "the disk is gone");
    (void)wg_fail(WG_EIO, "segment 3: %s", wg_message());
    assert_string_equal(wg_message(), "segment 3: the disk is gone");
    (void)wg_fail(WG_EIO, "%s, and again: %s", wg_message(), wg_message());
    assert_string_equal(wg_message(),
                        "segment 3: the disk is gone, and again: segment 3: the disk is gone");
}

static void a_long_message_is_cut_and_ends(void **state)
{
    (void)state;
    static char text[1 << 20];
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(wg_fail(WG_EINVAL, "begin %s", text), WG_EINVAL);
    size_t length = strlen(wg_message());
    assert_true(length > 64 && length < sizeof text);
    assert_memory_equal(wg_message(), "begin xxx", 9);
    for (int i = 0; i < 100; i++) (void)wg_fail(WG_EINVAL, "again: %s", wg_message());
    assert_memory_equal(wg_message(), "again: again: ", 14);
}

static void other_thread(void *arg)
{
    char *got = arg;
    snprintf(got, 64, "%s", wg_message());
    (void)wg_fail(WG_EBUSY, "of the other thread");
}

static void the_message_belongs_to_its_thread(void **state)
{
    (void)state;
    char got[64] = "?";
    struct thread thread;
    (void)wg_fail(WG_EINVAL, "of this thread");
    assert_ok(thread_start(other_thread, got, &thread));
    thread_join(&thread);
    assert_string_equal(got, "");
    assert_string_equal(wg_message(), "of this thread");
}

static wg_err two_steps(wg_err first, int *reached)
{
    wg_err err;
    TRY(first);
    *reached = 1;
    TRY(WG_OK);
    *reached = 2;
out:
    return err;
}

static void try_leaves_at_the_first_error(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(two_steps(WG_ENOSPC, &reached), WG_ENOSPC);
    assert_int_equal(reached, 0);
    assert_ok(two_steps(WG_OK, &reached));
    assert_int_equal(reached, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_a_text_and_a_status),
        cmocka_unit_test(a_code_that_is_none_has_them_too),
        cmocka_unit_test(a_failure_is_recorded_and_returned),
        cmocka_unit_test(a_message_may_quote_the_one_before),
        cmocka_unit_test(a_long_message_is_cut_and_ends),
        cmocka_unit_test(the_message_belongs_to_its_thread),
        cmocka_unit_test(try_leaves_at_the_first_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
