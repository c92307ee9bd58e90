#pragma once
/* Whether a store is what a crash may leave: opened, verified, compared with what was acknowledged,
 * written again. */
#include "support/crash_workload.h"

enum { CRASH_WHY_SIZE = 512 };

/* What was begun, and what was acknowledged, when the crash came. */
struct crash_moment {
    const struct crash_plan *plan;
    const struct crash_history *history;
    bool begun[CRASH_OPS_MAX], done[CRASH_OPS_MAX];
};
void crash_moment_note(struct crash_moment *moment, const char *mark);

struct crash_finding {
    bool in_flight; /* something that was not acknowledged is there */
    char why[CRASH_WHY_SIZE]; /* what is wrong */
};

/* Of the store below folder. Whatever cannot be done or is not as it should be makes this false;
 * some of it ends the process, as a must_ check does. The store is changed. */
bool crash_state_check(const struct crash_moment *moment, wg_context *context, const char *folder,
                       struct crash_finding *finding);
