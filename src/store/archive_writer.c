#include "store/archive_writer.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "os/machine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char magic[FORMAT_MAGIC_SIZE] = "WAGGLONE";

/* No other export has it, but perhaps one in another container that shares the disk. */
static wg_err make_temporary_name(const char *path, char **out)
{
    static atomic_uint count;
    size_t room = strlen(path) + 32;
    wg_err err = mem_resize(out, room);
    if (err != WG_OK) return err;
    snprintf(*out, room, "%s.%u-%u.tmp", path, process_id(), atomic_fetch_add(&count, 1));
    return WG_OK;
}

static wg_err folder_of(const char *path, char **out)
{
    wg_err err = path_join(path, "", out);
    if (err != WG_OK) return err;
    char *slash = strrchr(*out, '/');
    if (slash) slash[slash == *out] = 0; /* of the root the slash stays */
    if (slash) return WG_OK;
    mem_free(out);
    return path_join(".", "", out);
}

static bool is_temporary_of(const char *name, const char *entry)
{
    unsigned process, count;
    char again[48];
    size_t size = strlen(name);
    if (strncmp(entry, name, size) != 0) return false;
    if (sscanf(entry + size, ".%u-%u.tmp", &process, &count) != 2) return false;
    snprintf(again, sizeof again, ".%u-%u.tmp", process, count);
    return strcmp(entry + size, again) == 0;
}

/* The folder and the name in it of the file that is wanted. */
struct target {
    char *folder;
    const char *name;
};

/* Nobody has it locked: whoever wrote it was killed. */
static bool remove_leftover(void *user, const char *entry)
{
    const struct target *target = user;
    struct file file = { 0 };
    char *path = NULL;
    if (is_temporary_of(target->name, entry) && path_join(target->folder, entry, &path) == WG_OK &&
        file_open(path, FILE_READ_WRITE, &file) == WG_OK && file_lock(&file, true) == WG_OK)
        (void)!file_remove(path);
    file_close(&file);
    mem_free(&path);
    return true;
}

/* What cannot be removed now the next one may. */
static wg_err remove_leftovers(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct target target = { .name = slash ? slash + 1 : path };
    wg_err err = folder_of(path, &target.folder);
    if (err == WG_OK) (void)!folder_list(target.folder, remove_leftover, &target);
    mem_free(&target.folder);
    return err;
}

/* Locked as long as it is written. Where the disk has no locks, what was left stays. Until it is
 * locked another one may take it for left and remove it. */
static wg_err open_temporary(struct archive_writer *w)
{
    enum { TRIES = 100 };
    wg_err err = WG_OK;
    for (int i = 0; i < TRIES; i++) {
        struct file file;
        uint64_t size;
        TRY(make_temporary_name(w->path, &w->temporary));
        TRY(file_open(w->temporary, FILE_KEEP, &file));
        bool is_mine = file_lock(&file, true) != WG_EBUSY && file_exists(w->temporary);
        if (is_mine) {
            w->file = file;
            TRY(file_size(&w->file, &size));
            if (size == 0) return WG_OK;
            w->file = (struct file){ 0 };
        }
        file_close(&file);
    }
    err = wg_fail(WG_EBUSY, "%s: other processes write files of that name", w->temporary);
out:
    return err;
}

wg_err archive_writer_open(const char *path, struct archive_writer *out)
{
    wg_err err = WG_OK;
    *out = (struct archive_writer){ .end = sizeof(struct archive_header) };
    if (file_exists(path) || folder_exists(path))
        TRY(wg_fail(WG_EEXISTS, "%s: exists already; it is not replaced", path));
    TRY(path_join(path, "", &out->path));
    TRY(remove_leftovers(path));
    TRY(open_temporary(out));
out:
    return err;
}

uint64_t archive_writer_take(struct archive_writer *writer, uint64_t size, uint64_t align)
{
    uint64_t offset = (writer->end + align - 1) / align * align;
    writer->end = offset + size;
    return offset;
}

wg_err archive_writer_add(struct archive_writer *writer, const struct archive_part *part)
{
    wg_err err = mem_resize(&writer->parts, (size_t)writer->part_count + 1);
    if (err == WG_OK) writer->parts[writer->part_count++] = *part;
    return err;
}

static wg_err write_contents(struct archive_writer *w)
{
    wg_err err = WG_OK;
    size_t size = w->part_count * sizeof *w->parts;
    struct archive_header header = {
        .version = FORMAT_VERSION,
        .contents_offset = archive_writer_take(w, size, sizeof(uint64_t)),
        .contents_sum = checksum64(w->parts, size, 0),
        .part_count = w->part_count,
    };
    header.size = w->end;
    memcpy(header.magic, magic, sizeof magic);
    header.sum = checksum32(&header, offsetof(struct archive_header, sum), 0);
    TRY(file_write_at(&w->file, w->parts, size, header.contents_offset));
    TRY(file_write_at(&w->file, &header, sizeof header, 0));
    TRY(file_sync(&w->file));
out:
    return err;
}

