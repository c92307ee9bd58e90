#pragma once
/* The options of a command as a table: one row says name, letter, type, bounds, place and help, and
 * gives parsing, checks, error texts and the --help page. Values go to static variables, whose
 * first contents are the defaults. */
#include "waggle/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command;

enum option_type {
    OPTION_FLAG, /* bool: set to true */
    OPTION_COUNT, /* uint64_t between min and max */
    OPTION_TEXT, /* const char *: points into argv */
    OPTION_PARSED /* what parse makes of the text */
};

struct option_spec {
    const char *name; /* long, without the dashes */
    char letter; /* 0: none */
    bool required;
    enum option_type type;
    const char *value; /* what the help calls it: "N", "FILE"; NULL for a flag */
    const char *help; /* one line; a newline continues it in the same column */
    void *target;
    uint64_t min, max; /* of a count */
    wg_err (*parse)(const char *text, void *target);
};

/* Options that many commands share, and where their values go. */
enum { COMMON_STORE = 1, COMMON_CONTEXT = 2 };

struct common_options {
    const char *store; /* of commands with COMMON_STORE never NULL after options_parse */
    bool json, help;
    uint64_t threads; /* 0: one per processor */
    const char *cpu, *backend; /* NULL: the library chooses */
};
extern struct common_options common;

/* Moves the arguments that are no options to the front of argv + 1: *arguments points to the first
 * of *count. Checks their number too, unless --help was given. */
WG_CHECKED wg_err options_parse(const struct command *command, int argc, char **argv,
                                char ***arguments, int *count);

/* The --help page, on standard output. */
void options_print_help(const struct command *command);
