/* Exported files that were damaged, or are something else: an error, never a wrong point or a
 * crash. Exports that fail: nothing is left of them. */
#include "base/mem.h"
#include "store/record.h"
#include "support/check.h"
#include "support/child.h"
#include "support/model.h"
#include "support/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = SCRATCH_PATH_SIZE + 32, FLIPS = 600, CUTS = 60, KILLS = 8 };

static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static const char *folder;
static char path[PATH_SIZE];
static struct prng prng;
static struct model model;

static size_t count_files(const char *in)
{
    struct dirent **entries;
    int count = scandir(in, &entries, NULL, NULL);
    must(count >= 2, "cannot list %s", in);
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
    return (size_t)count - 2;
}

static void fill(void)
{
    struct prng ops = { 7 };
    size_t touched;
    for (size_t i = 0; i < 40; i++) {
        struct model_op op;
        model_op_make(&ops, MODEL_IDS, &op);
        if (op.kind == OP_CLEAR) continue;
        must_ok(model_op_run(&op, collection, &touched));
        model_apply(&model, &op);
    }
    must(model_count(&model) > 50, "only %zu points", model_count(&model));
}

static wg_err open_file(wg_store **out)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = true;
    return wg_store_open(context, path, &params, out);
}

/* --- damage --- */

static size_t file_bytes(void)
{
    struct stat status;
    must(stat(path, &status) == 0, "cannot look at %s", path);
    return (size_t)status.st_size;
}

static void change_byte(size_t place, unsigned char mask)
{
    unsigned char byte;
    int file = open(path, O_RDWR);
    must(file >= 0 && pread(file, &byte, 1, (off_t)place) == 1, "cannot read %s", path);
    byte ^= mask;
    must(pwrite(file, &byte, 1, (off_t)place) == 1, "cannot write %s", path);
    close(file);
}

/* A place that holds something: most of the file is holes. */
static size_t choose_place(size_t size)
{
    int file = open(path, O_RDONLY);
    unsigned char byte = 0;
    size_t place = 0;
    for (size_t tries = 0; byte == 0 && tries < 100000; tries++) {
        place = test_below(&prng, size);
        must(file >= 0 && pread(file, &byte, 1, (off_t)place) == 1, "cannot read %s", path);
    }
    close(file);
    return place;
}

/* Points by id and by scrolling are right, or an error says what is wrong. */
static void read_points(wg_collection *of)
{
    char why[MODEL_WHY_SIZE] = "";
    wg_points *points = NULL;
    wg_err err = WG_OK;
    for (size_t i = 0; i < MODEL_IDS; i++) {
        err = wg_collection_get(of, model_id(i), 1, WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points);
        must(err == WG_OK || err == WG_ECORRUPT, "%d: %s", err, wg_message());
        if (err != WG_OK) continue;
        must(model_has_point(&model, i, wg_points_at(points, 0), why), "%s", why);
        wg_points_destroy(&points);
    }
    err = wg_collection_scroll(of, NULL, MODEL_IDS, WG_WITH_VECTOR | WG_WITH_PAYLOAD, &points);
    must(err == WG_OK || err == WG_ECORRUPT, "%d: %s", err, wg_message());
    must(err != WG_OK || wg_points_count(points) == model_count(&model), "%zu points scrolled",
         err == WG_OK ? wg_points_count(points) : 0);
    wg_points_destroy(&points);
}

static void search(wg_collection *of)
{
    wg_searcher *searcher = NULL;
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = model.points[0].vector, params.query_count = 1, params.dim = MODEL_DIM;
    params.k = MODEL_IDS, params.with = WG_WITH_VECTOR | WG_WITH_PAYLOAD;
    must_ok(wg_searcher_create(of, &searcher));
    wg_err err = wg_searcher_run(searcher, &params);
    must(err == WG_OK || err == WG_ECORRUPT, "%d: %s", err, wg_message());
    wg_searcher_destroy(&searcher);
}

/* What came of a file: whether verify is clean. */
static bool use_file(void)
{
    wg_store *damaged = NULL;
    wg_collection *inner = NULL;
    uint64_t problems = 0;
    char why[MODEL_WHY_SIZE] = "";
    wg_err err = wg_store_verify(context, path, NULL, NULL, NULL, &problems);
    must(err == WG_OK || err == WG_EVERSION || err == WG_EINVAL, "%d: %s", err, wg_message());
    bool clean = err == WG_OK && problems == 0;
    err = open_file(&damaged);
    if (err == WG_OK) err = wg_collection_open(damaged, "docs", &inner);
    must(err == WG_OK || (!clean && wg_message()[0]), "verify is clean, and %d: %s", err,
         wg_message());
    if (err == WG_OK) {
        read_points(inner);
        search(inner);
        must(!clean || model_equals(&model, inner, why), "verify is clean, and %s", why);
    }
    wg_collection_close(&inner);
    wg_store_close(&damaged);
    return clean;
}

