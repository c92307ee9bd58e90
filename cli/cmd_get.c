#include "cli/command.h"
#include "cli/heap.h"
#include "cli/id.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/text.h"

static struct {
    bool with_vector, no_payload;
} flags;

static const struct option_spec options[] = {
    { "with-vector", 0, .type = OPTION_FLAG, .target = &flags.with_vector,
      .help = "show the vectors too" },
    { "no-payload", 0, .type = OPTION_FLAG, .target = &flags.no_payload,
      .help = "do not show the payloads" },
    { 0 },
};

static void print_json(const wg_point *point, const wg_collection_info *info)
{
    struct json_object *document = show_point_json(point, info);
    json_put(document, "found", json_flag(point->found));
    if (point->found) json_put(document, "version", json_count(point->version));
    output_json(document);
}

static size_t print(const wg_points *points, const wg_collection_info *info, unsigned with)
{
    struct show show;
    size_t absent = 0;
    show_begin_points(&show, info, with);
    for (size_t i = 0; i < wg_points_count(points) && !output_failed(); i++) {
        const wg_point *point = wg_points_at(points, i);
        absent += !point->found;
        if (common.json)
            print_json(point, info);
        else
            show_add_point(&show, point);
    }
    if (!common.json) show_end(&show);
    return absent;
}

static wg_err run(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    wg_collection_info info;
    wg_id *ids = NULL;
    wg_points *points = NULL;
    size_t count = (size_t)argument_count - 1;
    unsigned with =
        (flags.with_vector ? WG_WITH_VECTOR : 0u) | (flags.no_payload ? 0u : WG_WITH_PAYLOAD);
    TRY(id_parse_all(arguments + 1, argument_count - 1, &ids));
    TRY(session_open(&session, SESSION_READ, arguments[0]));
    TRY(session_info(&session, &info));
    TRY_WG(wg_collection_get(session.collection, ids, count, with, &points));
    size_t absent = print(points, &info, with);
    if (absent > 0)
        err = fail(WG_ENOTFOUND, "%zu of %zu id%s not in \"%s\"", absent, count,
                   count == 1    ? " is"
                   : absent == 1 ? "s is"
                                 : "s are",
                   arguments[0]);
out:
    wg_points_destroy(&points);
    heap_free(&ids);
    session_close(&session);
    return err;
}

const struct command cmd_get = {
    .name = "get",
    .arguments = "COLLECTION ID...",
    .summary = "show points by their ids",
    .details =
        "Digits are a number; '\"42\"', in double quotes, is the string 42; anything else is\n"
        "a string, which may read as a UUID. Exit code 3 when an id is not there.\n\n"
        "  waggle get docs 7 8 chapter-1",
    .argument_min = 2,
    .argument_max = -1,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
