/* Exact searches of rows in memory. Plain reading of the rows and one call by each tier take turns,
 * so that all meet the same weather. */
#include "cli/bench.h"
#include "cli/interrupt.h"
#include "cli/measure.h"
#include "cli/metric_option.h"
#include "cli/options.h"
#include "cli/plot.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BATCHES = 3, METRICS = 2, TIERS_MAX = 8, SAMPLE = 4 };

/* One line of the result: a case by a tier. */
struct figures {
    wg_metric metric;
    size_t batch, tier;
    struct measure_spread seconds; /* of a call */
    double read; /* bytes per second that plain reading of the rows reaches */
    double recall;
    uint64_t hash; /* of rows and scores found */
};

struct bench {
    uint64_t n, dim, k, runs, seed;
    struct bench_machine machine;
    struct workload workload;
    wg_context *contexts[TIERS_MAX];
    size_t tier_count;
    double *times[TIERS_MAX], *read_times; /* runs */
    struct figures figures[METRICS * BATCHES * TIERS_MAX];
    size_t figure_count; /* the tiers of a case stand together */
};

static double qps(const struct figures *figures)
{
    return (double)figures->batch / figures->seconds.median;
}

/* Bytes per second of one query at a time, which reads each row once. */
static double scanned(const struct bench *bench, const struct figures *figures)
{
    return (double)(bench->n * bench->dim * sizeof(float)) / figures->seconds.median;
}

static const char *tier_of(const struct bench *bench, const struct figures *figures)
{
    return wg_context_cpu(bench->contexts[figures->tier]);
}

static void plan(struct bench *bench, const struct bench_options *options)
{
    static const wg_metric metrics[METRICS] = { WG_EUCLIDEAN, WG_DOT };
    static const size_t batches[BATCHES] = { 1, 10, 100 };
    bool one_metric = options->metric != METRIC_NOT_GIVEN, one_batch = options->batch > 0;
    for (size_t m = 0; m < (one_metric ? 1 : METRICS); m++)
        for (size_t b = 0; b < (one_batch ? 1 : BATCHES); b++)
            for (size_t t = 0; t < bench->tier_count; t++)
                bench->figures[bench->figure_count++] = (struct figures){
                    .metric = one_metric ? (wg_metric)options->metric : metrics[m],
                    .batch = one_batch ? (size_t)options->batch : batches[b],
                    .tier = t,
                };
}

static wg_err open_contexts(struct bench *bench, bool every_tier)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < TIERS_MAX; i++) {
        const char *tier = every_tier ? wg_cpu_tier_name(i) : common.cpu;
        if (every_tier ? !tier : i > 0) break;
        TRY(session_make_context(common.threads, tier, common.backend, &bench->contexts[i]));
        bench->tier_count++;
    }
out:
    return err;
}

static wg_err begin(struct bench *bench, const struct bench_options *options)
{
    wg_err err = WG_OK;
    bench->n = options->n ? options->n : 100000;
    bench->dim = options->dim ? options->dim : 128;
    bench->k = options->k ? options->k : 10;
    bench->runs = options->runs ? options->runs : 15;
    bench->seed = options->seed;
    TRY(open_contexts(bench, options->tiers));
    bench_machine_init(&bench->machine, bench->contexts[bench->tier_count - 1]);
    plan(bench, options);
    struct workload_size size = {
        .row_count = (size_t)bench->n,
        .query_count = options->batch ? (size_t)options->batch : 100,
        .dim = (size_t)bench->dim,
        .k = (size_t)bench->k,
        .seed = bench->seed,
    };
    TRY(workload_make(&size, &bench->workload));
    for (size_t t = 0; t < bench->tier_count; t++)
        heap_resize(&bench->times[t], (size_t)bench->runs);
    heap_resize(&bench->read_times, (size_t)bench->runs);
out:
    return err;
}

static void end(struct bench *bench)
{
    for (size_t t = 0; t < TIERS_MAX; t++) {
        wg_context_destroy(&bench->contexts[t]);
        heap_free(&bench->times[t]);
    }
    heap_free(&bench->read_times);
    workload_free(&bench->workload);
}

static wg_err call(struct bench *bench, const struct figures *figures, double *seconds)
{
    bench->workload.metric = figures->metric;
    return workload_search(bench->contexts[figures->tier], &bench->workload, (size_t)bench->n,
                           figures->batch, seconds);
}

