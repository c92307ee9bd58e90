#pragma once
/* What is behind a wg_store and a wg_collection. */
#include "api/context.h"
#include "store/store.h"

struct wg_store {
    wg_context *context;
    struct store *store;
};

struct wg_collection {
    wg_store *store;
    struct collection *collection;
};
