/* Writes that share commits: one that fails fails alone, each is judged by what those before it
 * left, queued ones are done when they are due. */
#include "base/mem.h"
#include "os/machine.h"
#include "store/commit.h"
#include "store/write.h"
#include "support/check.h"
#include "support/inner_store.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIM = 3, THREADS = 8 };

static struct surroundings around;
static char folder[SCRATCH_PATH_SIZE];
static struct collection *c;

static void open_with_interval(uint32_t interval_ms)
{
    around.host.commit_interval_ms = interval_ms;
    c = inner_create(&around, folder, DIM, 1000);
}

static int set_up(void **state)
{
    (void)state;
    surroundings_begin(&around);
    snprintf(folder, sizeof folder, "%s/c", scratch_create());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    collection_close(&c);
    assert_int_equal(inner_problems(folder), 0);
    surroundings_end(&around);
    return 0;
}

static void sleep_ms(long ms)
{
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

static uint64_t sequence(void)
{
    struct view *view = collection_view(c);
    uint64_t now = view->commit.sequence;
    view_release(&view);
    return now;
}

static uint64_t point_count(void)
{
    struct view *view = collection_view(c);
    uint64_t count = view->commit.point_count;
    view_release(&view);
    return count;
}

/* --- writes made by hand, that note what happened to them --- */

struct probe {
    struct write write; /* first */
    wg_err judgement, application; /* what they are to return */
    uint64_t id;        /* of the point that it writes; UINT64_MAX: none */
    size_t judged, applied, destroyed;
    uint64_t version; /* of the latest application */
    wg_err got;
};

static wg_err judge(struct commit *commit, struct write *write)
{
    struct probe *probe = (struct probe *)write;
    (void)commit;
    probe->judged++;
    if (probe->judgement == WG_OK) return WG_OK;
    return wg_fail(probe->judgement, "judged %zu", (size_t)probe->id);
}

static wg_err apply(struct commit *commit, struct write *write)
{
    wg_err err = WG_OK;
    static const float vector[DIM];
    struct probe *probe = (struct probe *)write;
    uint32_t sum;
    wg_id id = { .type = WG_ID_NUMBER, .as.number = probe->id };
    struct segment_rows rows = { vector, &id, NULL, 1 };
    probe->applied++;
    probe->version = commit_version(commit);
    if (probe->id == UINT64_MAX) return commit_end_batch(commit, CHANGE_UPSERT);
    TRY(commit_append(commit, &rows, &sum)); /* its traces have to go when it fails */
    if (probe->application != WG_OK)
        TRY(wg_fail(probe->application, "applied %zu", (size_t)probe->id));
    TRY(commit_kill(commit, commit->record.row_end - 1)); /* of no point: so that verify is clean */
    TRY(commit_note(commit, &(struct change_of_point){ .change = CHANGE_UPSERT }));
    TRY(commit_end_batch(commit, CHANGE_UPSERT));
out:
    return err;
}

static void destroy(struct write *write)
{
    ((struct probe *)write)->destroyed++;
}

static const struct write_ops ops = { judge, apply, destroy };

static struct probe probe_of(uint64_t id)
{
    return (struct probe){ .write = { .ops = &ops, .size_bytes = 100 }, .id = id };
}

static void run_probe(void *arg)
{
    struct probe *probe = arg;
    probe->got = group_write(c, &probe->write);
    bool named = probe->got == WG_OK ||
                 strstr(wg_message(), probe->judgement != WG_OK ? "judged" : "applied");
    must(named, "%s", wg_message()); /* each has its own message */
}

/* Returns when a thread leads, and so many writes wait behind it. */
static void wait_for_queue(size_t count)
{
    for (;;) {
        size_t waiting = 0;
        mutex_lock(&c->group.mutex);
        bool leading = c->group.leading;
        for (const struct write *w = c->group.first; w; w = w->after) waiting++;
        mutex_unlock(&c->group.mutex);
        if (leading && waiting == count) return;
        sleep_ms(1);
    }
}

/* Runs probes at once: they come while a thread holds the writer mutex, and so share a commit. */
static void run_all(struct probe *probes, size_t count)
{
    struct thread threads[THREADS + 1];
    struct probe first = probe_of(UINT64_MAX); /* leads a group of its own meanwhile */
    mutex_lock(&c->writer);
    assert_ok(thread_start(run_probe, &first, &threads[count]));
    wait_for_queue(0);
    for (size_t i = 0; i < count; i++) {
        assert_ok(thread_start(run_probe, &probes[i], &threads[i]));
        wait_for_queue(i + 1); /* they come in order */
    }
    mutex_unlock(&c->writer);
    for (size_t i = 0; i <= count; i++) thread_join(&threads[i]);
    assert_int_equal(first.got, WG_OK);
}

static void writes_that_wait_share_a_commit(void **state)
{
    (void)state;
    struct probe probes[THREADS];
    open_with_interval(0);
    uint64_t moment = db_moment(c->db);
    for (size_t i = 0; i < THREADS; i++) probes[i] = probe_of(i);
    run_all(probes, THREADS);
    assert_int_equal(db_moment(c->db), moment + 1);
    assert_int_equal(sequence(), THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(probes[i].got, WG_OK);
        assert_int_equal(probes[i].write.sequence, i + 1); /* in the order of coming */
        assert_int_equal(probes[i].version, i + 1);
        assert_int_equal(probes[i].judged, 1);
        assert_int_equal(probes[i].applied, 1);
        assert_int_equal(probes[i].destroyed, 0); /* the caller's own */
    }
}

static void one_that_fails_fails_alone(void **state)
{
    (void)state;
    struct probe probes[THREADS];
    open_with_interval(0);
    uint64_t moment = db_moment(c->db), expected = 0;
    for (size_t i = 0; i < THREADS; i++) probes[i] = probe_of(i);
    probes[1].judgement = WG_ECONFLICT;
    probes[3].application = WG_EINVAL;
    probes[4].application = WG_ENOMEM;
    probes[7].judgement = WG_ECONFLICT;
    run_all(probes, THREADS);
    assert_int_equal(db_moment(c->db), moment + 1);
    for (size_t i = 0; i < THREADS; i++) {
        wg_err want = probes[i].judgement != WG_OK ? probes[i].judgement : probes[i].application;
        assert_int_equal(probes[i].got, want);
        if (want != WG_OK) continue;
        assert_int_equal(probes[i].write.sequence, ++expected); /* failures take none */
        assert_int_equal(probes[i].version, expected);
    }
    assert_int_equal(probes[1].applied, 0);
    assert_int_equal(probes[3].applied, 1); /* not tried again with the others */
    assert_int_equal(sequence(), 4);
    struct view *view = collection_view(c);
    assert_int_equal(view->commit.row_end, 4);
    view_release(&view);
}

static void all_may_fail(void **state)
{
    (void)state;
    struct probe probes[3];
    open_with_interval(0);
    uint64_t moment = db_moment(c->db);
    for (size_t i = 0; i < 3; i++) {
        probes[i] = probe_of(i);
        probes[i].application = WG_EINVAL;
    }
    run_all(probes, 3);
    for (size_t i = 0; i < 3; i++) assert_int_equal(probes[i].got, WG_EINVAL);
    assert_int_equal(db_moment(c->db), moment);
    assert_int_equal(sequence(), 0);
    c->broken = true;
    struct probe probe = probe_of(0);
    assert_err(WG_EREADONLY, "sync", group_write(c, &probe.write));
    assert_int_equal(probe.judged + probe.applied, 0);
    c->broken = false;
}

/* What is alone shares with nobody, and comes in its turn. */
static void the_stores_own_work_is_alone(void **state)
{
    (void)state;
    struct probe probes[5];
    open_with_interval(0);
    uint64_t moment = db_moment(c->db);
    for (size_t i = 0; i < 5; i++) probes[i] = probe_of(i);
    probes[2].write.alone = true;
    run_all(probes, 5);
    assert_int_equal(db_moment(c->db), moment + 3);
    for (size_t i = 0; i < 5; i++) assert_int_equal(probes[i].write.sequence, i + 1);
}

/* --- real writes: conditions within a group --- */

struct conditional {
    uint64_t id, if_version;
    float round;
    wg_err got;
    uint64_t sequence;
};

static void run_conditional(void *arg)
{
    struct conditional *w = arg;
    struct write_result result;
    wg_id id;
    float vector[DIM] = { w->round, (float)w->id, 2 + w->round };
    wg_id_from_number(w->id, &id);
    struct upsert upsert = {
        .count = 1, .ids = &id, .vectors = vector, .if_versions = &w->if_version
    };
    w->got = collection_upsert(c, &upsert, &result);
    w->sequence = result.sequence;
}

/* Each sees what those before it in its group did. */
static void conditions_are_judged_in_turn(void **state)
{
    (void)state;
    open_with_interval(0);
    struct conditional writes[] = {
        { 0, 0, 1, WG_OK, 0 }, /* is absent: becomes version 1 */
        { 0, 0, 9, WG_OK, 0 }, /* is absent no more */
        { 0, 1, 2, WG_OK, 0 }, /* has version 1: becomes 2 */
        { 0, 1, 9, WG_OK, 0 }, /* is version 2 by now */
        { 1, 7, 9, WG_OK, 0 }, /* is not there */
        { 1, 0, 3, WG_OK, 0 }, /* version 3 */
        { 0, 2, 4, WG_OK, 0 }, /* version 4 */
        { 1, 3, 5, WG_OK, 0 }, /* version 5 */
    };
    static const wg_err want[] = { WG_OK,        WG_ECONFLICT, WG_OK, WG_ECONFLICT,
                                   WG_ECONFLICT, WG_OK,        WG_OK, WG_OK };
    struct thread threads[8], first;
    struct probe leader = probe_of(UINT64_MAX);
    uint64_t moment = db_moment(c->db), sequence_now = 0;
    mutex_lock(&c->writer);
    assert_ok(thread_start(run_probe, &leader, &first));
    wait_for_queue(0);
    for (size_t i = 0; i < 8; i++) {
        assert_ok(thread_start(run_conditional, &writes[i], &threads[i]));
        wait_for_queue(i + 1);
    }
    mutex_unlock(&c->writer);
    thread_join(&first);
    for (size_t i = 0; i < 8; i++) thread_join(&threads[i]);
    assert_int_equal(db_moment(c->db), moment + 1);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(writes[i].got, want[i]);
        if (want[i] == WG_OK) assert_int_equal(writes[i].sequence, ++sequence_now);
    }
    inner_check(c, (const float[]){ 4, 5 }, 2);
}