/* The first call of each tier warms, and its answer is the one that is checked. */
static wg_err check(struct bench *bench, struct figures *figures)
{
    wg_err err = WG_OK;
    size_t sample = figures->batch < SAMPLE ? figures->batch : SAMPLE;
    TRY(call(bench, figures, &bench->times[figures->tier][0]));
    figures->hash = workload_hash(&bench->workload, figures->batch);
    TRY(workload_recall(&bench->workload, figures->batch, sample, &figures->recall));
out:
    return err;
}

/* figures: of all tiers. */
static wg_err measure(struct bench *bench, struct figures *figures, struct progress *progress)
{
    wg_err err = WG_OK;
    size_t size = (size_t)(bench->n * bench->dim) * sizeof(float), runs = (size_t)bench->runs;
    size_t done = (size_t)(figures - bench->figures) * runs, all = bench->figure_count * runs;
    for (size_t t = 0; t < bench->tier_count; t++) TRY(check(bench, &figures[t]));
    for (size_t i = 0; i < runs; i++) {
        bench->read_times[i] = measure_read(bench->workload.rows, size, bench->machine.threads);
        for (size_t t = 0; t < bench->tier_count; t++)
            TRY(call(bench, &figures[t], &bench->times[t][i]));
        done += bench->tier_count;
        progress_update(progress, done, (double)done / (double)all);
    }
    double read_seconds = measure_percentile(bench->read_times, runs, 0.5);
    for (size_t t = 0; t < bench->tier_count; t++) {
        figures[t].seconds = measure_spread_of(bench->times[t], runs);
        figures[t].read = read_seconds > 0 ? (double)size / read_seconds : 0;
    }
out:
    return err;
}

static wg_err measure_all(struct bench *bench)
{
    wg_err err = WG_OK;
    struct progress progress;
    progress_begin(&progress, "measuring", "runs", 0);
    for (size_t i = 0; err == WG_OK && i < bench->figure_count; i += bench->tier_count)
        err = measure(bench, &bench->figures[i], &progress);
    progress_end(&progress);
    return err;
}

/* After the figures are shown: they are what helps to find the cause. */
static wg_err check_hashes(const struct bench *bench)
{
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figures *mine = &bench->figures[i], *first = mine - mine->tier;
        if (mine->hash != first->hash)
            return fail(WG_EIO,
                        "the tiers %s and %s found different rows or scores: %s, "
                        "batch %zu",
                        tier_of(bench, first), tier_of(bench, mine), wg_metric_name(mine->metric),
                        mine->batch);
    }
    return WG_OK;
}

static struct json_object *as_json(const struct bench *bench, const struct figures *figures)
{
    char hash[24];
    struct json_object *result = json_object_make();
    const struct measure_spread *seconds = &figures->seconds;
    snprintf(hash, sizeof hash, "%016" PRIx64, figures->hash);
    json_put(result, "metric", json_text(wg_metric_name(figures->metric)));
    json_put(result, "batch", json_count(figures->batch));
    json_put(result, "tier", json_text(tier_of(bench, figures)));
    json_put(result, "median_us", json_decimal(seconds->median * 1e6, 1));
    json_put(result, "min_us", json_decimal(seconds->least * 1e6, 1));
    json_put(result, "lower_us", json_decimal(seconds->lower * 1e6, 1));
    json_put(result, "upper_us", json_decimal(seconds->upper * 1e6, 1));
    json_put(result, "max_us", json_decimal(seconds->most * 1e6, 1));
    json_put(result, "spread", json_decimal(measure_spread_share(seconds), 4));
    json_put(result, "qps", json_decimal(qps(figures), 1));
    json_put(result, "scan_gbps",
             figures->batch == 1 ? json_decimal(scanned(bench, figures) / 1e9, 2) : NULL);
    json_put(result, "read_gbps", json_decimal(figures->read / 1e9, 2));
    json_put(result, "recall", json_decimal(figures->recall, 4));
    json_put(result, "hash", json_text(hash));
    return result;
}

static void print_json(const struct bench *bench)
{
    struct json_object *document = bench_machine_json(&bench->machine),
                       *results = json_array_make();
    json_put(document, "n", json_count(bench->n));
    json_put(document, "dim", json_count(bench->dim));
    json_put(document, "k", json_count(bench->k));
    json_put(document, "runs", json_count(bench->runs));
    json_put(document, "seed", json_count(bench->seed));
    for (size_t i = 0; i < bench->figure_count; i++)
        json_push(results, as_json(bench, &bench->figures[i]));
    json_put(document, "results", results);
    output_json(document);
}

