#include "store/repair.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/commit.h"
#include "store/live.h"
#include "store/pages.h"
#include "store/write.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_POINTS = 4096, BATCH_BYTES = 64 << 20 };

/* The places of the registry's tables. */
enum { REGISTRY_COLLECTIONS = 1, REGISTRY_ALIASES };

/* An LMDB file, mapped. */
struct tables {
    struct file file;
    const void *map;
    size_t size;
    struct pages pages;
};

/* A point that is proven right, in the order of rows. */
struct saved {
    uint64_t position;
    struct bytes payload;
};

/* One collection being saved. */
struct saving {
    struct repair *repair;
    const char *name;
    char *folder;
    struct tables tables;
    bool has_commit, has_space, has_settings, uncoded;
    char refused[256]; /* why this program may not read it */
    struct collection_meta meta;
    struct layout layout;
    struct layout_source source;
    struct bitmap unproven; /* by position: no checksum says that the row is right */
    struct bitmap dead;     /* likewise: nothing says that it is live */
    struct saved *saved;
    size_t saved_count, saved_room;
};

static void tell(const struct repair *repair, const char *format, ...) WG_PRINTF(2, 3);
static void tell(const struct repair *repair, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (!repair->note) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    repair->note(repair->user, text);
}

static void tables_close(struct tables *tables)
{
    if (tables->map) file_unmap(&tables->map, tables->size);
    file_close(&tables->file);
}

static wg_err tables_open(const char *folder, const char *below, struct tables *out)
{
    wg_err err = WG_OK;
    char *inner = NULL, *path = NULL;
    uint64_t size;
    TRY(path_join(folder, below, &inner));
    TRY(path_join(inner, "data.mdb", &path));
    TRY(file_open(path, FILE_READ, &out->file));
    TRY(file_size(&out->file, &size));
    if (size == 0) TRY(wg_fail(WG_ECORRUPT, "%s: is empty", path));
    out->size = (size_t)size;
    TRY(file_map(&out->file, 0, out->size, &out->map));
    TRY(pages_open(out->map, out->size, PAGES_NEWEST, &out->pages));
out:
    mem_free(&path);
    mem_free(&inner);
    return err;
}

static void note_page(void *user, const char *text)
{
    const struct saving *s = user;
    tell(s->repair, "collection \"%s\": %s", s->name, text);
}

/* How a value of a table, its checksum right, is taken in; WG_ECORRUPT: it is lost. */
struct taking {
    struct saving *saving;
    unsigned table;
    wg_err (*take)(struct saving *s, struct bytes key, struct bytes value);
};

static wg_err take_value(void *user, struct bytes key, struct bytes stored)
{
    const struct taking *t = user;
    struct saving *s = t->saving;
    struct bytes value;
    wg_err err = db_check_value(t->table, key, stored, &value);
    if (err == WG_OK) err = t->take(s, key, value);
    if (err == WG_ENOMEM) return err;
    if (err == WG_OK) return WG_OK;
    tell(s->repair, "collection \"%s\": %s", s->name, wg_message());
    return WG_OK;
}

static wg_err walk(struct saving *s, unsigned table, const char *name,
                   wg_err (*take)(struct saving *s, struct bytes key, struct bytes value))
{
    struct taking taking = { s, table, take };
    struct pages_report report = { .problem = note_page, .user = s };
    return pages_walk_table(&s->tables.pages, name, take_value, &taking, &report);
}

static bool is_key(struct bytes key, const char *text)
{
    return key.size == strlen(text) && memcmp(key.start, text, key.size) == 0;
}

/* What a newer program wrote is not damaged, and what is right here may be wrong there. */
static wg_err take_format(struct saving *s, struct bytes value)
{
    struct format_record format;
    wg_err err = RECORD_READ(value, &format, "the format's record");
    if (err == WG_OK) err = format_check(&format, s->folder, true);
    if (err == WG_EVERSION) snprintf(s->refused, sizeof s->refused, "%s", wg_message());
    return err;
}

static wg_err take_meta(struct saving *s, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    if (is_key(key, "format")) {
        err = take_format(s, value);
    } else if (is_key(key, "commit")) {
        err = RECORD_READ(value, &s->meta.commit, "the commit's record");
        s->has_commit = err == WG_OK;
    } else if (is_key(key, "settings")) {
        err = RECORD_READ(value, &s->meta.settings, "the settings' record");
        s->has_settings = err == WG_OK;
    } else if (is_key(key, "codes")) {
        struct codes_record codes;
        err = RECORD_READ(value, &codes, "the record of codes");
        s->uncoded = err == WG_OK && codes.on == 0;
    }
    return err;
}

