#include "store/store.h"

#include "base/mem.h"
#include "store/commit.h"
#include "store/lock.h"

#include <stdlib.h>
#include <string.h>

static const char memory_prefix[] = "waggle-memory-";

enum member_state { MEMBER_CLOSED, MEMBER_CHANGING, MEMBER_OPEN };

struct member {
    struct store *store;
    uint64_t number;
    char *name; /* by which it was opened */
    /* Guarded by the store's mutex. */
    size_t handle_count, user_count;
    enum member_state state;
    struct collection *collection; /* while open */
    uint64_t used; /* when, by the store's count */
    uint64_t point_count;
};

struct store {
    struct store_host host;
    char *path;
    bool in_memory;
    uint32_t open_limit;
    struct store_lock lock;
    struct registry *registry;
    struct mutex naming;      /* held while names go, or lead elsewhere, or are looked up to be
                                 opened; taken before mutex */
    struct mutex mutex;       /* guards what follows; held for moments, for searches take it */
    struct condition changed; /* a member is open or closed */
    struct member **members;
    size_t member_count, open_count;
    uint64_t use_count;
};

const char *store_path(const struct store *store)
{
    return store->path;
}

struct registry *store_registry(struct store *store)
{
    return store->registry;
}

bool store_is_read_only(const struct store *store)
{
    return store->lock.use != STORE_WRITE;
}

/* The numbers that the registry knows, for the sweep. */
struct sweeping {
    struct store *store;
    uint64_t *numbers;
    size_t count;
    wg_err err;
};

