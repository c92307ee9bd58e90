#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"

static struct {
    const char *remove;
} flags;

static const struct option_spec options[] = {
    { "remove", 0, .type = OPTION_TEXT, .value = "NAME", .target = &flags.remove,
      .help = "remove this alias; the collection stays" },
    { 0 },
};

static wg_err set(struct session *session, const char *alias, const char *collection)
{
    wg_err err = session_open_store(session, SESSION_WRITE);
    if (err != WG_OK) return err;
    err = wg_alias_set(session->store, alias, collection);
    if (err != WG_OK) return session_fail_collection(session, err, collection);
    if (!common.json) {
        output_print("\"%s\" is now \"%s\"\n", alias, collection);
        return WG_OK;
    }
    struct json_object *document = json_object_make();
    json_put(document, "alias", json_text(alias));
    json_put(document, "collection", json_text(collection));
    output_json(document);
    return WG_OK;
}

static wg_err remove_alias(struct session *session, const char *alias)
{
    wg_err err = session_open_store(session, SESSION_WRITE);
    if (err != WG_OK) return err;
    err = wg_alias_remove(session->store, alias);
    if (err == WG_ENOTFOUND)
        return fail_hint(fail_library(err), "\"waggle alias\" lists the aliases of %s",
                         common.store);
    if (err != WG_OK) return fail_library(err);
    if (!common.json) {
        output_print("removed the alias \"%s\"\n", alias);
        return WG_OK;
    }
    struct json_object *document = json_object_make();
    json_put(document, "removed", json_text(alias));
    output_json(document);
    return WG_OK;
}

static void print_json(const struct session_aliases *aliases)
{
    struct json_object *document = json_object_make(), *array = json_array_make();
    for (size_t i = 0; i < aliases->count; i++) {
        struct json_object *alias = json_object_make();
        json_put(alias, "alias", json_text(aliases->at[i].alias));
        json_put(alias, "collection", json_text(aliases->at[i].collection));
        json_push(array, alias);
    }
    json_put(document, "store", json_text(common.store));
    json_put(document, "aliases", array);
    output_json(document);
}

static void print(const struct session_aliases *aliases)
{
    static const char *const titles[] = { "alias", "collection" };
    struct table table = { .column_count = 2, .titles = titles, .alignment = "ll" };
    if (aliases->count == 0) {
        output_print("no aliases in %s\n", common.store);
        return;
    }
    for (size_t i = 0; i < aliases->count; i++) {
        table_add(&table, "%s", aliases->at[i].alias);
        table_add(&table, "%s", aliases->at[i].collection);
    }
    table_print(&table);
}

static wg_err list(struct session *session)
{
    wg_err err = WG_OK;
    struct session_aliases aliases = { .count = 0 };
    TRY(session_open_store(session, SESSION_READ));
    TRY(session_list_aliases(session, &aliases));
    if (common.json)
        print_json(&aliases);
    else
        print(&aliases);
out:
    session_aliases_fini(&aliases);
    return err;
}

static wg_err run(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    if (flags.remove && argument_count > 0)
        return fail(WG_EINVAL, "unexpected argument \"%s\" beside --remove %s", arguments[0],
                    flags.remove);
    if (argument_count == 1)
        return fail_hint(fail(WG_EINVAL, "which collection is \"%s\" to name?", arguments[0]),
                         "waggle alias NAME COLLECTION, or waggle alias --remove NAME");
    TRY(session_open_context(&session));
    if (flags.remove)
        TRY(remove_alias(&session, flags.remove));
    else if (argument_count == 2)
        TRY(set(&session, arguments[0], arguments[1]));
    else
        TRY(list(&session));
out:
    session_close(&session);
    return err;
}

const struct command cmd_alias = {
    .name = "alias",
    .arguments = "[NAME COLLECTION]",
    .summary = "call a collection by a second name; list or remove such names",
    .details =
        "Commands take an alias where they take a collection, but rename, drop and verify take "
        "the\n"
        "collection's own name. An alias that exists is switched to the other collection at\n"
        "once: who opens it gets the one or the other. Without arguments all are listed.\n\n"
        "  waggle alias live docs-2\n"
        "  waggle alias --remove live",
    .argument_max = 2,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
