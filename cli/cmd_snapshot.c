#include "cli/command.h"
#include "cli/copy.h"

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    TRY(session_open_context(&session));
    TRY(session_open_store(&session, SESSION_READ));
    TRY_WG(wg_store_snapshot(session.store, arguments[0]));
    TRY(copy_print(&session, common.store, arguments[0]));
out:
    session_close(&session);
    return err;
}

const struct command cmd_snapshot = {
    .name = "snapshot",
    .arguments = "FOLDER",
    .summary = "copy the store into a folder, while others write it",
    .details =
        "FOLDER is empty or absent. Each collection is copied as one of its commits left it; the\n"
        "copy is a store. On the same disk it shares files that are not written any more with\n"
        "the original: it takes little room, and writing to it never changes the original. A\n"
        "backup lies on another disk.\n\n"
        "  waggle snapshot /backup/monday",
    .argument_min = 1,
    .argument_max = 1,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
