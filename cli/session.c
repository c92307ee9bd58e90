#include "cli/session.h"

#include "cli/json.h"
#include "cli/options.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

static void print_log(void *user, wg_log_level level, const char *message)
{
    (void)user;
    if (level > WG_LOG_WARNING) return;
    const char *name = level == WG_LOG_ERROR ? "error" : "warning";
    if (!common.json) {
        fprintf(stderr, "waggle: %s: %s\n", name, message);
        return;
    }
    struct json_object *document = json_object_make();
    json_put(document, name, json_text(message));
    fprintf(stderr, "%s\n", json_format(document));
    json_object_put(document);
}

wg_err session_make_context(uint64_t threads, const char *cpu, const char *backend,
                            wg_context **out)
{
    wg_err err = WG_OK;
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = (uint32_t)threads;
    params.cpu = cpu;
    params.backend = backend;
    params.log = print_log;
    TRY_WG(wg_context_create(&params, out));
out:
    return err;
}

wg_err session_open_context(struct session *session)
{
    return session_make_context(common.threads, common.cpu, common.backend, &session->context);
}

wg_err session_open_store_at(struct session *session, const char *path, enum session_mode mode)
{
    wg_err err = WG_OK;
    wg_store_params params;
    wg_store_params_init(&params);
    params.create = mode == SESSION_CREATE;
    params.read_only = mode == SESSION_READ;
    params.commit_interval_ms = session->commit_interval_ms;
    TRY_WG(wg_store_open(session->context, path, &params, &session->store));
out:
    return err;
}

wg_err session_open_store(struct session *session, enum session_mode mode)
{
    wg_err err = session_open_store_at(session, common.store, mode);
    if (err == WG_ENOTFOUND && mode != SESSION_CREATE)
        fail_hint(err, "\"waggle create\" makes a store; --store DIR names another one");
    return err;
}

struct search {
    const char *typed, *best;
    char found[256];
    size_t distance, count;
};

static bool compare_name(void *user, const char *name)
{
    struct search *search = user;
    const char *before = search->best;
    text_suggest(search->typed, name, &search->best, &search->distance);
    if (search->best != before) snprintf(search->found, sizeof search->found, "%s", name);
    search->best = search->found[0] ? search->found : NULL;
    search->count++;
    return true;
}

wg_err session_fail_collection(struct session *session, wg_err err, const char *name)
{
    struct search search = { .typed = name };
    fail_library(err);
    if (err != WG_ENOTFOUND || wg_store_list(session->store, compare_name, &search) != WG_OK)
        return err;
    if (search.best) return fail_hint(err, "the nearest name is \"%s\"", search.found);
    if (search.count == 0) return fail_hint(err, "\"waggle create %s --dim N\" makes it", name);
    return fail_hint(err, "\"waggle list\" shows the %zu collection%s of %s", search.count,
                     text_plural(search.count), common.store);
}

wg_err session_open_collection(struct session *session, const char *name)
{
    wg_err err = wg_collection_open(session->store, name, &session->collection);
    return err == WG_OK ? WG_OK : session_fail_collection(session, err, name);
}

wg_err session_open(struct session *session, enum session_mode mode, const char *name)
{
    wg_err err = WG_OK;
    TRY(session_open_context(session));
    TRY(session_open_store(session, mode));
    TRY(session_open_collection(session, name));
out:
    return err;
}

void session_close(struct session *session)
{
    wg_collection_close(&session->collection);
    wg_store_close(&session->store);
    wg_context_destroy(&session->context);
}

static bool gather(void *user, const char *name)
{
    struct session_names *names = user;
    if (names->count == names->room) {
        names->room = names->room ? 2 * names->room : 16;
        heap_resize(&names->at, names->room);
    }
    names->at[names->count++] = text_pool_copy(&names->texts, name, strlen(name));
    return true;
}

wg_err session_list(struct session *session, struct session_names *names)
{
    wg_err err = WG_OK;
    TRY_WG(wg_store_list(session->store, gather, names));
out:
    return err;
}

void session_names_fini(struct session_names *names)
{
    heap_free(&names->at);
    text_pool_clear(&names->texts);
    *names = (struct session_names){ 0 };
}

static bool gather_alias(void *user, const char *alias, const char *collection)
{
    struct session_aliases *aliases = user;
    if (aliases->count == aliases->room) {
        aliases->room = aliases->room ? 2 * aliases->room : 16;
        heap_resize(&aliases->at, aliases->room);
    }
    aliases->at[aliases->count++] = (struct session_alias){
        .alias = text_pool_copy(&aliases->texts, alias, strlen(alias)),
        .collection = text_pool_copy(&aliases->texts, collection, strlen(collection)),
    };
    return true;
}

wg_err session_list_aliases(struct session *session, struct session_aliases *aliases)
{
    wg_err err = WG_OK;
    TRY_WG(wg_alias_list(session->store, gather_alias, aliases));
out:
    return err;
}

void session_aliases_fini(struct session_aliases *aliases)
{
    heap_free(&aliases->at);
    text_pool_clear(&aliases->texts);
    *aliases = (struct session_aliases){ 0 };
}

static wg_err add_collection(struct session *session, const char *name,
                             struct session_totals *totals)
{
    wg_err err = WG_OK;
    wg_collection_info info;
    TRY(session_open_collection(session, name));
    TRY(session_info(session, &info));
    totals->collections++;
    totals->points += info.count;
    totals->disk_bytes += info.disk_bytes;
out:
    wg_collection_close(&session->collection);
    return err;
}

wg_err session_count(struct session *session, const char *name, struct session_totals *out)
{
    wg_err err = WG_OK;
    struct session_totals totals = { 0 };
    struct session_names names = { .count = 0 };
    if (name)
        TRY(add_collection(session, name, &totals));
    else
        TRY(session_list(session, &names));
    for (size_t i = 0; i < names.count; i++) {
        err = add_collection(session, names.at[i], &totals);
        if (err == WG_ENOTFOUND) err = WG_OK; /* dropped since by the process that writes */
        if (err != WG_OK) goto out;
    }
    *out = totals;
out:
    session_names_fini(&names);
    return err;
}

wg_err session_count_at(struct session *session, const char *path, struct session_totals *out)
{
    wg_err err = WG_OK;
    struct session there = { .context = session->context };
    TRY(session_open_store_at(&there, path, SESSION_READ));
    TRY(session_count(&there, NULL, out));
out:
    there.context = NULL; /* the other session's */
    session_close(&there);
    return err;
}

wg_err session_info(struct session *session, wg_collection_info *info)
{
    wg_err err = WG_OK;
    wg_collection_info_init(info);
    TRY_WG(wg_collection_info_get(session->collection, info));
out:
    return err;
}
