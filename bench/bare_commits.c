/* bare_commits FOLDER DIM: what durable upserts of points, 64 to a commit, would cost without a
 * database around them: for each group one pwrite of 64 rows and an fdatasync, then 64 puts into
 * LMDB and a commit. Rows and puts have the sizes of Waggle's. Each line of standard input is a
 * number of groups; the answer is a line of JSON: the seconds that they took. */
#include "base/mem.h"
#include "os/file.h"
#include "os/machine.h"
#include "store/record.h"
#include "store/segment.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 64, KEY_SIZE = 9, CHECKSUM_SIZE = 4 };
static const uint64_t file_size_max = UINT64_C(128) << 20, map_size = UINT64_C(16) << 30;

struct loop {
    struct file file;
    uint64_t offset; /* of the next rows; begins again when the file is full */
    char *rows;      /* of a group */
    size_t rows_size;
    MDB_env *env;
    MDB_dbi points;
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
    TRY(lmdb_result(mdb_env_open(loop->env, folder, MDB_NOTLS, 0666)));
    TRY(lmdb_result(mdb_txn_begin(loop->env, NULL, 0, &txn)));
    TRY(lmdb_result(mdb_dbi_open(txn, NULL, MDB_CREATE, &loop->points)));
    TRY(lmdb_result(mdb_txn_commit(txn)));
out:
    return err;
}

static wg_err loop_open(struct loop *loop, const char *folder, size_t dim)
{
    wg_err err = WG_OK;
    char *path = NULL;
    loop->rows_size = GROUP * (dim * sizeof(float) + sizeof(struct id_slot));
    TRY(mem_resize(&loop->rows, loop->rows_size));
    memset(loop->rows, 1, loop->rows_size);
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

static wg_err put_point(struct loop *loop, MDB_txn *txn)
{
    char value[sizeof(struct point_record) + sizeof(struct point_rows) + CHECKSUM_SIZE] = { 1 };
    unsigned char key[KEY_SIZE] = { 1 };
    for (size_t i = 1; i < KEY_SIZE; i++)
        key[i] = (unsigned char)(loop->next_id >> 8 * (KEY_SIZE - 1 - i));
    memcpy(value, &loop->next_id, sizeof loop->next_id);
    loop->next_id++;
    return lmdb_result(mdb_put(txn, loop->points, &(MDB_val){ sizeof key, key },
                               &(MDB_val){ sizeof value, value }, 0));
}

static wg_err commit_group(struct loop *loop)
{
    wg_err err = WG_OK;
    MDB_txn *txn;
    if (loop->offset + loop->rows_size > file_size_max) loop->offset = 0;
    memcpy(loop->rows, &loop->next_id, sizeof loop->next_id);
    TRY(file_write_at(&loop->file, loop->rows, loop->rows_size, loop->offset));
    TRY(file_sync(&loop->file));
    loop->offset += loop->rows_size;
    TRY(lmdb_result(mdb_txn_begin(loop->env, NULL, 0, &txn)));
    for (size_t i = 0; i < GROUP; i++) TRY(put_point(loop, txn));
    TRY(lmdb_result(mdb_txn_commit(txn)));
out:
    return err;
}

static wg_err serve(struct loop *loop)
{
    unsigned long long groups;
    wg_err err = WG_OK;
    while (scanf("%llu", &groups) == 1) {
        uint64_t begun = clock_ns();
        for (; groups > 0; groups--) TRY(commit_group(loop));
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
