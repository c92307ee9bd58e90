/* Reading LMDB's pages without trust: what is sound is called so, and each rule is broken by hand.
 * Damage of all kinds is pages_damage_test's, files that LMDB made are pages_lmdb_test's. */
#include "store/pages.h"

#include "base/mem.h"
#include "support/check.h"
#include "support/lmdb_made.h"
#include "support/pages_specimen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void what_is_sound_is_called_so(void **state)
{
    (void)state;
    struct told told;
    for (size_t page_size = 256; page_size <= 32768; page_size *= 2) {
        struct made made = specimen_create(page_size);
        specimen_assert_sound(&made);
        for (size_t i = 0; i < SPECIMEN_TABLES; i++) {
            struct walked walked = specimen_walk(&made, specimen_names[i], &told);
            assert_int_equal(told.report.problem_count, 0);
            assert_int_equal(walked.count, walked.entry_count);
            assert_int_equal(walked.in_order, walked.entry_count);
        }
        made_destroy(&made);
    }
}

/* Transaction ids are compared as numbers: as bytes, 256 would come before 255. */
static void the_free_list_is_in_order_of_numbers(void **state)
{
    (void)state;
    struct told told;
    const struct made_entry entry = { { "k", 1 }, { "value", 5 } };
    const struct made_table table = { "one", &entry, 1 };
    struct made made =
        made_create(&(struct made_params){ SPECIMEN_PAGE, 256, &table, 1, .free_count = 4 });
    struct pages pages;
    told_begin(&told);
    assert_ok(pages_open(made.bytes, made.size, PAGES_NEWEST, &pages));
    assert_int_equal(pages.free_list.entry_count, 2);
    assert_ok(pages_check(&pages, &table.name, 1, &told.report));
    assert_int_equal(told.report.problem_count, 0);
    made_destroy(&made);
}

static struct pages open_pages(const struct made *made)
{
    struct pages pages;
    must_ok(pages_open(made->bytes, made->size, PAGES_NEWEST, &pages));
    return pages;
}

static void a_transaction_is_chosen(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct pages pages;
    assert_ok(pages_open(made.bytes, made.size, SPECIMEN_TXN, &pages));
    assert_int_equal(pages.txn_id, SPECIMEN_TXN);
    assert_int_equal(pages.main.entry_count, SPECIMEN_TABLES);
    assert_ok(pages_open(made.bytes, made.size, SPECIMEN_TXN - 1, &pages));
    assert_int_equal(pages.txn_id, SPECIMEN_TXN - 1);
    assert_int_equal(pages.main.entry_count, 0);
    assert_err(WG_ENOTFOUND, "transaction 8",
               pages_open(made.bytes, made.size, SPECIMEN_TXN - 2, &pages));
    assert_err(WG_ENOTFOUND, "transaction 12",
               pages_open(made.bytes, made.size, SPECIMEN_TXN + 2, &pages));
    made.bytes[16]++; /* of the newest: the one before is read, and that is a problem */
    struct told told;
    assert_true(specimen_check(&made, &told) > 0);
    assert_non_null(strstr(told.first, "page 0 of data.mdb (a meta page): magic"));
    assert_ok(pages_open(made.bytes, made.size, PAGES_NEWEST, &pages));
    assert_int_equal(pages.txn_id, SPECIMEN_TXN - 1);
    assert_err(WG_ECORRUPT, "page 0", pages_open(made.bytes, made.size, SPECIMEN_TXN, &pages));
    assert_ok(pages_open(made.bytes, made.size, SPECIMEN_TXN - 1, &pages));
    made.bytes[16]--, made.bytes[SPECIMEN_PAGE + 16]++;
    assert_err(WG_ECORRUPT, "page 1", pages_open(made.bytes, made.size, SPECIMEN_TXN - 1, &pages));
    assert_ok(pages_open(made.bytes, made.size, SPECIMEN_TXN, &pages));
    made.bytes[16]++;
    assert_err(WG_ECORRUPT, "page 0", pages_open(made.bytes, made.size, PAGES_NEWEST, &pages));
    assert_err(WG_ECORRUPT, "page 0", pages_open(made.bytes, 0, PAGES_NEWEST, &pages));
    made_destroy(&made);
}

