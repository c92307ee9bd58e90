#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"

static void print(const char *name)
{
    if (!common.json) {
        output_print("dropped \"%s\"\n", name);
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, "dropped", json_text(name));
    output_json(document);
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    const char *name = arguments[0];
    TRY(session_open_context(&session));
    TRY(session_open_store(&session, SESSION_WRITE));
    err = wg_collection_drop(session.store, name); /* unopened, for it may be damaged */
    if (err != WG_OK) {
        session_fail_collection(&session, err, name);
        goto out;
    }
    print(name);
out:
    session_close(&session);
    return err;
}

const struct command cmd_drop = {
    .name = "drop",
    .arguments = "COLLECTION",
    .summary = "remove a collection and its files, at once",
    .argument_min = 1,
    .argument_max = 1,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
