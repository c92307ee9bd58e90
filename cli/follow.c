#include "cli/follow.h"

#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { CHANGES_AT_ONCE = 16 };

static wg_err hint_snapshot(wg_err err)
{
    return fail_hint(err, "the copy has to begin anew: \"waggle snapshot\" and \"waggle restore\"");
}

/* The result of a call of the library. */
static wg_err followed(wg_err err)
{
    if (err != WG_OK) fail_library(err);
    return err == WG_EGONE || err == WG_ECONFLICT ? hint_snapshot(err) : err;
}

/* Whether a copy that is behind has the same history, applying finds out. */
static wg_err check_history(const struct follow *follow, const wg_collection_info *original,
                            const wg_collection_info *copy)
{
    bool diverged =
        original->sequence == copy->sequence && original->chain_hash != copy->chain_hash;
    if (original->epoch == copy->epoch && original->sequence >= copy->sequence && !diverged)
        return WG_OK;
    return hint_snapshot(
        fail(WG_ECONFLICT,
             "\"%s\" in %s is no earlier state of the original: it stands at epoch %llu, sequence "
             "%llu, history "
             "%016" PRIx64 ", the original in %s at epoch %llu, sequence %llu, history %016" PRIx64,
             follow->name, follow->store, (unsigned long long)copy->epoch,
             (unsigned long long)copy->sequence, copy->chain_hash, common.store,
             (unsigned long long)original->epoch, (unsigned long long)original->sequence,
             original->chain_hash));
}

/* A change does not say what vectors it is for. */
static wg_err check_space(const struct follow *follow, const wg_collection_info *original,
                          const wg_collection_info *copy)
{
    if (original->dim == copy->dim && original->metric == copy->metric &&
        original->type == copy->type)
        return WG_OK;
    return fail(WG_EDIM,
                "\"%s\" in %s has %u dimensions, %s and %s, the original in %s has %u, %s and %s",
                follow->name, follow->store, (unsigned)copy->dim, wg_metric_name(copy->metric),
                wg_type_name(copy->type), common.store, (unsigned)original->dim,
                wg_metric_name(original->metric), wg_type_name(original->type));
}

static wg_err open_copy(const struct follow *follow, struct session *copy)
{
    wg_err err = session_open_store_at(copy, follow->store, SESSION_WRITE);
    if (err == WG_ENOTFOUND) hint_snapshot(err);
    if (err != WG_OK) return err;
    err = wg_collection_open(copy->store, follow->name, &copy->collection);
    if (err == WG_OK) return WG_OK;
    fail_library(err);
    return err == WG_ENOTFOUND ? hint_snapshot(err) : err;
}

static wg_err apply(struct follow *follow, struct session *copy, const wg_changes *changes)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < wg_changes_count(changes); i++) {
        const wg_change *change = wg_changes_at(changes, i);
        TRY(interrupt_check());
        TRY(followed(wg_collection_apply(copy->collection, change)));
        follow->applied++;
        follow->sequence = change->sequence;
        follow->chain_hash = change->chain_hash;
    }
out:
    return err;
}

/* target: where the original stood at the start; it may go on. */
static wg_err apply_all(struct follow *follow, struct session *copy, uint64_t target)
{
    wg_err err = WG_OK;
    wg_changes *changes = NULL;
    struct progress progress;
    uint64_t start = follow->sequence;
    progress_begin(&progress, "applying", "changes", 0);
    for (;;) {
        double whole = (double)(target - start), done = (double)(follow->sequence - start);
        progress_update(&progress, follow->applied, whole > 0 ? done / whole : 1);
        TRY(followed(wg_collection_changes(follow->from->collection, follow->sequence,
                                           CHANGES_AT_ONCE, &changes)));
        if (wg_changes_count(changes) == 0) break;
        TRY(apply(follow, copy, changes));
        wg_changes_destroy(&changes);
    }
out:
    progress_end(&progress);
    wg_changes_destroy(&changes);
    return err;
}

static wg_err say_how_far(const struct follow *follow, wg_err err)
{
    char count[TEXT_SIZE];
    if (follow->applied == 0 || err == WG_EGONE || err == WG_ECONFLICT) return err;
    return fail_hint(err, "%s change%s applied before that %s in %s; the same command goes on",
                     text_count(follow->applied, count), text_plural(follow->applied),
                     follow->applied == 1 ? "is" : "are", follow->store);
}

wg_err follow_run(struct follow *follow)
{
    wg_err err = WG_OK;
    wg_collection_info original, there;
    struct session copy = { .context = follow->from->context };
    follow->applied = 0;
    TRY(open_copy(follow, &copy));
    TRY(session_info(&copy, &there));
    TRY_WG(wg_collection_refresh(follow->from->collection));
    TRY(session_info(follow->from, &original));
    TRY(check_space(follow, &original, &there));
    TRY(check_history(follow, &original, &there));
    follow->sequence = there.sequence;
    follow->chain_hash = there.chain_hash;
    TRY(apply_all(follow, &copy, original.sequence));
out:
    copy.context = NULL; /* the original's */
    session_close(&copy);
    return err == WG_OK ? WG_OK : say_how_far(follow, err);
}