/* Many threads raise one counter, each time expecting the version that they read: none is lost. */
static void raise(void *arg)
{
    (void)arg;
    static const uint64_t none = 0;
    for (size_t done = 0; done < 25;) {
        struct conditional w = { .id = 5, .if_version = none, .round = 1 };
        run_conditional(&w);
        while (w.got == WG_ECONFLICT) { /* its message names the version that is there */
            const char *version = strstr(wg_message(), "has version ");
            must(version, "%s", wg_message());
            w.if_version = strtoull(version + 12, NULL, 10);
            run_conditional(&w);
        }
        must(w.got == WG_OK, "%s", wg_message());
        done++;
    }
}

static void no_conditional_write_is_lost(void **state)
{
    (void)state;
    struct thread threads[4];
    open_with_interval(0);
    for (size_t t = 0; t < 4; t++) assert_ok(thread_start(raise, NULL, &threads[t]));
    for (size_t t = 0; t < 4; t++) thread_join(&threads[t]);
    assert_int_equal(sequence(), 100);
    assert_int_equal(point_count(), 1);
}

/* --- queued writes --- */

static wg_err queue_point(uint64_t number)
{
    struct write_result result;
    float vector[DIM] = { 1, (float)number, 3 };
    wg_id id;
    wg_id_from_number(number, &id);
    struct upsert upsert = { .count = 1, .ids = &id, .vectors = vector, .may_queue = true };
    wg_err err = collection_upsert(c, &upsert, &result);
    memset(vector, 0xFF, sizeof vector); /* the caller's again */
    memset(&id, 0xFF, sizeof id);
    return err;
}