static wg_err take_space(struct saving *s, struct bytes key, struct bytes value)
{
    struct space_record space;
    wg_err err = RECORD_READ(value, &space, "the space's record");
    if (err != WG_OK || key.size != sizeof(struct space_key)) return err;
    if (!space_is_allowed(&space))
        return wg_fail(WG_ECORRUPT, "the space's record is out of bounds");
    s->meta.space = space;
    s->has_space = true;
    return WG_OK;
}

static wg_err take_segment(struct saving *s, struct bytes key, struct bytes value)
{
    return layout_load(&s->layout, &s->source, key, value);
}

/* A run of sums proves the rows whose bytes give the same. */
static wg_err take_sums(struct saving *s, struct bytes key, struct bytes value)
{
    uint64_t first, end = layout_end(&s->layout);
    if (key.size != sizeof(struct row_key) || !layout_find(&s->layout, key_number(key), &first))
        return wg_fail(WG_ECORRUPT, "row checksums of a segment that is lost");
    for (size_t i = 0; i < value.size / sizeof(uint32_t) && first + i < end; i++) {
        uint32_t sum, now;
        uint64_t row;
        const struct segment *segment = layout_at(&s->layout, first + i, &row)->segment;
        memcpy(&sum, (const char *)value.start + i * sizeof sum, sizeof sum);
        bool right = segment_row_sum(segment, row, &now) == WG_OK && now == sum &&
                     segment_check_row(segment, row) == WG_OK;
        if (!right) continue;
        wg_err err = bitmap_clear(&s->unproven, first + i);
        if (err != WG_OK) return err;
    }
    return WG_OK;
}

/* A chunk whose bits are lost leaves its rows dead: nothing says that they are not. */
static wg_err take_live(struct saving *s, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    uint64_t words[BITMAP_CHUNK_WORDS];
    const struct commit_record *commit = &s->meta.commit;
    uint64_t row = key_number(key) * BITMAP_CHUNK_BITS;
    if (key.size != sizeof(struct chunk_key) || row >= commit->row_end)
        return wg_fail(WG_ECORRUPT, "live rows of a chunk that is not there");
    uint64_t left = commit->row_end - row;
    TRY(live_decode(value, (uint32_t)(left < BITMAP_CHUNK_BITS ? left : BITMAP_CHUNK_BITS), words));
    for (uint64_t p = layout_lower(&s->layout, row);
         p < layout_lower(&s->layout, row + BITMAP_CHUNK_BITS); p++) {
        uint64_t bit = layout_row(&s->layout, p) - row;
        if (words[bit / 64] >> bit % 64 & 1) TRY(bitmap_clear(&s->dead, p));
    }
out:
    return err;
}

static bool same_id(const wg_id *stored, struct bytes key)
{
    struct id_key own;
    return id_key_make(stored, SIZE_MAX, &own) == WG_OK && own.size == key.size &&
           memcmp(own.bytes, key.start, key.size) == 0;
}

/* Its row has its id, is live and right: so no other point has it. */
static wg_err prove_row(struct saving *s, struct bytes key, uint64_t row, uint64_t *position)
{
    uint64_t i;
    if (!layout_find(&s->layout, row, position))
        return wg_fail(WG_ECORRUPT, "its row %" PRIu64 " is lost", row);
    const struct segment *segment = layout_at(&s->layout, *position, &i)->segment;
    if (bitmap_get(&s->unproven, *position))
        return wg_fail(WG_ECORRUPT, "its row %" PRIu64 " is damaged", row);
    if (bitmap_get(&s->dead, *position))
        return wg_fail(WG_ECORRUPT, "nothing says that its row %" PRIu64 " is live", row);
    wg_id id = segment_id(segment, i);
    if (!same_id(&id, key)) return wg_fail(WG_ECORRUPT, "its row %" PRIu64 " has another id", row);
    return WG_OK;
}

