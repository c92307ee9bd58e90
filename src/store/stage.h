#pragma once
/* A store in the making: a folder that becomes a store in one step, when all that is in it is on
 * the disk. Until then it has a file "unfinished" where a store has its lock, so nothing takes it
 * for one; what a crash left so is removed by the next one to be made there. Used by one thread. */
#include "os/file.h"

struct stage {
    char *path;
    struct file mark; /* the file "unfinished", which becomes the lock; locked meanwhile */
    bool made; /* the folder was not there */
    bool renamed;
};

/* WG_EINVAL: path is neither an empty folder nor a new one. WG_EBUSY: another one is made there. */
WG_CHECKED wg_err stage_begin(const char *path, struct stage *out);
/* What is in its folders was synced. Ends it, also on an error: then nothing is left there. */
WG_CHECKED wg_err stage_finish(struct stage *stage);
/* Removes all; the message of the latest error stays. One that has ended is fine. */
void stage_abort(struct stage *stage);