static void flipped_bits(void **state)
{
    (void)state;
    size_t clean = 0, size;
    must_ok(wg_collection_export(collection, path));
    must(use_file(), "a file without damage");
    size = file_bytes();
    for (size_t i = 0; i < FLIPS; i++) {
        size_t place = choose_place(size);
        unsigned char mask = (unsigned char)(1u << test_below(&prng, 8));
        change_byte(place, mask);
        clean += use_file();
        change_byte(place, mask);
    }
    printf("%d bits flipped in %zu bytes: %zu harmless\n", FLIPS, size, clean);
    assert_int_equal(clean, 0);
}

static void cut_off(void **state)
{
    (void)state;
    must_ok(wg_collection_export(collection, path));
    for (size_t i = 0, size = file_bytes(); i < CUTS && size > 0; i++) {
        size -= 1 + test_below(&prng, size < CUTS ? 1 : size / 20);
        must(truncate(path, (off_t)size) == 0, "cannot cut %s", path);
        must(!use_file(), "cut to %zu bytes, and clean", size);
    }
}

static void put_file(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    must(file && fwrite(bytes, 1, size, file) == size, "cannot write %s", path);
    fclose(file);
}

static void other_files(void **state)
{
    (void)state;
    static const char text[] =
        "WAGGLONE is how such a file begins, but it does not go on like this";
    wg_store *none = NULL;
    uint64_t problems;
    put_file("", 0);
    assert_err(WG_EINVAL, path, open_file(&none));
    assert_err(WG_EINVAL, path, wg_store_verify(context, path, NULL, NULL, NULL, &problems));
    put_file(text, sizeof text);
    assert_err(WG_EVERSION, path, open_file(&none)); /* of a version that is not known */
    put_file(text + 1, sizeof text - 1);
    assert_err(WG_EINVAL, "not an exported collection", open_file(&none));
    put_file(text, FORMAT_MAGIC_SIZE);
    assert_err(WG_ECORRUPT, "header", open_file(&none));
    assert_null(none);
}

/* --- exports that fail --- */

/* Where a live row of the original stands in its segment. */
static void find_row(void *user, const char *file, size_t size)
{
    const struct model_point *point = model.points;
    while (!point->alive) point++;
    char *bytes = allocate(size, 1), *found = NULL;
    int fd = open(file, O_RDWR);
    must(fd >= 0 && pread(fd, bytes, size, 0) == (ssize_t)size, "cannot read %s", file);
    if (strstr(file, ".seg"))
        found = memmem(bytes, size, point->vector, MODEL_DIM * sizeof *point->vector);
    if (found) {
        *(bool *)user = true;
        *found ^= 4;
        must(pwrite(fd, found, 1, found - bytes) == 1, "cannot write %s", file);
    }
    close(fd);
    free(bytes);
}

static void damage_is_not_carried_on(void **state)
{
    (void)state;
    char original[PATH_SIZE];
    bool found = false;
    snprintf(original, sizeof original, "%s/store", folder);
    scratch_each_file(original, find_row, &found);
    assert_true(found);
    size_t files = count_files(folder);
    assert_err(WG_ECORRUPT, "checksum", wg_collection_export(collection, path));
    assert_int_equal(count_files(folder), files);
}

static void without_memory(void **state)
{
    (void)state;
    size_t before = mem_in_use(), files = count_files(folder), request = 1;
    for (wg_err err = WG_ENOMEM; err != WG_OK; request++) {
        mem_fail_at(request);
        err = wg_collection_export(collection, path);
        mem_fail_at(0);
        must(err == WG_OK || err == WG_ENOMEM, "%d: %s", err, wg_message());
        must(mem_in_use() == before, "request %zu: allocations are left", request);
        must(count_files(folder) == files + (err == WG_OK), "request %zu: files are left", request);
    }
    assert_true(request > 20);
    wg_store *copy = NULL;
    request = 1;
    for (wg_err err = WG_ENOMEM; err != WG_OK; request++) {
        mem_fail_at(request);
        wg_collection *inner = NULL;
        err = open_file(&copy);
        if (err == WG_OK) err = wg_collection_open(copy, "docs", &inner);
        mem_fail_at(0);
        must(err == WG_OK || err == WG_ENOMEM, "%d: %s", err, wg_message());
        wg_collection_close(&inner);
        wg_store_close(&copy);
        must(mem_in_use() == before, "request %zu: allocations are left", request);
    }
    assert_true(request > 20);
    assert_true(use_file());
}

