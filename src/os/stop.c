#include "os/stop.h"

#include "os/machine.h"

#include <stdbool.h>

struct stop stop_after(uint64_t timeout_ms, const atomic_bool *cancelled)
{
    uint64_t now = clock_ns(), nanoseconds;
    bool endless = timeout_ms == 0 || __builtin_mul_overflow(timeout_ms, 1000000, &nanoseconds) ||
                   __builtin_add_overflow(now, nanoseconds, &nanoseconds);
    return (struct stop){ endless ? 0 : nanoseconds, cancelled };
}

wg_err stop_check(const struct stop *stop)
{
    if (stop->cancelled && atomic_load_explicit(stop->cancelled, memory_order_relaxed))
        return wg_fail(WG_ECANCELLED, "cancelled by the caller");
    if (stop->deadline_ns != 0 && clock_ns() >= stop->deadline_ns)
        return wg_fail(WG_ETIMEOUT, "the deadline passed before the search was done");
    return WG_OK;
}
