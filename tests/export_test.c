/* A collection exported to one file and opened from it: the same in everything that can be asked,
 * whatever was done to the original before, or is done meanwhile; and read-only. */
#include "api/store.h"
#include "store/export.h"
#include "support/check.h"
#include "support/child.h"
#include "support/content.h"
#include "support/data.h"
#include "support/equal.h"
#include "support/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = SCRATCH_PATH_SIZE + 32, IDS = 300, NOBODY = 65534 };

static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static const char *folder;
static char path[PATH_SIZE], other[PATH_SIZE];
static struct prng prng;

/* --- what is exported --- */

static void create(const char *name, uint32_t dim, wg_metric metric)
{
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = dim, params.metric = metric;
    params.history = 50; /* so that compaction has rows to drop */
    must_ok(wg_collection_create(store, name, &params));
    must_ok(wg_collection_open(store, name, &collection));
}

/* Numbers, UUIDs, short strings, and long ones up to the longest. */
static void make_id(size_t i, wg_id *id, char text[WG_ID_SIZE_MAX + 1])
{
    if (i % 4 == 0) {
        wg_id_from_number(i * 1000003, id);
        return;
    }
    if (i % 4 == 1) snprintf(text, 64, "00000000-0000-4000-8000-%012zx", i);
    if (i % 4 == 2) snprintf(text, 40, "p%zu", i);
    if (i % 4 == 3) {
        memset(text, 'a' + (int)(i % 26), WG_ID_SIZE_MAX);
        int size = snprintf(text, 12, "%zu", i);
        text[size] = '-';
        text[20 + i % (WG_ID_SIZE_MAX - 19)] = 0;
    }
    must_ok(wg_id_from_string(text, id));
}

static void upsert(size_t first, size_t count, uint32_t dim, enum data_kind kind)
{
    wg_batch batch;
    wg_batch_init(&batch);
    wg_id *ids = allocate(count, sizeof *ids);
    char(*texts)[WG_ID_SIZE_MAX + 1] = allocate(count, sizeof *texts);
    char(*payloads)[64] = allocate(count, sizeof *payloads);
    const char **given = allocate(count, sizeof *given);
    float *vectors = allocate(count * dim, sizeof *vectors);
    data_fill(&prng, kind, count, dim, vectors);
    for (size_t i = 0; i < count; i++) {
        make_id(first + i, &ids[i], texts[i]);
        snprintf(payloads[i], sizeof payloads[i], "{\"n\":%zu,\"r\":%zu}", first + i,
                 test_below(&prng, 1000));
        given[i] = i % 5 ? payloads[i] : NULL;
    }
    batch.count = count, batch.ids = ids, batch.vectors = vectors, batch.payloads = given;
    must_ok(wg_collection_upsert(collection, dim, &batch));
    free(vectors);
    free(given);
    free(payloads);
    free(texts);
    free(ids);
}

/* Deletes, or merges the payload. */
static void change(size_t first, size_t count, const char *payload)
{
    wg_id *ids = allocate(count, sizeof *ids);
    char(*texts)[WG_ID_SIZE_MAX + 1] = allocate(count, sizeof *texts);
    for (size_t i = 0; i < count; i++) make_id(first + i, &ids[i], texts[i]);
    if (payload)
        must_ok(wg_collection_set_payload(collection, ids, count, payload, NULL));
    else
        must_ok(wg_collection_delete(collection, ids, count, NULL));
    free(texts);
    free(ids);
}

/* Random writes; a segment is packed now and then. */
static void wear(uint32_t dim, enum data_kind kind, size_t rounds)
{
    upsert(0, IDS, dim, kind);
    for (size_t i = 0; i < rounds; i++) {
        size_t first = test_below(&prng, IDS), count = 1 + test_below(&prng, IDS - first);
        switch (test_below(&prng, 6)) {
        case 0: change(first, 1 + count / 8, NULL); break;
        case 1: change(first, 1 + count / 16, "{\"more\":[1,2]}"); break;
        case 2: must_ok(wg_collection_compact(collection, NULL)); break;
        default: upsert(first, count, dim, kind);
        }
    }
}

/* --- the file --- */

static wg_err export_to(const char *to, uint64_t segment_rows)
{
    struct collection *inner;
    wg_err err = member_enter(collection->member, &inner);
    if (err != WG_OK) return err;
    err = collection_export(inner, to, segment_rows);
    member_leave(collection->member);
    return err;
}

