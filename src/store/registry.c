#include "store/registry.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 768 };
enum { READERS_MIN = 1022 }; /* whatever the limit of a collection's is */
enum { TABLE_REGISTRY, TABLE_COLLECTIONS, TABLE_ALIASES, REGISTRY_TABLE_COUNT };

static const uint64_t map_size = UINT64_C(1) << 30; /* millions of collections */
static const char *const tables[REGISTRY_TABLE_COUNT] = { "meta", "collections", "aliases" };
static const char folder_prefix[] = "c-";

struct registry {
    struct db *db;
    char *store;
};

wg_err registry_check_name(const char *name)
{
    size_t size = strlen(name), good = utf8_length(name, size);
    if (size == 0) return wg_fail(WG_EINVAL, "the collection's name is empty");
    if (size > NAME_SIZE_MAX)
        return wg_fail(WG_EINVAL, "the collection's name has %zu bytes; at most %d", size,
                       NAME_SIZE_MAX);
    if (good < size)
        return wg_fail(WG_EINVAL, "the collection's name is not UTF-8 at byte %zu", good);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return wg_fail(WG_EINVAL, "the collection's name has a control character at byte %zu",
                           i);
    return WG_OK;
}

wg_err registry_folder(const char *store, uint64_t number, char **out)
{
    char name[32];
    snprintf(name, sizeof name, "%s%" PRIx64, folder_prefix, number);
    return path_join(store, name, out);
}

bool registry_is_folder(const char *name, uint64_t *number)
{
    char *end;
    const char *digits = name + sizeof folder_prefix - 1;
    if (strncmp(name, folder_prefix, sizeof folder_prefix - 1) != 0) return false;
    *number = strtoull(digits, &end, 16);
    return *end == 0 && end != digits;
}

static wg_err write_first(struct registry *r)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct format_record format = format_current();
    struct registry_record next = { .next_collection = 1 };
    TRY(db_write_begin(r->db, &txn));
    TRY(db_put(&txn, TABLE_REGISTRY, db_text("format"), (struct bytes){ &format, sizeof format }));
    TRY(db_put(&txn, TABLE_REGISTRY, db_text("next"), (struct bytes){ &next, sizeof next }));
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

static bool note_collection(void *user, const char *name)
{
    uint64_t number;
    *(bool *)user = registry_is_folder(name, &number);
    return !*(bool *)user;
}

static wg_err check_format(struct registry *r, bool read_only)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct bytes value;
    struct format_record format;
    bool found;
    TRY(db_read_begin(r->db, &txn));
    TRY(db_get(&txn, TABLE_REGISTRY, db_text("format"), &found, &value));
    if (!found) TRY(wg_fail(WG_ECORRUPT, "%s: the registry has no format", r->store));
    TRY(RECORD_READ(value, &format, "the registry's format"));
    TRY(format_check(&format, r->store, read_only));
out:
    db_abort(&txn);
    return err;
}

static struct db_params db_params_of(const struct registry_params *params, const char *path)
{
    return (struct db_params){
        .path = path,
        .tables = tables,
        .table_count = REGISTRY_TABLE_COUNT,
        .map_size = map_size,
        .use = params->use,
        .reader_limit = params->reader_limit > READERS_MIN ? params->reader_limit : READERS_MIN,
        .pages = params->pages,
    };
}

/* Made under another name first, so that it is there whole or not at all. */
static wg_err make_files(struct registry *r, const struct registry_params *params, const char *path)
{
    wg_err err = WG_OK;
    char *unfinished = NULL;
    TRY(path_join(params->store, "registry.new", &unfinished));
    if (folder_exists(unfinished)) TRY(folder_remove(unfinished));
    TRY(folder_create(unfinished));
    struct db_params db = db_params_of(params, unfinished);
    TRY(db_open(&db, &r->db));
    TRY(write_first(r));
    db_close(&r->db);
    TRY(folder_sync(unfinished));
    TRY(file_rename(unfinished, path));
    TRY(folder_sync(params->store));
out:
    db_close(&r->db);
    mem_free(&unfinished);
    return err;
}

/* A store without a registry is one whose making was cut short, and then no collection is there
 * yet; else it was lost, and nothing may be swept. */
