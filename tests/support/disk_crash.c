/* What a crash leaves of the disk of disk.h. */
#include "support/check.h"
#include "support/disk_node.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUN_PAGES = 64, PATH_SIZE = 1024 };

/* --- what is drawn --- */

enum unit { UNIT_SECTOR, UNIT_PAGE, UNIT_CALL, UNIT_COUNT };
enum density { MOST, HALF, FEW, DENSITY_COUNT };

static const char *const unit_names[] = { "sectors", "pages", "calls" };
static const char *const density_names[] = { "nearly all", "about half", "little" };

static enum unit unit_of(const struct disk_crash *crash)
{
    return (enum unit)(crash->seed % UNIT_COUNT);
}

/* Names and bytes are lost apart: a disk may keep a journal of its names and none of its bytes. */
static enum density density_of(const struct disk_crash *crash, bool names)
{
    uint64_t drawn = crash->seed / UNIT_COUNT;
    return (enum density)((names ? drawn / DENSITY_COUNT : drawn) % DENSITY_COUNT);
}

static uint64_t draw(const struct disk_crash *crash, uint64_t thing, uint64_t part)
{
    struct prng prng = { crash->seed };
    prng.state = prng_next(&prng) ^ (thing + 1) * UINT64_C(0x9e3779b97f4a7c15);
    prng.state = prng_next(&prng) ^ (part + 1) * UINT64_C(0xd1b54a32d192ed03);
    return prng_next(&prng);
}

enum { NAMES = UINT16_MAX }; /* a thing that is no file's number */

/* How many of count calls have reached a part of a thing, at least floor. */
static size_t draw_count(const struct disk_crash *crash, uint64_t thing, uint64_t part,
                         size_t floor, size_t count)
{
    if (crash->loss == DISK_KEEPS || floor == count) return count;
    if (crash->loss == DISK_DROPS) return floor;
    uint64_t drawn = draw(crash, thing, part);
    size_t any = floor + (size_t)(drawn / 16 % (count - floor + 1));
    bool usual = drawn % 16 < 14;
    switch (density_of(crash, thing == NAMES)) {
    case MOST: return usual ? count : any;
    case FEW: return usual ? floor : any;
    case HALF:
    case DENSITY_COUNT: break;
    }
    return drawn % 3 == 0 ? floor : drawn % 3 == 1 ? count : any;
}

void disk_crash_format(const struct disk_crash *crash, char *text, size_t room)
{
    if (crash->loss == DISK_MIXES)
        snprintf(text, room,
                 "of what is not synced %s kept by %s, and %s of the names, seed %" PRIu64,
                 density_names[density_of(crash, false)], unit_names[unit_of(crash)],
                 density_names[density_of(crash, true)], crash->seed);
    else
        snprintf(text, room, "all that is not synced %s",
                 crash->loss == DISK_KEEPS ? "kept" : "dropped");
}

/* --- files --- */

static size_t floor_of(const struct node *file, size_t page)
{
    return page < file->floor_count ? file->floors[page] : 0;
}

static void fill_unit(const struct node *file, size_t count, uint64_t from, uint64_t to,
                      unsigned char *bytes)
{
    for (size_t i = 0; i < count; i++) call_apply(&file->calls[i], from, to, bytes);
}

static void fill_page(const struct node *file, const struct disk_crash *crash, size_t page,
                      unsigned char *bytes)
{
    size_t unit = unit_of(crash) == UNIT_SECTOR ? DISK_SECTOR : DISK_PAGE;
    for (size_t at = 0; at < DISK_PAGE; at += unit) {
        uint64_t from = page * (uint64_t)DISK_PAGE + at;
        uint64_t part = unit_of(crash) == UNIT_CALL ? 0 : from / DISK_SECTOR;
        size_t count =
            draw_count(crash, file->number, part, floor_of(file, page), file->call_count);
        fill_unit(file, count, from, from + unit, bytes + at);
    }
}

static uint64_t size_of(const struct node *file, const struct disk_crash *crash)
{
    uint64_t part = unit_of(crash) == UNIT_CALL ? 0 : UINT64_MAX;
    size_t count = draw_count(crash, file->number, part, file->size_floor, file->call_count);
    return count > 0 ? file->calls[count - 1].size_after : file->content_durable.size;
}

static bool *touched_pages(const struct node *file, size_t page_count)
{
    bool *touched = allocate(page_count, sizeof *touched);
    for (size_t i = 0; i < file->call_count; i++) {
        const struct call *call = &file->calls[i];
        uint64_t end = call->size == 0 ? 0 : (call->offset + call->size - 1) / DISK_PAGE + 1;
        for (uint64_t p = call->offset / DISK_PAGE; p < end && p < page_count; p++)
            touched[p] = true;
    }
    return touched;
}

