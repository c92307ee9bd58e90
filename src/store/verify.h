#pragma once
/* Reading all that a collection has on disk, and comparing everything with everything: checksums,
 * the rows of segments, live bits, points and their ids. Nothing is written. */
#include "store/store.h"

struct verify_report {
    wg_problem_fn *problem; /* may be NULL */
    void *user;
    uint64_t problem_count;
};

/* Problems go to the report; an error is one of the checking itself (no memory). */
WG_CHECKED wg_err verify_collection(const char *name, const char *folder,
                                    struct verify_report *report);

void verify_problem(struct verify_report *report, const char *format, ...) WG_PRINTF(2, 3);
