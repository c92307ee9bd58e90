/* Repair of stores whose registry is damaged; of stores with random damage; repairs that fail, and
 * those that are refused: what stands where they were to go stays. */
#include "base/mem.h"
#include "store/registry.h"
#include "support/check.h"
#include "support/content.h"
#include "support/damaged.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIM = DAMAGED_DIM, LEFT = DAMAGED_LEFT, MORE = DAMAGED_MORE, RANDOM = 40 };
enum { PATH_SIZE = SCRATCH_PATH_SIZE + 80 };

#define BIT(i)         (UINT64_C(1) << (i))
#define BITS(from, to) (BIT(to) - BIT(from)) /* without to */

static uint64_t count_bits(uint64_t bits)
{
    return (uint64_t)__builtin_popcountll(bits);
}

/* --- names --- */

static struct bytes number_of(uint64_t number)
{
    static struct collection_record record;
    record.number = number;
    return (struct bytes){ &record, sizeof record };
}

static void says(const struct damaged_result *result, const char *needle)
{
    if (!strstr(result->said.text, needle))
        fail_msg("\"%s\" is not in \"%s\"", needle, result->said.text);
}

static void has_all(const struct damaged_result *result)
{
    assert_int_equal(result->report.collection_count, 3);
    assert_int_equal(result->report.lost_collection_count, 0);
    assert_int_equal(result->report.point_count, LEFT + MORE);
}

static void a_registry_that_is_lost(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        damaged_copy(NULL);
        if (how == 0) scratch_remove(damaged_at("registry"));
        if (how == 1) must(truncate(damaged_at("registry/data.mdb"), 0) == 0, "cannot empty it");
        for (uint64_t i = 0; how == 2 && i < 8192; i += 16)
            damaged_spoil_file(damaged_at("registry/data.mdb"), i);
        struct damaged_result result = damaged_save();
        has_all(&result);
        says(&result, "the registry is lost: ");
        says(&result, "folder c-1 has no name in the registry; it is taken for \"docs\"");
        assert_true(damaged_saved_points("docs") == BITS(0, LEFT));
        assert_true(damaged_saved_points("more") == BITS(0, MORE));
    }
}

static void a_name_that_is_lost(void **state)
{
    (void)state;
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    struct damaged_result result = damaged_save();
    has_all(&result);
    says(&result, "the name \"docs\" is damaged");
    assert_true(damaged_saved_points("docs") == BITS(0, LEFT));
    assert_true(damaged_saved_points("live") == BITS(0, LEFT));
}

static void a_name_that_is_lost_twice(void **state)
{
    (void)state;
    damaged_spoil_value("c-1", TABLE_META, db_text("name"));
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    struct damaged_result result = damaged_save();
    has_all(&result);
    says(&result, "recovered-1");
    assert_true(damaged_saved_points("recovered-1") == BITS(0, LEFT));
    assert_true(damaged_saved_points("live") == BITS(0, LEFT));
}

/* The name that a folder keeps may be another's meanwhile, and so may the one it would get. */
static void a_name_that_is_taken(void **state)
{
    (void)state;
    damaged_put("c-1", TABLE_META, db_text("name"), db_text("more"));
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    damaged_put("registry", REGISTRY_ALIASES, db_text("recovered-1"), number_of(2));
    struct damaged_result result = damaged_save();
    has_all(&result);
    says(&result, "c-1 has no name in the registry; it is taken for \"recovered-1-1\"");
    assert_true(damaged_saved_points("recovered-1-1") == BITS(0, LEFT));
    assert_true(damaged_saved_points("recovered-1") == BITS(0, MORE));
    damaged_copy(NULL);
    damaged_put("c-1", TABLE_META, db_text("name"), db_text("more"));
    scratch_remove(damaged_at("registry"));
    result = damaged_save();
    has_all(&result);
    assert_true(damaged_saved_points("more") == BITS(0, MORE) ||
                damaged_saved_points("more") == BITS(0, LEFT));
}

static void names_that_are_none(void **state)
{
    (void)state;
    char longest[300];
    memset(longest, 'x', sizeof longest);
    damaged_put("c-1", TABLE_META, db_text("name"), (struct bytes){ longest, sizeof longest });
    damaged_put("c-2", TABLE_META, db_text("name"), db_text("\n"));
    damaged_put("registry", REGISTRY_COLLECTIONS, (struct bytes){ longest, sizeof longest },
                number_of(9));
    damaged_put("registry", REGISTRY_COLLECTIONS, db_text("more"), db_text("?"));
    damaged_put("registry", REGISTRY_COLLECTIONS, db_text("docs"), db_text("?"));
    struct damaged_result result = damaged_save();
    has_all(&result);
    says(&result, "\"?\" is damaged: it has 300 bytes, expected at most 255");
    says(&result, "\"more\" is damaged: its record: a record of 1 bytes");
    assert_true(damaged_saved_points("recovered-1") == BITS(0, LEFT));
    assert_true(damaged_saved_points("recovered-2") == BITS(0, MORE));
}

