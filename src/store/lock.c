#include "store/lock.h"

#include "base/mem.h"
#include "os/machine.h"
#include "os/thread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stores that this process has open. A child of fork has none: entries are its parent's. */
static struct mutex open_mutex = MUTEX_INIT;
static struct open_store {
    struct file_identity identity;
    uint32_t pid;
} *open_stores;
static size_t open_count;

static bool is_same(const struct open_store *store, const struct file_identity *identity)
{
    return store->identity.device == identity->device && store->identity.file == identity->file &&
           store->pid == process_id();
}

/* With the mutex held; open_count: it is not there. */
static size_t find_open(const struct file_identity *identity)
{
    size_t i = 0;
    while (i < open_count && !is_same(&open_stores[i], identity)) i++;
    return i;
}

static wg_err enter(const char *path, struct store_lock *lock)
{
    wg_err err = WG_OK;
    mutex_lock(&open_mutex);
    TRY(file_identify(path, &lock->identity));
    if (find_open(&lock->identity) < open_count)
        TRY(wg_fail(WG_EBUSY, "%s: this process has it open already", path));
    TRY(mem_resize(&open_stores, open_count + 1));
    open_stores[open_count++] = (struct open_store){ lock->identity, process_id() };
    lock->registered = true;
out:
    mutex_unlock(&open_mutex);
    return err;
}

static void leave(struct store_lock *lock)
{
    if (!lock->registered) return;
    mutex_lock(&open_mutex);
    size_t i = find_open(&lock->identity);
    if (i < open_count) open_stores[i] = open_stores[--open_count];
    if (open_count == 0) mem_free(&open_stores);
    mutex_unlock(&open_mutex);
    lock->registered = false;
}

/* Whoever writes leaves its process id in the lock's file, as soon as it has the lock; 0: none. */
static unsigned long read_pid(const struct store_lock *lock)
{
    enum { TRIES = 50 };
    for (int i = 0; i < TRIES; i++) {
        char text[32] = { 0 };
        uint64_t size;
        wg_err err = file_size(&lock->file, &size);
        if (err == WG_OK && size < sizeof text)
            err = file_read_at(&lock->file, text, (size_t)size, 0);
        unsigned long pid = err == WG_OK ? strtoul(text, NULL, 10) : 0;
        if (pid != 0) return pid;
        wait_ms(1);
    }
    return 0;
}

static wg_err fail_busy(const struct store_lock *lock, const char *path)
{
    bool only_readers = lock->use == STORE_WRITE && file_lock(&lock->file, false) == WG_OK;
    if (only_readers)
        return wg_fail(WG_EBUSY,
                       "%s: other processes read it that may not write its lock files; it can be "
                       "written when they are done",
                       path);
    const char *hint = lock->use == STORE_READ_ALONE
                           ? "; reading beside it needs the right to write its lock files"
                           : "";
    return wg_fail(WG_EBUSY, "%s: process %lu writes it%s", path, read_pid(lock), hint);
}

static wg_err write_pid(const struct store_lock *lock, uint32_t pid)
{
    char text[16] = { 0 };
    snprintf(text, sizeof text, "%" PRIu32 "\n", pid);
    return file_write_at(&lock->file, text, sizeof text, 0);
}

static wg_err lock_file(const char *path, bool is_new, struct store_lock *lock)
{
    wg_err err = WG_OK;
    char *name = NULL;
    bool writes = lock->use == STORE_WRITE;
    TRY(path_join(path, "lock", &name));
    TRY(file_open(name, is_new ? FILE_KEEP : writes ? FILE_READ_WRITE : FILE_READ, &lock->file));
    if (is_new) TRY(folder_sync(path)); /* what tells a store from other folders is there first */
    if (lock->use == STORE_READ) goto out;
    err = file_lock(&lock->file, writes);
    if (err == WG_EBUSY) TRY(fail_busy(lock, path));
    TRY(err);
    if (writes) TRY(write_pid(lock, process_id()));
out:
    mem_free(&name);
    return err;
}

wg_err store_lock(const char *path, bool is_new, enum store_use use, struct store_lock *out)
{
    wg_err err = WG_OK;
    struct store_lock lock = { .use = use };
    if (use == STORE_READ && !folder_writable(path)) lock.use = STORE_READ_ALONE;
    TRY(enter(path, &lock));
    TRY(lock_file(path, is_new, &lock));
    *out = lock;
    return WG_OK;
out:
    leave(&lock);
    file_close(&lock.file);
    return err;
}

void store_unlock(struct store_lock *lock)
{
    if (lock->registered && lock->use == STORE_WRITE) (void)!write_pid(lock, 0);
    leave(lock);
    file_close(&lock->file);
}
