/* Compaction: what is kept and where, what goes, what comes meanwhile. */
#include "base/mem.h"
#include "os/machine.h"
#include "store/changes.h"
#include "store/compact.h"
#include "store/id.h"
#include "store/write.h"
#include "support/check.h"
#include "support/inner_store.h"
#include "support/scratch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    DIM = 1024,
    POINTS = 1500
}; /* 4 KiB a row: the first segment holds some 250, the next 500 */

static struct surroundings around;
static char folder[SCRATCH_PATH_SIZE];
static float rounds[POINTS]; /* of each point; below 0: it is not there */

static int set_up(void **state)
{
    (void)state;
    surroundings_begin(&around);
    snprintf(folder, sizeof folder, "%s/c", scratch_create());
    for (size_t i = 0; i < POINTS; i++) rounds[i] = -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    surroundings_end(&around);
    return 0;
}

static void upsert(struct collection *c, uint64_t first, size_t count, float round)
{
    assert_ok(inner_upsert(c, first, count, round));
    for (size_t i = 0; i < count; i++) rounds[first + i] = round;
}

static void erase(struct collection *c, uint64_t first, size_t count)
{
    assert_ok(inner_delete(c, first, count));
    for (size_t i = 0; i < count; i++) rounds[first + i] = -1;
}

static void finish(struct collection **c)
{
    collection_close(c);
    assert_int_equal(inner_problems(folder), 0);
}

static void reopen(struct collection **c)
{
    finish(c);
    *c = inner_open(&around, folder, COLLECTION_WRITE);
}

static void compact(struct collection *c)
{
    assert_ok(collection_compact(c, NULL));
    background_drain(around.background);
    inner_check(c, rounds, POINTS);
}

/* What the tables say of a point: its row. */
static uint64_t row_of(struct collection *c, uint64_t number)
{
    struct snapshot snapshot;
    struct bytes value;
    struct point point;
    struct id_key key;
    wg_id id;
    bool found = false;
    wg_id_from_number(number, &id);
    must_ok(id_key_make(&id, 0, &key));
    must_ok(snapshot_begin(c, &snapshot));
    must_ok(db_get(&snapshot.txn, TABLE_POINTS, id_key_bytes(&key), &found, &value));
    must(found, "point %zu is not there", (size_t)number);
    must_ok(point_read(value, &point));
    uint64_t row = point.rows.first_row;
    snapshot_end(&snapshot);
    return row;
}

static uint64_t row_count(struct collection *c)
{
    struct view *view = collection_view(c);
    uint64_t count = view->source.row_count;
    view_release(&view);
    return count;
}

static struct commit_record record_of(struct collection *c)
{
    struct view *view = collection_view(c);
    struct commit_record record = view->commit;
    view_release(&view);
    return record;
}

static size_t count_in(struct collection *c, unsigned table)
{
    struct snapshot snapshot;
    uint64_t count = 0;
    must_ok(snapshot_begin(c, &snapshot));
    must_ok(db_count(&snapshot.txn, table, &count));
    snapshot_end(&snapshot);
    return (size_t)count;
}

static void count_segment(void *user, const char *path, size_t size)
{
    (void)size;
    *(size_t *)user += strcmp(path + strlen(path) - 4, ".seg") == 0;
}

static size_t count_files(void)
{
    size_t count = 0;
    scratch_each_file(folder, count_segment, &count);
    return count;
}

/* The timer's thread is in a job from hold_timer to release_timer. */
struct waiting {
    struct semaphore begun, end;
};

static void wait_for_end(void *arg, bool cancelled)
{
    struct waiting *waiting = arg;
    (void)cancelled;
    semaphore_post(&waiting->begun);
    semaphore_wait(&waiting->end);
}

static void hold_timer(struct waiting *out)
{
    semaphore_init(&out->begun);
    semaphore_init(&out->end);
    assert_ok(background_submit(around.timer, wait_for_end, out));
    semaphore_wait(&out->begun);
}

