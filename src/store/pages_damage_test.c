/* Damage is survived, and most of it found: every bit of a small file flipped, files cut short and
 * damaged at random, and bits of a file that LMDB made. What can be read of the rest is. */
#include "store/pages.h"
#include "support/check.h"
#include "support/lmdb_made.h"
#include "support/lmdb_world.h"
#include "support/pages_specimen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_SIZE = 4096, CONTENT_MAX = 8192 };

/* Damages one byte and walks: a problem is told, and so many keys are lost, the others right. */
static void expect_lost(struct made *made, unsigned char *at, const char *table, size_t lost)
{
    struct told told;
    *at ^= 0x10;
    struct walked walked = specimen_walk(made, table, &told);
    *at ^= 0x10;
    assert_true(told.report.problem_count > 0);
    assert_int_equal(walked.right, walked.entry_count - lost);
    assert_int_equal(walked.count, walked.right);
}

static void damage_hides_few_keys(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct told told;
    size_t leaf = specimen_find(&made, 2, '0'), branch = specimen_find(&made, 1, 0);
    size_t overflow = specimen_find(&made, 4, 0);
    size_t in_leaf = specimen_node_count(&made, leaf);
    expect_lost(&made, &made.bytes[leaf], "deep", 0); /* the number */
    expect_lost(&made, &made.bytes[leaf + 10], "deep", 0); /* flags */
    expect_lost(&made, &made.bytes[leaf + 14], "deep", 0); /* where nodes begin */
    expect_lost(&made, &made.bytes[leaf + PAGE_HEAD + 3], "deep", 1); /* where one begins */
    expect_lost(&made, &made.bytes[branch + 1], "deep", 0);
    expect_lost(&made, &made.bytes[branch + 10], "deep", 0);
    expect_lost(&made, &specimen_node(&made, branch, 0)[4], "deep", in_leaf); /* a child */
    expect_lost(&made, specimen_record(&made, "deep") + 6, "deep", 0); /* the depth */
    expect_lost(&made, &made.bytes[overflow], "long", 0);
    expect_lost(&made, &made.bytes[overflow + 10], "long", 0);
    made.bytes[overflow + 12] += 4; /* pages: told by pages_check */
    struct walked walked = specimen_walk(&made, "long", &told);
    assert_int_equal(walked.in_order, SPECIMEN_LONG);
    made.bytes[overflow + 12] -= 4;
    memset(made.bytes + leaf, 0, SPECIMEN_PAGE);
    walked = specimen_walk(&made, "deep", &told);
    assert_int_equal(walked.right, SPECIMEN_ENTRIES - in_leaf);
    walked = specimen_walk(&made, "long", &told); /* another table is not touched by it */
    assert_int_equal(walked.in_order, SPECIMEN_LONG);
    assert_int_equal(told.report.problem_count, 0);
    made_destroy(&made);
}

static void a_branch_that_leads_back_is_left(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct told told;
    struct pages_tree record;
    memcpy(&record, specimen_record(&made, "deep"), sizeof record);
    assert_true(record.depth >= 3);
    size_t root = SPECIMEN_PAGE * (size_t)record.root;
    memcpy(specimen_node(&made, SPECIMEN_PAGE * (size_t)specimen_node(&made, root, 1)[0], 1),
           &record.root, 2);
    struct walked walked = specimen_walk(&made, "deep", &told);
    assert_true(told.report.problem_count > 0 && walked.right < SPECIMEN_ENTRIES);
    assert_non_null(strstr(told.first, "is used twice"));
    made_destroy(&made);
}

/* --- damage of all kinds --- */

struct tally {
    size_t flips, found, harmless, key_or_value;
};

/* Not found is: what means nothing, or bytes of one key or value, which have checksums of their
 * own; never a key more or less. */
static void judge_silent_flip(const struct made *made, struct tally *tally)
{
    struct told told;
    size_t wrong = 0;
    for (size_t i = 0; i < SPECIMEN_TABLES; i++) {
        struct walked walked = specimen_walk(made, specimen_names[i], &told);
        must(told.report.problem_count == 0, "only the walk tells: %s", told.first);
        must(walked.count == walked.entry_count, "a key more or less");
        wrong += walked.count - walked.in_order;
    }
    must(wrong <= 1, "%zu keys are wrong", wrong);
    tally->harmless += wrong == 0;
    tally->key_or_value += wrong;
}

static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    struct made made = specimen_create(SPECIMEN_PAGE);
    struct tally tally = { 0 };
    for (size_t bit = 0; bit < made.size * 8; bit++) {
        made.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        tally.flips++;
        if (specimen_problems(&made) > 0) {
            tally.found++;
            specimen_walk_all(&made);
        } else {
            judge_silent_flip(&made, &tally);
        }
        made.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    printf("%zu bits flipped: %zu found, %zu in one key or value, %zu mean nothing\n", tally.flips,
           tally.found, tally.key_or_value, tally.harmless);
    made_destroy(&made);
}

