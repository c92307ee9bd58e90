#include "store/repair.h"

#include "api/params.h"
#include "api/store.h"
#include "store/lock.h"

#include <stdio.h>

void wg_repair_report_init_sized(wg_repair_report *report, size_t size)
{
    static const wg_repair_report defaults;
    params_fill(report, size, &defaults, sizeof defaults);
}

static wg_err check_free(const char *path)
{
    if (folder_free(path)) return WG_OK;
    return wg_fail(WG_EINVAL, "%s: %s, expected an empty folder or none", path,
                   file_exists(path) ? "a file" : "a folder with something in it");
}

static wg_err open_salvage(wg_context *context, const char *path, struct store **out)
{
    wg_store_params params;
    wg_store_params_init(&params);
    struct store_params inner = store_params_of(context, path, &params);
    return store_open(&inner, out);
}

/* The message of the error that led here stays. */
static void remove_salvage(const char *path)
{
    char message[1024];
    snprintf(message, sizeof message, "%s", wg_message());
    if (folder_remove(path) == WG_OK)
        (void)wg_fail(WG_EIO, "%s", message);
    else
        (void)wg_fail(WG_EIO, "%s; what was saved until then is still at %s", message, path);
}

wg_err wg_store_repair(wg_context *context, const char *path, const char *salvage_path,
                       wg_problem_fn *note, void *user, wg_repair_report *report)
{
    wg_err err = WG_OK;
    struct store_lock lock = { 0 };
    struct repair repair = { .path = path, .note = note, .user = user };
    bool is_ours = false; /* nothing stood at salvage_path */
    TRY(repair_check_place(path));
    TRY(store_lock(path, false, STORE_READ_ALONE, &lock));
    if (salvage_path) TRY(check_free(salvage_path));
    is_ours = salvage_path != NULL;
    if (salvage_path) TRY(open_salvage(context, salvage_path, &repair.salvage));
    TRY(repair_store(&repair));
    repair.report.size = sizeof repair.report;
    TRY(PARAMS_WRITE(report, &repair.report));
out:
    if (repair.salvage) store_close(&repair.salvage);
    bool may_remove = is_ours && err != WG_EBUSY && err != WG_EINVAL; /* another may have come */
    if (err != WG_OK && may_remove && folder_exists(salvage_path)) remove_salvage(salvage_path);
    store_unlock(&lock);
    return err;
}
