/* Verify of a store whose registry is damaged: what it can still find is checked all the same, each
 * collection once, and what is wrong in the registry is told, each thing once. */
#include "base/mem.h"
#include "store/id.h"
#include "support/check.h"
#include "support/damaged.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(void *user, const char *problem)
{
    struct damaged_said *said = user;
    said->count++;
    strncat(said->text, problem, sizeof said->text - strlen(said->text) - 2);
    strcat(said->text, "\n");
}

static wg_err run_verify(const char *only, struct damaged_said *said)
{
    uint64_t count = UINT64_MAX;
    *said = (struct damaged_said){ 0 };
    wg_err err = wg_store_verify(damaged_context(), damaged_path(), only, note, said, &count);
    if (err == WG_OK) assert_int_equal(count, said->count);
    return err;
}

static struct damaged_said verify(const char *only)
{
    struct damaged_said said;
    size_t before = mem_in_use();
    assert_ok(run_verify(only, &said));
    assert_int_equal(mem_in_use(), before);
    return said;
}

/* So many problems, and these words in one of them. */
static void says(const struct damaged_said *said, size_t count, const char *needle)
{
    if (said->count != count || !strstr(said->text, needle))
        fail_msg("expected %zu with \"%s\", got %zu: %s", count, needle, said->count, said->text);
}

static struct bytes number_of(uint64_t number)
{
    static struct collection_record record;
    record.number = number;
    return (struct bytes){ &record, sizeof record };
}

/* One row of docs, that of point 5, and one point of more. */
static void spoil_collections(void)
{
    struct id_key key;
    wg_id id = damaged_id(7);
    damaged_spoil_file(damaged_segment(0), 4096 + 5 * DAMAGED_DIM * sizeof(float));
    must_ok(id_key_make(&id, 0, &key));
    damaged_spoil_value("c-2", TABLE_POINTS, id_key_bytes(&key));
}

/* Of docs, and of more: the point's value, and that its row is no one's, and the count. */
enum { DOCS_PROBLEMS = 1, MORE_PROBLEMS = 3 };

static void a_sound_one(void **state)
{
    (void)state;
    assert_string_equal(verify(NULL).text, "");
    assert_string_equal(verify("docs").text, "");
    assert_string_equal(verify("live").text, "");
    struct damaged_said said;
    assert_err(WG_ENOTFOUND, "absent", run_verify("absent", &said));
}

/* The one whose name is damaged is checked too, and those in front of it and behind it. */
static void each_name(void **state)
{
    (void)state;
    static const char *const names[] = { "docs", "more", "none" };
    for (size_t i = 0; i < 3; i++) {
        char expected[64];
        damaged_copy(NULL);
        spoil_collections();
        damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text(names[i]));
        struct damaged_said said = verify(NULL);
        snprintf(expected, sizeof expected, "registry: name \"%s\" is damaged", names[i]);
        says(&said, 1 + DOCS_PROBLEMS + MORE_PROBLEMS, expected);
        says(&said, said.count, "collection \"docs\": ");
        says(&said, said.count, "collection \"more\": ");
    }
}

static bool list_name(void *user, const char *name)
{
    strcat(user, name);
    return true;
}

/* The others keep the names that the registry gives them, whatever their folders say. */
static void names_behind_it(void **state)
{
    (void)state;
    wg_store *store = NULL;
    char names[64] = "";
    spoil_collections();
    damaged_put("c-2", TABLE_META, db_text("name"), db_text("old"));
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    struct damaged_said said = verify(NULL);
    says(&said, 1 + DOCS_PROBLEMS + MORE_PROBLEMS, "collection \"more\": ");
    damaged_open(damaged_path(), true, &store);
    assert_err(WG_ECORRUPT, "registry", wg_store_list(store, list_name, names));
    assert_string_equal(names, "morenone");
    wg_store_close(&store);
}

static void all_names(void **state)
{
    (void)state;
    spoil_collections();
    damaged_put("registry", REGISTRY_COLLECTIONS, db_text("docs"), db_text("?"));
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("more"));
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("none"));
    struct damaged_said said = verify(NULL);
    says(&said, 3 + DOCS_PROBLEMS + MORE_PROBLEMS, "name \"docs\" is damaged: its record");
    says(&said, said.count, "collection \"docs\": ");
    says(&said, said.count, "collection \"more\": ");
}

static void no_registry(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        damaged_copy(NULL);
        spoil_collections();
        if (how == 0) scratch_remove(damaged_at("registry"));
        if (how == 1) must(truncate(damaged_at("registry/data.mdb"), 4000) == 0, "cannot cut it");
        for (uint64_t i = 0; how == 2 && i < 8192; i += 16)
            damaged_spoil_file(damaged_at("registry/data.mdb"), i);
        struct damaged_said said = verify(NULL);
        says(&said, 1 + DOCS_PROBLEMS + MORE_PROBLEMS, "registry");
        says(&said, said.count, "collection \"docs\": ");
        says(&said, said.count, "collection \"more\": ");
        said = verify("more");
        says(&said, 1 + MORE_PROBLEMS, "collection \"more\": ");
        said = verify("absent");
        says(&said, 1, "registry");
    }
}

static void only_one(void **state)
{
    (void)state;
    spoil_collections();
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    struct damaged_said said = verify("docs");
    says(&said, 1 + DOCS_PROBLEMS, "registry: \"docs\": ");
    says(&said, said.count, "collection \"docs\": ");
    said = verify("live"); /* an alias is enough */
    says(&said, DOCS_PROBLEMS, "collection \"docs\": ");
    said = verify("more");
    says(&said, MORE_PROBLEMS, "collection \"more\": ");
}

