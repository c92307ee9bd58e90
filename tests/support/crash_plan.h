#pragma once
/* What the recorded process of the crash simulation does: operations that follow from a seed, so
 * that whoever knows the seed knows them. Most are done one after the other; those of several
 * writers that follow each other in the plan are done at the same time, each writer's in order. */
#include "waggle/waggle.h"

/* To add an operation: a kind here, its place in crash_plan_make, what it does in perform
 * (crash_workload.c), and when it changes what stands in the registry, in crash_plan_names. */
enum crash_kind {
    CRASH_OPEN, /* the store, after closing it if it is open */
    CRASH_CREATE, /* under the operation's name */
    CRASH_DROP,
    CRASH_RENAME, /* to the operation's name */
    CRASH_ALIAS, /* the operation's name is one from now on */
    CRASH_UNALIAS,
    CRASH_UPSERT,
    CRASH_DELETE,
    CRASH_PAYLOAD,
    CRASH_CLEAR,
    CRASH_COMPACT,
    CRASH_SNAPSHOT /* to crash_snapshot_path */
};

enum {
    CRASH_OPS_MAX = 512,
    CRASH_COLLECTIONS = 4,
    CRASH_NAMES_MAX = 8,
    CRASH_WRITERS = 4,
    CRASH_COUNT_MAX = 24, /* points of one operation */
    CRASH_SEQUENCES = 512 /* of one collection */
};

struct crash_op {
    enum crash_kind kind;
    uint8_t collection; /* its number here, whatever its name is */
    uint8_t writer; /* from 1; 0: alone */
    uint8_t count; /* points */
    uint64_t id_seed; /* equal ones: the same ids */
    uint64_t seed; /* of what is written */
    const char *name;
};

struct crash_plan {
    size_t count;
    struct crash_op ops[CRASH_OPS_MAX];
};

struct crash_collection {
    uint32_t dim;
    wg_metric metric;
};
extern const struct crash_collection crash_collections[CRASH_COLLECTIONS];

void crash_plan_make(uint64_t seed, struct crash_plan *plan);
/* Of an operation: op->count ids, each once, no two writers' alike. */
void crash_op_ids(const struct crash_op *op, wg_id *ids);
/* What leads to which collection when so many operations of the plan are done; returns how many
 * names there are. First the collections' own, then the aliases, each in byte order. */
struct crash_name {
    const char *name;
    size_t collection;
    bool is_alias;
};
size_t crash_plan_names(const struct crash_plan *plan, size_t op_count,
                        struct crash_name names[CRASH_NAMES_MAX]);
/* A collection's own name then; it is there. */
const char *crash_plan_name(const struct crash_plan *plan, size_t op_count, size_t collection);
/* Whether it changes what the names are. */
bool crash_op_changes_names(const struct crash_op *op);
