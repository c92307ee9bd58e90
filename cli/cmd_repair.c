#include "cli/command.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

static struct {
    bool dry_run;
    const char *salvage;
    uint64_t limit;
} flags = { .limit = 100 };

static const struct option_spec options[] = {
    { "dry-run", 'n', .type = OPTION_FLAG, .target = &flags.dry_run,
      .help = "only say what would be lost and saved" },
    { "salvage", 0, .type = OPTION_TEXT, .value = "NEW", .target = &flags.salvage,
      .help = "copy what can be proven right into this folder, empty or absent" },
    { "limit", 'l', .type = OPTION_COUNT, .value = "N", .target = &flags.limit, .min = 1,
      .max = UINT64_MAX, .help = "show the first N losses; all are counted (default: 100)" },
    { 0 },
};

static void print_json(const wg_repair_report *report, const struct findings *losses)
{
    struct json_object *document = json_object_make();
    json_put(document, "store", json_text(common.store));
    json_put(document, "salvage", flags.salvage ? json_text(flags.salvage) : NULL);
    json_put(document, "collections", json_count(report->collection_count));
    json_put(document, "lost_collections", json_count(report->lost_collection_count));
    json_put(document, "points", json_count(report->point_count));
    json_put(document, "lost_points", json_count(report->lost_count));
    json_put(document, "loss_count", json_count(losses->count));
    json_put(document, "losses", json_object_get(losses->array));
    output_json(document);
}

static void print(const wg_repair_report *report, const struct findings *losses)
{
    char a[TEXT_SIZE], b[TEXT_SIZE], shown[128];
    const char *style = losses->count > 0 ? output_style(STYLE_RED) : output_style(STYLE_GREEN);
    output_print("%slost%s: %s point%s, %s whole collection%s%s\n", style,
                 output_style(STYLE_PLAIN), text_count(report->lost_count, a),
                 text_plural(report->lost_count), text_count(report->lost_collection_count, b),
                 text_plural(report->lost_collection_count),
                 findings_shown(losses, shown, sizeof shown));
    output_print("%s: %s point%s in %s collection%s%s%s\n",
                 flags.salvage ? "saved" : "can be saved", text_count(report->point_count, a),
                 text_plural(report->point_count), text_count(report->collection_count, b),
                 text_plural(report->collection_count), flags.salvage ? ", in " : "",
                 flags.salvage ? flags.salvage : "");
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count, (void)arguments;
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct findings losses = findings_make("loss", flags.limit);
    wg_repair_report report;
    wg_repair_report_init(&report);
    if (flags.dry_run == (flags.salvage != NULL))
        TRY(fail(WG_EINVAL, "give one of --dry-run and --salvage NEW, got %s",
                 flags.dry_run ? "both" : "neither"));
    TRY(session_open_context(&session));
    TRY_WG(wg_store_repair(session.context, common.store, flags.salvage, findings_add, &losses,
                           &report));
    if (common.json)
        print_json(&report, &losses);
    else
        print(&report, &losses);
    if (losses.count > 0 || report.lost_count > 0 || report.lost_collection_count > 0)
        err = fail_silently(EXIT_FAILED);
out:
    findings_fini(&losses);
    session_close(&session);
    return err;
}

const struct command cmd_repair = {
    .name = "repair",
    .arguments = "",
    .summary = "save what is left of a damaged store into a new one",
    .details =
        "Give --dry-run or --salvage NEW. The damaged store is not changed. Whatever passes\n"
        "every checksum and cross-reference is saved; the rest is named. Exit code 0 when\n"
        "nothing is lost, 1 when something is.\n\n"
        "  waggle repair --dry-run\n"
        "  waggle repair --salvage ./waggle-saved",
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
