#pragma once
/* What the library finds wrong, one sentence each: printed as it comes, the first of them; all are
 * counted. */
#include "cli/json.h"

#include <stdint.h>

struct findings {
    const char *label; /* "problem": stands before each */
    uint64_t limit; /* print so many */
    struct json_object *array; /* with --json they go in here */
    uint64_t count;
};

struct findings findings_make(const char *label, uint64_t limit);
void findings_add(void *user, const char *sentence); /* a wg_problem_fn; user: the findings */
/* ", the first 100 of them above" when not all were printed, else "". */
const char *findings_shown(const struct findings *findings, char *text, size_t room);
void findings_fini(struct findings *findings);