static wg_err open_file(const char *from, wg_store **out)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = true;
    return wg_store_open(context, from, &params, out);
}

struct copy {
    wg_store *store;
    wg_collection *collection;
};

static struct copy open_copy(const char *from, const char *name)
{
    struct copy copy = { 0 };
    must_ok(open_file(from, &copy.store));
    must_ok(wg_collection_open(copy.store, name, &copy.collection));
    return copy;
}

static void close_copy(struct copy *copy)
{
    wg_collection_close(&copy->collection);
    wg_store_close(&copy->store);
}

static bool same_bytes(const char *a, const char *b)
{
    FILE *x = fopen(a, "rb"), *y = fopen(b, "rb");
    must(x && y, "cannot open %s and %s", a, b);
    int c, d;
    do c = getc(x), d = getc(y);
    while (c == d && c != EOF);
    fclose(x);
    fclose(y);
    return c == d;
}

/* Exports, compares, and exports the copy: that must give the same bytes again. */
static void check_export(const char *name, uint64_t segment_rows)
{
    must_ok(export_to(path, segment_rows));
    must(content_problems(context, path) == 0, "verify finds problems");
    struct copy copy = open_copy(path, name);
    equal_check(collection, copy.collection);
    wg_collection *original = collection;
    collection = copy.collection;
    must_ok(export_to(other, segment_rows));
    collection = original;
    must(same_bytes(path, other), "the copy's copy is another one");
    close_copy(&copy);
    unlink(path);
    unlink(other);
}

static void use_memory(void)
{
    wg_store_close(&store);
    must_ok(wg_store_open(context, NULL, NULL, &store));
}

static void the_copy_is_equal(void **state)
{
    (void)state;
    static const uint64_t segment_rows[] = { 0, 1, 7, 100 };
    static const enum data_kind kinds[] = { DATA_FEW, DATA_UNIT, DATA_WILD };
    use_memory(); /* many writes, and nothing is synced */
    for (int metric = WG_COSINE; metric <= WG_CHEBYSHEV; metric++)
        for (size_t i = 0; i < 4; i++) {
            char name[16];
            snprintf(name, sizeof name, "c%d-%zu", metric, i);
            create(name, 5 + (uint32_t)i * 30, (wg_metric)metric);
            wear(5 + (uint32_t)i * 30, kinds[i % 3], 12);
            check_export(name, segment_rows[i]);
            wg_collection_close(&collection);
        }
}

static wg_collection_info info_of(wg_collection *of)
{
    wg_collection_info info;
    wg_collection_info_init(&info);
    must_ok(wg_collection_info_get(of, &info));
    return info;
}

/* Rows over several chunks of 65,536, the first of which are gone. */
static void many_rows_keep_their_order(void **state)
{
    (void)state;
    create("many", 2, WG_EUCLIDEAN);
    for (size_t round = 0; round < 4; round++) upsert(0, 40000, 2, DATA_FEW);
    for (size_t round = 0; round < 3; round++) upsert(round * 10000 + 7, 900, 2, DATA_FEW);
    change(100, 400, NULL);
    check_export("many", 10000);
    must_ok(wg_collection_compact(collection, NULL));
    check_export("many", 0);
    must_ok(export_to(path, 10000));
    struct copy copy = open_copy(path, "many");
    wg_collection_info info = info_of(copy.collection);
    assert_int_equal(info.row_count, info.count);
    assert_int_equal(info.segment_count, 4);
    close_copy(&copy);
}

static void an_empty_collection_is_one_too(void **state)
{
    (void)state;
    create("none", 7, WG_COSINE);
    check_export("none", 0); /* never written */
    upsert(0, 50, 7, DATA_UNIT);
    change(0, 50, NULL);
    check_export("none", 0); /* all deleted */
    upsert(0, 50, 7, DATA_UNIT);
    must_ok(wg_collection_clear(collection));
    check_export("none", 0);
    upsert(20, 1, 7, DATA_UNIT);
    check_export("none", 0);
    must_ok(wg_collection_compact(collection, NULL));
    check_export("none", 0);
}

static void large_dimensions_and_payloads(void **state)
{
    (void)state;
    create("wide", 65536, WG_DOT);
    upsert(0, 11, 65536, DATA_UNIT);
    change(3, 2, NULL);
    size_t size = 300000;
    char *payload = allocate(size + 16, 1);
    memcpy(payload, "{\"text\":\"", 9);
    memset(payload + 9, 'x', size);
    memcpy(payload + 9 + size, "\"}", 3);
    change(5, 2, payload);
    free(payload);
    check_export("wide", 3);
}

