#pragma once
/* What is behind a wg_store and a wg_collection. */
#include "api/context.h"
#include "store/store.h"

struct wg_store {
    wg_context *context;
    struct store *store;
};

/* A call enters the member, which opens its files when they are not, and leaves it at its end. */
struct wg_collection {
    wg_store *store;
    struct member *member;
};

/* The inner parameters of opening path. */
struct store_params store_params_of(wg_context *context, const char *path,
                                    const wg_store_params *params);