static void release_timer(struct waiting *waiting)
{
    semaphore_post(&waiting->end);
    background_drain(around.timer);
    semaphore_fini(&waiting->begun);
    semaphore_fini(&waiting->end);
}

/* --- what is kept, what goes --- */

static void live_rows_keep_their_numbers(void **state)
{
    (void)state;
    static uint64_t rows[POINTS];
    struct collection *c = inner_create(&around, folder, DIM, 0);
    upsert(c, 0, 1000, 1);
    upsert(c, 100, 300, 2);
    erase(c, 600, 250);
    for (size_t i = 0; i < 1000; i++) rows[i] = rounds[i] < 0 ? 0 : row_of(c, i);
    struct commit_record before = record_of(c);
    compact(c);
    struct commit_record after = record_of(c);
    assert_int_equal(row_count(c), 750);
    assert_int_equal(after.point_count, 750);
    assert_int_equal(after.row_end, before.row_end);
    assert_int_equal(after.sequence, before.sequence);
    assert_int_equal(after.chain_hash, before.chain_hash);
    assert_true(after.arrangement > before.arrangement);
    assert_int_equal(count_files(), count_in(c, TABLE_SEGMENTS));
    for (size_t i = 0; i < 1000; i++)
        if (rounds[i] >= 0) assert_int_equal(row_of(c, i), rows[i]);
    reopen(&c);
    inner_check(c, rounds, POINTS);
    upsert(c, 50, 500, 3); /* over packed rows */
    erase(c, 0, 20);
    reopen(&c);
    inner_check(c, rounds, POINTS);
    compact(c); /* packed segments are packed again */
    assert_int_equal(row_count(c), record_of(c).point_count);
    finish(&c);
}

static void compacting_twice_changes_nothing_more(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    compact(c); /* nothing is there */
    upsert(c, 0, 600, 1);
    uint64_t arrangement = record_of(c).arrangement;
    compact(c); /* nothing is dead */
    assert_int_equal(record_of(c).arrangement, arrangement);
    erase(c, 10, 200);
    compact(c);
    arrangement = record_of(c).arrangement;
    compact(c);
    assert_int_equal(record_of(c).arrangement, arrangement);
    finish(&c);
}

/* Dead rows that the list of changes names stay, until it is trimmed. */
static void rows_of_the_list_of_changes_stay(void **state)
{
    (void)state;
    struct changes changes;
    struct collection *c = inner_create(&around, folder, DIM, 500);
    upsert(c, 0, 300, 1);
    upsert(c, 0, 300, 2); /* the list holds this, and not the one before */
    erase(c, 0, 150);
    compact(c);
    assert_int_equal(row_count(c), 300);
    assert_ok(collection_changes(c, 1, 10, &changes));
    assert_int_equal(changes.count, 2);
    assert_int_equal(changes.changes[0].count, 300);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(changes.changes[0].ids[i].as.number, i);
        assert_true(changes.changes[0].vectors[i * DIM] == 2);
        assert_true(changes.changes[0].vectors[i * DIM + 1] == (float)i);
    }
    changes_fini(&changes);
    reopen(&c);
    upsert(c, 1000, 400, 1); /* trims it */
    compact(c);
    assert_int_equal(row_count(c), 150 + 400);
    finish(&c);
}

static void dead_segments_go(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    for (size_t i = 0; i < 12; i++) upsert(c, i * 100, 100, 1);
    assert_true(count_files() >= 3);
    erase(c, 0, 1200);
    compact(c);
    assert_int_equal(row_count(c), 0);
    assert_int_equal(count_files(), 0);
    assert_int_equal(count_in(c, TABLE_SEGMENTS), 0);
    assert_int_equal(count_in(c, TABLE_SUMS), 0);
    reopen(&c);
    upsert(c, 5, 10, 2);
    assert_int_equal(row_of(c, 5), 1200); /* no number comes again */
    reopen(&c);
    inner_check(c, rounds, POINTS);
    finish(&c);
}

