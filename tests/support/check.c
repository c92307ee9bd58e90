#include "support/check.h"

#include "device/tier.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t test_number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

uint64_t test_seed(void)
{
    uint64_t seed = test_number_from("WAGGLE_SEED", 1);
    static bool printed;
    if (!printed) printf("seed %" PRIu64 " (WAGGLE_SEED sets it)\n", seed);
    printed = true;
    return seed;
}

size_t test_below(struct prng *prng, size_t bound)
{
    return (size_t)(prng_next(prng) % bound);
}

void *allocate(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (!p) abort();
    return p;
}

wg_context *test_context(const char *tier, uint32_t threads)
{
    wg_context_params params;
    wg_context_params_init(&params);
    params.cpu = tier;
    params.threads = threads;
    wg_context *context = NULL;
    must_ok(wg_context_create(&params, &context));
    return context;
}

bool test_has_tier(enum cpu_tier tier)
{
    const char *only = getenv("WAGGLE_CPU");
    return tier_is_here(tier) && (!only || strcmp(only, cpu_tier_name(tier)) == 0);
}

size_t test_tiers(const char *names[static TEST_TIERS_MAX])
{
    size_t count = 0;
    for (enum cpu_tier tier = CPU_C; tier < CPU_TIER_COUNT; tier++) {
        if (test_has_tier(tier))
            names[count++] = cpu_tier_name(tier);
        else
            printf("tier %s is not tried: not on this processor, or WAGGLE_CPU names another\n",
                   cpu_tier_name(tier));
    }
    must(count > 0, "this processor lacks the tier that WAGGLE_CPU names");
    return count;
}

void check_ok(wg_err err, const char *call, const char *file, int line)
{
    if (err == WG_OK) return;
    print_error("%s\n    returned %s: %s\n", call, wg_err_name(err), wg_message());
    _fail(file, line);
}

void check_err(wg_err want, const char *needle, wg_err got, const char *call, const char *file,
               int line)
{
    if (got == want && strstr(wg_message(), needle)) return;
    print_error("%s\n    returned %s: %s\n    expected %s, naming \"%s\"\n", call, wg_err_name(got),
                got ? wg_message() : "", wg_err_name(want), needle);
    _fail(file, line);
}

void check_must_ok(wg_err err, const char *call, const char *file, int line)
{
    if (err) check_die(file, line, call, "returned %s: %s", wg_err_name(err), wg_message());
}

void check_die(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: %s: ", file, line, condition);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}
