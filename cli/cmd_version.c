#include "cli/command.h"
#include "cli/output.h"
#include "waggle/context.h"

#include <stdio.h>
#include <zlib.h>

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count, (void)arguments;
    char built_for[32];
    snprintf(built_for, sizeof built_for, "%d.%d.%d", WG_VERSION_MAJOR, WG_VERSION_MINOR,
             WG_VERSION_PATCH);
    if (!common.json) {
        output_print("waggle %s (libwaggle %s, json-c %s, zlib %s)\n", built_for, wg_version(),
                     json_c_version(), zlibVersion());
        return WG_OK;
    }
    struct json_object *document = json_object_make();
    json_put(document, "waggle", json_text(built_for));
    json_put(document, "libwaggle", json_text(wg_version()));
    json_put(document, "json_c", json_text(json_c_version()));
    json_put(document, "zlib", json_text(zlibVersion()));
    output_json(document);
    return WG_OK;
}

const struct command cmd_version = {
    .name = "version",
    .arguments = "",
    .summary = "print the versions of the program and its libraries",
    .run = run,
};