static wg_err make(struct registry *r, const struct registry_params *params, const char *path)
{
    wg_err err = WG_OK;
    bool any = false, may_write = params->use == DB_WRITE || params->use == DB_IN_MEMORY;
    TRY(folder_list(r->store, note_collection, &any));
    if (any)
        return wg_fail(WG_ECORRUPT,
                       "%s: the registry is missing, but there are folders of collections; nothing "
                       "was removed",
                       r->store);
    if (!may_write) return wg_fail(WG_ENOTFOUND, "%s: the store was never finished", r->store);
    TRY(make_files(r, params, path));
out:
    return err;
}

static wg_err open_db(struct registry *r, const struct registry_params *params)
{
    wg_err err = WG_OK;
    char *path = NULL;
    TRY(path_join(params->store, "registry", &path));
    if (!folder_exists(path) && !file_exists(params->store)) TRY(make(r, params, path));
    if (params->use != DB_READ_ALONE) TRY(db_check_there(path));
    struct db_params db = db_params_of(params, path);
    TRY(db_open(&db, &r->db));
    TRY(check_format(r, params->use == DB_READ || params->use == DB_READ_ALONE));
out:
    mem_free(&path);
    return err;
}

wg_err registry_open(const struct registry_params *params, struct registry **out)
{
    wg_err err = WG_OK;
    struct registry *r = NULL;
    TRY(mem_resize(&r, 1));
    *r = (struct registry){ 0 };
    TRY(path_join(params->store, "", &r->store));
    TRY(open_db(r, params));
    *out = r;
    r = NULL; /* moved */
out:
    registry_close(&r);
    return err;
}

void registry_close(struct registry **registry)
{
    if (!*registry) return;
    db_close(&(*registry)->db);
    mem_free(&(*registry)->store);
    mem_free(registry);
}

/* With an open transaction; *found false: there is none of that name in the table. */
static wg_err look_up(struct db_txn *txn, unsigned table, const char *name, bool *found,
                      uint64_t *number)
{
    wg_err err = WG_OK;
    struct bytes value;
    struct collection_record record;
    TRY(registry_check_name(name));
    TRY(db_get(txn, table, db_text(name), found, &value));
    if (!*found) return WG_OK;
    TRY(RECORD_READ(value, &record, "the collection's record"));
    *number = record.number;
out:
    return err;
}

static wg_err put_number(struct db_txn *txn, unsigned table, const char *name, uint64_t number)
{
    struct collection_record record = { .number = number };
    return db_put(txn, table, db_text(name), (struct bytes){ &record, sizeof record });
}

static wg_err must_find(struct registry *r, struct db_txn *txn, const char *name, uint64_t *number)
{
    bool found;
    wg_err err = look_up(txn, TABLE_COLLECTIONS, name, &found, number);
    if (err == WG_OK && !found)
        err = wg_fail(WG_ENOTFOUND, "%s: there is no collection \"%s\"", r->store, name);
    return err;
}

/* Neither a collection nor an alias has the name. */
static wg_err must_be_free(struct registry *r, struct db_txn *txn, const char *name)
{
    wg_err err = WG_OK;
    uint64_t number;
    bool found;
    TRY(look_up(txn, TABLE_COLLECTIONS, name, &found, &number));
    if (found) TRY(wg_fail(WG_EEXISTS, "%s: there is a collection \"%s\" already", r->store, name));
    TRY(look_up(txn, TABLE_ALIASES, name, &found, &number));
    if (found) TRY(wg_fail(WG_EEXISTS, "%s: there is an alias \"%s\" already", r->store, name));
out:
    return err;
}

wg_err registry_find(struct registry *r, const char *name, uint64_t *number)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    bool found;
    TRY(db_read_begin(r->db, &txn));
    TRY(look_up(&txn, TABLE_ALIASES, name, &found, number));
    if (!found) TRY(must_find(r, &txn, name, number));
out:
    db_abort(&txn);
    return err;
}

wg_err registry_find_own(struct registry *r, const char *name, uint64_t *number)
{
    struct db_txn txn = { 0 };
    wg_err err = db_read_begin(r->db, &txn);
    if (err == WG_OK) err = must_find(r, &txn, name, number);
    db_abort(&txn);
    return err;
}

static wg_err take_number(struct registry *r, struct db_txn *txn, uint64_t *number)
{
    wg_err err = WG_OK;
    struct bytes value;
    struct registry_record next;
    bool found;
    TRY(db_get(txn, TABLE_REGISTRY, db_text("next"), &found, &value));
    if (!found) TRY(wg_fail(WG_ECORRUPT, "%s: the registry's counter is missing", r->store));
    TRY(RECORD_READ(value, &next, "the registry's counter"));
    *number = next.next_collection++;
    TRY(db_put(txn, TABLE_REGISTRY, db_text("next"), (struct bytes){ &next, sizeof next }));
out:
    return err;
}

