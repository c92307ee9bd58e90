#pragma once
/* Who may use a store's folder: one process that writes, and any number beside it that read; within
 * a process, one store at a time, because LMDB forbids to open its files twice.
 *
 * Readers take no lock where they may write LMDB's lock files. Where they may not, they share the
 * store's lock, and can only read while nobody writes. */
#include "os/file.h"

enum store_use { STORE_WRITE, STORE_READ, STORE_READ_ALONE };

struct store_lock {
    struct file file;
    enum store_use use;
    struct file_identity identity;
    bool registered;
};

/* STORE_READ becomes STORE_READ_ALONE where it must. is_new: the folder is empty. WG_EBUSY names
 * the process that writes, or says that this one has it open. */
WG_CHECKED wg_err store_lock(const char *path, bool is_new, enum store_use use,
                             struct store_lock *out);
void store_unlock(struct store_lock *lock); /* one that is not held is fine */
