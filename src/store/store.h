#pragma once
/* A store: a folder with a lock, a registry of collections and a folder for each of them. Any
 * thread. */
#include "store/collection.h"

struct store;

struct store_params {
    struct device_set *devices;
    struct background *background;
    struct log log;
    const char *path;
    bool create, read_only;
};

WG_CHECKED wg_err store_open(const struct store_params *params, struct store **out);
/* Every collection was given back. */
void store_close(struct store **store);

WG_CHECKED wg_err store_create_collection(struct store *store, const char *name,
                                          const struct space_record *space);
WG_CHECKED wg_err store_drop_collection(struct store *store, const char *name);

/* In byte order of the names; name holds during the call. */
typedef bool store_visit(void *user, const char *name, uint64_t number);
WG_CHECKED wg_err store_list(struct store *store, store_visit *visit, void *user);

/* The same collection for all that take it; opened by the first, closed by the last. */
WG_CHECKED wg_err store_take_collection(struct store *store, const char *name,
                                        struct collection **out);
void store_give_back(struct store *store, struct collection **collection);

/* The folder of a collection; freed by mem_free. */
WG_CHECKED wg_err store_collection_folder(const struct store *store, uint64_t number, char **out);
