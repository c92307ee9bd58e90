#include "cli/clock.h"
#include "cli/command.h"
#include "cli/importer.h"
#include "cli/metric_option.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/type_option.h"

#include <string.h>

static struct {
    const char *format;
    uint64_t first_id, batch, limit;
    bool create;
    int metric; /* a wg_metric */
    int type; /* a wg_type */
    uint32_t interval_ms; /* 0: each batch is on disk before the next */
} flags = { .limit = UINT64_MAX, .metric = METRIC_NOT_GIVEN, .type = TYPE_NOT_GIVEN };

static wg_err parse_durability(const char *text, void *target)
{
    static const char prefix[] = "interval:";
    uint64_t interval_ms = 0;
    bool timed = strncmp(text, prefix, strlen(prefix)) == 0;
    bool fine = timed ? text_to_u64(text + strlen(prefix), &interval_ms) && interval_ms > 0 &&
                            interval_ms <= UINT32_MAX
                      : strcmp(text, "always") == 0;
    if (!fine)
        return fail(WG_EINVAL, "\"%s\", expected always, or interval:MS with 1 to %u milliseconds",
                    text, (unsigned)UINT32_MAX);
    *(uint32_t *)target = (uint32_t)interval_ms;
    return WG_OK;
}

static const struct option_spec options[] = {
    { "format", 'f', .type = OPTION_TEXT, .value = "FORMAT", .target = &flags.format,
      .help = "npy, fvecs, bvecs, idx or jsonl (default: by the file's name,\n"
              "else by its first bytes)" },
    { "first-id", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.first_id,
      .max = UINT64_MAX, .help = "id of the first point; the next have the next (default: 0)" },
    { "batch", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.batch, .min = 1,
      .max = 1 << 20, .help = "points written at once (default: about 64 MiB of vectors)" },
    { "limit", 'l', .type = OPTION_COUNT, .value = "N", .target = &flags.limit, .min = 1,
      .max = UINT64_MAX, .help = "import the first N points only" },
    { "create", 0, .type = OPTION_FLAG, .target = &flags.create,
      .help = "make the collection where there is none" },
    { "metric", 'm', .type = OPTION_PARSED, .value = "METRIC", .target = &flags.metric,
      .parse = metric_option_parse,
      .help = "with --create: " METRIC_NAMES "\n(default: cosine, for bits hamming)" },
    { "type", 0, .type = OPTION_PARSED, .value = "TYPE", .target = &flags.type,
      .parse = type_option_parse,
      .help =
          "with --create: how vectors are stored, " TYPE_NAMES "\n(default: f32); and with bits, "
          "that the bytes of an npy file hold\neight components each, the lowest bit first" },
    { "durability", 0, .type = OPTION_PARSED, .value = "WHEN", .target = &flags.interval_ms,
      .parse = parse_durability,
      .help = "always: each batch is on disk before the next is read; or\n"
              "interval:MS: one commit every MS milliseconds, which a crash\n"
              "undoes back to the latest (default: always)" },
    { 0 },
};

static wg_err create_collection(struct session *session, const char *name, size_t dim)
{
    wg_err err = WG_OK;
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = (uint32_t)dim;
    if (flags.type != TYPE_NOT_GIVEN) params.type = (wg_type)flags.type;
    params.metric = metric_or_default(flags.metric, params.type);
    TRY_WG(wg_collection_create(session->store, name, &params));
    TRY(session_open_collection(session, name));
out:
    return err;
}

static wg_err open_collection(struct session *session, const char *name, size_t dim)
{
    wg_err err = session_open_context(session);
    if (err != WG_OK) return err;
    err = session_open_store(session, flags.create ? SESSION_CREATE : SESSION_WRITE);
    if (err != WG_OK) return err;
    err = session_open_collection(session, name);
    if (err != WG_ENOTFOUND) return err;
    if (flags.create) return create_collection(session, name, dim);
    return fail_hint(err, "%s; --create makes it", fail_hint_text());
}

