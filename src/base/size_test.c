/* Products of sizes: right, or an error. */
#include "base/size.h"
#include "support/check.h"

static void a_product_that_fits_is_given(void **state)
{
    (void)state;
    static const size_t fits[][2] = { { 0, 0 },
                                      { 0, SIZE_MAX },
                                      { SIZE_MAX, 0 },
                                      { 1, SIZE_MAX },
                                      { SIZE_MAX, 1 },
                                      { 3, 5 },
                                      { SIZE_MAX / 2, 2 },
                                      { (size_t)1 << 32, ((size_t)1 << 32) - 1 } };
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) {
        size_t product = 77;
        assert_ok(size_multiply(fits[i][0], fits[i][1], &product));
        assert_int_equal(product, fits[i][0] * fits[i][1]);
    }
}

static void one_that_does_not_is_an_error(void **state)
{
    (void)state;
    static const size_t beyond[][2] = { { SIZE_MAX, 2 },
                                        { 2, SIZE_MAX },
                                        { SIZE_MAX, SIZE_MAX },
                                        { (size_t)1 << 32, (size_t)1 << 32 },
                                        { SIZE_MAX / 3 + 1, 3 } };
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        size_t product = 77;
        wg_err err = size_multiply(beyond[i][0], beyond[i][1], &product);
        assert_int_not_equal(err, WG_OK);
        assert_int_equal(product, 77);
        assert_true(wg_message()[0] != 0);
    }
}

static void random_ones_agree_with_wide_numbers(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    for (size_t i = 0; i < 100000; i++) {
        size_t a = prng_next(&prng) >> (prng_next(&prng) % 64);
        size_t b = prng_next(&prng) >> (prng_next(&prng) % 64), product = 0;
        __extension__ unsigned __int128 wide = (unsigned __int128)a * b;
        wg_err err = size_multiply(a, b, &product);
        assert_int_equal(err == WG_OK, wide <= SIZE_MAX);
        if (err == WG_OK) assert_int_equal(product, (size_t)wide);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_that_fits_is_given),
        cmocka_unit_test(one_that_does_not_is_an_error),
        cmocka_unit_test(random_ones_agree_with_wide_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
