#include "store/archive.h"

#include "base/checksum.h"
#include "base/mem.h"
#include "os/file.h"

#include <inttypes.h>
#include <string.h>

static const char magic[FORMAT_MAGIC_SIZE] = "WAGGLONE";

struct archive {
    char *path;
    const void *map;
    uint64_t size;
    const struct archive_part *parts; /* in the map */
    uint32_t part_count;
};

/* The file on the way to path; *out NULL: there is none. */
static wg_err find_file(const char *path, char **out)
{
    wg_err err = path_join(path, "", out);
    if (err != WG_OK) return err;
    while (!file_exists(*out)) {
        char *slash = strrchr(*out, '/');
        if (slash && slash != *out && !folder_exists(*out)) {
            *slash = 0;
            continue;
        }
        mem_free(out);
        return WG_OK;
    }
    return WG_OK;
}

static wg_err check_header(const char *path, const struct archive_header *header, uint64_t size)
{
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return wg_fail(WG_EINVAL, "%s: not an exported collection: it begins in another way", path);
    if (size < sizeof *header) return wg_fail(WG_ECORRUPT, "%s: ends within its header", path);
    if (header->version > FORMAT_VERSION)
        return wg_fail(WG_EVERSION, "%s: format %u; this program knows up to %d", path,
                       header->version, FORMAT_VERSION);
    if (header->sum != checksum32(header, offsetof(struct archive_header, sum), 0))
        return wg_fail(WG_ECORRUPT, "%s: the header has a wrong checksum", path);
    if (header->size != size)
        return wg_fail(WG_ECORRUPT, "%s: has %" PRIu64 " bytes, expected %" PRIu64, path, size,
                       header->size);
    return features_check(&header->features, path, true);
}

static bool is_inside(uint64_t size, uint64_t offset, uint64_t part_size)
{
    return offset <= size && part_size <= size - offset;
}

static bool is_sound(const struct archive *a, const struct archive_part *part)
{
    return memchr(part->name, 0, sizeof part->name) && part->height <= ARCHIVE_HEIGHT_MAX &&
           is_inside(a->size, part->root.offset, part->root.size);
}

static wg_err read_contents(struct archive *a, const struct archive_header *header)
{
    uint64_t contents_size = header->part_count * sizeof(struct archive_part);
    if (header->contents_offset % sizeof(uint64_t) != 0 ||
        !is_inside(a->size, header->contents_offset, contents_size))
        return wg_fail(WG_ECORRUPT, "%s: its contents are out of bounds", a->path);
    a->parts = (const void *)((const char *)a->map + header->contents_offset);
    a->part_count = header->part_count;
    if (checksum64(a->parts, (size_t)contents_size, 0) != header->contents_sum)
        return wg_fail(WG_ECORRUPT, "%s: its contents have a wrong checksum", a->path);
    for (uint32_t i = 0; i < a->part_count; i++)
        if (!is_sound(a, &a->parts[i]))
            return wg_fail(WG_ECORRUPT, "%s: part %" PRIu32 " is out of bounds", a->path, i);
    return WG_OK;
}

static wg_err open_file(struct archive *a)
{
    wg_err err = WG_OK;
    struct file file = { 0 };
    struct archive_header header = { 0 };
    TRY(file_open(a->path, FILE_READ, &file));
    TRY(file_size(&file, &a->size));
    TRY(file_read_at(&file, &header, a->size < sizeof header ? (size_t)a->size : sizeof header, 0));
    TRY(check_header(a->path, &header, a->size));
    TRY(file_map(&file, 0, (size_t)a->size, &a->map));
    TRY(read_contents(a, &header));
out:
    file_close(&file);
    return err;
}

wg_err archive_open(const char *path, struct archive **out)
{
    wg_err err = WG_OK;
    struct archive *a = NULL;
    TRY(mem_resize(&a, 1));
    *a = (struct archive){ 0 };
    TRY(find_file(path, &a->path));
    if (a->path) {
        TRY(open_file(a));
    } else {
        mem_free(&a);
    }
    *out = a;
    a = NULL; /* moved */
out:
    archive_close(&a);
    return err;
}

void archive_close(struct archive **archive)
{
    struct archive *a = *archive;
    if (!a) return;
    file_unmap(&a->map, (size_t)a->size);
    mem_free(&a->path);
    mem_free(archive);
}

const char *archive_path(const struct archive *archive)
{
    return archive->path;
}

uint64_t archive_size(const struct archive *archive)
{
    return archive->size;
}

const struct archive_part *archive_find(const struct archive *archive, const char *folder,
                                        const char *name)
{
    const char *inside = folder + strlen(archive->path);
    inside += *inside == '/';
    size_t size = strlen(inside);
    for (uint32_t i = 0; i < archive->part_count; i++) {
        const char *known = archive->parts[i].name;
        if (strncmp(known, inside, size) == 0 && known[size] == '/' &&
            strcmp(known + size + 1, name) == 0)
            return &archive->parts[i];
    }
    return NULL;
}

