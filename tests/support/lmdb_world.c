#include "support/lmdb_world.h"

#include "support/check.h"

#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 511, VALUE_MAX = 70000 };

const char *const world_names[WORLD_TABLES] = { "a", "b", "long-name", "z" };

void world_must(int result, const char *file, int line)
{
    must(result == 0, "%s:%d: %s", file, line, mdb_strerror(result));
}

void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){ .prng = { seed } };
    snprintf(world->folder, sizeof world->folder, "%s", scratch_create());
    snprintf(world->file, sizeof world->file, "%s/data.mdb", world->folder);
}

void world_open(struct world *world, size_t map_size)
{
    MDB_txn *txn;
    MUST_LMDB(mdb_env_create(&world->env));
    MUST_LMDB(mdb_env_set_maxdbs(world->env, WORLD_TABLES));
    MUST_LMDB(mdb_env_set_mapsize(world->env, map_size));
    MUST_LMDB(mdb_env_open(world->env, world->folder, MDB_NOTLS | MDB_NOSYNC, 0600));
    MUST_LMDB(mdb_txn_begin(world->env, NULL, 0, &txn));
    for (size_t t = 0; t < WORLD_TABLES; t++)
        MUST_LMDB(mdb_dbi_open(txn, world_names[t], MDB_CREATE, &world->tables[t]));
    MUST_LMDB(mdb_txn_commit(txn));
}

static void random_shape(struct prng *prng, struct table_shape *shape)
{
    static const size_t values[] = { 0, 40, 40, 300, 2100, 9000, VALUE_MAX };
    static const size_t keys[] = { 1, 30, 1000, 20000 };
    shape->kind = (enum key_kind)test_below(prng, KEY_KINDS);
    shape->value_max = values[test_below(prng, sizeof values / sizeof values[0])];
    shape->keys = keys[test_below(prng, sizeof keys / sizeof keys[0])];
    if (shape->value_max > 4096 && shape->keys > 200) shape->keys = 200;
    if (shape->kind == KEY_TEXT && shape->keys > 2000) shape->keys = 2000;
}

void world_begin(struct world *world, uint64_t seed)
{
    static const size_t operations[] = { 3, 30, 300, 5000 };
    world_init(world, seed);
    for (size_t t = 0; t < WORLD_TABLES; t++) random_shape(&world->prng, &world->shapes[t]);
    world->operations = operations[test_below(&world->prng, 4)];
    world_open(world, 1 << 18);
}

static void end_readers(struct world *world)
{
    for (size_t r = 0; r < WORLD_READERS; r++)
        if (world->readers[r]) mdb_txn_abort(world->readers[r]);
    memset(world->readers, 0, sizeof world->readers);
}

void world_end(struct world *world)
{
    end_readers(world);
    mdb_env_close(world->env);
    scratch_remove(world->folder);
}

static void make_key(const struct table_shape *shape, uint64_t number, unsigned char *out,
                     MDB_val *key)
{
    struct prng prng = { number };
    uint64_t bits = shape->kind == KEY_COUNTER ? number : prng_next(&prng);
    memset(out, 0, KEY_MAX);
    for (size_t i = 1; i < 9; i++) out[i] = (unsigned char)(bits >> (64 - 8 * i));
    for (size_t i = 3; shape->kind == KEY_TEXT && i < KEY_MAX; i++)
        out[i] = prng_next(&prng) % 2 == 0 ? 'a' : 'b';
    size_t text = 4 + test_below(&prng, test_below(&prng, 3) == 0 ? KEY_MAX - 3 : 40);
    key->mv_data = shape->kind == KEY_SHORT ? out + 6 : out;
    key->mv_size = shape->kind == KEY_TEXT ? text : shape->kind == KEY_SHORT ? 1 + number % 3 : 9;
}

static int put_one(struct world *world, MDB_txn *txn, size_t t, MDB_val *key)
{
    static unsigned char bytes[VALUE_MAX];
    MDB_val value = { test_below(&world->prng, world->shapes[t].value_max + 1), bytes };
    memset(bytes, (int)test_below(&world->prng, 256), value.mv_size);
    return mdb_put(txn, world->tables[t], key, &value, 0);
}

static int delete_one(struct world *world, MDB_txn *txn, size_t t, MDB_val *key)
{
    int result = mdb_del(txn, world->tables[t], key, NULL);
    return result == MDB_NOTFOUND ? 0 : result;
}

/* Puts and deletes, more of one or the other; or empties a table. */
static int change(struct world *world, MDB_txn *txn)
{
    unsigned char bytes[KEY_MAX];
    MDB_val key;
    int result = 0;
    size_t t = test_below(&world->prng, WORLD_TABLES), puts = test_below(&world->prng, 5);
    const struct table_shape *shape = &world->shapes[t];
    uint64_t next = test_below(&world->prng, shape->keys);
    bool in_a_row = test_below(&world->prng, 2) == 0;
    if (test_below(&world->prng, 40) == 0) return mdb_drop(txn, world->tables[t], 0);
    for (size_t left = test_below(&world->prng, world->operations); result == 0 && left > 0;
         left--) {
        next = in_a_row ? (next + 1) % shape->keys : test_below(&world->prng, shape->keys);
        make_key(shape, next, bytes, &key);
        if (test_below(&world->prng, 5) <= puts)
            result = put_one(world, txn, t, &key);
        else
            result = delete_one(world, txn, t, &key);
    }
    return result;
}

/* Sometimes in a child transaction, which may be given up. */
static int change_in_child(struct world *world, MDB_txn *txn)
{
    MDB_txn *child;
    if (test_below(&world->prng, 4) > 0) return change(world, txn);
    int result = mdb_txn_begin(world->env, txn, 0, &child);
    if (result == 0) result = change(world, child);
    if (result == 0 && test_below(&world->prng, 3) > 0) return mdb_txn_commit(child);
    if (child) mdb_txn_abort(child);
    return result;
}

static void grow(struct world *world)
{
    MDB_envinfo info;
    end_readers(world);
    MUST_LMDB(mdb_env_info(world->env, &info));
    MUST_LMDB(mdb_env_set_mapsize(world->env, info.me_mapsize * 2));
}

void world_transact(struct world *world)
{
    MDB_txn *txn;
    int result = 0;
    MUST_LMDB(mdb_txn_begin(world->env, NULL, 0, &txn));
    for (size_t left = 1 + test_below(&world->prng, 4); result == 0 && left > 0; left--)
        result = change_in_child(world, txn);
    if (result == 0 && test_below(&world->prng, 10) > 0) {
        result = mdb_txn_commit(txn);
        txn = NULL;
    }
    if (txn) mdb_txn_abort(txn);
    if (result == MDB_MAP_FULL)
        grow(world);
    else
        MUST_LMDB(result);
}

/* Readers keep old pages from being used again. */
void world_stir_readers(struct world *world)
{
    size_t r = test_below(&world->prng, WORLD_READERS);
    if (world->readers[r])
        mdb_txn_abort(world->readers[r]), world->readers[r] = NULL;
    else
        MUST_LMDB(mdb_txn_begin(world->env, NULL, MDB_RDONLY, &world->readers[r]));
}

void world_reopen(struct world *world)
{
    MDB_envinfo info;
    end_readers(world);
    MUST_LMDB(mdb_env_info(world->env, &info));
    mdb_env_close(world->env);
    world_open(world, info.me_mapsize);
}
