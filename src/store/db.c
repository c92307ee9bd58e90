#include "store/db.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/thread.h"
#include "store/archive.h"
#include "store/pages.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

enum { READER_BYTES = 64, DISK_FULL_BYTES = 1 << 20, PROBLEM_SIZE = 512, MISSED_MAX = 1000 };

static const uint64_t walked_bytes_max = UINT64_C(1) << 30;

/* In place of a transaction: the others are not looked at yet. */
static const uint64_t METAS_ONLY = UINT64_MAX - 1;

struct db {
    MDB_env *env;
    MDB_dbi tables[DB_TABLES_MAX];
    struct archive *archive; /* NULL: the tables are LMDB's */
    const struct archive_part *parts[DB_TABLES_MAX]; /* else they are these */
    char *path;
    struct rwlock map; /* read: a reading transaction is open; write: the map is replaced */
    bool dead;         /* guarded by map: it could not be replaced, and there is none */
};

/* Behind every value. */
typedef uint32_t value_sum;

static wg_err fail_lmdb(const struct db *db, const char *verb, int result)
{
    uint64_t free_bytes = UINT64_MAX;
    (void)!disk_free_bytes(db->path, &free_bytes);
    bool disk_full = result == ENOSPC || (result == EIO && free_bytes < DISK_FULL_BYTES);
    wg_err err = disk_full                                                ? WG_ENOSPC
                 : result == ENOMEM                                       ? WG_ENOMEM
                 : result == MDB_READERS_FULL                             ? WG_EBUSY
                 : result == EACCES || result == EROFS || result == EPERM ? WG_EREADONLY
                 : result == ENOENT                                       ? WG_ENOTFOUND
                 : result == MDB_VERSION_MISMATCH                         ? WG_EVERSION
                 : result == MDB_CORRUPTED || result == MDB_PAGE_NOTFOUND || result == MDB_INVALID
                     ? WG_ECORRUPT
                     : WG_EIO;
    return wg_fail(err, "%s: cannot %s: %s", db->path, verb,
                   disk_full                    ? "no space left on the disk"
                   : result == MDB_READERS_FULL ? "reader_limit is reached"
                                                : mdb_strerror(result));
}

static MDB_txn *handle_of(const struct db_txn *txn)
{
    return txn->handle;
}

/* Slots of readers that died are cleared when none is left. */
static int begin_handle(struct db *db, unsigned flags, MDB_txn **out)
{
    int cleared = 0;
    int result = mdb_txn_begin(db->env, NULL, flags, out);
    if (result == MDB_READERS_FULL && mdb_reader_check(db->env, &cleared) == 0 && cleared > 0)
        result = mdb_txn_begin(db->env, NULL, flags, out);
    return result;
}

/* Another process has grown the map. */
static int adopt_size(struct db *db)
{
    rwlock_write(&db->map);
    int result = mdb_env_set_mapsize(db->env, 0);
    db->dead = result != 0; /* it unmaps first */
    rwlock_unlock(&db->map);
    return result;
}

static bool writes(enum db_use use)
{
    return use == DB_WRITE || use == DB_IN_MEMORY;
}

static void note_first(void *user, const char *text)
{
    char *first = user;
    if (!*first) snprintf(first, PROBLEM_SIZE, "%s", text);
}

/* All that a transaction reaches in the file. */
static wg_err walk_pages(const struct db_params *params, const struct file *file, uint64_t size,
                         uint64_t txn_id)
{
    wg_err err = WG_OK;
    const void *map = NULL;
    struct pages pages;
    char first[PROBLEM_SIZE] = { 0 };
    struct pages_report report = { .problem = note_first, .user = first };
    struct pages_report *told = params->pages ? params->pages : &report;
    uint64_t before = told->problem_count;
    TRY(file_map(file, 0, (size_t)size, &map));
    TRY(pages_check_metas(map, (size_t)size));
    if (txn_id == METAS_ONLY) goto out;
    TRY(pages_open(map, (size_t)size, txn_id, &pages));
    TRY(pages_check(&pages, params->tables, pages.txn_id > 0 ? params->table_count : 0, told));
    if (told->problem_count > before)
        TRY(wg_fail(WG_ECORRUPT, "%s", *first ? first : "its pages are damaged"));
out:
    if (map) file_unmap(&map, (size_t)size);
    return err;
}

