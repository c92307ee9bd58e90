/* bare_commits FOLDER DIM: what durable upserts of points, 64 to a commit, would cost without a
 * database around them: for each group 64 rows and their 64 ids are written to two regions of a
 * file and synced, then what a commit of Waggle's holds is put into LMDB, table by table, with keys
 * and values of the same sizes, and committed. Each line of standard input is a number of groups,
 * and how many of the tables: 1, the points alone; 6, all. The answer is a line of JSON: the
 * seconds that they took. */
#include "base/mem.h"
#include "os/file.h"
#include "os/machine.h"
#include "store/record.h"
#include "store/segment.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 64, KEY_SIZE_MAX = 16, VALUE_SIZE_MAX = 128, TABLES = 6 };
static const uint64_t file_size_max = UINT64_C(128) << 20, map_size = UINT64_C(16) << 30;

/* A table, and what a commit puts into it: values, each with a checksum of 4 bytes behind it, with
 * new keys, or one that is written over. */
static const struct table {
    const char *name;
    size_t key_size, value_size, count;
} tables[TABLES] = {
    { "points", 9, sizeof(struct point_record) + sizeof(struct point_rows) + 4, GROUP },
    { "changes", sizeof(struct change_key), sizeof(struct change_record) + 4, GROUP },
    { "sums", sizeof(struct row_key), 4 + 4, GROUP },
    { "live", sizeof(struct chunk_key), 16 + 4, 1 },
    { "segments", sizeof(struct row_key), sizeof(struct segment_record) + 4, 1 },
    { "meta", 6, sizeof(struct commit_record) + 4, 1 },
};

struct loop {
    struct file file;
    uint64_t row_size, next_row; /* begins again when the file is full */
    char *rows;      /* of a group */
    MDB_env *env;
    MDB_dbi dbis[TABLES];
    uint64_t next_id;
};

static wg_err lmdb_result(int result)
{
    return result == 0 ? WG_OK : wg_fail(WG_EIO, "LMDB: %s", mdb_strerror(result));
}

static wg_err open_tables(struct loop *loop, const char *folder)
{
    wg_err err = WG_OK;
    MDB_txn *txn;
    TRY(lmdb_result(mdb_env_create(&loop->env)));
    TRY(lmdb_result(mdb_env_set_mapsize(loop->env, map_size)));
    TRY(lmdb_result(mdb_env_set_maxdbs(loop->env, TABLES)));
    TRY(lmdb_result(mdb_env_open(loop->env, folder, MDB_NOTLS, 0666)));
    TRY(lmdb_result(mdb_txn_begin(loop->env, NULL, 0, &txn)));
    for (size_t i = 0; i < TABLES; i++)
        TRY(lmdb_result(mdb_dbi_open(txn, tables[i].name, MDB_CREATE, &loop->dbis[i])));
    TRY(lmdb_result(mdb_txn_commit(txn)));
out:
    return err;
}

static wg_err loop_open(struct loop *loop, const char *folder, size_t dim)
{
    wg_err err = WG_OK;
    char *path = NULL;
    loop->row_size = dim * sizeof(float);
    TRY(mem_resize(&loop->rows, GROUP * loop->row_size));
    memset(loop->rows, 1, GROUP * loop->row_size);
    TRY(folder_create(folder));
    TRY(path_join(folder, "rows", &path));
    TRY(file_open(path, FILE_CREATE, &loop->file));
    TRY(file_reserve(&loop->file, file_size_max));
    TRY(open_tables(loop, folder));
out:
    mem_free(&path);
    return err;
}

static void loop_close(struct loop *loop)
{
    if (loop->env) mdb_env_close(loop->env);
    file_close(&loop->file);
    mem_free(&loop->rows);
}

static wg_err put(struct loop *loop, MDB_txn *txn, size_t table, uint64_t id)
{
    unsigned char key[KEY_SIZE_MAX] = { 0 };
    char value[VALUE_SIZE_MAX] = { 0 };
    size_t size = tables[table].key_size;
    for (size_t i = 0; i < sizeof id && i < size; i++)
        key[size - 1 - i] = (unsigned char)(id >> 8 * i);
    memcpy(value, &loop->next_id, sizeof loop->next_id);
    return lmdb_result(mdb_put(txn, loop->dbis[table], &(MDB_val){ size, key },
                               &(MDB_val){ tables[table].value_size, value }, 0));
}

static wg_err write_rows(struct loop *loop)
{
    wg_err err = WG_OK;
    uint64_t capacity = file_size_max / (loop->row_size + sizeof(struct id_slot));
    if (loop->next_row + GROUP > capacity) loop->next_row = 0;
    memcpy(loop->rows, &loop->next_id, sizeof loop->next_id);
    TRY(file_write_at(&loop->file, loop->rows, GROUP * loop->row_size,
                      loop->next_row * loop->row_size));
    TRY(file_write_at(&loop->file, loop->rows, GROUP * sizeof(struct id_slot),
                      capacity * loop->row_size + loop->next_row * sizeof(struct id_slot)));
    loop->next_row += GROUP;
    TRY(file_sync(&loop->file));
out:
    return err;
}

static wg_err commit_group(struct loop *loop, size_t table_count)
{
    wg_err err = WG_OK;
    MDB_txn *txn;
    TRY(write_rows(loop));
    TRY(lmdb_result(mdb_txn_begin(loop->env, NULL, 0, &txn)));
    for (size_t table = 0; table < table_count; table++)
        for (size_t i = 0; i < tables[table].count; i++)
            TRY(put(loop, txn, table, tables[table].count > 1 ? loop->next_id + i : 0));
    loop->next_id += GROUP;
    TRY(lmdb_result(mdb_txn_commit(txn)));
out:
    return err;
}

static wg_err serve(struct loop *loop)
{
    unsigned long long groups;
    size_t table_count;
    wg_err err = WG_OK;
    while (scanf("%llu %zu", &groups, &table_count) == 2 && table_count <= TABLES) {
        uint64_t begun = clock_ns();
        for (; groups > 0; groups--) TRY(commit_group(loop, table_count));
        printf("{\"seconds\": %.9f, \"waited\": 0}\n", (double)(clock_ns() - begun) * 1e-9);
        fflush(stdout);
    }
out:
    return err;
}

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct loop loop = { 0 };
    if (argument_count != 3) {
        fprintf(stderr, "usage: bare_commits FOLDER DIM\n");
        return 2;
    }
    TRY(loop_open(&loop, arguments[1], strtoull(arguments[2], NULL, 10)));
    TRY(serve(&loop));
out:
    if (err != WG_OK) fprintf(stderr, "bare_commits: %s\n", wg_message());
    loop_close(&loop);
    return err == WG_OK ? 0 : 1;
}
