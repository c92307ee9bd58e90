#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"

static void print(const char *from, const char *to)
{
    if (!common.json) {
        output_print("renamed \"%s\" to \"%s\"\n", from, to);
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, "from", json_text(from));
    json_put(document, "to", json_text(to));
    output_json(document);
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    const char *from = arguments[0], *to = arguments[1];
    TRY(session_open_context(&session));
    TRY(session_open_store(&session, SESSION_WRITE));
    err = wg_collection_rename(session.store, from, to);
    if (err != WG_OK) {
        session_fail_collection(&session, err, from);
        goto out;
    }
    print(from, to);
out:
    session_close(&session);
    return err;
}

const struct command cmd_rename = {
    .name = "rename",
    .arguments = "FROM TO",
    .summary = "give a collection another name; its aliases follow",
    .argument_min = 2,
    .argument_max = 2,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
