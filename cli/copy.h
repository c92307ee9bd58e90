#pragma once
/* What snapshot and restore say in the end. */
#include "cli/session.h"

/* Opens the copy at path to, says what it holds and where it came from. */
WG_CHECKED wg_err copy_print(struct session *session, const char *from, const char *to);
