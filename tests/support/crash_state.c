#include "support/crash_state.h"

#include "store/encode.h"
#include "support/check.h"
#include "support/content.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One store being checked. */
struct state {
    const struct crash_moment *moment;
    wg_context *context;
    char path[SCRATCH_PATH_SIZE + 16];
    wg_store *store;
    struct crash_finding *finding;
};

#define WRONG(s, ...) (snprintf((s)->finding->why, CRASH_WHY_SIZE, __VA_ARGS__), false)

/* What could not be done, and why not. */
static bool done(const struct state *s, wg_err err, const char *what)
{
    return err == WG_OK || WRONG(s, "%s: %s: %s", what, wg_err_name(err), wg_message());
}

void crash_moment_note(struct crash_moment *moment, const char *text)
{
    struct crash_mark mark;
    crash_mark_read(text, &mark);
    if (mark.done)
        moment->done[mark.op] = true;
    else
        moment->begun[mark.op] = true;
}

/* --- what must be there --- */

struct range {
    uint64_t low, high;
};

/* Of the sequence: what was acknowledged, and what is there when all that was begun is. */
static struct range sequences_of(const struct crash_moment *moment, size_t collection)
{
    const struct crash_plan *plan = moment->plan;
    const uint64_t *sequences = moment->history->sequences;
    struct range range = { 0, 0 };
    for (size_t i = 0; i < plan->count; i++)
        if (moment->done[i] && plan->ops[i].collection == collection && sequences[i] > range.low)
            range.low = sequences[i];
    range.high = range.low;
    for (size_t i = 0; i < plan->count; i++)
        if (moment->begun[i] && plan->ops[i].collection == collection &&
            sequences[i] == range.high + 1) {
            range.high++;
            i = SIZE_MAX; /* again, from the first: writers overtake each other */
        }
    return range;
}

/* Of the plan: so many operations lead to the names that must be there. */
static struct range names_of(const struct crash_moment *moment)
{
    struct range range = { 0, 0 };
    for (size_t i = 0; i < moment->plan->count; i++) {
        if (!crash_op_changes_names(&moment->plan->ops[i])) continue;
        if (moment->done[i]) range.low = i + 1;
        if (moment->begun[i]) range.high = i + 1;
    }
    return range;
}

/* --- looking --- */

static void note_problem(void *user, const char *problem)
{
    struct crash_finding *finding = user;
    if (!*finding->why) snprintf(finding->why, sizeof finding->why, "verify: %.400s", problem);
}

static bool verify(const struct state *s)
{
    uint64_t count = 0;
    *s->finding->why = 0;
    wg_err err = wg_store_verify(s->context, s->path, NULL, note_problem, s->finding, &count);
    return done(s, err, "verify") && count == 0;
}

/* What the registry says, compared with names that should be there, in their order. */
struct listing {
    size_t count;
    const struct crash_name *names;
    size_t name_count;
    bool same, aliases;
    char text[CRASH_WHY_SIZE / 2];
};

static bool note_name(void *user, const char *name)
{
    struct listing *listing = user;
    size_t i = listing->count++, size = strlen(listing->text);
    listing->same = listing->same && i < listing->name_count &&
                    listing->names[i].is_alias == listing->aliases &&
                    strcmp(listing->names[i].name, name) == 0;
    snprintf(listing->text + size, sizeof listing->text - size, " %s", name);
    return true;
}

static const char *own_name(const struct listing *listing, size_t collection)
{
    size_t i = 0;
    while (listing->names[i].collection != collection || listing->names[i].is_alias) i++;
    return listing->names[i].name;
}

static bool note_alias(void *user, const char *alias, const char *collection)
{
    struct listing *listing = user;
    size_t i = listing->count, size = strlen(listing->text);
    note_name(user, alias);
    listing->same =
        listing->same && strcmp(own_name(listing, listing->names[i].collection), collection) == 0;
    size += strlen(listing->text + size);
    snprintf(listing->text + size, sizeof listing->text - size, "=%s", collection);
    return true;
}

/* Whether the store has the names that so many operations lead to. */
static bool lists(const struct state *s, uint64_t op_count, struct listing *listing,
                  struct crash_name *names, bool *same)
{
    size_t count = crash_plan_names(s->moment->plan, (size_t)op_count, names);
    *listing = (struct listing){ .names = names, .name_count = count, .same = true };
    if (!done(s, wg_store_list(s->store, note_name, listing), "list the store")) return false;
    listing->aliases = true;
    if (!done(s, wg_alias_list(s->store, note_alias, listing), "list the aliases")) return false;
    *same = listing->same && listing->count == count;
    return true;
}

static bool find_names(const struct state *s, struct crash_name *names, size_t *count)
{
    struct range range = names_of(s->moment);
    struct listing listing;
    bool same;
    if (!lists(s, range.low, &listing, names, &same)) return false;
    if (!same && range.high > range.low) {
        if (!lists(s, range.high, &listing, names, &same)) return false;
        s->finding->in_flight = true;
    }
    *count = listing.count;
    return same || WRONG(s, "the names are%s; not those of %" PRIu64 " operations, nor of %" PRIu64,
                         listing.text, range.low, range.high);
}

