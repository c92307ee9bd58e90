#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

static struct {
    uint64_t limit;
} flags = { .limit = 100 };

static const struct option_spec options[] = {
    { "limit", 'l', .type = OPTION_COUNT, .value = "N", .target = &flags.limit, .min = 1,
      .max = UINT64_MAX, .help = "show the first N problems; all are counted (default: 100)" },
    { 0 },
};

struct problems {
    struct json_object *shown;
    uint64_t count;
};

/* What was checked, for the person who is told that it is fine. */
struct counts {
    uint64_t collections, points;
};

static void report_problem(void *user, const char *problem)
{
    struct problems *problems = user;
    if (problems->count++ >= flags.limit) return;
    if (common.json)
        json_push(problems->shown, json_text(problem));
    else
        output_print("%sproblem:%s %s\n", output_style(STYLE_RED), output_style(STYLE_PLAIN),
                     problem);
}

static wg_err add_collection(struct session *session, const char *name, struct counts *counts)
{
    wg_err err = session_open_collection(session, name);
    if (err != WG_OK) return err;
    counts->collections++;
    counts->points += wg_collection_count(session->collection);
    wg_collection_close(&session->collection);
    return WG_OK;
}

static wg_err count(struct session *session, const char *name, struct counts *counts)
{
    wg_err err = WG_OK;
    struct session_names names = { .count = 0 };
    TRY(session_open_store(session, SESSION_READ));
    if (name) {
        TRY(add_collection(session, name, counts));
        goto out;
    }
    TRY(session_list(session, &names));
    for (size_t i = 0; i < names.count; i++) TRY(add_collection(session, names.at[i], counts));
out:
    session_names_fini(&names);
    return err;
}

static void print_json(const struct counts *counts, struct json_object *problems,
                       uint64_t problem_count)
{
    struct json_object *document = json_object_make();
    json_put(document, "store", json_text(common.store));
    json_put(document, "ok", json_flag(problem_count == 0));
    json_put(document, "problem_count", json_count(problem_count));
    json_put(document, "problems", json_object_get(problems));
    if (problem_count == 0) {
        json_put(document, "collections", json_count(counts->collections));
        json_put(document, "points", json_count(counts->points));
    }
    output_json(document);
}

static void print(const struct counts *counts, uint64_t problem_count)
{
    char collections[TEXT_SIZE], points[TEXT_SIZE];
    if (problem_count > flags.limit)
        output_print("%s problems in %s, the first %s of them above\n",
                     text_count(problem_count, points), common.store,
                     text_count(flags.limit, collections));
    else if (problem_count > 0)
        output_print("%s problem%s in %s\n", text_count(problem_count, points),
                     text_plural(problem_count), common.store);
    else
        output_print("%sok%s: %s collection%s with %s point%s\n", output_style(STYLE_GREEN),
                     output_style(STYLE_PLAIN), text_count(counts->collections, collections),
                     text_plural(counts->collections), text_count(counts->points, points),
                     text_plural(counts->points));
}

static wg_err run(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct counts counts = { 0 };
    struct problems problems = { .shown = json_array_make() };
    const char *name = argument_count > 0 ? arguments[0] : NULL;
    uint64_t problem_count;
    TRY(session_open_context(&session));
    TRY_WG(wg_store_verify(session.context, common.store, name, report_problem, &problems,
                           &problem_count));
    if (problem_count == 0) TRY(count(&session, name, &counts));
    if (common.json)
        print_json(&counts, problems.shown, problem_count);
    else
        print(&counts, problem_count);
    if (problem_count > 0) err = fail_silently(EXIT_FAILED);
out:
    json_object_put(problems.shown);
    session_close(&session);
    return err;
}

const struct command cmd_verify = {
    .name = "verify",
    .arguments = "[COLLECTION]",
    .summary = "check every checksum and cross-reference",
    .details =
        "Reads all that the store, or one collection, has on disk. Prints each problem as a\n"
        "sentence; exit code 1 when there is one.",
    .argument_max = 1,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