static void every_cut_is_survived(void **state)
{
    (void)state;
    struct made whole = specimen_create(SPECIMEN_PAGE);
    for (size_t size = 0; size < whole.size; size++) {
        struct made cut = { allocate(size, 1), size };
        memcpy(cut.bytes, whole.bytes, size);
        uint64_t problems = specimen_problems(&cut);
        if (size < whole.size - (SPECIMEN_FREE + 2) * SPECIMEN_PAGE) assert_true(problems > 0);
        specimen_walk_all(&cut);
        made_destroy(&cut);
    }
    made_destroy(&whole);
}

static void damage_at_random(struct prng *prng, struct made *made)
{
    for (size_t left = 1 + test_below(prng, 12); left > 0; left--) {
        size_t at = test_below(prng, made->size), from = test_below(prng, made->size);
        size_t page_at = at / SPECIMEN_PAGE * SPECIMEN_PAGE,
               page_from = from / SPECIMEN_PAGE * SPECIMEN_PAGE;
        switch (test_below(prng, 5)) {
        case 0: made->bytes[at] ^= (unsigned char)(1 << test_below(prng, 8)); break;
        case 1: made->bytes[at] = (unsigned char)prng_next(prng); break;
        case 2: made->bytes[page_at + at % 64] = (unsigned char)prng_next(prng); break;
        case 3: memmove(made->bytes + page_at, made->bytes + page_from, SPECIMEN_PAGE); break;
        case 4: memset(made->bytes + page_at, 0, SPECIMEN_PAGE); break;
        }
    }
}

static void damage_at_random_is_survived(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    struct made whole = specimen_create(SPECIMEN_PAGE), made = specimen_create(SPECIMEN_PAGE);
    size_t found = 0, rounds = 5000;
    for (size_t i = 0; i < rounds; i++) {
        memcpy(made.bytes, whole.bytes, whole.size);
        damage_at_random(&prng, &made);
        found += specimen_problems(&made) > 0;
        specimen_walk_all(&made);
    }
    printf("%zu files damaged at random: %zu found\n", rounds, found);
    assert_true(found > rounds / 2);
    made_destroy(&made);
    made_destroy(&whole);
}

/* --- a file that LMDB made --- */

/* Some of everything in about a hundred pages. */
static struct made lmdb_specimen(void)
{
    struct world world;
    static const struct table_shape shapes[WORLD_TABLES] = { { KEY_RANDOM, 2000, 40 },
                                                             { KEY_TEXT, 60, 300 },
                                                             { KEY_COUNTER, 20, 12000 },
                                                             { KEY_SHORT, 9, 5 } };
    world_begin(&world, 7);
    memcpy(world.shapes, shapes, sizeof shapes);
    world.operations = 300;
    for (size_t i = 0; i < 40; i++) world_transact(&world);
    struct made made = made_load(world.file);
    world_end(&world);
    return made;
}

static uint64_t check_quietly(const struct made *made)
{
    struct pages pages;
    struct pages_report report = { 0 };
    if (pages_open(made->bytes, made->size, PAGES_NEWEST, &pages) != WG_OK) return 1;
    must_ok(pages_check(&pages, world_names, WORLD_TABLES, &report));
    return report.problem_count;
}

/* A hash of each key with its value, in order. */
struct content {
    uint64_t hashes[CONTENT_MAX];
    size_t count;
};

static wg_err hash_next(void *user, struct bytes key, struct bytes value)
{
    struct content *content = user;
    uint64_t hash = key.size * 31 + value.size;
    for (size_t i = 0; i < key.size; i++)
        hash = hash * 1099511628211u + ((const unsigned char *)key.start)[i];
    for (size_t i = 0; i < value.size; i++)
        hash = hash * 1099511628211u + ((const unsigned char *)value.start)[i];
    if (content->count < CONTENT_MAX) content->hashes[content->count] = hash;
    content->count++;
    return WG_OK;
}

static void read_content(const struct made *made, struct content *out)
{
    struct pages pages;
    struct pages_report report = { 0 };
    out->count = 0;
    if (pages_open(made->bytes, made->size, PAGES_NEWEST, &pages) != WG_OK) return;
    for (size_t t = 0; t < WORLD_TABLES; t++)
        must_ok(pages_walk_table(&pages, world_names[t], hash_next, out, &report));
}

/* Bytes that say where things are: the heads of pages and nodes, the offsets of nodes, the numbers
 * of overflow pages, the records of tables. */
struct structure {
    size_t *at;
    bool *is_size; /* of a key or value: one that rounds to the same is not found */
    size_t count;
};

static void add_range(struct structure *structure, size_t from, size_t size, bool is_size)
{
    for (size_t i = 0; i < size; i++) {
        structure->is_size[structure->count] = is_size;
        structure->at[structure->count++] = from + i;
    }
}

static void add_page(const struct made *made, uint64_t page, struct structure *out);

