#pragma once
/* Work on a store during which each call on its files is made to fail in turn. The work is a plan:
 * steps that either happen as a whole or not at all. */
#include "support/scratch.h"
#include "waggle/waggle.h"

enum { FAULTS_STEPS_MAX = 7, FAULTS_PATH_SIZE = SCRATCH_PATH_SIZE + 16 };

/* Where a plan is carried out. */
struct faulted {
    char path[FAULTS_PATH_SIZE]; /* the store */
    char out[FAULTS_PATH_SIZE]; /* an empty folder that what is made goes into */
    char target[FAULTS_PATH_SIZE]; /* in it */
    wg_context *context;
    wg_store *store; /* NULL: not open */
    wg_collection *collection; /* the one that is written; NULL: not open */
    uint64_t read; /* over all that was read */
};

typedef wg_err faults_step(struct faulted *f);

struct faults_plan {
    const char *name;
    faults_step *steps[FAULTS_STEPS_MAX + 1]; /* NULL behind the last */
    size_t quiet; /* so many of them before the faults begin */
    bool from_nothing; /* there is no store at first */
    bool makes; /* the last step makes a store, or a file that is one, at target */
    bool retries; /* a step that failed can be done again with the store still open */
    bool writes; /* a collection, so that its syncs matter */
};

extern const struct faults_plan faults_plans[];
extern const size_t faults_plan_count;

/* The store that most plans begin with. */
void faults_make_store(wg_context *context, const char *path);
/* Over all names, aliases and collections of an open store. Fails as a must_ check does. */
uint64_t faults_fingerprint(wg_store *store);
void faults_close(struct faulted *f); /* collection and store */

/* For main. Of the calls of one plan that can give one error, at most trials are made to fail. */
int faults_main(int argc, char **argv, size_t trials);
