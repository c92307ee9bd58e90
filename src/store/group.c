#include "store/group.h"

#include "base/mem.h"
#include "store/commit.h"

#include <stdio.h>
#include <string.h>

/* What one commit takes at most, so that nobody waits long for others; and what may be queued
 * before the one who queues more commits it himself. */
enum { GROUP_WRITES_MAX = 1024, GROUP_BYTES_MAX = 64 << 20 };

void group_init(struct group *group)
{
    *group = (struct group){ 0 };
    group->last = &group->first;
    mutex_init(&group->mutex);
}

void group_fini(struct group *group)
{
    mutex_fini(&group->mutex);
}

static void set_result(struct write *write, wg_err err)
{
    write->err = err;
    snprintf(write->message, sizeof write->message, "%s", err == WG_OK ? "" : wg_message());
}

/* How one try at a group's commit ended. */
enum outcome { OUTCOME_DONE, OUTCOME_AGAIN };

/* Judges and applies the writes that have not failed. *blamed: the one whose application failed;
 * the commit cannot go on then. */
static wg_err apply_all(struct commit *commit, struct write *group, struct write **blamed)
{
    for (struct write *w = group; w; w = w->after) {
        if (w->out) continue;
        commit_begin_batch(commit);
        wg_err err = w->ops->judge ? w->ops->judge(commit, w) : WG_OK;
        if (err != WG_OK) {
            set_result(w, err);
            commit->record.sequence--;
            continue;
        }
        *blamed = w;
        err = w->ops->apply(commit, w);
        if (err != WG_OK) return err;
        set_result(w, WG_OK);
        w->sequence = commit->record.sequence;
    }
    *blamed = NULL;
    return WG_OK;
}

static void fail_all(struct write *group, wg_err err)
{
    for (struct write *w = group; w; w = w->after)
        if (w->err == WG_OK) set_result(w, err);
}

static enum outcome try_group(struct collection *c, struct write *group)
{
    struct commit commit;
    struct write *blamed = NULL;
    for (struct write *w = group; w; w = w->after)
        if (!w->out) w->err = WG_OK;
    wg_err err = commit_begin(c, &commit);
    if (err != WG_OK) {
        fail_all(group, err);
        return OUTCOME_DONE;
    }
    err = apply_all(&commit, group, &blamed);
    if (err == WG_OK && commit.changed)
        err = commit_finish(&commit);
    else
        commit_abort(&commit);
    if (err == WG_OK) return OUTCOME_DONE;
    if (commit.txn.full) {
        err = db_grow(c->db);
        if (err == WG_OK) return OUTCOME_AGAIN;
        blamed = NULL;
    }
    if (!blamed) {
        fail_all(group, err);
        return OUTCOME_DONE;
    }
    set_result(blamed, err);
    blamed->out = true;
    return OUTCOME_AGAIN;
}

static void commit_group(struct collection *c, struct write *group)
{
    mutex_lock(&c->writer);
    while (try_group(c, group) == OUTCOME_AGAIN) {
    }
    mutex_unlock(&c->writer);
}

/* With the mutex held: the writes that go into the next commit. */
static struct write *take_group(struct group *g)
{
    struct write *group = g->first, **end = &group;
    size_t count = 0, bytes = 0;
    while (*end && count < GROUP_WRITES_MAX && (count == 0 || bytes < GROUP_BYTES_MAX)) {
        if ((*end)->alone && count > 0) break;
        bool alone = (*end)->alone;
        count++;
        bytes += (*end)->size_bytes;
        end = &(*end)->after;
        if (alone) break;
    }
    g->first = *end;
    *end = NULL;
    if (!g->first) g->last = &g->first;
    g->queued_bytes -= bytes;
    g->queued_count -= count;
    return group;
}

/* With the mutex held: keeps the first error of a write that nobody waits for. */
static void keep_late(struct group *g, const struct write *group)
{
    for (const struct write *w = group; w; w = w->after) {
        if (!w->queued || w->err == WG_OK || g->late_err != WG_OK) continue;
        g->late_err = w->err;
        memcpy(g->late_message, w->message, sizeof g->late_message);
    }
}

/* Ends the queued writes of a group; *group: the others. */
static void destroy_queued(struct write **group)
{
    while (*group) {
        struct write *w = *group;
        if (!w->queued) {
            group = &w->after;
            continue;
        }
        *group = w->after;
        w->ops->destroy(w);
    }
}

/* Tells those who wait that their writes are done. A write is gone when its thread knows. */
static void tell(struct write *list)
{
    while (list) {
        struct write *w = list;
        list = w->after;
        w->done = true;
        semaphore_post(&w->turn);
    }
}

/* With the mutex held: who leads next; of queued writes alone the timer does. */
static struct write *next_leader(const struct group *g)
{
    struct write *w = g->first;
    while (w && w->queued) w = w->after;
    return w;
}

