#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

#include <stdio.h>

static void print_json(const char *name, const wg_collection_info *before,
                       const wg_collection_info *after)
{
    struct json_object *document = json_object_make();
    json_put(document, "collection", json_text(name));
    json_put(document, "row_count_before", json_count(before->row_count));
    json_put(document, "row_count", json_count(after->row_count));
    json_put(document, "disk_bytes_before", json_count(before->disk_bytes));
    json_put(document, "disk_bytes", json_count(after->disk_bytes));
    output_json(document);
}

/* A line when it is done: an interrupt later does not undo it. */
static void print(const char *name, const wg_collection_info *before,
                  const wg_collection_info *after)
{
    char rows[2][TEXT_SIZE], bytes[2][TEXT_SIZE];
    if (common.json) {
        print_json(name, before, after);
    } else {
        output_print("\"%s\": rows %s before, %s after; on disk %s before, %s after\n", name,
                     text_count(before->row_count, rows[0]), text_count(after->row_count, rows[1]),
                     text_bytes(before->disk_bytes, bytes[0]),
                     text_bytes(after->disk_bytes, bytes[1]));
    }
    fflush(stdout);
}

static wg_err compact(struct session *session, const char *name)
{
    wg_err err = WG_OK;
    wg_collection_info before, after;
    TRY(interrupt_check());
    TRY(session_open_collection(session, name));
    TRY(session_info(session, &before));
    TRY_WG(wg_collection_compact(session->collection, interrupt_cancel()));
    TRY(session_info(session, &after));
    print(name, &before, &after);
out:
    wg_collection_close(&session->collection);
    return err;
}

static wg_err run(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct session_names names = { .count = 0 };
    TRY(session_open_context(&session));
    TRY(session_open_store(&session, SESSION_WRITE));
    for (int i = 0; i < argument_count; i++) TRY(compact(&session, arguments[i]));
    if (argument_count == 0) TRY(session_list(&session, &names));
    for (size_t i = 0; i < names.count; i++) TRY(compact(&session, names.at[i]));
out:
    session_names_fini(&names);
    session_close(&session);
    return err;
}

const struct command cmd_compact = {
    .name = "compact",
    .arguments = "[COLLECTION...]",
    .summary = "give back the space of replaced and deleted points, now",
    .details =
        "Of every collection, or of those named. What is worn is compacted in the background\n"
        "anyway; rows that the list of changes still needs stay. After Ctrl-C what is done\n"
        "stays done.",
    .argument_max = -1,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
