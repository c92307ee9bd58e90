#pragma once
/* An LMDB environment in which things happen at random: puts, deletes, emptied tables, child
 * transactions, transactions given up, readers that keep old pages, a map that grows. */
#include "base/prng.h"
#include "support/scratch.h"

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

enum { WORLD_TABLES = 4, WORLD_READERS = 3, WORLD_PATH_SIZE = SCRATCH_PATH_SIZE + 32 };

extern const char *const world_names[WORLD_TABLES];

enum key_kind { KEY_COUNTER, KEY_RANDOM, KEY_TEXT, KEY_SHORT, KEY_KINDS };

struct table_shape {
    enum key_kind kind;
    size_t keys; /* different ones */
    size_t value_max;
};

struct world {
    struct prng prng;
    MDB_env *env;
    MDB_dbi tables[WORLD_TABLES];
    struct table_shape shapes[WORLD_TABLES];
    MDB_txn *readers[WORLD_READERS]; /* or NULL */
    char folder[SCRATCH_PATH_SIZE], file[WORLD_PATH_SIZE]; /* data.mdb */
    size_t operations; /* in a transaction, at most */
};

/* A folder, and nothing in it yet. */
void world_init(struct world *world, uint64_t seed);
void world_open(struct world *world, size_t map_size);
/* Both, with shapes at random. */
void world_begin(struct world *world, uint64_t seed);
void world_transact(struct world *world);
void world_stir_readers(struct world *world);
void world_reopen(struct world *world);
void world_end(struct world *world); /* and removes the folder */

#define MUST_LMDB(call) world_must((call), __FILE__, __LINE__)
void world_must(int result, const char *file, int line);
