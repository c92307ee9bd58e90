#pragma once
/* A copy of a collection in another store, brought to where the original stands by its list of
 * changes. Change by change: what was applied before an error or an interrupt stays. */
#include "cli/session.h"

struct follow {
    struct session *from; /* its collection is the original, opened for reading */
    const char *name;     /* of the collection, in both stores */
    const char *store;    /* of the copy: opened for writing, must exist */
    uint64_t applied;     /* out, also after a failure: changes */
    uint64_t sequence, chain_hash; /* out: where the copy stands */
};

/* WG_EGONE: the list does not go back far enough. WG_ECONFLICT: the copy is of another history. */
WG_CHECKED wg_err follow_run(struct follow *follow);
