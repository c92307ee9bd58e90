/* Wrong inputs to the functions that write no points: each is refused with its code and a message
 * that names the offending thing. The writes and searches are in api_writes_test.c. */
#include "device/tier.h"
#include "support/check.h"
#include "support/content.h"
#include "support/scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static wg_context *context;
static const float refused_values[] = {
    NAN, -NAN, INFINITY, -INFINITY, 1e16f, -1e16f, 1.0000001e15f
};

static const char *const not_utf8[] = {
    "\xff",             /* never a byte of it */
    "a\xc3",            /* cut off */
    "\xe2\x82",         /* cut off */
    "\xc0\xaf",         /* longer than need be */
    "\xe0\x80\xaf",     /* longer than need be */
    "\xed\xa0\x80",     /* a surrogate */
    "\xf4\x90\x80\x80", /* beyond U+10FFFF */
    "\x80tail",         /* a tail without its head */
};

/* --- errors and metrics --- */

static void test_every_error_has_texts(void **state)
{
    (void)state;
#define X(name, value, http, text)                            \
    assert_string_equal(wg_err_name(WG_##name), "WG_" #name); \
    assert_string_equal(wg_err_text(WG_##name), text);        \
    assert_int_equal(wg_err_http(WG_##name), http);           \
    assert_int_equal(WG_##name, value);
    WG_ERRORS(X)
#undef X
    assert_non_null(wg_err_name((wg_err)-999));
    assert_non_null(wg_err_text((wg_err)-999));
    assert_non_null(wg_err_text((wg_err)1));
    assert_non_null(wg_message());
}

static void test_metric_names(void **state)
{
    (void)state;
    static const char *const names[] = { "cosine",    "dot",       "euclidean",
                                         "manhattan", "chebyshev", "hamming" };
    for (int m = 0; m < 6; m++) {
        wg_metric metric = (wg_metric)99;
        assert_string_equal(wg_metric_name((wg_metric)m), names[m]);
        assert_ok(wg_metric_parse(names[m], &metric));
        assert_int_equal(metric, m);
    }
    assert_null(wg_metric_name((wg_metric)6));
    assert_null(wg_metric_name((wg_metric)-1));
    static const char *const wrong[] = { "", "l2", "cosin", "cosine ", "cosinee", "dott" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wg_metric metric = WG_MANHATTAN;
        assert_err(WG_EINVAL, "chebyshev", wg_metric_parse(wrong[i], &metric));
        assert_int_equal(metric, WG_MANHATTAN); /* results are written only on success */
    }
    wg_metric metric;
    assert_err(WG_EINVAL, "jaccard", wg_metric_parse("jaccard", &metric));
}

/* --- contexts and devices --- */

static void test_context_params(void **state)
{
    (void)state;
    wg_context_params params;
    wg_context *made = NULL;
    wg_context_params_init(&params);
    assert_int_equal(params.size, sizeof params);
    assert_true(params.fallback_to_cpu);
    params.cpu = "sse9";
    assert_err(WG_ECONFIG, "sse9", wg_context_create(&params, &made));
    params.cpu = "";
    assert_err(WG_ECONFIG, "", wg_context_create(&params, &made));
    params.cpu = NULL;
    params.backend = "abacus";
    assert_err(WG_ECONFIG, "abacus", wg_context_create(&params, &made));
    params.backend = "cpu";
    assert_ok(wg_context_create(&params, &made));
    wg_context_destroy(&made);
    assert_null(made);
    assert_ok(wg_context_create(NULL, &made));
    assert_true(wg_context_threads(made) >= 1);
    wg_context_destroy(&made);
}

static void the_tiers_of_this_processor_have_names(void **state)
{
    (void)state;
    size_t count = 0;
    assert_string_equal(wg_cpu_tier_name(0), "c");
    for (; wg_cpu_tier_name(count); count++) {
        wg_context_params params;
        wg_context *made = NULL;
        wg_context_params_init(&params);
        params.cpu = wg_cpu_tier_name(count);
        assert_ok(wg_context_create(&params, &made));
        assert_string_equal(wg_context_cpu(made), params.cpu);
        wg_context_destroy(&made);
    }
    assert_string_equal(wg_cpu_tier_name(count - 1), cpu_tier_name(tier_best(true)));
    assert_null(wg_cpu_tier_name(count + 1));
    assert_null(wg_cpu_tier_name(SIZE_MAX));
}

/* For programs that ask for none, as the runs of the suite with a lower tier alone do. */
static void the_environment_names_a_tier(void **state)
{
    (void)state;
    const char *before = getenv("WAGGLE_CPU");
    char *kept = before ? strdup(before) : NULL;
    wg_context_params params;
    wg_context *made = NULL;
    wg_context_params_init(&params);
    assert_int_equal(setenv("WAGGLE_CPU", "sse9", 1), 0);
    assert_err(WG_ECONFIG, "WAGGLE_CPU: there is no tier \"sse9\"", wg_context_create(NULL, &made));
    params.cpu = "c"; /* what the program says comes first */
    assert_ok(wg_context_create(&params, &made));
    wg_context_destroy(&made);
    assert_int_equal(setenv("WAGGLE_CPU", "c", 1), 0);
    assert_ok(wg_context_create(NULL, &made));
    assert_string_equal(wg_context_cpu(made), "c");
    wg_context_destroy(&made);
    assert_int_equal(kept ? setenv("WAGGLE_CPU", kept, 1) : unsetenv("WAGGLE_CPU"), 0);
    free(kept);
}

/* A size that no version of the struct had is refused, and the message says so. */
#define assert_sizes_refused(params, call)     \
    do {                                       \
        size_t right = (params).size;          \
        (params).size = 0;                     \
        assert_err(WG_EINVAL, "size", (call)); \
        (params).size = 7;                     \
        assert_err(WG_EINVAL, "size", (call)); \
        (params).size = right + 4096;          \
        assert_err(WG_EINVAL, "size", (call)); \
        (params).size = right;                 \
    } while (0)

static void test_struct_sizes(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/s", scratch_create());
    wg_context_params of_context;
    wg_context_params_init(&of_context);
    wg_context *made = NULL;
    assert_sizes_refused(of_context, wg_context_create(&of_context, &made));

    wg_store_params of_store;
    wg_store_params_init(&of_store);
    assert_true(of_store.create && !of_store.read_only);
    wg_store *store = NULL;
    assert_sizes_refused(of_store, wg_store_open(context, path, &of_store, &store));
    assert_int_not_equal(access(path, F_OK), 0); /* nothing was made by the refused ones */
    assert_ok(wg_store_open(context, path, NULL, &store));

    wg_collection_params of_collection;
    wg_collection_params_init(&of_collection);
    assert_int_equal(of_collection.metric, WG_COSINE);
    of_collection.dim = 3;
    assert_sizes_refused(of_collection, wg_collection_create(store, "c", &of_collection));
    wg_collection *collection = NULL;
    assert_err(WG_ENOTFOUND, "c", wg_collection_open(store, "c", &collection));
    assert_ok(wg_collection_create(store, "c", &of_collection));
    assert_ok(wg_collection_open(store, "c", &collection));

    wg_collection_info info;
    wg_collection_info_init(&info);
    assert_sizes_refused(info, wg_collection_info_get(collection, &info));
    wg_collection_close(&collection);
    wg_store_close(&store);

    wg_device_info of_device;
    wg_device_info_init(&of_device);
    assert_sizes_refused(of_device, wg_device_get(context, 0, &of_device));
    wg_backend_info of_backend;
    wg_backend_info_init(&of_backend);
    assert_sizes_refused(of_backend, wg_backend_get(context, 0, &of_backend));
    wg_knn_params of_knn;
    wg_knn_params_init(&of_knn);
    assert_int_equal(of_knn.k, 10);
    of_knn.dim = 3;
    assert_sizes_refused(of_knn, wg_knn(context, &of_knn, NULL, NULL));
}

/* An init writes no more than the size it is told, whatever the library's own struct is. */
static void test_init_keeps_to_the_size(void **state)
{
    (void)state;
    struct {
        wg_knn_params params;
        unsigned char guard[64];
    } room;
    memset(&room, 0xa5, sizeof room);
    wg_knn_params_init_sized(&room.params, offsetof(wg_knn_params, dim));
    const unsigned char *bytes = (const unsigned char *)&room;
    for (size_t i = offsetof(wg_knn_params, dim); i < sizeof room; i++)
        assert_int_equal(bytes[i], 0xa5);
    assert_int_equal(room.params.size, offsetof(wg_knn_params, dim));
    wg_knn_params_init(&room.params);
    for (size_t i = 0; i < sizeof room.guard; i++) assert_int_equal(room.guard[i], 0xa5);
}

static void test_devices(void **state)
{
    (void)state;
    size_t count = wg_device_count(context);
    assert_true(count >= 1);
    wg_device_info device;
    wg_device_info_init(&device);
    assert_ok(wg_device_get(context, count - 1, &device));
    assert_string_equal(device.backend, "cpu");
    assert_int_equal(device.state, WG_DEVICE_READY);
    assert_err(WG_ENODEVICE, "", wg_device_get(context, count, &device));
    assert_err(WG_ENODEVICE, "", wg_device_get(context, SIZE_MAX, &device));
    wg_backend_info backend;
    wg_backend_info_init(&backend);
    for (size_t i = 0; i < wg_backend_count(context); i++) {
        assert_ok(wg_backend_get(context, i, &backend));
        assert_true(strlen(backend.name) > 0);
        assert_true(backend.device_count > 0 || strlen(backend.reason) > 0);
    }
    assert_true(wg_backend_get(context, wg_backend_count(context), &backend) != WG_OK);
}

static void test_null_is_ended_gladly(void **state)
{
    (void)state;
    wg_context *no_context = NULL;
    wg_cancel *no_cancel = NULL;
    wg_store *no_store = NULL;
    wg_collection *no_collection = NULL;
    wg_points *no_points = NULL;
    wg_searcher *no_searcher = NULL;
    wg_context_destroy(&no_context);
    wg_cancel_destroy(&no_cancel);
    wg_store_close(&no_store);
    wg_collection_close(&no_collection);
    wg_points_destroy(&no_points);
    wg_searcher_destroy(&no_searcher);
}

/* --- knn --- */

enum { ROWS = 23, QUERIES = 21, DIM = 19 };

static float rows[ROWS * DIM], queries[QUERIES * DIM];
static uint64_t found[QUERIES * 3];
static float scores[QUERIES * 3];

static wg_knn_params knn_of_ones(void)
{
    for (size_t i = 0; i < ROWS * DIM; i++) rows[i] = 1;
    for (size_t i = 0; i < QUERIES * DIM; i++) queries[i] = 1;
    wg_knn_params params;
    wg_knn_params_init(&params);
    params.metric = WG_DOT, params.k = 3, params.dim = DIM;
    params.rows = rows, params.row_count = ROWS;
    params.queries = queries, params.query_count = QUERIES;
    return params;
}

static void test_knn_components(void **state)
{
    (void)state;
    for (int metric = 0; metric < 5; metric++)
        for (size_t v = 0; v < sizeof refused_values / sizeof *refused_values; v++) {
            wg_knn_params params = knn_of_ones();
            params.metric = (wg_metric)metric;
            rows[17 * DIM + 13] = refused_values[v];
            assert_err(WG_EINVAL, "17", wg_knn(context, &params, found, scores));
            assert_non_null(strstr(wg_message(), "13"));
            assert_non_null(strstr(wg_message(), "row"));
            params = knn_of_ones();
            params.metric = (wg_metric)metric;
            queries[(size_t)18 * DIM + 14] = refused_values[v];
            assert_err(WG_EINVAL, "18", wg_knn(context, &params, found, scores));
            assert_non_null(strstr(wg_message(), "14"));
            assert_non_null(strstr(wg_message(), "quer"));
        }
    wg_knn_params params = knn_of_ones();
    rows[0] = WG_COMPONENT_MAX, queries[0] = -WG_COMPONENT_MAX;
    assert_ok(wg_knn(context, &params, found, scores));
    for (size_t i = 0; i < ROWS * DIM; i++) { /* wherever it stands */
        params = knn_of_ones();
        rows[i] = NAN;
        assert_err(WG_EINVAL, "", wg_knn(context, &params, found, scores));
    }
}

static void test_knn_arguments(void **state)
{
    (void)state;
    wg_knn_params params = knn_of_ones();
    params.k = 0;
    assert_err(WG_EINVAL, "k", wg_knn(context, &params, found, scores));
    params = knn_of_ones();
    params.dim = 0;
    assert_err(WG_EDIM, "0", wg_knn(context, &params, found, scores));
    params.dim = WG_DIM_MAX + 1;
    assert_err(WG_EDIM, "65537", wg_knn(context, &params, found, scores));
    params.dim = SIZE_MAX / 2;
    assert_err(WG_EDIM, "", wg_knn(context, &params, found, scores));
    params = knn_of_ones();
    params.metric = (wg_metric)77;
    assert_err(WG_EINVAL, "metric", wg_knn(context, &params, found, scores));
    params = knn_of_ones();
    params.row_count = 0;
    assert_ok(wg_knn(context, &params, found, scores));
    for (size_t i = 0; i < QUERIES * 3; i++) {
        assert_true(found[i] == WG_NO_ROW);
        assert_true(isnan(scores[i]));
    }
    params = knn_of_ones();
    params.query_count = 0;
    params.queries = NULL;
    assert_ok(wg_knn(context, &params, found, scores));
}

static void test_knn_cancelled_before(void **state)
{
    (void)state;
    wg_cancel *cancel = NULL;
    assert_ok(wg_cancel_create(&cancel));
    wg_knn_params params = knn_of_ones();
    params.cancel = cancel;
    wg_cancel_request(cancel);
    assert_err(WG_ECANCELLED, "", wg_knn(context, &params, found, scores));
    wg_cancel_reset(cancel);
    assert_ok(wg_knn(context, &params, found, scores));
    wg_cancel_destroy(&cancel);
    assert_null(cancel);
}

/* --- ids --- */

static void test_ids_from_strings(void **state)
{
    (void)state;
    char text[302];
    wg_id id;
    memset(text, 'x', sizeof text);
    text[256] = 0;
    assert_ok(wg_id_from_string(text, &id));
    assert_int_equal(id.type, WG_ID_STRING);
    assert_int_equal(id.size, 256);
    wg_id before = id;
    text[256] = 'x', text[257] = 0;
    assert_err(WG_EINVAL, "257", wg_id_from_string(text, &id));
    text[257] = 'x', text[300] = 0;
    assert_err(WG_EINVAL, "300", wg_id_from_string(text, &id));
    assert_err(WG_EINVAL, "empty", wg_id_from_string("", &id));
    for (size_t i = 0; i < sizeof not_utf8 / sizeof *not_utf8; i++)
        assert_err(WG_EINVAL, "UTF-8", wg_id_from_string(not_utf8[i], &id));
    assert_memory_equal(&before, &id, sizeof id);
    static const char *const fine[] = {
        "a",    "123", "-1", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x9d", "\xf4\x8f\xbf\xbf",
        "\x01", " "
    };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        assert_ok(wg_id_from_string(fine[i], &id));
        assert_int_equal(id.type, WG_ID_STRING);
        assert_int_equal(wg_id_format(&id, text, sizeof text), strlen(fine[i]));
        assert_string_equal(text, fine[i]);
    }
}

static void test_uuids(void **state)
{
    (void)state;
    static const uint8_t bytes[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                                       0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
    static const char *const same[] = { "12345678-9abc-def0-0123-456789abcdef",
                                        "12345678-9ABC-DEF0-0123-456789ABCDEF",
                                        "12345678-9aBc-DeF0-0123-456789AbcdEf" };
    char text[WG_ID_TEXT_SIZE];
    wg_id id;
    for (size_t i = 0; i < 3; i++) {
        assert_ok(wg_id_from_string(same[i], &id));
        assert_int_equal(id.type, WG_ID_UUID);
        assert_memory_equal(id.as.uuid, bytes, 16);
        assert_int_equal(wg_id_format(&id, text, sizeof text), 36);
        assert_string_equal(text, same[0]);
    }
    static const char *const others[] = {
        "12345678-9abc-def0-0123-456789abcde",  "12345678-9abc-def0-0123-456789abcdef0",
        "12345678-9abc-def0-0123-456789abcdeg", "12345678_9abc-def0-0123-456789abcdef",
        "123456789abcdef00123456789abcdef",     "{12345678-9abc-def0-0123-456789abcdef}",
        "1234567-89abc-def0-0123-456789abcdef", " 12345678-9abc-def0-0123-456789abcde",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_ok(wg_id_from_string(others[i], &id));
        assert_int_equal(id.type, WG_ID_STRING);
    }
}

static void test_id_format(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *text;
    } numbers[] = { { 0, "0" }, { 1234567, "1234567" }, { UINT64_MAX, "18446744073709551615" } };
    for (size_t i = 0; i < 3; i++)
        for (size_t room = 0; room < 30; room++) {
            char text[32];
            memset(text, 'z', sizeof text);
            wg_id id;
            wg_id_from_number(numbers[i].number, &id);
            size_t length = strlen(numbers[i].text), kept = room > length ? length : room - 1;
            assert_int_equal(wg_id_format(&id, text, room), length);
            if (room == 0) kept = 0;
            assert_memory_equal(text, numbers[i].text, kept);
            assert_int_equal(text[kept], room > 0 ? 0 : 'z');
            assert_int_equal(text[room], 'z');
        }
}

/* --- stores and collections --- */

static void test_store_paths(void **state)
{
    (void)state;
    const char *folder = scratch_create();
    char path[2 * SCRATCH_PATH_SIZE];
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    params.create = false;
    snprintf(path, sizeof path, "%s/absent", folder);
    assert_err(WG_ENOTFOUND, "absent", wg_store_open(context, path, &params, &store));
    params.create = true;
    params.read_only = true;
    assert_err(WG_ENOTFOUND, "absent", wg_store_open(context, path, &params, &store));
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("not a store\n", file);
    fclose(file);
    assert_int_not_equal(wg_store_open(context, path, NULL, &store), WG_OK);
    assert_non_null(strstr(wg_message(), "file"));
    uint64_t problems;
    assert_int_not_equal(wg_store_verify(context, path, NULL, NULL, NULL, &problems), WG_OK);
    assert_int_not_equal(wg_store_open(context, "", NULL, &store), WG_OK);
    snprintf(path, sizeof path, "%s/file/below", folder);
    assert_int_not_equal(wg_store_open(context, path, NULL, &store), WG_OK);
    assert_null(store);
}

static void test_verify_of_nothing(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/absent", scratch_create());
    uint64_t problems = 77;
    assert_err(WG_ENOTFOUND, "absent", wg_store_verify(context, path, NULL, NULL, NULL, &problems));
    assert_int_equal(problems, 77);
    wg_store *store = NULL;
    assert_ok(wg_store_open(context, path, NULL, &store));
    wg_store_close(&store);
    assert_err(WG_ENOTFOUND, "docs", wg_store_verify(context, path, "docs", NULL, NULL, &problems));
    assert_int_equal(content_problems(context, path), 0);
}

static void take_name(void *user, const char *name)
{
    strcat(strcat(user, name), ";");
}

static bool take_every_name(void *user, const char *name)
{
    take_name(user, name);
    return true;
}

static bool take_one_name(void *user, const char *name)
{
    take_name(user, name);
    return false;
}

static void test_collection_names(void **state)
{
    (void)state;
    wg_store *store = NULL;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = 2;
    assert_ok(wg_store_open(context, scratch_create(), NULL, &store));
    char name[400], listed[2000] = "";
    memset(name, 'n', sizeof name);
    name[256] = 0;
    assert_err(WG_EINVAL, "name", wg_collection_create(store, name, &params));
    static const char *const wrong[] = { "", "a\nb", "\x01", "tab\t", "\x7f" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_err(WG_EINVAL, "name", wg_collection_create(store, wrong[i], &params));
    for (size_t i = 0; i < sizeof not_utf8 / sizeof *not_utf8; i++)
        assert_err(WG_EINVAL, "name", wg_collection_create(store, not_utf8[i], &params));
    assert_ok(wg_store_list(store, take_every_name, listed));
    assert_string_equal(listed, "");
    static const char *const fine[] = { "..", "a/b", "b", "\xc3\xa9t\xc3\xa9", "." };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_ok(wg_collection_create(store, fine[i], &params));
    assert_err(WG_EEXISTS, "a/b", wg_collection_create(store, "a/b", &params));
    assert_ok(wg_store_list(store, take_every_name, listed));
    assert_string_equal(listed, ".;..;a/b;b;\xc3\xa9t\xc3\xa9;");
    listed[0] = 0;
    assert_ok(wg_store_list(store, take_one_name, listed));
    assert_string_equal(listed, ".;");
    name[255] = 0;
    assert_ok(wg_collection_create(store, name, &params));
    wg_collection *collection = NULL;
    assert_err(WG_ENOTFOUND, "docs", wg_collection_open(store, "docs", &collection));
    assert_err(WG_ENOTFOUND, "docs", wg_collection_drop(store, "docs"));
    assert_ok(wg_collection_open(store, "b", &collection));
    assert_err(WG_EBUSY, "b", wg_collection_drop(store, "b"));
    wg_collection_close(&collection);
    assert_ok(wg_collection_drop(store, "b"));
    assert_err(WG_ENOTFOUND, "b", wg_collection_open(store, "b", &collection));
    wg_store_close(&store);
}

static void test_collection_params(void **state)
{
    (void)state;
    wg_store *store = NULL;
    wg_collection_params params;
    wg_collection_params_init(&params);
    assert_ok(wg_store_open(context, scratch_create(), NULL, &store));
    assert_err(WG_EDIM, "0", wg_collection_create(store, "c", &params)); /* dim must be set */
    params.dim = WG_DIM_MAX + 1;
    assert_err(WG_EDIM, "65537", wg_collection_create(store, "c", &params));
    params.dim = UINT32_MAX;
    assert_err(WG_EDIM, "4294967295", wg_collection_create(store, "c", &params));
    params.dim = 8;
    params.metric = (wg_metric)42;
    assert_err(WG_EINVAL, "metric", wg_collection_create(store, "c", &params));
    char listed[64] = "";
    assert_ok(wg_store_list(store, take_every_name, listed));
    assert_string_equal(listed, "");
    params.dim = WG_DIM_MAX;
    params.metric = WG_CHEBYSHEV;
    assert_ok(wg_collection_create(store, "c", &params));
    wg_store_close(&store);
}

/* --- two processes --- */

/* A child that has the store open until the pipe is closed; made before any context. */
static pid_t holder;
static int holder_pipe[2], holder_ready[2];
static const char *held;

static _Noreturn void hold(void)
{
    char end, ready = 'r';
    close(holder_pipe[1]);
    wg_store *store = NULL;
    wg_context *own = test_context(NULL, 1);
    must_ok(wg_store_open(own, held, NULL, &store));
    must(write(holder_ready[1], &ready, 1) == 1, "cannot report");
    must(read(holder_pipe[0], &end, 1) == 0, "not told to end");
    wg_store_close(&store);
    wg_context_destroy(&own);
    _exit(0);
}

static void start_holder(void)
{
    held = scratch_create();
    must(pipe(holder_pipe) == 0 && pipe(holder_ready) == 0, "no pipe");
    holder = fork();
    if (holder == 0) hold();
    char ready;
    must(holder > 0 && read(holder_ready[0], &ready, 1) == 1, "the child does not hold the store");
}

static void test_a_store_in_use_elsewhere(void **state)
{
    (void)state;
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)holder);
    wg_store *store = NULL;
    wg_store_params params;
    wg_store_params_init(&params);
    assert_err(WG_EBUSY, pid, wg_store_open(context, held, NULL, &store));
    uint64_t problems = 1;
    params.read_only = true; /* beside the one that writes */
    assert_ok(wg_store_open(context, held, &params, &store));
    assert_err(WG_EBUSY, "this process",
               wg_store_verify(context, held, NULL, NULL, NULL, &problems));
    wg_store_close(&store);
    assert_ok(wg_store_verify(context, held, NULL, NULL, NULL, &problems));
    assert_true(problems == 0);
    close(holder_pipe[1]);
    int status = -1;
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_int_equal(status, 0);
    assert_ok(wg_store_open(context, held, NULL, &store));
    wg_store_close(&store);
}

static int setup(void **state)
{
    (void)state;
    start_holder();
    context = test_context(NULL, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wg_context_destroy(&context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_error_has_texts),
        cmocka_unit_test(test_metric_names),
        cmocka_unit_test(test_context_params),
        cmocka_unit_test(the_tiers_of_this_processor_have_names),
        cmocka_unit_test(the_environment_names_a_tier),
        cmocka_unit_test(test_struct_sizes),
        cmocka_unit_test(test_init_keeps_to_the_size),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_null_is_ended_gladly),
        cmocka_unit_test(test_knn_components),
        cmocka_unit_test(test_knn_arguments),
        cmocka_unit_test(test_knn_cancelled_before),
        cmocka_unit_test(test_ids_from_strings),
        cmocka_unit_test(test_uuids),
        cmocka_unit_test(test_id_format),
        cmocka_unit_test(test_store_paths),
        cmocka_unit_test(test_verify_of_nothing),
        cmocka_unit_test(test_collection_names),
        cmocka_unit_test(test_collection_params),
        cmocka_unit_test(test_a_store_in_use_elsewhere),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
