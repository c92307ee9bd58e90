#include "cli/command.h"
#include "cli/heap.h"
#include "cli/id.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

static struct {
    uint64_t if_version; /* 0: any */
} flags;

static const struct option_spec options[] = {
    { "if-version", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.if_version, .min = 1,
      .max = UINT64_MAX,
      .help = "delete nothing unless each is there and has this version,\n"
              "which \"get --json\" shows" },
    { 0 },
};

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

/* All of them or, if one has another version, none. */
static wg_err delete_points(struct session *session, const wg_id *ids, size_t count,
                            size_t *deleted)
{
    wg_err err = WG_OK;
    wg_selection points;
    uint64_t *versions = NULL;
    heap_resize(&versions, count);
    for (size_t i = 0; i < count; i++) versions[i] = flags.if_version;
    wg_selection_init(&points);
    points.count = count;
    points.ids = ids;
    points.if_versions = flags.if_version ? versions : NULL;
    points.touched = deleted;
    TRY_WG(wg_collection_delete_if(session->collection, &points));
out:
    heap_free(&versions);
    return err;
}

static wg_err run(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    wg_id *ids = NULL;
    size_t count = (size_t)argument_count - 1, deleted;
    TRY(id_parse_all(arguments + 1, argument_count - 1, &ids));
    TRY(session_open(&session, SESSION_WRITE, arguments[0]));
    TRY(delete_points(&session, ids, count, &deleted));
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
        "  waggle delete docs 7 8 chapter-1\n"
        "  waggle delete docs 7 --if-version 12",
    .argument_min = 2,
    .argument_max = -1,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
