#pragma once
/* A store: a folder with a lock, a registry of collections and a folder for each of them. Any
 * thread. */
#include "store/collection.h"
#include "store/registry.h"

struct store;

struct store_params {
    struct device_set *devices;
    struct pool *pool;
    struct background *background;
    struct log log;
    const char *path; /* NULL: in memory */
    bool create, read_only;
    uint32_t commit_interval_ms, open_limit, reader_limit;
    struct pages_report *pages; /* of the registry, as in db_params */
};

WG_CHECKED wg_err store_open(const struct store_params *params, struct store **out);
/* Every handle was closed. */
void store_close(struct store **store);

const char *store_path(const struct store *store);
struct registry *store_registry(struct store *store);
bool store_is_read_only(const struct store *store);
/* How its tables are opened. */
enum db_use store_tables_use(const struct store *store);
uint32_t store_reader_limit(const struct store *store);

struct store_seed {
    struct space_record space;
    uint64_t history;
    bool uncoded;
};
WG_CHECKED wg_err store_create_collection(struct store *store, const char *name,
                                          const struct store_seed *seed);
WG_CHECKED wg_err store_drop_collection(struct store *store, const char *name);
WG_CHECKED wg_err store_rename_collection(struct store *store, const char *from, const char *to);
WG_CHECKED wg_err store_set_alias(struct store *store, const char *alias, const char *name);
WG_CHECKED wg_err store_remove_alias(struct store *store, const char *alias);

/* A collection that somebody has a handle of. Its files are open while it is used and, the most
 * recently used ones, in between. */
struct member;

/* name may be an alias. The files are opened once, to see that they can be. */
WG_CHECKED wg_err store_open_member(struct store *store, const char *name, struct member **out);
void store_close_member(struct store *store, struct member **member);

/* The collection stays open until it is left. */
WG_CHECKED wg_err member_enter(struct member *member, struct collection **out);
void member_leave(struct member *member);
/* What the collection held when it was last open. */
uint64_t member_point_count(struct member *member);
