#pragma once
/* The copy of a space's rows on a device that has a memory of its own: a cache that covers a prefix
 * of the rows, if they are f32. A search scans what is covered there and the others on the CPU;
 * losing the copy costs speed, never an answer. Any thread. */
#include "index/source.h"

struct residency;

WG_CHECKED wg_err residency_create(struct device_set *devices, size_t dim, struct residency **out);
/* No search may be under way in it. */
void residency_destroy(struct residency **residency);

/* Copies the rows that are not covered yet to the device that is preferred now; with none but the
 * CPU there is nothing to do. After an error the copy covers what it did, or nothing. */
WG_CHECKED wg_err residency_cover(struct residency *residency, const struct source *source);

/* The right to scan a source's first row_end rows on the slot: rows and mask stay until its end. */
struct lease {
    struct slot *slot; /* NULL: scan on the CPU */
    struct rows *rows;
    const struct mask *mask;
    uint64_t row_end;
    const char *reason; /* for the slot, or for the CPU; static */
    bool uncovered; /* a device is ready, but holds none of the rows */
};

/* Never waits for an upload. An error is the device's own, and then out leases nothing; it
 * counts as a fallback, for the CPU can still answer. */
WG_CHECKED wg_err residency_lease(struct residency *residency, const struct source *source,
                                  struct lease *out);
void residency_return(struct residency *residency, struct lease *lease);