static void check_points(size_t count)
{
    float rounds[200];
    for (size_t i = 0; i < count; i++) rounds[i] = 1;
    inner_check(c, rounds, count);
}

static void queued_writes_are_committed_when_due(void **state)
{
    (void)state;
    open_with_interval(150);
    uint64_t moment = db_moment(c->db), begun = clock_ns();
    for (uint64_t i = 0; i < 100; i++) assert_ok(queue_point(i));
    if (clock_ns() - begun < 100 * 1000000) assert_int_equal(point_count(), 0);
    for (int i = 0; i < 5000 && point_count() == 0; i++) sleep_ms(1);
    assert_true(clock_ns() - begun >= 150 * 1000000);
    assert_int_equal(db_moment(c->db), moment + 1); /* together */
    check_points(100);
    assert_ok(queue_point(100)); /* another interval begins */
    assert_int_equal(point_count(), 100);
    for (int i = 0; i < 5000 && point_count() == 100; i++) sleep_ms(1);
    check_points(101);
}

static void flushing_commits_what_is_queued(void **state)
{
    (void)state;
    open_with_interval(60000);
    assert_ok(group_flush(c)); /* nothing is */
    for (uint64_t i = 0; i < 50; i++) assert_ok(queue_point(i));
    assert_int_equal(point_count(), 0);
    assert_ok(group_flush(c));
    check_points(50);
    assert_int_equal(sequence(), 50);
}

