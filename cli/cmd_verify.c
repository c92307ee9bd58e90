#include "cli/command.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

#include <string.h>

static struct {
    bool equal;
    uint64_t limit;
} flags = { .limit = 100 };

static const struct option_spec options[] = {
    { "equal", 0, .type = OPTION_FLAG, .target = &flags.equal,
      .help = "compare two stores: waggle verify --equal A B" },
    { "limit", 'l', .type = OPTION_COUNT, .value = "N", .target = &flags.limit, .min = 1,
      .max = UINT64_MAX, .help = "show the first N problems; all are counted (default: 100)" },
    { 0 },
};

enum { SHOWN_SIZE = 128 };

/* What is told of a store: problems, and caches that are damaged, which are none. */
struct told {
    struct findings problems, caches;
};

static void add(void *user, const char *sentence)
{
    struct told *told = user;
    static const char of_cache[] = "cache: ";
    bool is_cache = strncmp(sentence, of_cache, sizeof of_cache - 1) == 0;
    if (is_cache)
        findings_add(&told->caches, sentence + sizeof of_cache - 1);
    else
        findings_add(&told->problems, sentence);
}

static void print_json(const struct session_totals *totals, const struct told *told)
{
    const struct findings *problems = &told->problems;
    struct json_object *document = json_object_make();
    json_put(document, "store", json_text(common.store));
    json_put(document, "ok", json_flag(problems->count == 0));
    json_put(document, "problem_count", json_count(problems->count));
    json_put(document, "problems", json_object_get(problems->array));
    json_put(document, "caches", json_object_get(told->caches.array));
    if (problems->count == 0) {
        json_put(document, "collections", json_count(totals->collections));
        json_put(document, "points", json_count(totals->points));
    }
    output_json(document);
}

/* totals: what was checked, for the person who is told that it is fine. */
static void print(const struct session_totals *totals, const struct findings *problems)
{
    char collections[TEXT_SIZE], points[TEXT_SIZE], shown[SHOWN_SIZE];
    if (problems->count > 0)
        output_print("%s problem%s in %s%s\n", text_count(problems->count, points),
                     text_plural(problems->count), common.store,
                     findings_shown(problems, shown, sizeof shown));
    else
        output_print("%sok%s: %s collection%s with %s point%s\n", output_style(STYLE_GREEN),
                     output_style(STYLE_PLAIN), text_count(totals->collections, collections),
                     text_plural(totals->collections), text_count(totals->points, points),
                     text_plural(totals->points));
}

static wg_err verify(const char *name)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct session_totals totals = { 0 };
    struct told told = { findings_make("problem", flags.limit),
                         findings_make("cache", flags.limit) };
    uint64_t problem_count;
    TRY(session_open_context(&session));
    TRY_WG(wg_store_verify(session.context, common.store, name, add, &told, &problem_count));
    told.problems.count = problem_count;
    if (problem_count == 0) {
        TRY(session_open_store(&session, SESSION_READ));
        TRY(session_count(&session, name, &totals));
    }
    if (common.json)
        print_json(&totals, &told);
    else
        print(&totals, &told.problems);
    if (problem_count > 0) err = fail_silently(EXIT_FAILED);
out:
    findings_fini(&told.caches);
    findings_fini(&told.problems);
    session_close(&session);
    return err;
}

static void print_equal(const char *a, const char *b, const struct findings *differences)
{
    char count[TEXT_SIZE], shown[SHOWN_SIZE];
    if (common.json) {
        struct json_object *document = json_object_make();
        json_put(document, "a", json_text(a));
        json_put(document, "b", json_text(b));
        json_put(document, "equal", json_flag(differences->count == 0));
        json_put(document, "difference_count", json_count(differences->count));
        json_put(document, "differences", json_object_get(differences->array));
        output_json(document);
    } else if (differences->count > 0) {
        output_print("%s difference%s between %s and %s%s\n", text_count(differences->count, count),
                     text_plural(differences->count), a, b,
                     findings_shown(differences, shown, sizeof shown));
    } else {
        output_print("%sequal%s: %s and %s\n", output_style(STYLE_GREEN), output_style(STYLE_PLAIN),
                     a, b);
    }
}

static wg_err compare(const char *a, const char *b)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct findings differences = findings_make("difference", flags.limit);
    uint64_t difference_count;
    TRY(session_open_context(&session));
    TRY_WG(wg_store_equal(session.context, a, b, findings_add, &differences, &difference_count));
    differences.count = difference_count;
    print_equal(a, b, &differences);
    if (differences.count > 0) err = fail_silently(EXIT_FAILED);
out:
    findings_fini(&differences);
    session_close(&session);
    return err;
}

static wg_err run(int argument_count, char **arguments)
{
    if (flags.equal && argument_count != 2)
        return fail_hint(fail(WG_EINVAL, "--equal compares two stores, got %d argument%s",
                              argument_count, text_plural((uint64_t)argument_count)),
                         "waggle verify --equal A B");
    if (flags.equal) return compare(arguments[0], arguments[1]);
    if (argument_count > 1)
        return fail(WG_EINVAL, "unexpected argument \"%s\", expected [COLLECTION]", arguments[1]);
    return verify(argument_count > 0 ? arguments[0] : NULL);
}

const struct command cmd_verify = {
    .name = "verify",
    .arguments = "[COLLECTION] | --equal A B",
    .summary = "check every checksum and cross-reference, or compare two stores",
    .details =
        "Reads all that the store, or one collection, has on disk. Prints each problem as a\n"
        "sentence; exit code 1 when there is one. Codes that are damaged are told of too, and\n"
        "are no problem: they are made anew. With --equal A and B, folders or exported\n"
        "files, are compared instead: history, points, versions, vectors, payloads, order of\n"
        "rows. Each difference is a sentence, at most 100 of a collection; exit code 1 likewise.",
    .argument_max = 2,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
