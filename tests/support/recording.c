#include "support/recording.h"

#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16, SKIPPED = 77 };

/* --- making one --- */

static void set(const char *name, const char *value)
{
    must(setenv(name, value, 1) == 0, "no room for %s", name);
}

static _Noreturn void become_recorded(const struct recorder *recorder, const char *library)
{
    char options[1024];
    char *arguments[ARGUMENTS_MAX + 2] = { "recorded" };
    must(recorder->argument_count <= ARGUMENTS_MAX, "too many arguments");
    for (size_t i = 0; i < recorder->argument_count; i++)
        memcpy(&arguments[i + 1], &recorder->arguments[i], sizeof *arguments);
    const char *asan = getenv("ASAN_OPTIONS");
    snprintf(options, sizeof options, "%s%sverify_asan_link_order=0", asan ? asan : "",
             asan ? ":" : "");
    set("ASAN_OPTIONS", options);
    set("LD_PRELOAD", library);
    set("WAGGLE_FILES_BELOW", recorder->below);
    if (recorder->log) set("WAGGLE_FILES_LOG", recorder->log);
    execv("/proc/self/exe", arguments);
    must(false, "cannot run this program again");
    abort();
}

int recorder_run(const struct recorder *recorder)
{
    const char *library = getenv("WAGGLE_PRELOAD_FILES");
    if (!library || access(library, R_OK) != 0) {
        puts("WAGGLE_PRELOAD_FILES does not name the library that records");
        exit(SKIPPED);
    }
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "no child");
    if (child == 0) become_recorded(recorder, library);
    must(waitpid(child, &status, 0) == child, "cannot wait for %d", (int)child);
    return status;
}

/* --- reading one --- */

static void read_whole(const char *path, void **bytes, size_t *size)
{
    struct stat status;
    int file = open(path, O_RDONLY);
    must(file >= 0 && fstat(file, &status) == 0, "cannot open %s", path);
    *size = (size_t)status.st_size;
    *bytes = allocate(*size, 1);
    for (size_t done = 0; done < *size;) {
        ssize_t got = read(file, (char *)*bytes + done, *size - done);
        must(got > 0, "cannot read %s", path);
        done += (size_t)got;
    }
    close(file);
}

/* Returns where the next one begins. */
static size_t read_record(const char *bytes, size_t at, struct recorded *out)
{
    memset(out, 0, sizeof *out);
    memcpy(&out->head, bytes + at, sizeof out->head);
    at += sizeof out->head;
    if (out->head.path_size > 0) out->path = bytes + at;
    at += out->head.path_size;
    if (out->head.second_size > 0) out->second = bytes + at;
    at += out->head.second_size;
    out->data = (const unsigned char *)bytes + at;
    return at + (size_t)out->head.data_size;
}

void recording_load(const char *log, struct recording *out)
{
    size_t size, count = 0;
    struct recorded one;
    read_whole(log, &out->bytes, &size);
    for (size_t at = 0; at < size; count++) at = read_record(out->bytes, at, &one);
    out->records = allocate(count, sizeof *out->records);
    out->count = count;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) at = read_record(out->bytes, at, &out->records[i]);
    must(at == size && count > 0, "%s is cut short, or empty", log);
}

void recording_free(struct recording *recording)
{
    free(recording->bytes);
    free(recording->records);
    memset(recording, 0, sizeof *recording);
}

void recorded_format(const struct recorded *record, char *text, size_t room)
{
    static const char *const names[] = {
        "open",   "mkdir", "read",   "write", "reserve", "truncate", "sync",
        "rename", "link",  "unlink", "rmdir", "map",     "mark",
    };
    const struct files_record *head = &record->head;
    const char *path = record->path ? record->path : "", *second = record->second;
    int size = snprintf(text, room, "%s%s%s%s%s", names[head->kind], *path ? " " : "", path,
                        second ? " " : "", second ? second : "");
    if (head->fd < 0 || size < 0 || (size_t)size >= room) return;
    snprintf(text + size, room - (size_t)size,
             " descriptor %" PRId32 ", %" PRIu64 " bytes at %" PRIu64 ", flags %#" PRIx32, head->fd,
             head->size, head->offset, head->flags);
}
