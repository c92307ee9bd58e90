#include "store/behind.h"

#include "base/mem.h"

#include <string.h>

wg_err behind_flush(struct behind *behind, const struct file *file)
{
    wg_err err = WG_OK;
    if (behind->size > 0) err = file_write_at(file, behind->bytes, behind->size, behind->offset);
    if (err == WG_OK) behind->size = 0;
    return err;
}

wg_err behind_write(struct behind *behind, const struct file *file, const void *bytes, size_t size,
                    uint64_t offset)
{
    wg_err err = WG_OK;
    bool follows = offset == behind->offset + behind->size;
    bool large = size > BEHIND_BYTES / 2;
    if (!follows || large || size > BEHIND_BYTES - behind->size) TRY(behind_flush(behind, file));
    if (large) return file_write_at(file, bytes, size, offset);
    if (!behind->bytes) TRY(mem_resize(&behind->bytes, BEHIND_BYTES));
    if (behind->size == 0) behind->offset = offset;
    memcpy(behind->bytes + behind->size, bytes, size);
    behind->size += size;
out:
    return err;
}

void behind_fini(struct behind *behind)
{
    mem_free(&behind->bytes);
    behind->size = 0;
}
