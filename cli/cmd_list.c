#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

static void add_row(struct table *table, const char *name, const wg_collection_info *info)
{
    char text[TEXT_SIZE];
    table_add(table, "%s", name);
    table_add(table, "%s", text_count(info->count, text));
    table_add(table, "%u", (unsigned)info->dim);
    table_add(table, "%s", wg_metric_name(info->metric));
    table_add(table, "%s", text_bytes(info->disk_bytes, text));
}

static struct json_object *as_json(const char *name, const wg_collection_info *info)
{
    struct json_object *collection = json_object_make();
    json_put(collection, "name", json_text(name));
    json_put(collection, "count", json_count(info->count));
    json_put(collection, "dim", json_count(info->dim));
    json_put(collection, "metric", json_text(wg_metric_name(info->metric)));
    json_put(collection, "disk_bytes", json_count(info->disk_bytes));
    return collection;
}

static wg_err describe(struct session *session, const struct session_names *names,
                       struct table *table, struct json_object *array)
{
    for (size_t i = 0; i < names->count; i++) {
        wg_collection_info info;
        wg_err err = session_open_collection(session, names->at[i]);
        if (err == WG_OK) err = session_info(session, &info);
        wg_collection_close(&session->collection);
        if (err != WG_OK) return err;
        if (common.json)
            json_push(array, as_json(names->at[i], &info));
        else
            add_row(table, names->at[i], &info);
    }
    return WG_OK;
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count, (void)arguments;
    static const char *const titles[] = { "collection", "points", "dim", "metric", "on disk" };
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct session_names names = { .count = 0 };
    struct table table = { .column_count = 5, .titles = titles, .alignment = "lrrlr" };
    struct json_object *document = json_object_make(), *array = json_array_make();
    json_put(document, "store", json_text(common.store));
    json_put(document, "collections", array);
    TRY(session_open_context(&session));
    TRY(session_open_store(&session, SESSION_READ));
    TRY(session_list(&session, &names));
    TRY(describe(&session, &names, &table, array));
    if (common.json)
        output_json(json_object_get(document));
    else if (names.count == 0)
        output_print("no collections in %s\n", common.store);
    else
        table_print(&table);
out:
    json_object_put(document);
    table_clear(&table);
    session_names_fini(&names);
    session_close(&session);
    return err;
}

const struct command cmd_list = {
    .name = "list",
    .arguments = "",
    .summary = "show the collections of the store",
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
