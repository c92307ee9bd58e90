#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

static void print(const char *name, const char *file, const struct session_totals *totals)
{
    char points[TEXT_SIZE], bytes[TEXT_SIZE];
    if (!common.json) {
        output_print("exported %s point%s of \"%s\" to %s (%s)\n",
                     text_count(totals->points, points), text_plural(totals->points), name, file,
                     text_bytes(totals->disk_bytes, bytes));
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, "collection", json_text(name));
    json_put(document, "file", json_text(file));
    json_put(document, "points", json_count(totals->points));
    json_put(document, "bytes", json_count(totals->disk_bytes));
    output_json(document);
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct session_totals totals;
    const char *name = arguments[0], *file = arguments[1];
    TRY(session_open(&session, SESSION_READ, name));
    TRY_WG(wg_collection_export(session.collection, file));
    TRY(session_count_at(&session, file, &totals)); /* of the file: the collection may go on */
    print(name, file, &totals);
out:
    session_close(&session);
    return err;
}

const struct command cmd_export = {
    .name = "export",
    .arguments = "COLLECTION FILE",
    .summary = "write a collection to one file that can be searched as it is",
    .details =
        "The file, by custom NAME.waggle, stands for a store with this one collection wherever\n"
        "--store is read: search, get, scroll, info, list, verify. It cannot be written, and one\n"
        "that exists is not replaced.\n\n"
        "  waggle export docs docs.waggle\n"
        "  waggle search docs --store docs.waggle --id 42",
    .argument_min = 2,
    .argument_max = 2,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