/* A search's old view is the last to hold them; the thread that searches does not remove files. */
static void files_of_a_released_view_go_by_another_thread(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    for (size_t i = 0; i < 12; i++) upsert(c, i * 100, 100, 1);
    struct view *view = collection_view(c);
    erase(c, 0, 1200);
    compact(c);
    size_t files = count_files();
    assert_true(files >= 3);
    struct waiting waiting;
    hold_timer(&waiting);
    collection_release_view(c, &view);
    assert_null(view);
    assert_int_equal(count_files(), files); /* as long as the other thread is busy */
    release_timer(&waiting);
    assert_int_equal(count_files(), 0);
    collection_release_view(c, &view); /* none: nothing */
    finish(&c);
}

/* The last segment goes, and the one before it has all its rows. */
static void the_last_segment_can_go(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    upsert(c, 0, 1, 1);
    struct view *view = collection_view(c);
    size_t room = (size_t)view->layout.placed[0].segment->header.capacity;
    view_release(&view);
    upsert(c, 1, room - 1, 1); /* full */
    upsert(c, room, 20, 1);
    erase(c, room, 20);
    compact(c);
    assert_int_equal(row_count(c), room);
    assert_int_equal(count_files(), 1);
    reopen(&c);
    upsert(c, room, 20, 2);
    assert_int_equal(row_of(c, room), room + 20);
    reopen(&c);
    inner_check(c, rounds, POINTS);
    finish(&c);
}

static void chunks_below_the_first_row_go(void **state)
{
    (void)state;
    enum { MANY = 150000 };
    struct collection *c = inner_create(&around, folder, 2, 0);
    assert_ok(inner_upsert(c, 0, MANY, 1));
    assert_int_equal(count_in(c, TABLE_LIVE), 3);
    assert_ok(inner_delete(c, 0, 140000));
    assert_ok(collection_compact(c, NULL));
    struct commit_record record = record_of(c);
    assert_int_equal(record.row_end, MANY);
    assert_int_equal(row_count(c), 10000);
    struct view *view = collection_view(c);
    uint64_t first = view->layout.placed[0].segment->header.first_row;
    view_release(&view);
    assert_int_equal(record.row_base, first / 65536 * 65536);
    assert_int_equal(count_in(c, TABLE_LIVE), 3 - record.row_base / 65536);
    assert_int_equal(row_of(c, 140000), 140000);
    reopen(&c);
    assert_ok(inner_delete(c, 140000, 10000));
    assert_ok(collection_compact(c, NULL));
    assert_int_equal(record_of(c).row_base, 131072);
    assert_int_equal(count_in(c, TABLE_LIVE), 1);
    assert_ok(inner_upsert(c, 7, 1, 2));
    assert_int_equal(row_of(c, 7), MANY);
    finish(&c);
}

static void the_space_is_given_back(void **state)
{
    (void)state;
    uint64_t before = 0, after = 0;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    upsert(c, 0, POINTS, 1);
    assert_ok(folder_disk_bytes(folder, &before));
    erase(c, 100, POINTS - 200);
    struct view *view = collection_view(c); /* as a search holds it */
    compact(c);
    assert_true(count_files() > count_in(c, TABLE_SEGMENTS)); /* the view's are still there */
    assert_int_equal(view->source.row_count, POINTS);
    for (uint64_t p = 0; p < POINTS; p++) {
        struct view_row row;
        assert_ok(view_read(view, p, &row));
        assert_true(((const float *)row.vector)[1] == (float)p);
    }
    view_release(&view);
    assert_int_equal(count_files(), count_in(c, TABLE_SEGMENTS));
    assert_ok(folder_disk_bytes(folder, &after));
    assert_true(after < before / 3);
    finish(&c);
}

/* --- by itself --- */

