#pragma once
/* When a call should end before its work is done: a deadline, a flag set by another thread. */
#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct stop {
    uint64_t deadline_ns;        /* by clock_ns; 0: none */
    const atomic_bool *cancelled; /* may be NULL */
};

/* The deadline of a call that begins now; 0 ms: none. */
struct stop stop_after(uint64_t timeout_ms, const atomic_bool *cancelled);

/* WG_ETIMEOUT, WG_ECANCELLED. Costs some ten nanoseconds: once per block of work. */
WG_CHECKED wg_err stop_check(const struct stop *stop);
