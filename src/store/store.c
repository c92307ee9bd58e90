#include "store/store.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "os/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_REGISTRY, TABLE_COLLECTIONS, REGISTRY_TABLE_COUNT };
enum { NAME_SIZE_MAX = 255 };

static const uint64_t map_size = UINT64_C(1) << 30; /* millions of collections */
static const char *const tables[REGISTRY_TABLE_COUNT] = { "meta", "collections" };
static const char folder_prefix[] = "c-";

/* A collection that somebody uses. */
struct opened {
    struct collection *collection;
    size_t user_count;
};

struct store {
    struct store_host host;
    char *path;
    bool read_only;
    struct file lock; /* held for as long as the store is open */
    struct db *registry;
    struct mutex mutex; /* guards what follows */
    struct opened *opened;
    size_t opened_count;
};

static wg_err check_name(const char *name)
{
    size_t size = strlen(name), good = utf8_length(name, size);
    if (size == 0) return wg_fail(WG_EINVAL, "the collection's name is empty");
    if (size > NAME_SIZE_MAX)
        return wg_fail(WG_EINVAL, "the collection's name has %zu bytes; at most %d", size,
                       NAME_SIZE_MAX);
    if (good < size)
        return wg_fail(WG_EINVAL, "the collection's name is not UTF-8 at byte %zu", good);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return wg_fail(WG_EINVAL, "the collection's name has a control character at byte %zu",
                           i);
    return WG_OK;
}

/* Whoever writes leaves its process id in the lock's file. */
static wg_err fail_busy(const struct store *store)
{
    char text[32] = { 0 };
    uint64_t size;
    wg_err err = file_size(&store->lock, &size);
    if (err == WG_OK && size < sizeof text) err = file_read_at(&store->lock, text, (size_t)size, 0);
    unsigned long pid = err == WG_OK ? strtoul(text, NULL, 10) : 0;
    if (pid == process_id())
        return wg_fail(WG_EBUSY, "%s: this process has it open already", store->path);
    if (pid != 0) return wg_fail(WG_EBUSY, "%s: process %lu writes it", store->path, pid);
    return wg_fail(WG_EBUSY, "%s: other processes read it; it can be written when they are done",
                   store->path);
}

static wg_err write_pid(const struct store *store, uint32_t pid)
{
    char text[16] = { 0 };
    snprintf(text, sizeof text, "%" PRIu32 "\n", pid);
    return file_write_at(&store->lock, text, sizeof text, 0);
}

static wg_err lock_store(struct store *store, bool is_new)
{
    wg_err err = WG_OK;
    char *path = NULL;
    TRY(path_join(store->path, "lock", &path));
    TRY(file_open(path,
                  is_new             ? FILE_CREATE
                  : store->read_only ? FILE_READ
                                     : FILE_READ_WRITE,
                  &store->lock));
    err = file_lock(&store->lock, !store->read_only);
    if (err == WG_EBUSY) TRY(fail_busy(store));
    TRY(err);
    if (!store->read_only) TRY(write_pid(store, process_id()));
out:
    mem_free(&path);
    return err;
}

static wg_err open_registry(struct store *store)
{
    wg_err err = WG_OK;
    char *path = NULL;
    TRY(path_join(store->path, "registry", &path));
    if (!store->read_only && !folder_exists(path)) TRY(folder_create(path));
    struct db_params params = {
        .path = path,
        .tables = tables,
        .table_count = REGISTRY_TABLE_COUNT,
        .map_size = map_size,
        .read_only = store->read_only,
    };
    TRY(db_open(&params, &store->registry));
    if (!store->read_only) TRY(folder_sync(path));
    if (!store->read_only) TRY(folder_sync(store->path));
out:
    mem_free(&path);
    return err;
}

static wg_err write_first(struct store *store)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct format_record format = format_current();
    struct registry_record next = { .next_collection = 1 };
    TRY(db_write_begin(store->registry, &txn));
    TRY(db_put(&txn, TABLE_REGISTRY, db_text("format"), (struct bytes){ &format, sizeof format }));
    TRY(db_put(&txn, TABLE_REGISTRY, db_text("next"), (struct bytes){ &next, sizeof next }));
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

