#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[768]; /* holds two 256-byte ids and the sentence around them */

const char *wg_err_text(wg_err err)
{
    switch (err) {
#define X(name, value, http, text) \
    case WG_##name: return text;
        WG_ERRORS(X)
#undef X
    }
    return "unknown error";
}

int wg_err_http(wg_err err)
{
    switch (err) {
#define X(name, value, http, text) \
    case WG_##name: return http;
        WG_ERRORS(X)
#undef X
    }
    return 500;
}

const char *wg_err_name(wg_err err)
{
    switch (err) {
#define X(name, value, http, text) \
    case WG_##name: return "WG_" #name;
        WG_ERRORS(X)
#undef X
    }
    return "unknown error";
}

const char *wg_message(void)
{
    return message;
}

wg_err wg_fail(wg_err err, const char *format, ...)
{
    char text[sizeof message];   /* the arguments may point into message */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
    return err;
}
