#pragma once
/* Where messages go: the function that the program gave to its context, from any thread. */
#include "base/err.h"
#include "waggle/context.h"

struct log {
    wg_log_fn *write; /* NULL: nowhere */
    void *user;
};

void log_line(const struct log *log, wg_log_level level, const char *format, ...) WG_PRINTF(3, 4);