static bool is_as_written(const struct state *s, wg_collection *collection,
                          const struct crash_name *name)
{
    const struct crash_history *history = s->moment->history;
    struct range range = sequences_of(s->moment, name->collection);
    wg_collection_info info;
    wg_collection_info_init(&info);
    if (!done(s, wg_collection_info_get(collection, &info), "look at a collection")) return false;
    if (info.sequence < range.low || info.sequence > range.high)
        return WRONG(s,
                     "\"%s\" is at sequence %" PRIu64 "; %" PRIu64
                     " was acknowledged, and up to %" PRIu64 " was begun",
                     name->name, info.sequence, range.low, range.high);
    if (content_fingerprint(collection) != history->fingerprints[name->collection][info.sequence])
        return WRONG(s, "\"%s\" holds something else than sequence %" PRIu64 " left there",
                     name->name, info.sequence);
    s->finding->in_flight = s->finding->in_flight || info.sequence > range.low;
    return true;
}

/* --- writing again --- */

static bool write_one(const struct state *s, wg_collection *collection, uint32_t dim)
{
    float *vector = allocate(dim, sizeof *vector);
    wg_id id;
    wg_batch batch;
    wg_batch_init(&batch);
    wg_id_from_number(999999937, &id); /* nobody else's */
    vector[0] = 1;
    batch.count = 1;
    batch.ids = &id;
    batch.vectors = vector;
    uint64_t before = wg_collection_count(collection);
    bool written = done(s, wg_collection_upsert(collection, dim, &batch), "write again");
    free(vector);
    if (!written) return false;
    return wg_collection_count(collection) == before + 1 ||
           WRONG(s, "a point was written, and there are not more than before");
}

static bool check_collection(const struct state *s, const struct crash_name *name)
{
    wg_collection *collection = NULL;
    if (!done(s, wg_collection_open(s->store, name->name, &collection), "open a collection"))
        return false;
    bool good = is_as_written(s, collection, name);
    wg_collection_close(&collection);
    return good;
}

static bool write_to(const struct state *s, const struct crash_name *name)
{
    wg_collection *collection = NULL;
    if (!done(s, wg_collection_open(s->store, name->name, &collection), "open it to write"))
        return false;
    bool good = write_one(s, collection, crash_collections[name->collection].dim);
    wg_collection_close(&collection);
    return good;
}

static bool create_another(const struct state *s)
{
    wg_collection *collection = NULL;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 2;
    if (!done(s, wg_collection_create(s->store, "another", &params), "create another") ||
        !done(s, wg_collection_open(s->store, "another", &collection), "open another"))
        return false;
    bool good = write_one(s, collection, params.dim);
    wg_collection_close(&collection);
    return good;
}

static bool check_open_store(const struct state *s)
{
    struct crash_name names[CRASH_NAMES_MAX];
    size_t count;
    if (!find_names(s, names, &count)) return false;
    for (size_t i = 0; i < count; i++)
        if (!check_collection(s, &names[i])) return false;
    for (size_t i = 0; i < count; i++)
        if (!names[i].is_alias && !write_to(s, &names[i])) return false;
    static size_t turn; /* costs as much as the rest */
    return turn++ % 4 != 0 || create_another(s);
}

/* The store at this path. */
static bool check_store(struct state *s, bool must_be_there)
{
    if (must_be_there && !verify(s)) return false;
    wg_store_params params;
    wg_store_params_init(&params);
    params.create = !must_be_there;
    if (!done(s, wg_store_open(s->context, s->path, &params, &s->store), "open the store"))
        return false;
    bool good = check_open_store(s);
    wg_store_close(&s->store);
    return good && verify(s);
}

/* Copies hold all that was done before they were begun. */
static bool check_snapshots(const struct state *s, const char *folder)
{
    for (size_t i = 0; i < s->moment->plan->count; i++) {
        if (s->moment->plan->ops[i].kind != CRASH_SNAPSHOT || !s->moment->done[i]) continue;
        struct crash_moment then = { .plan = s->moment->plan, .history = s->moment->history };
        for (size_t j = 0; j < i; j++) then.begun[j] = then.done[j] = true;
        struct state copy = { .moment = &then, .context = s->context, .finding = s->finding };
        crash_snapshot_path(folder, i, copy.path);
        if (!check_store(&copy, true)) return false;
    }
    return true;
}

bool crash_state_check(const struct crash_moment *moment, wg_context *context, const char *folder,
                       struct crash_finding *finding)
{
    struct state s = { .moment = moment, .context = context, .finding = finding };
    memset(finding, 0, sizeof *finding);
    encode_rows_min = 32; /* as those had that were there when the crash came */
    crash_store_path(folder, s.path);
    /* the plan begins with opening it */
    return check_store(&s, moment->done[0]) && check_snapshots(&s, folder);
}
