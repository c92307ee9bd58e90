#include "cli/clock.h"
#include "cli/command.h"
#include "cli/demo.h"
#include "cli/importer.h"
#include "cli/interrupt.h"
#include "cli/measure.h"
#include "cli/output.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

#define COLLECTION "fashion-mnist"
enum { NEAREST_SHOWN = 4 };

static struct {
    const char *data;
    uint64_t single, sample, show;
} flags = { .data = "/usr/share/datasets/fashion-mnist", .single = 1000, .sample = 100, .show = 3 };

static const struct option_spec options[] = {
    { "data", 0, .type = OPTION_TEXT, .value = "DIR", .target = &flags.data,
      .help = "folder of the data set\n(default: /usr/share/datasets/fashion-mnist)" },
    { "store", 's', .type = OPTION_TEXT, .value = "DIR", .target = &common.store,
      .help = "folder of the store (default: ./waggle-demo)" },
    { "single", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.single, .min = 1,
      .max = 10000, .help = "queries asked one by one (default: 1000)" },
    { "sample", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.sample, .min = 1,
      .max = 10000, .help = "queries checked by brute force (default: 100)" },
    { "show", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.show, .max = DEMO_LABELS,
      .help = "look-alikes drawn (default: 3)" },
    { 0 },
};

struct demo {
    struct session session;
    struct demo_data data;
    struct demo_figures figures;
    char payloads[DEMO_LABELS][64];
    uint64_t imported; /* points, this time */
    double import_seconds, recall;
    uint64_t peak_memory; /* of the searches, before the brute force */
};

static wg_err open_collection(struct demo *demo)
{
    wg_err err = WG_OK;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = (uint32_t)demo->data.dim;
    params.metric = WG_EUCLIDEAN;
    TRY(session_open_context(&demo->session));
    TRY(session_open_store(&demo->session, SESSION_CREATE));
    err = session_open_collection(&demo->session, COLLECTION);
    if (err != WG_ENOTFOUND) goto out;
    TRY_WG(wg_collection_create(demo->session.store, COLLECTION, &params));
    TRY(session_open_collection(&demo->session, COLLECTION));
out:
    return err;
}

static wg_err check_collection(struct demo *demo)
{
    wg_collection_info info;
    wg_err err = session_info(&demo->session, &info);
    if (err != WG_OK) return err;
    if (info.dim == demo->data.dim && info.metric == WG_EUCLIDEAN &&
        info.count <= demo->data.train_count)
        return WG_OK;
    err = fail(WG_EINVAL,
               "collection \"" COLLECTION "\" in %s is not the demo's: it has %u dimensions, %s, "
               "%llu points, expected %zu, euclidean, at most %zu",
               common.store, (unsigned)info.dim, wg_metric_name(info.metric),
               (unsigned long long)info.count, demo->data.dim, demo->data.train_count);
    return fail_hint(err, "--store DIR names another place");
}

static const char *payload_of(void *user, uint64_t row)
{
    const struct demo *demo = user;
    return row < demo->data.train_count ? demo->payloads[demo->data.labels[row]] : NULL;
}

static void make_payloads(struct demo *demo)
{
    for (unsigned label = 0; label < DEMO_LABELS; label++)
        snprintf(demo->payloads[label], sizeof demo->payloads[label],
                 "{\"label\":%u,\"name\":\"%s\"}", label, demo_label_name(label));
}

/* Ids are row numbers: an import that was interrupted goes on behind the last of them. */
static wg_err complete(struct demo *demo)
{
    wg_err err = WG_OK;
    struct reader *reader = NULL;
    uint64_t have = wg_collection_count(demo->session.collection);
    if (have == demo->data.train_count) return WG_OK;
    struct reader_params params = { .path = demo->data.train_path, .format = "idx" };
    struct import import = { .collection = demo->session.collection, .name = COLLECTION };
    double start = clock_seconds();
    make_payloads(demo);
    TRY(reader_open(&params, &reader));
    TRY(reader_skip(reader, have));
    import.reader = reader;
    import.batch_room = import_batch_room(demo->data.dim);
    import.limit = UINT64_MAX;
    import.payload = payload_of;
    import.user = demo;
    TRY(import_run(&import));
    demo->imported = import.done;
    demo->import_seconds = clock_seconds() - start;
out:
    reader_close(&reader);
    return err;
}

static void print_import(const struct demo *demo)
{
    char total[TEXT_SIZE], points[TEXT_SIZE], time[TEXT_SIZE], rate[TEXT_SIZE];
    output_print("%sFashion-MNIST%s: %s images of %d x %d pixels in %s, collection " COLLECTION
                 "\n",
                 output_style(STYLE_BOLD), output_style(STYLE_PLAIN),
                 text_count(demo->data.train_count, total), DEMO_SIDE, DEMO_SIDE, common.store);
    if (demo->imported == 0)
        output_print("found there, complete\n\n");
    else
        output_print("imported %s of them in %s: %s a second, each on disk when acknowledged\n\n",
                     text_count(demo->imported, points), text_seconds(demo->import_seconds, time),
                     text_rate((double)demo->imported / demo->import_seconds, rate));
    fflush(stdout);
}

