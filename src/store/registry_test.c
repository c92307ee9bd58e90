/* Names and aliases of collections: who may be called what, and what goes with what. */
#include "base/mem.h"
#include "os/file.h"
#include "store/registry.h"
#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char store[SCRATCH_PATH_SIZE];
static struct registry *registry;

static wg_err open_as(enum db_use use, struct registry **out)
{
    struct registry_params params = { .store = store, .use = use, .reader_limit = 20 };
    return registry_open(&params, out);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(store, sizeof store, "%s", scratch_create());
    must_ok(open_as(DB_IN_MEMORY, &registry)); /* nothing of a name lasts less for that */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    registry_close(&registry);
    return 0;
}

static void reopen(void)
{
    registry_close(&registry);
    assert_null(registry);
    assert_ok(open_as(DB_WRITE, &registry));
}

/* What the registry asked to be made and to be undone. */
static struct making {
    wg_err err;
    uint64_t made, unmade;
    size_t made_count, unmade_count;
} making;

static wg_err make(void *user, uint64_t number)
{
    struct making *m = user;
    m->made = number;
    m->made_count++;
    return m->err == WG_OK ? WG_OK : wg_fail(m->err, "not made");
}

static void unmake(void *user, uint64_t number)
{
    struct making *m = user;
    m->unmade = number;
    m->unmade_count++;
}

static wg_err add(const char *name)
{
    struct registry_making how = { make, unmake, &making };
    making = (struct making){ .err = making.err };
    return registry_add(registry, name, &how);
}

static uint64_t number_of(const char *name)
{
    uint64_t number = 0;
    must_ok(registry_find(registry, name, &number));
    return number;
}

static void is_not_there(const char *name)
{
    uint64_t number;
    assert_err(WG_ENOTFOUND, name, registry_find(registry, name, &number));
}

/* "name=number," of each, until one is named "stop". */
static bool note(void *user, const char *name, uint64_t number)
{
    char *list = user;
    snprintf(list + strlen(list), 64, "%s=%d,", name, (int)number);
    return strcmp(name, "stop") != 0;
}

static const char *names(void)
{
    static char list[512];
    list[0] = 0;
    assert_ok(registry_list(registry, note, list));
    return list;
}

static const char *aliases(void)
{
    static char list[512];
    list[0] = 0;
    assert_ok(registry_list_aliases(registry, note, list));
    return list;
}

static void names_lead_to_numbers(void **state)
{
    (void)state;
    static const char *const added[] = { "b", "a", "\xC3\xBC", "B", "a b" };
    for (size_t i = 0; i < 5; i++) {
        assert_ok(add(added[i]));
        assert_int_equal(making.made, i + 1);
        assert_int_equal(making.made_count, 1);
        assert_int_equal(making.unmade_count, 0);
        assert_int_equal(number_of(added[i]), i + 1);
    }
    is_not_there("c");
    assert_string_equal(names(), "B=4,a=2,a b=5,b=1,\xC3\xBC=3,");
    assert_ok(registry_remove(registry, "a b"));
    is_not_there("a b");
    assert_err(WG_ENOTFOUND, "a b", registry_remove(registry, "a b"));
    assert_ok(add("stop"));
    assert_int_equal(making.made, 6); /* no number comes again */
    reopen();
    assert_string_equal(names(), "B=4,a=2,b=1,stop=6,");
    assert_ok(registry_remove(registry, "stop"));
    assert_ok(add("stop"));
    assert_int_equal(number_of("stop"), 7);
}

static void a_name_is_given_once(void **state)
{
    (void)state;
    assert_ok(add("a"));
    assert_ok(registry_set_alias(registry, "alias", "a"));
    assert_err(WG_EEXISTS, "\"a\"", add("a"));
    assert_int_equal(making.made_count, 0); /* nothing is made for nothing */
    assert_err(WG_EEXISTS, "\"alias\"", add("alias"));
    assert_int_equal(making.made_count, 0);
    assert_ok(add("b"));
    assert_err(WG_EEXISTS, "\"a\"", registry_rename(registry, "b", "a"));
    assert_err(WG_EEXISTS, "\"alias\"", registry_rename(registry, "b", "alias"));
    assert_err(WG_EEXISTS, "\"b\"", registry_set_alias(registry, "b", "a"));
    assert_err(WG_EEXISTS, "\"b\"", registry_set_alias(registry, "b", "b"));
    assert_string_equal(names(), "a=1,b=2,");
    assert_string_equal(aliases(), "alias=1,");
}

static void what_fails_to_be_made_has_no_name(void **state)
{
    (void)state;
    making.err = WG_ENOSPC;
    assert_err(WG_ENOSPC, "not made", add("a"));
    assert_int_equal(making.made_count, 1);
    assert_int_equal(making.unmade_count, 1);
    assert_int_equal(making.unmade, making.made);
    is_not_there("a");
    making.err = WG_OK;
    assert_ok(add("a"));
    assert_string_equal(names(), "a=1,"); /* the number was never given */
}

