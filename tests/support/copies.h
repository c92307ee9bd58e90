#pragma once
/* What the tests of snapshots and restored stores share: stores with some of everything, random
 * writes that can be done again up to a sequence, and what files a store is made of. All fail as a
 * must_ check does. */
#include "support/child.h"
#include "support/model.h"

enum { COPIES_PATH_SIZE = 640, COPIES_WIDE = 2048 };

/* For cmocka: each test has a context and a folder of its own. */
int copies_set_up(void **state);
int copies_tear_down(void **state);
wg_context *copies_context(void);
/* A name in the folder; eight at a time. */
const char *copies_at(const char *name);
bool copies_exist(const char *path);
void copies_make_file(const char *path);

/* As child_begin, with a context of the child's own; returns when run has called child_say. The
 * child ends with this process. */
typedef void copies_body(uint64_t seed, struct child *parent);
void copies_start(struct child *child, copies_body *run, uint64_t seed);

wg_store *copies_open(const char *path, bool read_only);
wg_collection *copies_open_collection(wg_store *store, const char *name);
void copies_create(wg_store *store, const char *name, uint32_t dim);
wg_collection_info copies_info(wg_collection *collection);
/* How many wg_store_equal finds, each printed. */
uint64_t copies_differences(const char *a, const char *b);

/* Random writes from a seed, of a collection of MODEL_DIM dimensions. */
struct run {
    struct prng prng;
    struct model model;
    uint64_t sequence;
};
void run_begin(uint64_t seed, struct run *run);
void run_next(struct run *run, wg_collection *collection); /* NULL: in the model alone */

/* The store at path is sound, and its collection "c" holds what a run from seed had at its
 * sequence, which is returned. */
uint64_t copies_check(const char *path, uint64_t seed);

/* A collection "c" of a run; "wide", of COPIES_WIDE dimensions (8 KiB a row, so segments of 127
 * rows, then of 255) and long ids, in packed, full and open segments; "empty"; an alias "broad" of
 * "wide". */
void copies_fill(wg_store *store, uint64_t seed);
/* A collection "c" of a run of a few writes. */
void copies_fill_little(wg_store *store, uint64_t seed);
void copies_upsert_wide(wg_collection *wide, size_t first, size_t count, float value);
/* Writes to the first of these stores in every way, and looks whether it is sound then. */
void copies_disturb(const char *path);

/* The store's files, but for locks and codes, a cache that copies do not have. */
struct files {
    uint64_t hash; /* of their names, identities and content */
    size_t count, linked; /* those that have another name */
    size_t holed; /* segments without blocks for all of their bytes */
    uint64_t identities[4096];
};
struct files copies_files(const char *path);
