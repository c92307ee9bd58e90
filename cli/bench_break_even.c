/* From where on it pays: each duel is two ways to the same answers, timed in turns at rising sizes.
 * The prediction takes a way to cost a + b x: something for each call, and something for each row
 * or query. Where the lines of two ways cross is the break-even; what was measured around it, and
 * was not asked for the prediction, says how good that is. */
#include "cli/bench.h"
#include "cli/measure.h"
#include "cli/metric_option.h"
#include "cli/options.h"
#include "cli/plot.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/workload.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { POINTS_MAX = 40, DUELS_MAX = 8, NOTES_MAX = 12, NOTE_SIZE = 320 };
/* Where rising sizes begin; below CODES_FIRST rows there are no codes. */
enum {
    ROWS_FIRST = 512,
    CODES_FIRST = 2048,
    ROWS_MIN = 2 * CODES_FIRST,
    CALLS_MAX = 8,
    ROUNDS = 8
};

static const double GOAL = 0.20; /* how near a prediction has to come */

struct point {
    double x, seconds[2]; /* medians of the two ways */
};

struct duel {
    const char *name, *by, *ways[2]; /* by: what x counts */
    struct point points[POINTS_MAX];
    size_t point_count;
    double predicted, measured; /* x from which on the second way is faster; NaN: nowhere */
};

struct bench {
    uint64_t n, dim, k, batch, runs, seed;
    wg_metric metric;
    struct bench_machine machine;
    struct workload workload;
    wg_context *one, *all; /* threads */
    double *times[2];
    struct duel duels[DUELS_MAX];
    size_t duel_count;
    char notes[NOTES_MAX][NOTE_SIZE];
    size_t note_count;
    struct progress progress;
};

/* What the two ways of a duel do, and to what. */
struct contest {
    wg_err (*measure)(struct bench *bench, const struct contest *contest, size_t x, int way,
                      double *seconds);
    wg_err (*prepare)(struct bench *bench, const struct contest *contest, size_t x); /* or NULL */
    struct workload_store *stores[2]; /* NULL: that way searches an array */
    size_t batch;
    bool *answered; /* whether the second store's device did; NULL: it has none */
};

static wg_err add_note(struct bench *bench, const char *format, ...) CLI_PRINTF(2, 3);
static wg_err add_note(struct bench *bench, const char *format, ...)
{
    va_list arguments;
    if (bench->note_count == NOTES_MAX) return WG_OK;
    va_start(arguments, format);
    vsnprintf(bench->notes[bench->note_count++], NOTE_SIZE, format, arguments);
    va_end(arguments);
    return WG_OK;
}

static wg_err begin(struct bench *bench, const struct bench_options *options)
{
    wg_err err = WG_OK;
    bench->n = options->n ? options->n : 100000;
    bench->dim = options->dim ? options->dim : 128;
    bench->k = options->k ? options->k : 10;
    bench->batch = options->batch ? options->batch : 128;
    bench->runs = options->runs ? options->runs : 15;
    bench->seed = options->seed;
    bench->metric = options->metric == METRIC_NOT_GIVEN ? WG_EUCLIDEAN : (wg_metric)options->metric;
    if (bench->n < ROWS_MIN) return fail(WG_EINVAL, "break-even needs at least %d rows", ROWS_MIN);
    if (bench->batch < 2) return fail(WG_EINVAL, "break-even needs a batch of at least 2");
    TRY(session_make_context(1, common.cpu, "cpu", &bench->one));
    TRY(session_make_context(common.threads, common.cpu, "cpu", &bench->all));
    bench_machine_init(&bench->machine, bench->all);
    struct workload_size size = { .row_count = (size_t)bench->n,
                                  .query_count = (size_t)bench->batch,
                                  .dim = (size_t)bench->dim,
                                  .k = (size_t)bench->k,
                                  .seed = bench->seed };
    TRY(workload_make(&size, &bench->workload));
    bench->workload.metric = bench->metric;
    for (size_t i = 0; i < 2; i++) heap_resize(&bench->times[i], (size_t)bench->runs);
out:
    return err;
}

static void end(struct bench *bench)
{
    wg_context_destroy(&bench->one);
    wg_context_destroy(&bench->all);
    workload_free(&bench->workload);
    for (size_t i = 0; i < 2; i++) heap_free(&bench->times[i]);
}

