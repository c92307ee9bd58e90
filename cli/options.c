#include "cli/options.h"

#include "cli/command.h"
#include "cli/heap.h"
#include "cli/output.h"
#include "cli/text.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_COUNT_MAX = 40, LONG_BASE = 256, THREADS_MAX = 1024 };

struct common_options common;

static const struct option_spec store_options[] = {
    { "store", 's', .type = OPTION_TEXT, .value = "DIR", .target = &common.store,
      .help = "folder of the store, or an exported file to read\n"
              "(default: $WAGGLE_STORE, else ./waggle-data)" },
    { 0 },
};

static const struct option_spec context_options[] = {
    { "threads", 't', .type = OPTION_COUNT, .value = "N", .target = &common.threads, .min = 1,
      .max = THREADS_MAX, .help = "threads that work on a call (default: one per processor)" },
    { "cpu", 0, .type = OPTION_TEXT, .value = "TIER", .target = &common.cpu,
      .help = "kernel tier to use: c, avx2, avxvnni, avx512, avx512vnni, amx, on ARM\n"
              "neon, neondot, neoni8mm (default: the best)" },
    { "backend", 0, .type = OPTION_TEXT, .value = "NAME", .target = &common.backend,
      .help = "the only backend to use besides the CPU, or cpu (default: any)" },
    { 0 },
};

static const struct option_spec every_options[] = {
    { "json", 'j', .type = OPTION_FLAG, .target = &common.json,
      .help = "print JSON: one document, or one per line; errors too" },
    { "help", 'h', .type = OPTION_FLAG, .target = &common.help, .help = "print this page" },
    { 0 },
};

/* All options of one command, its own first. */
struct option_list {
    const struct option_spec *specs[OPTION_COUNT_MAX];
    bool seen[OPTION_COUNT_MAX];
    size_t count;
};

static void append(struct option_list *list, const struct option_spec *specs)
{
    for (; specs && specs->name && list->count < OPTION_COUNT_MAX; specs++)
        list->specs[list->count++] = specs;
}

static struct option_list list_of(const struct command *command)
{
    struct option_list list = { .count = 0 };
    append(&list, command->options);
    if (command->common & COMMON_STORE) append(&list, store_options);
    if (command->common & COMMON_CONTEXT) append(&list, context_options);
    append(&list, every_options);
    return list;
}

static wg_err usage_hint(const struct command *command, wg_err err)
{
    return fail_hint(err, "\"waggle %s --help\" lists what there is", command->name);
}

static wg_err set_count(const struct option_spec *spec, const char *text)
{
    char min[TEXT_SIZE], max[TEXT_SIZE];
    uint64_t value;
    if (!text_to_u64(text, &value) || value < spec->min || value > spec->max) {
        text_count(spec->min, min);
        if (spec->max == UINT64_MAX)
            return fail(WG_EINVAL, "--%s is \"%s\", expected a whole number of at least %s",
                        spec->name, text, min);
        return fail(WG_EINVAL, "--%s is \"%s\", expected a whole number from %s to %s", spec->name,
                    text, min, text_count(spec->max, max));
    }
    memcpy(spec->target, &value, sizeof value);
    return WG_OK;
}

static wg_err set_parsed(const struct option_spec *spec, const char *text)
{
    wg_err err = spec->parse(text, spec->target);
    if (err != WG_OK) fail(err, "--%s: %s", spec->name, fail_message());
    return err;
}

static wg_err set_value(const struct option_spec *spec, const char *text)
{
    bool given = true;
    switch (spec->type) {
    case OPTION_FLAG: memcpy(spec->target, &given, sizeof given); return WG_OK;
    case OPTION_TEXT: memcpy(spec->target, &text, sizeof text); return WG_OK;
    case OPTION_COUNT: return set_count(spec, text);
    case OPTION_PARSED: return set_parsed(spec, text);
    }
    return WG_OK;
}

static wg_err fail_unknown(const struct option_list *list, const char *typed)
{
    char name[64];
    const char *best = NULL;
    size_t best_distance = 0;
    if (typed[0] != '-' || typed[1] != '-') {
        wg_err err = fail(WG_EINVAL, "unknown option -%c", optopt);
        return optopt >= '0' && optopt <= '9'
                   ? fail_hint(err, "write -- before arguments that begin with a dash")
                   : err;
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(typed + 2, "="), typed + 2);
    for (size_t i = 0; i < list->count; i++) {
        const char *known = list->specs[i]->name;
        if (name[0] && strncmp(known, name, strlen(name)) == 0) best = known, best_distance = 0;
        text_suggest(name, known, &best, &best_distance);
    }
    wg_err err = fail(WG_EINVAL, "unknown option --%s", name);
    return best ? fail_hint(err, "did you mean --%s?", best) : err;
}

