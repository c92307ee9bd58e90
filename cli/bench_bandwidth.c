/* What is read per second from buffers of several sizes, and what a search of one query reaches
 * that reads as much: of rows in an array, and of eight-bit codes of rows in a collection. Reading
 * and searching take turns. */
#include "cli/bench.h"
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

enum { SIZES_MAX = 8, LINES_MAX = 96, SMALLEST = 256 << 10, GROWTH = 4, WAYS = 2 };

/* Codes are a quarter of their rows: sizes of codes beyond this would need much memory for rows. */
static const uint64_t CODES_MAX = 64 << 20, DEFAULT_SIZE = 256 << 20;

enum what { READ, ROWS, CODES };
static const char *const what_names[] = { "reading", "rows", "codes" };

/* One line of the result. */
struct figures {
    enum what what;
    const char *pages;
    unsigned threads;
    uint64_t size; /* bytes read */
    struct measure_spread seconds;
    double read; /* bytes per second of plain reading of such a buffer */
};

struct bench {
    uint64_t dim, k, runs, seed, largest;
    wg_metric metric;
    struct bench_machine machine;
    wg_context *contexts[WAYS]; /* with one thread, and with all */
    size_t context_count;
    double *times[2];
    struct figures figures[LINES_MAX];
    size_t figure_count;
    uint64_t caches[4]; /* bytes of the cache at each level, from 1 on; 0: not known */
    bool large_pages; /* the system gives some */
    bool is_coded; /* the metric has codes */
    struct progress progress;
};

static double rate(const struct figures *figures)
{
    return (double)figures->size / figures->seconds.median;
}

/* The caches of the first processor, as Linux lists them: "512K". */
static void find_caches(uint64_t caches[4])
{
    for (int i = 0; i < 8; i++) {
        char path[96];
        unsigned level = 0;
        uint64_t kib = 0;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        FILE *file = fopen(path, "r");
        if (!file) return;
        bool known = fscanf(file, "%u", &level) == 1 && level < 4;
        fclose(file);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        file = known ? fopen(path, "r") : NULL;
        if (file && fscanf(file, "%" SCNu64 "K", &kib) == 1) caches[level] = kib << 10;
        if (file) fclose(file);
    }
}

/* Where a buffer of this size stays between two runs, if nothing else runs. */
static const char *level_of(const struct bench *bench, uint64_t size)
{
    if (size <= bench->caches[2]) return "L2";
    return size <= bench->caches[3] ? "L3" : bench->caches[2] ? "memory" : "";
}

static wg_err begin(struct bench *bench, const struct bench_options *options)
{
    wg_err err = WG_OK;
    if (options->metric == WG_COSINE)
        return fail(WG_EINVAL, "bandwidth takes no cosine: rows in an array are normalised into a "
                               "copy first; dot reads the same");
    bench->dim = options->dim ? options->dim : 128;
    bench->k = options->k ? options->k : 10;
    bench->runs = options->runs ? options->runs : 15;
    bench->seed = options->seed;
    bench->metric = options->metric == METRIC_NOT_GIVEN ? WG_EUCLIDEAN : (wg_metric)options->metric;
    bench->is_coded = bench->metric == WG_EUCLIDEAN || bench->metric == WG_DOT;
    bench->largest = options->n ? options->n * bench->dim * sizeof(float) : DEFAULT_SIZE;
    TRY(session_make_context(1, common.cpu, common.backend, &bench->contexts[0]));
    TRY(session_make_context(common.threads, common.cpu, common.backend, &bench->contexts[1]));
    bench->context_count = wg_context_threads(bench->contexts[1]) > 1 ? 2 : 1;
    bench_machine_init(&bench->machine, bench->contexts[1]);
    find_caches(bench->caches);
    for (size_t i = 0; i < 2; i++) heap_resize(&bench->times[i], (size_t)bench->runs);
out:
    return err;
}

