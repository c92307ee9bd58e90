#include "store/pages.h"

#include "store/pages_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Pages 0 and 1 begin with this. Transaction n writes page n % 2, from map_size on: the last step
 * of its commit. */
struct meta {
    uint64_t number;
    uint16_t unused;
    uint16_t flags;
    uint32_t unused_2;
    uint32_t magic;
    uint32_t version;
    uint64_t address;
    uint64_t map_size;
    struct pages_tree free_list, main;
    uint64_t last_page;
    uint64_t txn_id;
};

_Static_assert(sizeof(struct meta) == 152, "as LMDB writes it");

static const uint32_t META_MAGIC = 0xbeefc0de;
/* More would be 16 TB of 4 KiB pages; the bitmap of pages has a word for each 65,536. */
static const uint64_t PAGE_COUNT_MAX = UINT64_C(1) << 32;

enum { META_FLAGS = 8, META_VERSION = 1, TABLES_MAX = 64, NAME_SHOWN = 64 };

#define META_IN "page %u of data.mdb (a meta page): "

static bool is_page_size(size_t size)
{
    return size >= PAGES_SIZE_MIN && size <= PAGES_SIZE_MAX && (size & (size - 1)) == 0;
}

/* What never changes. */
static wg_err check_meta(const struct meta *meta, unsigned i, size_t page_size)
{
    if (meta->magic != META_MAGIC)
        return wg_fail(WG_ECORRUPT, META_IN "magic number 0x%" PRIx32 ", expected 0x%" PRIx32, i,
                       meta->magic, META_MAGIC);
    if (meta->version != META_VERSION)
        return wg_fail(WG_ECORRUPT, META_IN "version %" PRIu32 ", expected %d", i, meta->version,
                       META_VERSION);
    if (meta->number != i || meta->flags != META_FLAGS || meta->address != 0)
        return wg_fail(WG_ECORRUPT,
                       META_IN "number %" PRIu64 ", flags 0x%x, address 0x%" PRIx64
                               ", expected %u, 0x%x, 0x0",
                       i, meta->number, meta->flags, meta->address, i, META_FLAGS);
    if (!is_page_size(meta->free_list.pad) || meta->free_list.pad != page_size)
        return wg_fail(WG_ECORRUPT, META_IN "pages of %" PRIu32 " bytes, expected %zu", i,
                       meta->free_list.pad, page_size);
    return WG_OK;
}

/* What a commit writes. */
static wg_err check_commit(const struct meta *meta, unsigned i, size_t page_size)
{
    if (meta->last_page < PAGES_META_COUNT - 1 || meta->last_page >= PAGE_COUNT_MAX ||
        meta->last_page >= meta->map_size / page_size)
        return wg_fail(WG_ECORRUPT, META_IN "last page %" PRIu64 " in a map of %" PRIu64 " bytes",
                       i, meta->last_page, meta->map_size);
    if (meta->txn_id != 0 && meta->txn_id % PAGES_META_COUNT != i)
        return wg_fail(WG_ECORRUPT, META_IN "transaction %" PRIu64 " is not one of this page", i,
                       meta->txn_id);
    return WG_OK;
}

/* A page size of 0: as page 0 says. */
static wg_err read_meta(const void *start, size_t size, unsigned i, size_t page_size,
                        struct meta *out)
{
    if (i * page_size > size || size - i * page_size < sizeof *out)
        return wg_fail(WG_ECORRUPT, META_IN "the file ends before it, after %zu bytes", i, size);
    memcpy(out, (const unsigned char *)start + i * page_size, sizeof *out);
    if (page_size == 0) page_size = out->free_list.pad;
    wg_err err = check_meta(out, i, page_size);
    return err == WG_OK ? check_commit(out, i, page_size) : err;
}

/* Page 0 says where page 1 is; without it all places are tried. */
static wg_err find_meta_1(const void *start, size_t size, struct meta *out)
{
    for (size_t page_size = PAGES_SIZE_MIN; page_size <= PAGES_SIZE_MAX; page_size *= 2)
        if (read_meta(start, size, 1, page_size, out) == WG_OK) return WG_OK;
    return WG_ECORRUPT;
}

static void take_meta(const struct meta *meta, struct pages *out)
{
    out->page_size = meta->free_list.pad;
    out->page_count = meta->last_page + 1;
    out->txn_id = meta->txn_id;
    out->free_list = meta->free_list;
    out->main = meta->main;
}