wg_err registry_add(struct registry *r, const char *name, const struct registry_making *making)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    uint64_t number;
    bool made = false;
    TRY(db_write_begin(r->db, &txn));
    TRY(must_be_free(r, &txn, name));
    TRY(take_number(r, &txn, &number));
    made = true;
    TRY(making->make(making->user, number));
    TRY(put_number(&txn, TABLE_COLLECTIONS, name, number));
    err = db_commit(&txn);
    made = err == WG_ENOSPC; /* else it may be named: it is swept, or it is there */
out:
    if (err != WG_OK && made) making->unmake(making->user, number);
    db_abort(&txn);
    return err;
}

/* *found false: no alias of the collection is left. */
static wg_err first_alias(struct db_txn *txn, uint64_t number, bool *found,
                          char name[NAME_SIZE_MAX + 1])
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    struct bytes key, value;
    struct collection_record record;
    TRY(db_cursor_open(txn, TABLE_ALIASES, &cursor));
    for (;;) {
        TRY(db_next(&cursor, found, &key, &value));
        if (!*found) break;
        TRY(RECORD_READ(value, &record, "an alias's record"));
        if (record.number != number || key.size > NAME_SIZE_MAX) continue;
        memcpy(name, key.start, key.size);
        name[key.size] = 0;
        break;
    }
out:
    db_cursor_close(&cursor);
    return err;
}

wg_err registry_remove(struct registry *r, const char *name)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    uint64_t number;
    char alias[NAME_SIZE_MAX + 1];
    bool found;
    TRY(db_write_begin(r->db, &txn));
    TRY(must_find(r, &txn, name, &number));
    TRY(db_delete(&txn, TABLE_COLLECTIONS, db_text(name)));
    for (;;) {
        TRY(first_alias(&txn, number, &found, alias));
        if (!found) break;
        TRY(db_delete(&txn, TABLE_ALIASES, db_text(alias)));
    }
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

wg_err registry_rename(struct registry *r, const char *from, const char *to)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    uint64_t number;
    TRY(db_write_begin(r->db, &txn));
    TRY(must_find(r, &txn, from, &number));
    TRY(must_be_free(r, &txn, to));
    TRY(db_delete(&txn, TABLE_COLLECTIONS, db_text(from)));
    TRY(put_number(&txn, TABLE_COLLECTIONS, to, number));
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

wg_err registry_set_alias(struct registry *r, const char *alias, const char *name)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    uint64_t number, other;
    bool found;
    TRY(db_write_begin(r->db, &txn));
    TRY(must_find(r, &txn, name, &number));
    TRY(look_up(&txn, TABLE_COLLECTIONS, alias, &found, &other));
    if (found) TRY(wg_fail(WG_EEXISTS, "%s: a collection is named \"%s\"", r->store, alias));
    TRY(put_number(&txn, TABLE_ALIASES, alias, number));
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

wg_err registry_remove_alias(struct registry *r, const char *alias)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    uint64_t number;
    bool found;
    TRY(db_write_begin(r->db, &txn));
    TRY(look_up(&txn, TABLE_ALIASES, alias, &found, &number));
    if (!found) TRY(wg_fail(WG_ENOTFOUND, "%s: there is no alias \"%s\"", r->store, alias));
    TRY(db_delete(&txn, TABLE_ALIASES, db_text(alias)));
    TRY(db_commit(&txn));
out:
    db_abort(&txn);
    return err;
}

/* A key that may be too long, or not be known. */
static void copy_name(struct bytes key, char out[NAME_SIZE_MAX + 1])
{
    size_t size = key.size < NAME_SIZE_MAX ? key.size : NAME_SIZE_MAX;
    if (size > 0) memcpy(out, key.start, size);
    out[size] = 0;
}

static wg_err list_table(struct registry *r, unsigned table, registry_visit *visit, void *user)
{
    wg_err err = WG_OK;
    struct db_txn txn = { 0 };
    struct db_cursor cursor = { 0 };
    char damage[MESSAGE_SIZE] = "";
    bool go_on = true;
    TRY(db_read_begin(r->db, &txn));
    TRY(db_cursor_open(&txn, table, &cursor));
    while (go_on) {
        bool found = false;
        struct bytes key = { 0 }, value;
        struct collection_record record;
        char name[NAME_SIZE_MAX + 1];
        err = db_next(&cursor, &found, &key, &value);
        if (err == WG_OK && !found) break;
        if (err == WG_OK) err = RECORD_READ(value, &record, "the collection's record");
        if (err == WG_ECORRUPT && found) {
            if (!damage[0]) snprintf(damage, sizeof damage, "%s", wg_message());
            continue;
        }
        TRY(err);
        copy_name(key, name);
        go_on = visit(user, name, record.number);
    }
    if (go_on && damage[0]) err = wg_fail(WG_ECORRUPT, "%s", damage);
out:
    db_cursor_close(&cursor);
    db_abort(&txn);
    return err;
}