static bool note_collection(void *user, const char *name)
{
    *(bool *)user = strncmp(name, folder_prefix, sizeof folder_prefix - 1) == 0;
    return !*(bool *)user;
}

/* A registry without a format is one whose making was cut short, and then no collection is there
 * yet; else it was lost, and nothing may be swept. */
static wg_err finish_making(struct store *store)
{
    wg_err err = WG_OK;
    bool any = false;
    if (store->read_only)
        return wg_fail(WG_ENOTFOUND, "%s: the store was never finished", store->path);
    TRY(folder_list(store->path, note_collection, &any));
    if (any)
        return wg_fail(WG_ECORRUPT,
                       "%s: the registry is empty, but there are folders of collections; nothing "
                       "was removed",
                       store->path);
    TRY(write_first(store));
out:
    return err;
}

static wg_err check_registry(struct store *store)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct bytes value;
    struct format_record format;
    bool found;
    TRY(db_read_begin(store->registry, &txn));
    TRY(db_get(&txn, TABLE_REGISTRY, db_text("format"), &found, &value));
    if (found) {
        TRY(RECORD_READ(value, &format, "the registry's format"));
        TRY(format_check(&format, store->path, store->read_only));
    }
    db_abort(&txn);
    if (!found) TRY(finish_making(store));
out:
    db_abort(&txn);
    return err;
}

wg_err store_collection_folder(const struct store *store, uint64_t number, char **out)
{
    char name[32];
    snprintf(name, sizeof name, "%s%" PRIx64, folder_prefix, number);
    return path_join(store->path, name, out);
}

struct naming {
    uint64_t number;
    bool found;
};

static bool note_number(void *user, const char *name, uint64_t number)
{
    (void)name;
    struct naming *naming = user;
    naming->found = naming->number == number;
    return !naming->found;
}

/* Folders that no name leads to: dropped, or never finished. */
static bool sweep_folder(void *user, const char *name)
{
    struct store *store = user;
    char *path = NULL;
    struct naming naming = { 0 };
    if (strncmp(name, folder_prefix, sizeof folder_prefix - 1) != 0) return true;
    char *end;
    const char *digits = name + sizeof folder_prefix - 1;
    naming.number = strtoull(digits, &end, 16);
    if (*end != 0 || end == digits) return true;
    bool known = store_list(store, note_number, &naming) != WG_OK || naming.found;
    if (!known && path_join(store->path, name, &path) == WG_OK)
        (void)!folder_remove(path); /* tried again when it is opened next */
    mem_free(&path);
    return true;
}

static bool note_any(void *user, const char *name)
{
    (void)name;
    *(bool *)user = true;
    return false;
}

/* A new folder, or an empty one that is there. */
static wg_err make_folder(const char *path)
{
    wg_err err = WG_OK;
    bool any = false;
    char *parent = NULL;
    if (folder_exists(path)) {
        TRY(folder_list(path, note_any, &any));
        if (any) TRY(wg_fail(WG_EINVAL, "%s: neither a store nor an empty folder", path));
    } else {
        TRY(folder_create(path));
        TRY(path_join(path, "..", &parent));
        TRY(folder_sync(parent));
    }
out:
    mem_free(&parent);
    return err;
}

/* A file of ours in it tells a store from any other folder. */
static wg_err find_or_make(const struct store_params *params, bool *is_new)
{
    wg_err err = WG_OK;
    char *path = NULL;
    struct file lock = { 0 };
    TRY(path_join(params->path, "lock", &path));
    err = file_open(path, FILE_READ, &lock);
    *is_new = err == WG_ENOTFOUND;
    if (err == WG_OK || !*is_new) goto out;
    err = WG_OK;
    if (!params->create || params->read_only)
        TRY(wg_fail(WG_ENOTFOUND, "%s: there is no store", params->path));
    TRY(make_folder(params->path));
out:
    file_close(&lock);
    mem_free(&path);
    return err;
}