/* --- the store of it --- */

static bool count_names(void *user, const char *name)
{
    size_t *count = user;
    must(strcmp(name, "docs") == 0, "there is \"%s\"", name);
    ++*count;
    return true;
}

static bool no_alias(void *user, const char *alias, const char *of)
{
    (void)user, (void)of;
    must(false, "there is an alias \"%s\"", alias);
}

static void it_is_a_store_with_one_collection(void **state)
{
    (void)state;
    create("docs", 5, WG_DOT);
    wear(5, DATA_FEW, 5);
    must_ok(wg_alias_set(store, "latest", "docs"));
    wg_collection_close(&collection);
    must_ok(wg_collection_open(store, "latest", &collection));
    must_ok(wg_collection_export(collection,
                                 path)); /* by its own name, whatever it was opened as */
    struct copy copy = open_copy(path, "docs");
    size_t count = 0;
    assert_ok(wg_store_list(copy.store, count_names, &count));
    assert_int_equal(count, 1);
    assert_ok(wg_alias_list(copy.store, no_alias, NULL));
    wg_collection *absent = NULL;
    assert_err(WG_ENOTFOUND, "latest", wg_collection_open(copy.store, "latest", &absent));
    assert_int_equal(wg_collection_count(copy.collection), wg_collection_count(collection));
    assert_ok(wg_collection_refresh(copy.collection));
    assert_ok(wg_collection_flush(copy.collection));

    struct stat status;
    wg_collection_info info = info_of(copy.collection), original = info_of(collection);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(info.disk_bytes, status.st_size);
    assert_int_equal(info.horizon, original.sequence);
    wg_changes *changes = NULL;
    assert_ok(wg_collection_changes(copy.collection, info.sequence, 10, &changes));
    assert_int_equal(wg_changes_count(changes), 0);
    wg_changes_destroy(&changes);
    assert_err(WG_EGONE, "docs",
               wg_collection_changes(copy.collection, info.sequence - 1, 10, &changes));
    close_copy(&copy);
}

static void a_renamed_collection_has_its_new_name(void **state)
{
    (void)state;
    create("before", 5, WG_DOT);
    wear(5, DATA_FEW, 2);
    must_ok(wg_collection_rename(store, "before", "docs"));
    must_ok(wg_collection_export(collection, path));
    struct copy copy = open_copy(path, "docs");
    equal_check(collection, copy.collection);
    close_copy(&copy);
}

static void nothing_can_be_written(void **state)
{
    (void)state;
    create("docs", 5, WG_DOT);
    upsert(0, 20, 5, DATA_UNIT);
    must_ok(wg_collection_export(collection, path));
    wg_store *writable = NULL;
    assert_err(WG_EREADONLY, path, wg_store_open(context, path, NULL, &writable));
    assert_null(writable);
    struct copy copy = open_copy(path, "docs");
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 3;
    float vector[5] = { 1 };
    wg_id id;
    wg_id_from_number(0, &id);
    wg_batch batch;
    wg_batch_init(&batch);
    batch.count = 1, batch.ids = &id, batch.vectors = vector;
    assert_err(WG_EREADONLY, path, wg_collection_upsert(copy.collection, 5, &batch));
    assert_err(WG_EREADONLY, path, wg_collection_delete(copy.collection, &id, 1, NULL));
    assert_err(WG_EREADONLY, path, wg_collection_set_payload(copy.collection, &id, 1, "{}", NULL));
    assert_err(WG_EREADONLY, path, wg_collection_clear(copy.collection));
    assert_err(WG_EREADONLY, path, wg_collection_compact(copy.collection, NULL));
    assert_err(WG_EREADONLY, path, wg_collection_create(copy.store, "new", &params));
    assert_err(WG_EREADONLY, path, wg_collection_drop(copy.store, "docs"));
    assert_err(WG_EREADONLY, path, wg_collection_rename(copy.store, "docs", "new"));
    assert_err(WG_EREADONLY, path, wg_alias_set(copy.store, "new", "docs"));
    assert_err(WG_EREADONLY, path, wg_alias_remove(copy.store, "new"));
    equal_check(collection, copy.collection);
    close_copy(&copy);
}

