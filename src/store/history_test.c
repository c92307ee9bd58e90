/* The list of changes in its table: what is kept and what is trimmed, against a plain list; and
 * records that do not add up. */
#include "base/mem.h"
#include "store/history.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_MAX = 20 << 20, BYTES_MAX = 64 << 20, ENTRIES = 400 };

static struct db *db;
static struct db_txn txn;
static struct commit_record commit;

static int set_up(void **state)
{
    (void)state;
    static const char *const names[] = { "changes" };
    struct db_params params = {
        .path = scratch_create(),
        .tables = names,
        .table_count = 1,
        .map_size = 1 << 30,
        .use = DB_IN_MEMORY,
        .reader_limit = 10,
    };
    must_ok(db_open(&params, &db));
    must_ok(db_write_begin(db, &txn));
    commit = (struct commit_record){ 0 };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    db_abort(&txn);
    db_close(&db);
    return 0;
}

/* What was put, oldest first. */
struct entry {
    uint64_t sequence, first_row, bytes;
    uint32_t count;
};

static struct entry entries[ENTRIES];
static size_t entry_count;

/* One batch of count points, row_count of them with new rows, items of so many bytes. */
static void put(uint32_t count, uint32_t row_count, size_t size, uint64_t limit)
{
    char *items = allocate(size, 1);
    struct history_entry entry = {
        .record = { .chain_hash = commit.sequence * 7,
                    .first_row = commit.row_end,
                    .count = count,
                    .kind = row_count > 0 ? CHANGE_UPSERT : CHANGE_DELETE },
        .items = { items, size },
        .limit = limit,
    };
    commit.sequence++;
    entries[entry_count++] = (struct entry){
        .sequence = commit.sequence,
        .first_row = commit.row_end,
        .bytes = sizeof entry.record + size,
        .count = count,
    };
    commit.row_end += row_count;
    assert_ok(history_put(&txn, 0, &commit, &entry));
    free(items);
}

/* What is kept of the entries: the newest that fit. */
static void check(uint64_t limit)
{
    size_t kept = entry_count;
    uint64_t points = 0, bytes = 0, there = 0;
    while (kept > 0 && entries[kept - 1].sequence > commit.horizon) kept--;
    for (size_t i = kept; i < entry_count; i++) {
        points += entries[i].count;
        bytes += entries[i].bytes;
        struct change_key key = change_key_of(entries[i].sequence);
        struct bytes value;
        struct change_reader reader;
        bool found = false;
        assert_ok(db_get(&txn, 0, KEY_BYTES(key), &found, &value));
        assert_true(found);
        assert_ok(change_read(value, &reader));
        assert_int_equal(reader.record.count, entries[i].count);
        assert_int_equal(value.size, entries[i].bytes);
    }
    assert_ok(db_count(&txn, 0, &there));
    assert_int_equal(there, entry_count - kept);
    assert_int_equal(commit.history_count, points);
    assert_int_equal(commit.history_bytes, bytes);
    assert_true(points <= limit && bytes <= BYTES_MAX);
    assert_int_equal(commit.history_row,
                     kept < entry_count ? entries[kept].first_row : commit.row_end);
    if (kept == 0) return; /* else not more was dropped than had to be */
    assert_int_equal(commit.horizon, entries[kept - 1].sequence);
    assert_true(points + entries[kept - 1].count > limit ||
                bytes + entries[kept - 1].bytes > BYTES_MAX);
}

static void the_list_goes_back_so_many_points(void **state)
{
    (void)state;
    static const uint64_t limits[] = { 0, 1, 10, 250 };
    struct prng prng = { test_seed() };
    for (size_t i = 0; i < 4; i++) {
        uint64_t at = entry_count = 0;
        assert_ok(history_empty(&txn, 0, &commit));
        assert_int_equal(commit.horizon, commit.sequence);
        for (; at < ENTRIES; at++) {
            uint32_t count = 1 + (uint32_t)test_below(&prng, test_below(&prng, 9) ? 4 : 300);
            put(count, test_below(&prng, 2) ? count : 0, test_below(&prng, 100), limits[i]);
            check(limits[i]);
        }
    }
}

static void the_list_goes_back_so_many_bytes(void **state)
{
    (void)state;
    entry_count = 0;
    for (size_t i = 0; i < 12; i++) {
        put(1, 1, i % 4 == 3 ? 100 : PAYLOAD_MAX, 1000000);
        check(1000000);
    }
    assert_true(commit.horizon > 0);
}

/* A batch that is more than the list may hold leaves none; the next one begins it again. */
static void a_large_batch_empties_the_list(void **state)
{
    (void)state;
    entry_count = 0;
    put(3, 3, 0, 10);
    put(11, 11, 0, 10);
    check(10);
    assert_int_equal(commit.horizon, commit.sequence);
    assert_int_equal(commit.history_row, 14);
    put(2, 2, 0, 10);
    check(10);
    assert_int_equal(commit.history_row, 14);
}

static void emptying_drops_all(void **state)
{
    (void)state;
    uint64_t there = 7;
    entry_count = 0;
    for (size_t i = 0; i < 5; i++) put(2, 2, 9, 100);
    assert_ok(history_empty(&txn, 0, &commit));
    assert_ok(db_count(&txn, 0, &there));
    assert_int_equal(there, 0);
    assert_int_equal(commit.horizon, 5);
    assert_int_equal(commit.history_count, 0);
    assert_int_equal(commit.history_bytes, 0);
    assert_int_equal(commit.history_row, commit.row_end);
}

/* --- items --- */

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){ text, strlen(text) };
}

