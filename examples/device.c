/* device.h: the devices found here, and for each backend without one, why. */
#include <waggle/device.h>

#include <stdio.h>

#define TRY(call) \
    if ((err = (call)) != WG_OK) goto out

int main(void)
{
    wg_context *context = NULL;
    wg_err err;
    TRY(wg_context_create(NULL, &context));

    for (size_t i = 0; i < wg_device_count(context); i++) {
        wg_device_info info;
        wg_device_info_init(&info);
        TRY(wg_device_get(context, i, &info));
        printf("%s: %s, %llu MiB\n", info.backend, info.name,
               (unsigned long long)(info.memory_bytes >> 20));
    }
    for (size_t i = 0; i < wg_backend_count(context); i++) {
        wg_backend_info info;
        wg_backend_info_init(&info);
        TRY(wg_backend_get(context, i, &info));
        if (info.device_count == 0) printf("%s: none: %s\n", info.name, info.reason);
    }
out:
    if (err != WG_OK) fprintf(stderr, "device: %s\n", wg_message());
    wg_context_destroy(&context);
    return err != WG_OK;
}
