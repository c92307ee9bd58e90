#pragma once
/* The plan of the crash simulation done: once in a process that is recorded, with marks in the
 * recording around each operation, and once in order, to know what each collection holds after each
 * of its writes. */
#include "support/crash_plan.h"
#include "support/recording.h"

/* In the process that tests/preload/files.h records: a store in the folder, at crash_store_path. */
void crash_workload_run(const struct crash_plan *plan, const char *folder);
/* Room for SCRATCH_PATH_SIZE + 16. */
void crash_store_path(const char *folder, char *path);
void crash_snapshot_path(const char *folder, size_t op_index, char *path);

/* What a mark says. */
struct crash_mark {
    size_t op;
    bool done; /* acknowledged; else it is about to begin */
    uint64_t sequence; /* of its collection when it was done; 0: not known */
};
void crash_mark_read(const char *text, struct crash_mark *out);

struct crash_history {
    uint64_t sequences[CRASH_OPS_MAX]; /* of its collection after each operation */
    uint64_t last[CRASH_COLLECTIONS];
    /* content_fingerprint at each sequence */
    uint64_t fingerprints[CRASH_COLLECTIONS][CRASH_SEQUENCES];
};

/* Does the plan again, in the order that the marks tell, with a store in folder, in a child of this
 * process. *history is shared with it (mmap). */
void crash_history_make(const struct crash_plan *plan, const struct recording *recording,
                        const char *folder, struct crash_history *history);