static void end(struct bench *bench)
{
    for (size_t i = 0; i < WAYS; i++) wg_context_destroy(&bench->contexts[i]);
    for (size_t i = 0; i < 2; i++) heap_free(&bench->times[i]);
}

static void add(struct bench *bench, const struct figures *figures, double *times)
{
    struct figures *line = &bench->figures[bench->figure_count];
    *line = *figures;
    line->seconds = measure_spread_of(times, (size_t)bench->runs);
    if (line->what == READ) line->read = rate(line);
    if (line->seconds.median > 0) bench->figure_count++; /* else a thread did not start */
    progress_update(&bench->progress, bench->figure_count, -1);
}

/* Small buffers are read, and so searched, several times for one figure. */
static size_t calls_of(uint64_t size)
{
    return 1 + (size_t)((4 << 20) / size);
}

/* Rows of one size and kind of pages, by one number of threads. */
static wg_err measure_rows(struct bench *bench, struct workload *workload, size_t row_count,
                           struct figures figures, wg_context *context)
{
    wg_err err = WG_OK;
    double seconds;
    TRY(workload_search(context, workload, row_count, 1, &seconds)); /* warms */
    for (size_t i = 0; i < bench->runs; i++) {
        size_t calls = calls_of(figures.size);
        bench->times[0][i] = measure_read(workload->rows, (size_t)figures.size, figures.threads);
        bench->times[1][i] = 0;
        for (size_t call = 0; call < calls; call++) {
            TRY(workload_search(context, workload, row_count, 1, &seconds));
            bench->times[1][i] += seconds / (double)calls;
        }
    }
    figures.what = READ;
    add(bench, &figures, bench->times[0]);
    figures.what = ROWS;
    figures.read = (double)figures.size / measure_percentile(bench->times[0], bench->runs, 0.5);
    add(bench, &figures, bench->times[1]);
out:
    return err;
}

/* From the smallest buffer to the largest of at most limit bytes. */
static uint64_t first_size(uint64_t limit)
{
    return SMALLEST < limit ? SMALLEST : limit;
}

static wg_err make_rows(const struct bench *bench, uint64_t row_count, enum workload_pages pages,
                        struct workload *out)
{
    struct workload_size size = {
        .row_count = row_count > 0 ? (size_t)row_count : 1,
        .query_count = 1,
        .dim = (size_t)bench->dim,
        .k = (size_t)bench->k,
        .seed = bench->seed,
        .pages = pages,
    };
    wg_err err = workload_make(&size, out);
    if (err == WG_OK) out->metric = bench->metric;
    return err;
}

static wg_err measure_arrays(struct bench *bench, enum workload_pages pages)
{
    wg_err err = WG_OK;
    struct workload workload = { .rows = NULL };
    uint64_t row_size = bench->dim * sizeof(float), limit = bench->largest;
    struct figures figures = { .pages = pages == PAGES_LARGE ? "large" : "small" };
    TRY(make_rows(bench, limit / row_size, pages, &workload));
    if (pages == PAGES_LARGE) {
        bench->large_pages = 2 * workload_large_bytes(&workload) > limit;
        if (!bench->large_pages) goto out;
    }
    for (uint64_t size = first_size(limit); size <= limit; size *= GROWTH) {
        size_t row_count = (size_t)(size < row_size ? 1 : size / row_size);
        figures.size = row_count * row_size;
        for (size_t c = 0; c < bench->context_count; c++) {
            figures.threads = wg_context_threads(bench->contexts[c]);
            TRY(measure_rows(bench, &workload, row_count, figures, bench->contexts[c]));
        }
    }
out:
    workload_free(&workload);
    return err;
}

