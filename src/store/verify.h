#pragma once
/* Reading all that a collection has on disk, and comparing everything with everything: checksums,
 * the rows of segments, live bits, points and their ids. Nothing is written. */
#include "store/store.h"
#include "waggle/maintain.h"

struct verify_report {
    wg_problem_fn *problem; /* may be NULL */
    void *user;
    uint64_t problem_count;
    wg_err cause; /* of the first problem that is no damage: what could not be read. WG_OK: none */
};

/* Problems go to the report; an error is one of the checking itself (no memory). */
struct verify_place {
    const char *folder; /* the collection's */
    enum db_use use;
    uint32_t reader_limit;
};
WG_CHECKED wg_err verify_collection(const char *name, const struct verify_place *place,
                                    struct verify_report *report);

void verify_problem(struct verify_report *report, const char *format, ...) WG_PRINTF(2, 3);

/* The same of a collection of an open store. */
WG_CHECKED wg_err store_verify_collection(struct store *store, const char *name, uint64_t number,
                                          struct verify_report *report);