static void what_stands_in_the_way_stays(void **state)
{
    (void)state;
    create("docs", 5, WG_DOT);
    upsert(0, 20, 5, DATA_UNIT);
    must_ok(wg_collection_export(collection, path));
    upsert(20, 20, 5, DATA_UNIT);
    assert_err(WG_EEXISTS, path, wg_collection_export(collection, path));
    assert_err(WG_EEXISTS, folder, wg_collection_export(collection, folder));
    snprintf(other, sizeof other, "%s/none/x", folder);
    assert_err(WG_ENOTFOUND, other, wg_collection_export(collection, other));
    struct copy copy = open_copy(path, "docs");
    assert_int_equal(wg_collection_count(copy.collection), 20);
    close_copy(&copy);
}

static void read_copy(struct child *parent, void *arg)
{
    (void)parent;
    uint64_t *expected = arg;
    context = test_context(NULL, 1);
    struct copy a = open_copy(path, "docs"), b = open_copy(path, "docs");
    must(content_problems(context, path) == 0, "verify finds problems");
    must(content_fingerprint(a.collection) == *expected, "another content");
    must(content_fingerprint(b.collection) == *expected, "another content");
    close_copy(&a);
    equal_check(b.collection, b.collection);
    close_copy(&b);
    wg_context_destroy(&context);
}

static void read_copy_as_nobody(struct child *parent, void *arg)
{
    if (geteuid() == 0) must(setgid(NOBODY) == 0 && setuid(NOBODY) == 0, "still root");
    must(access(folder, W_OK) != 0, "the folder can be written");
    read_copy(parent, arg);
}

/* --- exports that are killed --- */

static bool is_temporary(const char *name)
{
    size_t size = strlen(name);
    return strncmp(name, "x.waggle.", 9) == 0 && size > 4 && strcmp(name + size - 4, ".tmp") == 0;
}

static int temporary(const struct dirent *entry)
{
    return is_temporary(entry->d_name);
}

/* How many files that are not finished stand beside x.waggle; *bytes: in them. */
static size_t count_temporary(size_t *bytes)
{
    struct dirent **entries;
    struct stat status;
    int count = scandir(folder, &entries, temporary, NULL);
    must(count >= 0, "cannot list %s", folder);
    for (int i = 0; i < count; i++) {
        char name[PATH_SIZE + 256];
        snprintf(name, sizeof name, "%s/%s", folder, entries[i]->d_name);
        if (bytes && stat(name, &status) == 0) *bytes += (size_t)status.st_size;
        free(entries[i]);
    }
    free(entries);
    return (size_t)count;
}

static void export_again_and_again(struct child *parent, void *arg)
{
    char name[PATH_SIZE];
    context = test_context(NULL, 1);
    snprintf(name, sizeof name, "%s/store", folder);
    must_ok(open_file(name, &store));
    must_ok(wg_collection_open(store, arg, &collection));
    child_say(parent, 'b');
    for (;;) {
        wg_err err = wg_collection_export(collection, path);
        must(err == WG_OK || err == WG_EEXISTS, "%s", wg_message());
        if (err == WG_OK) unlink(path);
    }
}

/* A child that was stopped while it writes its file. */
static void stop_within(struct child *child, const char *name)
{
    int status;
    size_t bytes = 0;
    child_begin(child, export_again_and_again, (void *)(uintptr_t)name);
    must(child_hear(child) == 'b', "not begun");
    for (bool within = false; !within; usleep(500)) {
        must(kill(child->pid, SIGSTOP) == 0, "cannot stop %d", (int)child->pid);
        must(waitpid(child->pid, &status, WUNTRACED) == child->pid && WIFSTOPPED(status),
             "it has ended");
        within = count_temporary(&bytes) == 1 && bytes > 0 && access(path, F_OK) != 0;
        if (!within) must(kill(child->pid, SIGCONT) == 0, "cannot go on");
        bytes = 0;
    }
}