/* Lets others run for as long as they bring writes. Those whose writes the commit before this one
 * held have only just been told, and come back within microseconds; without this they would miss
 * this commit, and two halves of them would take turns. */
static void gather(struct group *g)
{
    size_t before, now = 0;
    do {
        before = now;
        thread_yield();
        mutex_lock(&g->mutex);
        now = g->queued_count;
        mutex_unlock(&g->mutex);
    } while (now > before && now < GROUP_WRITES_MAX);
}

/* Commits a group, with the lead this thread's (g->leading). The lead is handed on, not let go: who
 * waits is woken once, to lead or because all is done. */
static void lead(struct collection *c)
{
    struct group *g = &c->group;
    gather(g);
    mutex_lock(&g->mutex);
    struct write *group = take_group(g);
    mutex_unlock(&g->mutex);
    commit_group(c, group);
    mutex_lock(&g->mutex);
    keep_late(g, group);
    struct write *next = next_leader(g);
    g->leading = next != NULL;
    mutex_unlock(&g->mutex);
    destroy_queued(&group);
    tell(group);
    if (next) semaphore_post(&next->turn);
}

static void enqueue(struct group *g, struct write *write)
{
    write->after = NULL;
    write->done = write->out = false;
    *g->last = write;
    g->last = &write->after;
    g->queued_bytes += write->size_bytes;
    g->queued_count++;
}

/* With the mutex held, which it lets go: returns when the write is done. */
static void commit_with_others(struct collection *c, struct write *write)
{
    struct group *g = &c->group;
    bool leading = !g->leading;
    semaphore_init(&write->turn);
    enqueue(g, write);
    g->leading = true;
    mutex_unlock(&g->mutex);
    if (leading) lead(c);
    for (;;) {
        semaphore_wait(&write->turn);
        if (write->done) break;
        lead(c);
    }
    semaphore_fini(&write->turn);
}

/* With the mutex held: the error of an earlier write that nobody waited for. */
static wg_err take_late(struct group *g)
{
    wg_err err = g->late_err;
    g->late_err = WG_OK;
    return err == WG_OK ? WG_OK : wg_fail(err, "an earlier write failed: %s", g->late_message);
}

wg_err group_write(struct collection *c, struct write *write)
{
    struct group *g = &c->group;
    mutex_lock(&g->mutex);
    wg_err err = write->alone ? WG_OK : take_late(g);
    if (err != WG_OK) {
        mutex_unlock(&g->mutex);
        return err;
    }
    commit_with_others(c, write);
    return write->err == WG_OK ? WG_OK : wg_fail(write->err, "%s", write->message);
}

static wg_err apply_nothing(struct commit *commit, struct write *write)
{
    (void)write;
    commit->record.sequence--;
    return WG_OK;
}

/* Returns when all that was queued before has been tried. */
static wg_err commit_queued(struct collection *c)
{
    static const struct write_ops ops = { .apply = apply_nothing };
    struct write marker = { .ops = &ops };
    struct group *g = &c->group;
    mutex_lock(&g->mutex);
    if (g->first || g->leading)
        commit_with_others(c, &marker);
    else
        mutex_unlock(&g->mutex);
    return marker.err == WG_OK ? WG_OK : wg_fail(marker.err, "%s", marker.message);
}

wg_err group_flush(struct collection *c)
{
    wg_err err = commit_queued(c);
    mutex_lock(&c->group.mutex);
    wg_err late = take_late(&c->group);
    mutex_unlock(&c->group.mutex);
    return late != WG_OK ? late : err;
}

/* The timer's. What fails is kept for the next write to tell. */
static void commit_due(void *arg, bool cancelled)
{
    struct collection *c = arg;
    (void)cancelled;
    mutex_lock(&c->group.mutex);
    c->group.timed = false;
    mutex_unlock(&c->group.mutex);
    (void)!commit_queued(c);
    collection_job_end(c);
}

/* With the mutex held: begins the wait for the next commit. */
static wg_err begin_timer(struct collection *c)
{
    collection_job_begin(c);
    wg_err err =
        background_submit_after(c->host->timer, c->host->commit_interval_ms, commit_due, c);
    if (err != WG_OK) collection_job_end(c);
    c->group.timed = err == WG_OK;
    return err;
}

wg_err group_queue(struct collection *c, struct write *take)
{
    struct group *g = &c->group;
    mutex_lock(&g->mutex);
    wg_err err = take_late(g);
    if (err == WG_OK && !g->timed) err = begin_timer(c);
    if (err == WG_OK) {
        enqueue(g, take);
        take = NULL; /* moved */
    }
    bool too_much = g->queued_bytes > GROUP_BYTES_MAX;
    mutex_unlock(&g->mutex);
    if (take) take->ops->destroy(take);
    if (err == WG_OK && too_much) err = group_flush(c);
    return err;
}
