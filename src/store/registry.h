#pragma once
/* The registry of a store: which names lead to which collections. An LMDB environment in the
 * store's folder. Any thread. */
#include "store/record.h"

#include "os/file.h"

struct registry;

enum { NAME_SIZE_MAX = 255 };

struct registry_params {
    const char *store; /* the folder */
    enum db_use use;
    uint32_t reader_limit;
    struct pages_report *pages; /* as in db_params */
};
/* Makes it where there is none, unless it is only read. WG_ECORRUPT also when there is none and
 * collections are there. */
WG_CHECKED wg_err registry_open(const struct registry_params *params, struct registry **out);
void registry_close(struct registry **registry);

/* WG_EINVAL says what is wrong with a name. */
WG_CHECKED wg_err registry_check_name(const char *name);

/* The number of the collection of that name or alias. WG_ENOTFOUND. */
WG_CHECKED wg_err registry_find(struct registry *registry, const char *name, uint64_t *number);

/* The same, but of a name alone. */
WG_CHECKED wg_err registry_find_own(struct registry *registry, const char *name, uint64_t *number);

/* Names a new collection: make is called with its number before the name is there, and unmake when
 * something fails after that. WG_EEXISTS. */
struct registry_making {
    wg_err (*make)(void *user, uint64_t number);
    void (*unmake)(void *user, uint64_t number);
    void *user;
};
WG_CHECKED wg_err registry_add(struct registry *registry, const char *name,
                               const struct registry_making *making);
/* Its name and aliases go. name may not be an alias. WG_ENOTFOUND. */
WG_CHECKED wg_err registry_remove(struct registry *registry, const char *name);
WG_CHECKED wg_err registry_rename(struct registry *registry, const char *from, const char *to);
WG_CHECKED wg_err registry_set_alias(struct registry *registry, const char *alias,
                                     const char *name);
WG_CHECKED wg_err registry_remove_alias(struct registry *registry, const char *alias);

/* In byte order of the names; name holds during the call. False ends it. WG_ECORRUPT: some are
 * damaged; all others were visited. */
typedef bool registry_visit(void *user, const char *name, uint64_t number);
WG_CHECKED wg_err registry_list(struct registry *registry, registry_visit *visit, void *user);
WG_CHECKED wg_err registry_list_aliases(struct registry *registry, registry_visit *visit,
                                        void *user);

/* Tells of every value that is damaged, and of aliases that lead nowhere; the text says where. */
typedef void registry_problem(void *user, const char *problem);
WG_CHECKED wg_err registry_check(struct registry *registry, registry_problem *tell, void *user);

/* A collection's folder in the store; *out is freed by mem_free. And back: false, it is none. */
WG_CHECKED wg_err registry_folder(const char *store, uint64_t number, char **out);
bool registry_is_folder(const char *name, uint64_t *number);

WG_CHECKED wg_err registry_copy(struct registry *registry, const char *folder);
