#pragma once
/* Whether two stores hold the same. Both may be written meanwhile: of each collection one commit is
 * looked at. Takes little memory, whatever they hold. Any thread. */
#include "store/store.h"
#include "waggle/maintain.h"

enum { EQUAL_REPORTS_MAX = 100 }; /* of a collection; the count goes on */

struct equal_report {
    wg_problem_fn *report; /* may be NULL */
    void *user;
    uint64_t difference_count;
};

/* WG_ECORRUPT: what one of them holds cannot be read. */
WG_CHECKED wg_err store_compare(struct store *a, struct store *b, struct equal_report *report);
