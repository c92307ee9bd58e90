/* The one allocator: sizes, failures on order, the count of what is in use. */
#include "base/mem.h"
#include "os/thread.h"
#include "support/check.h"

#include <stdio.h>
#include <string.h>

static void it_allocates_grows_and_shrinks(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    uint64_t *p = NULL;
    assert_ok(mem_resize(&p, 4));
    assert_int_equal(mem_in_use(), before + 1);
    for (uint64_t i = 0; i < 4; i++) p[i] = i;
    assert_ok(mem_resize(&p, 100000));
    assert_int_equal(mem_in_use(), before + 1);
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(p[i], i);
    p[99999] = 7;
    assert_ok(mem_resize(&p, 2));
    assert_int_equal(p[1], 1);
    assert_int_equal(mem_in_use(), before + 1);
    mem_free(&p);
    assert_null(p);
    assert_int_equal(mem_in_use(), before);
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    char *p = NULL;
    mem_free(&p);
    mem_free(&p);
    assert_null(p);
    assert_int_equal(mem_in_use(), before);
}

static void no_elements_are_something_to_free(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    char *p = NULL;
    assert_ok(mem_resize(&p, 0));
    assert_ok(mem_resize(&p, 3));
    memcpy(p, "ab", 3);
    assert_ok(mem_resize(&p, 0));
    mem_free(&p);
    assert_int_equal(mem_in_use(), before);
}

static void a_size_that_overflows_is_refused(void **state)
{
    (void)state;
    static const size_t counts[] = { SIZE_MAX, SIZE_MAX / 8 + 1, SIZE_MAX / 2, SIZE_MAX / 8 };
    size_t before = mem_in_use();
    uint64_t *p = NULL;
    assert_ok(mem_resize(&p, 1));
    uint64_t *const was = p;
    *p = 42;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char number[32];
        snprintf(number, sizeof number, "%zu", counts[i]);
        assert_err(WG_ENOMEM, number, mem_resize(&p, counts[i]));
        assert_ptr_equal(p, was);
        assert_int_equal(*p, 42);
        assert_int_equal(mem_in_use(), before + 1);
        uint64_t *none = NULL;
        assert_err(WG_ENOMEM, "", mem_resize(&none, counts[i]));
        assert_null(none);
    }
    mem_free(&p);
}

static void the_request_told_to_fail_fails_alone(void **state)
{
    (void)state;
    char *p[4] = { NULL };
    size_t before = mem_in_use();
    mem_fail_at(3);
    assert_ok(mem_resize(&p[0], 10));
    assert_ok(mem_resize(&p[1], 10));
    assert_err(WG_ENOMEM, "10", mem_resize(&p[2], 10));
    assert_null(p[2]);
    assert_ok(mem_resize(&p[3], 10));
    assert_int_equal(mem_in_use(), before + 3);
    mem_fail_at(1);
    char *const was = p[0];
    assert_err(WG_ENOMEM, "20", mem_resize(&p[0], 20));
    assert_ptr_equal(p[0], was);
    assert_ok(mem_resize(&p[0], 20));
    mem_fail_at(1);
    mem_fail_at(0);
    assert_ok(mem_resize(&p[2], 10));
    for (size_t i = 0; i < 4; i++) mem_free(&p[i]);
    assert_int_equal(mem_in_use(), before);
}

static void many_times(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 20000; i++) {
        char *p = NULL;
        must_ok(mem_resize(&p, 1 + i % 100));
        must_ok(mem_resize(&p, 1 + i % 200));
        mem_free(&p);
    }
}

static void the_count_is_right_with_many_threads(void **state)
{
    (void)state;
    struct thread threads[4];
    size_t before = mem_in_use();
    for (size_t i = 0; i < 4; i++) assert_ok(thread_start(many_times, NULL, &threads[i]));
    for (size_t i = 0; i < 4; i++) thread_join(&threads[i]);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_allocates_grows_and_shrinks),
        cmocka_unit_test(freeing_nothing_is_fine),
        cmocka_unit_test(no_elements_are_something_to_free),
        cmocka_unit_test(a_size_that_overflows_is_refused),
        cmocka_unit_test(the_request_told_to_fail_fails_alone),
        cmocka_unit_test(the_count_is_right_with_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