/* As pages tell it that are older than others. */
static void two_names_of_one(void **state)
{
    (void)state;
    damaged_put("registry", REGISTRY_COLLECTIONS, db_text("a"), number_of(1));
    damaged_put("registry", REGISTRY_ALIASES, db_text("more"), number_of(1));
    struct damaged_result result = damaged_save();
    has_all(&result);
    says(&result, "the name \"docs\" of c-1 stands against \"a\" of c-1");
    says(&result, "the alias \"more\" of c-1 stands against \"more\" of c-2");
    assert_true(damaged_saved_points("a") == BITS(0, LEFT));
    assert_true(damaged_saved_points("more") == BITS(0, MORE));
}

static void aliases_that_are_lost(void **state)
{
    (void)state;
    damaged_spoil_value("c-1", TABLE_META, db_text("commit"));
    damaged_spoil_value("registry", REGISTRY_ALIASES, db_text("broad"));
    damaged_put("registry", REGISTRY_ALIASES, db_text("old"), number_of(7));
    struct damaged_result result = damaged_save();
    says(&result, "the alias \"broad\" is damaged");
    says(&result, "alias \"live\" is lost: its collection c-1 is");
    says(&result, "alias \"old\" is lost: its collection c-7 is");
    assert_true(damaged_saved_points("live") == 0);
    assert_true(damaged_saved_points("broad") == 0);
}

/* What a drop left is no collection, as long as all names are known. */
static void a_folder_that_was_dropped(void **state)
{
    (void)state;
    scratch_copy(damaged_at("c-2"), damaged_at("c-9"));
    struct damaged_result result = damaged_save();
    has_all(&result);
    assert_string_equal(result.said.text, "");
    damaged_copy(NULL);
    scratch_copy(damaged_at("c-2"), damaged_at("c-9"));
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    result = damaged_save();
    assert_int_equal(result.report.collection_count, 4);
    says(&result, "folder c-9 has no name in the registry; it is taken for \"recovered-9\"");
}

/* --- whatever happens --- */

/* A byte that is not 0, for most of a segment was never written. */
struct place {
    size_t left; /* such bytes to it */
    bool spoils;
};

static void pass_bytes(void *user, const char *path, size_t size)
{
    struct place *place = user;
    char *bytes = allocate(size + 1, 1);
    FILE *file = fopen(path, "rb");
    must(file && fread(bytes, 1, size, file) == size, "cannot read %s", path);
    fclose(file);
    for (size_t i = 0; !strstr(path, "lock") && i < size; i++)
        if (bytes[i] != 0 && place->left-- == 0 && place->spoils) damaged_spoil_file(path, i);
    free(bytes);
}

static void spoil_anything(struct prng *prng)
{
    struct place whole = { .left = SIZE_MAX };
    scratch_each_file(damaged_path(), pass_bytes, &whole);
    struct place place = { test_below(prng, SIZE_MAX - whole.left), true };
    scratch_each_file(damaged_path(), pass_bytes, &place);
}

/* Never a wrong point, and never fewer than the report says. */
static void random_damage(void **state)
{
    (void)state;
    size_t lost = 0;
    struct prng prng = { test_seed() };
    for (size_t i = 0; i < RANDOM; i++) {
        damaged_copy(NULL);
        for (size_t n = 0; n < 1 + i % 4; n++) spoil_anything(&prng);
        struct damaged_result result = damaged_save();
        wg_store *store = NULL;
        damaged_open(damaged_saved(), true, &store);
        uint64_t there = 0;
        for (size_t c = 0; c < 3; c++) {
            static const char *const names[] = { "docs", "more", "none" };
            there += count_bits(damaged_points_in(store, names[c]));
        }
        wg_store_close(&store);
        must(there <= result.report.point_count, "more are there than the report says");
        lost += LEFT + MORE - there;
        must(there == LEFT + MORE || result.said.count > 0, "a loss was not told");
    }
    printf("%d times 1 to 4 bits: %zu of %d points lost\n", RANDOM, lost, RANDOM * (LEFT + MORE));
}

static void the_store_for_want_of_memory(void)
{
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    damaged_spoil_value("c-1", TABLE_META, db_text("settings"));
    damaged_spoil_file(damaged_segment(0), 4096 + 12 * DIM * sizeof(float));
}

/* Nothing is left of a repair that fails; one that does not says the same as any other. */
static void every_allocation(void **state)
{
    (void)state;
    struct damaged_result whole, result;
    the_store_for_want_of_memory();
    whole = damaged_save();
    assert_true(whole.said.count > 3);
    for (int salvages = 0; salvages < 2; salvages++) {
        size_t failed = 0, good = 0, in_use;
        scratch_remove(damaged_saved());
        in_use = mem_in_use();
        for (uint64_t n = 1; good < 10; n++) {
            mem_fail_at(n);
            wg_err err = damaged_repair(salvages ? damaged_saved() : NULL, &result);
            mem_fail_at(0);
            must(err == WG_OK || err == WG_ENOMEM, "request %d: %s", (int)n, wg_message());
            must(mem_in_use() == in_use, "request %d: allocations are left", (int)n);
            must(folder_exists(damaged_saved()) == (salvages && err == WG_OK), "request %d",
                 (int)n);
            if (err == WG_OK) assert_string_equal(result.said.text, whole.said.text);
            good = err == WG_OK ? good + 1 : 0;
            failed += err != WG_OK;
            scratch_remove(damaged_saved());
        }
        printf("%zu allocations failed\n", failed);
        assert_true(failed > (salvages ? 100 : 20));
    }
}