static void add_rate(struct table *table, const char *what, size_t count, double seconds)
{
    char text[TEXT_SIZE];
    table_add(table, "%s", what);
    table_add(table, "%s queries a second, of %zu", text_rate((double)count / seconds, text),
              count);
}

static void print_figures(const struct demo *demo)
{
    char a[TEXT_SIZE], b[TEXT_SIZE], c[TEXT_SIZE];
    const struct demo_figures *figures = &demo->figures;
    struct table table = { .column_count = 2, .alignment = "ll" };
    output_print("%s%s test images, the %d nearest of each, exactly%s\n", output_style(STYLE_BOLD),
                 text_count(demo->data.query_count, a), DEMO_K, output_style(STYLE_PLAIN));
    add_rate(&table, "  in batches of 100", demo->data.query_count, figures->batched_seconds);
    add_rate(&table, "  one by one", figures->single_count, figures->single_seconds);
    table_add(&table, "  latency of one");
    table_add(&table, "p50 %s, p95 %s, p99 %s", text_seconds(figures->p50, a),
              text_seconds(figures->p95, b), text_seconds(figures->p99, c));
    table_add(&table, "  recall@%d", DEMO_K);
    table_add(&table, "%.4f, against brute force in float64 on %llu queries", demo->recall,
              (unsigned long long)flags.sample);
    table_add(&table, "  right label");
    table_add(&table, "%.2f %% of the nearest neighbours", 100 * figures->right_label);
    table_add(&table, "  memory");
    table_add(&table, "%s resident at most, the mapped vectors included",
              text_bytes(demo->peak_memory, a));
    table_add(&table, "  answered by");
    table_add(&table, "%s", figures->report.device);
    table_add(&table, "  because");
    table_add(&table, "%s", figures->report.reason);
    table_print(&table);
}

/* The first test image of each label, in the order of the test images. */
static size_t choose(const struct demo_data *data, size_t *queries, size_t most)
{
    bool seen[DEMO_LABELS] = { false };
    size_t count = 0;
    for (size_t i = 0; i < data->query_count && count < most; i++) {
        if (seen[data->query_labels[i]]) continue;
        seen[data->query_labels[i]] = true;
        queries[count++] = i;
    }
    return count;
}

/* "name" of a payload, copied into text. */
static void name_of(const char *payload, char *text, size_t room)
{
    struct json_object *object = payload ? json_tokener_parse(payload) : NULL, *name = NULL;
    bool named = json_object_object_get_ex(object, "name", &name);
    snprintf(text, room, "%s", named ? json_object_get_string(name) : "unknown");
    json_object_put(object);
}

static void picture_hit(const wg_hit *hit, const char *right, struct demo_picture *picture)
{
    memcpy(picture->pixels, hit->vector, sizeof picture->pixels);
    name_of(hit->payload, picture->title, sizeof picture->title);
    picture->style = strcmp(picture->title, right) == 0 ? STYLE_GREEN : STYLE_RED;
    snprintf(picture->subtitle, sizeof picture->subtitle, "%llu, %.0f away",
             (unsigned long long)hit->id.as.number, (double)hit->score);
}

static void draw(const struct demo_data *data, size_t query, const wg_hit *hits, size_t count)
{
    struct demo_picture pictures[1 + NEAREST_SHOWN];
    const char *name = demo_label_name(data->query_labels[query]);
    memcpy(pictures[0].pixels, data->queries + query * data->dim, sizeof pictures[0].pixels);
    snprintf(pictures[0].title, sizeof pictures[0].title, "%s", name);
    snprintf(pictures[0].subtitle, sizeof pictures[0].subtitle, "test image %zu", query);
    pictures[0].style = STYLE_BOLD;
    for (size_t i = 0; i < count; i++) picture_hit(&hits[i], name, &pictures[1 + i]);
    output_print("\n");
    demo_pictures_print(pictures, 1 + count);
}

static struct json_object *look_alikes_json(const struct demo_data *data, size_t query,
                                            const wg_hit *hits, size_t count)
{
    struct json_object *object = json_object_make(), *nearest = json_array_make();
    json_put(object, "query", json_count(query));
    json_put(object, "name", json_text(demo_label_name(data->query_labels[query])));
    for (size_t i = 0; i < count; i++) {
        struct json_object *hit = json_object_make();
        json_put(hit, "id", json_id(&hits[i].id));
        json_put(hit, "distance", json_float(hits[i].score));
        json_put(hit, "payload", hits[i].payload ? json_raw(hits[i].payload) : NULL);
        json_push(nearest, hit);
    }
    json_put(object, "nearest", nearest);
    return object;
}

