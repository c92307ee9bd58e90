/* waggle: finds the command, reads its options, runs it, prints what went wrong. */
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command *const commands[] = {
#define X(name) &cmd_##name,
    COMMANDS(X)
#undef X
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static void print_commands(void)
{
    output_print("waggle: vector search on whatever processor there is\n\n"
                 "usage: waggle COMMAND ... [options]\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        output_print("  %-9s %s\n", commands[i]->name, commands[i]->summary);
    output_print("\n\"waggle COMMAND --help\" says more.\n\n"
                 "exit codes: 0 success, 1 failed, 2 wrong usage or input, 3 not found, 4 in use,\n"
                 "            5 corrupt store, 6 no space, 130 interrupted\n");
}

static wg_err fail_unknown(const char *typed)
{
    const char *best = NULL;
    size_t best_distance = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        text_suggest(typed, commands[i]->name, &best, &best_distance);
    wg_err err = fail(WG_EINVAL, "unknown command \"%s\"", typed);
    return best ? fail_hint(err, "did you mean \"waggle %s\"?", best)
                : fail_hint(err, "\"waggle help\" lists the commands");
}

/* The command's own arguments follow argv[1], its name. */
static wg_err run(const struct command *command, int argc, char **argv)
{
    char **arguments;
    int count;
    wg_err err = options_parse(command, argc - 1, argv + 1, &arguments, &count);
    if (err != WG_OK) return err;
    if (common.help) {
        options_print_help(command);
        return WG_OK;
    }
    interrupt_install();
    return command->run(count, arguments);
}

static wg_err help(const char *name)
{
    const struct command *command = name ? find(name) : NULL;
    if (!name)
        print_commands();
    else if (!command)
        return fail_unknown(name);
    else
        options_print_help(command);
    return WG_OK;
}

/* help, --help and --version are spelt as people try them. */
static wg_err dispatch(int argc, char **argv, const struct command **command)
{
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argv[2]);
    if (strcmp(name, "--version") == 0) name = "version";
    *command = find(name);
    return *command ? run(*command, argc, argv) : fail_unknown(name);
}

/* Errors of the options themselves are to be JSON too. */
static bool asks_for_json(int argc, char **argv)
{
    bool asked = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        asked |= strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0;
    return asked;
}

int main(int argc, char **argv)
{
    const struct command *command = NULL;
    char program[32] = "waggle";
    terminal_init();
    common.json = asks_for_json(argc, argv);
    wg_err err = argc > 1 ? dispatch(argc, argv, &command)
                          : fail_hint(fail(WG_EINVAL, "no command given"),
                                      "\"waggle help\" lists the commands");
    if (command) snprintf(program, sizeof program, "waggle %s", command->name);
    if (err == WG_OK)
        err = output_finish();
    else
        fflush(stdout); /* the results come before what is wrong with them */
    if (err != WG_OK) fail_print(program, common.json, err);
    return fail_exit_code(err);
}
