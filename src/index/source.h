#pragma once
/* What a search looks through: the rows of one space and which of them are live, at one moment.
 * Immutable once built; then any thread. */
#include "device/set.h"

struct source_part {
    const void *values; /* count rows, in place */
    uint64_t first, count;
};

struct source {
    struct slot *cpu;
    struct rows *rows;         /* on the CPU: the parts, in place */
    struct source_part *parts; /* part_count, rising and without gaps from row 0 */
    size_t part_count;
    struct mask *mask; /* NULL: every row is live */
    struct bitmap live;
    bool masked;
    bool unchecked; /* components were not checked yet: a scan that meets a bad one is WG_EINVAL */
    enum row_type type;
    size_t dim;
    uint64_t row_count;
    uint64_t moment; /* tells apart the sources of one space; the maker sets it, from 1 */
    uint64_t origin; /* likewise: sources of another origin share no rows with this one */
};

/* A source without rows. source_fini also ends one that failed here. */
WG_CHECKED wg_err source_init(struct slot *cpu, enum row_type type, size_t dim, struct source *out);
/* Rows in place: what the batch points to must outlive the source. */
WG_CHECKED wg_err source_append(struct source *source, const struct row_batch *batch);
/* Rows that are not live are never found. */
WG_CHECKED wg_err source_set_live(struct source *source, const struct bitmap *live);
void source_fini(struct source *source);