/* Searches once more, now with what is drawn: vectors and payloads come from the store. */
static wg_err show_look_alikes(struct demo *demo, struct json_object *array)
{
    wg_err err = WG_OK;
    wg_searcher *searcher = NULL;
    wg_search_params params;
    size_t queries[DEMO_LABELS], count = choose(&demo->data, queries, (size_t)flags.show);
    wg_search_params_init(&params);
    params.query_count = 1;
    params.dim = demo->data.dim;
    params.k = NEAREST_SHOWN;
    params.with = WG_WITH_VECTOR | WG_WITH_PAYLOAD;
    params.cancel = interrupt_cancel();
    TRY_WG(wg_searcher_create(demo->session.collection, &searcher));
    for (size_t i = 0; i < count; i++) {
        size_t hit_count;
        params.queries = demo->data.queries + queries[i] * demo->data.dim;
        TRY_WG(wg_searcher_run(searcher, &params));
        const wg_hit *hits = wg_searcher_hits(searcher, 0, &hit_count);
        if (common.json)
            json_push(array, look_alikes_json(&demo->data, queries[i], hits, hit_count));
        else
            draw(&demo->data, queries[i], hits, hit_count);
    }
out:
    wg_searcher_destroy(&searcher);
    return err;
}

static struct json_object *as_json(const struct demo *demo)
{
    const struct demo_figures *figures = &demo->figures;
    double query_count = (double)demo->data.query_count;
    double single_count = (double)figures->single_count;
    struct json_object *document = json_object_make();
    json_put(document, "store", json_text(common.store));
    json_put(document, "collection", json_text(COLLECTION));
    json_put(document, "points", json_count(wg_collection_count(demo->session.collection)));
    json_put(document, "imported", json_count(demo->imported));
    json_put(document, "import_seconds", json_decimal(demo->import_seconds, 3));
    json_put(document, "queries", json_count(demo->data.query_count));
    json_put(document, "k", json_count(DEMO_K));
    json_put(document, "batch", json_count(DEMO_BATCH));
    json_put(document, "batched_qps", json_decimal(query_count / figures->batched_seconds, 1));
    json_put(document, "single_queries", json_count(figures->single_count));
    json_put(document, "single_qps", json_decimal(single_count / figures->single_seconds, 1));
    json_put(document, "p50_ms", json_decimal(figures->p50 * 1e3, 3));
    json_put(document, "p95_ms", json_decimal(figures->p95 * 1e3, 3));
    json_put(document, "p99_ms", json_decimal(figures->p99 * 1e3, 3));
    json_put(document, "recall", json_decimal(demo->recall, 6));
    json_put(document, "recall_queries", json_count(flags.sample));
    json_put(document, "right_label", json_decimal(figures->right_label, 4));
    json_put(document, "peak_memory_bytes", json_count(demo->peak_memory));
    json_put(document, "device", json_text(figures->report.device));
    json_put(document, "reason", json_text(figures->report.reason));
    return document;
}

static wg_err measure(struct demo *demo)
{
    wg_err err = WG_OK;
    size_t sample = (size_t)flags.sample, single = (size_t)flags.single;
    if (sample > demo->data.query_count) sample = demo->data.query_count;
    if (single > demo->data.query_count) single = demo->data.query_count;
    TRY(demo_search(&demo->session, &demo->data, single, &demo->figures));
    demo->peak_memory = measure_peak_memory();
    TRY(demo_recall(&demo->data, &demo->figures, sample, &demo->recall));
out:
    return err;
}

static wg_err show(struct demo *demo)
{
    if (!common.json) {
        print_figures(demo);
        return show_look_alikes(demo, NULL);
    }
    struct json_object *document = as_json(demo), *array = json_array_make();
    json_put(document, "look_alikes", array);
    wg_err err = show_look_alikes(demo, array);
    if (err == WG_OK) output_json(json_object_get(document));
    json_object_put(document);
    return err;
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count, (void)arguments;
    wg_err err = WG_OK;
    struct demo demo = { .recall = 0 };
    if (!common.store) common.store = "./waggle-demo";
    TRY(demo_data_load(flags.data, &demo.data));
    TRY(open_collection(&demo));
    TRY(check_collection(&demo));
    TRY(complete(&demo));
    if (!common.json) print_import(&demo);
    TRY(measure(&demo));
    TRY(show(&demo));
    if (demo.recall < 1)
        err = fail(WG_EIO, "recall is %.4f, expected 1: exact search missed a neighbour",
                   demo.recall);
out:
    demo_figures_fini(&demo.figures);
    demo_data_fini(&demo.data);
    session_close(&demo.session);
    return err;
}

const struct command cmd_demo = {
    .name = "demo",
    .arguments = "",
    .summary = "import and search Fashion-MNIST, measure, and draw look-alikes",
    .details =
        "Makes a durable collection of 60,000 images, or goes on with the one that is there,\n"
        "and answers 10,000 test images exactly.",
    .options = options,
    .common = COMMON_CONTEXT,
    .run = run,
};
