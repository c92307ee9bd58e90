/* Archives of any bytes: opened, walked, searched. The first byte says whether their checksums are
 * made right beforehand, so that what stands behind them is reached: then bit 1 asks for it. The
 * tables are those named a/0 to a/3. */
#include "base/checksum.h"
#include "base/mem.h"
#include "store/archive.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DEPTH = 6, BUDGET = 20000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes, and how many nodes may still be made right: hostile trees are exponential. */
struct image {
    uint8_t *bytes;
    size_t size, budget;
};

static bool is_inside(const struct image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset;
}

static void mend_node(struct image *image, size_t reference, uint32_t height);

/* The values of a node over the leaves are references. */
static void mend_children(struct image *image, size_t at, size_t end, uint32_t height)
{
    struct archive_entry entry;
    while (end - at >= sizeof entry) {
        memcpy(&entry, image->bytes + at, sizeof entry);
        size_t whole = archive_entry_size(entry.key_size, entry.value_size);
        if (whole > end - at) return;
        if (entry.value_size == sizeof(struct archive_node))
            mend_node(image, at + archive_entry_size(entry.key_size, 0), height - 1);
        at += whole;
    }
}

/* reference: where the archive_node stands that leads to it. */
static void mend_node(struct image *image, size_t reference, uint32_t height)
{
    struct archive_node node;
    memcpy(&node, image->bytes + reference, sizeof node);
    if (!is_inside(image, node.offset, node.size) || image->budget == 0) return;
    image->budget--;
    if (height > 0 && height <= DEPTH)
        mend_children(image, (size_t)node.offset, (size_t)(node.offset + node.size), height);
    node.sum = checksum64(image->bytes + node.offset, (size_t)node.size, height);
    memcpy(image->bytes + reference, &node, sizeof node);
}

static void mend(struct image *image)
{
    struct archive_header header;
    if (image->size < sizeof header) return;
    memcpy(&header, image->bytes, sizeof header);
    memcpy(header.magic, "WAGGLONE", sizeof header.magic);
    header.size = image->size;
    uint64_t contents_size = header.part_count * sizeof(struct archive_part);
    bool bounded = is_inside(image, header.contents_offset, contents_size);
    for (uint32_t i = 0; bounded && i < header.part_count; i++) {
        struct archive_part part;
        size_t at = (size_t)header.contents_offset + i * sizeof part;
        memcpy(&part, image->bytes + at, sizeof part);
        mend_node(image, at + offsetof(struct archive_part, root), part.height);
    }
    if (bounded)
        header.contents_sum =
            checksum64(image->bytes + header.contents_offset, (size_t)contents_size, 0);
    header.sum = checksum32(&header, offsetof(struct archive_header, sum), 0);
    memcpy(image->bytes, &header, sizeof header);
}

/* Where the archive is mapped, known from where its part is. */
static const char *find_map(const struct image *image, const struct archive_part *part)
{
    struct archive_header header;
    memcpy(&header, image->bytes, sizeof header);
    for (uint32_t i = 0; i < header.part_count; i++) {
        size_t at = (size_t)header.contents_offset + i * sizeof *part;
        if (memcmp(image->bytes + at, part, sizeof *part) == 0) return (const char *)part - at;
    }
    must(false, "a part that is not in the file");
}

static void must_be_in_map(const char *map, size_t size, struct bytes bytes)
{
    const char *start = bytes.start;
    if (bytes.size == 0) return;
    must(start >= map && bytes.size <= size && start <= map + size - bytes.size,
         "%zu bytes out of bounds", bytes.size);
    for (size_t i = 0; i < bytes.size; i++) (void)*(volatile const char *)(start + i);
}

static void must_be_corrupt(wg_err err)
{
    must(err == WG_ECORRUPT && wg_message()[0], "%d: \"%s\"", err, wg_message());
}

static void look_up(const struct archive *archive, const struct archive_part *table,
                    struct bytes key)
{
    bool found;
    struct bytes there, value;
    struct archive_cursor cursor = archive_cursor_at_first(archive, table);
    wg_err err = archive_get(archive, table, key, &found, &value);
    if (err != WG_OK) must_be_corrupt(err);
    err = archive_seek(&cursor, key);
    if (err == WG_OK) err = archive_next(&cursor, &found, &there, &value);
    if (err != WG_OK) must_be_corrupt(err);
}

static void walk(const struct archive *archive, const struct archive_part *table,
                 const struct image *image)
{
    const char *map = find_map(image, table);
    struct archive_cursor cursor = archive_cursor_at_first(archive, table);
    size_t steps = 0, most = (image->size / 8 + 1) * (image->size / 8 + 1);
    for (bool found = true; found; steps++) {
        struct bytes key = { 0 }, value = { 0 };
        wg_err err = archive_next(&cursor, &found, &key, &value);
        must(steps <= most, "the walk does not end");
        if (err != WG_OK) {
            must_be_corrupt(err);
            continue;
        }
        if (!found) break;
        must_be_in_map(map, image->size, key);
        must_be_in_map(map, image->size, value);
        if (steps % 8 == 0) look_up(archive, table, key);
    }
}

static void open_and_walk(const struct image *image, const char *path)
{
    struct archive *archive = NULL;
    size_t before = mem_in_use();
    wg_err err = archive_open(path, &archive);
    must(err == WG_OK || err == WG_ECORRUPT || err == WG_EVERSION || err == WG_EINVAL, "%d: %s",
         err, wg_message());
    must(!archive == (err != WG_OK), "an archive, and %d", err);
    for (char name[] = "0"; archive && name[0] < '4'; name[0]++) {
        const struct archive_part *table = archive_find(archive, path, name);
        if (!table) continue;
        walk(archive, table, image);
        look_up(archive, table, (struct bytes){ "", 0 });
        look_up(archive, table, (struct bytes){ "m", 1 });
    }
    archive_close(&archive);
    must(mem_in_use() == before, "%zu allocations are left, expected %zu", mem_in_use(), before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char path[64];
    if (size == 0) return 0;
    if (file < 0) {
        file = memfd_create("archive", MFD_CLOEXEC);
        must(file >= 0, "no file in memory");
        snprintf(path, sizeof path, "/proc/self/fd/%d/a", file);
    }
    struct image image = { allocate(size, 1), size - 1, BUDGET };
    memcpy(image.bytes, data + 1, image.size);
    if (data[0] & 1) mend(&image);
    must(ftruncate(file, 0) == 0 && pwrite(file, image.bytes, image.size, 0) >= 0, "not written");
    open_and_walk(&image, path);
    free(image.bytes);
    return 0;
}
