#include "support/lmdb_made.h"

#include "store/pages.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD = 16, /* of a page */
    NODE = 8,  /* head of a node */
    BRANCH = 1,
    LEAF = 2,
    OVERFLOW = 4,
    META = 8,
    CHILDREN = 3, /* of a branch */
    PAGES_MAX = 4096,
    FREE_MAX = 64
};

struct maker {
    size_t page_size;
    unsigned char *bytes;
    uint64_t page_count;
    struct pages_tree *tree; /* being made */
};

/* The first key below a page, and the page. */
struct child {
    struct bytes key;
    uint64_t page;
};

static unsigned char *page_at(const struct maker *maker, uint64_t page)
{
    return maker->bytes + page * maker->page_size;
}

static void set16(unsigned char *at, size_t value)
{
    uint16_t narrow = (uint16_t)value;
    memcpy(at, &narrow, sizeof narrow);
}

static uint16_t get16(const unsigned char *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t new_pages(struct maker *maker, size_t flags, uint32_t count)
{
    uint64_t page = maker->page_count;
    unsigned char *at = page_at(maker, page);
    must(page + count <= PAGES_MAX, "more than %d pages", PAGES_MAX);
    maker->page_count += count;
    memcpy(at, &page, sizeof page);
    set16(at + 10, flags);
    if (flags == OVERFLOW) {
        memcpy(at + 12, &count, sizeof count);
    } else {
        set16(at + 12, HEAD);
        set16(at + 14, maker->page_size);
    }
    return page;
}

/* Room for a node behind all others of the page; NULL: there is none. */
static unsigned char *add_node(struct maker *maker, uint64_t page, size_t size)
{
    unsigned char *at = page_at(maker, page);
    size_t lower = get16(at + 12), upper = get16(at + 14);
    size += size % 2;
    if (upper - lower < size + 2) return NULL;
    set16(at + lower, upper - size);
    set16(at + 12, lower + 2);
    set16(at + 14, upper - size);
    return at + upper - size;
}

static void fill_node(unsigned char *node, uint64_t number, size_t flags, struct bytes key)
{
    set16(node, number & 0xffff);
    set16(node + 2, number >> 16 & 0xffff);
    set16(node + 4, flags);
    set16(node + 6, key.size);
    if (key.size > 0) memcpy(node + NODE, key.start, key.size);
}

/* The number of the overflow page that the value is put into. */
static uint64_t put_overflow(struct maker *maker, struct bytes value)
{
    uint32_t count = (uint32_t)((HEAD + value.size + maker->page_size - 1) / maker->page_size);
    uint64_t page = new_pages(maker, OVERFLOW, count);
    maker->tree->overflow_pages += count;
    memcpy(page_at(maker, page) + HEAD, value.start, value.size);
    return page;
}

static bool put_entry(struct maker *maker, uint64_t page, const struct made_entry *entry,
                      size_t flags)
{
    struct bytes value = entry->value;
    uint64_t overflow = 0;
    bool overflows = flags == 0 && NODE + entry->key.size + value.size > maker->page_size / 3;
    if (overflows) value = (struct bytes){ &overflow, sizeof overflow };
    unsigned char *node = add_node(maker, page, NODE + entry->key.size + value.size);
    if (!node) return false;
    if (overflows) overflow = put_overflow(maker, entry->value);
    fill_node(node, entry->value.size, overflows ? 1 : flags, entry->key);
    if (value.size > 0) memcpy(node + NODE + entry->key.size, value.start, value.size);
    return true;
}

static size_t put_leaves(struct maker *maker, const struct made_entry *entries, size_t count,
                         size_t flags, struct child *out)
{
    size_t leaf_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (leaf_count > 0 && put_entry(maker, out[leaf_count - 1].page, &entries[i], flags))
            continue;
        out[leaf_count++] = (struct child){ entries[i].key, new_pages(maker, LEAF, 1) };
        maker->tree->leaf_pages++;
        must(put_entry(maker, out[leaf_count - 1].page, &entries[i], flags), "too long a key");
    }
    return leaf_count;
}

/* The level above children; written over them. */
static size_t put_branches(struct maker *maker, struct child *children, size_t count)
{
    size_t branch_count = count < CHILDREN ? 1 : count / CHILDREN;
    for (size_t i = 0; i < branch_count; i++) {
        struct child *first = &children[i * CHILDREN];
        size_t of_it = i + 1 < branch_count ? CHILDREN : count - i * CHILDREN;
        uint64_t page = new_pages(maker, BRANCH, 1);
        maker->tree->branch_pages++;
        for (size_t c = 0; c < of_it; c++) {
            struct bytes key = c > 0 ? first[c].key : (struct bytes){ NULL, 0 };
            unsigned char *node = add_node(maker, page, NODE + key.size);
            must(node, "a branch is full");
            fill_node(node, first[c].page, (size_t)(first[c].page >> 32), key);
        }
        children[i] = (struct child){ first->key, page };
    }
    return branch_count;
}

