/* Codes of a collection's rows: when they come, that they follow writes, compaction and opening,
 * how they are kept beside the rows and switched off, and that they change no answer. That they are
 * right is coded_scan_test's, what is in their files codes_file_test's. */
#include "base/mem.h"
#include "kernel/kernel.h"
#include "os/file.h"
#include "support/check.h"
#include "support/data.h"
#include "support/scratch.h"
#include "support/types.h"
#include "waggle/maintain.h"
#include "waggle/search.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIM = 24, ROWS = 6000, LEFT_MAX = 1024 + 32 };

static char path[SCRATCH_PATH_SIZE + 24];
static float vectors[ROWS * DIM];
static wg_context *context;
static wg_store *store;
static wg_collection *collection;
static atomic_uint line_count; /* in the log */

static void count_line(void *user, wg_log_level level, const char *line)
{
    (void)user, (void)level;
    print_message("log: %s\n", line);
    line_count++;
}

static wg_context *make_context(void)
{
    wg_context *made = NULL;
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = 2;
    params.log = count_line;
    params.cpu = getenv("WAGGLE_TEST_CPU");
    wg_err err = wg_context_create(&params, &made);
    if (err == WG_ECONFIG && params.cpu) exit(77); /* as test_context does */
    must_ok(err);
    return made;
}

static void open_as(bool read_only, uint32_t open_limit)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.read_only = read_only;
    params.open_limit = open_limit;
    context = make_context();
    must_ok(wg_store_open(context, path, &params, &store));
    must_ok(wg_collection_open(store, "c", &collection));
}

static void open_collection(void)
{
    open_as(false, 64);
}

static void close_collection(void)
{
    wg_collection_close(&collection);
    wg_store_close(&store);
    wg_context_destroy(&context);
}

/* The type of collections that are made from here on. */
static wg_type type;

static void create_as(wg_metric metric, bool codes)
{
    struct prng prng = { test_seed() };
    wg_collection_params params;
    snprintf(path, sizeof path, "%s/s", scratch_create());
    data_fill(&prng, DATA_UNIT, ROWS, DIM, vectors);
    test_type_fit(type, ROWS * DIM, vectors);
    context = make_context();
    must_ok(wg_store_open(context, path, NULL, &store));
    wg_collection_params_init(&params);
    params.codes = codes;
    params.dim = DIM;
    params.metric = metric;
    params.type = type;
    params.history = 0;
    must_ok(wg_collection_create(store, "c", &params));
    must_ok(wg_collection_open(store, "c", &collection));
}

static void create(wg_metric metric)
{
    create_as(metric, true);
}

static void upsert(size_t first, size_t count)
{
    wg_id *ids = allocate(count, sizeof *ids);
    wg_batch batch;
    for (size_t i = 0; i < count; i++) wg_id_from_number(first + i, &ids[i]);
    wg_batch_init(&batch);
    batch.count = count;
    batch.ids = ids;
    batch.vectors = vectors + first * DIM;
    must_ok(wg_collection_upsert(collection, DIM, &batch));
    free(ids);
}

static wg_collection_info info(void)
{
    wg_collection_info now;
    wg_collection_info_init(&now);
    must_ok(wg_collection_info_get(collection, &now));
    return now;
}

/* The ids of ten queries' hits, one after the other. */
static void search(uint64_t found[100])
{
    wg_searcher *searcher = NULL;
    wg_search_params params;
    must_ok(wg_searcher_create(collection, &searcher));
    wg_search_params_init(&params);
    params.queries = vectors;
    params.query_count = 10;
    params.dim = DIM;
    must_ok(wg_searcher_run(searcher, &params));
    for (size_t q = 0; q < 10; q++) {
        size_t count;
        const wg_hit *hits = wg_searcher_hits(searcher, q, &count);
        must(count == 10, "%zu hits", count);
        for (size_t i = 0; i < 10; i++) found[q * 10 + i] = hits[i].id.as.number;
    }
    wg_searcher_destroy(&searcher);
}

/* All but what is too little; within a minute. */
static void await_codes(void)
{
    struct timespec pause = { 0, 2000000 };
    for (size_t i = 0; i < 30000; i++) {
        wg_collection_info now = info();
        if (now.coded_row_count + LEFT_MAX * now.segment_count > now.row_count &&
            now.coded_row_count > 0)
            return;
        nanosleep(&pause, NULL);
    }
    must(false, "the rows are not coded");
}