static wg_err check_collection(const wg_collection_info *info, const char *file, const char *name,
                               size_t dim)
{
    if (info->dim != dim)
        return fail(WG_EDIM, "%s: its vectors have %zu dimensions, collection \"%s\" has %u", file,
                    dim, name, (unsigned)info->dim);
    if (flags.metric != METRIC_NOT_GIVEN && info->metric != (wg_metric)flags.metric)
        return fail(WG_EINVAL, "--metric is %s, but collection \"%s\" exists and has %s",
                    wg_metric_name((wg_metric)flags.metric), name, wg_metric_name(info->metric));
    if (flags.type != TYPE_NOT_GIVEN && info->type != (wg_type)flags.type)
        return fail(WG_EINVAL, "--type is %s, but collection \"%s\" exists and has %s",
                    wg_type_name((wg_type)flags.type), name, wg_type_name(info->type));
    return WG_OK;
}

static void print(const struct import *import, const wg_collection_info *info, double seconds)
{
    char points[TEXT_SIZE], time[TEXT_SIZE], rate[TEXT_SIZE];
    double done = (double)import->done;
    double bytes = done * (double)wg_type_vector_size(info->type, info->dim);
    if (!common.json) {
        output_print("imported %s point%s into \"%s\" in %s (%s points/s, %.0f MB/s)\n",
                     text_count(import->done, points), text_plural(import->done), import->name,
                     text_seconds(seconds, time), text_rate(done / seconds, rate),
                     bytes / seconds / 1e6);
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, "collection", json_text(import->name));
    json_put(document, "imported", json_count(import->done));
    json_put(document, "count", json_count(wg_collection_count(import->collection)));
    json_put(document, "seconds", json_decimal(seconds, 6));
    json_put(document, "megabytes_per_second", json_decimal(bytes / seconds / 1e6, 1));
    output_json(document);
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct reader *reader = NULL;
    const char *name = arguments[0], *file = arguments[1];
    wg_collection_info info;
    struct reader_params params = { file, flags.format, flags.first_id, flags.type == WG_BITS };
    if (flags.metric != METRIC_NOT_GIVEN && !flags.create)
        return fail(WG_EINVAL, "--metric is for --create: the collection has one already");
    double start = clock_seconds();
    TRY(reader_open(&params, &reader));
    size_t dim = reader_dim(reader);
    session.commit_interval_ms = flags.interval_ms;
    TRY(open_collection(&session, name, dim));
    TRY(session_info(&session, &info));
    TRY(check_collection(&info, file, name, dim));
    struct import import = { .collection = session.collection, .name = name, .reader = reader };
    import.batch_room = flags.batch ? (size_t)flags.batch : import_batch_room(dim);
    import.limit = flags.limit;
    import.queued = flags.interval_ms > 0;
    TRY(import_run(&import));
    print(&import, &info, clock_seconds() - start);
out:
    reader_close(&reader);
    session_close(&session);
    return err;
}

const struct command cmd_import = {
    .name = "import",
    .arguments = "COLLECTION FILE",
    .summary = "put the vectors of a file into a collection",
    .details =
        "FILE is npy, fvecs, bvecs, idx or jsonl, packed with gzip or not; - is standard input.\n"
        "A line of jsonl is {\"id\": 7, \"vector\": [0.1, 0.2], \"payload\": {\"title\": \"x\"}}; "
        "id\n"
        "and payload may be absent. A point whose id exists is replaced. Each batch is on disk\n"
        "before the next is read, if --durability does not say otherwise; after an error or\n"
        "Ctrl-C the batches before it stay. When waggle says \"imported\", all is on disk.\n\n"
        "  waggle import docs vectors.npy --create --metric cosine\n"
        "  zcat points.jsonl.gz | waggle import docs - --format jsonl",
    .argument_min = 2,
    .argument_max = 2,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
