/* What the machine says of itself, against what the system's own calls say. */
#include "os/machine.h"
#include "support/check.h"

#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void the_clock_rises_in_nanoseconds(void **state)
{
    (void)state;
    struct timespec time = { 0, 20000000 };
    uint64_t start = clock_ns(), last = start;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_ns();
        assert_true(now >= last);
        last = now;
    }
    nanosleep(&time, NULL);
    assert_in_range(clock_ns() - last, 20000000, 20000000000u);
}

static void the_process_has_its_number(void **state)
{
    (void)state;
    assert_int_equal(process_id(), getpid());
}

static void processors_are_those_allowed(void **state)
{
    (void)state;
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    assert_int_equal(processor_count(), CPU_COUNT(&allowed));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        for (size_t i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &allowed) && CPU_COUNT(&one) == 0) CPU_SET(i, &one);
        must(sched_setaffinity(0, sizeof one, &one) == 0, "cannot choose a processor");
        must(processor_count() == 1, "%u processors of one", processor_count());
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_name_fits_its_room(void **state)
{
    (void)state;
    char whole[256], cut[10];
    memset(whole, 'x', sizeof whole);
    memset(cut, 'x', sizeof cut);
    processor_name(whole, sizeof whole);
    assert_true(strlen(whole) < sizeof whole);
    assert_null(strchr(whole, '\n'));
    processor_name(cut, 6);
    assert_true(strlen(cut) <= 5);
    assert_memory_equal(cut, whole, strlen(cut));
    assert_memory_equal(cut + 6, "xxxx", 4);
}

static void features_are_the_compilers_too(void **state)
{
    (void)state;
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    assert_int_equal(processor_has_avx2(), avx2);
    assert_int_equal(processor_has_avx512(), avx512);
#else
    assert_false(processor_has_avx2() || processor_has_avx512());
#endif
}

static void memory_is_counted(void **state)
{
    (void)state;
    uint64_t all = memory_bytes(), free_bytes = memory_free_bytes();
    assert_true(all > 1 << 26);
    assert_true(free_bytes > 0 && free_bytes <= all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_rises_in_nanoseconds),
        cmocka_unit_test(the_process_has_its_number),
        cmocka_unit_test(processors_are_those_allowed),
        cmocka_unit_test(the_name_fits_its_room),
        cmocka_unit_test(features_are_the_compilers_too),
        cmocka_unit_test(memory_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
