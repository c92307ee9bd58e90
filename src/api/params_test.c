/* Parameter structs of programs older and newer than the library. */
#include "api/params.h"
#include "support/check.h"

#include <string.h>

struct older {
    size_t size;
    int a;
    int b;
};

struct known {
    size_t size;
    int a;
    int b;
    double c;
    bool d;
};

struct newer {
    struct known known;
    int e;
};

static const struct known defaults = { .a = 1, .b = 2, .c = 3.5, .d = true };

static struct known known_defaults(void)
{
    struct known known;
    params_fill(&known, sizeof known, &defaults, sizeof defaults);
    return known;
}

static void an_init_fills_what_there_is_room_for(void **state)
{
    (void)state;
    struct {
        struct older params;
        char beyond[8];
    } old;
    struct newer new;
    memset(&old, 0x55, sizeof old);
    memset(&new, 0x55, sizeof new);
    params_fill(&old.params, sizeof old.params, &defaults, sizeof defaults);
    assert_int_equal(old.params.size, sizeof old.params);
    assert_int_equal(old.params.a, 1);
    assert_int_equal(old.params.b, 2);
    assert_memory_equal(old.beyond, "UUUUUUUU", 8);
    params_fill(&new, sizeof new, &defaults, sizeof defaults);
    assert_int_equal(new.known.size, sizeof new);
    assert_true(new.known.c == 3.5 && new.known.d);
    assert_int_equal(new.e, 0);
    struct known same = known_defaults();
    assert_int_equal(same.size, sizeof same);
}

static void none_is_the_defaults(void **state)
{
    (void)state;
    struct known known = known_defaults();
    const struct known *given = NULL;
    assert_ok(PARAMS_READ(given, &known));
    assert_int_equal(known.size, sizeof known);
    assert_int_equal(known.a, 1);
    assert_true(known.d);
}

static void an_older_one_leaves_the_rest_at_its_default(void **state)
{
    (void)state;
    struct known known = known_defaults();
    struct older given = { sizeof given, 10, 0 };
    assert_ok(params_read(&given, &known, sizeof known, "given"));
    assert_int_equal(known.a, 10);
    assert_int_equal(known.b, 0); /* zero is a value */
    assert_true(known.c == 3.5 && known.d);
}

static void one_of_the_same_size_is_taken_whole(void **state)
{
    (void)state;
    struct known known = known_defaults(), given = { sizeof given, 7, 8, -1, false };
    assert_ok(PARAMS_READ(&given, &known));
    assert_memory_equal(&known, &given, offsetof(struct known, d) + 1);
}

static void a_size_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0,       1, 7, sizeof(struct known) + 1, sizeof(struct newer),
                                    SIZE_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct newer given = { .known = { .size = sizes[i], .a = 99 } };
        struct known known = known_defaults();
        assert_err(WG_EINVAL, "search", params_read(&given, &known, sizeof known, "search"));
        assert_int_equal(known.a, 1);
        struct known result = { sizeof result, 5, 5, 5, true };
        assert_err(WG_EINVAL, "info", params_write(&given, &result, sizeof result, "info"));
        assert_int_equal(given.known.a, 99);
        assert_int_equal(given.known.size, sizes[i]);
    }
}

static void the_macro_names_what_was_given(void **state)
{
    (void)state;
    struct known known = known_defaults(), params = { 0 };
    assert_err(WG_EINVAL, "params", PARAMS_READ(&params, &known));
    assert_err(WG_EINVAL, "params", PARAMS_WRITE(&params, &known));
}

static void results_are_written_as_far_as_they_fit(void **state)
{
    (void)state;
    struct known known = { sizeof known, 4, 5, 6, true }, whole = { .size = sizeof whole };
    struct {
        struct older params;
        char beyond[8];
    } old = { { sizeof old.params, 0, 0 }, "beyond" };
    assert_ok(params_write(&old.params, &known, sizeof known, "info"));
    assert_int_equal(old.params.size, sizeof old.params); /* stays the caller's */
    assert_int_equal(old.params.a, 4);
    assert_int_equal(old.params.b, 5);
    assert_string_equal(old.beyond, "beyond");
    assert_ok(PARAMS_WRITE(&whole, &known));
    assert_int_equal(whole.size, sizeof whole);
    assert_true(whole.c == 6 && whole.d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_init_fills_what_there_is_room_for),
        cmocka_unit_test(none_is_the_defaults),
        cmocka_unit_test(an_older_one_leaves_the_rest_at_its_default),
        cmocka_unit_test(one_of_the_same_size_is_taken_whole),
        cmocka_unit_test(a_size_that_cannot_be_is_refused),
        cmocka_unit_test(the_macro_names_what_was_given),
        cmocka_unit_test(results_are_written_as_far_as_they_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
