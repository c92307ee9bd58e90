#include "support/disk.h"

#include "support/check.h"
#include "support/disk_node.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- names --- */

struct node *names_find(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].text, name) == 0) return names->list[i].node;
    return NULL;
}

void names_set(struct names *names, const char *name, struct node *node)
{
    size_t i = 0;
    while (i < names->count && strcmp(names->list[i].text, name) != 0) i++;
    if (i == names->count) {
        must(names->count < DISK_NAMES_MAX, "more than %d names in a folder", DISK_NAMES_MAX);
        must(strlen(name) < DISK_NAME_SIZE, "%s is too long", name);
        strcpy(names->list[names->count++].text, name);
    }
    names->list[i].node = node;
}

void names_remove(struct names *names, const char *name)
{
    size_t i = 0;
    while (i < names->count && strcmp(names->list[i].text, name) != 0) i++;
    if (i < names->count) names->list[i] = names->list[--names->count];
}

void change_apply(const struct change *change, const struct node *folder, struct names *names)
{
    if (change->from == folder && names_find(names, change->from_name) == change->node)
        names_remove(names, change->from_name);
    if (change->folder != folder) return;
    if (change->node)
        names_set(names, change->name, change->node);
    else
        names_remove(names, change->name);
}

static struct node *node_create(struct disk *disk, bool is_folder)
{
    must(disk->node_count < DISK_NODES_MAX, "more than %d files", DISK_NODES_MAX);
    struct node *node = allocate(1, sizeof *node);
    node->number = (uint32_t)disk->node_count;
    node->is_folder = is_folder;
    disk->nodes[disk->node_count++] = node;
    return node;
}

/* Where path stands: its folder, and its name there. */
static struct node *folder_of(struct disk *disk, const char *path, const char **name)
{
    struct node *folder = disk->root;
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
        char part[DISK_NAME_SIZE] = { 0 };
        must(slash - path < DISK_NAME_SIZE, "%s is too long", path);
        memcpy(part, path, (size_t)(slash - path));
        folder = names_find(&folder->names_now, part);
        must(folder && folder->is_folder, "the recording has no folder %s", path);
    }
    *name = path;
    return folder;
}

static struct node *find(struct disk *disk, const char *path)
{
    const char *name;
    struct node *folder = folder_of(disk, path, &name);
    return *name ? names_find(&folder->names_now, name) : folder;
}

/* node NULL: the name goes. from NULL: this is no rename. */
static void change_name(struct disk *disk, const char *path, struct node *node, const char *from)
{
    struct change change = { .node = node, .serial = disk->change_serial++ };
    const char *name;
    change.folder = folder_of(disk, path, &name);
    snprintf(change.name, sizeof change.name, "%s", name);
    if (from) {
        change.from = folder_of(disk, from, &name);
        snprintf(change.from_name, sizeof change.from_name, "%s", name);
        change_apply(&change, change.from, &change.from->names_now);
    }
    change_apply(&change, change.folder, &change.folder->names_now);
    must(disk->change_count < DISK_CHANGES_MAX, "more than %d names not synced", DISK_CHANGES_MAX);
    disk->changes[disk->change_count++] = change;
}

static void sync_folder(struct disk *disk, struct node *folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->change_count; i++) {
        const struct change *change = &disk->changes[i];
        if (change->folder == folder) {
            if (change->from && change->from != folder)
                change_apply(change, change->from, &change->from->names_durable);
            change_apply(change, folder, &folder->names_durable);
        } else {
            disk->changes[kept++] = *change;
        }
    }
    disk->change_count = kept;
}

/* --- bytes --- */

struct page *content_page(struct content *content, size_t index)
{
    if (index >= content->page_count) {
        size_t count = index + 1 + index / 2;
        content->pages = realloc(content->pages, count * sizeof *content->pages);
        must(content->pages, "no memory");
        memset(content->pages + content->page_count, 0,
               (count - content->page_count) * sizeof *content->pages);
        content->page_count = count;
    }
    if (!content->pages[index]) content->pages[index] = allocate(1, sizeof(struct page));
    return content->pages[index];
}

void call_apply(const struct call *call, uint64_t from, uint64_t to, unsigned char *bytes)
{
    uint64_t begin = call->offset > from ? call->offset : from;
    uint64_t end = call->offset + call->size < to ? call->offset + call->size : to;
    if (begin >= end) return;
    if (call->data)
        memcpy(bytes + (begin - from), call->data + (begin - call->offset), end - begin);
    else
        memset(bytes + (begin - from), 0, end - begin);
}

static void content_apply(struct content *content, const struct call *call)
{
    uint64_t end = call->offset + call->size;
    if (!call->data && end > content->page_count * (uint64_t)DISK_PAGE)
        end = content->page_count * (uint64_t)DISK_PAGE; /* behind it there is nothing to clear */
    for (uint64_t at = call->offset / DISK_PAGE * DISK_PAGE; at < end; at += DISK_PAGE) {
        bool there = at / DISK_PAGE < content->page_count && content->pages[at / DISK_PAGE];
        if (!call->data && !there) continue;
        call_apply(call, at, at + DISK_PAGE, content_page(content, at / DISK_PAGE)->bytes);
    }
    content->size = call->size_after;
}

static void add_call(struct node *file, struct call call)
{
    if (file->call_count == file->call_room) {
        file->call_room = 2 * file->call_room + 8;
        file->calls = realloc(file->calls, file->call_room * sizeof *file->calls);
        must(file->calls, "no memory");
    }
    content_apply(&file->content_now, &call);
    file->calls[file->call_count++] = call;
}