static void add_node(const struct made *made, size_t at, bool leaf, struct structure *out)
{
    uint16_t head[4];
    uint64_t page;
    memcpy(head, made->bytes + at, sizeof head);
    add_range(out, at, 4, leaf);
    add_range(out, at + 4, 2, false);
    add_range(out, at + 6, 2, true);
    if (!leaf) {
        add_page(made, head[0] | (uint64_t)head[1] << 16, out);
    } else if (head[2] == 1) {
        add_range(out, at + sizeof head + head[3], sizeof page, false);
        memcpy(&page, made->bytes + at + sizeof head + head[3], sizeof page);
        add_range(out, page * PAGE_SIZE, 8, false);
        add_range(out, page * PAGE_SIZE + 10, 6, false);
    } else if (head[2] == 2) {
        struct pages_tree tree;
        memcpy(&tree, made->bytes + at + sizeof head + head[3], sizeof tree);
        add_range(out, at + sizeof head + head[3], sizeof tree, false);
        if (tree.root != PAGES_NO_ROOT) add_page(made, tree.root, out);
    }
}

static void add_page(const struct made *made, uint64_t page, struct structure *out)
{
    size_t at = page * PAGE_SIZE;
    uint16_t head[8], offset;
    memcpy(head, made->bytes + at, sizeof head);
    add_range(out, at, 8, false);
    add_range(out, at + 10, 6, false);
    for (size_t i = sizeof head; i < head[6]; i += 2) {
        add_range(out, at + i, 2, false);
        memcpy(&offset, made->bytes + at + i, sizeof offset);
        add_node(made, at + offset, head[5] == 2, out);
    }
}

/* Flips one bit; what is not found must not have changed more than one key or value. */
static bool flip_is_found(const struct made *made, size_t bit, const struct content *before)
{
    static struct content after;
    size_t differ = 0;
    made->bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    bool found = check_quietly(made) > 0;
    read_content(made, &after);
    made->bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    for (size_t i = 0; !found && i < before->count; i++)
        differ += before->hashes[i] != after.hashes[i];
    must(found || (after.count == before->count && differ <= 1),
         "bit %zu: %zu keys of %zu, %zu differ", bit, after.count, before->count, differ);
    return found;
}

static struct structure read_structure(const struct made *made)
{
    struct pages pages;
    struct structure structure = { allocate(made->size, sizeof *structure.at),
                                   allocate(made->size, sizeof *structure.is_size), 0 };
    must_ok(pages_open(made->bytes, made->size, PAGES_NEWEST, &pages));
    add_page(made, pages.main.root, &structure);
    add_page(made, pages.free_list.root, &structure);
    return structure;
}

static void flips_in_the_structure_are_found(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    static struct content content;
    struct made made = lmdb_specimen();
    struct structure structure = read_structure(&made);
    assert_int_equal(check_quietly(&made), 0);
    read_content(&made, &content);
    assert_true(content.count > 100 && content.count < CONTENT_MAX);
    size_t flips = test_number_from("WAGGLE_FLIPS", 4000), found = 0;
    for (size_t i = 0; i < flips; i++) {
        size_t place = test_below(&prng, structure.count);
        bool is_found = flip_is_found(&made, structure.at[place] * 8 + i % 8, &content);
        if (!is_found && !structure.is_size[place])
            fail_msg("a flip of byte %zu is not found", structure.at[place]);
        found += is_found;
    }
    printf("%zu pages, %zu bytes of structure: %zu of %zu flips found, %.2f %%; the others are in "
           "the size of a key or value\n",
           made.size / PAGE_SIZE, structure.count, found, flips,
           100.0 * (double)found / (double)flips);
    free(structure.at);
    free(structure.is_size);
    made_destroy(&made);
}

static void flips_anywhere_are_survived(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    static struct content content;
    struct made made = lmdb_specimen();
    size_t flips = test_number_from("WAGGLE_FLIPS", 4000), found = 0;
    read_content(&made, &content);
    for (size_t i = 0; i < flips; i++)
        found += flip_is_found(&made, test_below(&prng, made.size * 8), &content);
    printf("%zu of %zu flips anywhere found\n", found, flips);
    made_destroy(&made);
}

static void cuts_are_survived(void **state)
{
    (void)state;
    static struct content content;
    struct made whole = lmdb_specimen();
    for (size_t size = 0; size < whole.size; size += 512) {
        struct made cut = { allocate(size, 1), size };
        memcpy(cut.bytes, whole.bytes, size);
        (void)check_quietly(&cut);
        read_content(&cut, &content);
        made_destroy(&cut);
    }
    made_destroy(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_hides_few_keys),
        cmocka_unit_test(a_branch_that_leads_back_is_left),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(every_cut_is_survived),
        cmocka_unit_test(damage_at_random_is_survived),
        cmocka_unit_test(flips_in_the_structure_are_found),
        cmocka_unit_test(flips_anywhere_are_survived),
        cmocka_unit_test(cuts_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