/* Beside a writer the other meta page may be of any transaction. */
static void the_other_meta_page_is_a_writers(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct pages pages;
    struct told told;
    told_begin(&told);
    made.bytes[SPECIMEN_PAGE + 144] = SPECIMEN_TXN + 3;
    assert_true(specimen_problems(&made) > 0);
    assert_ok(pages_open(made.bytes, made.size, SPECIMEN_TXN, &pages));
    assert_ok(pages_check(&pages, specimen_names, SPECIMEN_TABLES, &told.report));
    assert_int_equal(told.report.problem_count, 0);
    made_destroy(&made);
}

static void tables_are_those_named(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct pages pages = open_pages(&made);
    struct told told;
    told_begin(&told);
    const char *const more[] = { "deep", "empty", "long", "one", "two" }, *many[65] = { "a" };
    assert_ok(pages_check(&pages, more, 5, &told.report));
    assert_int_equal(told.report.problem_count, 1);
    assert_string_equal(told.first, "data.mdb has no table two");
    told_begin(&told);
    assert_ok(pages_check(&pages, more + 1, 3, &told.report));
    assert_int_equal(told.report.problem_count, 1);
    assert_string_equal(told.first, "data.mdb has a table deep, which should not be there");
    assert_int_equal(specimen_walk(&made, "two", &told).count, 0);
    assert_string_equal(told.first, "data.mdb has no table two");
    const struct made_table odd = { "\x01\x02"
                                    "a\xff",
                                    NULL, 0 };
    made_destroy(&made);
    made = made_create(&(struct made_params){ SPECIMEN_PAGE, SPECIMEN_TXN, &odd, 1, 0 });
    assert_true(specimen_check(&made, &told) > 0);
    assert_string_equal(told.first, "data.mdb has a table ??a?, which should not be there");
    assert_err(WG_EINVAL, "65 tables", pages_check(&pages, many, 65, &told.report));
    made_destroy(&made);
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct pages_report report = { 0 };
    struct pages pages = open_pages(&made);
    assert_ok(pages_check(&pages, specimen_names, 1, &report));
    assert_int_equal(report.problem_count, SPECIMEN_TABLES - 1);
    made_destroy(&made);
}

static wg_err stop_at_third(void *user, struct bytes key, struct bytes value)
{
    size_t *count = user;
    (void)key, (void)value;
    return ++*count == 3 ? wg_fail(WG_ECANCELLED, "enough") : WG_OK;
}

static void a_visit_can_end_the_walk(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct pages pages = open_pages(&made);
    struct told told;
    told_begin(&told);
    size_t count = 0;
    assert_err(WG_ECANCELLED, "enough",
               pages_walk_table(&pages, "deep", stop_at_third, &count, &told.report));
    assert_int_equal(count, 3);
    made_destroy(&made);
}

/* --- each rule, broken --- */

/* A change of one byte, and what has to be told of it. */
static void expect(unsigned char *at, unsigned char value, const struct made *made,
                   const char *needle)
{
    struct told told;
    unsigned char was = *at;
    *at = value;
    if (specimen_check(made, &told) == 0 || !strstr(told.first, needle)) {
        print_error("told: %s\nexpected: %s\n", told.first, needle);
        fail();
    }
    specimen_walk_all(made);
    *at = was;
    specimen_assert_sound(made);
}

static void damage_of_a_page_head_is_told(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t leaf = specimen_find(&made, 2, '0'), branch = specimen_find(&made, 1, 0);
    size_t overflow = specimen_find(&made, 4, 0);
    expect(&made.bytes[leaf], 99, &made, "(a leaf of table deep): its number is 99");
    expect(&made.bytes[leaf + 10], 6, &made, "flags 0x6 are neither");
    expect(&made.bytes[leaf + 10], 1, &made, "(a branch of table deep)");
    expect(&made.bytes[branch + 10], 2, &made, "(a leaf of table deep)");
    expect(&made.bytes[leaf + 12], made.bytes[leaf + 12] + 1, &made, "bounds ");
    expect(&made.bytes[leaf + 12], 14, &made, "bounds 14 and");
    expect(&made.bytes[leaf + 13], 1, &made, "bounds ");
    expect(&made.bytes[leaf + 12], 16, &made, "0 keys");
    expect(&made.bytes[branch + 12], 18, &made, "1 keys");
    expect(&made.bytes[leaf + 14], made.bytes[leaf + 14] + 2, &made, "do not fill it");
    expect(&made.bytes[leaf + 15], 2, &made, "bounds ");
    expect(&made.bytes[overflow], 1, &made, "(an overflow page of table long): its number is 1");
    expect(&made.bytes[overflow + 10], 2, &made, "expected an overflow page's");
    expect(&made.bytes[overflow + 12], 0, &made, " of table long): 0 pages for 200 bytes");
    expect(&made.bytes[overflow + 12], 200, &made, " of table long): 200 pages for 200 bytes");
    expect(&made.bytes[overflow + 14], 1, &made, " pages for ");
    expect(&made.bytes[overflow + 12], 5, &made, "used twice");
    made_destroy(&made);
}

