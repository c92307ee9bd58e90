#pragma once
/* What a process did to its files, as tests/preload/files.h wrote it down. */
#include "preload/files.h"

#include <stddef.h>

struct recorded {
    struct files_record head;
    const char *path, *second; /* NULL: none */
    const unsigned char *data;
};

struct recording {
    void *bytes; /* what the others point into */
    struct recorded *records;
    size_t count;
};

/* Runs this program again with the library of tests/preload/files.h and the given arguments, and
 * waits for its end. Returns its status as waitpid does. Ends the process with code 77 when the
 * library was not built. */
struct recorder {
    const char *below; /* the folder whose files are watched */
    const char *log; /* NULL: nothing is recorded */
    const char *const *arguments;
    size_t argument_count;
};
int recorder_run(const struct recorder *recorder);

/* Fails as a must_ check does. */
void recording_load(const char *log, struct recording *out);
void recording_free(struct recording *recording);
/* For people. */
void recorded_format(const struct recorded *record, char *text, size_t room);