/* LMDB has no checksums of pages, and crashes on some that are damaged. */
static wg_err check_pages(const struct db *db, const struct db_params *params, uint64_t txn_id)
{
    wg_err err = WG_OK;
    char *path = NULL;
    struct file file = { 0 };
    uint64_t size = 0;
    TRY(path_join(db->path, "data.mdb", &path));
    if (!file_exists(path)) goto out;
    TRY(file_open(path, FILE_READ, &file));
    TRY(file_size(&file, &size));
    if (size > 0 && (params->pages || size <= walked_bytes_max))
        err = walk_pages(params, &file, size, txn_id);
    if (err == WG_ECORRUPT) TRY(wg_fail(err, "%s: %s", db->path, wg_message()));
out:
    file_close(&file);
    mem_free(&path);
    return err;
}

wg_err db_check_there(const char *folder)
{
    wg_err err = WG_OK;
    char *path = NULL;
    struct file file = { 0 };
    uint64_t size = 0;
    TRY(path_join(folder, "data.mdb", &path));
    if (file_exists(path)) {
        TRY(file_open(path, FILE_READ, &file));
        TRY(file_size(&file, &size));
    }
    if (size == 0) TRY(wg_fail(WG_ECORRUPT, "%s: it is lost, or empty", path));
out:
    file_close(&file);
    mem_free(&path);
    return err;
}

/* While it is opened nobody else uses it: no lock is needed to follow a map that another process
 * grew. */
static int begin_opening(struct db *db, unsigned flags, MDB_txn **out)
{
    int result = begin_handle(db, flags, out);
    while (result == MDB_MAP_RESIZED) {
        result = mdb_env_set_mapsize(db->env, 0);
        if (result == 0) result = begin_handle(db, flags, out);
    }
    return result;
}

/* Beside a writer: within a transaction, which keeps its pages as they are. LMDB may have been
 * writing the page that decides when it was read, so what is wrong must be so three times; that two
 * commits came before it was read (WG_ENOTFOUND) is nothing wrong, and noticed at once. */
static wg_err check_pages_beside(struct db *db, const struct db_params *params)
{
    wg_err err = WG_ECORRUPT;
    int damaged = 0, missed = 0;
    while (damaged < 3 && missed < MISSED_MAX && (err == WG_ECORRUPT || err == WG_ENOTFOUND)) {
        MDB_txn *txn = NULL;
        int result = begin_opening(db, MDB_RDONLY, &txn);
        if (result != 0) return fail_lmdb(db, "begin to read", result);
        err = check_pages(db, params, mdb_txn_id(txn));
        mdb_txn_abort(txn);
        damaged += err == WG_ECORRUPT;
        missed += err == WG_ENOTFOUND;
    }
    return err;
}

static wg_err open_tables(struct db *db, const struct db_params *params)
{
    MDB_txn *txn = NULL;
    wg_err err = params->use == DB_READ ? check_pages_beside(db, params) : WG_OK;
    if (err != WG_OK) return err;
    bool may_write = writes(params->use);
    int result = begin_opening(db, may_write ? 0 : MDB_RDONLY, &txn);
    for (size_t i = 0; result == 0 && i < params->table_count; i++)
        result = mdb_dbi_open(txn, params->tables[i], may_write ? MDB_CREATE : 0, &db->tables[i]);
    if (result == MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return wg_fail(WG_ECORRUPT, "%s: a table is missing", db->path);
    }
    if (result == 0) {
        result = mdb_txn_commit(txn);
        txn = NULL;
    }
    if (txn) mdb_txn_abort(txn);
    return result == 0 ? WG_OK : fail_lmdb(db, "open its tables", result);
}

/* LMDB makes its lock file sparse and writes through a mapping of it: on a full disk that would be
 * a SIGBUS. With its blocks there beforehand it is an error here. One that is there keeps its size,
 * for others may have mapped it. */
static wg_err reserve_lock_file(const struct db *db, uint32_t reader_limit)
{
    wg_err err = WG_OK;
    struct file file = { 0 };
    char *path = NULL;
    uint64_t size;
    TRY(path_join(db->path, "lock.mdb", &path));
    TRY(file_open(path, FILE_KEEP, &file));
    TRY(file_size(&file, &size));
    if (size == 0) size = ((uint64_t)reader_limit + 2) * READER_BYTES;
    TRY(file_reserve(&file, size));
out:
    file_close(&file);
    mem_free(&path);
    return err;
}

