#include "cli/command.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/text.h"

#include <string.h>

static const char *const states[] = {
    [WG_DEVICE_UNTESTED] = "untested",
    [WG_DEVICE_READY] = "ready",
    [WG_DEVICE_SUSPECT] = "suspect",
    [WG_DEVICE_REJECTED] = "rejected",
};

static const char *const meanings[] = {
    [WG_DEVICE_UNTESTED] = "untested: its self-test has not run yet",
    [WG_DEVICE_READY] = "ready",
    [WG_DEVICE_SUSPECT] = "suspect: failed in a call, unused until its self-test passes again",
    [WG_DEVICE_REJECTED] = "rejected: gave wrong answers in its self-test",
};

static void add_text(struct table *table, const char *title, const char *text)
{
    table_add(table, "  %s", title);
    table_add(table, "%s", text[0] ? text : "unknown");
}

static void add_bytes(struct table *table, const char *title, uint64_t size_bytes)
{
    char text[TEXT_SIZE];
    add_text(table, title, size_bytes ? text_bytes(size_bytes, text) : "");
}

/* Of a property, 0 is unknown; of a counter, nothing yet. */
static void add_limit(struct table *table, const char *title, uint64_t limit)
{
    char text[TEXT_SIZE];
    add_text(table, title, limit ? text_count(limit, text) : "");
}

static void add_count(struct table *table, const char *title, uint64_t count)
{
    char text[TEXT_SIZE];
    add_text(table, title, text_count(count, text));
}

static void print_device(const struct session *session, const wg_device_info *info, bool first)
{
    struct table table = { .column_count = 2, .alignment = "ll" };
    bool is_cpu = strcmp(info->backend, "cpu") == 0;
    output_print("%s%s%s %u: %s%s\n", first ? "" : "\n", output_style(STYLE_BOLD), info->backend,
                 (unsigned)info->ordinal, info->name[0] ? info->name : "unknown name",
                 output_style(STYLE_PLAIN));
    add_text(&table, "state", meanings[info->state]);
    if (is_cpu) {
        add_text(&table, "kernels", wg_context_cpu(session->context));
        add_limit(&table, "threads", wg_context_threads(session->context));
    }
    add_text(&table, "architecture", info->architecture);
    add_bytes(&table, "memory", info->memory_bytes);
    add_bytes(&table, "memory free", info->memory_free_bytes);
    if (!is_cpu) {
        add_text(&table, "driver", info->driver);
        add_text(&table, "pci", info->pci);
        add_text(&table, "shares memory", info->shares_host_memory ? "yes, the host's" : "no");
        add_limit(&table, "group threads", info->group_threads_max);
        add_bytes(&table, "group memory", info->group_memory_bytes);
    }
    add_count(&table, "scans", info->scans);
    add_count(&table, "fallbacks", info->fallbacks);
    table_print(&table);
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
    json_put(object, key, text[0] ? json_text(text) : NULL);
}

static void put_count(struct json_object *object, const char *key, uint64_t count)
{
    json_put(object, key, count > 0 ? json_count(count) : NULL);
}

static struct json_object *as_json(const struct session *session, const wg_device_info *info)
{
    struct json_object *device = json_object_make();
    put_text(device, "backend", info->backend);
    json_put(device, "ordinal", json_count(info->ordinal));
    put_text(device, "name", info->name);
    put_text(device, "state", states[info->state]);
    put_text(device, "driver", info->driver);
    put_text(device, "architecture", info->architecture);
    put_text(device, "pci", info->pci);
    put_count(device, "memory_bytes", info->memory_bytes);
    put_count(device, "memory_free_bytes", info->memory_free_bytes);
    put_count(device, "group_threads_max", info->group_threads_max);
    put_count(device, "group_memory_bytes", info->group_memory_bytes);
    json_put(device, "shares_host_memory", json_flag(info->shares_host_memory));
    json_put(device, "scans", json_count(info->scans));
    json_put(device, "fallbacks", json_count(info->fallbacks));
    if (strcmp(info->backend, "cpu") == 0) {
        put_text(device, "kernels", wg_context_cpu(session->context));
        put_count(device, "threads", wg_context_threads(session->context));
    }
    return device;
}

static wg_err print_devices(struct session *session, struct json_object *devices)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < wg_device_count(session->context); i++) {
        wg_device_info info;
        wg_device_info_init(&info);
        TRY_WG(wg_device_get(session->context, i, &info));
        if (common.json)
            json_push(devices, as_json(session, &info));
        else
            print_device(session, &info, i == 0);
    }
out:
    return err;
}

static void print_missing(const wg_backend_info *info, struct table *table,
                          struct json_object *missing)
{
    const char *reason = info->reason[0] ? info->reason : "unknown";
    if (!common.json) {
        table_add(table, "  %s", info->name);
        table_add(table, "%s", reason);
        return;
    }
    struct json_object *backend = json_object_make();
    json_put(backend, "backend", json_text(info->name));
    json_put(backend, "reason", json_text(reason));
    json_push(missing, backend);
}

static wg_err print_backends(struct session *session, struct json_object *missing)
{
    wg_err err = WG_OK;
    struct table table = { .column_count = 2, .alignment = "ll" };
    for (size_t i = 0; i < wg_backend_count(session->context); i++) {
        wg_backend_info info;
        wg_backend_info_init(&info);
        TRY_WG(wg_backend_get(session->context, i, &info));
        if (info.device_count == 0) print_missing(&info, &table, missing);
    }
    if (table.cell_count > 0) {
        output_print("\nnot there:\n");
        table_print(&table);
    }
out:
    table_clear(&table);
    return err;
}

static wg_err run(int argument_count, char **arguments)
{
    (void)argument_count, (void)arguments;
    wg_err err = WG_OK;
    struct session session = { 0 };
    struct json_object *document = json_object_make();
    struct json_object *devices = json_array_make(), *missing = json_array_make();
    json_put(document, "devices", devices);
    json_put(document, "missing", missing);
    TRY(session_open_context(&session));
    TRY(print_devices(&session, devices));
    TRY(print_backends(&session, missing));
    if (common.json) output_json(json_object_get(document));
out:
    json_object_put(document);
    session_close(&session);
    return err;
}

const struct command cmd_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "show what there is to compute on, and why others are not there",
    .details = "Devices come in order of preference; the CPU is last, and always there.",
    .common = COMMON_CONTEXT,
    .run = run,
};