/* Whoever waits takes with him what was queued before, in its order. */
static void a_write_that_waits_comes_behind_the_queued(void **state)
{
    (void)state;
    open_with_interval(60000);
    struct conditional there = { 3, 4, 1, WG_EIO, 0 };
    for (uint64_t i = 0; i < 5; i++) assert_ok(queue_point(i));
    run_conditional(&there); /* that point has version 4 only if all is in order */
    assert_int_equal(there.got, WG_OK);
    assert_int_equal(there.sequence, 6);
    check_points(5);
}

static void what_is_queued_is_there_after_closing(void **state)
{
    (void)state;
    open_with_interval(60000);
    for (uint64_t i = 0; i < 30; i++) assert_ok(queue_point(i));
    uint64_t begun = clock_ns();
    collection_close(&c);
    assert_true(clock_ns() - begun < 20000 * UINT64_C(1000000)); /* the timer is not waited for */
    c = inner_open(&around, folder, COLLECTION_WRITE);
    check_points(30);
}

/* The error of a queued write is the next one's to tell, once. */
static void late_errors_are_told_once(void **state)
{
    (void)state;
    struct probe bad = probe_of(77), good = probe_of(78);
    open_with_interval(60000);
    bad.judgement = WG_ECONFLICT;
    bad.write.queued = good.write.queued = true;
    assert_ok(group_queue(c, &bad.write));
    assert_ok(group_queue(c, &good.write));
    assert_err(WG_ECONFLICT, "judged 77", group_flush(c));
    assert_int_equal(bad.destroyed + good.destroyed, 2);
    assert_int_equal(sequence(), 1); /* the good one is there */
    assert_ok(group_flush(c));
    bad.destroyed = 0;
    assert_ok(group_queue(c, &bad.write));
    struct conditional waits = { 1, 0, 1, WG_EIO, 0 };
    run_conditional(&waits); /* commits the queued one, and is not harmed */
    assert_int_equal(waits.got, WG_OK);
    assert_err(WG_ECONFLICT, "an earlier write failed", queue_point(5)); /* and is not done */
    assert_int_equal(bad.destroyed, 1);
    assert_ok(queue_point(5));
    assert_ok(group_flush(c));
    assert_int_equal(point_count(), 2);
    assert_ok(group_queue(c, &bad.write));
    assert_err(WG_ECONFLICT, "judged 77", group_flush(c));
    assert_int_equal(bad.destroyed, 2);
}

