#pragma once
/* What the intercepted calls of the library share: which files are watched, the lock, the log, and
 * the decision that a call fails. Everything goes to the kernel by syscall, so that no function of
 * the C library, nor of a sanitizer, is needed before it is ready. */
#include "preload/files.h"

#include <stddef.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

enum { WATCH_PATH_SIZE = 1024 };

/* The path relative to the folder, as text; false: it is not below it. */
bool watch_path(int folder, const char *path, char *below);

/* Descriptors. Those of files whose contents are not recorded are watched too. */
bool watch_fd(int fd);
bool watch_is_recorded(int fd);
bool watch_is_synced(int fd); /* opened with O_DSYNC or O_SYNC */
bool watch_appends(int fd); /* opened with O_APPEND */
void watch_fd_opened(int fd, const char *below, int flags);
void watch_fd_closed(int fd);

/* Around a call: the lock. watch_end keeps errno and returns what it is given. */
void watch_begin(void);
long watch_end(long result);

/* Whether this call must fail now, errno being set then. detail: flags of an open, bytes of a
 * write, else 0. */
bool watch_refuses(enum files_kind kind, uint64_t detail);
/* The same for a write: how many of the size bytes are to be written; -1: none, and it fails. */
ssize_t watch_allows(size_t size);

void watch_log(const struct files_record *record, const char *path, const char *second,
               const void *data);
void watch_sync_delay(void);

_Noreturn void watch_die(const char *why, const char *what);

#pragma GCC visibility pop