static void damage_of_a_node_is_told(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t leaf = specimen_find(&made, 2, '0'), branch = specimen_find(&made, 1, 0);
    unsigned char *first = specimen_node(&made, leaf, 0), *third = specimen_node(&made, leaf, 2);
    unsigned char *child = specimen_node(&made, branch, 1);
    expect(&made.bytes[leaf + PAGE_HEAD], made.bytes[leaf + PAGE_HEAD] + 1, &made,
           "key 0 is not within");
    expect(&made.bytes[leaf + PAGE_HEAD], 18, &made, "key 0 is not within the page");
    expect(&made.bytes[leaf + PAGE_HEAD + 1], 1, &made, "key 0 is not within the page");
    expect(&made.bytes[leaf + PAGE_HEAD], SPECIMEN_PAGE - 6, &made, "key 0 is not within the page");
    expect(&made.bytes[leaf + PAGE_HEAD], SPECIMEN_PAGE - 8, &made,
           "key 0 does not end within the page");
    expect(first, first[0] + 2, &made, "key 0 does not end within the page");
    expect(&made.bytes[leaf + PAGE_HEAD], made.bytes[leaf + PAGE_HEAD + 2], &made,
           "key 1 is another's too");
    expect(first + 1, 2, &made, "key 0 does not end within the page");
    expect(first + 3, 2, &made, "key 0 does not end within the page");
    expect(first + 7, 2, &made, "key 0 does not end within the page");
    expect(third + 4, 1, &made, "page");
    expect(third + 4, 2, &made, "key 2 has flags 0x");
    expect(third + 4, 4, &made, "key 2 has flags 0x");
    expect(third + 6, 0, &made, "key 2 has a wrong size");
    expect(third + 6, third[6] + 2, &made, "do not fill it");
    expect(third, third[0] + 2, &made, "do not fill it");
    expect(third + NODE_HEAD, '!', &made, "key 2 is not behind key 1");
    expect(first + NODE_HEAD, '9', &made, "key 1 is not behind key 0");
    expect(child + 6, 0, &made, "(a branch of table deep): key 1 has a wrong size");
    expect(child + NODE_HEAD, '9', &made, "(a branch of table deep)");
    expect(specimen_node(&made, branch, 0) + 6, 2, &made, "(a branch of table deep)");
    made_destroy(&made);
}

static void keys_stay_within_their_parents(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t branch = specimen_find(&made, 1, 0);
    size_t child = SPECIMEN_PAGE * (size_t)specimen_node(&made, branch, 1)[0];
    unsigned last = (unsigned)specimen_node_count(&made, child) - 1;
    /* a key of the same digits but lower, and one that is above the next page's */
    expect(specimen_node(&made, child, 0) + NODE_HEAD + 1, '!', &made,
           "key 0 is not behind its parent's");
    expect(specimen_node(&made, child, last) + NODE_HEAD + 1, '~', &made,
           "its last key is not before");
    made_destroy(&made);
}

