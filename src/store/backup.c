#include "store/backup.h"

#include "base/mem.h"
#include "store/names.h"
#include "store/stage.h"

#include <stdio.h>
#include <string.h>

/* So often is begun anew what others change meanwhile. */
enum { ATTEMPTS_MAX = 100 };

/* One collection on its way into a snapshot. */
struct copying {
    struct collection *from;
    char *to; /* the folder */
    uint32_t reader_limit;
    struct view *view; /* what it names stays */
    struct db *db;     /* the copy of the tables */
    struct db_txn txn;
    struct layout layout; /* what they name, in the original's folder */
    uint64_t moment;
};

static void unpin(struct copying *copying)
{
    db_abort(&copying->txn);
    db_close(&copying->db);
    layout_fini(&copying->layout);
    view_release(&copying->view);
}

/* Copies the tables and opens all segments that the copy names. WG_ENOTFOUND: one of them was
 * removed before it was opened. */
static wg_err pin(struct copying *copying, const char *tables)
{
    wg_err err = WG_OK;
    struct collection *c = copying->from;
    struct collection_meta meta;
    copying->view = collection_view(c);
    copying->moment = db_moment(c->db);
    TRY(db_copy(c->db, tables));
    TRY(collection_db_open(copying->to, DB_READ_ALONE, copying->reader_limit, &copying->db));
    TRY(db_read_begin(copying->db, &copying->txn));
    TRY(collection_read_meta(&copying->txn, copying->to, true, &meta));
    struct layout_source source = {
        .folder = c->folder,
        .db = copying->db,
        .commit = &meta.commit,
        .dim = meta.space.dim,
        .type = meta.space.type,
        .read_only = true,
        .before = &copying->view->layout,
    };
    TRY(layout_load_all(&copying->layout, &source, &copying->txn, TABLE_SEGMENTS));
out:
    return err;
}

/* A segment may be compacted away between the copy of the tables and its opening. */
static wg_err pin_any(struct copying *copying, const char *tables)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        wg_err err = pin(copying, tables);
        if (err == WG_OK) return WG_OK;
        bool changed = db_moment(copying->from->db) != copying->moment;
        unpin(copying);
        if (err != WG_ENOTFOUND) return err;
        if (!changed) return wg_fail(WG_ECORRUPT, "%s", wg_message());
    }
    return wg_fail(WG_EBUSY, "%s: its segments were replaced during each of %d attempts",
                   copying->from->folder, ATTEMPTS_MAX);
}

/* Of a segment, what its table counts; the file has the size that rows to come need. */
static wg_err copy_segment(const struct placed *placed, uint64_t strings_size, const char *to)
{
    wg_err err = WG_OK;
    struct file file = { 0 };
    const struct segment *s = placed->segment;
    const struct segment_header *header = &s->header;
    const char *map = s->map;
    uint64_t vectors = (uint64_t)((const char *)segment_vectors(s) - map);
    uint64_t count = placed->row_count, numbers_size = count * sizeof(uint64_t);
    const struct {
        uint64_t at, size;
    } parts[] = {
        { 0, sizeof *header },
        { vectors, count * segment_row_size(s) },
        { header->ids_offset, count * sizeof(struct id_slot) },
        { header->numbers_offset, header->numbers_offset != 0 ? numbers_size : 0 },
        { header->strings_offset, strings_size },
    };
    TRY(file_open(to, FILE_CREATE, &file));
    TRY(file_reserve(&file, header->strings_offset + strings_size));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        TRY(file_write_at(&file, map + parts[i].at, (size_t)parts[i].size, parts[i].at));
    TRY(file_sync(&file));
out:
    file_close(&file);
    return err;
}

/* A packed segment is never written again, nor is one that is followed by another; its rows are on
 * the disk already, unless the store is in memory. Where it cannot be linked it is copied. */
static wg_err put_segment(const struct copying *copying, size_t i,
                          const struct segment_record *record)
{
    wg_err err = WG_OK;
    char name[32], *to = NULL;
    const struct placed *placed = &copying->layout.placed[i];
    const struct segment *s = placed->segment;
    bool sealed = i + 1 < copying->layout.count || s->header.numbers_offset != 0;
    segment_name(s->header.space, s->header.number, name);
    TRY(path_join(copying->to, name, &to));
    if (!sealed || copying->from->mode == COLLECTION_IN_MEMORY ||
        file_link(s->file.path, to) != WG_OK)
        TRY(copy_segment(placed, record->strings_size, to));
out:
    mem_free(&to);
    return err;
}

static wg_err put_segments(struct copying *copying)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    struct bytes key, value;
    struct segment_record record;
    bool found;
    TRY(db_cursor_open(&copying->txn, TABLE_SEGMENTS, &cursor));
    for (size_t i = 0; i < copying->layout.count; i++) {
        TRY(db_next(&cursor, &found, &key, &value));
        assert(found); /* the layout was made of them */
        TRY(RECORD_READ(value, &record, "a segment's record"));
        TRY(put_segment(copying, i, &record));
    }
    TRY(folder_sync(copying->to));