static wg_err open_env(struct db *db, const struct db_params *params)
{
    static const unsigned flags_of[] = {
        [DB_WRITE] = 0,
        [DB_READ] = MDB_RDONLY,
        [DB_READ_ALONE] = MDB_RDONLY | MDB_NOLOCK,
        [DB_IN_MEMORY] = MDB_NOSYNC,
    };
    unsigned flags = MDB_NOTLS | flags_of[params->use];
    wg_err err = WG_OK;
    if (params->use != DB_IN_MEMORY)
        err = check_pages(db, params, params->use == DB_READ ? METAS_ONLY : PAGES_NEWEST);
    if (err != WG_OK) return err;
    int result = mdb_env_create(&db->env);
    if (result == 0) result = mdb_env_set_maxdbs(db->env, DB_TABLES_MAX);
    if (result == 0) result = mdb_env_set_maxreaders(db->env, params->reader_limit);
    if (result == 0 && writes(params->use)) /* a reader takes the size that was left in the file */
        result = mdb_env_set_mapsize(db->env, params->map_size);
    if (result == 0) result = mdb_env_open(db->env, db->path, flags, 0666);
    return result == 0 ? WG_OK : fail_lmdb(db, "open it", result);
}

static wg_err open_files(struct db *db, const struct db_params *params)
{
    wg_err err = WG_OK;
    if (params->use != DB_READ_ALONE) TRY(reserve_lock_file(db, params->reader_limit));
    TRY(open_env(db, params));
    (void)mdb_reader_check(db->env, &(int){ 0 }); /* slots of processes that died */
    TRY(open_tables(db, params));
out:
    return err;
}

static wg_err find_parts(struct db *db, const struct db_params *params)
{
    for (size_t i = 0; i < params->table_count; i++) {
        db->parts[i] = archive_find(db->archive, db->path, params->tables[i]);
        if (!db->parts[i])
            return wg_fail(WG_ECORRUPT, "%s: table \"%s\" is missing", db->path, params->tables[i]);
    }
    return WG_OK;
}

wg_err db_open(const struct db_params *params, struct db **out)
{
    wg_err err = WG_OK;
    struct db *db = NULL;
    TRY(mem_resize(&db, 1));
    *db = (struct db){ 0 };
    rwlock_init(&db->map);
    TRY(path_join(params->path, "", &db->path));
    if (params->use == DB_READ_ALONE) TRY(archive_open(params->path, &db->archive));
    TRY(db->archive ? find_parts(db, params) : open_files(db, params));
    *out = db;
    db = NULL; /* moved */
out:
    db_close(&db);
    return err;
}

void db_close(struct db **db)
{
    struct db *d = *db;
    if (!d) return;
    if (d->env) mdb_env_close(d->env);
    archive_close(&d->archive);
    rwlock_fini(&d->map);
    mem_free(&d->path);
    mem_free(db);
}

static wg_err begin_reading(struct db *db, struct db_txn *out)
{
    MDB_txn *handle;
    int result = 0;
    bool dead;
    for (;;) {
        rwlock_read(&db->map); /* until its end */
        dead = db->dead;
        if (!dead) result = begin_handle(db, MDB_RDONLY, &handle);
        if (dead || result != MDB_MAP_RESIZED) break;
        rwlock_unlock(&db->map);
        result = adopt_size(db);
        if (result != 0) return fail_lmdb(db, "follow its map", result);
    }
    if (dead || result != 0) rwlock_unlock(&db->map);
    if (dead) return wg_fail(WG_EIO, "%s: lost its map; open it again", db->path);
    if (result != 0) return fail_lmdb(db, "begin to read", result);
    *out = (struct db_txn){ .db = db, .handle = handle };
    return WG_OK;
}

/* Without the lock: the map is grown by the thread that writes, and LMDB lets one write at a time.
 * */