/* Codes of all rows that the store has. What is read beside them is as many bytes of the rows. */
static wg_err measure_codes(struct bench *bench, const struct workload *workload,
                            struct workload_store *store, unsigned threads)
{
    wg_err err = WG_OK;
    double seconds;
    struct figures figures = { .what = CODES,
                               .threads = threads,
                               .size = store->code_bytes,
                               .pages = bench->large_pages ? "large" : "small" };
    size_t calls = calls_of(figures.size);
    TRY(workload_store_search(store, workload, 1, &seconds)); /* warms */
    for (size_t i = 0; i < bench->runs; i++) {
        bench->times[0][i] = measure_read(workload->rows, (size_t)figures.size, threads);
        bench->times[1][i] = 0;
        for (size_t call = 0; call < calls; call++) {
            TRY(workload_store_search(store, workload, 1, &seconds));
            bench->times[1][i] += seconds / (double)calls;
        }
    }
    figures.read =
        (double)figures.size / measure_percentile(bench->times[0], (size_t)bench->runs, 0.5);
    add(bench, &figures, bench->times[1]);
out:
    return err;
}

static wg_err measure_collection(struct bench *bench, wg_context *context)
{
    wg_err err = WG_OK;
    struct workload workload = { .rows = NULL };
    struct workload_store store = { .store = NULL };
    uint64_t limit = bench->largest < CODES_MAX ? bench->largest : CODES_MAX;
    TRY(make_rows(bench, limit / bench->dim, PAGES_LARGE, &workload));
    TRY(workload_store_open(context, &workload, &store));
    for (uint64_t size = first_size(limit); size <= limit; size *= GROWTH) {
        bool coded;
        TRY(workload_store_grow(&store, &workload, (size_t)(size / bench->dim), &coded));
        if (coded) TRY(measure_codes(bench, &workload, &store, wg_context_threads(context)));
    }
out:
    workload_store_close(&store);
    workload_free(&workload);
    return err;
}

static wg_err measure_all(struct bench *bench)
{
    wg_err err = WG_OK;
    progress_begin(&bench->progress, "measuring", "figures", 0);
    TRY(measure_arrays(bench, PAGES_SMALL));
    TRY(measure_arrays(bench, PAGES_LARGE));
    for (size_t c = 0; c < bench->context_count && bench->is_coded; c++)
        TRY(measure_collection(bench, bench->contexts[c]));
out:
    progress_end(&bench->progress);
    return err;
}

static struct json_object *as_json(const struct bench *bench, const struct figures *figures)
{
    struct json_object *result = json_object_make();
    json_put(result, "what", json_text(what_names[figures->what]));
    json_put(result, "pages", json_text(figures->pages));
    json_put(result, "threads", json_count(figures->threads));
    json_put(result, "bytes", json_count(figures->size));
    json_put(result, "level", json_text(level_of(bench, figures->size)));
    json_put(result, "median_us", json_decimal(figures->seconds.median * 1e6, 1));
    json_put(result, "spread", json_decimal(measure_spread_share(&figures->seconds), 4));
    json_put(result, "gbps", json_decimal(rate(figures) / 1e9, 2));
    json_put(result, "of_reading", json_decimal(rate(figures) / figures->read, 4));
    return result;
}

static void print_json(const struct bench *bench)
{
    struct json_object *document = bench_machine_json(&bench->machine),
                       *results = json_array_make();
    json_put(document, "dim", json_count(bench->dim));
    json_put(document, "k", json_count(bench->k));
    json_put(document, "runs", json_count(bench->runs));
    json_put(document, "metric", json_text(wg_metric_name(bench->metric)));
    json_put(document, "large_pages", json_flag(bench->large_pages));
    for (size_t i = 0; i < bench->figure_count; i++)
        json_push(results, as_json(bench, &bench->figures[i]));
    json_put(document, "results", results);
    output_json(document);
}

