#include "cli/clock.h"
#include "cli/command.h"
#include "cli/heap.h"
#include "cli/interrupt.h"
#include "cli/measure.h"
#include "cli/metric_option.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 64, CPU_NAME_SIZE = 128, CASES_MAX = 4 };

static struct {
    uint64_t n, dim, k, batch, runs, seed;
    int metric; /* a wg_metric */
    bool csv;
} flags = { .n = 100000, .dim = 128, .k = 10, .runs = 15, .seed = 1, .metric = METRIC_NOT_GIVEN };

static const struct option_spec options[] = {
    { "n", 'n', .type = OPTION_COUNT, .value = "N", .target = &flags.n, .min = 1, .max = UINT32_MAX,
      .help = "rows (default: 100,000)" },
    { "dim", 'd', .type = OPTION_COUNT, .value = "N", .target = &flags.dim, .min = 1,
      .max = WG_DIM_MAX, .help = "dimensions (default: 128)" },
    { "k", 'k', .type = OPTION_COUNT, .value = "N", .target = &flags.k, .min = 1, .max = 1 << 20,
      .help = "neighbours of each query (default: 10)" },
    { "metric", 'm', .type = OPTION_PARSED, .value = "METRIC", .target = &flags.metric,
      .parse = metric_option_parse, .help = METRIC_NAMES "\n(default: euclidean, then dot)" },
    { "batch", 'b', .type = OPTION_COUNT, .value = "N", .target = &flags.batch, .min = 1,
      .max = 1 << 20, .help = "queries in a call (default: 1, then 100)" },
    { "runs", 'r', .type = OPTION_COUNT, .value = "N", .target = &flags.runs, .min = 1,
      .max = 100000, .help = "calls measured (default: 15)" },
    { "seed", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.seed, .max = UINT64_MAX,
      .help = "of the data (default: 1)" },
    { "csv", 0, .type = OPTION_FLAG, .target = &flags.csv, .help = "print comma-separated values" },
    { 0 },
};

/* One line of the result. */
struct figures {
    wg_metric metric;
    size_t batch;
    double median, least, most; /* seconds of a call */
    double scanned;             /* bytes per second: rows by median, for one query at a time */
    double read;                /* bytes per second that plain reading of the rows reaches */
    uint64_t hash;              /* of rows and scores found */
};

struct bench {
    struct session session;
    float *rows, *queries; /* in memory, at a multiple of ALIGNMENT */
    void *memory[2];
    uint64_t *found_rows;
    float *found_scores;
    double *times, *read_times; /* runs */
    unsigned threads;
    char cpu_name[CPU_NAME_SIZE];
    struct figures figures[CASES_MAX];
    size_t case_count;
};

static float *aligned_floats(void **memory, size_t count)
{
    unsigned char *bytes = heap_resize_bytes(NULL, count + ALIGNMENT, sizeof(float));
    *memory = bytes;
    return (float *)(void *)(bytes + (ALIGNMENT - (uintptr_t)bytes % ALIGNMENT) % ALIGNMENT);
}

static void add_case(struct bench *bench, wg_metric metric, size_t batch)
{
    bench->figures[bench->case_count++] = (struct figures){ .metric = metric, .batch = batch };
}

static void plan(struct bench *bench)
{
    bool one_metric = flags.metric != METRIC_NOT_GIVEN, one_batch = flags.batch > 0;
    for (int m = 0; m < (one_metric ? 1 : 2); m++) {
        wg_metric metric = m == 0 ? WG_EUCLIDEAN : WG_DOT;
        if (one_metric) metric = (wg_metric)flags.metric;
        for (int b = 0; b < (one_batch ? 1 : 2); b++)
            add_case(bench, metric, one_batch ? (size_t)flags.batch : b == 0 ? 1 : 100);
    }
}

static wg_err begin(struct bench *bench)
{
    wg_err err = session_open_context(&bench->session);
    if (err != WG_OK) return err;
    plan(bench);
    size_t dim = (size_t)flags.dim, batch = flags.batch ? (size_t)flags.batch : 100;
    bench->threads = wg_context_threads(bench->session.context);
    bench->rows = aligned_floats(&bench->memory[0], (size_t)flags.n * dim);
    bench->queries = aligned_floats(&bench->memory[1], batch * dim);
    heap_resize(&bench->found_rows, batch * (size_t)flags.k);
    heap_resize(&bench->found_scores, batch * (size_t)flags.k);
    heap_resize(&bench->times, (size_t)flags.runs);
    heap_resize(&bench->read_times, (size_t)flags.runs);
    measure_fill(bench->rows, (size_t)flags.n * dim, flags.seed);
    measure_fill(bench->queries, batch * dim, ~flags.seed);
    measure_cpu_name(bench->cpu_name, sizeof bench->cpu_name);
    return WG_OK;
}

