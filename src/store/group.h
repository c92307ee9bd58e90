#pragma once
/* Writes that share commits. Whoever finds nobody committing commits for all that wait (group
 * commit: DeWitt et al., "Implementation techniques for main memory database systems", SIGMOD
 * 1984); the others sleep until their write is done. Each batch in turn is judged against what
 * those before it left, and then applied; one that fails fails alone.
 *
 * A queued write is nobody's to wait for: it is committed by a timer, by the next write that is
 * waited for, or when too much is queued. */
#include "base/err.h"
#include "os/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct collection;
struct commit;
struct write;

struct write_ops {
    /* Whether the batch may be applied; changes nothing. NULL: always. */
    wg_err (*judge)(struct commit *commit, struct write *write);
    /* Done again from the start when the map had to grow, or another batch failed. */
    wg_err (*apply)(struct commit *commit, struct write *write);
    /* Of a queued write, when it is done. */
    void (*destroy)(struct write *write);
};

enum { WRITE_MESSAGE_SIZE = 768 };

/* Embedded in a batch of one kind or another. */
struct write {
    const struct write_ops *ops;
    size_t size_bytes; /* about what it holds */
    bool alone;        /* the store's own work: shares its commit with nobody */
    bool queued;       /* nobody waits */
    /* The group's own. */
    struct write *after;
    struct semaphore turn; /* posted to whoever waits: when it is done, and when he is to lead */
    bool done;
    bool out;  /* it failed, and the others are tried without it */
    uint64_t sequence; /* of the collection by this write */
    wg_err err;
    char message[WRITE_MESSAGE_SIZE];
};

struct group {
    struct mutex mutex; /* guards all below */
    struct write *first, **last;
    size_t queued_count, queued_bytes;
    bool leading;   /* a thread commits */
    bool timed;     /* a commit is due by the timer */
    wg_err late_err; /* of a queued write, not yet told to anybody */
    char late_message[WRITE_MESSAGE_SIZE];
};

void group_init(struct group *group);
void group_fini(struct group *group);

/* Returns when the write is on disk and visible, or has failed. write->sequence is set then. */
WG_CHECKED wg_err group_write(struct collection *collection, struct write *write);

/* Takes the write over, also on an error, and returns; it is committed within the collection's
 * interval. The error of an earlier one instead. */
WG_CHECKED wg_err group_queue(struct collection *collection, struct write *take);

/* Commits what is queued. The error of a queued write that was not told yet. */
WG_CHECKED wg_err group_flush(struct collection *collection);