/* What getopt_long found wrong with the argument it looked at last. */
static wg_err fail_option(const struct option_list *list, int result, const char *typed)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct option_spec *spec = list->specs[i];
        if (optopt == 0 || (optopt != spec->letter && optopt != LONG_BASE + (int)i)) continue;
        if (result == ':')
            return fail(WG_EINVAL, "--%s needs a value: --%s %s", spec->name, spec->name,
                        spec->value);
        return fail(WG_EINVAL, "--%s takes no value, got \"%s\"", spec->name, typed);
    }
    return fail_unknown(list, typed);
}

static void fill_getopt(const struct option_list *list, struct option *longs, char *shorts)
{
    *shorts++ = ':'; /* tells a missing value from an unknown option */
    for (size_t i = 0; i < list->count; i++) {
        const struct option_spec *spec = list->specs[i];
        int has_value = spec->type == OPTION_FLAG ? no_argument : required_argument;
        longs[i] = (struct option){ spec->name, has_value, NULL, LONG_BASE + (int)i };
        if (!spec->letter) continue;
        *shorts++ = spec->letter;
        if (has_value != no_argument) *shorts++ = ':';
    }
    longs[list->count] = (struct option){ 0 };
    *shorts = 0;
}

static size_t index_of(const struct option_list *list, int result)
{
    if (result >= LONG_BASE) return (size_t)(result - LONG_BASE);
    size_t i = 0;
    while (list->specs[i]->letter != result) i++;
    return i;
}

static wg_err parse_options(struct option_list *list, int argc, char **argv)
{
    struct option longs[OPTION_COUNT_MAX + 1];
    char shorts[2 * OPTION_COUNT_MAX + 2];
    fill_getopt(list, longs, shorts);
    opterr = 0;
    for (;;) {
        int at = optind;
        int result = getopt_long(argc, argv, shorts, longs, NULL);
        if (result == -1) return WG_OK;
        if (result == '?' || result == ':')
            return fail_option(list, result, argv[optind > at ? optind - 1 : optind]);
        size_t i = index_of(list, result);
        wg_err err = set_value(list->specs[i], optarg);
        if (err != WG_OK) return err;
        list->seen[i] = true;
    }
}

static wg_err check_required(const struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct option_spec *spec = list->specs[i];
        if (spec->required && !list->seen[i])
            return fail(WG_EINVAL, "--%s %s is missing", spec->name, spec->value);
    }
    return WG_OK;
}

static wg_err check_arguments(const struct command *command, int count, char **arguments)
{
    if (count < command->argument_min)
        return fail(WG_EINVAL, "got %d argument%s, expected %s", count,
                    text_plural((uint64_t)count), command->arguments);
    if (command->argument_max >= 0 && count > command->argument_max)
        return fail(WG_EINVAL, "unexpected argument \"%s\", expected %s",
                    arguments[command->argument_max],
                    command->arguments[0] ? command->arguments : "no arguments");
    return WG_OK;
}

static void default_store(void)
{
    const char *store = getenv("WAGGLE_STORE");
    common.store = store && store[0] ? store : "./waggle-data";
}

wg_err options_parse(const struct command *command, int argc, char **argv, char ***arguments,
                     int *count)
{
    struct option_list list = list_of(command);
    wg_err err = parse_options(&list, argc, argv);
    if (err == WG_OK && !common.help) {
        err = check_required(&list);
        if (err == WG_OK) err = check_arguments(command, argc - optind, argv + optind);
    }
    if (err != WG_OK) return fail_hint_text()[0] ? err : usage_hint(command, err);
    if (!common.store && command->common & COMMON_STORE) default_store();
    *arguments = argv + optind;
    *count = argc - optind;
    return WG_OK;
}

static void print_option(const struct option_spec *spec)
{
    char left[64], letter[8] = "";
    if (spec->letter) snprintf(letter, sizeof letter, "-%c,", spec->letter);
    snprintf(left, sizeof left, "%3s --%s%s%s", letter, spec->name, spec->value ? " " : "",
             spec->value ? spec->value : "");
    const char *line = spec->help;
    for (;; left[0] = 0) {
        size_t size = strcspn(line, "\n");
        output_print("  %-22s %.*s\n", left, (int)size, line);
        if (!line[size]) break;
        line += size + 1;
    }
}

void options_print_help(const struct command *command)
{
    struct option_list list = list_of(command);
    output_print("waggle %s: %s\n\nusage: waggle %s %s%s[options]\n", command->name,
                 command->summary, command->name, command->arguments,
                 command->arguments[0] ? " " : "");
    if (command->details) output_print("\n%s\n", command->details);
    output_print("\noptions:\n");
    for (size_t i = 0; i < list.count; i++) print_option(list.specs[i]);
}
