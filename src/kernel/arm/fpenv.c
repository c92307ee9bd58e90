#include "kernel/fpenv.h"

/* All zero: round to nearest, denormals kept, no exception traps. */
enum { FPCR_AT_START = 0 };

static uint64_t control_get(void)
{
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control)::"memory");
    return control;
}

/* To write takes long on some processors. */
static void control_change(uint64_t from, uint64_t to)
{
    if (from != to) __asm__ volatile("msr fpcr, %0" ::"r"(to) : "memory");
}

struct fp_env fp_env_enter(void)
{
    struct fp_env saved = { (uint32_t)control_get() };
    control_change(saved.control, FPCR_AT_START);
    return saved;
}

void fp_env_leave(struct fp_env saved)
{
    control_change(FPCR_AT_START, saved.control);
}