static bool is_text(struct bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.start, text, bytes.size) == 0;
}

static void items_are_read_as_they_were_added(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        { "key", "payload" },
        { "", "only a payload" },
        { "only a key", "" },
        { "", "" },
    };
    size_t in_use = mem_in_use();
    struct change_items items = { 0 };
    struct change_record record = {
        .chain_hash = 5, .count = 4000, .kind = CHANGE_PAYLOAD, .flags = CHANGE_HAS_ITEMS
    };
    for (size_t i = 0; i < 4000; i++)
        assert_ok(change_items_add(&items, bytes_of(texts[i % 4][0]), bytes_of(texts[i % 4][1])));
    char *value = allocate(sizeof record + items.size, 1);
    memcpy(value, &record, sizeof record);
    memcpy(value + sizeof record, items.bytes, items.size);
    struct change_reader reader;
    struct bytes key, payload;
    assert_ok(change_read((struct bytes){ value, sizeof record + items.size }, &reader));
    assert_int_equal(reader.record.chain_hash, 5);
    for (size_t i = 0; i < 4000; i++) {
        assert_ok(change_next(&reader, &key, &payload));
        assert_true(is_text(key, texts[i % 4][0]) && is_text(payload, texts[i % 4][1]));
    }
    assert_err(WG_ECORRUPT, "", change_next(&reader, &key, &payload)); /* none is left */
    free(value);
    change_items_fini(&items);
    assert_null(items.bytes);
    mem_fail_at(1);
    assert_err(WG_ENOMEM, "", change_items_add(&items, bytes_of("a"), bytes_of("b")));
    mem_fail_at(0);
    change_items_fini(&items);
    assert_int_equal(mem_in_use(), in_use);
}

/* A record and up to two items, as one value. */
struct written {
    uint16_t kind, flags;
    uint32_t count;
    const char *keys[2], *payloads[2]; /* NULL: no item */
};

static size_t write_value(const struct written *written, char value[128])
{
    struct change_items items = { 0 };
    struct change_record record = { .kind = written->kind,
                                    .flags = written->flags,
                                    .count = written->count };
    for (size_t i = 0; i < 2 && written->keys[i]; i++)
        must_ok(change_items_add(&items, bytes_of(written->keys[i]),
                                 bytes_of(written->payloads[i])));
    memcpy(value, &record, sizeof record);
    if (items.size > 0) memcpy(value + sizeof record, items.bytes, items.size);
    size_t size = sizeof record + items.size;
    change_items_fini(&items);
    return size;
}

static const struct written good[] = {
    { CHANGE_UPSERT, 0, 3, { NULL }, { NULL } },
    { CHANGE_UPSERT, CHANGE_HAS_ITEMS, 2, { "", "" }, { "{}", "" } },
    { CHANGE_DELETE, CHANGE_HAS_ITEMS, 2, { "k", "l" }, { "", "" } },
    { CHANGE_PAYLOAD, CHANGE_HAS_ITEMS, 1, { "k" }, { "{}" } },
    { CHANGE_CLEAR, 0, 0, { NULL }, { NULL } },
};

static void records_that_do_not_add_up_are_corrupt(void **state)
{
    (void)state;
    static const struct written bad[] = {
        { 0, 0, 0, { NULL }, { NULL } },
        { CHANGE_CLEAR + 1, 0, 0, { NULL }, { NULL } },
        { CHANGE_UPSERT, 2, 0, { NULL }, { NULL } },                        /* unknown flags */
        { CHANGE_UPSERT, CHANGE_HAS_ITEMS, 3, { "", "" }, { "{}", "" } },   /* one is missing */
        { CHANGE_UPSERT, CHANGE_HAS_ITEMS, 1, { "", "" }, { "{}", "" } },   /* one too many */
        { CHANGE_UPSERT, CHANGE_HAS_ITEMS, 2, { "k", "" }, { "{}", "" } },  /* a key */
        { CHANGE_UPSERT, 0, 2, { "", "" }, { "{}", "" } }, /* items unannounced */
        { CHANGE_DELETE, 0, 1, { NULL }, { NULL } }, /* of what? */
        { CHANGE_DELETE, CHANGE_HAS_ITEMS, 2, { "k", "" }, { "", "" } }, /* no key */
        { CHANGE_CLEAR, 0, 1, { NULL }, { NULL } },
        { CHANGE_CLEAR, CHANGE_HAS_ITEMS, 0, { NULL }, { NULL } },
    };
    char value[128];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t size = write_value(&good[i], value);
        assert_ok(change_check((struct bytes){ value, size }));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t size = write_value(&bad[i], value);
        if (change_check((struct bytes){ value, size }) != WG_ECORRUPT)
            fail_msg("record %zu passes", i);
    }
}

static void records_that_are_cut_are_corrupt(void **state)
{
    (void)state;
    char value[128];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t size = write_value(&good[i], value);
        for (size_t cut = 0; cut <= size + 1; cut++) {
            if (cut == size) continue;
            char *part = allocate(cut, 1); /* the sanitizer watches its end */
            memcpy(part, value, cut < size ? cut : size);
            if (change_check((struct bytes){ part, cut }) != WG_ECORRUPT)
                fail_msg("record %zu passes with %zu bytes of %zu", i, cut, size);
            free(part);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_list_goes_back_so_many_points), TEST(the_list_goes_back_so_many_bytes),
        TEST(a_large_batch_empties_the_list),    TEST(emptying_drops_all),
        TEST(items_are_read_as_they_were_added), TEST(records_that_do_not_add_up_are_corrupt),
        TEST(records_that_are_cut_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
