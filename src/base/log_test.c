/* Messages reach the function that was given, one line each. */
#include "base/log.h"
#include "support/check.h"

#include <string.h>

struct heard {
    size_t count;
    wg_log_level level;
    size_t length;
    char text[8192];
};

static void hear(void *user, wg_log_level level, const char *message)
{
    struct heard *heard = user;
    heard->count++;
    heard->level = level;
    heard->length = strlen(message);
    strncpy(heard->text, message, sizeof heard->text - 1);
}

static void a_line_arrives_with_its_level(void **state)
{
    (void)state;
    struct heard heard = { 0 };
    struct log log = { hear, &heard };
    log_line(&log, WG_LOG_WARNING, "%s has %d rows", "docs", 7);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, WG_LOG_WARNING);
    assert_string_equal(heard.text, "docs has 7 rows");
    log_line(&log, WG_LOG_DEBUG, "%s", "100% of %s");
    assert_int_equal(heard.level, WG_LOG_DEBUG);
    assert_string_equal(heard.text, "100% of %s");
}

static void without_a_function_nothing_happens(void **state)
{
    (void)state;
    struct log nowhere = { 0 };
    log_line(&nowhere, WG_LOG_ERROR, "%s", "unheard");
}

static void a_long_line_ends(void **state)
{
    (void)state;
    static char text[1 << 18];
    static struct heard heard;
    memset(text, 'x', sizeof text - 1);
    struct log log = { hear, &heard };
    log_line(&log, WG_LOG_INFO, "begin %s", text);
    assert_int_equal(heard.count, 1);
    assert_true(heard.length > 64 && heard.length <= sizeof text + 6);
    assert_memory_equal(heard.text, "begin xxx", 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_arrives_with_its_level),
        cmocka_unit_test(without_a_function_nothing_happens),
        cmocka_unit_test(a_long_line_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
