#include "store/pages_tree.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum page_flags { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4 };
enum node_flags { NODE_OVERFLOW = 1, NODE_TREE = 2 };

/* A page begins with this. In a branch or leaf, lower is where the offsets of its nodes end, which
 * follow the head, and upper is where the nodes begin, which fill the page from there to the end.
 */
struct page_head {
    uint64_t number;
    uint16_t unused;
    uint16_t flags;
    union {
        struct {
            uint16_t lower, upper;
        };
        uint32_t page_count; /* of an overflow page: as many follow, itself included */
    };
};

/* A node begins with this; its key follows, then in a leaf the value, or the number of the overflow
 * page that it is in. Nodes begin at even offsets. */
struct node_head {
    uint16_t low, high; /* leaf: size of the value; branch: number of the child, with the flags */
    uint16_t flags;
    uint16_t key_size;
};

_Static_assert(sizeof(struct page_head) == 16, "as LMDB writes it");
_Static_assert(sizeof(struct node_head) == 8, "as LMDB writes it");

struct page {
    const unsigned char *start;
    struct page_head head;
    uint64_t number;
    unsigned node_count;
    bool told; /* one problem a page is enough */
};

struct node {
    size_t start, end; /* in the page */
    struct bytes key;
    struct bytes value; /* in a leaf */
    unsigned flags;
    bool overflows; /* the value is in overflow pages; its start is NULL at first */
    uint64_t page; /* of the child or of the overflowing value */
};

/* Where the keys of a subtree lie: lower <= key < upper. A start of NULL: no bound. */
struct bounds {
    struct bytes lower, upper;
};

void pages_tell(struct pages_report *report, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report->problem_count++;
    if (report->problem) report->problem(report->user, text);
}

wg_err pages_use(struct bitmap *unused, uint64_t page, bool *was_unused)
{
    *was_unused = bitmap_get(unused, page);
    return *was_unused ? bitmap_clear(unused, page) : WG_OK;
}

static bool is_leaf(const struct page *page)
{
    return page->head.flags == PAGE_LEAF;
}

static void tell(struct tree_walk *walk, struct page *page, const char *format, ...)
    WG_PRINTF(3, 4);
static void tell(struct tree_walk *walk, struct page *page, const char *format, ...)
{
    char text[256];
    va_list args;
    if (page->told) return;
    page->told = true;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    unsigned flags = page->start ? page->head.flags : 0;
    pages_tell(walk->report, "page %" PRIu64 " of data.mdb (%s of %s): %s", page->number,
               flags == PAGE_LEAF       ? "a leaf"
               : flags == PAGE_BRANCH   ? "a branch"
               : flags == PAGE_OVERFLOW ? "an overflow page"
                                        : "a page",
               walk->name, text);
}

/* Reads the head of page->number; false: the file does not have the page. */
static bool read_head(struct tree_walk *walk, struct page *page)
{
    const struct pages *pages = walk->pages;
    if (page->number < PAGES_META_COUNT)
        tell(walk, page, "is a meta page's place");
    else if (page->number >= pages->page_count)
        tell(walk, page, "is behind the last page, %" PRIu64, pages->page_count - 1);
    else if (page->number >= pages->size / pages->page_size)
        tell(walk, page, "is behind the end of the file, %zu bytes", pages->size);
    if (page->told) return false;
    page->start = pages->start + page->number * pages->page_size;
    memcpy(&page->head, page->start, sizeof page->head);
    if (page->head.number != page->number)
        tell(walk, page, "its number is %" PRIu64, page->head.number);
    return true;
}

/* Marks the page and those that follow as used. *usable false: one was; that has been told. */
static wg_err use_pages(struct tree_walk *walk, struct page *page, uint64_t count, bool *usable)
{
    wg_err err = WG_OK;
    *usable = true;
    for (uint64_t i = 0; err == WG_OK && *usable && i < count; i++)
        err = pages_use(walk->unused, page->number + i, usable);
    if (!*usable) tell(walk, page, "is used twice, or is in the free list too");
    return err;
}

