#include "cli/command.h"
#include "cli/id.h"
#include "cli/interrupt.h"
#include "cli/session.h"
#include "cli/show.h"

#include <string.h>

enum { PAGE_POINTS = 1000, PAGE_FLOATS = 4 << 20 };

static struct {
    char *after;
    uint64_t limit;
    bool with_vector, no_payload;
} flags = { .limit = UINT64_MAX };

static const struct option_spec options[] = {
    { "after", 'a', .type = OPTION_TEXT, .value = "ID", .target = &flags.after,
      .help = "begin behind this id (default: at the first)" },
    { "limit", 'l', .type = OPTION_COUNT, .value = "N", .target = &flags.limit, .min = 1,
      .max = UINT64_MAX, .help = "show N points at most (default: all)" },
    { "with-vector", 0, .type = OPTION_FLAG, .target = &flags.with_vector,
      .help = "show the vectors too" },
    { "no-payload", 0, .type = OPTION_FLAG, .target = &flags.no_payload,
      .help = "do not show the payloads" },
    { 0 },
};

static void print(const wg_points *points, const wg_collection_info *info, unsigned with)
{
    struct show show;
    show_begin_points(&show, info, with);
    for (size_t i = 0; i < wg_points_count(points) && !output_failed(); i++)
        if (common.json)
            output_json(show_point_json(wg_points_at(points, i), info));
        else
            show_add_point(&show, wg_points_at(points, i));
    if (!common.json && wg_points_count(points) > 0) show_end(&show);
}

/* A page's last id, to begin the next one behind: the page itself goes. */
struct bookmark {
    wg_id id;
    char string[WG_ID_SIZE_MAX];
};

static void mark(struct bookmark *bookmark, const wg_points *points)
{
    bookmark->id = wg_points_at(points, wg_points_count(points) - 1)->id;
    if (bookmark->id.type != WG_ID_STRING) return;
    memcpy(bookmark->string, bookmark->id.as.string, bookmark->id.size);
    bookmark->id.as.string = bookmark->string;
}

static wg_err scroll(wg_collection *collection, const wg_id *after, const wg_collection_info *info,
                     unsigned with)
{
    struct bookmark bookmark;
    size_t page = PAGE_FLOATS / info->dim < PAGE_POINTS ? PAGE_FLOATS / info->dim : PAGE_POINTS;
    uint64_t left = flags.limit;
    while (left > 0 && !output_failed()) {
        wg_points *points = NULL;
        size_t want = left < page ? (size_t)left : page;
        wg_err err = interrupt_check();
        if (err != WG_OK) return err;
        err = wg_collection_scroll(collection, after, want, with, &points);
        if (err != WG_OK) return fail_library(err);
        size_t got = wg_points_count(points);
        print(points, info, with);
        if (got > 0) mark(&bookmark, points);
        wg_points_destroy(&points);
        if (got < want) break;
        after = &bookmark.id;
        left -= got;
    }
    return WG_OK;
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    wg_collection_info info;
    wg_id after;
    unsigned with =
        (flags.with_vector ? WG_WITH_VECTOR : 0u) | (flags.no_payload ? 0u : WG_WITH_PAYLOAD);
    if (flags.after) TRY(id_parse(flags.after, &after));
    TRY(session_open(&session, SESSION_READ, arguments[0]));
    TRY(session_info(&session, &info));
    TRY(scroll(session.collection, flags.after ? &after : NULL, &info, with));
out:
    session_close(&session);
    return err;
}

const struct command cmd_scroll = {
    .name = "scroll",
    .arguments = "COLLECTION",
    .summary = "show all points in the order of their ids",
    .details =
        "Numbers come first, then UUIDs, then strings. With --json --with-vector the lines are\n"
        "what import reads:\n\n"
        "  waggle scroll docs --after 99 --limit 10\n"
        "  waggle scroll docs --json --with-vector | gzip > docs.jsonl.gz",
    .argument_min = 1,
    .argument_max = 1,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
