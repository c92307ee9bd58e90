#include "store/export.h"

#include "base/mem.h"
#include "store/archive_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_SIZE = 4096, BATCH_BYTES = 1 << 20, BATCH_ROWS = 4096, SUMS_RUN = 4096 };

/* The collection's number in the file, and the next one. */
static const struct collection_record only = { .number = 1 };
static const struct registry_record next = { .next_collection = 2 };
static const char folder[] = "c-1";

/* A packed segment on its way into the file. */
struct packing {
    struct segment_header header;
    uint64_t offset; /* in the file */
    uint64_t row_count, strings_size; /* written */
    uint32_t *sums; /* of all rows */
    uint64_t run_rows[SEGMENT_ROWS_MAX / SUMS_RUN]; /* the first row of each run of sums */
    uint64_t last_row;
    /* Rows that are not written yet. */
    size_t filled, room;
    char *vectors;
    struct id_slot *slots;
    uint64_t *numbers;
    char *strings;
    size_t strings_filled;
};

struct exporting {
    struct collection *collection;
    uint64_t segment_rows; /* at most; 0: no matter */
    struct archive_writer archive;
    struct snapshot snapshot;
    struct collection_meta meta;
    char *name;
    struct table_writer segments, sums;
    struct packing packing;
    uint64_t row_count; /* packed */
    uint32_t segment_count;
};

/* One that does not change. */
static wg_err copy_table(struct exporting *e, enum collection_table table, const char *name)
{
    wg_err err = WG_OK;
    struct db_cursor cursor = { 0 };
    struct table_writer writer;
    struct bytes key, value;
    bool found;
    table_writer_begin(&e->archive, name, &writer);
    TRY(db_cursor_open(&e->snapshot.txn, table, &cursor));
    for (;;) {
        TRY(db_next(&cursor, &found, &key, &value));
        if (!found) break;
        TRY(table_writer_add(&writer, key, value));
    }
    if (table == TABLE_POINTS && writer.part.count != e->meta.commit.point_count)
        TRY(wg_fail(WG_ECORRUPT, "%s: %" PRIu64 " points, expected %" PRIu64, e->collection->folder,
                    writer.part.count, e->meta.commit.point_count));
    TRY(table_writer_end(&writer));
out:
    db_cursor_close(&cursor);
    table_writer_fini(&writer);
    return err;
}

/* Entries in the order of their keys. */
struct entry {
    struct bytes key, value;
};

static wg_err write_table(struct exporting *e, const char *name, const struct entry *entries,
                          size_t count)
{
    wg_err err = WG_OK;
    struct table_writer writer;
    table_writer_begin(&e->archive, name, &writer);
    for (size_t i = 0; i < count; i++)
        TRY(table_writer_add(&writer, entries[i].key, entries[i].value));
    TRY(table_writer_end(&writer));
out:
    table_writer_fini(&writer);
    return err;
}

/* The collection's own name: it may have been opened by an alias. */
static wg_err read_name(struct exporting *e)
{
    wg_err err = WG_OK;
    bool found;
    struct bytes name;
    TRY(db_get(&e->snapshot.txn, TABLE_META, db_text("name"), &found, &name));
    if (!found) name = db_text(e->collection->name);
    TRY(mem_resize(&e->name, name.size + 1));
    memcpy(e->name, name.start, name.size);
    e->name[name.size] = 0;
out:
    return err;
}

static wg_err write_registry(struct exporting *e)
{
    wg_err err = WG_OK;
    struct format_record format = format_current();
    const struct entry meta[] = {
        { db_text("format"), { &format, sizeof format } },
        { db_text("next"), { &next, sizeof next } },
    };
    const struct entry collections[] = { { db_text(e->name), { &only, sizeof only } } };
    TRY(write_table(e, "registry/meta", meta, 2));
    TRY(write_table(e, "registry/collections", collections, 1));
    TRY(write_table(e, "registry/aliases", NULL, 0));
out:
    return err;
}

/* The list of changes is empty, and the segments are the file's. */
static wg_err write_meta(struct exporting *e)
{
    struct format_record format = format_current();
    format.features = features_of_type(e->meta.space.type);
    struct commit_record commit = e->meta.commit;
    commit.horizon = commit.sequence;
    commit.history_count = commit.history_bytes = 0;
    commit.history_row = commit.row_end;
    commit.next_segment = e->segment_count;
    struct codes_record codes = { .on = 0 }; /* there only where it is so */
    const struct entry entries[] = {
        { db_text("codes"), { &codes, sizeof codes } },
        { db_text("commit"), { &commit, sizeof commit } },
        { db_text("format"), { &format, sizeof format } },
        { db_text("name"), db_text(e->name) },
        { db_text("settings"), { &e->meta.settings, sizeof e->meta.settings } },
    };
    return write_table(e, "c-1/tables/meta", entries + e->meta.coded, 5 - (size_t)e->meta.coded);
}

