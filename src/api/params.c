#include "api/params.h"

#include <string.h>

void params_fill(void *params, size_t size, const void *defaults, size_t defaults_size)
{
    memset(params, 0, size);
    memcpy(params, defaults, size < defaults_size ? size : defaults_size);
    memcpy(params, &size, sizeof size);
}

/* The size that the caller's struct says it has. */
static wg_err size_of(const void *given, size_t known_size, const char *what, size_t *out)
{
    memcpy(out, given, sizeof *out);
    if (*out < sizeof *out)
        return wg_fail(WG_EINVAL, "%s: its size is %zu; fill it with its init", what, *out);
    if (*out > known_size)
        return wg_fail(WG_EINVAL,
                       "%s: its size is %zu, this library knows %zu: the program was built for a "
                       "newer one",
                       what, *out, known_size);
    return WG_OK;
}

wg_err params_read(const void *given, void *known, size_t known_size, const char *what)
{
    size_t size;
    if (!given) return WG_OK;
    wg_err err = size_of(given, known_size, what, &size);
    if (err == WG_OK) memcpy(known, given, size);
    return err;
}

wg_err params_write(void *given, const void *known, size_t known_size, const char *what)
{
    size_t size;
    wg_err err = size_of(given, known_size, what, &size);
    if (err != WG_OK) return err;
    memcpy(given, known, size);
    memcpy(given, &size, sizeof size);
    return WG_OK;
}