static wg_err check_payload(const struct point *point)
{
    struct arena arena = { 0 };
    char *text;
    size_t size = point->head.payload_size;
    wg_err err = arena_copy(&arena, point->payload, size, &text);
    if (err == WG_OK && size > 0 && json_check_object(text, size) == WG_EINVAL)
        err = wg_fail(WG_ECORRUPT, "its payload: %s", wg_message());
    arena_fini(&arena);
    return err;
}

static wg_err keep(struct saving *s, uint64_t position, const struct point *point)
{
    if (s->saved_count == s->saved_room) {
        size_t room = s->saved_room * 2 + BATCH_POINTS;
        wg_err err = mem_resize(&s->saved, room);
        if (err != WG_OK) return err;
        s->saved_room = room;
    }
    s->saved[s->saved_count++] =
        (struct saved){ position, { point->payload, point->head.payload_size } };
    return WG_OK;
}

static wg_err take_point(struct saving *s, struct bytes key, struct bytes value)
{
    wg_err err = WG_OK;
    struct point point;
    wg_id id;
    char text[WG_ID_TEXT_SIZE];
    uint64_t position;
    TRY(id_from_key(key, &id));
    id_format(&id, text, sizeof text);
    err = point_read(value, &point);
    if (err == WG_OK && point.head.version > s->meta.commit.sequence)
        err =
            wg_fail(WG_ECORRUPT, "its version %" PRIu64 " is not reached yet", point.head.version);
    if (err == WG_OK) err = prove_row(s, key, point.rows.first_row, &position);
    if (err == WG_OK) err = check_payload(&point);
    if (err == WG_ECORRUPT) err = wg_fail(err, "point %s is lost: %s", text, wg_message());
    TRY(err);
    TRY(keep(s, position, &point));
out:
    return err;
}

static int compare_saved(const void *a, const void *b)
{
    uint64_t x = ((const struct saved *)a)->position, y = ((const struct saved *)b)->position;
    return (x > y) - (x < y);
}

/* In the order of rows, each row once: pages that were damaged may have been walked twice. */
static void sort_saved(struct saving *s)
{
    size_t count = 0;
    if (s->saved_count > 0) qsort(s->saved, s->saved_count, sizeof *s->saved, compare_saved);
    for (size_t i = 0; i < s->saved_count; i++)
        if (i == 0 || s->saved[i].position != s->saved[i - 1].position)
            s->saved[count++] = s->saved[i];
    s->saved_count = count;
}

static wg_err read_all(struct saving *s)
{
    wg_err err = WG_OK;
    TRY(tables_open(s->folder, "tables", &s->tables));
    TRY(walk(s, TABLE_META, "meta", take_meta));
    if (s->refused[0]) TRY(wg_fail(WG_EVERSION, "%s", s->refused));
    TRY(walk(s, TABLE_SPACES, "spaces", take_space));
    if (!s->has_commit || !s->has_space)
        TRY(wg_fail(WG_ECORRUPT, "the record of its %s is lost",
                    s->has_commit ? "space" : "latest commit"));
    s->source = (struct layout_source){
        .folder = s->folder,
        .commit = &s->meta.commit,
        .dim = s->meta.space.dim,
        .type = s->meta.space.type,
        .read_only = true,
    };
    TRY(walk(s, TABLE_SEGMENTS, "segments", take_segment));
    TRY(bitmap_resize(&s->unproven, layout_end(&s->layout)));
    TRY(bitmap_resize(&s->dead, layout_end(&s->layout)));
    TRY(walk(s, TABLE_SUMS, "sums", take_sums));
    TRY(walk(s, TABLE_LIVE, "live", take_live));
    TRY(walk(s, TABLE_POINTS, "points", take_point));
    sort_saved(s);
out:
    return err;
}

/* Points count from i on, of which the arena holds the payloads. */
static wg_err write_batch(struct saving *s, struct collection *c, size_t first, size_t count)
{
    wg_err err = WG_OK;
    struct arena arena = { 0 };
    size_t size = space_row_size(&s->meta.space);
    void *ids_room, *vectors_room, *payloads_room;
    TRY(arena_take(&arena, count * sizeof(wg_id), &ids_room));
    TRY(arena_take(&arena, count * size, &vectors_room));
    TRY(arena_take(&arena, count * sizeof(char *), &payloads_room));
    wg_id *ids = ids_room;
    char *vectors = vectors_room;
    const char **payloads = payloads_room;
    for (size_t i = 0; i < count; i++) {
        const struct saved *saved = &s->saved[first + i];
        uint64_t row;
        char *copy;
        const struct segment *segment = layout_at(&s->layout, saved->position, &row)->segment;
        ids[i] = segment_id(segment, row);
        memcpy(vectors + i * size, segment_vector(segment, row), size);
        TRY(arena_copy(&arena, saved->payload.start, saved->payload.size, &copy));
        payloads[i] = saved->payload.size > 0 ? copy : NULL;
    }
    struct upsert upsert = { .count = count, .ids = ids, .vectors = vectors, .payloads = payloads };
    struct write_result result;
    TRY(collection_upsert(c, &upsert, &result));
out:
    arena_fini(&arena);
    return err;
}