/* --- predicting and comparing --- */

/* Where a + b x of the second way falls below that of the first, both through two points; first->x:
 * from there on at least; NaN: nowhere. */
static double cross(const struct point *first, const struct point *last)
{
    double slopes[2], starts[2];
    for (int way = 0; way < 2; way++) {
        slopes[way] = (last->seconds[way] - first->seconds[way]) / (last->x - first->x);
        starts[way] = first->seconds[way] - slopes[way] * first->x;
    }
    if (!(slopes[1] < slopes[0])) return first->seconds[1] < first->seconds[0] ? first->x : NAN;
    return fmax(first->x, (starts[1] - starts[0]) / (slopes[0] - slopes[1]));
}

/* From points that are at least twice as far off: what lies nearer is what the prediction is
 * compared with. Begins with the ends, and asks nearer ones where the former answer was. */
static double predict(const struct duel *duel)
{
    const struct point *points = duel->points, *first = points;
    const struct point *last = points + duel->point_count - 1;
    double x = cross(first, last);
    for (int round = 0; round < ROUNDS && isfinite(x); round++) {
        size_t low = 0, high = duel->point_count - 1;
        while (low + 1 < duel->point_count && 2 * points[low + 1].x <= x) low++;
        while (high > 0 && points[high - 1].x >= 2 * x) high--;
        if (low == high || (&points[low] == first && &points[high] == last)) break;
        first = &points[low];
        last = &points[high];
        x = cross(first, last);
    }
    return x;
}

/* From where on the second way is faster at every greater size; between two sizes the logarithm of
 * the ratio is taken for a straight line. */
static double compare(const struct duel *duel)
{
    size_t i = duel->point_count;
    while (i > 0 && duel->points[i - 1].seconds[1] < duel->points[i - 1].seconds[0]) i--;
    if (i == duel->point_count) return NAN;
    if (i == 0) return duel->points[0].x;
    const struct point *slower = &duel->points[i - 1], *faster = &duel->points[i];
    double before = log(slower->seconds[1] / slower->seconds[0]);
    double after = log(faster->seconds[1] / faster->seconds[0]);
    return slower->x * pow(faster->x / slower->x, before / (before - after));
}

/* NaN where one of them is nowhere; 0 where both are. */
static double error_of(const struct duel *duel)
{
    if (isnan(duel->predicted) && isnan(duel->measured)) return 0;
    return fabs(duel->predicted - duel->measured) / duel->measured;
}

/* --- the duels --- */

static wg_err measure_point(struct bench *bench, struct duel *duel, const struct contest *contest,
                            size_t x)
{
    wg_err err = WG_OK;
    struct point *point = &duel->points[duel->point_count];
    point->x = (double)x;
    for (int way = 0; way < 2; way++) /* warms */
        TRY(contest->measure(bench, contest, x, way, &bench->times[way][0]));
    for (size_t i = 0; i < bench->runs; i++)
        for (int way = 0; way < 2; way++)
            TRY(contest->measure(bench, contest, x, way, &bench->times[way][i]));
    for (int way = 0; way < 2; way++)
        point->seconds[way] = measure_percentile(bench->times[way], (size_t)bench->runs, 0.5);
    duel->point_count++;
    progress_update(&bench->progress, (uint64_t)x, -1);
out:
    return err;
}

/* At sizes that double, from first to at most last, which is tried too. */
static wg_err measure_duel(struct bench *bench, const struct duel *names,
                           const struct contest *contest, size_t first, size_t last)
{
    wg_err err = WG_OK;
    struct duel *duel = &bench->duels[bench->duel_count];
    *duel = *names;
    for (size_t x = first; x < last && duel->point_count < POINTS_MAX - 1; x *= 2) {
        TRY(contest->prepare ? contest->prepare(bench, contest, x) : WG_OK);
        TRY(measure_point(bench, duel, contest, x));
    }
    TRY(contest->prepare ? contest->prepare(bench, contest, last) : WG_OK);
    TRY(measure_point(bench, duel, contest, last));
    duel->predicted = predict(duel);
    duel->measured = compare(duel);
    bench->duel_count++;
out:
    return err;
}

static wg_err by_threads(struct bench *bench, const struct contest *contest, size_t x, int way,
                         double *seconds)
{
    (void)contest;
    return workload_search(way == 0 ? bench->one : bench->all, &bench->workload, x, 1, seconds);
}

