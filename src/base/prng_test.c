/* SplitMix64 as published, and its floats. */
#include "base/prng.h"
#include "support/check.h"

static void it_is_splitmix64(void **state)
{
    (void)state;
    static const uint64_t of_zero[] = { 0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F,
                                        0xF88BB8A8724C81EC };
    static const uint64_t of_1234567[] = { 6457827717110365317u, 3203168211198807973u,
                                           9817491932198370423u, 4593380528125082431u,
                                           16408922859458223821u };
    struct prng prng = { 0 };
    for (size_t i = 0; i < 4; i++) assert_int_equal(prng_next(&prng), of_zero[i]);
    prng.state = 1234567;
    for (size_t i = 0; i < 5; i++) assert_int_equal(prng_next(&prng), of_1234567[i]);
}

static void units_fill_their_range(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    enum { COUNT = 200000, BINS = 16 };
    size_t bins[BINS] = { 0 };
    for (size_t i = 0; i < COUNT; i++) {
        float x = prng_unit(&prng);
        assert_true(x >= -1 && x < 1);
        bins[(size_t)((x + 1) * (float)BINS / 2)]++;
    }
    for (size_t b = 0; b < BINS; b++) { /* ten standard deviations, near enough */
        assert_true(bins[b] > COUNT / BINS - 1100);
        assert_true(bins[b] < COUNT / BINS + 1100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_splitmix64),
        cmocka_unit_test(units_fill_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