static void write_file(struct node *file, const struct recorded *record)
{
    uint64_t end = record->head.offset + record->head.size;
    add_call(file, (struct call){
                       .offset = record->head.offset,
                       .size = record->head.size,
                       .data = record->data,
                       .size_after = end > file->content_now.size ? end : file->content_now.size });
}

static void reserve_file(struct node *file, const struct recorded *record)
{
    uint64_t end = record->head.offset + record->head.size;
    if (end > file->content_now.size) add_call(file, (struct call){ .size_after = end });
}

static void truncate_file(struct node *file, uint64_t size)
{
    if (size == file->content_now.size) return;
    add_call(file, (struct call){ .offset = size,
                                  .size = size < file->content_now.size ? UINT64_MAX - size : 0,
                                  .size_after = size });
}

static void sync_file(struct node *file)
{
    for (size_t i = 0; i < file->call_count; i++)
        content_apply(&file->content_durable, &file->calls[i]);
    file->call_count = file->size_floor = file->floor_count = 0;
}

/* As O_DSYNC does: the pages of the range, and the size. */
static void sync_range(struct node *file, uint64_t offset, uint64_t size)
{
    size_t end = (size_t)((offset + size + DISK_PAGE - 1) / DISK_PAGE);
    if (end > file->floor_count) {
        file->floors = realloc(file->floors, end * sizeof *file->floors);
        must(file->floors, "no memory");
        memset(file->floors + file->floor_count, 0,
               (end - file->floor_count) * sizeof *file->floors);
        file->floor_count = end;
    }
    for (size_t page = offset / DISK_PAGE; page < end; page++)
        file->floors[page] = (uint32_t)file->call_count;
    file->size_floor = file->call_count;
}

/* --- the recording, call by call --- */

static void open_file(struct disk *disk, const struct recorded *record)
{
    must(record->head.fd < DISK_FDS_MAX, "more than %d descriptors", DISK_FDS_MAX);
    struct node *node = find(disk, record->path);
    if (!node) {
        must(record->head.flags & O_CREAT, "%s is opened, and not in the recording", record->path);
        node = node_create(disk, false);
        change_name(disk, record->path, node, NULL);
    }
    if (record->head.flags & O_TRUNC) truncate_file(node, 0);
    disk->fds[record->head.fd].node = node;
    disk->fds[record->head.fd].path = record->path;
}

static bool is_left_out(struct disk *disk, struct node *node, enum disk_sync kind, const char *path)
{
    const struct disk_bug *bug = disk->bug;
    if (!bug || bug->kind != kind || fnmatch(bug->path, path, FNM_PATHNAME) != 0) return false;
    bool left_out = node->good_syncs == bug->good;
    if (!left_out) node->good_syncs++;
    disk->left_out = disk->left_out || left_out;
    return left_out;
}

static void sync_node(struct disk *disk, const struct recorded *record)
{
    struct node *node = disk->fds[record->head.fd].node;
    bool whole = record->head.size == 0;
    enum disk_sync kind = node->is_folder ? DISK_SYNC_FOLDER
                          : whole         ? DISK_SYNC_FILE
                                          : DISK_SYNC_RANGE;
    if (is_left_out(disk, node, kind, disk->fds[record->head.fd].path)) return;
    if (node->is_folder)
        sync_folder(disk, node);
    else if (whole)
        sync_file(node);
    else
        sync_range(node, record->head.offset, record->head.size);
}

void disk_apply(struct disk *disk, const struct recorded *record)
{
    int fd = record->head.fd;
    struct node *node = fd >= 0 && fd < DISK_FDS_MAX ? disk->fds[fd].node : NULL;
    switch ((enum files_kind)record->head.kind) {
    case FILES_OPEN: open_file(disk, record); break;
    case FILES_MKDIR: change_name(disk, record->path, node_create(disk, true), NULL); break;
    case FILES_WRITE: write_file(node, record); break;
    case FILES_RESERVE: reserve_file(node, record); break;
    case FILES_TRUNCATE:
        truncate_file(fd >= 0 ? node : find(disk, record->path), record->head.size);
        break;
    case FILES_SYNC: sync_node(disk, record); break;
    case FILES_RENAME:
        change_name(disk, record->second, find(disk, record->path), record->path);
        break;
    case FILES_LINK: change_name(disk, record->second, find(disk, record->path), NULL); break;
    case FILES_UNLINK:
    case FILES_RMDIR: change_name(disk, record->path, NULL, NULL); break;
    case FILES_READ:
    case FILES_MAP:
    case FILES_MARK: break;
    }
}

struct disk *disk_create(void)
{
    struct disk *disk = allocate(1, sizeof *disk);
    disk->root = node_create(disk, true);
    return disk;
}

void disk_plant(struct disk *disk, const struct disk_bug *bug)
{
    disk->bug = bug;
}

bool disk_left_out(const struct disk *disk)
{
    return disk->left_out;
}

static void content_free(struct content *content)
{
    for (size_t i = 0; i < content->page_count; i++) free(content->pages[i]);
    free(content->pages);
}

void disk_destroy(struct disk **disk)
{
    if (!*disk) return;
    for (size_t i = 0; i < (*disk)->node_count; i++) {
        struct node *node = (*disk)->nodes[i];
        content_free(&node->content_now);
        content_free(&node->content_durable);
        free(node->calls);
        free(node->floors);
        free(node);
    }
    free(*disk);
    *disk = NULL;
}
