#include "store/repair.h"

#include "api/params.h"
#include "api/store.h"
#include "store/lock.h"

void wg_repair_report_init_sized(wg_repair_report *report, size_t size)
{
    static const wg_repair_report defaults;
    params_fill(report, size, &defaults, sizeof defaults);
}

static wg_err open_salvage(wg_context *context, const char *path, struct store **out)
{
    wg_store_params params;
    wg_store_params_init(&params);
    if (!folder_free(path)) return wg_fail(WG_EINVAL, "%s: is not an empty folder", path);
    struct store_params inner = store_params_of(context, path, &params);
    return store_open(&inner, out);
}

wg_err wg_store_repair(wg_context *context, const char *path, const char *salvage_path,
                       wg_problem_fn *note, void *user, wg_repair_report *report)
{
    wg_err err = WG_OK;
    struct store_lock lock = { 0 };
    struct repair repair = { .path = path, .note = note, .user = user };
    TRY(store_lock(path, false, STORE_READ_ALONE, &lock));
    if (salvage_path) TRY(open_salvage(context, salvage_path, &repair.salvage));
    TRY(repair_store(&repair));
    repair.report.size = sizeof repair.report;
    TRY(PARAMS_WRITE(report, &repair.report));
out:
    if (repair.salvage) store_close(&repair.salvage);
    if (err != WG_OK && salvage_path && err != WG_EINVAL) (void)!folder_remove(salvage_path);
    store_unlock(&lock);
    return err;
}