/* The history begins anew, and says so. */
struct new_epoch {
    struct write write; /* first */
    uint64_t epoch;
};

static wg_err apply_epoch(struct commit *commit, struct write *write)
{
    commit->record.sequence--; /* it changes no point */
    commit->record.epoch = ((const struct new_epoch *)write)->epoch;
    commit->changed = true;
    return history_empty(&commit->txn, TABLE_CHANGES, &commit->record);
}

static wg_err fill(struct saving *s, struct collection *c)
{
    static const struct write_ops ops = { .apply = apply_epoch };
    wg_err err = WG_OK;
    struct new_epoch epoch = {
        .write = { .ops = &ops, .alone = true },
        .epoch = s->meta.commit.epoch + 1,
    };
    size_t batch = BATCH_BYTES / space_row_size(&s->meta.space);
    if (batch > BATCH_POINTS) batch = BATCH_POINTS;
    for (size_t i = 0; i < s->saved_count; i += batch) {
        size_t left = s->saved_count - i;
        TRY(write_batch(s, c, i, left < batch ? left : batch));
    }
    TRY(group_write(c, &epoch.write));
out:
    return err;
}

static wg_err copy_saved(struct saving *s)
{
    wg_err err = WG_OK;
    struct store *store = s->repair->salvage;
    struct member *member = NULL;
    struct collection *c = NULL;
    struct store_seed seed = {
        .space = s->meta.space,
        .history = s->has_settings ? s->meta.settings.history : 10000,
        .uncoded = s->uncoded,
    };
    TRY(store_create_collection(store, s->name, &seed));
    TRY(store_open_member(store, s->name, &member));
    TRY(member_enter(member, &c));
    TRY(fill(s, c));
out:
    if (c) member_leave(member);
    if (member) store_close_member(store, &member);
    return err;
}

static void saving_fini(struct saving *s)
{
    layout_fini(&s->layout);
    tables_close(&s->tables);
    bitmap_fini(&s->unproven);
    bitmap_fini(&s->dead);
    mem_free(&s->saved);
    mem_free(&s->folder);
}

/* What became of a name: *saved, whether anything is left of its collection. */
static wg_err save_collection(struct repair *repair, const char *name, uint64_t number, bool *saved)
{
    wg_err err = WG_OK;
    struct saving s = { .repair = repair, .name = name };
    TRY(registry_folder(repair->path, number, &s.folder));
    err = read_all(&s);
    if (err == WG_ENOMEM || err == WG_EVERSION) goto out;
    if (err != WG_OK) {
        tell(repair, "collection \"%s\" is lost: %s", name, wg_message());
        repair->report.lost_collection_count++;
        err = WG_OK;
        goto out;
    }
    *saved = true;
    repair->report.collection_count++;
    repair->report.point_count += s.saved_count;
    uint64_t expected = s.meta.commit.point_count;
    if (expected > s.saved_count) {
        repair->report.lost_count += expected - s.saved_count;
        tell(repair, "collection \"%s\": %zu points are saved of %" PRIu64, name, s.saved_count,
             expected);
    }
    if (repair->salvage) TRY(copy_saved(&s));
out:
    saving_fini(&s);
    return err;
}

/* What the registry still says, and the names that were given to folders without one. */
struct names {
    struct repair *repair;
    struct name {
        char text[NAME_SIZE_MAX + 1];
        uint64_t number;
        bool is_alias, is_saved;
    } *names;
    size_t count;
    uint64_t problem_count;
};

static void note_registry(void *user, const char *text)
{
    const struct names *names = user;
    tell(names->repair, "registry: %s", text);
}