wg_err store_open(const struct store_params *params, struct store **out)
{
    wg_err err = WG_OK;
    struct store *store = NULL;
    bool is_new;
    TRY(find_or_make(params, &is_new));
    if (!params->read_only && !folder_writable(params->path))
        TRY(wg_fail(WG_EREADONLY, "%s: cannot be written; open it for reading only", params->path));
    TRY(mem_resize(&store, 1));
    *store = (struct store){
        .host = { params->devices, params->background, params->log },
        .read_only = params->read_only,
    };
    mutex_init(&store->mutex);
    TRY(path_join(params->path, "", &store->path));
    TRY(lock_store(store, is_new));
    TRY(open_registry(store));
    TRY(check_registry(store));
    if (!store->read_only) TRY(folder_list(store->path, sweep_folder, store));
    *out = store;
    store = NULL; /* moved */
out:
    store_close(&store);
    return err;
}

void store_close(struct store **store)
{
    struct store *s = *store;
    if (!s) return;
    if (s->registry && !s->read_only) (void)!write_pid(s, 0);
    db_close(&s->registry);
    file_close(&s->lock);
    mutex_fini(&s->mutex);
    mem_free(&s->opened);
    mem_free(&s->path);
    mem_free(store);
}

/* With an open transaction; *found false: there is none of that name. */
static wg_err find_number(struct db_txn *txn, const char *name, bool *found, uint64_t *number)
{
    wg_err err = WG_OK;
    struct bytes value;
    struct collection_record record;
    TRY(check_name(name));
    TRY(db_get(txn, TABLE_COLLECTIONS, db_text(name), found, &value));
    if (!*found) return WG_OK;
    TRY(RECORD_READ(value, &record, "the collection's record"));
    *number = record.number;
out:
    return err;
}

static wg_err fail_missing(const struct store *store, const char *name)
{
    return wg_fail(WG_ENOTFOUND, "%s: there is no collection \"%s\"", store->path, name);
}

static wg_err check_writable(const struct store *store)
{
    if (store->read_only) return wg_fail(WG_EREADONLY, "%s: open for reading only", store->path);
    return WG_OK;
}

/* The folder is made and synced before the registry names it. */
static wg_err create_in(struct store *store, struct db_txn *txn, const char *name,
                        const struct space_record *space)
{
    wg_err err = WG_OK;
    char *folder = NULL;
    struct bytes value;
    struct registry_record next;
    bool found, may_be_named = false;
    TRY(db_get(txn, TABLE_REGISTRY, db_text("next"), &found, &value));
    if (!found) TRY(wg_fail(WG_ECORRUPT, "%s: the registry's counter is missing", store->path));
    TRY(RECORD_READ(value, &next, "the registry's counter"));
    struct collection_record record = { .number = next.next_collection++ };
    TRY(store_collection_folder(store, record.number, &folder));
    if (folder_exists(folder)) TRY(folder_remove(folder)); /* of a creation that failed */
    TRY(collection_create(folder, space));
    TRY(folder_sync(store->path));
    TRY(db_put(txn, TABLE_REGISTRY, db_text("next"), (struct bytes){ &next, sizeof next }));
    TRY(db_put(txn, TABLE_COLLECTIONS, db_text(name), (struct bytes){ &record, sizeof record }));
    err = db_commit(txn);
    may_be_named = err != WG_OK && err != WG_ENOSPC; /* then it is swept, or it is there */
out:
    if (err != WG_OK && !may_be_named && folder && folder_exists(folder))
        (void)!folder_remove(folder);
    mem_free(&folder);
    return err;
}

wg_err store_create_collection(struct store *store, const char *name,
                               const struct space_record *space)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    uint64_t number;
    bool found;
    TRY(check_writable(store));
    TRY(db_write_begin(store->registry, &txn));
    TRY(find_number(&txn, name, &found, &number));
    if (found)
        TRY(wg_fail(WG_EEXISTS, "%s: there is a collection \"%s\" already", store->path, name));
    TRY(create_in(store, &txn, name, space));
out:
    db_abort(&txn);
    return err;
}

