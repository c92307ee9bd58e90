#include "os/posix/fail.h"

#include <errno.h>
#include <string.h>

wg_err posix_err(int number)
{
    switch (number) {
    case ENOENT: return WG_ENOTFOUND;
    case EEXIST: return WG_EEXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return WG_EREADONLY;
    case ENOSPC:
    case EDQUOT: return WG_ENOSPC;
    case ENOMEM: return WG_ENOMEM;
    default: return WG_EIO;
    }
}

wg_err posix_fail(const char *path, const char *verb)
{
    return wg_fail(posix_err(errno), "%s: cannot %s: %s", path, verb, strerror(errno));
}