/* What a page is, its level says as well. */
static void check_kind(struct tree_walk *walk, unsigned level, struct page *page)
{
    bool at_leaves = level + 1 == walk->record->depth;
    if (page->head.flags != PAGE_LEAF && page->head.flags != PAGE_BRANCH) {
        tell(walk, page, "flags 0x%x are neither a leaf's nor a branch's", page->head.flags);
        page->head.flags = at_leaves ? PAGE_LEAF : PAGE_BRANCH;
    }
    if (is_leaf(page) != at_leaves)
        tell(walk, page, "at level %u of a tree of %u levels", level + 1, walk->record->depth);
}

/* False: there is no telling how many nodes the page has. */
static bool check_bounds(struct tree_walk *walk, struct page *page)
{
    size_t page_size = walk->pages->page_size, offsets = sizeof page->head;
    unsigned lower = page->head.lower, upper = page->head.upper;
    if (lower < offsets || lower % 2 != 0 || lower > upper || upper > page_size)
        tell(walk, page, "bounds %u and %u", lower, upper);
    if (lower < offsets || lower > page_size) return false;
    page->node_count = (unsigned)(lower - offsets) / 2;
    unsigned least = is_leaf(page) || walk->kind == TREE_FREE_LIST ? 1 : 2;
    if (page->node_count < least) tell(walk, page, "%u keys", page->node_count);
    return true;
}

/* *usable: the page can be read, even if something has been told of it. Pages are used once, so
 * that no walk is endless. */
static wg_err take_page(struct tree_walk *walk, unsigned level, struct page *page, bool *usable)
{
    *usable = read_head(walk, page);
    if (!*usable) return WG_OK;
    wg_err err = use_pages(walk, page, 1, usable);
    if (err != WG_OK || !*usable) return err;
    check_kind(walk, level, page);
    *usable = check_bounds(walk, page);
    if (is_leaf(page))
        walk->found.leaf_pages++;
    else
        walk->found.branch_pages++;
    return WG_OK;
}

static bool is_key_size(const struct tree_walk *walk, size_t size)
{
    return walk->kind == TREE_FREE_LIST ? size == sizeof(uint64_t) : size > 0 && size <= DB_KEY_MAX;
}

/* NULL, or what is wrong with node i; then it is not to be used. */
static inline const char *read_node(const struct tree_walk *walk, const struct page *page,
                                    unsigned i, struct node *node)
{
    uint16_t offset;
    struct node_head head;
    size_t page_size = walk->pages->page_size, inside = 0;
    memcpy(&offset, page->start + sizeof page->head + i * sizeof offset, sizeof offset);
    if (offset % 2 != 0 || offset < page->head.lower || offset > page_size - sizeof head)
        return "is not within the page";
    memcpy(&head, page->start + offset, sizeof head);
    size_t low = head.low | (size_t)head.high << 16, value = offset + sizeof head + head.key_size;
    bool leaf = is_leaf(page);
    node->flags = head.flags;
    node->overflows = leaf && (head.flags & NODE_OVERFLOW);
    if (leaf) inside = node->overflows ? sizeof node->page : low;
    node->start = offset;
    node->end = value + inside + (value + inside) % 2;
    if (node->end > page_size) return "does not end within the page";
    node->key = (struct bytes){ page->start + offset + sizeof head, head.key_size };
    node->value = (struct bytes){ node->overflows ? NULL : page->start + value, low };
    node->page = low | (uint64_t)head.flags << 32;
    if (node->overflows) memcpy(&node->page, page->start + value, sizeof node->page);
    /* A branch's first key is below all others and not looked at; LMDB leaves it out. */
    if (leaf || i > 0 ? !is_key_size(walk, head.key_size) : head.key_size > DB_KEY_MAX)
        return "has a wrong size";
    bool is_record = walk->kind == TREE_MAIN && leaf;
    return is_record && low != sizeof(struct pages_tree) ? "has no table's record" : NULL;
}