static void end(struct bench *bench)
{
    for (size_t i = 0; i < 2; i++) heap_free(&bench->memory[i]);
    heap_free(&bench->found_rows);
    heap_free(&bench->found_scores);
    heap_free(&bench->times);
    heap_free(&bench->read_times);
    session_close(&bench->session);
}

static wg_err call(struct bench *bench, const struct figures *figures, double *seconds)
{
    wg_err err = WG_OK;
    wg_knn_params params;
    wg_knn_params_init(&params);
    params.metric = figures->metric;
    params.k = (size_t)flags.k;
    params.dim = (size_t)flags.dim;
    params.rows = bench->rows;
    params.row_count = (size_t)flags.n;
    params.queries = bench->queries;
    params.query_count = figures->batch;
    params.cancel = interrupt_cancel();
    double start = clock_seconds();
    TRY_WG(wg_knn(bench->session.context, &params, bench->found_rows, bench->found_scores));
    *seconds = clock_seconds() - start;
out:
    return err;
}

/* Reading alone and searching take turns, so that both meet the same weather. */
static wg_err measure(struct bench *bench, struct figures *figures, struct progress *progress,
                      size_t done)
{
    size_t size = (size_t)flags.n * (size_t)flags.dim * sizeof(float), runs = (size_t)flags.runs;
    size_t found = figures->batch * (size_t)flags.k, all = runs * bench->case_count;
    wg_err err = call(bench, figures, &bench->times[0]); /* the first one warms */
    for (size_t i = 0; err == WG_OK && i < runs; i++) {
        bench->read_times[i] = measure_read(bench->rows, size, bench->threads);
        err = call(bench, figures, &bench->times[i]);
        progress_update(progress, done + i + 1, (double)(done + i + 1) / (double)all);
    }
    if (err != WG_OK) return err;
    double read_seconds = measure_percentile(bench->read_times, runs, 0.5);
    figures->median = measure_percentile(bench->times, runs, 0.5);
    figures->least = bench->times[0];
    figures->most = bench->times[runs - 1];
    figures->scanned = (double)size / figures->median;
    figures->read = read_seconds > 0 ? (double)size / read_seconds : 0;
    figures->hash = measure_hash(MEASURE_HASH, bench->found_rows, found * sizeof(uint64_t));
    figures->hash = measure_hash(figures->hash, bench->found_scores, found * sizeof(float));
    return WG_OK;
}

static wg_err measure_all(struct bench *bench)
{
    wg_err err = WG_OK;
    struct progress progress;
    progress_begin(&progress, "measuring", "runs", 0);
    for (size_t i = 0; err == WG_OK && i < bench->case_count; i++)
        err = measure(bench, &bench->figures[i], &progress, i * (size_t)flags.runs);
    progress_end(&progress);
    return err;
}

static struct json_object *as_json(const struct figures *figures)
{
    char hash[24];
    struct json_object *result = json_object_make();
    snprintf(hash, sizeof hash, "%016" PRIx64, figures->hash);
    json_put(result, "metric", json_text(wg_metric_name(figures->metric)));
    json_put(result, "batch", json_count(figures->batch));
    json_put(result, "median_us", json_decimal(figures->median * 1e6, 1));
    json_put(result, "min_us", json_decimal(figures->least * 1e6, 1));
    json_put(result, "max_us", json_decimal(figures->most * 1e6, 1));
    json_put(result, "qps", json_decimal((double)figures->batch / figures->median, 1));
    json_put(result, "scan_gbps",
             figures->batch == 1 ? json_decimal(figures->scanned / 1e9, 2) : NULL);
    json_put(result, "read_gbps", json_decimal(figures->read / 1e9, 2));
    json_put(result, "hash", json_text(hash));
    return result;
}