wg_err pages_open(const void *start, size_t size, uint64_t txn_id, struct pages *out)
{
    struct meta metas[PAGES_META_COUNT];
    char of_0[256] = "";
    struct pages found = { .start = start, .size = size, .newest = txn_id == PAGES_NEWEST };
    bool usable[PAGES_META_COUNT];
    usable[0] = read_meta(start, size, 0, 0, &metas[0]) == WG_OK;
    if (!usable[0]) snprintf(of_0, sizeof of_0, "%s", wg_message());
    usable[1] = usable[0] ? read_meta(start, size, 1, metas[0].free_list.pad, &metas[1]) == WG_OK
                          : find_meta_1(start, size, &metas[1]) == WG_OK;
    if (!usable[0] && !usable[1])
        return wg_fail(WG_ECORRUPT, "%s; nor is page 1 a meta page", of_0);
    unsigned i = found.newest ? !usable[0] || (usable[1] && metas[1].txn_id > metas[0].txn_id)
                              : (unsigned)(txn_id % PAGES_META_COUNT);
    if (!usable[i]) return wg_fail(WG_ECORRUPT, "%s", i == 0 ? of_0 : wg_message());
    if (!found.newest && metas[i].txn_id != txn_id)
        return wg_fail(WG_ENOTFOUND, META_IN "does not hold transaction %" PRIu64, i, txn_id);
    take_meta(&metas[i], &found);
    *out = found;
    return WG_OK;
}

wg_err pages_check_metas(const void *start, size_t size)
{
    struct meta meta;
    size_t page_size = 0;
    for (unsigned i = 0; i < PAGES_META_COUNT; i++) {
        if (i * page_size > size || size - i * page_size < sizeof meta)
            return wg_fail(WG_ECORRUPT, META_IN "the file ends before it, after %zu bytes", i,
                           size);
        memcpy(&meta, (const unsigned char *)start + i * page_size, sizeof meta);
        if (i == 0) page_size = meta.free_list.pad;
        wg_err err = check_meta(&meta, i, page_size);
        if (err != WG_OK) return err;
    }
    return WG_OK;
}

/* What the walks of one file share. */
struct survey {
    const struct pages *pages;
    struct pages_report *report;
    struct bitmap unused;
    const char *const *tables;
    size_t table_count;
    uint64_t found; /* a bit for each table */
    /* pages_walk_table's */
    pages_visit *visit;
    void *user;
};

static wg_err check_free_page(struct survey *survey, uint64_t txn_id, uint64_t page, bool *good)
{
    const struct pages *pages = survey->pages;
    *good = page >= PAGES_META_COUNT && page < pages->page_count;
    if (!*good) {
        pages_tell(survey->report,
                   "data.mdb: the free list of transaction %" PRIu64 " names page %" PRIu64
                   "; the last is %" PRIu64,
                   txn_id, page, pages->page_count - 1);
        return WG_OK;
    }
    wg_err err = pages_use(&survey->unused, page, good);
    if (err == WG_OK && !*good)
        pages_tell(survey->report,
                   "data.mdb: the free list of transaction %" PRIu64 " names page %" PRIu64
                   ", which is used or free already",
                   txn_id, page);
    return err;
}

/* A count and as many page numbers, descending; there may be room for more behind them. */
static wg_err check_free_pages(void *user, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    struct survey *survey = user;
    uint64_t txn_id, count = 0, page, before = UINT64_MAX;
    memcpy(&txn_id, key.start, sizeof txn_id);
    if (value.size >= sizeof count) memcpy(&count, value.start, sizeof count);
    if (value.size % sizeof page != 0 || count >= value.size / sizeof page ||
        txn_id > survey->pages->txn_id) {
        pages_tell(survey->report,
                   "data.mdb: the free list of transaction %" PRIu64 ": %" PRIu64
                   " pages in %zu bytes, in transaction %" PRIu64,
                   txn_id, count, value.size, survey->pages->txn_id);
        return WG_OK;
    }
    bool good = true;
    for (uint64_t i = 1; good && i <= count; i++) {
        memcpy(&page, (const unsigned char *)value.start + i * sizeof page, sizeof page);
        if (page >= before)
            pages_tell(survey->report,
                       "data.mdb: the free list of transaction %" PRIu64 " names page %" PRIu64
                       " behind page %" PRIu64,
                       txn_id, page, before);
        TRY(check_free_page(survey, txn_id, page, &good));
        before = page;
    }
out:
    return err;
}

static wg_err walk_free_list(struct survey *survey)
{
    struct tree_walk walk = {
        .pages = survey->pages,
        .record = &survey->pages->free_list,
        .kind = TREE_FREE_LIST,
        .name = "the free list",
        .unused = &survey->unused,
        .report = survey->report,
        .visit = check_free_pages,
        .user = survey,
    };
    return tree_walk(&walk);
}

static wg_err walk_table(struct survey *survey, const char *name, struct bytes value)
{
    char title[NAME_SHOWN + sizeof "table "];
    struct pages_tree record;
    snprintf(title, sizeof title, "table %s", name);
    memcpy(&record, value.start, sizeof record);
    struct tree_walk walk = {
        .pages = survey->pages,
        .record = &record,
        .kind = TREE_TABLE,
        .name = title,
        .unused = &survey->unused,
        .report = survey->report,
        .visit = survey->visit,
        .user = survey->user,
    };
    return tree_walk(&walk);
}