/* The last key of a page is not its parent's next, and keys end at 511 bytes. */
static void bounds_are_exact(void **state)
{
    (void)state;
    struct told told;
    struct made_entry entries[6];
    const struct made_table table = { "deep", entries, 6 };
    static char letters[512] = "abcdef", value[70];
    for (size_t i = 0; i < 6; i++)
        entries[i] = (struct made_entry){ { letters + i, 1 }, { value, sizeof value } };
    struct made made =
        made_create(&(struct made_params){ SPECIMEN_PAGE, SPECIMEN_TXN, &table, 1, 0 });
    specimen_node(&made, specimen_find(&made, 2, 'a'), 1)[NODE_HEAD] = 'c';
    specimen_check(&made, &told);
    assert_non_null(strstr(told.all, "its last key is not before its parent's next"));
    made_destroy(&made);
    const struct made_table longest = { "deep", entries, 1 };
    for (size_t size = 511; size <= 512; size++) {
        entries[0].key.size = size;
        made = made_create(&(struct made_params){ 4096, SPECIMEN_TXN, &longest, 1, 0 });
        specimen_check(&made, &told);
        assert_int_equal(strstr(told.all, "key 0 has a wrong size") != NULL, size == 512);
        made_destroy(&made);
    }
}

/* A free list without even a count, at the very end of the file. */
static void a_free_list_may_be_empty(void **state)
{
    (void)state;
    struct told told;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t leaf = made.size - SPECIMEN_PAGE;
    assert_int_equal(leaf, specimen_find(&made, 2, SPECIMEN_TXN - 1));
    unsigned char *at_end = made.bytes + made.size - NODE_HEAD - 8;
    memcpy(at_end, specimen_node(&made, leaf, 1), NODE_HEAD + 8);
    memset(at_end, 0, 2);
    made.bytes[leaf + PAGE_HEAD + 2] = SPECIMEN_PAGE - NODE_HEAD - 8;
    specimen_check(&made, &told);
    assert_non_null(strstr(told.all, "the free list of transaction 10: 0 pages in 0 bytes"));
    made_destroy(&made);
}

static struct made with_more_pages(struct made *made, size_t page_count)
{
    struct made more = { allocate(page_count, SPECIMEN_PAGE), page_count * SPECIMEN_PAGE };
    memcpy(more.bytes, made->bytes, made->size);
    made_destroy(made);
    return more;
}

/* A value in overflow pages that LMDB does not count any more, though the file has them. */
static void values_end_before_the_last_page(void **state)
{
    (void)state;
    struct told told;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t behind = made.size / SPECIMEN_PAGE;
    made = with_more_pages(&made, behind + 4);
    unsigned char *value = specimen_node(&made, specimen_find(&made, 2, 'a'), 2) + NODE_HEAD + 1;
    memcpy(made.bytes + behind * SPECIMEN_PAGE, made.bytes + (size_t)*value * SPECIMEN_PAGE,
           4 * SPECIMEN_PAGE);
    *value = made.bytes[behind * SPECIMEN_PAGE] = (unsigned char)behind;
    made.bytes[136] = (unsigned char)(behind + 3);
    specimen_assert_sound(&made);
    made.bytes[136] = (unsigned char)(behind + 2);
    specimen_check(&made, &told);
    assert_non_null(strstr(told.all, "(an overflow page of table long): 4 pages for 800 bytes"));
    assert_int_equal(specimen_walk(&made, "long", &told).count, SPECIMEN_LONG - 1);
    made_destroy(&made);
}

/* A branch of two children, the second of which is the next page. */
static void put_link(unsigned char *at, size_t page)
{
    const unsigned char head[PAGE_HEAD + 4] = { [0] = (unsigned char)page,
                                                [10] = 1,
                                                [12] = PAGE_HEAD + 4,
                                                [14] = SPECIMEN_PAGE - 18,
                                                [PAGE_HEAD] = SPECIMEN_PAGE - 8,
                                                [PAGE_HEAD + 2] = SPECIMEN_PAGE - 18 };
    memcpy(at, head, sizeof head);
    at[SPECIMEN_PAGE - 8] = 2;
    at[SPECIMEN_PAGE - 18] = (unsigned char)(page + 1);
    at[SPECIMEN_PAGE - 18 + 6] = 2; /* the key: deeper pages have higher ones */
    at[SPECIMEN_PAGE - 18 + NODE_HEAD] = (unsigned char)page;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct told told;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t behind = made.size / SPECIMEN_PAGE;
    made = with_more_pages(&made, 250);
    for (size_t page = behind; page < 249; page++)
        put_link(made.bytes + page * SPECIMEN_PAGE, page);
    specimen_record(&made, "one")[40] = (unsigned char)behind;
    made.bytes[136] = 249, made.bytes[33] = 250;
    specimen_check(&made, &told);
    assert_non_null(strstr(told.all, "(a branch of table one): more than 32 levels"));
    specimen_walk_all(&made);
    made_destroy(&made);
}

