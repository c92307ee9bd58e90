#pragma once
/* From a reader into a collection, batch by batch, with a progress line. What was imported before
 * an error or an interrupt stays. What is said to be imported is on disk. */
#include "cli/reader.h"
#include "waggle/collection.h"

struct import {
    wg_collection *collection;
    const char *name;      /* of the collection, for messages */
    struct reader *reader; /* its dimension is the collection's */
    size_t batch_room;     /* points written at once */
    uint64_t limit;        /* points to import at most; UINT64_MAX: all */
    bool queued; /* the store commits at intervals: batches are queued, flushed at the end */
    /* Where set, gives each row its payload; the text outlives the import. */
    const char *(*payload)(void *user, uint64_t row);
    void *user;
    uint64_t done; /* out, also after a failure: points imported */
    bool in_doubt; /* out: a queued write failed; more than done may be there */
};

/* About 64 MiB of vectors, 1,000 to 65,536 points. */
size_t import_batch_room(size_t dim);

WG_CHECKED wg_err import_run(struct import *import);
