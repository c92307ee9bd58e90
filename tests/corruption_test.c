/* Damaged files are reported or harmless: no crash, no hang, no wrong value that verify misses.
 * tests/slow/corruption_slow_test.c does more of the same. */
#include "support/check.h"
#include "support/corruption.h"

static void check(enum damage damage, const char *name_part, size_t trials)
{
    struct corruption_counts counts = corruption_run(damage, name_part, trials);
    assert_int_equal(counts.trials, trials);
    assert_int_equal(counts.crashed, 0);
    assert_int_equal(counts.hung, 0);
    assert_int_equal(counts.wrong, 0);
    assert_true(counts.detected > 0);
}

static void test_flips_in_segments(void **state)
{
    (void)state;
    check(DAMAGE_FLIP, "!mdb", 150);
}

/* LMDB's pages have no checksums of their own. */
static void test_flips_in_tables(void **state)
{
    (void)state;
    check(DAMAGE_FLIP, "data.mdb", 250);
}

static void test_truncated_segments(void **state)
{
    (void)state;
    check(DAMAGE_TRUNCATE, "!mdb", 40);
}

static void test_truncated_tables(void **state)
{
    (void)state;
    check(DAMAGE_TRUNCATE, "data.mdb", 40);
}

static void test_removed_files(void **state)
{
    (void)state;
    check(DAMAGE_REMOVE, "!lock", 12);
}

static int begin(void **state)
{
    (void)state;
    corruption_begin();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flips_in_segments),  cmocka_unit_test(test_flips_in_tables),
        cmocka_unit_test(test_truncated_segments), cmocka_unit_test(test_truncated_tables),
        cmocka_unit_test(test_removed_files),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
