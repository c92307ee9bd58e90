#include "cli/error.h"

#include "cli/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char message[2048];
static char hint[512];
static int silent_exit_code; /* 0: the failure is printed */

static void format_into(char *text, size_t room, const char *format, va_list args)
{
    char built[sizeof message]; /* the arguments may point into text */
    vsnprintf(built, sizeof built, format, args);
    snprintf(text, room, "%.*s", (int)(room - 1), built);
}

wg_err fail(wg_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    format_into(message, sizeof message, format, args);
    va_end(args);
    hint[0] = 0;
    silent_exit_code = 0;
    return err;
}

wg_err fail_library(wg_err err)
{
    return fail(err, "%s", err == WG_ECANCELLED ? "interrupted" : wg_message());
}

wg_err fail_errno(int error, const char *what)
{
    wg_err err = error == ENOENT   ? WG_ENOTFOUND
                 : error == ENOSPC ? WG_ENOSPC
                 : error == ENOMEM ? WG_ENOMEM
                                   : WG_EIO;
    return fail(err, "%s: %s", what, strerror(error));
}

wg_err fail_hint(wg_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    format_into(hint, sizeof hint, format, args);
    va_end(args);
    return err;
}

wg_err fail_silently(int exit_code)
{
    fail(WG_EINVAL, "%s", "");
    silent_exit_code = exit_code;
    return WG_EINVAL;
}

const char *fail_message(void)
{
    return message;
}

const char *fail_hint_text(void)
{
    return hint;
}

static void print_json(wg_err err)
{
    struct json_object *error = json_object_make();
    json_put(error, "code", json_text(wg_err_name(err)));
    json_put(error, "message", json_text(message));
    if (hint[0]) json_put(error, "hint", json_text(hint));
    struct json_object *document = json_object_make();
    json_put(document, "error", error);
    fprintf(stderr, "%s\n", json_format(document));
    json_object_put(document);
}

void fail_print(const char *program, bool json, wg_err err)
{
    if (silent_exit_code != 0) return;
    if (json) {
        print_json(err);
        return;
    }
    fprintf(stderr, "%s: %s\n", program, message[0] ? message : wg_err_text(err));
    if (hint[0]) fprintf(stderr, "hint: %s\n", hint);
}

int fail_exit_code(wg_err err)
{
    if (err != WG_OK && silent_exit_code != 0) return silent_exit_code;
    switch (err) {
    case WG_OK: return EXIT_OK;
    case WG_EINVAL:
    case WG_EDIM:
    case WG_ECONFIG: return EXIT_USAGE;
    case WG_ENOTFOUND: return EXIT_NOT_FOUND;
    case WG_EBUSY: return EXIT_BUSY;
    case WG_ECORRUPT:
    case WG_EVERSION: return EXIT_CORRUPT;
    case WG_ENOSPC: return EXIT_NO_SPACE;
    case WG_ECANCELLED: return EXIT_INTERRUPTED;
    default: return EXIT_FAILED;
    }
}
