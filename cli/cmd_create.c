#include "cli/command.h"
#include "cli/metric_option.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/type_option.h"

#include <string.h>

#define NOT_GIVEN UINT64_MAX

static struct {
    uint64_t dim, history;
    int metric; /* a wg_metric */
    int type; /* a wg_type */
    bool codes;
} flags = { .history = NOT_GIVEN, .metric = METRIC_NOT_GIVEN, .type = WG_F32, .codes = true };

static wg_err parse_codes(const char *text, void *target)
{
    bool on = strcmp(text, "on") == 0;
    if (!on && strcmp(text, "off") != 0)
        return fail(WG_EINVAL, "expected on or off, got \"%s\"", text);
    *(bool *)target = on;
    return WG_OK;
}

static const struct option_spec options[] = {
    { "dim", 'd', .required = true, OPTION_COUNT, .value = "N", .target = &flags.dim, .min = 1,
      .max = WG_BITS_DIM_MAX, .help = "dimensions of its vectors" },
    { "metric", 'm', .type = OPTION_PARSED, .value = "METRIC", .target = &flags.metric,
      .parse = metric_option_parse, .help = METRIC_NAMES "\n(default: cosine, for bits hamming)" },
    { "type", 0, .type = OPTION_PARSED, .value = "TYPE", .target = &flags.type,
      .parse = type_option_parse,
      .help = "how vectors are stored: " TYPE_NAMES "\n(default: f32)" },
    { "history", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.history,
      .max = UINT64_MAX - 1,
      .help = "how many changed points \"waggle changes\" goes back\n(default: 10,000)" },
    { "codes", 0, .type = OPTION_PARSED, .value = "on|off", .target = &flags.codes,
      .parse = parse_codes,
      .help =
          "keep eight-bit codes of the vectors, a quarter of\ntheir size, for fast exact search "
          "(default: on)" },
    { 0 },
};

static void print(const char *name, const wg_collection_params *params)
{
    const char *metric = wg_metric_name(params->metric), *type = wg_type_name(params->type);
    if (!common.json) {
        output_print("created \"%s\": %llu dimensions, %s, %s\n", name,
                     (unsigned long long)flags.dim, metric, type);
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, "name", json_text(name));
    json_put(document, "dim", json_count(flags.dim));
    json_put(document, "metric", json_text(metric));
    json_put(document, "type", json_text(type));
    json_put(document, "history", json_count(params->history));
    json_put(document, "codes", json_flag(params->codes));
    output_json(document);
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    wg_collection_params params;
    wg_collection_params_init(&params);
    params.dim = (uint32_t)flags.dim;
    params.type = (wg_type)flags.type;
    params.metric = metric_or_default(flags.metric, params.type);
    params.codes = flags.codes;
    if (flags.history != NOT_GIVEN) params.history = flags.history;
    if (flags.dim > WG_DIM_MAX && params.type != WG_BITS)
        return fail(WG_EINVAL, "--dim is %llu, expected 1 to %u for vectors of %s",
                    (unsigned long long)flags.dim, WG_DIM_MAX, wg_type_name(params.type));
    TRY(session_open_context(&session));
    TRY(session_open_store(&session, SESSION_CREATE));
    TRY_WG(wg_collection_create(session.store, arguments[0], &params));
    print(arguments[0], &params);
out:
    session_close(&session);
    return err;
}

const struct command cmd_create = {
    .name = "create",
    .arguments = "COLLECTION",
    .summary = "make an empty collection",
    .details = "Makes the store too where there is none.\n\n"
               "  waggle create docs --dim 768 --metric cosine\n"
               "  waggle create pictures --dim 1024 --type bits",
    .argument_min = 1,
    .argument_max = 1,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
