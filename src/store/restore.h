#pragma once
/* What a snapshot is for: a store made of it again. Any thread. */
#include "base/err.h"

/* path becomes a store of the same content, every checksum of which was checked, and that shares no
 * file with the one at from. WG_EBUSY: from is being written. WG_ECORRUPT: it fails its checks. On
 * an error nothing is left at path. WG_EINVAL: path is neither an empty folder nor a new one. */
WG_CHECKED wg_err store_restore(const char *from, const char *path);
