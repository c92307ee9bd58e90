#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>

/* Of points that were replaced or deleted since. */
static uint64_t dead_rows(const wg_collection_info *info)
{
    return info->row_count > info->count ? info->row_count - info->count : 0;
}

static void print_json(const char *name, const wg_collection_info *info)
{
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, info->chain_hash);
    struct json_object *document = json_object_make();
    json_put(document, "name", json_text(name));
    json_put(document, "dim", json_count(info->dim));
    json_put(document, "metric", json_text(wg_metric_name(info->metric)));
    json_put(document, "type", json_text(wg_type_name(info->type)));
    json_put(document, "count", json_count(info->count));
    json_put(document, "row_count", json_count(info->row_count));
    json_put(document, "dead_row_count", json_count(dead_rows(info)));
    json_put(document, "segment_count", json_count(info->segment_count));
    json_put(document, "vector_bytes", json_count(info->vector_bytes));
    json_put(document, "disk_bytes", json_count(info->disk_bytes));
    json_put(document, "codes", json_flag(info->codes));
    json_put(document, "code_file_bytes", json_count(info->code_file_bytes));
    json_put(document, "coded_row_count", json_count(info->coded_row_count));
    json_put(document, "code_bytes", json_count(info->code_bytes));
    json_put(document, "epoch", json_count(info->epoch));
    json_put(document, "sequence", json_count(info->sequence));
    json_put(document, "chain_hash", json_text(hash));
    json_put(document, "horizon", json_count(info->horizon));
    output_json(document);
}

static void print(const char *name, const wg_collection_info *info)
{
    char count[TEXT_SIZE], dead[TEXT_SIZE], memory[TEXT_SIZE];
    struct table table = { .column_count = 2, .alignment = "ll" };
    table_add(&table, "collection");
    table_add(&table, "%s", name);
    table_add(&table, "metric");
    table_add(&table, "%s", wg_metric_name(info->metric));
    table_add(&table, "stored as");
    table_add(&table, "%s", wg_type_name(info->type));
    table_add(&table, "dimensions");
    table_add(&table, "%s", text_count(info->dim, count));
    table_add(&table, "points");
    table_add(&table, "%s", text_count(info->count, count));
    table_add(&table, "rows");
    table_add(&table, "%s, %s of them dead: replaced or deleted",
              text_count(info->row_count, count), text_count(dead_rows(info), dead));
    table_add(&table, "segments");
    table_add(&table, "%s", text_count(info->segment_count, count));
    table_add(&table, "vectors");
    table_add(&table, "%s", text_bytes(info->vector_bytes, count));
    table_add(&table, "on disk");
    table_add(&table, "%s", text_bytes(info->disk_bytes, count));
    table_add(&table, "codes");
    if (info->codes)
        table_add(&table, "%s on disk, %s in memory", text_bytes(info->code_file_bytes, count),
                  text_bytes(info->code_bytes, memory));
    else
        table_add(&table, "off");
    table_add(&table, "epoch");
    table_add(&table, "%s", text_count(info->epoch, count));
    table_add(&table, "sequence");
    table_add(&table, "%s", text_count(info->sequence, count));
    table_add(&table, "history");
    table_add(&table, "%016" PRIx64, info->chain_hash);
    table_add(&table, "changes");
    table_add(&table, "kept behind sequence %s", text_count(info->horizon, count));
    table_print(&table);
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    wg_collection_info info;
    TRY(session_open(&session, SESSION_READ, arguments[0]));
    TRY(session_info(&session, &info));
    if (common.json)
        print_json(arguments[0], &info);
    else
        print(arguments[0], &info);
out:
    session_close(&session);
    return err;
}

const struct command cmd_info = {
    .name = "info",
    .arguments = "COLLECTION",
    .summary = "show what a collection is and holds",
    .details =
        "sequence counts the writes. history is a hash over all of them: equal histories have\n"
        "equal hashes; a repair begins a new epoch. changes says from where on \"waggle changes\"\n"
        "can list them. \"waggle compact\" gives back the space of dead rows.",
    .argument_min = 1,
    .argument_max = 1,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