wg_err registry_list(struct registry *r, registry_visit *visit, void *user)
{
    return list_table(r, TABLE_COLLECTIONS, visit, user);
}

wg_err registry_list_aliases(struct registry *r, registry_visit *visit, void *user)
{
    return list_table(r, TABLE_ALIASES, visit, user);
}

/* Every value, in one transaction. */
struct checking {
    struct registry *registry;
    struct db_txn txn;
    registry_problem *tell;
    void *user;
    uint64_t *numbers; /* of collections */
    size_t count;
    bool lost_names; /* not all of them */
};

static wg_err check_name(struct checking *c, struct bytes value)
{
    struct collection_record record;
    wg_err err = RECORD_READ(value, &record, "its record");
    if (err == WG_OK) err = mem_resize(&c->numbers, c->count + 1);
    if (err == WG_OK) c->numbers[c->count++] = record.number;
    return err;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The names were checked before. */
static wg_err check_alias(const struct checking *c, struct bytes value)
{
    struct collection_record record;
    wg_err err = RECORD_READ(value, &record, "its record");
    if (err != WG_OK || c->lost_names) return err;
    bool found = c->count > 0 && bsearch(&record.number, c->numbers, c->count, sizeof *c->numbers,
                                         compare_numbers) != NULL;
    return found ? WG_OK
                 : wg_fail(WG_ECORRUPT, "it leads to c-%" PRIx64 ", which is no collection",
                           record.number);
}

static wg_err check_entry(struct checking *c, unsigned table, struct bytes key, struct bytes value)
{
    struct registry_record next;
    if (table == TABLE_COLLECTIONS) return check_name(c, value);
    if (table == TABLE_ALIASES) return check_alias(c, value);
    bool is_next = key.size == 4 && memcmp(key.start, "next", 4) == 0;
    return is_next ? RECORD_READ(value, &next, "the registry's counter") : WG_OK;
}

static void tell_entry(struct checking *c, unsigned table, struct bytes key)
{
    static const char *const what[] = { "entry", "name", "alias" };
    char text[MESSAGE_SIZE + NAME_SIZE_MAX + 64], why[MESSAGE_SIZE], name[NAME_SIZE_MAX + 1];
    snprintf(why, sizeof why, "%s", wg_message());
    copy_name(key, name);
    snprintf(text, sizeof text, "%s: registry: %s \"%s\" is damaged: %s", c->registry->store,
             what[table], registry_check_name(name) == WG_OK ? name : "?", why);
    c->lost_names = c->lost_names || table == TABLE_COLLECTIONS;
    c->tell(c->user, text);
}

static wg_err check_table(struct checking *c, unsigned table)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    TRY(db_cursor_open(&c->txn, table, &cursor));
    for (;;) {
        bool found = false;
        struct bytes key = { 0 }, value;
        err = db_next(&cursor, &found, &key, &value);
        if (err == WG_OK && !found) break;
        if (err == WG_OK) err = check_entry(c, table, key, value);
        if (err == WG_ECORRUPT && found)
            tell_entry(c, table, key);
        else
            TRY(err);
    }
out:
    db_cursor_close(&cursor);
    return err;
}

wg_err registry_check(struct registry *r, registry_problem *tell, void *user)
{
    wg_err err = WG_OK;
    struct checking c = { .registry = r, .tell = tell, .user = user };
    TRY(db_read_begin(r->db, &c.txn));
    TRY(check_table(&c, TABLE_REGISTRY));
    TRY(check_table(&c, TABLE_COLLECTIONS));
    if (c.count > 0) qsort(c.numbers, c.count, sizeof *c.numbers, compare_numbers);
    TRY(check_table(&c, TABLE_ALIASES));
out:
    db_abort(&c.txn);
    mem_free(&c.numbers);
    return err;
}

wg_err registry_copy(struct registry *r, const char *folder)
{
    return db_copy(r->db, folder);
}
