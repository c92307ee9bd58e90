#pragma once
/* What disk.c and disk_crash.c share: files, folders, and what is not durable of them. */
#include "support/disk.h"

enum {
    DISK_PAGE = 4096,
    DISK_SECTOR = 512,
    DISK_NAME_SIZE = 64,
    DISK_NAMES_MAX = 64, /* in a folder */
    DISK_NODES_MAX = 4096,
    DISK_CHANGES_MAX = 1024,
    DISK_FDS_MAX = 1024
};

struct page {
    unsigned char bytes[DISK_PAGE];
};

struct content {
    struct page **pages; /* NULL: zeros */
    size_t page_count;
    uint64_t size;
};

/* A write, or without data: zeros; and the size that the file has then. */
struct call {
    uint64_t offset, size;
    const unsigned char *data;
    uint64_t size_after;
};

struct names {
    size_t count;
    struct {
        char text[DISK_NAME_SIZE];
        struct node *node;
    } list[DISK_NAMES_MAX];
};

/* A file or a folder. */
struct node {
    uint32_t number;
    bool is_folder;
    uint32_t good_syncs; /* of a bug: so many have been done */
    struct names names_now, names_durable;
    struct content content_now, content_durable;
    struct call *calls; /* since content_durable */
    size_t call_count, call_room;
    uint32_t *floors; /* by page: so many of the calls are durable there */
    size_t floor_count;
    size_t size_floor; /* and so many of the size's */
};

/* A name that is not durable yet. */
struct change {
    uint64_t serial;
    struct node *folder;
    char name[DISK_NAME_SIZE];
    struct node *node; /* NULL: the name goes */
    struct node *from; /* of a rename; else NULL */
    char from_name[DISK_NAME_SIZE];
};

struct disk {
    struct node *root;
    struct node *nodes[DISK_NODES_MAX];
    size_t node_count;
    struct change changes[DISK_CHANGES_MAX]; /* in order */
    size_t change_count;
    uint64_t change_serial;
    struct {
        struct node *node;
        const char *path; /* that it was opened by */
    } fds[DISK_FDS_MAX];
    const struct disk_bug *bug; /* NULL: none */
    bool left_out; /* a sync, by the bug */
};

struct node *names_find(const struct names *names, const char *name);
void names_set(struct names *names, const char *name, struct node *node);
void names_remove(struct names *names, const char *name);
/* Does what the change means for the names of this folder. */
void change_apply(const struct change *change, const struct node *folder, struct names *names);

struct page *content_page(struct content *content, size_t index); /* made when it is not there */
/* Writes what the call does to the bytes of the file between from and to. */
void call_apply(const struct call *call, uint64_t from, uint64_t to, unsigned char *bytes);