static void print_csv(const struct bench *bench)
{
    output_print("processor,tier,metric,dim,k,what,pages,threads,bytes,level,median_us,spread,gbps,"
                 "of_reading\n");
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figures *figures = &bench->figures[i];
        output_print("\"%s\",%s,%s,%" PRIu64 ",%" PRIu64 ",%s,%s,%u,%" PRIu64 ",%s,",
                     bench->machine.processor, bench->machine.tier, wg_metric_name(bench->metric),
                     bench->dim, bench->k, what_names[figures->what], figures->pages,
                     figures->threads, figures->size, level_of(bench, figures->size));
        output_print("%.1f,%.4f,%.2f,%.4f\n", figures->seconds.median * 1e6,
                     measure_spread_share(&figures->seconds), rate(figures) / 1e9,
                     rate(figures) / figures->read);
    }
}

static void add_row(struct table *table, const struct bench *bench, const struct figures *figures)
{
    char text[TEXT_SIZE];
    table_add(table, "%s", text_bytes(figures->size, text));
    table_add(table, "%s", level_of(bench, figures->size));
    table_add(table, "%s", what_names[figures->what]);
    table_add(table, "%s", figures->pages);
    table_add(table, "%u", figures->threads);
    table_add(table, "%.1f", rate(figures) / 1e9);
    table_add(table, "%.0f %%", 100 * measure_spread_share(&figures->seconds));
    if (figures->what == READ)
        table_add(table, "%s", "");
    else
        table_add(table, "%.0f %% of %.1f", 100 * rate(figures) / figures->read,
                  figures->read / 1e9);
}

static void print(const struct bench *bench)
{
    static const char *const titles[] = { "buffer",  "stays in", "what",   "pages",
                                          "threads", "GB/s",     "spread", "of reading" };
    struct table table = { .column_count = 8, .titles = titles, .alignment = "rlllrrrr" };
    bench_machine_print(&bench->machine);
    output_print("one query against rows of %" PRIu64 " f32 by %s, k %" PRIu64 ", %" PRIu64
                 " runs\n",
                 bench->dim, wg_metric_name(bench->metric), bench->k, bench->runs);
    output_print("%s\n", bench->large_pages ? "" : "large pages: the system gives none\n");
    for (size_t i = 0; i < bench->figure_count; i++) add_row(&table, bench, &bench->figures[i]);
    table_print(&table);
}

/* GB/s by the size of the buffer: of each kind of page and number of threads, what is read and what
 * is searched. */
static wg_err draw(const struct bench *bench, const char *path)
{
    struct plot_series series[16] = { { .count = 0 } };
    size_t count = 0;
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figures *figures = &bench->figures[i];
        char name[PLOT_NAME_SIZE];
        size_t at = 0;
        snprintf(name, sizeof name, "%s, %s pages, %u thread%s", what_names[figures->what],
                 figures->pages, figures->threads, text_plural(figures->threads));
        while (at < count && strcmp(series[at].name, name) != 0) at++;
        if (at == count) memcpy(series[count++].name, name, sizeof name);
        plot_add(&series[at], (double)figures->size / (1 << 20), rate(figures) / 1e9);
    }
    char title[256];
    snprintf(title, sizeof title, "Reading and searching, one query, %s kernels, %s",
             bench->machine.tier, bench->machine.processor);
    struct plot plot = {
        .title = title,
        .x_title = "MiB read",
        .y_title = "GB/s",
        .x_log = true,
        .series = series,
        .series_count = count,
    };
    wg_err err = plot_write(&plot, 1, path);
    for (size_t i = 0; i < count; i++) plot_series_free(&series[i]);
    return err;
}

wg_err bench_bandwidth(const struct bench_options *options)
{
    wg_err err = WG_OK;
    struct bench bench = { .dim = 0 };
    TRY(begin(&bench, options));
    TRY(measure_all(&bench));
    if (common.json)
        print_json(&bench);
    else if (options->csv)
        print_csv(&bench);
    else
        print(&bench);
    if (options->svg) TRY(draw(&bench, options->svg));
out:
    end(&bench);
    return err;
}