static wg_err threads_duel(struct bench *bench)
{
    static const struct contest contest = { .measure = by_threads };
    struct duel names = { .name = "threads",
                          .by = "rows",
                          .ways = { "one thread", "all threads" } };
    if (bench->machine.threads == 1)
        return add_note(bench, "threads: there is one, so nothing to compare");
    return measure_duel(bench, &names, &contest, ROWS_FIRST, (size_t)bench->n);
}

/* One by one: a few calls stand for all of them, each with another query. */
static wg_err by_batch(struct bench *bench, const struct contest *contest, size_t x, int way,
                       double *seconds)
{
    (void)contest;
    wg_err err = WG_OK;
    struct workload single = bench->workload;
    size_t calls = x < CALLS_MAX ? x : CALLS_MAX;
    double sum = 0, one;
    if (way == 1)
        return workload_search(bench->all, &bench->workload, (size_t)bench->n, x, seconds);
    for (size_t i = 0; i < calls; i++) {
        single.queries = bench->workload.queries + i * bench->workload.dim;
        TRY(workload_search(bench->all, &single, (size_t)bench->n, 1, &one));
        sum += one;
    }
    *seconds = sum / (double)calls * (double)x / 2;
out:
    return err;
}

static wg_err batch_duel(struct bench *bench)
{
    static const struct contest contest = { .measure = by_batch };
    struct duel names = { .name = "batch",
                          .by = "queries in a call",
                          .ways = { "half the time of one by one", "one call" } };
    return measure_duel(bench, &names, &contest, 1, (size_t)bench->batch);
}

static wg_err by_codes(struct bench *bench, const struct contest *contest, size_t x, int way,
                       double *seconds)
{
    if (way == 0) return workload_search(bench->all, &bench->workload, x, 1, seconds);
    return workload_store_search(contest->stores[1], &bench->workload, 1, seconds);
}

static wg_err grow_stores(struct bench *bench, const struct contest *contest, size_t x)
{
    wg_err err = WG_OK;
    bool coded;
    for (size_t i = 0; i < 2; i++)
        if (contest->stores[i])
            TRY(workload_store_grow(contest->stores[i], &bench->workload, x, &coded));
    if (contest->answered)
        TRY(workload_store_meet_device(contest->stores[1], &bench->workload, contest->answered));
out:
    return err;
}

static wg_err codes_duel(struct bench *bench)
{
    wg_err err = WG_OK;
    struct workload_store store = { .store = NULL };
    struct contest contest = { .measure = by_codes,
                               .prepare = grow_stores,
                               .stores = { NULL, &store } };
    struct duel names = { .name = "codes",
                          .by = "rows",
                          .ways = { "rows of an array", "codes of a collection" } };
    if (bench->metric == WG_MANHATTAN || bench->metric == WG_CHEBYSHEV)
        return add_note(bench, "codes: there are none for this metric");
    TRY(workload_store_open(bench->all, &bench->workload, &store));
    TRY(measure_duel(bench, &names, &contest, CODES_FIRST, (size_t)bench->n));
    if (store.code_bytes == 0) {
        bench->duel_count--;
        err = add_note(bench, "codes: none were made; is there memory for them?");
    }
out:
    workload_store_close(&store);
    return err;
}

static wg_err by_device(struct bench *bench, const struct contest *contest, size_t x, int way,
                        double *seconds)
{
    (void)x;
    return workload_store_search(contest->stores[way], &bench->workload, contest->batch, seconds);
}

/* On the CPU, and where the library sends so many queries when it may use the device. */
static wg_err device_duel(struct bench *bench, wg_context *context, const char *by, size_t batch)
{
    wg_err err = WG_OK;
    bool answered = false;
    struct workload_store stores[2] = { { .store = NULL }, { .store = NULL } };
    struct contest contest = { .measure = by_device,
                               .prepare = grow_stores,
                               .batch = batch,
                               .stores = { &stores[0], &stores[1] },
                               .answered = &answered };
    struct duel names = { .name = "device", .by = by, .ways = { "CPU", "device" } };
    TRY(workload_store_open(bench->all, &bench->workload, &stores[0]));
    TRY(workload_store_open(context, &bench->workload, &stores[1]));
    TRY(measure_duel(bench, &names, &contest, ROWS_FIRST, (size_t)bench->n));
    if (!answered) {
        bench->duel_count--;
        err = add_note(bench, "device: it has answered no search of all rows");
    }
out:
    for (size_t i = 0; i < 2; i++) workload_store_close(&stores[i]);
    return err;
}