static void an_alias_leads_where_it_was_set(void **state)
{
    (void)state;
    assert_ok(add("blue"));
    assert_ok(add("green"));
    assert_err(WG_ENOTFOUND, "\"red\"", registry_set_alias(registry, "live", "red"));
    is_not_there("live");
    assert_ok(registry_set_alias(registry, "live", "blue"));
    assert_ok(registry_set_alias(registry, "also", "blue"));
    assert_int_equal(number_of("live"), 1);
    assert_ok(registry_set_alias(registry, "live", "green")); /* switched */
    assert_int_equal(number_of("live"), 2);
    assert_string_equal(aliases(), "also=1,live=2,");
    assert_string_equal(names(), "blue=1,green=2,"); /* an alias is no collection */
    assert_err(WG_ENOTFOUND, "\"live\"", registry_set_alias(registry, "deep", "live"));
    reopen();
    assert_int_equal(number_of("live"), 2);
    assert_ok(registry_remove_alias(registry, "live"));
    is_not_there("live");
    assert_err(WG_ENOTFOUND, "\"live\"", registry_remove_alias(registry, "live"));
    assert_err(WG_ENOTFOUND, "\"blue\"", registry_remove_alias(registry, "blue"));
    assert_int_equal(number_of("blue"), 1);
    assert_ok(add("live")); /* the name is free again */
    assert_int_equal(number_of("live"), 3);
}

static void aliases_follow_a_renamed_collection(void **state)
{
    (void)state;
    assert_ok(add("old"));
    assert_ok(registry_set_alias(registry, "alias", "old"));
    assert_err(WG_ENOTFOUND, "\"none\"", registry_rename(registry, "none", "new"));
    assert_err(WG_ENOTFOUND, "\"alias\"", registry_rename(registry, "alias", "new"));
    assert_ok(registry_rename(registry, "old", "new"));
    is_not_there("old");
    assert_int_equal(number_of("new"), 1);
    assert_int_equal(number_of("alias"), 1);
    assert_ok(registry_rename(registry, "new", "old")); /* and back */
    assert_string_equal(names(), "old=1,");
}

static void aliases_go_with_their_collection(void **state)
{
    (void)state;
    assert_ok(add("a"));
    assert_ok(add("b"));
    static const char *const set[] = { "1", "2", "3", "4", "5" };
    for (size_t i = 0; i < 5; i++)
        assert_ok(registry_set_alias(registry, set[i], i % 2 ? "b" : "a"));
    assert_err(WG_ENOTFOUND, "\"1\"", registry_remove(registry, "1")); /* an alias */
    assert_ok(registry_remove(registry, "a"));
    assert_string_equal(aliases(), "2=2,4=2,");
    assert_string_equal(names(), "b=2,");
    is_not_there("1");
    assert_ok(add("1"));
    assert_int_equal(number_of("1"), 3);
}

