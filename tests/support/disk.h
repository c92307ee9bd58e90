#pragma once
/* A disk in memory that a recording is played to, and what a crash leaves of it.
 *
 * Of each file it knows what is durable and which calls came after; of each folder, which names are
 * durable. A sync of a file makes its bytes and its size durable, a write through a descriptor with
 * O_DSYNC its own pages, a sync of a folder its names; nothing else does: not a file's name by the
 * file's sync, not a file's bytes by the folder's. A rename becomes durable as one step, with the
 * folder that gets the name. Until then a crash may leave any of it, in any order: every unit of a
 * file (a sector of 512 bytes, or a page of 4,096) is as it was after some number of the calls that
 * touched it, its size likewise, each name changed or not. The contents of files named lock and
 * lock.mdb are not kept. */
#include "support/recording.h"

struct disk;
struct disk *disk_create(void);
void disk_destroy(struct disk **disk);

void disk_apply(struct disk *disk, const struct recorded *record);

/* Syncs that do nothing from now on: a bug to be found. */
enum disk_sync { DISK_SYNC_FILE, DISK_SYNC_RANGE, DISK_SYNC_FOLDER };
struct disk_bug {
    const char *what;
    enum disk_sync kind;
    const char *path; /* of the file or the folder: a shell pattern */
    uint32_t good; /* so many of each file or folder do what they should, before the others */
};
void disk_plant(struct disk *disk, const struct disk_bug *bug); /* which outlives the disk */
bool disk_left_out(const struct disk *disk); /* the bug has shown */

/* What happens to that which is not durable. */
enum disk_loss {
    DISK_KEEPS, /* all is there */
    DISK_DROPS, /* nothing is */
    DISK_MIXES, /* some of it, drawn from the seed: by sectors, by pages or by calls */
    DISK_LOSSES
};
struct disk_crash {
    enum disk_loss loss;
    uint64_t seed;
};

/* Whether all is durable, so that each crash leaves the same. */
bool disk_is_synced(const struct disk *disk);
/* Makes what the crash leaves, in folder, which is empty. */
void disk_write_out(const struct disk *disk, const struct disk_crash *crash, const char *folder);
/* For people: what would be drawn. */
void disk_crash_format(const struct disk_crash *crash, char *text, size_t room);
/* Fails as a must_ check does unless folder holds what this disk holds without a crash, but for the
 * contents of files named lock and lock.mdb. spare: a folder that is not there, made meanwhile. */
void disk_must_equal(const struct disk *disk, const char *folder, const char *spare);
