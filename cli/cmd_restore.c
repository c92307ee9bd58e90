#include "cli/command.h"
#include "cli/copy.h"

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    TRY(session_open_context(&session));
    TRY_WG(wg_store_restore(session.context, arguments[0], common.store));
    TRY(copy_print(&session, arguments[0], common.store));
out:
    session_close(&session);
    return err;
}

const struct command cmd_restore = {
    .name = "restore",
    .arguments = "SNAPSHOT",
    .summary = "copy a snapshot into the store's folder, which is empty or absent",
    .details =
        "Every checksum is checked on the way, and no file is shared with the snapshot, which\n"
        "may be any store that no process writes.\n\n"
        "  waggle restore /backup/monday --store ./waggle-data",
    .argument_min = 1,
    .argument_max = 1,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
