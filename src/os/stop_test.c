/* When a call should end before its work is done. */
#include "os/machine.h"
#include "os/stop.h"
#include "support/check.h"

#include <time.h>

static void without_either_it_goes_on(void **state)
{
    (void)state;
    struct stop stop = stop_after(0, NULL);
    assert_int_equal(stop.deadline_ns, 0);
    assert_ok(stop_check(&stop));
    assert_ok(stop_check(&(struct stop){ 0 }));
}

static void a_deadline_passes(void **state)
{
    (void)state;
    struct timespec time = { 0, 3000000 };
    struct stop stop = stop_after(2, NULL);
    nanosleep(&time, NULL);
    assert_err(WG_ETIMEOUT, "", stop_check(&stop));
    assert_true(wg_message()[0] != 0);
    assert_err(WG_ETIMEOUT, "", stop_check(&(struct stop){ .deadline_ns = 1 }));
}

static void a_far_one_does_not(void **state)
{
    (void)state;
    static const uint64_t far[] = {
        600000,    1ull << 33, UINT64_MAX / 1000000, UINT64_MAX / 1000, UINT64_MAX / 1000000 + 1,
        UINT64_MAX
    };
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        struct stop stop = stop_after(far[i], NULL);
        assert_true(stop.deadline_ns == 0 || stop.deadline_ns > clock_ns() + 500000000000u);
        assert_ok(stop_check(&stop));
    }
}

static void the_deadline_is_in_milliseconds(void **state)
{
    (void)state;
    uint64_t before = clock_ns();
    struct stop stop = stop_after(5000, NULL);
    uint64_t after = clock_ns();
    assert_in_range(stop.deadline_ns, before + 5000000000u, after + 5000000000u);
}

static void a_flag_cancels(void **state)
{
    (void)state;
    atomic_bool cancelled = false;
    struct stop stop = stop_after(600000, &cancelled);
    assert_ok(stop_check(&stop));
    cancelled = true;
    assert_err(WG_ECANCELLED, "", stop_check(&stop));
    cancelled = false;
    assert_ok(stop_check(&stop));
    cancelled = true;
    stop = stop_after(0, &cancelled);
    assert_err(WG_ECANCELLED, "", stop_check(&stop));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_either_it_goes_on),
        cmocka_unit_test(a_deadline_passes),
        cmocka_unit_test(a_far_one_does_not),
        cmocka_unit_test(the_deadline_is_in_milliseconds),
        cmocka_unit_test(a_flag_cancels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