static void codes_follow_the_rows(void **state)
{
    (void)state;
    uint64_t before[100], after[100];
    create(WG_EUCLIDEAN);
    upsert(0, 900); /* too few */
    search(before);
    assert_int_equal(info().coded_row_count, 0);
    assert_int_equal(info().code_bytes, 0);
    upsert(900, 2000);
    await_codes();
    uint64_t few = info().coded_row_count;
    upsert(2900, ROWS - 2900);
    await_codes();
    assert_true(info().coded_row_count > few && info().coded_row_count <= ROWS);
    assert_true(info().code_bytes >= info().coded_row_count * (DIM + sizeof(float)));
    search(before);
    close_collection();
    open_collection();
    assert_int_equal(info().coded_row_count, 0); /* until they are searched */
    assert_int_equal(info().code_bytes, 0);
    search(after);
    assert_memory_equal(after, before, sizeof after);
    await_codes();
    search(after);
    assert_memory_equal(after, before, sizeof after);
    close_collection();
}

/* --- kept beside the rows --- */

static void pause_a_little(void)
{
    struct timespec pause = { 0, 100000000 };
    nanosleep(&pause, NULL);
}

static const char *in_collection(const char *name)
{
    static char at[SCRATCH_PATH_SIZE + 80];
    snprintf(at, sizeof at, "%s/c-1/%s", path, name);
    return at;
}

/* A store of all rows, with their codes in a file, closed; *answer: what a search finds. */
static void make_kept(uint64_t answer[100])
{
    create(WG_COSINE);
    upsert(0, ROWS);
    await_codes();
    search(answer);
    close_collection();
    assert_true(file_exists(in_collection("0-0.codes")));
    line_count = 0;
}

static void must_find(const uint64_t expected[100])
{
    uint64_t found[100];
    search(found);
    assert_memory_equal(found, expected, sizeof found);
}

static void the_first_search_takes_them(void **state)
{
    (void)state;
    uint64_t expected[100];
    make_kept(expected);
    for (int read_only = 0; read_only < 2; read_only++) {
        open_as(read_only, 64);
        wg_collection_info before = info();
        assert_int_equal(before.coded_row_count, 0);
        assert_true(before.code_file_bytes > before.row_count * DIM);
        must_find(expected);
        wg_collection_info after = info();
        assert_true(after.coded_row_count + PANEL_ROWS > ROWS);
        assert_true(after.code_bytes > after.coded_row_count * DIM);
        close_collection();
        open_as(read_only, 64);
        assert_int_equal(info().code_file_bytes, before.code_file_bytes);
        close_collection();
    }
    assert_int_equal(line_count, 0);
}

/* Without a file: two searches code nothing, the third one begins to. */
static void who_searches_once_makes_none(void **state)
{
    (void)state;
    uint64_t expected[100];
    make_kept(expected);
    for (int read_only = 1; read_only >= 0; read_only--) {
        assert_ok(file_remove(in_collection("0-0.codes")));
        open_as(read_only, 64);
        for (int i = 0; i < 2; i++) must_find(expected);
        pause_a_little();
        assert_int_equal(info().coded_row_count, 0);
        must_find(expected);
        await_codes();
        must_find(expected);
        close_collection();
        assert_int_equal(file_exists(in_collection("0-0.codes")), !read_only);
        if (read_only) { /* who reads keeps none */
            open_collection();
            for (int i = 0; i < 3; i++) must_find(expected);
            await_codes();
            close_collection();
        }
    }
    /* Nor does who writes a little. */
    assert_ok(file_remove(in_collection("0-0.codes")));
    open_collection();
    upsert(0, 500);
    pause_a_little();
    assert_int_equal(info().coded_row_count, 0);
    close_collection();
    assert_false(file_exists(in_collection("0-0.codes")));
}

static void spoil(uint64_t at)
{
    struct file file = { 0 };
    uint8_t byte;
    must_ok(file_open(in_collection("0-0.codes"), FILE_READ_WRITE, &file));
    must_ok(file_read_at(&file, &byte, 1, at));
    byte ^= 4;
    must_ok(file_write_at(&file, &byte, 1, at));
    file_close(&file);
}

struct said {
    size_t count, of_caches;
};

