#pragma once
/* The floating-point environment in which the kernels give the canonical score: round to nearest,
 * denormals kept (on input and on output), exceptions masked. A host program may have changed it,
 * often without knowing: -ffast-math libraries do so when they are loaded. So the API enters at its
 * door and leaves at its return, and every worker for each of its tasks.
 *
 * The environment belongs to the calling thread. On x86 it is all of the MXCSR, its sticky
 * flags included: the host sees none that we raise. On 64-bit ARM it is all of the FPCR; the sticky
 * flags are in another register, and stay as we raise them. Elsewhere it is the rounding mode
 * alone, by <fenv.h>, which has no word for flush-to-zero: such a port needs its own file. */
#include <stdint.h>

struct fp_env {
    uint32_t control;
};

/* Sets the environment above; returns what was there, for fp_env_leave. */
struct fp_env fp_env_enter(void);
void fp_env_leave(struct fp_env saved);