/* Never over a file that was made meanwhile, but where the disk has no links. */
static wg_err move_into_place(struct archive_writer *w)
{
    wg_err err = file_link(w->temporary, w->path);
    if (err == WG_OK)
        file_discard(w->temporary);
    else if (err != WG_EEXISTS)
        err = file_rename(w->temporary, w->path);
    if (err == WG_OK) mem_free(&w->temporary);
    return err;
}

static wg_err sync_folder_of(const char *path)
{
    char *folder = NULL;
    wg_err err = folder_of(path, &folder);
    if (err == WG_OK) err = folder_sync(folder);
    mem_free(&folder);
    return err;
}

wg_err archive_writer_finish(struct archive_writer *w)
{
    wg_err err = WG_OK;
    TRY(write_contents(w));
    TRY(move_into_place(w));
    err = sync_folder_of(w->path);
    if (err != WG_OK) file_discard(w->path);
out:
    return err;
}

void archive_writer_fini(struct archive_writer *w)
{
    if (w->temporary && w->file.path) file_discard(w->temporary);
    file_close(&w->file);
    mem_free(&w->temporary);
    mem_free(&w->path);
    mem_free(&w->parts);
}

void table_writer_begin(struct archive_writer *archive, const char *name, struct table_writer *out)
{
    *out = (struct table_writer){ .archive = archive };
    snprintf(out->part.name, sizeof out->part.name, "%s", name);
}

static wg_err write_node(struct table_writer *t, uint32_t height, struct archive_node *out)
{
    const struct open_node *node = &t->nodes[height];
    struct archive_node written = {
        .offset = archive_writer_take(t->archive, node->size, sizeof(uint64_t)),
        .size = node->size,
        .sum = checksum64(node->bytes, node->size, height),
    };
    wg_err err = file_write_at(&t->archive->file, node->bytes, node->size, written.offset);
    if (err == WG_OK) *out = written;
    return err;
}

static struct bytes key_at(const struct open_node *node, size_t offset)
{
    struct archive_entry entry;
    memcpy(&entry, node->bytes + offset, sizeof entry);
    return (struct bytes){ node->bytes + offset + sizeof entry, entry.key_size };
}

static void append(struct open_node *node, struct bytes key, struct bytes value)
{
    size_t size = archive_entry_size(key.size, value.size);
    struct archive_entry entry = { (uint32_t)value.size, (uint16_t)key.size, 0 };
    char *at = node->bytes + node->size;
    memset(at, 0, size);
    memcpy(at, &entry, sizeof entry);
    memcpy(at + sizeof entry, key.start, key.size);
    if (value.size > 0) memcpy(at + archive_entry_size(key.size, 0), value.start, value.size);
    node->last = node->size;
    node->size += size;
}

static wg_err add_entry(struct table_writer *t, uint32_t height, struct bytes key,
                        struct bytes value);

/* Writes a node, and tells the one over it. */
static wg_err close_node(struct table_writer *t, uint32_t height)
{
    wg_err err = WG_OK;
    struct archive_node written;
    TRY(write_node(t, height, &written));
    TRY(add_entry(t, height + 1, key_at(&t->nodes[height], 0),
                  (struct bytes){ &written, sizeof written }));
    t->nodes[height].size = 0;
out:
    return err;
}

static wg_err add_entry(struct table_writer *t, uint32_t height, struct bytes key,
                        struct bytes value)
{
    wg_err err = WG_OK;
    struct open_node *node = &t->nodes[height];
    size_t size = archive_entry_size(key.size, value.size);
    assert(height <= ARCHIVE_HEIGHT_MAX); /* a node holds seven of the longest keys */
    if (node->size > 0 && node->size + size > ARCHIVE_NODE_SIZE) TRY(close_node(t, height));
    if (node->size + size > node->room) {
        size_t room = size > ARCHIVE_NODE_SIZE ? size : ARCHIVE_NODE_SIZE;
        TRY(mem_resize(&node->bytes, room));
        node->room = room;
    }
    append(node, key, value);
out:
    return err;
}

wg_err table_writer_add(struct table_writer *t, struct bytes key, struct bytes value)
{
    const struct open_node *leaf = &t->nodes[0];
    if (leaf->size > 0 && archive_compare(key, key_at(leaf, leaf->last)) <= 0)
        return wg_fail(WG_ECORRUPT, "%s: the keys of the table are not in order", t->part.name);
    t->part.count++;
    return add_entry(t, 0, key, value);
}

wg_err table_writer_end(struct table_writer *t)
{
    wg_err err = WG_OK;
    uint32_t height = 0;
    for (; height < ARCHIVE_HEIGHT_MAX && t->nodes[height + 1].size > 0; height++)
        TRY(close_node(t, height));
    t->part.height = height;
    TRY(write_node(t, height, &t->part.root));
    TRY(archive_writer_add(t->archive, &t->part));
out:
    return err;
}

void table_writer_fini(struct table_writer *t)
{
    for (size_t i = 0; i <= ARCHIVE_HEIGHT_MAX; i++) mem_free(&t->nodes[i].bytes);
}