/* The place of a name in the list; table_count: it is not there. */
static size_t find_table(const struct survey *survey, struct bytes name)
{
    size_t i = 0;
    while (i < survey->table_count && (strlen(survey->tables[i]) != name.size ||
                                       memcmp(survey->tables[i], name.start, name.size) != 0))
        i++;
    return i;
}

/* Of what may be any bytes. */
static void printable(struct bytes name, char out[NAME_SHOWN])
{
    size_t size = name.size < NAME_SHOWN ? name.size : NAME_SHOWN - 1;
    memcpy(out, name.start, size);
    out[size] = 0;
    for (size_t i = 0; i < size; i++)
        if (out[i] < ' ' || out[i] > '~') out[i] = '?';
}

static wg_err check_table(void *user, struct bytes key, struct bytes value)
{
    struct survey *survey = user;
    size_t i = find_table(survey, key);
    char name[NAME_SHOWN];
    printable(key, name);
    if (i == survey->table_count)
        pages_tell(survey->report, "data.mdb has a table %s, which should not be there", name);
    else
        survey->found |= UINT64_C(1) << i;
    return walk_table(survey, name, value);
}

static wg_err walk_main(struct survey *survey, pages_visit *visit, struct pages_report *report)
{
    struct tree_walk walk = {
        .pages = survey->pages,
        .record = &survey->pages->main,
        .kind = TREE_MAIN,
        .name = "the main database",
        .unused = &survey->unused,
        .report = report,
        .visit = visit,
        .user = survey,
    };
    return tree_walk(&walk);
}

static void tell_missing(const struct survey *survey)
{
    for (size_t i = 0; i < survey->table_count; i++)
        if (!(survey->found >> i & 1))
            pages_tell(survey->report, "data.mdb has no table %s", survey->tables[i]);
}

/* What two meta pages say when no one writes. Nothing can be said of the older one's trees: when
 * LMDB fails to write a meta page, it leaves the new trees with the old transaction's number and
 * last page. */
static void check_commits(const struct meta *newer, const struct meta *older,
                          struct pages_report *report)
{
    if (newer->txn_id != older->txn_id + 1 && newer->txn_id != 0)
        pages_tell(report,
                   "data.mdb: the meta pages hold transactions %" PRIu64 " and %" PRIu64
                   ", which do not follow each other",
                   newer->txn_id, older->txn_id);
    else if (newer->last_page < older->last_page)
        pages_tell(report,
                   "data.mdb: the last page of transaction %" PRIu64 " is %" PRIu64
                   ", before the %" PRIu64 " of an earlier one",
                   newer->txn_id, newer->last_page, older->last_page);
}

/* The meta page that is not used is checked too, as far as a writer leaves it alone. */
static void check_metas(const struct pages *pages, struct pages_report *report)
{
    struct meta metas[PAGES_META_COUNT];
    uint64_t problems = report->problem_count;
    for (unsigned i = 0; i < PAGES_META_COUNT; i++)
        if (read_meta(pages->start, pages->size, i, pages->page_size, &metas[i]) != WG_OK)
            pages_tell(report, "%s", wg_message());
    if (!pages->newest || report->problem_count > problems) return;
    unsigned newer = metas[1].txn_id > metas[0].txn_id;
    check_commits(&metas[newer], &metas[!newer], report);
}

wg_err pages_check(const struct pages *pages, const char *const *tables, size_t table_count,
                   struct pages_report *report)
{
    wg_err err = WG_OK;
    struct survey survey = {
        .pages = pages, .report = report, .tables = tables, .table_count = table_count
    };
    if (table_count > TABLES_MAX)
        return wg_fail(WG_EINVAL, "%zu tables; at most %d are checked", table_count, TABLES_MAX);
    TRY(bitmap_resize(&survey.unused, pages->page_count));
    check_metas(pages, report);
    TRY(walk_free_list(&survey));
    TRY(walk_main(&survey, check_table, report));
    tell_missing(&survey);
out:
    bitmap_fini(&survey.unused);
    return err;
}

static wg_err visit_table(void *user, struct bytes key, struct bytes value)
{
    struct survey *survey = user;
    if (find_table(survey, key) != 0) return WG_OK;
    survey->found = 1;
    return walk_table(survey, survey->tables[0], value);
}

wg_err pages_walk_table(const struct pages *pages, const char *table, pages_visit *visit,
                        void *user, struct pages_report *report)
{
    struct pages_report silent = { 0 };
    struct survey survey = {
        .pages = pages,
        .report = report,
        .tables = &table,
        .table_count = 1,
        .visit = visit,
        .user = user,
    };
    wg_err err = bitmap_resize(&survey.unused, pages->page_count);
    if (err == WG_OK) err = walk_main(&survey, visit_table, &silent);
    if (err == WG_OK) tell_missing(&survey);
    bitmap_fini(&survey.unused);
    return err;
}