static uint64_t capacity_of(const struct exporting *e)
{
    uint64_t left = e->meta.commit.point_count - e->row_count;
    uint64_t row_size = space_row_size(&e->meta.space) + sizeof(struct id_slot) + sizeof(uint64_t);
    uint64_t rows = SEGMENT_BYTES_MAX / row_size;
    if (rows > SEGMENT_ROWS_MAX) rows = SEGMENT_ROWS_MAX;
    if (e->segment_rows > 0 && rows > e->segment_rows) rows = e->segment_rows;
    return rows < left ? rows : left;
}

static wg_err make_buffers(struct exporting *e)
{
    wg_err err = WG_OK;
    struct packing *p = &e->packing;
    size_t size = space_row_size(&e->meta.space), rows = BATCH_BYTES / size;
    p->room = rows < 1 ? 1 : rows < BATCH_ROWS ? rows : BATCH_ROWS;
    TRY(mem_resize(&p->vectors, p->room * size));
    TRY(mem_resize(&p->slots, p->room));
    TRY(mem_resize(&p->numbers, p->room));
    TRY(mem_resize(&p->strings, p->room * WG_ID_SIZE_MAX));
out:
    return err;
}

static wg_err begin_segment(struct exporting *e, uint64_t first_row)
{
    struct packing *p = &e->packing;
    uint64_t capacity = capacity_of(e);
    if (capacity == 0)
        return wg_fail(WG_ECORRUPT, "%s: more live rows than points", e->collection->folder);
    p->header = segment_header_of(&(struct segment_params){
        .first_row = first_row,
        .capacity = capacity,
        .number = e->segment_count,
        .dim = e->meta.space.dim,
        .type = e->meta.space.type,
        .packed = true,
    });
    p->offset = archive_writer_take(&e->archive, p->header.strings_offset, ARCHIVE_SEGMENT_ALIGN);
    p->row_count = p->strings_size = 0;
    wg_err err = mem_resize(&p->sums, capacity);
    if (err != WG_OK) return err;
    return file_write_at(&e->archive.file, &p->header, sizeof p->header, p->offset);
}

/* Rows that were gathered go into the file. */
static wg_err flush(struct exporting *e)
{
    wg_err err = WG_OK;
    struct packing *p = &e->packing;
    const struct file *file = &e->archive.file;
    size_t row_size = space_row_size(&e->meta.space);
    TRY(file_write_at(file, p->vectors, p->filled * row_size,
                      p->offset + HEADER_SIZE + p->row_count * row_size));
    TRY(file_write_at(file, p->slots, p->filled * sizeof *p->slots,
                      p->offset + p->header.ids_offset + p->row_count * sizeof *p->slots));
    TRY(file_write_at(file, p->numbers, p->filled * sizeof *p->numbers,
                      p->offset + p->header.numbers_offset + p->row_count * sizeof *p->numbers));
    TRY(file_write_at(file, p->strings, p->strings_filled,
                      p->offset + p->header.strings_offset + p->strings_size));
    p->row_count += p->filled;
    p->strings_size += p->strings_filled;
    p->filled = p->strings_filled = 0;
out:
    return err;
}

/* The row's slot as it stands there, its checksum included; only where a long id stands changes. */
static struct id_slot move_slot(struct packing *p, const struct segment *from, uint64_t i)
{
    struct id_slot slot;
    wg_id id = segment_id(from, i);
    memcpy(&slot, (const char *)from->map + from->header.ids_offset + i * sizeof slot, sizeof slot);
    if (id.type != WG_ID_STRING || id.size <= sizeof slot.bytes) return slot;
    slot.offset = (uint32_t)(p->strings_size + p->strings_filled);
    memcpy(p->strings + p->strings_filled, id.as.string, id.size);
    p->strings_filled += id.size;
    return slot;
}

static wg_err note_sums(struct exporting *e)
{
    wg_err err = WG_OK;
    const struct packing *p = &e->packing;
    for (uint64_t i = 0; i < p->row_count; i += SUMS_RUN) {
        uint64_t left = p->row_count - i, count = left < SUMS_RUN ? left : SUMS_RUN;
        struct row_key key = row_key_of(0, p->run_rows[i / SUMS_RUN]);
        TRY(table_writer_add(&e->sums, KEY_BYTES(key),
                             (struct bytes){ p->sums + i, (size_t)count * sizeof *p->sums }));
    }
out:
    return err;
}

