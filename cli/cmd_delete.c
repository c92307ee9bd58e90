#include "cli/command.h"
#include "cli/heap.h"
#include "cli/id.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

static void print(const char *name, size_t deleted, size_t asked)
{
    if (!common.json) {
        output_print("deleted %zu of %zu point%s from \"%s\"\n", deleted, asked, text_plural(asked),
                     name);
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, "collection", json_text(name));
    json_put(document, "deleted", json_count(deleted));
    json_put(document, "asked", json_count(asked));
    output_json(document);
}

static wg_err run(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    wg_id *ids = NULL;
    size_t count = (size_t)argument_count - 1, deleted;
    TRY(id_parse_all(arguments + 1, argument_count - 1, &ids));
    TRY(session_open(&session, SESSION_WRITE, arguments[0]));
    TRY_WG(wg_collection_delete(session.collection, ids, count, &deleted));
    print(arguments[0], deleted, count);
out:
    heap_free(&ids);
    session_close(&session);
    return err;
}

const struct command cmd_delete = {
    .name = "delete",
    .arguments = "COLLECTION ID...",
    .summary = "remove points by their ids",
    .details =
        "Ids are written as for get. An id that is not there is no error: the output says how\n"
        "many were.\n\n"
        "  waggle delete docs 7 8 chapter-1",
    .argument_min = 2,
    .argument_max = -1,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
