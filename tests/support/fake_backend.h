#pragma once
/* A device that can be told to fail: it has a memory of its own, does its scans when they are
 * waited for, and is right unless told otherwise. For tests of what happens around a device. */
#include "device/device.h"

#include <stdatomic.h>

struct fake_control {
    atomic_uint device_count; /* 0: none, for a reason */
    atomic_ullong memory_bytes; /* rows beyond it are WG_EDEVICEMEMORY; 0: no limit */
    atomic_uint lose_at; /* the n-th operation from now on loses the device; 0: none */
    atomic_bool lost; /* every operation fails until this is false again */
    atomic_bool wrong_bits; /* the last bit of every score is flipped */
    atomic_uint delay_ms; /* of every wait */
    atomic_uint scans; /* begun: the first is 1 */
    atomic_uint hold; /* scans from this one on do not end, unless they are stopped; 0: all do */
    atomic_uint held; /* scans that would have ended */
    atomic_size_t scan_queries; /* of the latest scan */
    atomic_uint operations; /* counted */
    atomic_uint rows_alive, masks_alive; /* not yet destroyed */
};

extern struct fake_control fake;
void fake_reset(void); /* one device, nothing fails */

extern const struct backend backend_fake, backend_cpu;
/* The fake, then the CPU. */
extern const struct backend *const fake_backends[];