/* The collection's own, not an alias of it. */
static struct name *find_name(const struct names *names, uint64_t number)
{
    for (size_t i = 0; i < names->count; i++)
        if (!names->names[i].is_alias && names->names[i].number == number) return &names->names[i];
    return NULL;
}

static const struct name *find_text(const struct names *names, const char *text)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->names[i].text, text) == 0) return &names->names[i];
    return NULL;
}

static wg_err add_name(struct names *names, const struct name *name)
{
    wg_err err = mem_resize(&names->names, names->count + 1);
    if (err == WG_OK) names->names[names->count++] = *name;
    return err;
}

static wg_err read_name(struct bytes key, struct bytes stored, struct name *out)
{
    wg_err err = WG_OK;
    struct bytes value;
    struct collection_record record;
    if (key.size <= NAME_SIZE_MAX) memcpy(out->text, key.start, key.size);
    TRY(db_check_value(out->is_alias ? REGISTRY_ALIASES : REGISTRY_COLLECTIONS, key, stored,
                       &value));
    TRY(RECORD_READ(value, &record, "its record"));
    if (key.size > NAME_SIZE_MAX)
        TRY(wg_fail(WG_ECORRUPT, "it has %zu bytes, expected at most %d", key.size, NAME_SIZE_MAX));
    out->number = record.number;
out:
    return err;
}

/* Pages that were damaged may tell of a name twice, or of one that a collection had before. */
static wg_err take_name(struct names *names, bool is_alias, struct bytes key, struct bytes stored)
{
    struct name name = { .is_alias = is_alias };
    const char *what = is_alias ? "alias" : "name";
    if (read_name(key, stored, &name) != WG_OK) {
        char why[256];
        names->problem_count++;
        snprintf(why, sizeof why, "%s", wg_message());
        const char *text = registry_check_name(name.text) == WG_OK ? name.text : "?";
        tell(names->repair, "registry: the %s \"%s\" is damaged: %s", what, text, why);
        return WG_OK;
    }
    const struct name *other = find_text(names, name.text);
    if (!other && !is_alias) other = find_name(names, name.number);
    if (!other) return add_name(names, &name);
    if (other->number != name.number || strcmp(other->text, name.text) != 0)
        tell(names->repair,
             "registry: the %s \"%s\" of c-%" PRIx64 " stands against \"%s\" of c-%" PRIx64, what,
             name.text, name.number, other->text, other->number);
    return WG_OK;
}

static wg_err take_collection(void *user, struct bytes key, struct bytes stored)
{
    return take_name(user, false, key, stored);
}

static wg_err take_alias(void *user, struct bytes key, struct bytes stored)
{
    return take_name(user, true, key, stored);
}

static wg_err read_names(struct names *names)
{
    wg_err err = WG_OK;
    struct tables tables = { 0 };
    struct pages_report report = { .problem = note_registry, .user = names };
    TRY(tables_open(names->repair->path, "registry", &tables));
    TRY(pages_walk_table(&tables.pages, "collections", take_collection, names, &report));
    TRY(pages_walk_table(&tables.pages, "aliases", take_alias, names, &report));
out:
    tables_close(&tables);
    names->problem_count += report.problem_count + (err != WG_OK);
    if (err == WG_OK || err == WG_ENOMEM) return err;
    tell(names->repair, "the registry is lost: %s", wg_message());
    return WG_OK;
}

/* A folder keeps its collection's name too, for a registry that is lost. */
static wg_err take_own_name(void *user, struct bytes key, struct bytes stored)
{
    struct name *name = user;
    struct bytes value;
    if (!is_key(key, "name") || db_check_value(TABLE_META, key, stored, &value) != WG_OK)
        return WG_OK;
    if (value.size > NAME_SIZE_MAX) return WG_OK;
    memcpy(name->text, value.start, value.size);
    name->text[value.size] = 0;
    return WG_OK;
}

static wg_err read_own_name(const struct repair *repair, struct name *name)
{
    wg_err err = WG_OK;
    struct tables tables = { 0 };
    struct pages_report report = { 0 };
    char *folder = NULL;
    TRY(registry_folder(repair->path, name->number, &folder));
    TRY(tables_open(folder, "tables", &tables));
    TRY(pages_walk_table(&tables.pages, "meta", take_own_name, name, &report));
out:
    tables_close(&tables);
    mem_free(&folder);
    return err == WG_ENOMEM ? err : WG_OK; /* what else is wrong is told when it is saved */
}