static wg_err note_segment(struct exporting *e)
{
    wg_err err = WG_OK;
    const struct packing *p = &e->packing;
    char name[32];
    struct row_key key = row_key_of(0, p->header.first_row);
    struct segment_record record = {
        .end_row = p->last_row + 1,
        .row_count = p->row_count,
        .capacity = p->header.capacity,
        .strings_size = p->strings_size,
        .number = p->header.number,
        .packed = 1,
    };
    struct archive_part part = {
        .root = { .offset = p->offset, .size = p->header.strings_offset + p->strings_size },
        .count = p->row_count,
    };
    segment_name(0, p->header.number, name);
    snprintf(part.name, sizeof part.name, "%s/%s", folder, name);
    TRY(table_writer_add(&e->segments, KEY_BYTES(key), (struct bytes){ &record, sizeof record }));
    TRY(archive_writer_add(&e->archive, &part));
out:
    return err;
}

static wg_err end_segment(struct exporting *e)
{
    wg_err err = WG_OK;
    struct packing *p = &e->packing;
    TRY(flush(e));
    (void)archive_writer_take(&e->archive, p->strings_size, 1);
    file_flush_begin(&e->archive.file, p->offset, e->archive.end - p->offset);
    TRY(note_segment(e));
    TRY(note_sums(e));
    e->segment_count++;
out:
    return err;
}

/* A row that fails its checksum ends it: damage is not carried on. */
static wg_err copy_row(struct exporting *e, const struct segment *from, uint64_t i)
{
    wg_err err = WG_OK;
    struct packing *p = &e->packing;
    size_t size = segment_row_size(from);
    uint64_t row = segment_row(from, i);
    TRY(segment_check_row(from, i));
    if (p->row_count + p->filled == p->header.capacity) TRY(begin_segment(e, row));
    uint64_t at = p->row_count + p->filled;
    memcpy(p->vectors + p->filled * size, segment_vector(from, i), size);
    p->slots[p->filled] = move_slot(p, from, i);
    p->numbers[p->filled] = p->last_row = row;
    p->sums[at] = p->slots[p->filled++].sum;
    if (at % SUMS_RUN == 0) p->run_rows[at / SUMS_RUN] = row;
    e->row_count++;
    if (at + 1 == p->header.capacity) TRY(end_segment(e));
    if (p->filled == p->room) TRY(flush(e));
out:
    return err;
}

static wg_err copy_rows(struct exporting *e)
{
    wg_err err = WG_OK;
    const struct view *view = e->snapshot.view;
    TRY(make_buffers(e));
    for (size_t s = 0; s < view->layout.count; s++) {
        const struct placed *placed = &view->layout.placed[s];
        for (uint64_t i = 0; i < placed->row_count; i++)
            if (!view->source.masked || bitmap_get(&view->source.live, placed->position + i))
                TRY(copy_row(e, placed->segment, i));
    }
    if (e->row_count != e->meta.commit.point_count)
        TRY(wg_fail(WG_ECORRUPT, "%s: %" PRIu64 " live rows, expected %" PRIu64,
                    e->collection->folder, e->row_count, e->meta.commit.point_count));
    TRY(table_writer_end(&e->segments));
    TRY(table_writer_end(&e->sums));
out:
    return err;
}

/* What LMDB is read for; its pages are free for writes again before the rows are copied. */
static wg_err copy_tables(struct exporting *e)
{
    wg_err err = WG_OK;
    struct collection *c = e->collection;
    TRY(collection_make_room(c));
    TRY(snapshot_begin(c, &e->snapshot));
    TRY(collection_read_meta(&e->snapshot.txn, c->folder, true, &e->meta));
    TRY(read_name(e));
    TRY(copy_table(e, TABLE_SPACES, "c-1/tables/spaces"));
    TRY(copy_table(e, TABLE_LIVE, "c-1/tables/live"));
    TRY(copy_table(e, TABLE_POINTS, "c-1/tables/points"));
out:
    db_abort(&e->snapshot.txn);
    return err;
}

static void export_fini(struct exporting *e)
{
    struct packing *p = &e->packing;
    snapshot_end(&e->snapshot);
    table_writer_fini(&e->segments);
    table_writer_fini(&e->sums);
    archive_writer_fini(&e->archive);
    mem_free(&p->vectors);
    mem_free(&p->slots);
    mem_free(&p->numbers);
    mem_free(&p->strings);
    mem_free(&p->sums);
    mem_free(&e->name);
}

wg_err collection_export(struct collection *c, const char *path, uint64_t segment_rows)
{
    wg_err err = WG_OK;
    struct exporting e = { .collection = c, .segment_rows = segment_rows };
    table_writer_begin(&e.archive, "c-1/tables/segments", &e.segments);
    table_writer_begin(&e.archive, "c-1/tables/sums", &e.sums);
    TRY(archive_writer_open(path, &e.archive));
    TRY(copy_tables(&e));
    TRY(copy_rows(&e));
    TRY(write_table(&e, "c-1/tables/changes", NULL, 0));
    TRY(write_meta(&e));
    TRY(write_registry(&e));
    TRY(archive_writer_finish(&e.archive));
out:
    export_fini(&e);
    return err;
}