static void not_every_text_is_a_name(void **state)
{
    (void)state;
    char longest[NAME_SIZE_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[NAME_SIZE_MAX + 1] = 0;
    static const struct {
        const char *name, *why;
    } bad[] = { { "", "empty" },
                { "a\nb", "control" },
                { "a\x7F", "control" },
                { "\xC3", "UTF-8" },
                { "a\xFF", "UTF-8" } };
    assert_ok(add("a"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t number;
        assert_err(WG_EINVAL, bad[i].why, registry_check_name(bad[i].name));
        assert_err(WG_EINVAL, bad[i].why, add(bad[i].name));
        assert_err(WG_EINVAL, bad[i].why, registry_find(registry, bad[i].name, &number));
        assert_err(WG_EINVAL, bad[i].why, registry_rename(registry, "a", bad[i].name));
        assert_err(WG_EINVAL, bad[i].why, registry_set_alias(registry, bad[i].name, "a"));
    }
    assert_err(WG_EINVAL, "255", add(longest));
    longest[NAME_SIZE_MAX] = 0;
    assert_ok(add(longest));
    assert_int_equal(number_of(longest), 2);
    assert_ok(registry_set_alias(registry, "short", longest));
    assert_ok(registry_remove(registry, longest));
    assert_string_equal(aliases(), "");
    longest[0] = 'y';
    assert_ok(registry_set_alias(registry, longest, "a")); /* an alias as long */
    assert_ok(registry_remove(registry, "a"));
    is_not_there(longest);
}

static void a_reader_changes_nothing(void **state)
{
    (void)state;
    assert_ok(add("a"));
    registry_close(&registry);
    assert_ok(open_as(DB_READ, &registry));
    assert_string_equal(names(), "a=1,");
    assert_int_not_equal(add("b"), WG_OK);
    assert_int_not_equal(registry_remove(registry, "a"), WG_OK);
    assert_int_not_equal(registry_rename(registry, "a", "b"), WG_OK);
    assert_int_not_equal(registry_set_alias(registry, "b", "a"), WG_OK);
    assert_string_equal(names(), "a=1,");
    assert_string_equal(aliases(), "");
}

static void a_reader_makes_none(void **state)
{
    (void)state;
    char folder[SCRATCH_PATH_SIZE + 16];
    registry_close(&registry);
    snprintf(folder, sizeof folder, "%s/registry", store);
    assert_ok(folder_remove(folder));
    assert_int_not_equal(open_as(DB_READ, &registry), WG_OK);
    assert_int_not_equal(open_as(DB_READ_ALONE, &registry), WG_OK);
    assert_null(registry);
    assert_false(folder_exists(folder));
}

/* It cannot be told what is whose then. */
static void a_lost_registry_is_corrupt_where_collections_are(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 16];
    registry_close(&registry);
    snprintf(path, sizeof path, "%s/registry", store);
    assert_ok(folder_remove(path));
    snprintf(path, sizeof path, "%s/mine", store);
    assert_ok(folder_create(path)); /* is no collection */
    assert_ok(open_as(DB_WRITE, &registry));
    registry_close(&registry);
    snprintf(path, sizeof path, "%s/registry", store);
    assert_ok(folder_remove(path));
    snprintf(path, sizeof path, "%s/c-1f", store);
    assert_ok(folder_create(path));
    for (size_t i = 0; i < 2; i++) /* also when its folder was begun anew */
        assert_err(WG_ECORRUPT, store, open_as(DB_WRITE, &registry));
    assert_null(registry);
}

/* A registry made anew would be whole, and empty: repair would take every collection for what a
 * drop left behind. */
static void a_lost_file_is_not_made_anew(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 32];
    assert_ok(add("a"));
    registry_close(&registry);
    snprintf(path, sizeof path, "%s/registry/data.mdb", store);
    assert_int_equal(truncate(path, 0), 0);
    assert_err(WG_ECORRUPT, "lost, or empty", open_as(DB_WRITE, &registry));
    assert_ok(file_remove(path));
    assert_err(WG_ECORRUPT, "lost, or empty", open_as(DB_WRITE, &registry));
    assert_err(WG_ECORRUPT, "lost, or empty", open_as(DB_READ, &registry));
    assert_false(file_exists(path));
}

static void a_copy_has_all_names(void **state)
{
    (void)state;
    char folder[SCRATCH_PATH_SIZE + 16];
    assert_ok(add("a"));
    assert_ok(add("b"));
    assert_ok(registry_set_alias(registry, "alias", "b"));
    const char *copy = scratch_create();
    snprintf(folder, sizeof folder, "%s/registry", copy);
    assert_ok(folder_create(folder));
    assert_ok(registry_copy(registry, folder));
    registry_close(&registry);
    snprintf(store, sizeof store, "%s", copy);
    assert_ok(open_as(DB_WRITE, &registry));
    assert_string_equal(names(), "a=1,b=2,");
    assert_string_equal(aliases(), "alias=2,");
    assert_ok(add("c"));
    assert_int_equal(number_of("c"), 3);
}

static void folders_have_the_numbers_in_their_names(void **state)
{
    (void)state;
    static const uint64_t numbers[] = { 1, 10, 0xABCDEF, UINT64_MAX };
    static const char *const none[] = { "",    "c-",       "c-x", "c-1.bak", "c-1 ",
                                        "d-1", "registry", "c",   "C-1",     "c-old" };
    uint64_t number = 0;
    for (size_t i = 0; i < 4; i++) {
        char *folder = NULL;
        assert_ok(registry_folder("s/t", numbers[i], &folder));
        assert_memory_equal(folder, "s/t/", 4);
        assert_true(registry_is_folder(folder + 4, &number));
        assert_true(number == numbers[i]);
        mem_free(&folder);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (registry_is_folder(none[i], &number)) fail_msg("\"%s\" is taken for one", none[i]);
}

/* Whatever fails for want of memory leaves the names as they were. */
static void every_allocation_can_fail(void **state)
{
    (void)state;
    assert_ok(add("a"));
    registry_close(&registry);
    size_t in_use = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        mem_fail_at(++request);
        err = open_as(DB_WRITE, &registry);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        if (err != WG_OK) assert_int_equal(mem_in_use(), in_use);
    }
    assert_true(request > 2);
    assert_string_equal(names(), "a=1,");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(names_lead_to_numbers),
        TEST(a_name_is_given_once),
        TEST(what_fails_to_be_made_has_no_name),
        TEST(an_alias_leads_where_it_was_set),
        TEST(aliases_follow_a_renamed_collection),
        TEST(aliases_go_with_their_collection),
        TEST(not_every_text_is_a_name),
        TEST(a_reader_changes_nothing),
        TEST(a_reader_makes_none),
        TEST(a_lost_registry_is_corrupt_where_collections_are),
        TEST(a_lost_file_is_not_made_anew),
        TEST(a_copy_has_all_names),
        TEST(folders_have_the_numbers_in_their_names),
        TEST(every_allocation_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
