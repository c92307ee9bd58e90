#include "support/crash_plan.h"

#include "support/check.h"
#include "support/model.h"

#include <string.h>

enum { SMALL, WIDE, BRIEF, BRIEF_AGAIN };

/* A row of WIDE takes 16 KiB, so that a few dozen rows fill its first segment. */
const struct crash_collection crash_collections[CRASH_COLLECTIONS] = {
    [SMALL] = { 7, WG_EUCLIDEAN },
    [WIDE] = { 4096, WG_DOT },
    [BRIEF] = { 3, WG_COSINE },
    [BRIEF_AGAIN] = { 5, WG_MANHATTAN },
};

static struct crash_op *add(struct crash_plan *plan, enum crash_kind kind, size_t collection)
{
    must(plan->count < CRASH_OPS_MAX, "more than %d operations", CRASH_OPS_MAX);
    struct crash_op *op = &plan->ops[plan->count++];
    *op = (struct crash_op){ .kind = kind, .collection = (uint8_t)collection };
    return op;
}

static void add_named(struct crash_plan *plan, enum crash_kind kind, size_t collection,
                      const char *name)
{
    add(plan, kind, collection)->name = name;
}

static struct crash_op *add_write(struct crash_plan *plan, struct prng *prng, enum crash_kind kind,
                                  size_t collection, size_t count)
{
    struct crash_op *op = add(plan, kind, collection);
    op->count = (uint8_t)count;
    op->id_seed = prng_next(prng);
    op->seed = prng_next(prng);
    return op;
}

static void add_random(struct crash_plan *plan, struct prng *prng, size_t collection, size_t count)
{
    static const enum crash_kind kinds[] = { CRASH_UPSERT, CRASH_UPSERT, CRASH_UPSERT,
                                             CRASH_UPSERT, CRASH_DELETE, CRASH_PAYLOAD };
    for (size_t i = 0; i < count; i++) {
        enum crash_kind kind = kinds[test_below(prng, sizeof kinds / sizeof *kinds)];
        size_t points = 1 + test_below(prng, CRASH_COUNT_MAX) / (1 + test_below(prng, 4));
        add_write(plan, prng, kind, collection, points);
    }
}

/* Of one writer among others. Each operation changes something, so that each has a sequence; what
 * is deleted and changed was written by the operation before. Only writer 1 deletes: see
 * crash_history_make. */
static void add_writer(struct crash_plan *plan, struct prng *prng, size_t writer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t collection = writer == CRASH_WRITERS ? WIDE : SMALL;
        size_t points = writer == CRASH_WRITERS ? 2 : 1 + test_below(prng, 5);
        const struct crash_op *before = &plan->ops[plan->count - 1];
        enum crash_kind kind = i % 3 != 2    ? CRASH_UPSERT
                               : writer == 1 ? CRASH_DELETE
                                             : CRASH_PAYLOAD;
        uint64_t same_ids = before->id_seed;
        size_t same_count = before->count;
        struct crash_op *op = add_write(plan, prng, kind, collection, points);
        op->writer = (uint8_t)writer;
        if (kind == CRASH_UPSERT) continue;
        op->id_seed = same_ids;
        op->count = (uint8_t)same_count;
    }
}

static void add_writers(struct crash_plan *plan, struct prng *prng, size_t count)
{
    for (size_t writer = 1; writer <= CRASH_WRITERS; writer++)
        add_writer(plan, prng, writer, writer == CRASH_WRITERS ? count / 2 : count);
}

/* More rows than the first segment takes, then some that die, then what is dead goes. */
static void add_wear(struct crash_plan *plan, struct prng *prng)
{
    for (size_t i = 0; i < 3; i++) {
        add_write(plan, prng, CRASH_UPSERT, WIDE, CRASH_COUNT_MAX);
        add_random(plan, prng, SMALL, 2);
    }
    add_write(plan, prng, CRASH_DELETE, WIDE, CRASH_COUNT_MAX);
    add_write(plan, prng, CRASH_DELETE, WIDE, CRASH_COUNT_MAX);
    add(plan, CRASH_COMPACT, WIDE);
}

static void add_names(struct crash_plan *plan, struct prng *prng)
{
    add_named(plan, CRASH_CREATE, BRIEF, "brief");
    add_random(plan, prng, BRIEF, 6);
    add_named(plan, CRASH_ALIAS, BRIEF, "alias");
    add_named(plan, CRASH_ALIAS, SMALL, "zulu");
    add_named(plan, CRASH_RENAME, BRIEF, "renamed");
    add_random(plan, prng, BRIEF, 2);
    add_named(plan, CRASH_ALIAS, SMALL, "alias");
    add_named(plan, CRASH_UNALIAS, SMALL, "zulu");
    add_named(plan, CRASH_CREATE, BRIEF_AGAIN, "brief"); /* the name is free again */
    add_random(plan, prng, BRIEF_AGAIN, 4);
    add_named(plan, CRASH_ALIAS, BRIEF, "zulu");
    add(plan, CRASH_DROP, BRIEF); /* with its alias */
}

