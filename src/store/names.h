#pragma once
/* The names that a registry holds at one moment, copied out. Used by one thread. */
#include "store/registry.h"

struct name {
    char text[NAME_SIZE_MAX + 1];
    uint64_t number; /* of the collection */
};

struct names {
    struct name *items; /* in byte order */
    size_t count;
};

/* Of collections, and of aliases. *out is ended by names_fini. */
WG_CHECKED wg_err names_of_collections(struct registry *registry, struct names *out);
WG_CHECKED wg_err names_of_aliases(struct registry *registry, struct names *out);
void names_fini(struct names *names);