static wg_err begin_writing(struct db *db, struct db_txn *out)
{
    MDB_txn *handle;
    rwlock_read(&db->map);
    bool dead = db->dead;
    rwlock_unlock(&db->map);
    if (dead) return wg_fail(WG_EIO, "%s: lost its map; open it again", db->path);
    int result = begin_handle(db, 0, &handle);
    if (result != 0) return fail_lmdb(db, "begin to write", result);
    *out = (struct db_txn){ .db = db, .handle = handle, .writes = true };
    return WG_OK;
}

static wg_err begin(struct db *db, bool writing, struct db_txn *out)
{
    if (db->archive && writing)
        return wg_fail(WG_EREADONLY, "%s: an exported file cannot be written", db->path);
    if (!db->archive) return writing ? begin_writing(db, out) : begin_reading(db, out);
    *out = (struct db_txn){ .db = db }; /* it does not change: there is nothing to hold */
    return WG_OK;
}

wg_err db_read_begin(struct db *db, struct db_txn *out)
{
    return begin(db, false, out);
}

wg_err db_write_begin(struct db *db, struct db_txn *out)
{
    return begin(db, true, out);
}

void db_abort(struct db_txn *txn)
{
    if (!txn->handle) return;
    mdb_txn_abort(handle_of(txn));
    if (!txn->writes) rwlock_unlock(&txn->db->map);
    txn->handle = NULL;
}

/* A put's result; remembers that the map was full. */
static wg_err put_result(struct db_txn *txn, int result)
{
    if (result == 0) return WG_OK;
    txn->full = txn->full || result == MDB_MAP_FULL;
    return fail_lmdb(txn->db, "write", result);
}

/* LMDB refuses all that follows when it cannot tell what its latest commit left. */
static bool is_usable(const struct db *db)
{
    MDB_txn *probe;
    int result = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &probe);
    if (result == 0) mdb_txn_abort(probe);
    return result != MDB_PANIC;
}

wg_err db_commit(struct db_txn *txn)
{
    int result = mdb_txn_commit(handle_of(txn));
    txn->handle = NULL;
    wg_err err = put_result(txn, result);
    if (result != 0 && !is_usable(txn->db)) /* the page that decides was being written */
        err = wg_fail(WG_EIO, "%s", wg_message());
    return err;
}

wg_err db_grow(struct db *db)
{
    MDB_envinfo info;
    (void)mdb_reader_check(db->env, &(int){ 0 }); /* a dead reader keeps pages from being used */
    rwlock_write(&db->map);
    int result = db->dead ? EIO : mdb_env_info(db->env, &info);
    if (result == 0) {
        result = mdb_env_set_mapsize(db->env, 2 * info.me_mapsize);
        db->dead = result != 0; /* it unmaps first */
    }
    rwlock_unlock(&db->map);
    return result == 0 ? WG_OK : fail_lmdb(db, "grow its map", result);
}

const struct archive *db_archive(const struct db *db)
{
    return db->archive;
}

uint64_t db_moment(struct db *db)
{
    MDB_envinfo info;
    if (db->archive) return 1;
    rwlock_read(&db->map);
    bool known = !db->dead && mdb_env_info(db->env, &info) == 0;
    rwlock_unlock(&db->map);
    return known ? info.me_last_txnid : 0;
}

uint64_t db_txn_moment(const struct db_txn *txn)
{
    return txn->db->archive ? 1 : mdb_txn_id(handle_of(txn));
}

bool db_is_filling(struct db *db)
{
    MDB_envinfo info;
    MDB_stat stat;
    rwlock_read(&db->map);
    bool known =
        !db->dead && mdb_env_info(db->env, &info) == 0 && mdb_env_stat(db->env, &stat) == 0;
    rwlock_unlock(&db->map);
    return known && (info.me_last_pgno + 1) * stat.ms_psize > info.me_mapsize / 2;
}

/* Whether what kept a transaction from beginning was put right: LMDB's copying begins one of its
 * own. */
static bool is_mended(struct db *db, int result)
{
    int cleared = 0;
    if (result == MDB_MAP_RESIZED) return adopt_size(db) == 0;
    if (result == MDB_READERS_FULL) return mdb_reader_check(db->env, &cleared) == 0 && cleared > 0;
    return result == EINTR;
}