static void a_page_is_told_of_once(void **state)
{
    (void)state;
    struct told told;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t leaf = specimen_find(&made, 2, '0');
    memset(made.bytes + leaf, 0, SPECIMEN_PAGE); /* its number, flags and bounds are wrong */
    assert_int_equal(specimen_check(&made, &told), 1);
    made_destroy(&made);
}

static void damage_of_a_pointer_is_told(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t branch = specimen_find(&made, 1, 0), leaf = specimen_find(&made, 2, 'a');
    size_t overflow = specimen_find(&made, 4, 0), last = made.size / SPECIMEN_PAGE - 1;
    unsigned char *child = specimen_node(&made, branch, 1);
    unsigned char *value = specimen_node(&made, leaf, 0) + NODE_HEAD + 1;
    expect(child, specimen_node(&made, branch, 0)[0], &made,
           "is used twice, or is in the free list");
    expect(child, (unsigned char)(branch / SPECIMEN_PAGE), &made,
           "is used twice, or is in the free list");
    expect(child, (unsigned char)(overflow / SPECIMEN_PAGE), &made, "flags 0x4 are neither");
    expect(child, 1, &made, "page 1 of data.mdb (a page of table deep): is a meta page's place");
    expect(child + 1, 1, &made, "is behind the last page");
    expect(child + 5, 1, &made, "is behind the last page");
    expect(value, (unsigned char)(leaf / SPECIMEN_PAGE), &made, "expected an overflow page's");
    expect(value + 7, 1, &made, "is behind the last page");
    expect(specimen_node(&made, leaf, 0) + 1, 8, &made, "1 pages for 2248 bytes");
    /* a last page that the file does not have: free ones need not be there */
    made.bytes[136] += 5;
    specimen_assert_sound(&made);
    expect(child, (unsigned char)(last + 1), &made, "is behind the end of the file");
    made_destroy(&made);
}

static void damage_of_a_record_is_told(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t main = specimen_find(&made, 2, 'd');
    for (unsigned i = 0; i < 3; i++) {
        unsigned char *record = specimen_record(&made, i == 0 ? NULL : i == 1 ? "deep" : "long");
        const char *const name = i == 0 ? "main database" : i == 1 ? "table deep" : "table long";
        expect(record, 1, &made, name);
        expect(record + 4, 4, &made, "flags 0x4");
        expect(record + 6, record[6] + 1, &made, " levels");
        expect(record + 6, 0, &made, "0 levels, with a root");
        expect(record + 7, 1, &made, " levels, with a root");
        for (unsigned field = 8; field < 40; field += 8)
            expect(record + field, record[field] + 1, &made, "and its record says");
        expect(record + 40, 0, &made, "is a meta page's place");
        expect(record + 47, 1, &made, "is behind the last page");
    }
    expect(specimen_record(&made, "empty") + 40, 3, &made, "0 levels, with a root");
    expect(specimen_node(&made, main, 0) + 4, 0, &made, "key 0 has flags 0x0");
    expect(specimen_node(&made, main, 0) + 4, 6, &made, "key 0 has flags 0x6");
    expect(specimen_node(&made, main, 0), 47, &made, "key 0 has no table's record");
    expect(specimen_node(&made, main, 0) + NODE_HEAD, 'c', &made, "has a table ceep");
    made_destroy(&made);
}