static void print_json(const struct bench *bench)
{
    struct json_object *document = json_object_make(), *results = json_array_make();
    json_put(document, "processor", json_text(bench->cpu_name));
    json_put(document, "tier", json_text(wg_context_cpu(bench->session.context)));
    json_put(document, "threads", json_count(bench->threads));
    json_put(document, "n", json_count(flags.n));
    json_put(document, "dim", json_count(flags.dim));
    json_put(document, "k", json_count(flags.k));
    json_put(document, "runs", json_count(flags.runs));
    json_put(document, "seed", json_count(flags.seed));
    for (size_t i = 0; i < bench->case_count; i++) json_push(results, as_json(&bench->figures[i]));
    json_put(document, "results", results);
    output_json(document);
}

static void print_csv(const struct bench *bench)
{
    output_print("processor,tier,threads,n,dim,k,metric,batch,median_us,min_us,max_us,qps,"
                 "scan_gbps,read_gbps,hash\n");
    for (size_t i = 0; i < bench->case_count; i++) {
        const struct figures *figures = &bench->figures[i];
        output_print("\"%s\",%s,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%zu,", bench->cpu_name,
                     wg_context_cpu(bench->session.context), bench->threads, flags.n, flags.dim,
                     flags.k, wg_metric_name(figures->metric), figures->batch);
        output_print("%.1f,%.1f,%.1f,%.1f,", figures->median * 1e6, figures->least * 1e6,
                     figures->most * 1e6, (double)figures->batch / figures->median);
        if (figures->batch == 1) output_print("%.2f", figures->scanned / 1e9);
        output_print(",%.2f,%016" PRIx64 "\n", figures->read / 1e9, figures->hash);
    }
}

static void add_row(struct table *table, const struct figures *figures)
{
    char text[TEXT_SIZE], least[TEXT_SIZE], most[TEXT_SIZE];
    table_add(table, "%s", wg_metric_name(figures->metric));
    table_add(table, "%zu", figures->batch);
    table_add(table, "%s", text_seconds(figures->median, text));
    table_add(table, "%s to %s", text_seconds(figures->least, least),
              text_seconds(figures->most, most));
    table_add(table, "%s", text_rate((double)figures->batch / figures->median, text));
    if (figures->batch == 1) {
        table_add(table, "%.1f", figures->scanned / 1e9);
        table_add(table, "%.0f %% of %.1f", 100 * figures->scanned / figures->read,
                  figures->read / 1e9);
    } else {
        table_add(table, "%s", "");
        table_add(table, "%s", "");
    }
    table_add(table, "%016" PRIx64, figures->hash);
}

static void print(const struct bench *bench)
{
    static const char *const titles[] = { "metric", "batch", "median",     "spread",
                                          "QPS",    "GB/s",  "of reading", "hash" };
    char n[TEXT_SIZE];
    struct table table = { .column_count = 8, .titles = titles, .alignment = "lrrlrrll" };
    output_print("%s, %u thread%s, %s kernels\n%s x %" PRIu64 " f32, k %" PRIu64 ", %" PRIu64
                 " runs\n\n",
                 bench->cpu_name, bench->threads, text_plural(bench->threads),
                 wg_context_cpu(bench->session.context), text_count(flags.n, n), flags.dim, flags.k,
                 flags.runs);
    for (size_t i = 0; i < bench->case_count; i++) add_row(&table, &bench->figures[i]);
    table_print(&table);
}

static wg_err run(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct bench bench = { 0 };
    if (argument_count == 1 && strcmp(arguments[0], "exact") != 0)
        return fail(WG_EINVAL, "unknown benchmark \"%s\", expected exact", arguments[0]);
    if (flags.csv && common.json) return fail(WG_EINVAL, "--csv and --json exclude each other");
    TRY(begin(&bench));
    TRY(measure_all(&bench));
    if (common.json)
        print_json(&bench);
    else if (flags.csv)
        print_csv(&bench);
    else
        print(&bench);
out:
    end(&bench);
    return err;
}

const struct command cmd_bench = {
    .name = "bench",
    .arguments = "[exact]",
    .summary = "measure this machine",
    .details =
        "Searches rows of random numbers in memory, exactly. Beside one query at a time stands\n"
        "how fast the same rows are merely read by as many threads. The hash covers rows and\n"
        "scores found: it is the same on every machine, tier and number of threads.",
    .argument_max = 1,
    .options = options,
    .common = COMMON_CONTEXT,
    .run = run,
};