out:
    db_cursor_close(&cursor);
    return err;
}

static wg_err copy_collection(struct copying *copying)
{
    wg_err err = WG_OK;
    char *tables = NULL;
    TRY(path_join(copying->to, "tables", &tables));
    TRY(folder_create(copying->to));
    TRY(folder_create(tables));
    TRY(collection_make_room(copying->from));
    TRY(pin_any(copying, tables));
    TRY(put_segments(copying));
out:
    unpin(copying);
    mem_free(&tables);
    return err;
}

struct snapshotting {
    struct store *store;
    const char *path;
    struct names names; /* of the copied registry */
    bool gone;          /* it names one that is not there any more */
};

/* Only while the name still leads there: WG_ENOTFOUND. */
static wg_err copy_member(const struct snapshotting *s, const struct name *name, char *to)
{
    wg_err err = WG_OK;
    char *folder = NULL;
    struct member *member = NULL;
    struct collection *collection = NULL;
    TRY(registry_folder(store_path(s->store), name->number, &folder));
    TRY(store_open_member(s->store, name->text, &member));
    TRY(member_enter(member, &collection));
    if (strcmp(collection->folder, folder) != 0)
        TRY(wg_fail(WG_ENOTFOUND, "\"%s\" is another collection now", name->text));
    struct copying copying = {
        .from = collection,
        .to = to,
        .reader_limit = store_reader_limit(s->store),
    };
    TRY(copy_collection(&copying));
out:
    if (collection) member_leave(member);
    if (member) store_close_member(s->store, &member);
    mem_free(&folder);
    return err;
}

static bool is_named_still(const struct snapshotting *s, const struct name *name)
{
    uint64_t number;
    return registry_find(store_registry(s->store), name->text, &number) == WG_OK &&
           number == name->number;
}

/* What fails for a collection that was dropped or renamed meanwhile is no error. */
static wg_err copy_named(struct snapshotting *s, const struct name *name)
{
    wg_err err = WG_OK;
    char *to = NULL, message[1024];
    TRY(registry_folder(s->path, name->number, &to));
    if (folder_exists(to)) goto out; /* copied by an earlier attempt */
    err = copy_member(s, name, to);
    if (err == WG_OK) goto out;
    snprintf(message, sizeof message, "%s", wg_message());
    if (is_named_still(s, name)) TRY(wg_fail(err, "%s", message));
    s->gone = true;
    err = folder_exists(to) ? folder_remove(to) : WG_OK;
out:
    mem_free(&to);
    return err;
}

static wg_err copy_registry(struct snapshotting *s, const char *folder)
{
    wg_err err = WG_OK;
    struct registry *copy = NULL;
    struct registry_params params = {
        .store = s->path,
        .use = DB_READ_ALONE,
        .reader_limit = store_reader_limit(s->store),
    };
    names_fini(&s->names);
    TRY(registry_copy(store_registry(s->store), folder));
    TRY(registry_open(&params, &copy));
    TRY(names_of_collections(copy, &s->names));
out:
    registry_close(&copy);
    return err;
}

static bool remove_unnamed(void *user, const char *name)
{
    const struct snapshotting *s = user;
    uint64_t number;
    char *path = NULL;
    if (!registry_is_folder(name, &number)) return true;
    for (size_t i = 0; i < s->names.count; i++)
        if (s->names.items[i].number == number) return true;
    if (path_join(s->path, name, &path) == WG_OK)
        (void)!folder_remove(path); /* else swept when the copy is opened to write */
    mem_free(&path);
    return true;
}

static wg_err copy_all(struct snapshotting *s)
{
    wg_err err = WG_OK;
    char *folder = NULL;
    TRY(path_join(s->path, "registry", &folder));
    TRY(folder_create(folder));
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        s->gone = false;
        TRY(copy_registry(s, folder));
        for (size_t i = 0; i < s->names.count; i++) TRY(copy_named(s, &s->names.items[i]));
        if (s->gone) continue;
        if (attempt > 0) TRY(folder_list(s->path, remove_unnamed, s));
        goto out;
    }
    TRY(wg_fail(WG_EBUSY, "%s: collections were dropped during each of %d attempts",
                store_path(s->store), ATTEMPTS_MAX));
out:
    mem_free(&folder);
    return err;
}

wg_err store_snapshot(struct store *store, const char *path)
{
    wg_err err = WG_OK;
    struct stage stage = { 0 };
    TRY(stage_begin(path, &stage));
    struct snapshotting s = { .store = store, .path = stage.path };
    err = copy_all(&s);
    names_fini(&s.names);
    TRY(err);
    TRY(stage_finish(&stage));
out:
    stage_abort(&stage);
    return err;
}