static wg_err copy_to(struct db *db, const char *path)
{
    wg_err err = WG_OK;
    struct file file = { 0 };
    int result;
    do {
        file_close(&file);
        TRY(file_open(path, FILE_CREATE, &file));
        rwlock_read(&db->map);
        result = db->dead ? EIO : mdb_env_copyfd(db->env, file.fd);
        rwlock_unlock(&db->map);
    } while (is_mended(db, result));
    if (result != 0) TRY(fail_lmdb(db, "copy it", result));
    TRY(file_sync(&file));
out:
    file_close(&file);
    return err;
}

wg_err db_copy(struct db *db, const char *folder)
{
    wg_err err = WG_OK;
    char *path = NULL;
    if (db->archive)
        return wg_fail(WG_EINVAL, "%s: has no files of LMDB; copy the file that it is in",
                       db->path);
    TRY(path_join(folder, "data.mdb", &path));
    TRY(copy_to(db, path));
    TRY(folder_sync(folder));
out:
    mem_free(&path);
    return err;
}

struct bytes db_text(const char *text)
{
    return (struct bytes){ text, strlen(text) };
}

static uint64_t key_seed(unsigned table, struct bytes key)
{
    return checksum64(key.start, key.size, table);
}

static MDB_val val_of(struct bytes bytes)
{
    void *start;
    memcpy(&start, &bytes.start, sizeof start); /* LMDB does not write through it */
    return (MDB_val){ .mv_size = bytes.size, .mv_data = start };
}

wg_err db_check_value(unsigned table, struct bytes key, struct bytes stored, struct bytes *out)
{
    value_sum sum;
    size_t size = stored.size - sizeof sum;
    if (stored.size >= sizeof sum) {
        memcpy(&sum, (const char *)stored.start + size, sizeof sum);
        if (sum == checksum32(stored.start, size, key_seed(table, key))) {
            *out = (struct bytes){ stored.start, size };
            return WG_OK;
        }
    }
    return wg_fail(WG_ECORRUPT, "table %u, a key of %zu bytes: wrong checksum", table, key.size);
}

/* The value without its checksum. */
static wg_err check_value(const struct db_txn *txn, unsigned table, struct bytes key,
                          const MDB_val *stored, struct bytes *out)
{
    struct bytes bytes = { stored->mv_data, stored->mv_size };
    wg_err err = db_check_value(table, key, bytes, out);
    return err == WG_OK ? WG_OK : wg_fail(err, "%s: %s", txn->db->path, wg_message());
}

wg_err db_get(struct db_txn *txn, unsigned table, struct bytes key, bool *found,
              struct bytes *value)
{
    MDB_val key_val = val_of(key), stored;
    if (txn->db->archive)
        return archive_get(txn->db->archive, txn->db->parts[table], key, found, value);
    int result = mdb_get(handle_of(txn), txn->db->tables[table], &key_val, &stored);
    *found = result == 0;
    if (result == MDB_NOTFOUND) return WG_OK;
    if (result != 0) return fail_lmdb(txn->db, "read", result);
    return check_value(txn, table, key, &stored, value);
}

/* Room for the pieces and a checksum is reserved in the page and filled there. */
static int put(struct db_txn *txn, unsigned table, struct bytes key, struct pieces value,
               unsigned flags, MDB_val *room)
{
    MDB_val key_val = val_of(key);
    size_t size = value.first.size + value.second.size;
    *room = (MDB_val){ .mv_size = size + sizeof(value_sum) };
    int result =
        mdb_put(handle_of(txn), txn->db->tables[table], &key_val, room, flags | MDB_RESERVE);
    if (result != 0) return result;
    char *to = room->mv_data;
    if (value.first.size > 0) memcpy(to, value.first.start, value.first.size);
    if (value.second.size > 0) memcpy(to + value.first.size, value.second.start, value.second.size);
    value_sum sum = checksum32(to, size, key_seed(table, key));
    memcpy(to + size, &sum, sizeof sum);
    return 0;
}

wg_err db_put_pieces(struct db_txn *txn, unsigned table, struct bytes key, struct pieces value)
{
    MDB_val room;
    return put_result(txn, put(txn, table, key, value, 0, &room));
}

wg_err db_put(struct db_txn *txn, unsigned table, struct bytes key, struct bytes value)
{
    return db_put_pieces(txn, table, key, (struct pieces){ .first = value });
}