static void worn_segments_are_compacted_by_themselves(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    for (size_t i = 0; i < 12; i++) upsert(c, i * 100, 100, 1);
    uint64_t arrangement = record_of(c).arrangement;
    erase(c, 0, 10); /* not worth it */
    background_drain(around.background);
    assert_int_equal(record_of(c).arrangement, arrangement);
    for (size_t i = 0; i < 20; i++) erase(c, 10 + i * 20, 20);
    background_drain(around.background);
    assert_true(record_of(c).arrangement > arrangement);
    assert_true(row_count(c) < 1200 - 200);
    inner_check(c, rounds, POINTS);
    finish(&c);
}

/* Updating a few points for ever takes no more and more room. */
static void updates_do_not_fill_the_disk(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    for (size_t i = 0; i < 400; i++) upsert(c, i % 5 * 10, 50, (float)i);
    background_drain(around.background);
    inner_check(c, rounds, POINTS);
    assert_int_equal(record_of(c).row_end, 20000);
    assert_true(row_count(c) < 6000);
    finish(&c);
}

/* --- what goes wrong --- */

static void a_cancelled_compaction_leaves_all_as_it_was(void **state)
{
    (void)state;
    atomic_bool cancelled = true;
    struct stop stop = stop_after(0, &cancelled);
    struct collection *c = inner_create(&around, folder, 4, 0);
    assert_ok(inner_upsert(c, 0, 5000, 1));
    assert_ok(inner_delete(c, 100, 500)); /* not worth it by itself */
    for (size_t i = 0; i < 2; i++) assert_err(WG_ECANCELLED, "", collection_compact(c, &stop));
    struct stop late = { .deadline_ns = clock_ns() - 1 };
    assert_err(WG_ETIMEOUT, "", collection_compact(c, &late));
    assert_int_equal(row_count(c), 5000);
    assert_int_equal(count_files(), 1);
    assert_ok(inner_upsert(c, 5000, 10, 1)); /* to a segment of its own: the last one is closed */
    assert_int_equal(row_of(c, 5000), 5000);
    reopen(&c);
    assert_ok(inner_upsert(c, 5010, 10, 1));
    assert_int_equal(row_of(c, 5010), 5010);
    assert_ok(collection_compact(c, NULL));
    assert_int_equal(row_count(c), 4520);
    finish(&c);
}

static void flip_component(uint64_t row)
{
    char path[SCRATCH_PATH_SIZE + 16];
    struct file file;
    uint8_t byte;
    uint64_t at = 4096 + row * DIM * sizeof(float) + 8;
    snprintf(path, sizeof path, "%s/0-0.seg", folder);
    must_ok(file_open(path, FILE_READ_WRITE, &file));
    must_ok(file_read_at(&file, &byte, 1, at));
    byte ^= 4;
    must_ok(file_write_at(&file, &byte, 1, at));
    file_close(&file);
}

static void damage_is_not_carried_on(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    upsert(c, 0, 200, 1);
    erase(c, 50, 20);
    flip_component(60); /* a dead row: it does not matter */
    flip_component(10);
    assert_err(WG_ECORRUPT, "row 10", collection_compact(c, NULL));
    assert_int_equal(row_count(c), 200);
    assert_int_equal(count_files(), 1);
    flip_component(10);
    compact(c);
    assert_int_equal(row_count(c), 180);
    finish(&c);
}

static void a_reader_does_not_compact(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    upsert(c, 0, 20, 1);
    collection_close(&c);
    c = inner_open(&around, folder, COLLECTION_READ);
    assert_err(WG_EREADONLY, "", collection_compact(c, NULL));
    collection_close(&c);
}

static void every_allocation_can_fail(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    upsert(c, 0, 600, 1);
    erase(c, 20, 40);
    background_drain(around.background);
    size_t in_use = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = collection_compact(c, NULL);
        mem_fail_at(0);
        background_drain(around.background);
        if (err == WG_OK) break;
        assert_int_equal(err, WG_ENOMEM);
        assert_true(mem_in_use() <= in_use + 4); /* the background thread may have begun */
        assert_int_equal(count_files(), count_in(c, TABLE_SEGMENTS));
        inner_check(c, rounds, POINTS);
    }
    assert_true(request > 10);
    assert_int_equal(row_count(c), 560);
    inner_check(c, rounds, POINTS);
    finish(&c);
}

