#include "cli/command.h"
#include "cli/id.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/reader.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { QUERIES_AT_ONCE = 256 };

static struct {
    const char *vector, *file, *format;
    char *id;
    uint64_t k, timeout_ms, limit;
    bool with_payload, with_vector, explain;
    const char *threshold;
} flags = { .k = 10, .limit = UINT64_MAX };

static const struct option_spec options[] = {
    { "vector", 'v', .type = OPTION_TEXT, .value = "N,N,...", .target = &flags.vector,
      .help = "the query, as numbers with commas between" },
    { "file", 'F', .type = OPTION_TEXT, .value = "FILE", .target = &flags.file,
      .help = "queries from a file of any format that import reads;\n- is standard input" },
    { "id", 'i', .type = OPTION_TEXT, .value = "ID", .target = &flags.id,
      .help = "the vector of a point of the collection" },
    { "k", 'k', .type = OPTION_COUNT, .value = "N", .target = &flags.k, .min = 1, .max = UINT32_MAX,
      .help = "hits for each query (default: 10)" },
    { "threshold", 0, .type = OPTION_TEXT, .value = "SCORE", .target = &flags.threshold,
      .help = "only hits at least as good: cosine and dot from it on, distances up to it" },
    { "with-payload", 'p', .type = OPTION_FLAG, .target = &flags.with_payload,
      .help = "show the payloads of the hits" },
    { "with-vector", 0, .type = OPTION_FLAG, .target = &flags.with_vector,
      .help = "show the vectors of the hits" },
    { "timeout-ms", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.timeout_ms, .min = 1,
      .max = UINT64_MAX, .help = "give up after so many milliseconds (default: never)" },
    { "explain", 'e', .type = OPTION_FLAG, .target = &flags.explain,
      .help = "say which device answered, and why" },
    { "format", 'f', .type = OPTION_TEXT, .value = "FORMAT", .target = &flags.format,
      .help = "of --file: npy, fvecs, bvecs, idx or jsonl" },
    { "limit", 'l', .type = OPTION_COUNT, .value = "N", .target = &flags.limit, .min = 1,
      .max = UINT64_MAX, .help = "answer the first N queries of --file only" },
    { 0 },
};

struct search {
    struct session session;
    wg_searcher *searcher;
    wg_search_params params;
    wg_collection_info info;
    uint64_t query; /* number of the next one */
    bool many;
};

static void print_query_json(const struct search *search, const wg_hit *hits, size_t count,
                             const wg_search_report *report)
{
    struct json_object *document = json_object_make(), *how;
    json_put(document, "query", json_count(search->query));
    json_put(document, "hits", show_hits_json(hits, count, &search->info));
    if (flags.explain) {
        how = json_object_make();
        json_put(how, "device", json_text(report->device));
        json_put(how, "reason", json_text(report->reason));
        json_put(how, "sequence", json_count(report->sequence));
        json_put(how, "row_count", json_count(report->row_count));
        json_put(how, "device_row_count", json_count(report->device_row_count));
        json_put(how, "fell_back", json_flag(report->fell_back));
        json_put(how, "query_count", json_count(search->params.query_count));
        json_put(how, "elapsed_us", json_count(report->elapsed_us));
        json_put(document, "report", how);
    }
    output_json(document);
}

static void print_query(const struct search *search, const wg_hit *hits, size_t count)
{
    if (search->many)
        output_print("%s%squery %llu%s\n", search->query > 0 ? "\n" : "", output_style(STYLE_BOLD),
                     (unsigned long long)search->query, output_style(STYLE_PLAIN));
    if (count > 0)
        show_hits(hits, count, &search->info, search->params.with);
    else
        output_print(flags.threshold ? "no hits within the threshold\n"
                                     : "no hits: the collection is empty\n");
}

static void print_report(const struct search *search, const wg_search_report *report)
{
    char time[TEXT_SIZE], rows[TEXT_SIZE], there[TEXT_SIZE];
    size_t count = search->params.query_count;
    output_print("\n%zu quer%s answered by %s in %s%s\n  because: %s\n", count,
                 count == 1 ? "y" : "ies", report->device,
                 text_seconds((double)report->elapsed_us * 1e-6, time),
                 report->fell_back ? ", after another device failed" : "", report->reason);
    output_print("  rows: %s, of these %s on the device; commit: %llu\n",
                 text_count(report->row_count, rows), text_count(report->device_row_count, there),
                 (unsigned long long)report->sequence);
}

static wg_err answer(struct search *search, const void *queries, size_t count)
{
    wg_err err = WG_OK;
    wg_search_report report;
    wg_search_report_init(&report);
    search->params.data = queries;
    search->params.query_count = count;
    TRY_WG(wg_searcher_run(search->searcher, &search->params));
    TRY_WG(wg_searcher_report(search->searcher, &report));
    for (size_t i = 0; i < count && !output_failed(); i++, search->query++) {
        size_t hit_count;
        const wg_hit *hits = wg_searcher_hits(search->searcher, i, &hit_count);
        if (common.json)
            print_query_json(search, hits, hit_count, &report);
        else
            print_query(search, hits, hit_count);
    }
    if (flags.explain && !common.json) print_report(search, &report);
out:
    return err;
}

