#pragma once
/* A command of the program: what it is called, what it takes, what it does. Each stands in a file
 * of its own, cmd_NAME.c, and is listed once, in COMMANDS. */
#include "cli/error.h"
#include "cli/options.h"

struct command {
    const char *name;
    const char *arguments; /* as in the usage line: "COLLECTION FILE" */
    const char *summary;   /* one line, for the list of commands */
    const char *details;   /* paragraphs and examples for --help; may be NULL */
    int argument_min, argument_max; /* max < 0: any number */
    const struct option_spec *options; /* ends with a spec without a name; NULL: none */
    unsigned common;                   /* which common options it takes, a sum of COMMON_* */
    wg_err (*run)(int argument_count, char **arguments);
};

#define COMMANDS(X) \
    X(create)       \
    X(import)       \
    X(search)       \
    X(get)          \
    X(scroll)       \
    X(delete)       \
    X(info)         \
    X(list)         \
    X(drop)         \
    X(rename)       \
    X(alias)        \
    X(changes)      \
    X(compact)      \
    X(verify)       \
    X(repair)       \
    X(snapshot) X(restore) X(export) X(devices) X(bench) X(demo) X(version)

#define X(name) extern const struct command cmd_##name;
COMMANDS(X)
#undef X
