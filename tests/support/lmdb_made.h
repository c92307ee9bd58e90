#pragma once
/* LMDB files (data.mdb) made without LMDB: of any page size, and so small that each of their bits
 * can be flipped. */
#include "store/db.h"

struct made_entry {
    struct bytes key, value;
};

struct made_table {
    const char *name;
    const struct made_entry *entries; /* in order */
    size_t entry_count;
};

struct made_params {
    size_t page_size;
    uint64_t txn_id; /* at least 2 */
    const struct made_table *tables; /* in the order of their names */
    size_t table_count;
    size_t free_count; /* pages in the free list, of the two latest transactions; at most 64 */
};

struct made {
    unsigned char *bytes; /* exactly size of them, so that a sanitizer sees a read beyond */
    size_t size;
};

struct made made_create(const struct made_params *params);
void made_destroy(struct made *made);

/* A copy of a file, of as many bytes as it has. */
struct made made_load(const char *path);
void made_save(const struct made *made, const char *path);
