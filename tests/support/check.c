#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEST_SKIPPED = 77 };

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

static wg_context *try_context(const char *tier, uint32_t threads)
{
    wg_context_params params;
    wg_context_params_init(&params);
    params.cpu = tier;
    params.threads = threads;
    wg_context *context = NULL;
    wg_err err = wg_context_create(&params, &context);
    must(err == WG_OK || (tier && err == WG_ECONFIG), "tier %s: %s", tier ? tier : "any",
         wg_message());
    if (err) printf("tier %s is not tested: %s\n", tier, wg_message());
    return context;
}

wg_context *test_context(const char *tier, uint32_t threads)
{
    const char *forced = tier ? NULL : getenv("WAGGLE_TEST_CPU");
    wg_context *context = try_context(tier ? tier : forced, threads);
    if (!context && forced) exit(TEST_SKIPPED);
    must(context, "tier %s: %s", tier, wg_message());
    return context;
}

size_t test_tiers(const char *names[static TEST_TIERS_MAX])
{
    const char *forced = getenv("WAGGLE_TEST_CPU");
    size_t count = 0;
    if (forced) {
        wg_context *context = test_context(NULL, 1);
        names[count++] = forced;
        wg_context_destroy(&context);
        return count;
    }
    for (enum cpu_tier tier = CPU_C; tier < CPU_TIER_COUNT; tier++) {
        const char *name = cpu_tier_name(tier);
        wg_context *context = try_context(name, 1);
        if (context) names[count++] = name;
        wg_context_destroy(&context);
    }
    must(count > 0, "not even the C tier");
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
