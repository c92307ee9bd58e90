#pragma once
/* A library to be loaded with LD_PRELOAD, which stands between a process and its files below one
 * folder. It can record what the process does to them, and make calls fail. Without the first of
 * these variables in the environment it does nothing.
 *
 *   WAGGLE_FILES_BELOW=FOLDER   the folder, which must be there
 *   WAGGLE_FILES_LOG=FILE       record into this file, outside of the folder
 *   WAGGLE_FILES_SYNC_US=N      every sync takes N microseconds longer, as on a disk
 *   WAGGLE_FILES_FAIL=N:ERROR   the N-th call fails with ERROR: a number, or EIO, ENOSPC, EDQUOT,
 *                               EINTR, EMFILE, ENFILE, ENOMEM, EACCES, EROFS; or "short": half is
 *                               written. N is 0: none does, they are only counted
 *   WAGGLE_FILES_FAIL=N:ERROR:on  and every one after it
 *   WAGGLE_FILES_KINDS=A,B      calls of these kinds only: open mkdir read write reserve truncate
 *                               sync rename link unlink rmdir map
 *   WAGGLE_FILES_COUNT=FILE     at exit: how many calls could have failed so, how many did
 *
 * Calls are counted from 1, and only those that may give the error: EINTR comes from reads, writes,
 * truncation, preallocation and syncs, "short" from writes of two bytes or more, EMFILE from open,
 * ENOSPC from what may need room, and so on. A driver runs its work with N = 1, 2, 3... until the
 * count stays below N. Within the process the functions below do the same.
 *
 * All calls on files of the folder, and their records, are made one at a time, so that the order of
 * the log is the order in which they took effect. What it cannot follow ends the process with a
 * message: writing through a shared mapping, duplicated descriptors, stdio, O_TMPFILE. Calls that
 * copy within the kernel (copy_file_range, sendfile, FICLONE) are refused, as by a kernel without
 * them. The contents of files named lock and lock.mdb are not recorded: nothing in them outlives
 * the processes that have them open. */
#include <stdbool.h>
#include <stdint.h>

enum files_kind {
    FILES_OPEN,
    FILES_MKDIR,
    FILES_READ, /* not recorded */
    FILES_WRITE,
    FILES_RESERVE,
    FILES_TRUNCATE,
    FILES_SYNC,
    FILES_RENAME,
    FILES_LINK,
    FILES_UNLINK,
    FILES_RMDIR,
    FILES_MAP, /* not recorded */
    FILES_KIND_COUNT,
    FILES_MARK = FILES_KIND_COUNT /* recorded only */
};

/* One call that succeeded, or a mark. Behind it in the log: path and second, each with its 0, then
 * the data. Paths are relative to the folder, which itself is "". */
struct files_record {
    uint32_t kind;
    int32_t fd; /* -1: by path */
    uint32_t flags; /* open: as given */
    uint16_t path_size, second_size; /* the 0 included; 0: none */
    uint64_t offset, size; /* sync: of this range only, as O_DSYNC does; size 0: of all */
    uint64_t data_size; /* write: size; else 0 */
};

enum { FILES_SHORT = -1 }; /* as an error */

struct files_fault {
    uint64_t first; /* this call fails, counted from now on; 0: none */
    int error; /* of errno.h, or FILES_SHORT */
    bool go_on; /* every call after it as well; not with EINTR */
    uint32_t kinds; /* a bit for each files_kind; 0: all */
};

/* What a process that runs with the library finds by dlsym(RTLD_DEFAULT, "files_mark"), and so on.
 */
typedef void files_mark_fn(const char *text); /* puts a mark into the log */
typedef void files_fail_fn(const struct files_fault *fault); /* NULL: no more failures */
/* Since the latest files_fail: calls that could fail so, and those that did. */
typedef void files_count_fn(uint64_t *calls, uint64_t *failed);
