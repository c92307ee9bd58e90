/* wg_store_equal: equal stores are equal, and each way to differ is told, once and in words. */
#include "base/mem.h"
#include "support/check.h"
#include "support/content.h"
#include "support/copies.h"
#include "support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIM = 3, MANY = 250 };

static const char *at(const char *name)
{
    return copies_at(name);
}

/* --- two stores that are made alike, but for one thing --- */

struct recipe {
    uint32_t dim;
    wg_metric metric;
    const char *name, *alias, *alias_of;
    size_t count;
    bool reversed;          /* the order within the batch */
    size_t left_out;        /* a point that is not there; SIZE_MAX: none */
    size_t moved;           /* a point written once more, in a batch of its own */
    const char *payload;    /* of point 1 */
    float component;        /* of point 1 */
    bool more_history;      /* writes that leave the same points */
};

static const struct recipe usual = {
    .dim = DIM,
    .metric = WG_DOT,
    .name = "docs",
    .alias = "a",
    .alias_of = "docs",
    .count = 5,
    .left_out = SIZE_MAX,
    .moved = SIZE_MAX,
    .payload = "{\"n\":1}",
    .component = 0.5F,
};

static void upsert_one(wg_collection *c, const struct recipe *r, size_t i)
{
    float vector[4] = { (float)i, i == 1 ? r->component : 2, -0.0F, 1 };
    const char *payload = i == 1 ? r->payload : "{\"n\":2}";
    wg_id id;
    wg_batch batch;
    wg_id_from_number(i, &id);
    wg_batch_init(&batch);
    batch.count = 1;
    batch.ids = &id;
    batch.vectors = vector;
    batch.payloads = &payload;
    must_ok(wg_collection_upsert(c, r->dim, &batch));
}

static void cook(const char *path, const struct recipe *r)
{
    wg_store *store = copies_open(path, false);
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = r->dim;
    params.metric = r->metric;
    must_ok(wg_collection_create(store, r->name, &params));
    must_ok(wg_collection_create(store, "other", &params));
    must_ok(wg_alias_set(store, r->alias, r->alias_of));
    wg_collection *c = copies_open_collection(store, r->name);
    for (size_t i = 0; i < r->count; i++) {
        size_t point = r->reversed ? r->count - 1 - i : i;
        if (point != r->left_out) upsert_one(c, r, point);
    }
    if (r->moved != SIZE_MAX) upsert_one(c, r, r->moved);
    if (r->more_history) {
        upsert_one(c, r, r->count);
        wg_id id;
        wg_id_from_number(r->count, &id);
        must_ok(wg_collection_delete(c, &id, 1, NULL));
    }
    wg_collection_close(&c);
    wg_store_close(&store);
}

/* --- what is told --- */

struct told {
    size_t count;
    char text[MANY + 10][256];
};

static void note(void *user, const char *difference)
{
    struct told *told = user;
    must(told->count < sizeof told->text / sizeof *told->text, "too much is told");
    snprintf(told->text[told->count++], sizeof *told->text, "%s", difference);
}

static bool is_told(const struct told *told, const char *part)
{
    for (size_t i = 0; i < told->count; i++)
        if (strstr(told->text[i], part)) return true;
    return false;
}

/* One thing is other than usual: all that follows from it is told, parts being count texts. */
static void check(const struct recipe *other, const char *const *parts, size_t count)
{
    static struct told told;
    uint64_t found = UINT64_MAX;
    told.count = 0;
    cook(at("a"), &usual);
    cook(at("b"), other);
    assert_ok(wg_store_equal(copies_context(), at("a"), at("b"), note, &told, &found));
    assert_int_equal(found, told.count);
    for (size_t i = 0; i < count; i++)
        must(is_told(&told, parts[i]), "\"%s\" is not told; but \"%s\"", parts[i],
             told.count > 0 ? told.text[0] : "nothing");
    must(told.count == count, "%zu told, the last \"%s\"", told.count,
         told.count > 0 ? told.text[told.count - 1] : "");
    scratch_remove(at("a"));
    scratch_remove(at("b"));
}

#define CHECK(other, ...)                                       \
    do {                                                        \
        static const char *const parts_[] = { __VA_ARGS__ };    \
        check((other), parts_, sizeof parts_ / sizeof *parts_); \
    } while (0)