/* Closes what the parent has: a child opens the store itself. */
static void fill_and_close(void)
{
    create("docs", 64, WG_DOT);
    upsert(0, 5000, 64, DATA_UNIT);
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

static void open_again(void)
{
    char name[PATH_SIZE];
    context = test_context(NULL, 1);
    snprintf(name, sizeof name, "%s/store", folder);
    must_ok(open_file(name, &store));
    must_ok(wg_collection_open(store, "docs", &collection));
}

/* The next export removes what it left, and one that goes on meanwhile does not. */
static void what_was_killed_is_removed(void **state)
{
    (void)state;
    struct child child;
    fill_and_close();
    stop_within(&child, "docs");
    open_again();
    assert_int_equal(count_temporary(NULL), 1);
    assert_ok(wg_collection_export(collection, path));
    assert_int_equal(count_temporary(NULL), 1); /* it is the other process's */
    assert_int_equal(unlink(path), 0);
    child_kill(&child);
    assert_int_equal(count_temporary(NULL), 1);
    assert_ok(wg_collection_export(collection, other)); /* to another file */
    assert_int_equal(count_temporary(NULL), 1);
    assert_ok(wg_collection_export(collection, path));
    assert_int_equal(count_temporary(NULL), 0);
    assert_int_equal(content_problems(context, path), 0);
}

static void make_file(const char *name)
{
    char file[PATH_SIZE + 64];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    int fd = open(file, O_CREAT | O_WRONLY, 0644);
    must(fd >= 0 && write(fd, "mine", 4) == 4, "cannot write %s", file);
    close(fd);
}

static void only_what_was_left_is_removed(void **state)
{
    (void)state;
    static const char *const kept[] = { "x.waggle.tmp",      "x.waggle.1-2.tmp.more",
                                        "x.waggle.a-2.tmp",  "x.waggle.01-2.tmp",
                                        "xx.waggle.1-2.tmp", "y.waggle.1-2.tmp",
                                        "waggle.1-2.tmp",    "x.waggle.1-2" };
    static const char *const left[] = { "x.waggle.1-2.tmp", "x.waggle.4294967295-0.tmp" };
    char name[PATH_SIZE + 64];
    create("docs", 5, WG_DOT);
    upsert(0, 10, 5, DATA_UNIT);
    for (size_t i = 0; i < 8; i++) make_file(kept[i]);
    for (size_t i = 0; i < 2; i++) make_file(left[i]);
    must(chdir(folder) == 0, "no folder");
    assert_ok(wg_collection_export(collection, "x.waggle")); /* of the folder that we are in */
    must(chdir("/") == 0, "no folder");
    for (size_t i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, kept[i]);
        must(access(name, F_OK) == 0, "%s is gone", name);
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, left[i]);
        must(access(name, F_OK) != 0, "%s stays", name);
    }
    assert_int_equal(content_problems(context, path), 0);
}

