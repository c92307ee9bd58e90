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

wg_err session_open_context(struct session *session)
{
    wg_err err = WG_OK;
    wg_context_params params;
    wg_context_params_init(&params);
    params.threads = (uint32_t)common.threads;
    params.cpu = common.cpu;
    params.backend = common.backend;
    params.log = print_log;
    TRY_WG(wg_context_create(&params, &session->context));
out:
    return err;
}

wg_err session_open_store(struct session *session, enum session_mode mode)
{
    wg_store_params params;
    wg_store_params_init(&params);
    params.create = mode == SESSION_CREATE;
    params.read_only = mode == SESSION_READ;
    wg_err err = wg_store_open(session->context, common.store, &params, &session->store);
    if (err == WG_OK) return WG_OK;
    fail_library(err);
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

wg_err session_info(struct session *session, wg_collection_info *info)
{
    wg_err err = WG_OK;
    wg_collection_info_init(info);
    TRY_WG(wg_collection_info_get(session->collection, info));
out:
    return err;
}
