#pragma once
/* Reading all that a collection has on disk, and comparing everything with everything: checksums,
 * the rows of segments, live bits, points and their ids. Nothing is written. */
#include "store/store.h"
#include "waggle/maintain.h"

struct verify_report {
    wg_problem_fn *problem; /* may be NULL; also told of caches: "cache: ..." */
    void *user;
    uint64_t problem_count; /* without those of caches */
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

/* The registry and every collection of an open store, also those whose name in it is damaged: they
 * are found by their folders. only: the collection of that name or alias alone; NULL: all.
 * WG_ENOTFOUND: there is none. */
WG_CHECKED wg_err store_verify(struct store *store, const char *only, struct verify_report *report);

/* The collections of a store whose registry cannot be opened, by their folders; only: by the name
 * that the folder keeps. That of the registry was told. */
WG_CHECKED wg_err store_verify_folders(const char *path, uint32_t reader_limit, const char *only,
                                       struct verify_report *report);
