#pragma once
/* Writes that are held back until there is more to write, because a call for each row of a group of
 * single upserts costs more than the rows. What is held back is at one place of a file; a write
 * elsewhere, or a large one, first lets it go, so that the file sees the order of the calls. One
 * thread. */
#include "os/file.h"

enum { BEHIND_BYTES = 32 << 10 };

struct behind {
    char *bytes; /* BEHIND_BYTES; NULL before the first small write */
    uint64_t offset;
    size_t size; /* set to 0: what is held back is forgotten */
};

WG_CHECKED wg_err behind_write(struct behind *behind, const struct file *file, const void *bytes,
                               size_t size, uint64_t offset);
/* On an error it is still held back. */
WG_CHECKED wg_err behind_flush(struct behind *behind, const struct file *file);
void behind_fini(struct behind *behind);