static struct opened *find_opened(struct store *store, const char *name)
{
    for (size_t i = 0; i < store->opened_count; i++)
        if (strcmp(store->opened[i].collection->name, name) == 0) return &store->opened[i];
    return NULL;
}

static wg_err drop_locked(struct store *store, const char *name)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    char *folder = NULL;
    uint64_t number;
    bool found;
    TRY(db_write_begin(store->registry, &txn));
    TRY(find_number(&txn, name, &found, &number));
    if (!found) TRY(fail_missing(store, name));
    if (find_opened(store, name))
        TRY(wg_fail(WG_EBUSY, "collection \"%s\" is open in this process; close it first", name));
    TRY(store_collection_folder(store, number, &folder));
    TRY(db_delete(&txn, TABLE_COLLECTIONS, db_text(name)));
    TRY(db_commit(&txn));
    if (folder_remove(folder) != WG_OK)
        log_line(&store->host.log, WG_LOG_WARNING, "%s; it goes when the store is opened next",
                 wg_message());
out:
    db_abort(&txn);
    mem_free(&folder);
    return err;
}

wg_err store_drop_collection(struct store *store, const char *name)
{
    wg_err err = check_writable(store);
    if (err != WG_OK) return err;
    mutex_lock(&store->mutex);
    err = drop_locked(store, name);
    mutex_unlock(&store->mutex);
    return err;
}

wg_err store_list(struct store *store, store_visit *visit, void *user)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct db_cursor cursor = { 0 };
    TRY(db_read_begin(store->registry, &txn));
    TRY(db_cursor_open(&txn, TABLE_COLLECTIONS, &cursor));
    for (bool go_on = true; go_on;) {
        struct bytes key, value;
        struct collection_record record;
        char name[NAME_SIZE_MAX + 1] = { 0 };
        TRY(db_next(&cursor, &go_on, &key, &value));
        if (!go_on) break;
        TRY(RECORD_READ(value, &record, "the collection's record"));
        memcpy(name, key.start, key.size < NAME_SIZE_MAX ? key.size : NAME_SIZE_MAX);
        go_on = visit(user, name, record.number);
    }
out:
    db_cursor_close(&cursor);
    db_abort(&txn);
    return err;
}

static wg_err open_locked(struct store *store, const char *name, struct collection **out)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    char *folder = NULL;
    uint64_t number;
    bool found;
    TRY(db_read_begin(store->registry, &txn));
    TRY(find_number(&txn, name, &found, &number));
    if (!found) TRY(fail_missing(store, name));
    TRY(store_collection_folder(store, number, &folder));
    err = collection_open(&store->host, name, folder, store->read_only, out);
    if (err == WG_ENOTFOUND) TRY(wg_fail(WG_ECORRUPT, "%s", wg_message()));
    TRY(err);
out:
    db_abort(&txn);
    mem_free(&folder);
    return err;
}

static wg_err take_locked(struct store *store, const char *name, struct collection **out)
{
    wg_err err = WG_OK;
    struct opened *opened = find_opened(store, name);
    if (!opened) {
        struct collection *collection;
        TRY(mem_resize(&store->opened, store->opened_count + 1));
        TRY(open_locked(store, name, &collection));
        opened = &store->opened[store->opened_count++];
        *opened = (struct opened){ .collection = collection };
    }
    opened->user_count++;
    *out = opened->collection;
out:
    return err;
}

wg_err store_take_collection(struct store *store, const char *name, struct collection **out)
{
    mutex_lock(&store->mutex);
    wg_err err = take_locked(store, name, out);
    mutex_unlock(&store->mutex);
    return err;
}

void store_give_back(struct store *store, struct collection **collection)
{
    mutex_lock(&store->mutex);
    size_t i = 0;
    while (store->opened[i].collection != *collection) i++;
    struct opened *opened = &store->opened[i];
    if (--opened->user_count == 0) {
        collection_close(&opened->collection);
        *opened = store->opened[--store->opened_count];
    }
    mutex_unlock(&store->mutex);
    *collection = NULL;
}
