#include "cli/command.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { CHANGES_AT_ONCE = 16 };
#define NOT_GIVEN UINT64_MAX

static struct {
    uint64_t since, limit;
    bool with_vector;
    const char *apply_to;
} flags = { .since = NOT_GIVEN, .limit = NOT_GIVEN };

static const struct option_spec options[] = {
    { "since", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.since, .max = UINT64_MAX - 1,
      .help = "begin behind this sequence (default: with all that is kept)" },
    { "limit", 'l', .type = OPTION_COUNT, .value = "N", .target = &flags.limit, .min = 1,
      .max = UINT64_MAX - 1, .help = "show N changes at most (default: all)" },
    { "with-vector", 0, .type = OPTION_FLAG, .target = &flags.with_vector,
      .help = "with --json: the vectors too" },
    { "apply-to", 0, .type = OPTION_TEXT, .value = "STORE", .target = &flags.apply_to,
      .help = "do to the collection of this name in another store what it\n"
              "has not seen yet, until it stands where this one stands" },
    { 0 },
};

static const char *kind_name(wg_change_kind kind)
{
    switch (kind) {
    case WG_CHANGE_UPSERT: return "upsert";
    case WG_CHANGE_DELETE: return "delete";
    case WG_CHANGE_PAYLOAD: return "payload";
    case WG_CHANGE_CLEAR: return "clear";
    }
    return "unknown";
}

static struct json_object *hash_json(uint64_t hash)
{
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_text(text);
}

/* The points as scroll shows them, each with what the change gives it. */
static struct json_object *points_json(const wg_change *change, const wg_collection_info *info)
{
    size_t size = wg_type_vector_size(info->type, info->dim);
    struct json_object *array = json_array_make();
    bool has_payloads = change->kind == WG_CHANGE_UPSERT || change->kind == WG_CHANGE_PAYLOAD;
    for (size_t i = 0; i < change->count; i++) {
        const char *payload = change->payloads ? change->payloads[i] : NULL;
        wg_point point = { .id = change->ids[i] };
        if (flags.with_vector && change->data) point.data = (const char *)change->data + i * size;
        if (has_payloads) point.payload = payload ? payload : "{}";
        json_push(array, show_point_json(&point, info));
    }
    return array;
}

static void print_json(const wg_change *change, const wg_collection_info *info)
{
    struct json_object *document = json_object_make();
    json_put(document, "sequence", json_count(change->sequence));
    json_put(document, "kind", json_text(kind_name(change->kind)));
    json_put(document, "count", json_count(change->count));
    json_put(document, "epoch", json_count(change->epoch));
    json_put(document, "chain_hash", hash_json(change->chain_hash));
    json_put(document, "points", points_json(change, info));
    output_json(document);
}

/* Columns of one width, so that a long list need not be gathered first. */
static void print_titles(void)
{
    output_print("%s%12s  %-7s  %10s  %s%s\n", output_style(STYLE_FAINT), "sequence", "kind",
                 "points", "history", output_style(STYLE_PLAIN));
}

static void print(const wg_change *change)
{
    char sequence[TEXT_SIZE], count[TEXT_SIZE];
    output_print("%12s  %-7s  %10s  %016" PRIx64 "\n", text_count(change->sequence, sequence),
                 kind_name(change->kind), text_count(change->count, count), change->chain_hash);
}

static void print_changes(const wg_changes *changes, const wg_collection_info *info)
{
    for (size_t i = 0; i < wg_changes_count(changes) && !output_failed(); i++)
        if (common.json)
            print_json(wg_changes_at(changes, i), info);
        else
            print(wg_changes_at(changes, i));
}

/* From behind *since on, which moves on, until there are no more or flags.limit is reached. */
static wg_err list_behind(struct session *session, uint64_t *since, const wg_collection_info *info)
{
    wg_err err = WG_OK;
    wg_changes *changes = NULL;
    uint64_t left = flags.limit;
    while (left > 0 && !output_failed()) {
        size_t want = left < CHANGES_AT_ONCE ? (size_t)left : CHANGES_AT_ONCE;
        TRY(interrupt_check());
        TRY_WG(wg_collection_changes(session->collection, *since, want, &changes));
        size_t count = wg_changes_count(changes);
        if (count == 0) break;
        if (left == flags.limit && !common.json) print_titles();
        print_changes(changes, info);
        *since = wg_changes_at(changes, count - 1)->sequence;
        left -= count;
        wg_changes_destroy(&changes);
    }
    if (left == flags.limit && !common.json)
        output_print("no changes behind sequence %llu\n", (unsigned long long)*since);
out:
    wg_changes_destroy(&changes);
    return err;
}

static wg_err list(struct session *session, const char *name)
{
    char text[TEXT_SIZE];
    wg_collection_info info;
    wg_err err = session_info(session, &info);
    if (err != WG_OK) return err;
    uint64_t since = flags.since == NOT_GIVEN ? info.horizon : flags.since;
    err = list_behind(session, &since, &info);
    if (err == WG_EGONE)
        fail_hint(err,
                  "the list of \"%s\" begins behind sequence %s; who stands before that begins "
                  "anew from a snapshot",
                  name, text_count(info.horizon, text));
    return err;
}

static void print_followed(const struct follow *follow)
{
    char count[TEXT_SIZE], sequence[TEXT_SIZE];
    if (!common.json) {
        output_print("applied %s change%s to \"%s\" in %s: it stands at sequence %s\n",
                     text_count(follow->applied, count), text_plural(follow->applied), follow->name,
                     follow->store, text_count(follow->sequence, sequence));
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, "collection", json_text(follow->name));
    json_put(document, "from", json_text(common.store));
    json_put(document, "to", json_text(follow->store));
    json_put(document, "applied", json_count(follow->applied));
    json_put(document, "sequence", json_count(follow->sequence));
    json_put(document, "chain_hash", hash_json(follow->chain_hash));
    output_json(document);
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count;
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct follow follow = { .from = &session, .name = arguments[0], .store = flags.apply_to };
    bool lists = flags.since != NOT_GIVEN || flags.limit != NOT_GIVEN || flags.with_vector;
    if (flags.apply_to && lists)
        return fail(WG_EINVAL, "--since, --limit and --with-vector are for the list: --apply-to "
                               "takes all that the other store has not seen");
    TRY(session_open(&session, SESSION_READ, arguments[0]));
    if (flags.apply_to) {
        TRY(follow_run(&follow));
        print_followed(&follow);
    } else {
        TRY(list(&session, arguments[0]));
    }
out:
    session_close(&session);
    return err;
}

const struct command cmd_changes = {
    .name = "changes",
    .arguments = "COLLECTION",
    .summary = "list what was written, in order, or do it again in a copy",
    .details =
        "One line for each write: its sequence, what it did, to how many points, and the hash of\n"
        "the history up to it; with --json the points too. The list goes back as far as it is\n"
        "kept (\"waggle info\"); a copy that stands before that begins anew from a snapshot. A\n"
        "copy that follows is never written by anything else.\n\n"
        "  waggle changes docs --since 120 --json\n"
        "  waggle changes docs --apply-to /mirror/waggle-data",
    .argument_min = 1,
    .argument_max = 1,
    .options = options,
    .common = COMMON_STORE | COMMON_CONTEXT,
    .run = run,
};
