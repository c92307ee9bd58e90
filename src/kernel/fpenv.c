/* For processors without a file of their own, as x86/fpenv.c and arm/fpenv.c. */
#include "kernel/fpenv.h"

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <fenv.h>

struct fp_env fp_env_enter(void)
{
    struct fp_env saved = { (uint32_t)fegetround() };
    fesetround(FE_TONEAREST);
    return saved;
}

void fp_env_leave(struct fp_env saved)
{
    fesetround((int)saved.control);
}
#endif