/* Why each backend is not there goes into the note: that is what one can act on. */
static wg_err note_missing(struct bench *bench, wg_context *context)
{
    wg_err err = WG_OK;
    TRY(add_note(bench, "device: there is none besides the CPU, so nothing to compare"));
    for (size_t i = 0; i < wg_backend_count(context); i++) {
        wg_backend_info info;
        wg_backend_info_init(&info);
        TRY_WG(wg_backend_get(context, i, &info));
        if (info.device_count == 0) TRY(add_note(bench, "%s: %s", info.name, info.reason));
    }
out:
    return err;
}

static wg_err device_duels(struct bench *bench)
{
    wg_err err = WG_OK;
    wg_context *context = NULL;
    TRY(session_make_context(common.threads, common.cpu, common.backend, &context));
    if (wg_device_count(context) < 2) {
        err = note_missing(bench, context);
        goto out;
    }
    TRY(device_duel(bench, context, "rows, one query", 1));
    TRY(device_duel(bench, context, "rows, a batch", (size_t)bench->batch));
out:
    wg_context_destroy(&context);
    return err;
}

static wg_err measure_all(struct bench *bench)
{
    wg_err err = WG_OK;
    progress_begin(&bench->progress, "measuring", "rows or queries", 0);
    TRY(threads_duel(bench));
    TRY(batch_duel(bench));
    TRY(codes_duel(bench));
    TRY(device_duels(bench));
out:
    progress_end(&bench->progress);
    return err;
}

/* --- the result --- */

static struct json_object *number(double value, int digits)
{
    return isfinite(value) ? json_decimal(value, digits) : NULL;
}

static struct json_object *as_json(const struct duel *duel)
{
    struct json_object *result = json_object_make(), *points = json_array_make();
    json_put(result, "name", json_text(duel->name));
    json_put(result, "by", json_text(duel->by));
    json_put(result, "first", json_text(duel->ways[0]));
    json_put(result, "second", json_text(duel->ways[1]));
    json_put(result, "predicted", number(duel->predicted, 1));
    json_put(result, "measured", number(duel->measured, 1));
    json_put(result, "error", number(error_of(duel), 4));
    json_put(result, "within_goal", json_flag(error_of(duel) <= GOAL));
    for (size_t i = 0; i < duel->point_count; i++) {
        struct json_object *point = json_object_make();
        json_put(point, "x", json_count((uint64_t)duel->points[i].x));
        json_put(point, "first_us", json_decimal(duel->points[i].seconds[0] * 1e6, 1));
        json_put(point, "second_us", json_decimal(duel->points[i].seconds[1] * 1e6, 1));
        json_push(points, point);
    }
    json_put(result, "points", points);
    return result;
}

static void print_json(const struct bench *bench)
{
    struct json_object *document = bench_machine_json(&bench->machine);
    struct json_object *results = json_array_make(), *notes = json_array_make();
    json_put(document, "n", json_count(bench->n));
    json_put(document, "dim", json_count(bench->dim));
    json_put(document, "k", json_count(bench->k));
    json_put(document, "runs", json_count(bench->runs));
    json_put(document, "metric", json_text(wg_metric_name(bench->metric)));
    json_put(document, "goal", json_decimal(GOAL, 2));
    for (size_t i = 0; i < bench->duel_count; i++) json_push(results, as_json(&bench->duels[i]));
    for (size_t i = 0; i < bench->note_count; i++) json_push(notes, json_text(bench->notes[i]));
    json_put(document, "results", results);
    json_put(document, "notes", notes);
    output_json(document);
}

