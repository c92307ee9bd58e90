#include "api/context.h"
#include "api/params.h"

void wg_device_info_init_sized(wg_device_info *info, size_t size)
{
    static const wg_device_info defaults;
    params_fill(info, size, &defaults, sizeof defaults);
}

void wg_backend_info_init_sized(wg_backend_info *info, size_t size)
{
    static const wg_backend_info defaults;
    params_fill(info, size, &defaults, sizeof defaults);
}

size_t wg_device_count(const wg_context *context)
{
    return device_set_count(context->devices);
}

wg_err wg_device_get(wg_context *context, size_t index, wg_device_info *info)
{
    wg_device_info known = { .size = sizeof known };
    size_t count = wg_device_count(context);
    if (index >= count)
        return wg_fail(WG_ENODEVICE, "device %zu: there are %zu, from 0 on", index, count);
    wg_err err = slot_info(device_set_at(context->devices, index), &known);
    return err == WG_OK ? PARAMS_WRITE(info, &known) : err;
}

size_t wg_backend_count(const wg_context *context)
{
    return device_set_backend_count(context->devices);
}

wg_err wg_backend_get(wg_context *context, size_t index, wg_backend_info *info)
{
    wg_backend_info known = { .size = sizeof known };
    size_t count = wg_backend_count(context);
    if (index >= count)
        return wg_fail(WG_ENODEVICE, "backend %zu: there are %zu, from 0 on", index, count);
    device_set_backend(context->devices, index, &known);
    return PARAMS_WRITE(info, &known);
}