static void a_queued_write_that_is_refused_is_destroyed(void **state)
{
    (void)state;
    struct probe bad = probe_of(77), refused = probe_of(78);
    open_with_interval(60000);
    bad.application = WG_EINVAL;
    bad.write.queued = refused.write.queued = true;
    assert_ok(group_queue(c, &bad.write));
    struct conditional waits = { 1, 0, 1, WG_EIO, 0 };
    run_conditional(&waits);
    assert_err(WG_EINVAL, "applied 77", group_queue(c, &refused.write));
    assert_int_equal(refused.destroyed, 1);
    assert_int_equal(refused.applied, 0);
    assert_ok(group_flush(c));
}

/* Beyond some bytes whoever queues more waits: memory stays bounded. */
static void too_much_is_not_queued(void **state)
{
    (void)state;
    struct probe large[3];
    open_with_interval(60000);
    for (size_t i = 0; i < 3; i++) {
        large[i] = probe_of(i);
        large[i].write.size_bytes = 30 << 20;
        large[i].write.queued = true;
        assert_ok(group_queue(c, &large[i].write));
    }
    assert_int_equal(sequence(), 3);
    assert_int_equal(large[0].destroyed + large[1].destroyed + large[2].destroyed, 3);
}

static void queue_many(void *arg)
{
    uint64_t first = *(const uint64_t *)arg;
    for (uint64_t i = 0; i < 20; i++) {
        must_ok(queue_point(first + i));
        if (i % 7 == 6) must_ok(group_flush(c));
    }
}

static void many_may_queue_and_flush(void **state)
{
    (void)state;
    struct thread threads[6];
    uint64_t firsts[6];
    open_with_interval(1);
    for (uint64_t t = 0; t < 6; t++) {
        firsts[t] = t * 20;
        assert_ok(thread_start(queue_many, &firsts[t], &threads[t]));
    }
    for (size_t t = 0; t < 6; t++) thread_join(&threads[t]);
    assert_ok(group_flush(c));
    check_points(120);
    assert_int_equal(sequence(), 120);
}

/* More than a commit takes at once. */
static void many_queued_writes_are_all_done(void **state)
{
    (void)state;
    open_with_interval(60000);
    for (uint64_t i = 0; i < 3000; i++) assert_ok(queue_point(i % 150));
    assert_ok(group_flush(c));
    assert_int_equal(sequence(), 3000);
    check_points(150);
}

static void every_allocation_of_queueing_can_fail(void **state)
{
    (void)state;
    open_with_interval(60000);
    assert_ok(queue_point(0)); /* the timer has begun */
    assert_ok(group_flush(c));
    size_t in_use = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = queue_point(1);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        if (err != WG_OK) assert_int_equal(mem_in_use(), in_use);
    }
    assert_true(request > 2);
    assert_ok(group_flush(c));
    check_points(2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(writes_that_wait_share_a_commit),
        TEST(one_that_fails_fails_alone),
        TEST(all_may_fail),
        TEST(the_stores_own_work_is_alone),
        TEST(conditions_are_judged_in_turn),
        TEST(no_conditional_write_is_lost),
        TEST(queued_writes_are_committed_when_due),
        TEST(flushing_commits_what_is_queued),
        TEST(a_write_that_waits_comes_behind_the_queued),
        TEST(what_is_queued_is_there_after_closing),
        TEST(late_errors_are_told_once),
        TEST(a_queued_write_that_is_refused_is_destroyed),
        TEST(too_much_is_not_queued),
        TEST(many_may_queue_and_flush),
        TEST(many_queued_writes_are_all_done),
        TEST(every_allocation_of_queueing_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
