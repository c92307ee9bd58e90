#pragma once
/* A line on standard error that says how far a long job is, how fast, and how long it will take;
 * nothing where standard error is no terminal, or JSON is asked for. */
#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *verb; /* "importing" */
    const char *unit; /* "points" */
    bool shown;
    double start, drawn; /* seconds */
    uint64_t base;       /* done before the start: not part of the rate */
};

void progress_begin(struct progress *progress, const char *verb, const char *unit, uint64_t base);
/* fraction: of the whole job, 0 to 1; below 0: not known. Cheap: draws ten times a second. */
void progress_update(struct progress *progress, uint64_t done, double fraction);
void progress_end(struct progress *progress); /* removes the line */
