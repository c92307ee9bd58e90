#pragma once
/* Whether a device gives the canonical bits: scans of every metric over generated rows with ties,
 * zeros, denormals and the largest components, masked and not, against a full scan by the C tier.
 * This is also the conformance suite that every backend has to pass. */
#include "device/set.h"

/* WG_OK: it does. WG_ECORRUPT: it answered, and wrongly; the message says where. Else the error
 * that the device returned. Takes some milliseconds on a CPU. */
WG_CHECKED wg_err device_self_test(struct slot *slot);
