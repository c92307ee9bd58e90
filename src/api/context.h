#pragma once
/* What is behind a wg_context. */
#include "base/log.h"
#include "device/set.h"
#include "os/background.h"
#include "os/pool.h"
#include "waggle/context.h"

#include <stdatomic.h>

struct wg_context {
    enum cpu_tier tier;
    struct kernels kernels;
    struct log log;
    struct pool *pool;
    struct background *background;
    struct device_set *devices;
};

struct wg_cancel {
    atomic_bool requested;
};

/* wg_context_create with other backends than those compiled in: how tests bring a device that
 * fails. */
WG_CHECKED wg_err context_create(const wg_context_params *params, const struct backend *const *with,
                                 wg_context **out);

struct stop stop_of(uint64_t timeout_ms, const wg_cancel *cancel);