/* The folder's own name, unless it has none or another collection has it. */
static wg_err give_name(struct names *names, uint64_t number, struct name **out)
{
    wg_err err = WG_OK;
    struct name name = { .number = number };
    TRY(read_own_name(names->repair, &name));
    bool is_free = registry_check_name(name.text) == WG_OK && !find_text(names, name.text);
    for (unsigned more = 0; !is_free; more++) {
        char suffix[16] = "";
        if (more > 0) snprintf(suffix, sizeof suffix, "-%u", more);
        snprintf(name.text, sizeof name.text, "recovered-%" PRIx64 "%s", number, suffix);
        is_free = !find_text(names, name.text);
    }
    TRY(add_name(names, &name));
    *out = &names->names[names->count - 1];
out:
    return err;
}

static wg_err save_named(struct names *names)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < names->count; i++) {
        struct name *name = &names->names[i];
        if (!name->is_alias)
            TRY(save_collection(names->repair, name->text, name->number, &name->is_saved));
    }
out:
    return err;
}

struct folders {
    struct names *names;
    wg_err err;
};

/* Folders without a name are what a drop left, unless names were lost. */
static bool save_folder(void *user, const char *entry)
{
    wg_err err = WG_OK;
    struct folders *folders = user;
    struct names *names = folders->names;
    struct name *name;
    uint64_t number;
    if (!registry_is_folder(entry, &number) || find_name(names, number)) return true;
    TRY(give_name(names, number, &name));
    tell(names->repair, "folder %s has no name in the registry; it is taken for \"%s\"", entry,
         name->text);
    TRY(save_collection(names->repair, name->text, number, &name->is_saved));
out:
    folders->err = err;
    return err == WG_OK;
}

static wg_err save_unnamed(struct names *names)
{
    wg_err err = WG_OK;
    struct folders folders = { .names = names };
    if (names->problem_count == 0) return WG_OK;
    TRY(folder_list(names->repair->path, save_folder, &folders));
    TRY(folders.err);
out:
    return err;
}

/* Aliases of collections that were saved. */
static wg_err save_aliases(const struct names *names)
{
    wg_err err = WG_OK;
    struct repair *repair = names->repair;
    for (size_t i = 0; i < names->count; i++) {
        const struct name *alias = &names->names[i];
        if (!alias->is_alias) continue;
        const struct name *name = find_name(names, alias->number);
        if (!name || !name->is_saved)
            tell(repair, "alias \"%s\" is lost: its collection c-%" PRIx64 " is", alias->text,
                 alias->number);
        else if (repair->salvage)
            TRY(store_set_alias(repair->salvage, alias->text, name->text));
    }
out:
    return err;
}

/* What a store is made of, of a folder. */
struct contents {
    bool lock, parts;
};

static bool note_entry(void *user, const char *entry)
{
    struct contents *contents = user;
    uint64_t number;
    if (strcmp(entry, "lock") == 0) contents->lock = true;
    if (strcmp(entry, "registry") == 0 || registry_is_folder(entry, &number))
        contents->parts = true;
    return true;
}

wg_err repair_check_place(const char *path)
{
    wg_err err = WG_OK;
    struct contents contents = { 0 };
    if (file_exists(path))
        return wg_fail(WG_EINVAL,
                       "%s: a file, expected the folder of a store; an exported file is not "
                       "repaired, export its collection again",
                       path);
    if (!folder_exists(path))
        return wg_fail(WG_ENOTFOUND, "%s: there is no such folder, expected that of a store", path);
    TRY(folder_list(path, note_entry, &contents));
    if (!contents.lock && !contents.parts)
        TRY(wg_fail(WG_ENOTFOUND,
                    "%s: there is no store in this folder: it has no file \"lock\", no registry "
                    "and no collections",
                    path));
    if (!contents.lock)
        TRY(wg_fail(WG_ENOTFOUND,
                    "%s: the file \"lock\" of the store is missing; make an empty one when no "
                    "process has the store open, and repair it then",
                    path));
out:
    return err;
}

wg_err repair_store(struct repair *repair)
{
    wg_err err = WG_OK;
    struct names names = { .repair = repair };
    TRY(read_names(&names));
    TRY(save_named(&names));
    TRY(save_unnamed(&names));
    TRY(save_aliases(&names));
out:
    mem_free(&names.names);
    return err;
}
