#pragma once
/* Folders of a test's own, below TMPDIR or /tmp. */
#include <stdbool.h>
#include <stddef.h>

enum { SCRATCH_PATH_SIZE = 512 };

/* Makes an empty folder, and removes it with all that is in it when the process exits normally
 * (not in its children). The name stays valid until then. */
const char *scratch_create(void);
void scratch_remove(const char *path); /* and all that is in it; an absent one is fine */
void scratch_copy(const char *from, const char *to); /* to must not exist yet; holes are kept */

/* Calls visit for each regular file below path, in the order of the names. */
typedef void scratch_visit(void *user, const char *path, size_t size);
void scratch_each_file(const char *path, scratch_visit *visit, void *user);
