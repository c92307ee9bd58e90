#include "cli/copy.h"

#include "cli/options.h"
#include "cli/output.h"
#include "cli/text.h"

static void print_json(const char *from, const char *to, const struct session_totals *totals)
{
    struct json_object *document = json_object_make();
    json_put(document, "from", json_text(from));
    json_put(document, "to", json_text(to));
    json_put(document, "collections", json_count(totals->collections));
    json_put(document, "points", json_count(totals->points));
    output_json(document);
}

wg_err copy_print(struct session *session, const char *from, const char *to)
{
    char collections[TEXT_SIZE], points[TEXT_SIZE];
    struct session_totals totals;
    wg_err err = session_count_at(session, to, &totals);
    if (err != WG_OK) return err;
    if (common.json)
        print_json(from, to, &totals);
    else
        output_print("copied %s collection%s with %s point%s from %s to %s\n",
                     text_count(totals.collections, collections), text_plural(totals.collections),
                     text_count(totals.points, points), text_plural(totals.points), from, to);
    return WG_OK;
}
