#pragma once
/* The list of changes as the tables keep it: a record for each batch, of what it did to each point;
 * trimmed to the collection's horizon as it grows. */
#include "store/record.h"

/* The items of a batch, while it is applied. */
struct change_items {
    char *bytes;
    size_t size, room;
};
WG_CHECKED wg_err change_items_add(struct change_items *items, struct bytes key,
                                   struct bytes payload);
void change_items_fini(struct change_items *items);

/* Puts the record of the sequence that commit stands at, and drops the oldest ones while there is
 * more than limit. */
struct history_entry {
    struct change_record record;
    struct bytes items;
    uint64_t limit; /* of points in the list */
};
WG_CHECKED wg_err history_put(struct db_txn *txn, unsigned table, struct commit_record *commit,
                              const struct history_entry *entry);
/* Drops all. */
WG_CHECKED wg_err history_empty(struct db_txn *txn, unsigned table, struct commit_record *commit);

/* Reading the items of a value one by one. WG_ECORRUPT: it ends within one. */
struct change_reader {
    struct change_record record;
    const char *at, *end;
};
WG_CHECKED wg_err change_read(struct bytes value, struct change_reader *out);
WG_CHECKED wg_err change_next(struct change_reader *reader, struct bytes *key,
                              struct bytes *payload);
/* Whether kind, flags and count agree, and all items are there with nothing behind them. */
WG_CHECKED wg_err change_check(struct bytes value);
