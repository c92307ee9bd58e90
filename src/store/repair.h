#pragma once
/* Saving what can be proven right of a damaged store: read through store/pages.h, which trusts
 * nothing, every value by its checksum, every row by the one that the tables keep, every point by
 * its row's id and live bit. The damaged store is not changed. */
#include "store/store.h"
#include "waggle/maintain.h"

struct repair {
    const char *path;
    struct store *salvage; /* new and empty; NULL: nothing is copied */
    wg_problem_fn *note;   /* may be NULL */
    void *user;
    wg_repair_report report; /* out */
};

/* A folder that has, or had, a store in it. WG_ENOTFOUND, and WG_EINVAL for a file, say what is
 * there instead. */
WG_CHECKED wg_err repair_check_place(const char *path);

/* No process writes the damaged store. WG_EVERSION: a newer program wrote it. */
WG_CHECKED wg_err repair_store(struct repair *repair);