static void count_problem(void *user, const char *problem)
{
    struct said *said = user;
    said->count++;
    said->of_caches += strncmp(problem, "cache: collection \"c\": ", 23) == 0 &&
                       strstr(problem, "0-0.codes") != NULL;
}

static struct said verify(void)
{
    struct said said = { 0 };
    uint64_t problem_count;
    wg_context *of_verify = make_context();
    assert_ok(wg_store_verify(of_verify, path, NULL, count_problem, &said, &problem_count));
    assert_int_equal(problem_count, said.count - said.of_caches);
    wg_context_destroy(&of_verify);
    return said;
}

static void damaged_ones_are_made_anew(void **state)
{
    (void)state;
    uint64_t expected[100];
    static const uint64_t places[] = { 3, 8, 70, 4100, 8200, 100000 };
    make_kept(expected);
    assert_int_equal(verify().count, 0);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        spoil(places[i]);
        struct said said = verify();
        assert_int_equal(said.count, 1);
        assert_int_equal(said.of_caches, 1);
        line_count = 0;
        open_collection();
        must_find(expected);
        assert_int_equal(info().coded_row_count, 0);
        for (int n = 0; n < 3; n++) must_find(expected);
        await_codes();
        must_find(expected);
        close_collection();
        assert_int_equal(line_count, 1);
        assert_int_equal(verify().count, 0);
    }
}

static void what_is_left_over_is_swept(void **state)
{
    (void)state;
    uint64_t expected[100];
    char kept[SCRATCH_PATH_SIZE + 80];
    static const char *const left[] = { "0-99.codes", "0-0.codes.tmp", "0-99.codes.tmp" };
    make_kept(expected);
    snprintf(kept, sizeof kept, "%s", in_collection("0-0.codes"));
    for (size_t i = 0; i < 3; i++) must_ok(file_link(kept, in_collection(left[i])));
    open_as(true, 64); /* by none who reads */
    close_collection();
    for (size_t i = 0; i < 3; i++) assert_true(file_exists(in_collection(left[i])));
    open_collection();
    for (size_t i = 0; i < 3; i++) assert_false(file_exists(in_collection(left[i])));
    assert_true(file_exists(kept));
    must_find(expected);
    assert_true(info().coded_row_count > 0);
    assert_ok(wg_collection_clear(collection));
    close_collection();
    assert_false(file_exists(kept));
}

static void copies_have_none(void **state)
{
    (void)state;
    uint64_t expected[100];
    char copy[sizeof path + 8], original[sizeof path];
    make_kept(expected);
    snprintf(copy, sizeof copy, "%s2", path);
    open_collection();
    assert_ok(wg_store_snapshot(store, copy));
    close_collection();
    memcpy(original, path, sizeof original);
    snprintf(path, sizeof path, "%.*s", (int)sizeof path - 1, copy);
    assert_false(file_exists(in_collection("0-0.codes")));
    open_collection();
    assert_int_equal(info().code_file_bytes, 0);
    must_find(expected);
    close_collection();
    memcpy(path, original, sizeof path);
    assert_int_equal(verify().count, 0);
}

/* A collection that is closed for another one's sake. */
static void closing_gives_the_memory_back(void **state)
{
    (void)state;
    uint64_t expected[100];
    wg_collection *other = NULL;
    wg_collection_params params;
    make_kept(expected);
    open_as(false, 1);
    wg_collection_params_init(&params);
    params.dim = DIM;
    assert_ok(wg_collection_create(store, "d", &params));
    assert_ok(wg_collection_open(store, "d", &other));
    must_find(expected); /* of c: d is closed */
    size_t with_codes = mem_in_use();
    assert_true(info().code_bytes > 0);
    assert_int_equal(wg_collection_count(other), 0); /* c is */
    assert_int_equal(info().coded_row_count, 0);     /* and open again */
    assert_int_equal(info().code_bytes, 0);
    assert_true(mem_in_use() + 6 <= with_codes);
    must_find(expected);
    assert_true(info().coded_row_count > 0);
    wg_collection_close(&other);
    close_collection();
}

/* --- switched off --- */

