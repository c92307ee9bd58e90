#pragma once
/* LMDB's data file (data.mdb of LMDB 0.9, 64-bit, little-endian) read without LMDB and without
 * trust. LMDB has no checksums of pages: a damaged one makes it crash, or hides the keys below it.
 * Here every number is checked before it is used. No bytes make this crash, loop for ever or touch
 * what is outside of them, and the memory it takes is small and bounded.
 *
 * What is read is one transaction's state. Its pages must not change meanwhile: either no one
 * writes, or the caller holds a reading transaction of LMDB. Any thread. */
#include "base/err.h"
#include "store/db.h"

#define PAGES_NEWEST  UINT64_MAX
#define PAGES_NO_ROOT UINT64_MAX

/* LMDB's record of one tree of pages: of the free list or of the main database in a meta page, of a
 * table as the value of its name in the main database. */
struct pages_tree {
    uint32_t pad; /* in the free list's: the page size */
    uint16_t flags;
    uint16_t depth; /* levels; 0: the tree is empty, and has no root */
    uint64_t branch_pages, leaf_pages, overflow_pages, entry_count;
    uint64_t root; /* a page's number, or PAGES_NO_ROOT */
};

_Static_assert(sizeof(struct pages_tree) == 48, "as LMDB writes it");

struct pages {
    const unsigned char *start; /* borrowed */
    size_t size;
    size_t page_size;
    uint64_t page_count; /* as LMDB counts them; those never written need not be in the file */
    uint64_t txn_id; /* 0: nothing was committed yet, and there are no tables */
    bool newest; /* asked for as such */
    struct pages_tree free_list, main;
};

/* The whole file, size bytes from start on. PAGES_NEWEST, when no one writes: the newest
 * transaction that an undamaged meta page holds; pages_check tells of the other page. The id of a
 * transaction, beside a writer: that one, or WG_ENOTFOUND when the writer has committed twice since
 * (begin a new one and ask for that). WG_ECORRUPT says what is wrong and where, also of an empty
 * file, which LMDB would make a new one of. */
WG_CHECKED wg_err pages_open(const void *start, size_t size, uint64_t txn_id, struct pages *out);

/* What never changes in both meta pages, which is all that LMDB trusts before a transaction begins;
 * also beside a writer. WG_ECORRUPT. */
WG_CHECKED wg_err pages_check_metas(const void *start, size_t size);

/* Where problems are told. */
struct pages_report {
    void (*problem)(void *user, const char *text); /* may be NULL */
    void *user;
    uint64_t problem_count;
};

/* Walks the free list, the main database and its tables, which are to be those named (at most 64)
 * and no others; all but the values themselves. An error is one of the checking (WG_ENOMEM). Beside
 * a writer, a problem (or WG_ECORRUPT above) is to be believed when it is found again in a new
 * transaction: LMDB may have been writing the meta page when it was read. */
WG_CHECKED wg_err pages_check(const struct pages *pages, const char *const *tables,
                              size_t table_count, struct pages_report *report);

/* key and value live as long as the file's bytes. The value is as LMDB keeps it: db.h's checksum is
 * its end. An error ends the walk. */
typedef wg_err pages_visit(void *user, struct bytes key, struct bytes value);

/* Visits a table's keys in order, also those that a problem was told of as far as they can be read;
 * what cannot is skipped. So where there are problems, and only there, a key or value may be wrong,
 * older than the transaction, in the wrong place or visited twice. Problems of the free list and
 * the main database are not told here. */
WG_CHECKED wg_err pages_walk_table(const struct pages *pages, const char *table, pages_visit *visit,
                                   void *user, struct pages_report *report);