static bool note_number(void *user, const char *name, uint64_t number)
{
    (void)name;
    struct sweeping *s = user;
    if (s->count % 64 == 0) s->err = mem_resize(&s->numbers, s->count + 64);
    if (s->err == WG_OK) s->numbers[s->count++] = number;
    return s->err == WG_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Folders that no name leads to: dropped, or never finished. */
static bool sweep_folder(void *user, const char *name)
{
    struct sweeping *s = user;
    uint64_t number;
    char *path = NULL;
    if (!registry_is_folder(name, &number)) return true;
    bool known = s->count > 0 &&
                 bsearch(&number, s->numbers, s->count, sizeof number, compare_numbers) != NULL;
    if (!known && path_join(s->store->path, name, &path) == WG_OK)
        (void)!folder_remove(path); /* tried again when it is opened next */
    mem_free(&path);
    return true;
}

static wg_err sweep(struct store *store)
{
    struct sweeping s = { .store = store };
    wg_err err = registry_list(store->registry, note_number, &s);
    if (err == WG_OK) err = s.err;
    if (s.count > 0) qsort(s.numbers, s.count, sizeof *s.numbers, compare_numbers);
    if (err == WG_OK) err = folder_list(store->path, sweep_folder, &s);
    mem_free(&s.numbers);
    return err;
}

/* A new folder, or an empty one that is there. */
static wg_err make_folder(const char *path)
{
    wg_err err = WG_OK;
    char *parent = NULL;
    if (!folder_free(path))
        TRY(wg_fail(WG_EINVAL, "%s: neither a store nor an empty folder", path));
    if (!folder_exists(path)) {
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

/* What a process left in memory that ended without closing it. */
static bool sweep_memory(void *user, const char *name)
{
    (void)user;
    char *path = NULL, *lock_path = NULL;
    struct file lock = { 0 };
    if (strncmp(name, memory_prefix, sizeof memory_prefix - 1) == 0 &&
        path_join(folder_of_temporary(), name, &path) == WG_OK &&
        path_join(path, "lock", &lock_path) == WG_OK &&
        file_open(lock_path, FILE_READ_WRITE, &lock) == WG_OK && file_lock(&lock, true) == WG_OK)
        (void)!folder_remove(path);
    file_close(&lock);
    mem_free(&lock_path);
    mem_free(&path);
    return true;
}

/* One that was exported: nobody can write it, and anybody may have it open. */
static wg_err open_file(struct store *store, const struct store_params *params)
{
    if (!params->read_only)
        return wg_fail(WG_EREADONLY, "%s: is a file: an exported collection can only be read",
                       params->path);
    store->lock.use = STORE_READ_ALONE;
    return path_join(params->path, "", &store->path);
}

/* Another process may take a folder for a dead one's, and sweep it, until it is locked. */
static wg_err open_in_memory(struct store *store)
{
    wg_err err = WG_OK;
    enum { TRIES = 100 };
    TRY(folder_list(folder_of_temporary(), sweep_memory, NULL));
    for (int i = 0; i < TRIES; i++) {
        TRY(folder_create_temporary(memory_prefix, &store->path));
        err = store_lock(store->path, true, STORE_WRITE, &store->lock);
        if (err == WG_OK && folder_exists(store->path)) return WG_OK;
        if (err != WG_OK && err != WG_ENOTFOUND && err != WG_EBUSY) goto out;
        store_unlock(&store->lock);
        mem_free(&store->path);
        err = wg_fail(WG_EBUSY, "%s: other processes remove what is made there",
                      folder_of_temporary());
    }
out:
    return err;
}

static wg_err open_folder(struct store *store, const struct store_params *params)
{
    wg_err err = WG_OK;
    bool is_new;
    TRY(path_join(params->path, "", &store->path));
    TRY(find_or_make(params, &is_new));
    if (!params->read_only && !folder_writable(params->path))
        TRY(wg_fail(WG_EREADONLY, "%s: cannot be written; open it for reading only", params->path));
    TRY(store_lock(store->path, is_new, params->read_only ? STORE_READ : STORE_WRITE,
                   &store->lock));
out:
    return err;
}

static wg_err open_place(struct store *store, const struct store_params *params)
{
    store->in_memory = !params->path;
    if (store->in_memory) return open_in_memory(store);
    return file_exists(params->path) ? open_file(store, params) : open_folder(store, params);
}

enum db_use store_tables_use(const struct store *store)
{
    static const enum db_use uses[] = {
        [STORE_WRITE] = DB_WRITE,
        [STORE_READ] = DB_READ,
        [STORE_READ_ALONE] = DB_READ_ALONE,
    };
    return store->in_memory ? DB_IN_MEMORY : uses[store->lock.use];
}

uint32_t store_reader_limit(const struct store *store)
{
    return store->host.reader_limit;
}

wg_err store_open(const struct store_params *params, struct store **out)
{
    wg_err err = WG_OK;
    struct store *store = NULL;
    if (params->open_limit == 0 || params->reader_limit == 0)
        return wg_fail(WG_EINVAL, "open_limit is %u and reader_limit %u; expected at least 1",
                       params->open_limit, params->reader_limit);
    TRY(mem_resize(&store, 1));
    *store = (struct store){
        .host = { .devices = params->devices,
                  .pool = params->pool,
                  .background = params->background,
                  .log = params->log,
                  .commit_interval_ms = params->commit_interval_ms,
                  .reader_limit = params->reader_limit },
        .open_limit = params->open_limit,
    };
    mutex_init(&store->naming);
    mutex_init(&store->mutex);
    condition_init(&store->changed);
    TRY(background_create(&store->host.timer));
    TRY(open_place(store, params));
    struct registry_params registry = {
        .store = store->path,
        .use = store_tables_use(store),
        .reader_limit = params->reader_limit,
        .pages = params->pages,
    };
    TRY(registry_open(&registry, &store->registry));
    if (!store_is_read_only(store)) TRY(sweep(store));
    *out = store;
    store = NULL; /* moved */
out:
    store_close(&store);
    return err;
}

static void member_destroy(struct member **member)
{
    if (!*member) return;
    collection_close(&(*member)->collection);
    mem_free(&(*member)->name);
    mem_free(member);
}

void store_close(struct store **store)
{
    struct store *s = *store;
    if (!s) return;
    for (size_t i = 0; i < s->member_count; i++) member_destroy(&s->members[i]);
    mem_free(&s->members);
    registry_close(&s->registry);
    if (s->in_memory && s->path) (void)!folder_remove(s->path); /* else it is swept */
    store_unlock(&s->lock);
    background_destroy(&s->host.timer);
    condition_fini(&s->changed);
    mutex_fini(&s->mutex);
    mutex_fini(&s->naming);
    mem_free(&s->path);
    mem_free(store);
}

static wg_err check_writable(const struct store *store)
{
    if (store_is_read_only(store))
        return wg_fail(WG_EREADONLY, "%s: open for reading only", store->path);
    return WG_OK;
}

static enum collection_mode mode_of(const struct store *store)
{
    return store->in_memory                 ? COLLECTION_IN_MEMORY
           : store->lock.use == STORE_WRITE ? COLLECTION_WRITE
                                            : COLLECTION_READ;
}

struct making {
    struct store *store;
    struct collection_seed seed;
};

/* The folder is made and synced before the registry names it. */
static wg_err make_collection(void *user, uint64_t number)
{
    wg_err err = WG_OK;
    const struct making *making = user;
    char *folder = NULL;
    TRY(registry_folder(making->store->path, number, &folder));
    if (folder_exists(folder)) TRY(folder_remove(folder)); /* of a creation that failed */
    TRY(collection_create(folder, &making->seed));
    TRY(folder_sync(making->store->path));
out:
    mem_free(&folder);
    return err;
}

static void unmake_collection(void *user, uint64_t number)
{
    const struct making *making = user;
    char *folder = NULL;
    if (registry_folder(making->store->path, number, &folder) == WG_OK && folder_exists(folder))
        (void)!folder_remove(folder); /* else swept */
    mem_free(&folder);
}

wg_err store_create_collection(struct store *store, const char *name, const struct store_seed *seed)
{
    wg_err err = WG_OK;
    struct making making = {
        .store = store,
        .seed = { .name = name,
                  .space = seed->space,
                  .history = seed->history,
                  .uncoded = seed->uncoded,
                  .mode = mode_of(store),
                  .reader_limit = store->host.reader_limit },
    };
    struct registry_making how = { make_collection, unmake_collection, &making };
    TRY(check_writable(store));
    TRY(registry_add(store->registry, name, &how));
out:
    return err;
}

/* With the mutex held; NULL: nobody has asked for it yet. */
static struct member *find_member(struct store *store, uint64_t number)
{
    for (size_t i = 0; i < store->member_count; i++)
        if (store->members[i]->number == number) return store->members[i];
    return NULL;
}

/* With the mutex held, which is let go of meanwhile. The member is open, and nobody uses it. */
static void close_files(struct member *member)
{
    struct store *store = member->store;
    struct collection *collection = member->collection;
    member->point_count = collection_point_count(collection);
    member->state = MEMBER_CHANGING;
    member->collection = NULL;
    mutex_unlock(&store->mutex);
    collection_close(&collection);
    mutex_lock(&store->mutex);
    member->state = MEMBER_CLOSED;
    store->open_count--;
    condition_broadcast(&store->changed);
}

/* With the mutex held. A collection that a sync failed in stays, for it may not be written until
 * the whole store is opened again. */
static struct member *least_recently_used(const struct store *store)
{
    struct member *oldest = NULL;
    for (size_t i = 0; i < store->member_count; i++) {
        struct member *m = store->members[i];
        if (m->state != MEMBER_OPEN || m->user_count > 0 || m->collection->broken) continue;
        if (!oldest || m->used < oldest->used) oldest = m;
    }
    return oldest;
}

/* With the mutex held. */
static void remove_member(struct store *store, struct member *member)
{
    size_t i = 0;
    while (store->members[i] != member) i++;
    store->members[i] = store->members[--store->member_count];
    member_destroy(&member);
}

static wg_err open_files(struct member *member, struct collection **out)
{
    struct store *store = member->store;
    char *folder = NULL;
    wg_err err = registry_folder(store->path, member->number, &folder);
    struct collection_place place = {
        .name = member->name,
        .folder = folder,
        .mode = mode_of(store),
        .alone = store->lock.use == STORE_READ_ALONE,
    };
    if (err == WG_OK) err = collection_open(&store->host, &place, out);
    if (err == WG_ENOTFOUND) err = wg_fail(WG_ECORRUPT, "%s", wg_message());
    mem_free(&folder);
    return err;
}

/* With the mutex held, which is let go of meanwhile. The member is closed. */
static wg_err change_to_open(struct member *member)
{
    struct store *store = member->store;
    struct collection *collection = NULL;
    member->state = MEMBER_CHANGING;
    for (struct member *m;
         store->open_count >= store->open_limit && (m = least_recently_used(store)) != NULL;) {
        close_files(m);
        if (m->handle_count == 0) remove_member(store, m);
    }
    store->open_count++;
    mutex_unlock(&store->mutex);
    wg_err err = open_files(member, &collection);
    mutex_lock(&store->mutex);
    member->collection = collection;
    member->state = err == WG_OK ? MEMBER_OPEN : MEMBER_CLOSED;
    store->open_count -= err != WG_OK;
    condition_broadcast(&store->changed);
    return err;
}

wg_err member_enter(struct member *member, struct collection **out)
{
    wg_err err = WG_OK;
    struct store *store = member->store;
    mutex_lock(&store->mutex);
    while (member->state == MEMBER_CHANGING) condition_wait(&store->changed, &store->mutex);
    if (member->state == MEMBER_CLOSED) TRY(change_to_open(member));
    member->user_count++;
    member->used = ++store->use_count;
    *out = member->collection;
out:
    mutex_unlock(&store->mutex);
    return err;
}

void member_leave(struct member *member)
{
    mutex_lock(&member->store->mutex);
    member->user_count--;
    mutex_unlock(&member->store->mutex);
}

uint64_t member_point_count(struct member *member)
{
    struct collection *collection;
    uint64_t count;
    if (member_enter(member, &collection) == WG_OK) {
        struct view *view = collection_view(collection); /* another process's writes count */
        count = view->commit.point_count;
        view_release(&view);
        member_leave(member);
        return count;
    }
    mutex_lock(&member->store->mutex);
    count = member->point_count;
    mutex_unlock(&member->store->mutex);
    return count;
}

/* With the mutex held. */
static wg_err add_member(struct store *store, const char *name, uint64_t number,
                         struct member **out)
{
    wg_err err = WG_OK;
    struct member *member = NULL;
    TRY(mem_resize(&member, 1));
    *member = (struct member){ .store = store, .number = number };
    TRY(path_join(name, "", &member->name));
    TRY(mem_resize(&store->members, store->member_count + 1));
    store->members[store->member_count++] = member;
    *out = member;
    member = NULL; /* moved */
out:
    member_destroy(&member);
    return err;
}

/* With naming held. */
static wg_err find_or_add(struct store *store, const char *name, struct member **out)
{
    uint64_t number;
    struct member *member;
    wg_err err = registry_find(store->registry, name, &number);
    if (err != WG_OK) return err;
    mutex_lock(&store->mutex);
    member = find_member(store, number);
    if (!member) err = add_member(store, name, number, &member);
    if (err == WG_OK) {
        member->handle_count++;
        *out = member;
    }
    mutex_unlock(&store->mutex);
    return err;
}

wg_err store_open_member(struct store *store, const char *name, struct member **out)
{
    wg_err err = WG_OK;
    struct collection *collection;
    struct member *member = NULL;
    mutex_lock(&store->naming);
    err = find_or_add(store, name, &member);
    mutex_unlock(&store->naming);
    TRY(err);
    TRY(member_enter(member, &collection));
    member_leave(member);
    *out = member;
    member = NULL; /* moved */
out:
    if (member) store_close_member(store, &member);
    return err;
}

void store_close_member(struct store *store, struct member **member)
{
    struct member *m = *member;
    *member = NULL;
    mutex_lock(&store->mutex);
    if (--m->handle_count == 0 && m->state == MEMBER_CLOSED) remove_member(store, m);
    mutex_unlock(&store->mutex);
}

/* Nobody has a handle of it; its files may still be open from before. With naming held, so that
 * nobody gets one now. */
static wg_err forget_unused(struct store *store, const char *name, uint64_t number)
{
    wg_err err = WG_OK;
    mutex_lock(&store->mutex);
    struct member *member = find_member(store, number);
    while (member && member->state == MEMBER_CHANGING) {
        condition_wait(&store->changed, &store->mutex);
        member = find_member(store, number);
    }
    if (member && member->handle_count > 0)
        err = wg_fail(WG_EBUSY, "collection \"%s\" is open in this process; close it first", name);
    if (member && err == WG_OK) {
        if (member->state == MEMBER_OPEN) close_files(member);
        remove_member(store, member);
    }
    mutex_unlock(&store->mutex);
    return err;
}

static wg_err drop(struct store *store, const char *name)
{
    wg_err err = WG_OK;
    char *folder = NULL;
    uint64_t number;
    TRY(registry_find_own(store->registry, name, &number));
    TRY(forget_unused(store, name, number));
    TRY(registry_folder(store->path, number, &folder));
    TRY(registry_remove(store->registry, name));
    if (folder_remove(folder) != WG_OK)
        log_line(&store->host.log, WG_LOG_WARNING, "%s; it goes when the store is opened next",
                 wg_message());
out:
    mem_free(&folder);
    return err;
}

wg_err store_drop_collection(struct store *store, const char *name)
{
    wg_err err = check_writable(store);
    if (err != WG_OK) return err;
    mutex_lock(&store->naming);
    err = drop(store, name);
    mutex_unlock(&store->naming);
    return err;
}

/* The collection keeps its name too, for a store whose registry is lost. */
struct naming {
    struct write write; /* first */
    const char *name;
};

static wg_err apply_name(struct commit *commit, struct write *write)
{
    const struct naming *naming = (const struct naming *)write;
    commit->record.sequence--; /* it changes no point */
    commit->changed = true;
    return db_put(&commit->txn, TABLE_META, db_text("name"), db_text(naming->name));
}

wg_err store_rename_collection(struct store *store, const char *from, const char *to)
{
    wg_err err = WG_OK;
    static const struct write_ops ops = { .apply = apply_name };
    struct member *member = NULL;
    struct collection *collection;
    TRY(check_writable(store));
    mutex_lock(&store->naming);
    err = registry_rename(store->registry, from, to);
    mutex_unlock(&store->naming);
    TRY(err);
    struct naming naming = { .write = { .ops = &ops, .alone = true }, .name = to };
    err = store_open_member(store, to, &member);
    if (err == WG_OK) err = member_enter(member, &collection);
    if (err == WG_OK) {
        err = group_write(collection, &naming.write);
        member_leave(member);
    }
    if (err != WG_OK)
        log_line(&store->host.log, WG_LOG_WARNING, "%s: keeps its old name within: %s", to,
                 wg_message());
    err = WG_OK; /* it is renamed */
out:
    if (member) store_close_member(store, &member);
    return err;
}

wg_err store_set_alias(struct store *store, const char *alias, const char *name)
{
    wg_err err = check_writable(store);
    return err == WG_OK ? registry_set_alias(store->registry, alias, name) : err;
}

wg_err store_remove_alias(struct store *store, const char *alias)
{
    wg_err err = check_writable(store);
    return err == WG_OK ? registry_remove_alias(store->registry, alias) : err;
}
