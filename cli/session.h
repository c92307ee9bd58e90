#pragma once
/* What a command works on, opened as the common options say. Zero is a closed session. */
#include "cli/error.h"
#include "cli/heap.h"
#include "waggle/waggle.h"

enum session_mode {
    SESSION_READ,  /* beside other readers */
    SESSION_WRITE, /* the store must exist */
    SESSION_CREATE /* it is made where it does not */
};

struct session {
    wg_context *context;
    wg_store *store;
    wg_collection *collection;
};

WG_CHECKED wg_err session_open_context(struct session *session);
WG_CHECKED wg_err session_open_store(struct session *session, enum session_mode mode);
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

/* Filled from the session's collection. */
WG_CHECKED wg_err session_info(struct session *session, wg_collection_info *info);