void crash_plan_make(uint64_t seed, struct crash_plan *plan)
{
    struct prng prng = { seed };
    memset(plan, 0, sizeof *plan);
    add(plan, CRASH_OPEN, 0);
    add_named(plan, CRASH_CREATE, SMALL, "small");
    add_random(plan, &prng, SMALL, 16);
    add_named(plan, CRASH_CREATE, WIDE, "wide");
    add_wear(plan, &prng);
    add(plan, CRASH_SNAPSHOT, 0);
    add_writers(plan, &prng, 9);
    add_wear(plan, &prng);
    add(plan, CRASH_SNAPSHOT, 0);
    add(plan, CRASH_OPEN, 0);
    add_write(plan, &prng, CRASH_UPSERT, WIDE, 2);
    add(plan, CRASH_DROP, WIDE);
    add_names(plan, &prng);
    add(plan, CRASH_OPEN, 0);
    add_random(plan, &prng, SMALL, 4);
    add(plan, CRASH_CLEAR, SMALL);
    add_random(plan, &prng, SMALL, 8);
    add(plan, CRASH_CLEAR, BRIEF_AGAIN);
    add(plan, CRASH_COMPACT, SMALL);
    add(plan, CRASH_OPEN, 0);
    add_random(plan, &prng, SMALL, 4);
}

void crash_op_ids(const struct crash_op *op, wg_id *ids)
{
    struct prng prng = { op->id_seed };
    uint16_t all[MODEL_IDS];
    size_t count = 0;
    for (size_t i = 0; i < MODEL_IDS; i++)
        if (op->writer == 0 || i % CRASH_WRITERS == op->writer - 1u) all[count++] = (uint16_t)i;
    for (size_t i = 0; i < op->count; i++) {
        size_t j = i + test_below(&prng, count - i);
        ids[i] = *model_id(all[j]);
        all[j] = all[i];
    }
}

bool crash_op_changes_names(const struct crash_op *op)
{
    return op->kind == CRASH_CREATE || op->kind == CRASH_DROP || op->kind == CRASH_RENAME ||
           op->kind == CRASH_ALIAS || op->kind == CRASH_UNALIAS;
}

struct name_list {
    struct crash_name *names;
    size_t count;
};

/* Every name of the collection goes, or only its own. */
static void remove_names(struct name_list *list, size_t collection, bool aliases_too)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct crash_name *name = &list->names[i];
        bool goes = name->collection == collection && (aliases_too || !name->is_alias);
        if (!goes) list->names[kept++] = *name;
    }
    list->count = kept;
}

static void remove_alias(struct name_list *list, const char *alias)
{
    size_t i = 0;
    while (i < list->count && strcmp(list->names[i].name, alias) != 0) i++;
    if (i == list->count) return;
    memmove(&list->names[i], &list->names[i + 1], (--list->count - i) * sizeof *list->names);
}

static void insert_name(struct name_list *list, struct crash_name name)
{
    size_t at = list->count++;
    must(at < CRASH_NAMES_MAX, "more than %d names", CRASH_NAMES_MAX);
    for (; at > 0; at--) {
        const struct crash_name *before = &list->names[at - 1];
        if (before->is_alias < name.is_alias) break;
        if (before->is_alias == name.is_alias && strcmp(before->name, name.name) < 0) break;
        list->names[at] = *before;
    }
    list->names[at] = name;
}

size_t crash_plan_names(const struct crash_plan *plan, size_t op_count,
                        struct crash_name names[CRASH_NAMES_MAX])
{
    struct name_list list = { .names = names };
    for (size_t i = 0; i < op_count; i++) {
        const struct crash_op *op = &plan->ops[i];
        if (op->kind == CRASH_DROP || op->kind == CRASH_RENAME)
            remove_names(&list, op->collection, op->kind == CRASH_DROP);
        if (op->kind == CRASH_ALIAS || op->kind == CRASH_UNALIAS) remove_alias(&list, op->name);
        if (op->kind == CRASH_CREATE || op->kind == CRASH_RENAME || op->kind == CRASH_ALIAS)
            insert_name(&list,
                        (struct crash_name){ op->name, op->collection, op->kind == CRASH_ALIAS });
    }
    return list.count;
}

const char *crash_plan_name(const struct crash_plan *plan, size_t op_count, size_t collection)
{
    struct crash_name names[CRASH_NAMES_MAX];
    size_t count = crash_plan_names(plan, op_count, names), i = 0;
    while (i < count && (names[i].collection != collection || names[i].is_alias)) i++;
    must(i < count, "collection %zu is not there after %zu operations", collection, op_count);
    return names[i].name;
}
