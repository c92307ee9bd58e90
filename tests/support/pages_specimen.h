#pragma once
/* A small LMDB file with everything in it (branches, overflow pages, an empty table, a free list),
 * what pages.h says of it, and where things are in it, so that they can be damaged. */
#include "store/pages.h"
#include "support/lmdb_made.h"

enum {
    SPECIMEN_TABLES = 4,
    SPECIMEN_ENTRIES = 70, /* of table "deep" */
    SPECIMEN_LONG = 3, /* entries of table "long" */
    SPECIMEN_PAGE = 256, /* bytes, for all that finds a place in it */
    SPECIMEN_FREE = 10,
    SPECIMEN_TXN = 10,
    PAGE_HEAD = 16,
    NODE_HEAD = 8
};

extern const char *const specimen_names[SPECIMEN_TABLES];

struct made specimen_create(size_t page_size);

/* What was told. */
struct told {
    struct pages_report report;
    char first[512], all[4096];
};

void told_begin(struct told *told);

/* How many problems; that it cannot be opened is one. */
uint64_t specimen_check(const struct made *made, struct told *told);
uint64_t specimen_problems(const struct made *made);
void specimen_assert_sound(const struct made *made);

/* One walk: how many keys, and those that are as they were put in. */
struct walked {
    const struct made_entry *entries;
    size_t entry_count;
    size_t count, right, in_order;
};

/* Also of a file that cannot be opened: nothing is there then. */
struct walked specimen_walk(const struct made *made, const char *table, struct told *told);
void specimen_walk_all(const struct made *made);

/* Offset of the first page with these flags whose first node has this key's first letter (0: any).
 */
size_t specimen_find(const struct made *made, unsigned flags, char letter);
unsigned char *specimen_node(const struct made *made, size_t page, unsigned i);
size_t specimen_node_count(const struct made *made, size_t page);
/* Where the record of a table is; NULL: of the main database, and it is in the meta page. */
unsigned char *specimen_record(const struct made *made, const char *table);
