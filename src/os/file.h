#pragma once
/* Files and folders: the store's only way to the disk. Every error names the path and what was
 * tried: WG_ENOTFOUND, WG_EEXISTS, WG_EREADONLY, WG_ENOSPC, or WG_EIO for the others. Reads and
 * writes are whole or an error, and go on after a signal. Calls on different files from any thread;
 * on one file, reads beside one write. */
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file {
    char *path; /* NULL: not open */
    int fd;
};

enum file_mode {
    FILE_READ,      /* must exist */
    FILE_READ_WRITE, /* must exist */
    FILE_CREATE, /* is made; one that exists is emptied */
    FILE_KEEP    /* is made, or opened as it is */
};

WG_CHECKED wg_err file_open(const char *path, enum file_mode mode, struct file *out);
void file_close(struct file *file); /* one that is not open is fine */
/* Gives the handle back and keeps the path, for messages. */
void file_release(struct file *file);

/* WG_ECORRUPT when the file ends before offset + size. */
WG_CHECKED wg_err file_read_at(const struct file *file, void *bytes, size_t size, uint64_t offset);
WG_CHECKED wg_err file_write_at(const struct file *file, const void *bytes, size_t size,
                                uint64_t offset);
/* The file is at least size bytes long, and none of its writes below that lacks space later: where
 * the disk can promise that, not on one that copies on write. */
WG_CHECKED wg_err file_reserve(const struct file *file, uint64_t size);
WG_CHECKED wg_err file_size(const struct file *file, uint64_t *out);

/* What was written is on the disk. The first failure is final: what a later sync says means
 * nothing (Rebello et al., "Can applications recover from fsync failures?", ATC 2020). */
WG_CHECKED wg_err file_sync(const struct file *file);
/* Begins to write a range out and does not wait; a hint, without an error. */
void file_flush_begin(const struct file *file, uint64_t offset, uint64_t size);

/* Other processes are kept out until the file is closed: all of them, or only writers. WG_EBUSY. */
WG_CHECKED wg_err file_lock(const struct file *file, bool exclusive);

/* size bytes from offset on, a multiple of 65,536, read-only; touching them beyond the file's end
 * is SIGBUS. Outlives the file. */
WG_CHECKED wg_err file_map(const struct file *file, uint64_t offset, size_t size, const void **out);
/* Readies its pages, where the system can: who touches them first does not wait. */
void file_map_populate(const void *map, size_t size);
void file_unmap(const void **map, size_t size);

WG_CHECKED wg_err file_remove(const char *path);
/* Removes it if that can be done; wg_message() stays as it is. */
void file_discard(const char *path);

WG_CHECKED wg_err folder_create(const char *path); /* WG_EEXISTS also for a file of that name */
WG_CHECKED wg_err folder_sync(const char *path); /* its names are on the disk */
bool folder_exists(const char *path);
bool file_exists(const char *path); /* and is no folder */
bool folder_writable(const char *path);
bool folder_free(const char *path); /* nothing is there, or an empty folder */
/* Removes the folder and the files in it, and so on below. */
WG_CHECKED wg_err folder_remove(const char *path);
/* Names in no order, without "." and ".."; false ends it. */
WG_CHECKED wg_err folder_list(const char *path, bool (*visit)(void *user, const char *name),
                              void *user);
/* Bytes allocated on the disk by the files in the folder and below. */
WG_CHECKED wg_err folder_disk_bytes(const char *path, uint64_t *out);
/* A new empty folder in memory, or where temporary files go; its name begins with prefix. *out is
 * the caller's, freed by mem_free. */
WG_CHECKED wg_err folder_create_temporary(const char *prefix, char **out);
/* Where it makes them; static. */
const char *folder_of_temporary(void);

/* The same for every name of a file or folder, and for no other one on this machine. */
struct file_identity {
    uint64_t device, file;
};
WG_CHECKED wg_err file_identify(const char *path, struct file_identity *out);

/* Another name for the same file. WG_EIO where the disk cannot do that. */
WG_CHECKED wg_err file_link(const char *from, const char *to);
/* Replaces to in one step; both are on one disk. */
WG_CHECKED wg_err file_rename(const char *from, const char *to);

/* What an ordinary user may still write where path is. */
WG_CHECKED wg_err disk_free_bytes(const char *path, uint64_t *out);

/* "a/b" of "a" and "b"; *out is the caller's, freed by mem_free. */
WG_CHECKED wg_err path_join(const char *folder, const char *name, char **out);