/* --- what is refused --- */

static void make_file(const char *path)
{
    FILE *file = fopen(path, "w");
    must(file && fputs("mine", file) >= 0 && fclose(file) == 0, "cannot write %s", path);
}

static wg_err repair_at(const char *path, const char *to)
{
    wg_repair_report report;
    wg_repair_report_init(&report);
    return wg_store_repair(damaged_context(), path, to, NULL, NULL, &report);
}

/* What stands where a repair was to go stays, whatever else is wrong. */
static void what_stands_there_stays(void **state)
{
    (void)state;
    char inner[PATH_SIZE + 8];
    snprintf(inner, sizeof inner, "%s/mine", damaged_saved());
    must(mkdir(damaged_saved(), 0777) == 0, "no folder");
    make_file(inner);
    assert_err(WG_EINVAL, "a folder with something in it",
               repair_at(damaged_path(), damaged_saved()));
    assert_err(WG_ENOTFOUND, "absent", repair_at(damaged_at("absent"), damaged_saved()));
    assert_err(WG_EINVAL, "a file", repair_at(damaged_at("c-1/tables/data.mdb"), damaged_saved()));
    wg_store *store = NULL;
    damaged_open(damaged_path(), false, &store);
    assert_err(WG_EBUSY, damaged_path(), repair_at(damaged_path(), damaged_saved()));
    wg_store_close(&store);
    assert_true(file_exists(inner));
    assert_err(WG_EINVAL, "a file, expected an empty folder or none",
               repair_at(damaged_path(), inner));
    assert_true(file_exists(inner));
    assert_err(WG_EINVAL, damaged_path(), repair_at(damaged_path(), damaged_path()));
    assert_int_equal(content_problems(damaged_context(), damaged_path()), 0);
    assert_int_equal(unlink(inner), 0);
    assert_err(WG_ENOTFOUND, "absent", repair_at(damaged_at("absent"), damaged_saved()));
    assert_true(folder_exists(damaged_saved())); /* it was there */
    assert_ok(repair_at(damaged_path(), damaged_saved()));
    assert_true(damaged_saved_points("docs") == BITS(0, LEFT));
}

static void what_is_no_store(void **state)
{
    (void)state;
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    char file[PATH_SIZE + 8];
    snprintf(file, sizeof file, "%s.waggle", damaged_saved());
    damaged_open(damaged_path(), true, &store);
    must_ok(wg_collection_open(store, "docs", &collection));
    must_ok(wg_collection_export(collection, file));
    wg_collection_close(&collection);
    wg_store_close(&store);
    assert_err(WG_EINVAL, file, repair_at(file, NULL));
    assert_err(WG_EINVAL, "a file, expected the folder of a store",
               repair_at(file, damaged_saved()));
    assert_int_equal(unlink(file), 0);
    assert_err(WG_ENOTFOUND, damaged_at("absent"), repair_at(damaged_at("absent"), NULL));
    assert_err(WG_ENOTFOUND, "no such folder, expected that of a store",
               repair_at(damaged_at("absent"), damaged_saved()));
    assert_err(WG_ENOTFOUND, "there is no store in this folder",
               repair_at(damaged_at("c-1"), damaged_saved()));
    assert_int_equal(unlink(damaged_at("lock")), 0);
    assert_err(WG_ENOTFOUND, "\"lock\" of the store is missing",
               repair_at(damaged_path(), damaged_saved()));
    assert_false(folder_exists(damaged_saved()));
}

static void where_nothing_can_be_made(void **state)
{
    (void)state;
    char below[PATH_SIZE + 16];
    snprintf(below, sizeof below, "%s/below", damaged_saved());
    assert_err(WG_ENOTFOUND, damaged_saved(), repair_at(damaged_path(), below));
    assert_false(folder_exists(damaged_saved()));
}

#define TEST(name) cmocka_unit_test_setup(name, damaged_copy)

/* Where nothing waits for a disk, if there is such a place. */
int main(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {
        TEST(a_registry_that_is_lost),
        TEST(a_name_that_is_lost),
        TEST(a_name_that_is_lost_twice),
        TEST(a_name_that_is_taken),
        TEST(names_that_are_none),
        TEST(two_names_of_one),
        TEST(aliases_that_are_lost),
        TEST(a_folder_that_was_dropped),
        TEST(random_damage),
        TEST(every_allocation),
        TEST(what_stands_there_stays),
        TEST(what_is_no_store),
        TEST(where_nothing_can_be_made),
    };
    return cmocka_run_group_tests(tests, damaged_begin, damaged_end);
}
