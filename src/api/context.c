#include "api/context.h"

#include "api/params.h"
#include "base/mem.h"
#include "device/tier.h"
#include "os/machine.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

enum { THREADS_MAX = 1024 };

const char *wg_version(void)
{
    return TEXT(WG_VERSION_MAJOR) "." TEXT(WG_VERSION_MINOR) "." TEXT(WG_VERSION_PATCH);
}

void wg_context_params_init_sized(wg_context_params *params, size_t size)
{
    static const wg_context_params defaults = { .fallback_to_cpu = true, .amx = true };
    params_fill(params, size, &defaults, sizeof defaults);
}

/* given: by the program; else the environment may name one. */
static wg_err choose_tier(const char *given, bool amx, enum cpu_tier *out)
{
    const char *name = given ? given : getenv("WAGGLE_CPU"), *from = given ? "" : "WAGGLE_CPU: ";
    enum cpu_tier best = tier_best(amx);
    *out = best;
    if (!name) return WG_OK;
    for (int tier = CPU_C; tier < CPU_TIER_COUNT; tier++) {
        if (strcmp(name, cpu_tier_name((enum cpu_tier)tier)) != 0) continue;
        *out = (enum cpu_tier)tier;
        if (*out == CPU_AMX && !amx)
            return wg_fail(WG_ECONFIG, "%sthe tier \"amx\" is asked for, and not allowed (amx)",
                           from);
        if (tier_is_here(*out)) return WG_OK;
        return wg_fail(WG_ECONFIG, "%sthis processor lacks the tier \"%s\"; its best is \"%s\"",
                       from, name, cpu_tier_name(best));
    }
    return wg_fail(
        WG_ECONFIG,
        "%sthere is no tier \"%s\"; there are c, avx2, avxvnni, avx512, avx512vnni, amx, "
        "neon, neondot, neoni8mm",
        from, name);
}

static wg_err check_threads(uint32_t threads)
{
    if (threads <= THREADS_MAX) return WG_OK;
    return wg_fail(WG_ECONFIG, "%u threads; at most %d", threads, THREADS_MAX);
}

static wg_err find_devices(wg_context *context, const wg_context_params *params,
                           const struct backend *const *with)
{
    struct device_set_params set = {
        .backends = with,
        .host = { context->pool, &context->kernels, cpu_tier_name(context->tier) },
        .only = params->backend ? params->backend : getenv("WAGGLE_BACKEND"),
        .fallback_to_cpu = params->fallback_to_cpu,
        .log = context->log,
        .background = context->background,
    };
    return device_set_create(&set, &context->devices);
}

wg_err context_create(const wg_context_params *given, const struct backend *const *with,
                      wg_context **out)
{
    wg_err err = WG_OK;
    wg_context *context = NULL;
    wg_context_params params;
    wg_context_params_init(&params);
    TRY(params_read(given, &params, sizeof params, "params"));
    TRY(check_threads(params.threads));
    TRY(mem_resize(&context, 1));
    *context = (wg_context){ .log = { params.log, params.log_user } };
    TRY(choose_tier(params.cpu, params.amx, &context->tier));
    kernels_init(&context->kernels, context->tier);
    TRY(pool_create(params.threads ? params.threads : processor_count(), &context->pool));
    TRY(background_create(&context->background));
    TRY(find_devices(context, &params, with));
    *out = context;
    context = NULL; /* moved */
out:
    wg_context_destroy(&context);
    return err;
}

wg_err wg_context_create(const wg_context_params *params, wg_context **out)
{
    return context_create(params, backends, out);
}

void wg_context_destroy(wg_context **context)
{
    wg_context *c = *context;
    if (!c) return;
    device_set_destroy(&c->devices);
    background_destroy(&c->background);
    pool_destroy(&c->pool);
    mem_free(context);
}

uint32_t wg_context_threads(const wg_context *context)
{
    return (uint32_t)pool_thread_count(context->pool);
}

const char *wg_context_cpu(const wg_context *context)
{
    return cpu_tier_name(context->tier);
}

const char *wg_cpu_tier_name(size_t index)
{
    for (enum cpu_tier tier = CPU_C; tier < CPU_TIER_COUNT; tier++)
        if (tier_is_here(tier) && index-- == 0) return cpu_tier_name(tier);
    return NULL;
}

wg_err wg_cancel_create(wg_cancel **out)
{
    wg_cancel *cancel = NULL;
    wg_err err = mem_resize(&cancel, 1);
    if (err != WG_OK) return err;
    atomic_init(&cancel->requested, false);
    *out = cancel;
    return WG_OK;
}

void wg_cancel_destroy(wg_cancel **cancel)
{
    mem_free(cancel);
}

void wg_cancel_request(wg_cancel *cancel)
{
    atomic_store(&cancel->requested, true);
}

void wg_cancel_reset(wg_cancel *cancel)
{
    atomic_store(&cancel->requested, false);
}

struct stop stop_of(uint64_t timeout_ms, const wg_cancel *cancel)
{
    return stop_after(timeout_ms, cancel ? &cancel->requested : NULL);
}