static void test_each_difference_is_told(void **state)
{
    (void)state;
    check(&usual, NULL, 0);
    struct recipe r = usual;
    r.metric = WG_EUCLIDEAN;
    CHECK(&r, "\"docs\": metric: dot and euclidean", "\"other\": metric");
    r = usual, r.payload = "{\"n\":7}";
    CHECK(&r, "point 1: payload {\"n\":1} and {\"n\":7}", "docs\": chain hash");
    r = usual, r.component = 0.25F;
    CHECK(&r, "point 1: component 1 of its vector: 0.5 and 0.25", "docs\": chain hash");
    r = usual, r.name = "texts", r.alias_of = "other";
    CHECK(&r, "collection \"docs\" is only in", "collection \"texts\" is only in",
          "alias \"a\" leads to \"docs\" and \"other\"");
    r = usual, r.alias = "b";
    CHECK(&r, "alias \"a\" is only in", "alias \"b\" is only in");
    r = usual, r.alias_of = "other";
    CHECK(&r, "alias \"a\" leads to \"docs\" and \"other\"");
    r = usual, r.more_history = true;
    CHECK(&r, "docs\": sequence: 5 and 7", "docs\": chain hash");
    r = usual, r.left_out = 4;
    CHECK(&r, "docs\": sequence: 5 and 4", "docs\": points: 5 and 4", "docs\": chain hash",
          "point 4 is only in");
    r = usual, r.dim = DIM + 1;
    CHECK(&r, "\"docs\": dimensions: 3 and 4", "\"other\": dimensions: 3 and 4",
          "docs\": chain hash");
}

/* The same points, and no version but the moved one's tells. */
static void test_the_order_of_rows(void **state)
{
    (void)state;
    struct recipe r = usual;
    r.moved = 2;
    CHECK(&r, "docs\": sequence: 5 and 6", "docs\": chain hash", "point 2: version 3 and 6",
          "row 2 of those that are live is point 2 and 3");
    r = usual, r.reversed = true;
    CHECK(&r, "docs\": chain hash", "point 0: version 1 and 5", "point 1: version 2 and 4",
          "point 3: version 4 and 2", "point 4: version 5 and 1",
          "row 0 of those that are live is point 0 and 4");
}

/* Compaction, dead rows, other numbers of collections and segments: nobody sees a difference. */
static void test_what_is_not_content(void **state)
{
    (void)state;
    struct run run[2];
    for (size_t i = 0; i < 2; i++) {
        wg_store *store = copies_open(at(i == 0 ? "a" : "b"), false);
        if (i == 1) {
            copies_create(store, "gone", 4);
            assert_ok(wg_collection_drop(store, "gone"));
        }
        copies_create(store, "c", MODEL_DIM);
        wg_collection *c = copies_open_collection(store, "c");
        run_begin(5, &run[i]);
        for (size_t n = 0; n < 60; n++) {
            run_next(&run[i], c);
            if (i == 1 && n % 20 == 10) assert_ok(wg_collection_compact(c, NULL));
        }
        if (i == 1) assert_true(copies_info(c).segment_count > 1);
        wg_collection_close(&c);
        wg_store_close(&store);
    }
    assert_int_equal(copies_differences(at("a"), at("b")), 0);
}

/* So many are told of each collection, and all are counted. */
static void test_many_differences(void **state)
{
    (void)state;
    static struct told told;
    uint64_t found = 0;
    struct recipe r = usual;
    r.count = MANY;
    cook(at("a"), &r);
    r.count = 1;
    r.name = "docs", r.alias_of = "other";
    cook(at("b"), &r);
    assert_ok(wg_store_equal(copies_context(), at("a"), at("b"), note, &told, &found));
    assert_int_equal(found, MANY - 1 + 3 + 1);
    assert_int_equal(told.count, 100 + 1);
    assert_true(is_told(&told, "alias"));
    assert_ok(wg_store_equal(copies_context(), at("a"), at("b"), NULL, NULL, &found));
    assert_int_equal(found, MANY - 1 + 3 + 1);
}

