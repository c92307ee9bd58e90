#pragma once
/* Walks one tree of pages of an LMDB file: branches, leaves and the overflow pages of long values.
 * Behind pages.h. */
#include "base/bitmap.h"
#include "store/pages.h"

enum { PAGES_SIZE_MIN = 256, PAGES_SIZE_MAX = 32768, PAGES_DEPTH_MAX = 32, PAGES_META_COUNT = 2 };

enum pages_tree_kind {
    TREE_FREE_LIST, /* keys: transaction ids; values: page numbers */
    TREE_MAIN,      /* keys: names of tables; values: struct pages_tree */
    TREE_TABLE
};

struct tree_walk {
    const struct pages *pages;
    const struct pages_tree *record;
    enum pages_tree_kind kind;
    const char *name; /* for problems: "table points" */
    struct bitmap *unused; /* by page: nothing has used it yet */
    struct pages_report *report;
    pages_visit *visit; /* NULL: values are not looked at */
    void *user;
    /* Inside. */
    struct pages_tree found; /* what was counted */
    uint64_t starts[PAGES_SIZE_MAX / 2 / 64 + 1], ends[PAGES_SIZE_MAX / 2 / 64 + 1];
};

WG_CHECKED wg_err tree_walk(struct tree_walk *walk);

/* Marks a page below page_count as used. *was_unused false: it was already. */
WG_CHECKED wg_err pages_use(struct bitmap *unused, uint64_t page, bool *was_unused);

void pages_tell(struct pages_report *report, const char *format, ...) WG_PRINTF(2, 3);
