#pragma once
/* Looking after stores: checking, copying, comparing, saving what is left of a damaged one. */
#include "waggle/collection.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A thing found, as a sentence that says what and where; valid during the call. */
typedef void wg_problem_fn(void *user, const char *problem);

/* Reads everything that the store at path holds (a folder, or an exported file) and checks every
 * checksum and cross-reference, beside a process that may write. Each thing found wrong is reported
 * once; report may be NULL. collection may be NULL, for all of them, or an alias. WG_EBUSY: this
 * process has it open. WG_OK also when problems were found: problem_count says how many. Damaged
 * codes, which are kept beside the rows (wg_collection_params), are reported too, in a sentence
 * that begins with "cache: ", and not counted: they are not used, and are made anew. */
WG_API WG_CHECKED wg_err wg_store_verify(wg_context *context, const char *path,
                                         const char *collection, wg_problem_fn *report, void *user,
                                         uint64_t *problem_count);

/* Compares what two stores hold: collections, and of each its history (epoch, sequence, chain
 * hash), points, versions, vectors bit for bit, payloads, and the order of rows, which decides
 * between equal scores. Each difference is reported, at most 100 of a collection. */
WG_API WG_CHECKED wg_err wg_store_equal(wg_context *context, const char *path_a, const char *path_b,
                                        wg_problem_fn *report, void *user,
                                        uint64_t *difference_count);

/* Copies the store into path, an empty folder or a new one, while it is written and searched: each
 * collection as one of its commits left it. The copy is a store. Segments that are not written any
 * more are linked where the disk can do that, so a copy beside the store takes little room; writing
 * to the copy never changes the original. After an error there is nothing at path, unless the
 * message says that this is unknown.
 * WG_EINVAL (path is not empty), WG_ENOSPC, WG_EIO, WG_ENOMEM. */
WG_API WG_CHECKED wg_err wg_store_snapshot(wg_store *store, const char *path);

/* Copies a snapshot (or any store that no process writes) into path, an empty folder or a new one,
 * and shares no file with it; every checksum is checked on the way. WG_ECORRUPT: the snapshot is
 * damaged. After an error there is nothing at path. */
WG_API WG_CHECKED wg_err wg_store_restore(wg_context *context, const char *snapshot,
                                          const char *path);

/* Writes the collection, as its latest commit left it, to one file that wg_store_open reads
 * anywhere, without LMDB and without unpacking; it is there whole or not at all. WG_EEXISTS. */
WG_API WG_CHECKED wg_err wg_collection_export(wg_collection *collection, const char *path);

typedef struct wg_repair_report {
    size_t size;
    uint64_t collection_count; /* that could be read at least in part */
    uint64_t lost_collection_count; /* of which nothing could be read */
    uint64_t point_count; /* proven right: every checksum and cross-reference holds */
    uint64_t lost_count; /* points and live rows that are damaged */
} wg_repair_report;

#define wg_repair_report_init(report) wg_repair_report_init_sized((report), sizeof *(report))
WG_API void wg_repair_report_init_sized(wg_repair_report *report, size_t size);

/* Copies from the damaged store at path what can be proven right into a new store at salvage_path,
 * an empty folder or a new one; NULL: only looks. The damaged one is not changed. Each thing that
 * is lost is told to note, which may be NULL. Collections get a new epoch: their lists of changes
 * begin anew. WG_EBUSY: a process writes it. */
WG_API WG_CHECKED wg_err wg_store_repair(wg_context *context, const char *path,
                                         const char *salvage_path, wg_problem_fn *note, void *user,
                                         wg_repair_report *report);

#ifdef __cplusplus
}
#endif