/* As LMDB compares: transaction ids as numbers, other keys byte by byte, the shorter first. */
static inline int compare(const struct tree_walk *walk, struct bytes a, struct bytes b)
{
    if (walk->kind == TREE_FREE_LIST) {
        uint64_t number_a, number_b;
        memcpy(&number_a, a.start, sizeof number_a);
        memcpy(&number_b, b.start, sizeof number_b);
        return (number_a > number_b) - (number_a < number_b);
    }
    int order = memcmp(a.start, b.start, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The bit at this offset; false: it was set. */
static inline bool mark(uint64_t *marks, size_t offset)
{
    uint64_t bit = UINT64_C(1) << offset / 2 % 64, *word = &marks[offset / 2 / 64];
    bool was_clear = !(*word & bit);
    *word |= bit;
    return was_clear;
}

/* before is the key before it in the page, or the parent's for the page, or there is none. */
static void check_order(struct tree_walk *walk, struct page *page, unsigned i, struct bytes before,
                        struct bytes key)
{
    bool leaf = is_leaf(page), is_first = i == (leaf ? 0 : 1);
    int order = before.start ? compare(walk, before, key) : -1;
    if (order < 0 || (order == 0 && leaf && is_first)) return;
    if (is_first)
        tell(walk, page, "key %u is not behind its parent's key for the page", i);
    else
        tell(walk, page, "key %u is not behind key %u", i, i - 1);
}

static void check_flags(struct tree_walk *walk, struct page *page, unsigned i, unsigned flags)
{
    bool right =
        walk->kind == TREE_MAIN ? flags == NODE_TREE : flags == 0 || flags == NODE_OVERFLOW;
    if (!right) tell(walk, page, "key %u has flags 0x%x", i, flags);
}

/* Each node of the page by itself, and beside the one before. */
static void check_each_node(struct tree_walk *walk, struct page *page, const struct bounds *bounds)
{
    struct bytes before = bounds->lower;
    struct node node;
    for (unsigned i = 0; i < page->node_count; i++) {
        const char *wrong = read_node(walk, page, i, &node);
        if (wrong) tell(walk, page, "key %u %s", i, wrong);
        if (wrong) continue;
        if (!mark(walk->starts, node.start)) tell(walk, page, "key %u is another's too", i);
        mark(walk->ends, node.end);
        if (!is_leaf(page) && i == 0) continue;
        check_order(walk, page, i, before, node.key);
        if (is_leaf(page)) check_flags(walk, page, i, node.flags);
        before = node.key;
    }
    if (bounds->upper.start && before.start && compare(walk, before, bounds->upper) >= 0)
        tell(walk, page, "its last key is not before its parent's next");
}

/* Nodes fill the page from its upper bound to its end: each begins where another ends. */
static void check_nodes(struct tree_walk *walk, struct page *page, const struct bounds *bounds)
{
    size_t page_size = walk->pages->page_size;
    size_t size = (page_size / 2 / 64 + 1) * sizeof walk->starts[0];
    memset(walk->starts, 0, size);
    memset(walk->ends, 0, size);
    check_each_node(walk, page, bounds);
    if (page->told) return;
    mark(walk->starts, page_size);
    mark(walk->ends, page->head.upper);
    if (page->head.upper % 2 != 0 || memcmp(walk->starts, walk->ends, size) != 0)
        tell(walk, page, "its nodes do not fill it from %u on", page->head.upper);
}

/* node->value.start stays NULL when the overflow pages are not there. They may be more than are
 * needed: a value was replaced by a shorter one. */
static wg_err take_overflow(struct tree_walk *walk, struct node *node)
{
    const struct pages *pages = walk->pages;
    struct page page = { .number = node->page };
    bool usable = read_head(walk, &page);
    if (!usable) return WG_OK;
    uint64_t count = page.head.page_count, room = pages->size / pages->page_size - page.number;
    uint64_t needed = (sizeof page.head + node->value.size - 1) / pages->page_size + 1;
    if (room > pages->page_count - page.number) room = pages->page_count - page.number;
    if (page.head.flags != PAGE_OVERFLOW)
        tell(walk, &page, "flags 0x%x, expected an overflow page's", page.head.flags);
    if (count < needed || count > room) {
        tell(walk, &page, "%" PRIu64 " pages for %zu bytes", count, node->value.size);
        if (needed > room) return WG_OK;
        count = needed;
    }
    walk->found.overflow_pages += count;
    /* Who reads what is broken does not lose another value to a wrong count. */
    if (walk->kind == TREE_TABLE && walk->visit) count = needed;
    wg_err err = use_pages(walk, &page, count, &usable);
    if (err == WG_OK && usable) node->value.start = page.start + sizeof page.head;
    return err;
}

static wg_err walk_leaf(struct tree_walk *walk, struct page *page)
{
    wg_err err = WG_OK;
    struct node node;
    walk->found.entry_count += page->node_count;
    for (unsigned i = 0; i < page->node_count; i++) {
        if (read_node(walk, page, i, &node)) continue;
        if (node.overflows) TRY(take_overflow(walk, &node));
        if (walk->visit && node.value.start) TRY(walk->visit(walk->user, node.key, node.value));
    }
out:
    return err;
}

static wg_err walk_page(struct tree_walk *walk, uint64_t number, unsigned level,
                        const struct bounds *bounds);

/* While the page before it is read: nodes lie in a page in no order that a processor foresees. A
 * million random keys are checked in 26 ms, not in 44. */
static void prefetch(const struct pages *pages, uint64_t page)
{
    if (page >= pages->size / pages->page_size) return;
    for (size_t at = 0; at < pages->page_size; at += 64)
        __builtin_prefetch(pages->start + page * pages->page_size + at);
}

static wg_err walk_branch(struct tree_walk *walk, struct page *page, unsigned level,
                          const struct bounds *bounds)
{
    wg_err err = WG_OK;
    struct node node, next;
    if (level + 1 == PAGES_DEPTH_MAX) {
        tell(walk, page, "more than %d levels", PAGES_DEPTH_MAX);
        return WG_OK;
    }
    for (unsigned i = 0; i < page->node_count; i++) {
        struct bounds below = *bounds;
        if (read_node(walk, page, i, &node)) continue;
        if (i > 0) below.lower = node.key;
        if (i + 1 < page->node_count && !read_node(walk, page, i + 1, &next)) {
            below.upper = next.key;
            prefetch(walk->pages, next.page);
        }
        TRY(walk_page(walk, node.page, level + 1, &below));
    }
out:
    return err;
}

static wg_err walk_page(struct tree_walk *walk, uint64_t number, unsigned level,
                        const struct bounds *bounds)
{
    struct page page = { .number = number };
    bool usable;
    wg_err err = take_page(walk, level, &page, &usable);
    if (err != WG_OK || !usable) return err;
    check_nodes(walk, &page, bounds);
    return is_leaf(&page) ? walk_leaf(walk, &page) : walk_branch(walk, &page, level, bounds);
}

static void check_record(struct tree_walk *walk)
{
    const struct pages_tree *record = walk->record;
    unsigned flags = walk->kind == TREE_FREE_LIST ? 8 : 0; /* keys are integers */
    uint32_t pad = walk->kind == TREE_FREE_LIST ? (uint32_t)walk->pages->page_size : 0;
    if (record->flags != flags || record->pad != pad)
        pages_tell(walk->report,
                   "data.mdb: %s: flags 0x%x and 0x%" PRIx32 ", expected 0x%x and 0x%" PRIx32,
                   walk->name, record->flags, record->pad, flags, pad);
    if ((record->root == PAGES_NO_ROOT) != (record->depth == 0) || record->depth > PAGES_DEPTH_MAX)
        pages_tell(walk->report, "data.mdb: %s: %u levels, with%s a root", walk->name,
                   record->depth, record->root == PAGES_NO_ROOT ? "out" : "");
}

static void check_counts(struct tree_walk *walk)
{
    const struct pages_tree *says = walk->record, *has = &walk->found;
    if (says->branch_pages != has->branch_pages || says->leaf_pages != has->leaf_pages ||
        says->overflow_pages != has->overflow_pages || says->entry_count != has->entry_count)
        pages_tell(walk->report,
                   "data.mdb: %s has %" PRIu64 " branches, %" PRIu64 " leaves, %" PRIu64
                   " overflow pages and %" PRIu64 " keys, and its record says %" PRIu64 ", %" PRIu64
                   ", %" PRIu64 " and %" PRIu64,
                   walk->name, has->branch_pages, has->leaf_pages, has->overflow_pages,
                   has->entry_count, says->branch_pages, says->leaf_pages, says->overflow_pages,
                   says->entry_count);
}

wg_err tree_walk(struct tree_walk *walk)
{
    wg_err err = WG_OK;
    uint64_t problems = walk->report->problem_count;
    walk->found = (struct pages_tree){ 0 };
    check_record(walk);
    if (walk->record->root != PAGES_NO_ROOT)
        err = walk_page(walk, walk->record->root, 0, &(struct bounds){ 0 });
    /* A page that was skipped is missing from the counts: that has been told. */
    if (err == WG_OK && walk->report->problem_count == problems) check_counts(walk);
    return err;
}
