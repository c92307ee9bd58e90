#pragma once
/* What a command works on, opened as the common options say. Zero is a closed session. */
#include "cli/error.h"
#include "cli/heap.h"
#include "waggle/waggle.h"

enum session_mode {
    SESSION_READ,  /* beside a process that may write; also an exported file */
    SESSION_WRITE, /* the store must exist */
    SESSION_CREATE /* it is made where it does not */
};

struct session {
    wg_context *context;
    wg_store *store;
    wg_collection *collection;
    uint32_t commit_interval_ms; /* as in wg_store_params; set before the store is opened */
};

/* As the common options say. */
WG_CHECKED wg_err session_open_context(struct session *session);
/* With so many threads (0: one per processor), this tier and backend (NULL: the library chooses),
 * and with the program's log. */
WG_CHECKED wg_err session_make_context(uint64_t threads, const char *cpu, const char *backend,
                                       wg_context **out);
/* The one that the common options name. */
WG_CHECKED wg_err session_open_store(struct session *session, enum session_mode mode);
WG_CHECKED wg_err session_open_store_at(struct session *session, const char *path,
                                        enum session_mode mode);
/* In the open store. */
WG_CHECKED wg_err session_open_collection(struct session *session, const char *name);
/* The library's failure with a collection; one that is not there comes with the nearest that is. */
wg_err session_fail_collection(struct session *session, wg_err err, const char *name);
/* All three. */
WG_CHECKED wg_err session_open(struct session *session, enum session_mode mode, const char *name);
void session_close(struct session *session);

/* The names of the open store's collections, in byte order. Zero is an empty list. */
struct session_names {
    struct text_pool texts;
    const char **at;
    size_t count, room;
};
WG_CHECKED wg_err session_list(struct session *session, struct session_names *names);
void session_names_fini(struct session_names *names);

/* The open store's aliases, in byte order. Zero is an empty list. */
struct session_alias {
    const char *alias, *collection;
};
struct session_aliases {
    struct text_pool texts;
    struct session_alias *at;
    size_t count, room;
};
WG_CHECKED wg_err session_list_aliases(struct session *session, struct session_aliases *aliases);
void session_aliases_fini(struct session_aliases *aliases);

/* How much there is in one collection, or in all. */
struct session_totals {
    uint64_t collections, points, disk_bytes;
};
/* Opens each collection of the open store; name may be NULL: all of them. */
WG_CHECKED wg_err session_count(struct session *session, const char *name,
                                struct session_totals *out);
/* Of the store at path, which is opened for reading. The context is open. */
WG_CHECKED wg_err session_count_at(struct session *session, const char *path,
                                   struct session_totals *out);

/* Filled from the session's collection. */
WG_CHECKED wg_err session_info(struct session *session, wg_collection_info *info);
