#pragma once
/* From vectors as they are given to vectors as a space stores or scores them: checked, normalised,
 * rounded. Any thread. */
#include "store/record.h"
#include "waggle/knn.h"

/* What a caller gave. */
struct given {
    const void *data; /* count vectors of dim components */
    wg_type type;
    size_t count, dim;
    const char *what; /* "vector", in messages */
};

/* WG_EDIM, WG_EINVAL: there can be no such space. */
WG_CHECKED wg_err space_check(const struct space_record *space);

/* Where they are converted to. The owner frees it by mem_free(&room.bytes). */
struct stored_room {
    char *bytes;
    size_t size;
};

/* As the space stores them; *out is given->data, or lies in the room, which grows. WG_EINVAL: a
 * component that is refused, or another type than f32 and the space's; WG_ENOMEM. */
WG_CHECKED wg_err vectors_to_store(const struct kernels *kernels, const struct space_record *space,
                                   const struct given *given, struct stored_room *room,
                                   const void **out);

/* Queries, likewise: f32 that are never rounded; against bits, bits. */
WG_CHECKED wg_err queries_to_score(const struct kernels *kernels, const struct space_record *space,
                                   const struct given *given, struct stored_room *room,
                                   const void **out);

/* Vectors that were stored elsewhere, as they are. WG_EINVAL: no such vector can be stored. */
WG_CHECKED wg_err vectors_check_stored(const struct kernels *kernels, const struct given *given);