static struct pages_tree put_tree(struct maker *maker, const struct made_entry *entries,
                                  size_t count, size_t flags)
{
    struct pages_tree tree = { .root = PAGES_NO_ROOT, .entry_count = count };
    if (count == 0) return tree;
    struct child *children = allocate(count, sizeof *children);
    maker->tree = &tree;
    size_t level = put_leaves(maker, entries, count, flags, children);
    for (tree.depth = 1; level > 1; tree.depth++) level = put_branches(maker, children, level);
    tree.root = children[0].page;
    free(children);
    return tree;
}

static struct pages_tree put_main(struct maker *maker, const struct made_params *params)
{
    struct made_entry *names = allocate(params->table_count, sizeof *names);
    struct pages_tree *trees = allocate(params->table_count, sizeof *trees);
    for (size_t i = 0; i < params->table_count; i++) {
        const struct made_table *table = &params->tables[i];
        trees[i] = put_tree(maker, table->entries, table->entry_count, 0);
        names[i] = (struct made_entry){ { table->name, strlen(table->name) },
                                        { &trees[i], sizeof trees[i] } };
    }
    struct pages_tree main = put_tree(maker, names, params->table_count, 2);
    free(trees);
    free(names);
    return main;
}

/* Half of the free pages for each of the two latest transactions. */
static struct pages_tree put_free_list(struct maker *maker, const struct made_params *params)
{
    uint64_t ids[2] = { params->txn_id - 1, params->txn_id }, first = maker->page_count;
    uint64_t lists[2][1 + FREE_MAX];
    struct made_entry entries[2];
    size_t half = params->free_count / 2, done = 0;
    must(params->free_count <= FREE_MAX, "more than %d free pages", FREE_MAX);
    maker->page_count += params->free_count;
    for (size_t i = 0; i < 2; i++) {
        size_t count = i == 0 ? half : params->free_count - half;
        lists[i][0] = count;
        for (size_t p = 1; p <= count; p++) lists[i][p] = first + done + count - p;
        done += count;
        entries[i] = (struct made_entry){ { &ids[i], sizeof ids[i] },
                                          { lists[i], (1 + count) * sizeof lists[i][0] } };
    }
    struct pages_tree tree = put_tree(maker, entries, params->free_count > 0 ? 2 : 0, 0);
    tree.flags = 8;
    tree.pad = (uint32_t)params->page_size;
    return tree;
}

static void put_meta(struct maker *maker, uint64_t txn_id, const struct pages_tree trees[2],
                     uint64_t last_page)
{
    uint32_t magic = 0xbeefc0de, version = 1;
    uint64_t page = txn_id % 2;
    uint64_t map_size = 2 * maker->page_count * maker->page_size;
    unsigned char *at = page_at(maker, page);
    memcpy(at, &page, sizeof page);
    set16(at + 10, META);
    memcpy(at + 16, &magic, sizeof magic);
    memcpy(at + 20, &version, sizeof version);
    memcpy(at + 32, &map_size, sizeof map_size);
    memcpy(at + 40, trees, 2 * sizeof *trees);
    memcpy(at + 136, &last_page, sizeof last_page);
    memcpy(at + 144, &txn_id, sizeof txn_id);
}

struct made made_create(const struct made_params *params)
{
    struct maker maker = { .page_size = params->page_size, .page_count = 2 };
    maker.bytes = allocate(PAGES_MAX, params->page_size);
    struct pages_tree trees[2], before[2];
    trees[1] = put_main(&maker, params);
    trees[0] = put_free_list(&maker, params);
    before[0] = (struct pages_tree){ .flags = 8, .pad = trees[0].pad, .root = PAGES_NO_ROOT };
    before[1] = (struct pages_tree){ .root = PAGES_NO_ROOT };
    put_meta(&maker, params->txn_id, trees, maker.page_count - 1);
    put_meta(&maker, params->txn_id - 1, before, 1);
    struct made made = { .size = maker.page_count * params->page_size };
    made.bytes = allocate(made.size, 1);
    memcpy(made.bytes, maker.bytes, made.size);
    free(maker.bytes);
    return made;
}

void made_destroy(struct made *made)
{
    free(made->bytes);
    *made = (struct made){ 0 };
}

struct made made_load(const char *path)
{
    FILE *file = fopen(path, "rb");
    must(file && fseek(file, 0, SEEK_END) == 0, "cannot read %s", path);
    struct made made = { .size = (size_t)ftell(file) };
    rewind(file);
    made.bytes = allocate(made.size, 1);
    must(fread(made.bytes, 1, made.size, file) == made.size, "cannot read %s", path);
    fclose(file);
    return made;
}

void made_save(const struct made *made, const char *path)
{
    FILE *file = fopen(path, "wb");
    must(file && fwrite(made->bytes, 1, made->size, file) == made->size, "cannot write %s", path);
    must(fclose(file) == 0, "cannot write %s", path);
}