/* --- what comes meanwhile --- */

struct writer {
    struct collection *collection;
    uint64_t first; /* of its points */
    atomic_bool *end;
    atomic_size_t writes;
};

enum { WRITERS = 3, OWN = 100 };

static void write_on(void *arg)
{
    struct writer *w = arg;
    for (; !*w->end; w->writes++) {
        uint64_t first = w->first + w->writes % 7 * 10;
        if (w->writes % 5 == 4)
            must_ok(inner_delete(w->collection, first, 20));
        else
            must_ok(inner_upsert(w->collection, first, 30, (float)w->writes));
    }
    must_ok(inner_upsert(w->collection, w->first, OWN, 5));
}

static void writers_go_on_meanwhile(void **state)
{
    (void)state;
    atomic_bool end = false;
    struct thread threads[WRITERS];
    struct writer writers[WRITERS];
    struct collection *c = inner_create(&around, folder, DIM, 100);
    upsert(c, 1000, 400, 1); /* they are not written, and have to stay */
    for (size_t t = 0; t < WRITERS; t++) {
        writers[t] = (struct writer){ c, t * OWN, &end, 0 };
        assert_ok(thread_start(write_on, &writers[t], &threads[t]));
    }
    for (size_t i = 0; i < 40 || record_of(c).arrangement < 6; i++)
        assert_ok(collection_compact(c, NULL));
    end = true;
    for (size_t t = 0; t < WRITERS; t++) thread_join(&threads[t]);
    for (size_t i = 0; i < WRITERS * OWN; i++) rounds[i] = 5;
    inner_check(c, rounds, POINTS);
    reopen(&c);
    inner_check(c, rounds, POINTS);
    finish(&c);
}

static void clear_often(void *arg)
{
    struct writer *w = arg;
    for (; !*w->end; w->writes++) {
        must_ok(inner_upsert(w->collection, 0, 400, 1));
        must_ok(inner_delete(w->collection, 0, 250));
        must_ok(collection_clear(w->collection));
    }
}

static void the_collection_may_be_cleared_meanwhile(void **state)
{
    (void)state;
    atomic_bool end = false;
    struct thread thread;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    struct writer writer = { c, 0, &end, 0 };
    assert_ok(thread_start(clear_often, &writer, &thread));
    for (size_t i = 0; i < 60 || writer.writes < 10; i++) assert_ok(collection_compact(c, NULL));
    end = true;
    thread_join(&thread);
    inner_check(c, NULL, 0);
    background_drain(around.background);
    assert_int_equal(count_files(), 0);
    finish(&c);
}

/* Closing does not wait for the whole of it. */
static void closing_ends_a_compaction(void **state)
{
    (void)state;
    struct collection *c = inner_create(&around, folder, DIM, 0);
    upsert(c, 0, POINTS, 1);
    for (size_t i = 0; i < POINTS; i += 3) erase(c, i, 1);
    finish(&c); /* whatever it is doing */
    c = inner_open(&around, folder, COLLECTION_WRITE);
    inner_check(c, rounds, POINTS);
    finish(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(live_rows_keep_their_numbers),
        TEST(compacting_twice_changes_nothing_more),
        TEST(rows_of_the_list_of_changes_stay),
        TEST(dead_segments_go),
        TEST(files_of_a_released_view_go_by_another_thread),
        TEST(the_last_segment_can_go),
        TEST(chunks_below_the_first_row_go),
        TEST(the_space_is_given_back),
        TEST(worn_segments_are_compacted_by_themselves),
        TEST(updates_do_not_fill_the_disk),
        TEST(a_cancelled_compaction_leaves_all_as_it_was),
        TEST(damage_is_not_carried_on),
        TEST(a_reader_does_not_compact),
        TEST(every_allocation_can_fail),
        TEST(writers_go_on_meanwhile),
        TEST(the_collection_may_be_cleared_meanwhile),
        TEST(closing_ends_a_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