static void they_are_switched_off_and_on(void **state)
{
    (void)state;
    uint64_t expected[100];
    create_as(WG_DOT, false);
    upsert(0, ROWS);
    search(expected);
    for (int i = 0; i < 4; i++) must_find(expected);
    pause_a_little();
    assert_int_equal(info().coded_row_count, 0);
    assert_false(info().codes);
    uint64_t sequence = info().sequence;
    close_collection();
    open_collection();
    assert_false(info().codes);
    assert_ok(wg_collection_set_codes(collection, true));
    assert_true(info().codes);
    for (int i = 0; i < 3; i++) must_find(expected);
    await_codes();
    must_find(expected);
    close_collection();
    assert_true(file_exists(in_collection("0-0.codes")));
    open_collection();
    assert_ok(wg_collection_set_codes(collection, false));
    assert_false(info().codes);
    assert_int_equal(info().code_file_bytes, 0);
    for (int i = 0; i < 4; i++) must_find(expected);
    pause_a_little();
    assert_int_equal(info().coded_row_count, 0);
    assert_int_equal(info().sequence, sequence);
    close_collection();
    assert_false(file_exists(in_collection("0-0.codes")));
    open_as(true, 64);
    assert_false(info().codes);
    assert_err(WG_EREADONLY, "reading only", wg_collection_set_codes(collection, true));
    must_find(expected);
    close_collection();
    assert_int_equal(verify().count, 0);
}

/* While codes are on their way: none are left. */
static void they_are_switched_off_meanwhile(void **state)
{
    (void)state;
    create(WG_EUCLIDEAN);
    for (int i = 0; i < 20; i++) {
        upsert(0, ROWS);
        assert_ok(wg_collection_set_codes(collection, false));
        assert_ok(wg_collection_set_codes(collection, i % 2 == 0));
    }
    assert_ok(wg_collection_set_codes(collection, false));
    close_collection();
    open_as(true, 64);
    assert_int_equal(info().code_file_bytes, 0);
    close_collection();
}

static void packed_rows_are_coded_anew(void **state)
{
    (void)state;
    uint64_t before[100], after[100];
    create(WG_COSINE);
    upsert(0, ROWS);
    upsert(0, ROWS / 2); /* half of the rows before are dead */
    await_codes();
    search(before);
    assert_ok(wg_collection_compact(collection, NULL));
    search(after);
    assert_memory_equal(after, before, sizeof after);
    await_codes();
    assert_int_equal(info().row_count, ROWS);
    search(after);
    assert_memory_equal(after, before, sizeof after);
    assert_ok(wg_collection_clear(collection));
    assert_int_equal(info().coded_row_count, 0);
    close_collection();
}

/* What was found before the rows were coded, by scores and ties, is found by codes. */
static void other_types_are_coded(void **state)
{
    (void)state;
    static const struct test_space spaces[] = {
        { WG_F16, WG_COSINE }, { WG_F16, WG_EUCLIDEAN }, { WG_U8, WG_COSINE }, { WG_U8, WG_DOT }
    };
    uint64_t before[100], after[100];
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        type = spaces[i].type;
        create(spaces[i].metric);
        upsert(0, ROWS);
        search(before);
        await_codes();
        search(after);
        assert_memory_equal(after, before, sizeof after);
        close_collection();
        open_collection(); /* now those that were kept beside the segments are read */
        search(after);
        assert_memory_equal(after, before, sizeof after);
        assert_true(info().coded_row_count > 0);
        close_collection();
    }
    type = WG_F32;
}

static void other_metrics_have_none(void **state)
{
    (void)state;
    uint64_t found[100];
    struct timespec pause = { 0, 2000000 };
    create(WG_MANHATTAN);
    upsert(0, ROWS);
    search(found);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(info().coded_row_count, 0);
        nanosleep(&pause, NULL);
    }
    close_collection();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_follow_the_rows),
        cmocka_unit_test(the_first_search_takes_them),
        cmocka_unit_test(who_searches_once_makes_none),
        cmocka_unit_test(damaged_ones_are_made_anew),
        cmocka_unit_test(what_is_left_over_is_swept),
        cmocka_unit_test(copies_have_none),
        cmocka_unit_test(closing_gives_the_memory_back),
        cmocka_unit_test(they_are_switched_off_and_on),
        cmocka_unit_test(they_are_switched_off_meanwhile),
        cmocka_unit_test(packed_rows_are_coded_anew),
        cmocka_unit_test(other_types_are_coded),
        cmocka_unit_test(other_metrics_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