int archive_compare(struct bytes a, struct bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.start, b.start, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static size_t fill_up(size_t size)
{
    return (size + 7) / 8 * 8;
}

size_t archive_entry_size(size_t key_size, size_t value_size)
{
    return sizeof(struct archive_entry) + fill_up(key_size) + fill_up(value_size);
}

/* Takes the first entry of what is left of a node. */
static wg_err take_entry(const struct archive *a, struct bytes *left, struct bytes *key,
                         struct bytes *value)
{
    struct archive_entry entry = { 0 };
    if (left->size >= sizeof entry) memcpy(&entry, left->start, sizeof entry);
    size_t size = archive_entry_size(entry.key_size, entry.value_size);
    if (left->size < size) return wg_fail(WG_ECORRUPT, "%s: a node ends within an entry", a->path);
    const char *at = left->start;
    *key = (struct bytes){ at + sizeof entry, entry.key_size };
    *value = (struct bytes){ at + sizeof entry + fill_up(entry.key_size), entry.value_size };
    *left = (struct bytes){ at + size, left->size - size };
    return WG_OK;
}

static wg_err read_node(const struct archive *a, const struct archive_node *node, uint32_t height,
                        struct bytes *out)
{
    if (!is_inside(a->size, node->offset, node->size))
        return wg_fail(WG_ECORRUPT, "%s: a node is out of bounds", a->path);
    struct bytes bytes = { (const char *)a->map + node->offset, (size_t)node->size };
    if (checksum64(bytes.start, bytes.size, height) != node->sum)
        return wg_fail(WG_ECORRUPT, "%s: the node at byte %" PRIu64 " has a wrong checksum",
                       a->path, node->offset);
    *out = bytes;
    return WG_OK;
}

/* Of a node over the leaves: the child that key belongs in. *next becomes the first key of the
 * child behind it, if there is one; it is behind key, so that a walk ends, whatever the file. */
static wg_err choose_child(const struct archive *a, struct bytes node, struct bytes key,
                           struct archive_node *child, struct bytes *next)
{
    wg_err err = WG_OK;
    for (bool first = true; node.size > 0; first = false) {
        struct bytes separator, value;
        TRY(take_entry(a, &node, &separator, &value));
        if (!first && archive_compare(separator, key) > 0) {
            *next = separator;
            break;
        }
        TRY(RECORD_READ(value, child, "a node"));
    }
out:
    return err;
}

/* To the leaf that key belongs in; *next is set also when it cannot be read. */
static wg_err descend(const struct archive *a, const struct archive_part *table, struct bytes key,
                      struct bytes *leaf, struct bytes *next)
{
    wg_err err = WG_OK;
    struct archive_node node = table->root;
    struct bytes bytes;
    *next = (struct bytes){ 0 };
    *leaf = (struct bytes){ 0 };
    for (uint32_t height = table->height; height > 0; height--) {
        TRY(read_node(a, &node, height, &bytes));
        TRY(choose_child(a, bytes, key, &node, next));
    }
    TRY(read_node(a, &node, 0, leaf));
out:
    if (err != WG_OK) err = wg_fail(err, "%s (%s)", wg_message(), table->name);
    return err;
}

/* Moves the cursor into the leaf that key belongs in. */
static wg_err enter_leaf(struct archive_cursor *cursor, struct bytes key)
{
    return descend(cursor->archive, cursor->table, key, &cursor->left, &cursor->next);
}

struct archive_cursor archive_cursor_at_first(const struct archive *archive,
                                              const struct archive_part *table)
{
    return (struct archive_cursor){
        .archive = archive,
        .table = table,
        .next = { "", 0 },
    };
}

wg_err archive_seek(struct archive_cursor *cursor, struct bytes key)
{
    wg_err err = WG_OK;
    TRY(enter_leaf(cursor, key));
    while (cursor->left.size > 0) {
        struct bytes left = cursor->left, found, value;
        TRY(take_entry(cursor->archive, &left, &found, &value));
        if (archive_compare(found, key) >= 0) break;
        cursor->left = left;
    }
out:
    return err;
}

wg_err archive_next(struct archive_cursor *cursor, bool *found, struct bytes *key,
                    struct bytes *value)
{
    wg_err err = WG_OK;
    while (cursor->left.size == 0) {
        *found = cursor->next.start != NULL;
        if (!*found) return WG_OK;
        *key = cursor->next;
        TRY(enter_leaf(cursor, *key));
    }
    *found = true;
    TRY(take_entry(cursor->archive, &cursor->left, key, value));
out:
    if (err != WG_OK) cursor->left = (struct bytes){ 0 };
    return err;
}

wg_err archive_get(const struct archive *archive, const struct archive_part *table,
                   struct bytes key, bool *found, struct bytes *value)
{
    wg_err err = WG_OK;
    struct bytes leaf, next;
    *found = false;
    TRY(descend(archive, table, key, &leaf, &next));
    while (leaf.size > 0 && !*found) {
        struct bytes there;
        TRY(take_entry(archive, &leaf, &there, value));
        *found = archive_compare(there, key) == 0;
    }
out:
    return err;
}