/* On a disk of so many bytes; returns whether there was room. */
static bool export_to_disk(const char *disk, size_t bytes)
{
    char options[64], file[2 * PATH_SIZE];
    snprintf(options, sizeof options, "size=%zu", bytes);
    must(mount("none", disk, "tmpfs", 0, options) == 0, "cannot mount: %s", strerror(errno));
    snprintf(file, sizeof file, "%s/x.waggle", disk);
    wg_err err = wg_collection_export(collection, file);
    must(err == WG_OK || err == WG_ENOSPC, "%d: %s", err, wg_message());
    must(count_files(disk) == (err == WG_OK), "%zu files", count_files(disk));
    must(umount(disk) == 0, "cannot unmount");
    return err == WG_OK;
}

static void fill_disks(struct child *parent, void *arg)
{
    (void)arg;
    char disk[PATH_SIZE];
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        child_say(parent, 'n');
        return;
    }
    snprintf(disk, sizeof disk, "%s/disk", folder);
    must(mkdir(disk, 0755) == 0, "no folder");
    context = test_context(NULL, 1);
    must_ok(wg_store_open(context, NULL, NULL, &store));
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM, params.metric = model.metric;
    must_ok(wg_collection_create(store, "docs", &params));
    must_ok(wg_collection_open(store, "docs", &collection));
    fill();
    size_t bytes = 4096;
    while (!export_to_disk(disk, bytes)) bytes += 4096;
    must(bytes > 10 * 4096, "%zu bytes were enough", bytes);
    must(rmdir(disk) == 0, "the folder stays");
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
    child_say(parent, 'y');
}

static void stop_using(void)
{
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

static void on_a_full_disk(void **state)
{
    (void)state;
    struct child child;
    stop_using();
    model = (struct model){ .metric = model.metric };
    child_begin(&child, fill_disks, NULL);
    bool tried = child_hear(&child) == 'y';
    child_end(&child);
    if (tried) return;
    printf("cannot mount here: not tried\n");
    skip();
}

static void export_for_ever(struct child *parent, void *arg)
{
    context = test_context(NULL, 1);
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = true;
    must_ok(wg_store_open(context, arg, &params, &store));
    must_ok(wg_collection_open(store, "docs", &collection));
    child_say(parent, 'b');
    for (;;) {
        unlink(path);
        must_ok(wg_collection_export(collection, path));
        usleep(3000);
    }
}

/* The file is whole, or not there. */
static void killed(void **state)
{
    (void)state;
    char original[PATH_SIZE];
    size_t there = 0;
    snprintf(original, sizeof original, "%s/store", folder);
    stop_using();
    for (size_t i = 0; i < KILLS; i++) {
        struct child child;
        child_begin(&child, export_for_ever, original);
        must(child_hear(&child) == 'b', "not begun");
        usleep((useconds_t)test_below(&prng, 30000));
        child_kill(&child);
        context = test_context(NULL, 1);
        if (access(path, F_OK) == 0) {
            must(use_file(), "the file is damaged");
            there++;
        }
        wg_context_destroy(&context);
    }
    printf("%d exports killed: %zu times a whole file was there\n", KILLS, there);
}

static int set_up(void **state)
{
    (void)state;
    char name[PATH_SIZE];
    prng.state = test_seed();
    model = (struct model){ .metric = WG_EUCLIDEAN };
    folder = scratch_create();
    snprintf(path, sizeof path, "%s/x.waggle", folder);
    snprintf(name, sizeof name, "%s/store", folder);
    context = test_context(NULL, 1);
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = MODEL_DIM, params.metric = model.metric;
    must_ok(wg_store_open(context, name, NULL, &store));
    must_ok(wg_collection_create(store, "docs", &params));
    must_ok(wg_collection_open(store, "docs", &collection));
    fill();
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
        TEST(flipped_bits),   TEST(cut_off),
        TEST(other_files),    TEST(damage_is_not_carried_on),
        TEST(without_memory), TEST(on_a_full_disk),
        TEST(killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