wg_err db_add_pieces(struct db_txn *txn, unsigned table, struct bytes key, struct pieces value,
                     struct bytes *existing)
{
    MDB_val room;
    int result = put(txn, table, key, value, MDB_NOOVERWRITE, &room);
    existing->start = NULL;
    if (result == MDB_KEYEXIST) return check_value(txn, table, key, &room, existing);
    return put_result(txn, result);
}

wg_err db_delete(struct db_txn *txn, unsigned table, struct bytes key)
{
    MDB_val key_val = val_of(key);
    int result = mdb_del(handle_of(txn), txn->db->tables[table], &key_val, NULL);
    return put_result(txn, result == MDB_NOTFOUND ? 0 : result);
}

wg_err db_empty(struct db_txn *txn, unsigned table)
{
    return put_result(txn, mdb_drop(handle_of(txn), txn->db->tables[table], 0));
}

wg_err db_count(struct db_txn *txn, unsigned table, uint64_t *out)
{
    MDB_stat stat;
    if (txn->db->archive) {
        *out = txn->db->parts[table]->count;
        return WG_OK;
    }
    int result = mdb_stat(handle_of(txn), txn->db->tables[table], &stat);
    if (result != 0) return fail_lmdb(txn->db, "read", result);
    *out = stat.ms_entries;
    return WG_OK;
}

static wg_err open_archive_cursor(struct db_txn *txn, unsigned table, struct db_cursor *out)
{
    struct archive_cursor *handle = NULL;
    wg_err err = mem_resize(&handle, 1);
    if (err != WG_OK) return err;
    *handle = archive_cursor_at_first(txn->db->archive, txn->db->parts[table]);
    *out = (struct db_cursor){ .txn = txn, .handle = handle, .table = table };
    return WG_OK;
}

wg_err db_cursor_open(struct db_txn *txn, unsigned table, struct db_cursor *out)
{
    MDB_cursor *handle;
    if (txn->db->archive) return open_archive_cursor(txn, table, out);
    int result = mdb_cursor_open(handle_of(txn), txn->db->tables[table], &handle);
    if (result != 0) return fail_lmdb(txn->db, "read", result);
    *out = (struct db_cursor){ .txn = txn, .handle = handle, .table = table };
    return WG_OK;
}

void db_cursor_close(struct db_cursor *cursor)
{
    bool in_archive = cursor->handle && cursor->txn->db->archive;
    struct archive_cursor *handle = in_archive ? cursor->handle : NULL;
    if (cursor->handle && !in_archive) mdb_cursor_close(cursor->handle);
    mem_free(&handle);
    cursor->handle = NULL;
}

/* Moves by op; the cursor stands on *found. */
static wg_err move(struct db_cursor *cursor, MDB_val *key, MDB_val *stored, MDB_cursor_op op,
                   bool *found)
{
    int result = mdb_cursor_get(cursor->handle, key, stored, op);
    *found = result == 0;
    if (result == 0 || result == MDB_NOTFOUND) return WG_OK;
    return fail_lmdb(cursor->txn->db, "read", result);
}

wg_err db_seek(struct db_cursor *cursor, struct bytes key)
{
    MDB_val key_val = val_of(key), stored;
    bool found;
    if (cursor->txn->db->archive) return archive_seek(cursor->handle, key);
    wg_err err = move(cursor, &key_val, &stored, MDB_SET_RANGE, &found);
    if (err != WG_OK) return err;
    if (found)
        err = move(cursor, &key_val, &stored, MDB_PREV, &found);
    else
        err = move(cursor, &key_val, &stored, MDB_LAST, &found);
    cursor->begun = found; /* else the first key is the next one */
    return err;
}

wg_err db_next(struct db_cursor *cursor, bool *found, struct bytes *key, struct bytes *value)
{
    MDB_val key_val, stored;
    if (cursor->txn->db->archive) return archive_next(cursor->handle, found, key, value);
    wg_err err = move(cursor, &key_val, &stored, cursor->begun ? MDB_NEXT : MDB_FIRST, found);
    cursor->begun = true;
    if (err != WG_OK || !*found) return err;
    *key = (struct bytes){ key_val.mv_data, key_val.mv_size };
    return check_value(cursor->txn, cursor->table, *key, &stored, value);
}
