#include "kernel/fpenv.h"

#include <xmmintrin.h>

/* As a process starts: all exceptions masked, round to nearest, neither FTZ nor DAZ. */
enum { MXCSR_AT_START = 0x1f80 };

struct fp_env fp_env_enter(void)
{
    struct fp_env saved = { _mm_getcsr() };
    _mm_setcsr(MXCSR_AT_START);
    return saved;
}

void fp_env_leave(struct fp_env saved)
{
    _mm_setcsr(saved.control);
}
