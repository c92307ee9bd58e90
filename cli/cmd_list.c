#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 7 }; /* the last, aliases, only where there are any */

struct listing {
    struct session_names names;
    struct session_aliases aliases;
    struct table table;
    struct json_object *array;
};

static void add_aliases(struct listing *listing, const char *name)
{
    char text[1024] = "";
    for (size_t i = 0, used = 0; i < listing->aliases.count && used < sizeof text; i++) {
        const struct session_alias *alias = &listing->aliases.at[i];
        if (strcmp(alias->collection, name) != 0) continue;
        used +=
            (size_t)snprintf(text + used, sizeof text - used, used ? ", %s" : "%s", alias->alias);
    }
    table_add(&listing->table, "%s", text);
}

/* info NULL: the collection is damaged. */
static void add_row(struct listing *listing, const char *name, const wg_collection_info *info)
{
    struct table *table = &listing->table;
    char text[TEXT_SIZE];
    table_add(table, "%s", name);
    table_add(table, "%s", info ? text_count(info->count, text) : "damaged");
    table_add(table, "%s", info ? text_count(info->dim, text) : "");
    table_add(table, "%s", info ? wg_metric_name(info->metric) : "");
    table_add(table, "%s", info ? wg_type_name(info->type) : "");
    table_add(table, "%s", info ? text_bytes(info->disk_bytes, text) : "");
    if (table->column_count == COLUMNS) add_aliases(listing, name);
}

static void add_json(struct listing *listing, const char *name, const wg_collection_info *info)
{
    struct json_object *collection = json_object_make(), *array = json_array_make();
    for (size_t i = 0; i < listing->aliases.count; i++)
        if (strcmp(listing->aliases.at[i].collection, name) == 0)
            json_push(array, json_text(listing->aliases.at[i].alias));
    json_put(collection, "name", json_text(name));
    if (info) {
        json_put(collection, "count", json_count(info->count));
        json_put(collection, "dim", json_count(info->dim));
        json_put(collection, "metric", json_text(wg_metric_name(info->metric)));
        json_put(collection, "type", json_text(wg_type_name(info->type)));
        json_put(collection, "disk_bytes", json_count(info->disk_bytes));
    } else {
        json_put(collection, "damaged", json_flag(true));
    }
    json_put(collection, "aliases", array);
    json_push(listing->array, collection);
}

/* The others are shown beside one that is damaged; its failure is returned in the end. */
static wg_err describe(struct session *session, struct listing *listing)
{
    wg_err failed = WG_OK;
    for (size_t i = 0; i < listing->names.count; i++) {
        const char *name = listing->names.at[i];
        wg_collection_info info;
        wg_err err = wg_collection_open(session->store, name, &session->collection);
        if (err == WG_OK) err = session_info(session, &info);
        wg_collection_close(&session->collection);
        if (err == WG_ENOTFOUND) continue; /* dropped since by the process that writes */
        if (err != WG_OK && err != WG_ECORRUPT && err != WG_EVERSION) return fail_library(err);
        if (err != WG_OK) failed = fail_library(err);
        if (common.json)
            add_json(listing, name, err == WG_OK ? &info : NULL);
        else
            add_row(listing, name, err == WG_OK ? &info : NULL);
    }
    return failed;
}

static void print(struct listing *listing)
{
    if (common.json) {
        struct json_object *document = json_object_make();
        json_put(document, "store", json_text(common.store));
        json_put(document, "collections", json_object_get(listing->array));
        output_json(document);
    } else if (listing->table.cell_count == 0) {
        output_print("no collections in %s\n", common.store);
    } else {
        table_print(&listing->table);
    }
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count, (void)arguments;
    static const char *const titles[COLUMNS] = { "collection", "points",  "dim",    "metric",
                                                 "type",       "on disk", "aliases" };
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct listing listing = {
        .table = { .column_count = COLUMNS, .titles = titles, .alignment = "lrrllrl" },
        .array = json_array_make(),
    };
    TRY(session_open_context(&session));
    TRY(session_open_store(&session, SESSION_READ));
    TRY(session_list(&session, &listing.names));
    TRY(session_list_aliases(&session, &listing.aliases));
    if (listing.aliases.count == 0) listing.table.column_count--;
    err = describe(&session, &listing);
    if (err == WG_OK || err == WG_ECORRUPT || err == WG_EVERSION) print(&listing);
out:
    json_object_put(listing.array);
    table_clear(&listing.table);
    session_aliases_fini(&listing.aliases);
    session_names_fini(&listing.names);
    session_close(&session);
    return err;
}

const struct command cmd_list = {
    .name = "list",
    .arguments = "",
    .summary = "show the collections of the store, and their aliases",
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
