#pragma once
/* An errno as an error of ours. */
#include "base/err.h"

wg_err posix_err(int number);
/* "PATH: cannot VERB: reason", by errno. */
wg_err posix_fail(const char *path, const char *verb);