static void print_csv(const struct bench *bench)
{
    output_print("processor,tier,threads,n,dim,k,metric,batch,median_us,min_us,lower_us,upper_us,"
                 "max_us,spread,qps,scan_gbps,read_gbps,recall,hash\n");
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figures *figures = &bench->figures[i];
        const struct measure_spread *seconds = &figures->seconds;
        output_print("\"%s\",%s,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%zu,",
                     bench->machine.processor, tier_of(bench, figures), bench->machine.threads,
                     bench->n, bench->dim, bench->k, wg_metric_name(figures->metric),
                     figures->batch);
        output_print("%.1f,%.1f,%.1f,%.1f,%.1f,%.4f,%.1f,", seconds->median * 1e6,
                     seconds->least * 1e6, seconds->lower * 1e6, seconds->upper * 1e6,
                     seconds->most * 1e6, measure_spread_share(seconds), qps(figures));
        if (figures->batch == 1) output_print("%.2f", scanned(bench, figures) / 1e9);
        output_print(",%.2f,%.4f,%016" PRIx64 "\n", figures->read / 1e9, figures->recall,
                     figures->hash);
    }
}

static void add_row(struct table *table, const struct bench *bench, const struct figures *figures)
{
    char text[TEXT_SIZE];
    table_add(table, "%s", wg_metric_name(figures->metric));
    table_add(table, "%zu", figures->batch);
    table_add(table, "%s", tier_of(bench, figures));
    table_add(table, "%s", text_seconds(figures->seconds.median, text));
    table_add(table, "%.0f %%", 100 * measure_spread_share(&figures->seconds));
    table_add(table, "%s", text_rate(qps(figures), text));
    if (figures->batch == 1) {
        table_add(table, "%.1f", scanned(bench, figures) / 1e9);
        table_add(table, "%.0f %% of %.1f", 100 * scanned(bench, figures) / figures->read,
                  figures->read / 1e9);
    } else {
        table_add(table, "%s", "");
        table_add(table, "%s", "");
    }
    table_add(table, "%.4g", figures->recall);
    table_add(table, "%016" PRIx64, figures->hash);
}

static void print(const struct bench *bench)
{
    static const char *const titles[] = { "metric", "batch", "tier",       "median", "spread",
                                          "QPS",    "GB/s",  "of reading", "recall", "hash" };
    char n[TEXT_SIZE];
    struct table table = { .column_count = 10, .titles = titles, .alignment = "lrlrrrrlrl" };
    bench_machine_print(&bench->machine);
    output_print("%s x %" PRIu64 " f32, k %" PRIu64 ", %" PRIu64 " runs\n\n",
                 text_count(bench->n, n), bench->dim, bench->k, bench->runs);
    for (size_t i = 0; i < bench->figure_count; i++) add_row(&table, bench, &bench->figures[i]);
    table_print(&table);
}

/* A line for each metric and tier: QPS by queries in a call. */
static wg_err draw(const struct bench *bench, const char *path)
{
    struct plot_series series[METRICS * TIERS_MAX] = { { .count = 0 } };
    size_t count = 0;
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figures *figures = &bench->figures[i];
        char name[PLOT_NAME_SIZE];
        size_t at = 0;
        snprintf(name, sizeof name, "%s, %s", wg_metric_name(figures->metric),
                 tier_of(bench, figures));
        while (at < count && strcmp(series[at].name, name) != 0) at++;
        if (at == count) memcpy(series[count++].name, name, sizeof name);
        plot_add(&series[at], (double)figures->batch, qps(figures));
    }
    char title[256];
    snprintf(title, sizeof title,
             "Exact search: %" PRIu64 " x %" PRIu64 ", k %" PRIu64 ", %u thread%s, %s", bench->n,
             bench->dim, bench->k, bench->machine.threads, text_plural(bench->machine.threads),
             bench->machine.processor);
    struct plot plot = { .title = title,
                         .x_title = "queries in a call",
                         .y_title = "queries per second",
                         .x_log = true,
                         .y_log = true,
                         .series = series,
                         .series_count = count };
    wg_err err = plot_write(&plot, 1, path);
    for (size_t i = 0; i < count; i++) plot_series_free(&series[i]);
    return err;
}

wg_err bench_exact(const struct bench_options *options)
{
    wg_err err = WG_OK;
    struct bench bench = { .n = 0 };
    TRY(begin(&bench, options));
    TRY(measure_all(&bench));
    if (common.json)
        print_json(&bench);
    else if (options->csv)
        print_csv(&bench);
    else
        print(&bench);
    if (options->svg) TRY(draw(&bench, options->svg));
    TRY(check_hashes(&bench));
out:
    end(&bench);
    return err;
}