static void stop_using(void)
{
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

/* As often as anybody likes, in any process, also where nothing may be written. */
static void anybody_may_open_it(void **state)
{
    (void)state;
    create("docs", 5, WG_DOT);
    wear(5, DATA_FEW, 5);
    must_ok(wg_collection_export(collection, path));
    struct copy copy = open_copy(path, "docs");
    uint64_t expected = content_fingerprint(copy.collection);
    close_copy(&copy);
    stop_using(); /* nobody's threads are to be lost in the fork */
    child_run(read_copy, &expected);
    char inner[PATH_SIZE];
    snprintf(inner, sizeof inner, "%s/read", folder);
    snprintf(other, sizeof other, "%s/read/x.waggle", folder);
    must(mkdir(inner, 0755) == 0 && rename(path, other) == 0, "cannot move %s", path);
    must(chmod(folder, 0755) == 0 && chmod(other, 0444) == 0 && chmod(inner, 0555) == 0, "chmod");
    snprintf(path, sizeof path, "%s", other);
    const char *outer = folder;
    folder = inner;
    child_run(read_copy_as_nobody, &expected);
    folder = outer;
    struct dirent **entries;
    int count = scandir(inner, &entries, NULL, NULL);
    assert_int_equal(count, 3); /* itself, its parent, the file */
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
    assert_int_equal(chmod(inner, 0755), 0);
}

static void an_export_of_a_store_in_memory(void **state)
{
    (void)state;
    use_memory();
    create("docs", 5, WG_DOT);
    wear(5, DATA_FEW, 8);
    check_export("docs", 20);
}

static void a_store_open_for_reading_can_export(void **state)
{
    (void)state;
    create("docs", 5, WG_DOT);
    wear(5, DATA_FEW, 8);
    wg_collection_close(&collection);
    wg_store_close(&store);
    snprintf(other, sizeof other, "%s/store", folder);
    must_ok(open_file(other, &store));
    must_ok(wg_collection_open(store, "docs", &collection));
    snprintf(other, sizeof other, "%s/y.waggle", folder);
    check_export("docs", 20);
}

/* --- while it is written --- */

enum { LIVELY = 400, LIVELY_DIM = 8, LIVELY_EXPORTS = 100 };
static atomic_bool stop;

/* Batch n gives every point a vector of n, and at times takes some points away for a batch. */
static void *write_on(void *unused)
{
    (void)unused;
    static float vectors[LIVELY * LIVELY_DIM];
    static wg_id ids[LIVELY];
    wg_batch batch;
    wg_batch_init(&batch);
    for (size_t i = 0; i < LIVELY; i++) wg_id_from_number(i, &ids[i]);
    for (size_t n = 1; !stop; n++) {
        for (size_t i = 0; i < LIVELY * LIVELY_DIM; i++) vectors[i] = (float)n;
        batch.count = n % 3 ? LIVELY : LIVELY / 2;
        batch.ids = ids, batch.vectors = vectors;
        must_ok(wg_collection_clear(collection));
        must_ok(wg_collection_upsert(collection, LIVELY_DIM, &batch));
        if (n % 4 == 0) must_ok(wg_collection_delete(collection, ids + 10, 5, NULL));
        if (n % 16 == 0) must_ok(wg_collection_compact(collection, NULL));
    }
    return NULL;
}

static void check_one_batch(wg_collection *copy)
{
    wg_points *points = NULL;
    wg_collection_info info = info_of(copy);
    must_ok(wg_collection_scroll(copy, NULL, LIVELY, WG_WITH_VECTOR, &points));
    size_t count = wg_points_count(points);
    must(count == info.count, "%zu points, %zu counted", count, (size_t)info.count);
    must(count == 0 || count == LIVELY || count == LIVELY / 2 || count == LIVELY - 5 ||
             count == LIVELY / 2 - 5,
         "%zu points", count);
    for (size_t i = 0; i < count; i++) {
        const wg_point *first = wg_points_at(points, 0), *point = wg_points_at(points, i);
        must(point->version == first->version, "two batches in one");
        for (size_t d = 0; d < LIVELY_DIM; d++)
            must(point->vector[d] == first->vector[0], "vectors of two batches");
    }
    wg_points_destroy(&points);
}

static void it_is_of_one_moment(void **state)
{
    (void)state;
    pthread_t writer;
    uint64_t latest = 0;
    use_memory(); /* more writes */
    create("docs", LIVELY_DIM, WG_EUCLIDEAN);
    stop = false;
    must(pthread_create(&writer, NULL, write_on, NULL) == 0, "no thread");
    for (size_t i = 0; i < LIVELY_EXPORTS; i++) {
        uint64_t before = info_of(collection).sequence;
        must_ok(export_to(path, i % 2 ? 100 : 0));
        uint64_t after = info_of(collection).sequence;
        must(content_problems(context, path) == 0, "verify finds problems");
        struct copy copy = open_copy(path, "docs");
        uint64_t sequence = info_of(copy.collection).sequence;
        must(sequence >= before && sequence <= after, "of another moment");
        latest = sequence > latest ? sequence : latest;
        check_one_batch(copy.collection);
        close_copy(&copy);
        unlink(path);
    }
    stop = true;
    pthread_join(writer, NULL);
    printf("%d exports beside %zu writes\n", LIVELY_EXPORTS, (size_t)latest);
    check_export("docs", 0);
}

static int set_up(void **state)
{
    (void)state;
    prng.state = test_seed();
    folder = scratch_create();
    snprintf(other, sizeof other, "%s/store", folder);
    context = test_context(NULL, 2);
    must_ok(wg_store_open(context, other, NULL, &store));
    snprintf(path, sizeof path, "%s/x.waggle", folder);
    snprintf(other, sizeof other, "%s/y.waggle", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_using();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_copy_is_equal),
        TEST(many_rows_keep_their_order),
        TEST(an_empty_collection_is_one_too),
        TEST(large_dimensions_and_payloads),
        TEST(it_is_a_store_with_one_collection),
        TEST(a_renamed_collection_has_its_new_name),
        TEST(nothing_can_be_written),
        TEST(what_stands_in_the_way_stays),
        TEST(anybody_may_open_it),
        TEST(an_export_of_a_store_in_memory),
        TEST(a_store_open_for_reading_can_export),
        TEST(it_is_of_one_moment),
        TEST(what_was_killed_is_removed),
        TEST(only_what_was_left_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