static void test_what_cannot_be_compared(void **state)
{
    (void)state;
    uint64_t found = 77;
    cook(at("a"), &usual);
    assert_err(WG_ENOTFOUND, "no store",
               wg_store_equal(copies_context(), at("a"), at("none"), NULL, NULL, &found));
    assert_err(WG_EBUSY, "open already",
               wg_store_equal(copies_context(), at("a"), at("a"), NULL, NULL, &found));
    wg_store *store = copies_open(at("a"), false);
    assert_err(WG_EBUSY, "open already",
               wg_store_equal(copies_context(), at("a"), at("b"), NULL, NULL, &found));
    wg_store_close(&store);
    assert_int_equal(found, 77);
}

static void flip(const char *path, long position)
{
    FILE *file = fopen(path, "r+b");
    must(file && fseek(file, position, SEEK_SET) == 0, "cannot open %s", path);
    int byte = fgetc(file);
    must(fseek(file, position, SEEK_SET) == 0 && fputc(byte ^ 4, file) != EOF, "cannot write");
    must(fclose(file) == 0, "cannot write %s", path);
}

/* Damage is an error, for what is not what was written is neither equal nor different. */
static void test_damage(void **state)
{
    (void)state;
    uint64_t found = 77;
    cook(at("a"), &usual);
    cook(at("b"), &usual);
    flip(at("b/c-1/0-0.seg"), 4096 + 2);
    assert_err(WG_ECORRUPT, "wrong checksum",
               wg_store_equal(copies_context(), at("a"), at("b"), NULL, NULL, &found));
    assert_int_equal(found, 77);
}

static void write_on(uint64_t seed, struct child *parent)
{
    struct run run;
    wg_store *store = copies_open(at("s"), false);
    wg_collection *c = copies_open_collection(store, "c");
    run_begin(seed, &run);
    child_say(parent, 'r');
    for (;;) {
        run_next(&run, c);
        if (run.sequence % 8 == 0) must_ok(wg_collection_compact(c, NULL));
    }
}

/* A store that is written meanwhile is compared as one commit left it. */
static void test_beside_a_writer(void **state)
{
    (void)state;
    wg_store *store = copies_open(at("s"), false);
    copies_create(store, "c", MODEL_DIM);
    assert_ok(wg_store_snapshot(store, at("copy")));
    wg_store_close(&store);
    struct child child;
    copies_start(&child, write_on, test_seed());
    static struct told told;
    for (size_t i = 0; i < 30; i++) {
        uint64_t found;
        told.count = 0;
        assert_ok(wg_store_equal(copies_context(), at("s"), at("copy"), note, &told, &found));
        uint64_t points = 0, others = 0;
        for (size_t j = 0; j < told.count; j++) {
            const char *text = strstr(told.text[j], "points: ");
            if (text) must(sscanf(text, "points: %" SCNu64, &points) == 1, "%s", told.text[j]);
        }
        others += is_told(&told, "sequence");
        others += is_told(&told, "chain hash");
        others += is_told(&told, "points: ");
        must(found == points + others, "%" PRIu64 " points, %" PRIu64 " differences", points,
             found);
    }
    child_kill(&child);
}

static void test_every_allocation(void **state)
{
    (void)state;
    size_t failed = 0, good = 0;
    cook(at("a"), &usual);
    cook(at("b"), &usual);
    size_t in_use = mem_in_use();
    for (uint64_t n = 1; good < 25; n++) {
        uint64_t found = 77;
        mem_fail_at(n);
        wg_err err = wg_store_equal(copies_context(), at("a"), at("b"), NULL, NULL, &found);
        mem_fail_at(0);
        assert_int_equal(mem_in_use(), in_use);
        must(err == WG_OK || err == WG_ENOMEM, "request %d: %s", (int)n, wg_message());
        must(found == (err == WG_OK ? 0 : 77), "%d differences", (int)found);
        good = err == WG_OK ? good + 1 : 0;
        failed += err != WG_OK;
    }
    assert_true(failed > 50);
}

#define COPIES_TEST(test) cmocka_unit_test_setup_teardown(test, copies_set_up, copies_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        COPIES_TEST(test_each_difference_is_told), COPIES_TEST(test_the_order_of_rows),
        COPIES_TEST(test_what_is_not_content),     COPIES_TEST(test_many_differences),
        COPIES_TEST(test_what_cannot_be_compared), COPIES_TEST(test_damage),
        COPIES_TEST(test_beside_a_writer),         COPIES_TEST(test_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
