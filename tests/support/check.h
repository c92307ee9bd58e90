#pragma once
/* What the tests share: the seed, assertions about wg_err, memory that is simply there. The
 * assert_ forms report through cmocka and belong on the test's own thread; the must_ forms end the
 * process, and so serve in other threads and in children as well. */
#include "base/prng.h"
#include "kernel/kernel.h"
#include "waggle/waggle.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants these first */
#include <setjmp.h>

#include <cmocka.h>

/* WAGGLE_SEED, or 1; printed once, so that a failure can be repeated. */
uint64_t test_seed(void);
uint64_t test_number_from(const char *variable, uint64_t otherwise);
/* A number in [0, bound); bound at least 1. */
size_t test_below(struct prng *prng, size_t bound);

void *allocate(size_t count, size_t size); /* never NULL; given back with free */

/* A context of this tier and number of threads; tier NULL: what WAGGLE_CPU says, or the best there
 * is. */
wg_context *test_context(const char *tier, uint32_t threads);
/* Whether a test that goes through the tiers is to try this one: the processor has it, and
 * WAGGLE_CPU names no other. */
bool test_has_tier(enum cpu_tier tier);
/* The names of the tiers that this machine has and the test is to try, "c" first; returns how
 * many. */
enum { TEST_TIERS_MAX = CPU_TIER_COUNT };
size_t test_tiers(const char *names[static TEST_TIERS_MAX]);

#define assert_ok(call) check_ok((call), #call, __FILE__, __LINE__)
/* call fails with err, and its message holds needle. */
#define assert_err(err, needle, call) check_err((err), (needle), (call), #call, __FILE__, __LINE__)
#define must_ok(call)                 check_must_ok((call), #call, __FILE__, __LINE__)
#define must(condition, ...)                                                      \
    do {                                                                          \
        if (!(condition)) check_die(__FILE__, __LINE__, #condition, __VA_ARGS__); \
    } while (0)

/* Behind the macros. */
void check_ok(wg_err err, const char *call, const char *file, int line);
void check_err(wg_err want, const char *needle, wg_err got, const char *call, const char *file,
               int line);
void check_must_ok(wg_err err, const char *call, const char *file, int line);
_Noreturn void check_die(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