/* *count numbers; vector is the caller's to heap_free. */
static wg_err parse_vector(const char *text, float **vector, size_t *count)
{
    size_t room = 1;
    for (const char *at = text; *at; at++) room += *at == ',';
    heap_resize(vector, room);
    for (*count = 0; *count < room; ++*count) {
        char *end;
        (*vector)[*count] = strtof(text, &end);
        end += strspn(end, " ");
        if (end == text || (*end != ',' && *end != 0))
            return fail(WG_EINVAL, "--vector: component %zu is \"%.*s\", expected a number", *count,
                        (int)strcspn(text, ","), text);
        text = end + 1;
    }
    return WG_OK;
}

static wg_err search_vector(struct search *search)
{
    float *vector = NULL;
    size_t count;
    wg_err err = parse_vector(flags.vector, &vector, &count);
    search->params.dim = count;
    if (err == WG_OK) err = answer(search, vector, 1);
    heap_free(&vector);
    return err;
}

static wg_err search_id(struct search *search, const char *collection)
{
    wg_err err = WG_OK;
    wg_id id;
    wg_points *points = NULL;
    TRY(id_parse(flags.id, &id));
    TRY_WG(wg_collection_get(search->session.collection, &id, 1, WG_WITH_VECTOR, &points));
    const wg_point *point = wg_points_at(points, 0);
    search->params.type = search->info.type;
    if (point->found)
        err = answer(search, point->data, 1);
    else
        err = fail(WG_ENOTFOUND, "collection \"%s\" has no point %s", collection, flags.id);
out:
    wg_points_destroy(&points);
    return err;
}

static wg_err search_file(struct search *search, const char *collection)
{
    wg_err err = WG_OK;
    struct reader *reader = NULL;
    struct point_batch batch = { 0 };
    bool bits = search->info.type == WG_BITS;
    struct reader_params params = { flags.file, flags.format, 0, bits };
    TRY(reader_open(&params, &reader));
    search->many = true;
    if (reader_dim(reader) != search->info.dim) {
        err = fail(WG_EDIM, "%s: its vectors have %zu dimensions, collection \"%s\" has %u",
                   flags.file, reader_dim(reader), collection, (unsigned)search->info.dim);
        goto out;
    }
    point_batch_init(&batch, QUERIES_AT_ONCE, search->info.dim);
    while (search->query < flags.limit && !output_failed()) {
        TRY(interrupt_check());
        TRY(reader_next(reader, flags.limit - search->query, &batch));
        if (batch.count == 0) break;
        err = answer(search, batch.vectors, batch.count);
        if (err == WG_EINVAL) reader_explain(reader, &batch, err);
        if (err != WG_OK) goto out;
    }
out:
    point_batch_fini(&batch);
    reader_close(&reader);
    return err;
}

static wg_err check_flags(void)
{
    int given = (flags.vector != NULL) + (flags.file != NULL) + (flags.id != NULL);
    if (given == 1) return WG_OK;
    return fail(WG_EINVAL, given == 0 ? "there is no query, expected --vector, --file or --id"
                                      : "several queries, expected one of --vector, --file, --id");
}

static wg_err parse_threshold(float *out)
{
    char *end;
    *out = strtof(flags.threshold, &end);
    if (end != flags.threshold && *end == 0 && !isnan(*out)) return WG_OK;
    return fail(WG_EINVAL, "--threshold is \"%s\", expected a number", flags.threshold);
}

static wg_err begin(struct search *search, const char *collection)
{
    wg_err err = WG_OK;
    TRY(session_open(&search->session, SESSION_READ, collection));
    TRY(session_info(&search->session, &search->info));
    TRY_WG(wg_searcher_create(search->session.collection, &search->searcher));
    wg_search_params_init(&search->params);
    search->params.dim = search->info.dim;
    search->params.k = (size_t)flags.k;
    if (flags.threshold) TRY(parse_threshold(&search->params.threshold));
    search->params.with =
        (flags.with_payload ? WG_WITH_PAYLOAD : 0u) | (flags.with_vector ? WG_WITH_VECTOR : 0u);
    search->params.timeout_ms = flags.timeout_ms;
    search->params.cancel = interrupt_cancel();
out:
    return err;
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct search search = { 0 };
    TRY(check_flags());
    TRY(begin(&search, arguments[0]));
    if (flags.vector) TRY(search_vector(&search));
    if (flags.id) TRY(search_id(&search, arguments[0]));
    if (flags.file) TRY(search_file(&search, arguments[0]));
out:
    wg_searcher_destroy(&search.searcher);
    session_close(&search.session);
    return err;
}

const struct command cmd_search = {
    .name = "search",
    .arguments = "COLLECTION",
    .summary = "find the nearest points, exactly",
    .details = "Scores are the metric's own: for cosine and dot higher is better, for distances\n"
               "lower. The order of hits, equal scores too, is the same on every device.\n\n"
               "  waggle search docs --id 42 -k 3 --with-payload\n"
               "  waggle search docs --vector 0.1,0.7,0.2\n"
               "  waggle search docs --file queries.npy --json",
    .argument_min = 1,
    .argument_max = 1,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