static void print_csv(const struct bench *bench)
{
    output_print("processor,tier,threads,metric,dim,k,name,by,first,second,x,first_us,second_us,"
                 "predicted,measured\n");
    for (size_t d = 0; d < bench->duel_count; d++)
        for (size_t i = 0; i < bench->duels[d].point_count; i++) {
            const struct duel *duel = &bench->duels[d];
            const struct point *point = &duel->points[i];
            output_print("\"%s\",%s,%u,%s,%" PRIu64 ",%" PRIu64 ",%s,\"%s\",%s,%s,%.0f,",
                         bench->machine.processor, bench->machine.tier, bench->machine.threads,
                         wg_metric_name(bench->metric), bench->dim, bench->k, duel->name, duel->by,
                         duel->ways[0], duel->ways[1], point->x);
            output_print("%.1f,%.1f,", point->seconds[0] * 1e6, point->seconds[1] * 1e6);
            if (isfinite(duel->predicted)) output_print("%.1f", duel->predicted);
            output_print(isfinite(duel->measured) ? ",%.1f\n" : ",\n", duel->measured);
        }
}

static const char *where(const struct duel *duel, double x, char text[TEXT_SIZE])
{
    const struct point *first = &duel->points[0];
    if (isnan(x)) return "nowhere";
    if (x <= first->x) return "always";
    return text_count((uint64_t)ceil(x), text);
}

static void add_row(struct table *table, const struct duel *duel)
{
    const struct point *last = &duel->points[duel->point_count - 1];
    char text[TEXT_SIZE];
    table_add(table, "%s", duel->ways[1]);
    table_add(table, "%s", duel->ways[0]);
    table_add(table, "%s", duel->by);
    table_add(table, "%s", where(duel, duel->predicted, text));
    table_add(table, "%s", where(duel, duel->measured, text));
    if (isfinite(error_of(duel)))
        table_add(table, "%.0f %%%s", 100 * error_of(duel),
                  error_of(duel) <= GOAL ? "" : ": too far");
    else
        table_add(table, "%s", "wrong");
    table_add(table, "%.2f x at %s", last->seconds[0] / last->seconds[1],
              text_count((uint64_t)last->x, text));
}

static void print(const struct bench *bench)
{
    static const char *const titles[] = { "pays",     "instead of", "from so many", "predicted",
                                          "measured", "off by",     "gain" };
    char n[TEXT_SIZE];
    struct table table = { .column_count = 7, .titles = titles, .alignment = "lllrrrr" };
    bench_machine_print(&bench->machine);
    output_print("%s x %" PRIu64 " f32 by %s, k %" PRIu64 ", %" PRIu64
                 " runs; predictions are to be within %.0f %%\n\n",
                 text_count(bench->n, n), bench->dim, wg_metric_name(bench->metric), bench->k,
                 bench->runs, 100 * GOAL);
    for (size_t i = 0; i < bench->duel_count; i++) add_row(&table, &bench->duels[i]);
    table_print(&table);
    for (size_t i = 0; i < bench->note_count; i++)
        output_print("%s%s\n", i == 0 ? "\n" : "", bench->notes[i]);
}

/* One plot for each duel: seconds of both ways, and where the second begins to be faster. */
static wg_err draw(const struct bench *bench, const char *path)
{
    struct plot plots[DUELS_MAX];
    struct plot_series series[DUELS_MAX][2] = { { { .count = 0 } } };
    struct plot_mark marks[DUELS_MAX][2];
    for (size_t d = 0; d < bench->duel_count; d++) {
        const struct duel *duel = &bench->duels[d];
        for (size_t way = 0; way < 2; way++) {
            snprintf(series[d][way].name, PLOT_NAME_SIZE, "%s", duel->ways[way]);
            for (size_t i = 0; i < duel->point_count; i++)
                plot_add(&series[d][way], duel->points[i].x, duel->points[i].seconds[way] * 1e6);
        }
        marks[d][0] = (struct plot_mark){ "predicted", duel->predicted };
        marks[d][1] = (struct plot_mark){ "measured", duel->measured };
        plots[d] = (struct plot){ .title = duel->name,
                                  .x_title = duel->by,
                                  .y_title = "microseconds",
                                  .x_log = true,
                                  .y_log = true,
                                  .series = series[d],
                                  .series_count = 2,
                                  .marks = marks[d],
                                  .mark_count = 2 };
    }
    wg_err err = plot_write(plots, bench->duel_count, path);
    for (size_t d = 0; d < bench->duel_count; d++)
        for (size_t way = 0; way < 2; way++) plot_series_free(&series[d][way]);
    return err;
}

wg_err bench_break_even(const struct bench_options *options)
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
out:
    end(&bench);
    return err;
}