/* Its own name is lost too. */
static void a_folder_without_any_name(void **state)
{
    (void)state;
    spoil_collections();
    damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
    damaged_spoil_value("c-1", TABLE_META, db_text("name"));
    struct damaged_said said = verify(NULL);
    says(&said, 2 + DOCS_PROBLEMS + MORE_PROBLEMS, "collection \"c-1\": ");
    scratch_remove(damaged_at("c-1/tables"));
    said = verify(NULL);
    says(&said, 2 + MORE_PROBLEMS, "collection \"c-1\": ");
}

/* What a drop left is nobody's, as long as all names are known. */
static void a_folder_that_was_dropped(void **state)
{
    (void)state;
    scratch_copy(damaged_at("c-2"), damaged_at("c-9"));
    scratch_remove(damaged_at("c-9/tables"));
    assert_string_equal(verify(NULL).text, "");
    damaged_spoil_value("registry", REGISTRY_ALIASES, db_text("live"));
    struct damaged_said said = verify(NULL);
    says(&said, 1, "alias \"live\" is damaged");
}

static void what_else_is_in_it(void **state)
{
    (void)state;
    struct registry_record next = { 0 };
    damaged_spoil_value("registry", REGISTRY_ALIASES, db_text("live"));
    damaged_put("registry", REGISTRY_ALIASES, db_text("old"), number_of(7));
    damaged_put("registry", REGISTRY_META, db_text("next"), (struct bytes){ &next, 3 });
    struct damaged_said said = verify(NULL);
    says(&said, 3, "alias \"live\" is damaged");
    says(&said, 3, "alias \"old\" is damaged: it leads to c-7, which is no collection");
    says(&said, 3, "entry \"next\" is damaged");
}

/* Never a problem of the store's that is not there. */
static void without_memory(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        damaged_copy(NULL);
        spoil_collections();
        if (lost)
            scratch_remove(damaged_at("registry"));
        else
            damaged_spoil_value("registry", REGISTRY_COLLECTIONS, db_text("docs"));
        struct damaged_said whole = verify(NULL), said;
        size_t before = mem_in_use(), failed = 0, good = 0;
        for (uint64_t n = 1; good < 10; n++) {
            mem_fail_at(n);
            wg_err err = run_verify(NULL, &said);
            mem_fail_at(0);
            must(err == WG_OK || err == WG_ENOMEM, "request %d: %s", (int)n, wg_message());
            must(mem_in_use() == before, "request %d: allocations are left", (int)n);
            must(said.count <= whole.count, "request %d: %s", (int)n, said.text);
            if (err == WG_OK) assert_string_equal(said.text, whole.text);
            good = err == WG_OK ? good + 1 : 0;
            failed += err != WG_OK;
        }
        printf("%zu allocations failed\n", failed);
        assert_true(failed > 20);
    }
}

static void export_docs(const char *path)
{
    wg_store *store = NULL;
    wg_collection *collection = NULL;
    damaged_open(damaged_path(), true, &store);
    must_ok(wg_collection_open(store, "docs", &collection));
    must_ok(wg_collection_export(collection, path));
    wg_collection_close(&collection);
    wg_store_close(&store);
}

/* Turns a bit of the byte behind the first place where these stand. */
static void spoil_behind(const char *path, const void *bytes, size_t size)
{
    enum { ROOM = 1 << 20 };
    char *all = allocate(ROOM, 1);
    FILE *file = fopen(path, "rb");
    must(file != NULL, "cannot open %s", path);
    const char *found = memmem(all, fread(all, 1, ROOM, file), bytes, size);
    must(found != NULL, "%s does not have it", path);
    fclose(file);
    damaged_spoil_file(path, (uint64_t)(found - all) + size);
    free(all);
}

/* It has one collection, which is checked whatever its registry says. */
static void an_exported_file(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 80];
    uint64_t count = 0;
    struct damaged_said said = { 0 };
    float component = damaged_component(12, 0);
    snprintf(path, sizeof path, "%s.waggle", damaged_saved());
    export_docs(path);
    assert_ok(wg_store_verify(damaged_context(), path, "docs", note, &said, &count));
    assert_int_equal(count, 0);
    spoil_behind(path, &component, sizeof component);
    spoil_behind(path, "docs\0\0\0\0\1", 9); /* the number of its folder */
    assert_ok(wg_store_verify(damaged_context(), path, NULL, note, &said, &count));
    assert_int_equal(count, said.count);
    says(&said, said.count, "registry: name \"");
    says(&said, said.count, "collection \"docs\": ");
    damaged_spoil_file(path, 40); /* its header */
    said = (struct damaged_said){ 0 };
    assert_ok(wg_store_verify(damaged_context(), path, NULL, note, &said, &count));
    says(&said, 1, path);
    assert_int_equal(unlink(path), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, damaged_copy)

/* Where nothing waits for a disk, if there is such a place. */
int main(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {
        TEST(a_sound_one),
        TEST(each_name),
        TEST(names_behind_it),
        TEST(all_names),
        TEST(no_registry),
        TEST(only_one),
        TEST(a_folder_without_any_name),
        TEST(a_folder_that_was_dropped),
        TEST(what_else_is_in_it),
        TEST(without_memory),
        TEST(an_exported_file),
    };
    return cmocka_run_group_tests(tests, damaged_begin, damaged_end);
}