static void damage_of_the_free_list_is_told(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    size_t leaf = specimen_find(&made, 2, SPECIMEN_TXN - 1);
    unsigned char *old = specimen_node(&made, leaf, 0) + NODE_HEAD + 8,
                  *new = specimen_node(&made, leaf, 1);
    expect(new + 6, 9, &made, "(a leaf of the free list): key 1 has a wrong size");
    expect(new + NODE_HEAD, SPECIMEN_TXN - 1, &made, "key 1 is not behind key 0");
    expect(new + NODE_HEAD, SPECIMEN_TXN + 1, &made, "5 pages in 48 bytes, in transaction 10");
    expect(old, 6, &made, "6 pages in 48 bytes");
    expect(old + 8, 1, &made, "names page 1; the last is");
    expect(old + 9, 1, &made, "; the last is");
    expect(old + 40, (unsigned char)(specimen_find(&made, 2, '0') / SPECIMEN_PAGE), &made,
           "free list too");
    expect(old + 16, old[8], &made, "behind page");
    expect(old + 16, old[8] + 1, &made, "behind page");
    expect(new + NODE_HEAD + 8 + 40, old[8], &made, "which is used or free already");
    expect(new + NODE_HEAD + 8 + 8, (unsigned char)(made.size / SPECIMEN_PAGE), &made,
           "; the last is");
    new[NODE_HEAD + 8] = 4;
    expect(new, 47, &made, "4 pages in 47 bytes");
    new[NODE_HEAD + 8] = 5;
    old[0] = 4; /* a page that is lost does no harm */
    specimen_assert_sound(&made);
    made_destroy(&made);
}

static void damage_of_a_meta_page_is_told(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    for (size_t i = 0; i < 2; i++) {
        unsigned char *meta = made.bytes + i * SPECIMEN_PAGE;
        expect(meta, 2, &made, "number 2");
        expect(meta + 10, 2, &made, "flags 0x2");
        expect(meta + 16, 2, &made, "magic number");
        expect(meta + 20, 2, &made, "version 2");
        expect(meta + 24, 2, &made, "address 0x2");
        expect(meta + 40, 1, &made, "pages of 257 bytes");
        expect(meta + 41, 2, &made, i == 0 ? "" : "pages of 512 bytes");
        expect(meta + 136, 0, &made, "last page 0 in a map");
        expect(meta + 136, 200, &made, "last page 200 in a map");
        meta[38] = 1; /* a map of 2^48 bytes; 2^32 pages are too many even so */
        expect(meta + 140, 1, &made, "last page 4294967");
        meta[38] = 0;
        if (i == 0) expect(meta + 144, 0, &made, "do not follow each other");
        expect(meta + 144, meta[144] + 1, &made, "is not one of this page");
        expect(meta + 144, meta[144] + 4, &made, "do not follow each other");
    }
    made.bytes[144] = SPECIMEN_TXN - 2; /* so that the other one looks newer */
    struct told told;
    assert_true(specimen_check(&made, &told) > 0);
    assert_string_equal(told.first, "data.mdb: the last page of transaction 9 is 1, before the 36 "
                                    "of an earlier one");
    made_destroy(&made);
}

/* --- what repair reads of what is broken --- */

static wg_err count_one(void *user, struct bytes key, struct bytes value)
{
    (void)key, (void)value;
    ++*(size_t *)user;
    return WG_OK;
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct pages pages = open_pages(&made);
    size_t before = mem_in_use(), request = 0, count = 0;
    struct told told;
    told_begin(&told);
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = pages_check(&pages, specimen_names, SPECIMEN_TABLES, &told.report);
        if (err == WG_OK) err = pages_walk_table(&pages, "long", count_one, &count, &told.report);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 4);
    assert_int_equal(told.report.problem_count, 0);
    made_destroy(&made);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sound_is_called_so),
        cmocka_unit_test(the_free_list_is_in_order_of_numbers),
        cmocka_unit_test(a_transaction_is_chosen),
        cmocka_unit_test(the_other_meta_page_is_a_writers),
        cmocka_unit_test(tables_are_those_named),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(a_visit_can_end_the_walk),
        cmocka_unit_test(damage_of_a_page_head_is_told),
        cmocka_unit_test(damage_of_a_node_is_told),
        cmocka_unit_test(keys_stay_within_their_parents),
        cmocka_unit_test(bounds_are_exact),
        cmocka_unit_test(a_free_list_may_be_empty),
        cmocka_unit_test(values_end_before_the_last_page),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_page_is_told_of_once),
        cmocka_unit_test(damage_of_a_pointer_is_told),
        cmocka_unit_test(damage_of_a_record_is_told),
        cmocka_unit_test(damage_of_the_free_list_is_told),
        cmocka_unit_test(damage_of_a_meta_page_is_told),
        cmocka_unit_test(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