static bool is_zero(const unsigned char *bytes)
{
    static const unsigned char zeros[DISK_PAGE];
    return memcmp(bytes, zeros, DISK_PAGE) == 0;
}

/* Pages that follow each other are written at once; zeros are left as a hole. */
struct run {
    int fd;
    uint64_t size; /* of the file */
    size_t first, count;
    unsigned char bytes[RUN_PAGES * DISK_PAGE];
};

static void flush_run(struct run *run)
{
    uint64_t offset = run->first * (uint64_t)DISK_PAGE, size = run->count * (uint64_t)DISK_PAGE;
    if (run->size - offset < size) size = run->size - offset;
    if (run->count > 0)
        must(pwrite(run->fd, run->bytes, size, (off_t)offset) == (ssize_t)size, "cannot write");
    run->count = 0;
}

/* Where the page's bytes are to be put. */
static unsigned char *next_page(struct run *run, size_t page)
{
    if (run->count == RUN_PAGES || (run->count > 0 && run->first + run->count != page))
        flush_run(run);
    if (run->count == 0) run->first = page;
    return run->bytes + run->count * DISK_PAGE;
}

static void write_pages(const struct node *file, const struct disk_crash *crash, struct run *run)
{
    size_t count = (size_t)((run->size + DISK_PAGE - 1) / DISK_PAGE);
    bool *touched = touched_pages(file, count);
    for (size_t p = 0; p < count; p++) {
        const struct content *durable = &file->content_durable;
        const struct page *page = p < durable->page_count ? durable->pages[p] : NULL;
        if (!page && !touched[p]) continue;
        unsigned char *bytes = next_page(run, p);
        if (page)
            memcpy(bytes, page->bytes, DISK_PAGE);
        else
            memset(bytes, 0, DISK_PAGE);
        if (touched[p]) fill_page(file, crash, p, bytes);
        run->count += !is_zero(bytes);
    }
    flush_run(run);
    free(touched);
}

static void write_file(const struct node *file, const struct disk_crash *crash, const char *path)
{
    static struct run run; /* large */
    run.fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    run.size = size_of(file, crash);
    must(run.fd >= 0 && ftruncate(run.fd, (off_t)run.size) == 0, "cannot make %s", path);
    write_pages(file, crash, &run);
    close(run.fd);
}

/* --- folders --- */

struct writing {
    const struct disk *disk;
    const struct disk_crash *crash;
    char (*written)[PATH_SIZE]; /* by node: where it is already; "": nowhere */
};

static bool is_kept(const struct disk_crash *crash, const struct change *change)
{
    return draw_count(crash, NAMES, change->serial, 0, 1) > 0;
}

static void choose_names(const struct writing *w, const struct node *folder, struct names *names)
{
    *names = folder->names_durable;
    for (size_t i = 0; i < w->disk->change_count; i++)
        if (is_kept(w->crash, &w->disk->changes[i]))
            change_apply(&w->disk->changes[i], folder, names);
}

static void write_folder(const struct writing *w, const struct node *folder, const char *path);

static void write_node(const struct writing *w, const struct node *node, const char *path)
{
    char *before = w->written[node->number];
    if (node->is_folder) {
        must(mkdir(path, 0700) == 0, "cannot make %s", path);
        write_folder(w, node, path);
    } else if (*before) {
        must(link(before, path) == 0, "cannot link %s", path);
    } else {
        write_file(node, w->crash, path);
        snprintf(before, PATH_SIZE, "%s", path);
    }
}

static void write_folder(const struct writing *w, const struct node *folder, const char *path)
{
    struct names names;
    choose_names(w, folder, &names);
    for (size_t i = 0; i < names.count; i++) {
        char inner[PATH_SIZE];
        int size = snprintf(inner, sizeof inner, "%s/%s", path, names.list[i].text);
        must(size > 0 && size < PATH_SIZE, "%s is too long", path);
        write_node(w, names.list[i].node, inner);
    }
}

void disk_write_out(const struct disk *disk, const struct disk_crash *crash, const char *folder)
{
    struct writing writing = { .disk = disk, .crash = crash };
    writing.written = allocate(disk->node_count, sizeof *writing.written);
    write_folder(&writing, disk->root, folder);
    free(writing.written);
}

/* --- whether anything can be lost --- */

static bool names_are_synced(const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct node *node = names->list[i].node;
        if (node->is_folder ? !names_are_synced(&node->names_durable) : node->call_count > 0)
            return false;
    }
    return true;
}

bool disk_is_synced(const struct disk *disk)
{
    return disk->change_count == 0 && names_are_synced(&disk->root->names_durable);
}
