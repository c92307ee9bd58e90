#include "store/db.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/thread.h"

#include <errno.h>
#include <lmdb.h>
#include <string.h>

enum { READERS_MAX = 1022, READER_BYTES = 64, DISK_FULL_BYTES = 1 << 20 };

struct db {
    MDB_env *env;
    MDB_dbi tables[DB_TABLES_MAX];
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
                 : result == EACCES || result == EROFS || result == EPERM ? WG_EREADONLY
                 : result == ENOENT                                       ? WG_ENOTFOUND
                 : result == MDB_VERSION_MISMATCH                         ? WG_EVERSION
                 : result == MDB_CORRUPTED || result == MDB_PAGE_NOTFOUND || result == MDB_INVALID
                     ? WG_ECORRUPT
                     : WG_EIO;
    return wg_fail(err, "%s: cannot %s: %s", db->path, verb,
                   disk_full ? "no space left on the disk" : mdb_strerror(result));
}

static MDB_txn *handle_of(const struct db_txn *txn)
{
    return txn->handle;
}

static wg_err open_tables(struct db *db, const struct db_params *params)
{
    MDB_txn *txn = NULL;
    int result = mdb_txn_begin(db->env, NULL, params->read_only ? MDB_RDONLY : 0, &txn);
    for (size_t i = 0; result == 0 && i < params->table_count; i++)
        result = mdb_dbi_open(txn, params->tables[i], params->read_only ? 0 : MDB_CREATE,
                              &db->tables[i]);
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
 * a SIGBUS. With its blocks there beforehand it is an error here. */
static wg_err reserve_lock_file(const struct db *db)
{
    wg_err err = WG_OK;
    struct file file = { 0 };
    char *path = NULL;
    TRY(path_join(db->path, "lock.mdb", &path));
    err = file_open(path, FILE_READ_WRITE, &file);
    if (err == WG_ENOTFOUND) err = file_open(path, FILE_CREATE, &file);
    TRY(err);
    TRY(file_reserve(&file, (READERS_MAX + 2) * READER_BYTES));
out:
    file_close(&file);
    mem_free(&path);
    return err;
}

static wg_err open_env(struct db *db, const struct db_params *params)
{
    unsigned flags = MDB_NOTLS | (params->read_only ? MDB_RDONLY | MDB_NOLOCK : 0);
    int result = mdb_env_create(&db->env);
    if (result == 0) result = mdb_env_set_maxdbs(db->env, DB_TABLES_MAX);
    if (result == 0) result = mdb_env_set_maxreaders(db->env, READERS_MAX);
    if (result == 0) result = mdb_env_set_mapsize(db->env, params->map_size);
    if (result == 0) result = mdb_env_open(db->env, db->path, flags, 0666);
    return result == 0 ? WG_OK : fail_lmdb(db, "open it", result);
}

wg_err db_open(const struct db_params *params, struct db **out)
{
    wg_err err = WG_OK;
    struct db *db = NULL;
    TRY(mem_resize(&db, 1));
    *db = (struct db){ 0 };
    rwlock_init(&db->map);
    TRY(path_join(params->path, "", &db->path));
    if (!params->read_only) TRY(reserve_lock_file(db));
    TRY(open_env(db, params));
    TRY(open_tables(db, params));
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
    rwlock_fini(&d->map);
    mem_free(&d->path);
    mem_free(db);
}

static wg_err begin(struct db *db, bool writes, struct db_txn *out)
{
    MDB_txn *handle;
    rwlock_read(&db->map);
    bool dead = db->dead;
    if (writes) rwlock_unlock(&db->map);
    if (dead && !writes) rwlock_unlock(&db->map);
    if (dead) return wg_fail(WG_EIO, "%s: lost its map; open it again", db->path);
    int result = mdb_txn_begin(db->env, NULL, writes ? 0 : MDB_RDONLY, &handle);
    if (result == 0) {
        *out = (struct db_txn){ .db = db, .handle = handle, .writes = writes };
        return WG_OK;
    }
    if (!writes) rwlock_unlock(&db->map);
    return fail_lmdb(db, writes ? "begin to write" : "begin to read", result);
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
    rwlock_write(&db->map);
    int result = mdb_env_info(db->env, &info);
    if (result == 0) {
        result = mdb_env_set_mapsize(db->env, 2 * info.me_mapsize);
        db->dead = result != 0; /* it unmaps first */
    }
    rwlock_unlock(&db->map);
    return result == 0 ? WG_OK : fail_lmdb(db, "grow its map", result);
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

/* The value without its checksum. */
static wg_err check_value(const struct db_txn *txn, unsigned table, struct bytes key,
                          const MDB_val *stored, struct bytes *out)
{
    value_sum sum;
    size_t size = stored->mv_size - sizeof sum;
    if (stored->mv_size >= sizeof sum) {
        memcpy(&sum, (const char *)stored->mv_data + size, sizeof sum);
        if (sum == checksum32(stored->mv_data, size, key_seed(table, key))) {
            *out = (struct bytes){ stored->mv_data, size };
            return WG_OK;
        }
    }
    return wg_fail(WG_ECORRUPT, "%s: table %u, a key of %zu bytes: wrong checksum", txn->db->path,
                   table, key.size);
}

wg_err db_get(struct db_txn *txn, unsigned table, struct bytes key, bool *found,
              struct bytes *value)
{
    MDB_val key_val = val_of(key), stored;
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
    int result = mdb_stat(handle_of(txn), txn->db->tables[table], &stat);
    if (result != 0) return fail_lmdb(txn->db, "read", result);
    *out = stat.ms_entries;
    return WG_OK;
}

wg_err db_cursor_open(struct db_txn *txn, unsigned table, struct db_cursor *out)
{
    MDB_cursor *handle;
    int result = mdb_cursor_open(handle_of(txn), txn->db->tables[table], &handle);
    if (result != 0) return fail_lmdb(txn->db, "read", result);
    *out = (struct db_cursor){ .txn = txn, .handle = handle, .table = table };
    return WG_OK;
}

void db_cursor_close(struct db_cursor *cursor)
{
    if (cursor->handle) mdb_cursor_close(cursor->handle);
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
    wg_err err = move(cursor, &key_val, &stored, cursor->begun ? MDB_NEXT : MDB_FIRST, found);
    cursor->begun = true;
    if (err != WG_OK || !*found) return err;
    *key = (struct bytes){ key_val.mv_data, key_val.mv_size };
    return check_value(cursor->txn, cursor->table, *key, &stored, value);
}
