#include "base/size.h"

wg_err size_multiply(size_t a, size_t b, size_t *product)
{
    size_t result;
    if (__builtin_mul_overflow(a, b, &result))
        return wg_fail(WG_ENOMEM, "%zu times %zu bytes are more than an address can tell", a, b);
    *product = result;
    return WG_OK;
}
