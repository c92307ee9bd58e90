#pragma once
/* LMDB as the store uses it: an environment with a few tables, every value with a checksum over its
 * key and itself, a map that grows. All LMDB calls are here. Tables that stand in an archive are
 * read by the same calls.
 *
 * One thread at a time writes (db_write_begin waits); any number read, in this process and others,
 * each in a transaction of its own. Growing the map waits for the readers of this process, and they
 * for it; other processes follow when they next read. */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive;
struct db;

enum { DB_TABLES_MAX = 8, DB_KEY_MAX = 511 };

enum db_use {
    DB_WRITE,
    DB_READ, /* another process may write beside */
    DB_READ_ALONE, /* nobody writes: no lock file is made or used. An archive is read so */
    DB_IN_MEMORY /* as DB_WRITE, and nothing need survive: nothing is synced */
};

struct pages_report;

struct db_params {
    const char *path; /* of the folder; it must exist */
    const char *const *tables; /* their names; table i is the i-th */
    size_t table_count;
    uint64_t map_size; /* at first */
    enum db_use use;
    uint32_t reader_limit; /* transactions that read at once, in all processes; the first to open it
                              decides */
    struct pages_report *pages; /* told what is wrong with the file's pages; NULL: the first such
                                   thing is the error's text, and files beyond 1 GiB are trusted */
};

/* Walks all pages before LMDB does (store/pages.h): WG_ECORRUPT when one is damaged. */
WG_CHECKED wg_err db_open(const struct db_params *params, struct db **out);
void db_close(struct db **db);
/* WG_ECORRUPT when LMDB would make a new file in the folder, as db_open for writing lets it. */
WG_CHECKED wg_err db_check_there(const char *folder);

/* A transaction. What db_get returns lives until its end. */
struct db_txn {
    struct db *db;
    void *handle;
    bool writes;
    bool full; /* a put failed because the map is full: abort, db_grow, begin again */
};

WG_CHECKED wg_err db_read_begin(struct db *db, struct db_txn *out);
WG_CHECKED wg_err db_write_begin(struct db *db, struct db_txn *out);
void db_abort(struct db_txn *txn); /* also the end of reading; one that has ended is fine */
/* On disk when it returns WG_OK. WG_ENOSPC: not there, and the disk is full. Else the outcome is
 * unknown until the store is opened again. */
WG_CHECKED wg_err db_commit(struct db_txn *txn);
/* Doubles the map. No transaction of this thread may be open. */
WG_CHECKED wg_err db_grow(struct db *db);

/* The file that the tables stand in, when that is one (store/archive.h); NULL: they are LMDB's. */
const struct archive *db_archive(const struct db *db);

/* Changes with every commit of any process. Cheap. */
uint64_t db_moment(struct db *db);
/* The one that a transaction sees: db_moment may be ahead of it for the length of a commit. */
uint64_t db_txn_moment(const struct db_txn *txn);
/* Writes a copy, as one transaction left it, into a folder that exists; it is on disk then. A map
 * that must grow waits for it, so whoever writes grows it before. */
WG_CHECKED wg_err db_copy(struct db *db, const char *folder);
/* Whether the map is half full. */
bool db_is_filling(struct db *db);

struct bytes {
    const void *start;
    size_t size;
};

/* The bytes of a text, without its 0. */
struct bytes db_text(const char *text);

/* *found false: there is no such key. WG_ECORRUPT when the checksum is wrong. */
WG_CHECKED wg_err db_get(struct db_txn *txn, unsigned table, struct bytes key, bool *found,
                         struct bytes *value);
/* A value as the file has it, of the table in that place: without its checksum, which must be
 * right, else WG_ECORRUPT. */
WG_CHECKED wg_err db_check_value(unsigned table, struct bytes key, struct bytes stored,
                                 struct bytes *out);
/* Replaces. */
WG_CHECKED wg_err db_put(struct db_txn *txn, unsigned table, struct bytes key, struct bytes value);
/* A value made of two pieces, the second of which may be empty. */
struct pieces {
    struct bytes first, second;
};
WG_CHECKED wg_err db_put_pieces(struct db_txn *txn, unsigned table, struct bytes key,
                                struct pieces value);
/* Puts only where there is none; existing->start is NULL then, else *existing is what is there. */
WG_CHECKED wg_err db_add_pieces(struct db_txn *txn, unsigned table, struct bytes key,
                                struct pieces value, struct bytes *existing);
WG_CHECKED wg_err db_delete(struct db_txn *txn, unsigned table, struct bytes key);
WG_CHECKED wg_err db_empty(struct db_txn *txn, unsigned table);
WG_CHECKED wg_err db_count(struct db_txn *txn, unsigned table, uint64_t *out);

/* Walks a table in the order of its keys. */
struct db_cursor {
    struct db_txn *txn;
    void *handle;
    unsigned table;
    bool begun;
};

WG_CHECKED wg_err db_cursor_open(struct db_txn *txn, unsigned table, struct db_cursor *out);
void db_cursor_close(struct db_cursor *cursor);
/* The next db_next gives the first key not below this one. */
WG_CHECKED wg_err db_seek(struct db_cursor *cursor, struct bytes key);
/* *found false: none is left. WG_ECORRUPT when the value's checksum is wrong; key is set even so,
 * and the walk can go on. */
WG_CHECKED wg_err db_next(struct db_cursor *cursor, bool *found, struct bytes *key,
                          struct bytes *value);
