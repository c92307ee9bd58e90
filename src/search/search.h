#pragma once
/* One search, from a plan to the answer:
 *
 *   plan     which proposer answers, and on which device
 *   propose  the best of the rows that it covers
 *   tail     the best of the rows behind them, scanned on the CPU
 *   merge    both, by (score, row)
 *
 * The only proposer so far is the flat index, whose scores are canonical: nothing is rescored.
 *
 * A search is one thread's; it owns all memory that it needs, and keeps it for the next run. */
#include "index/flat/residency.h"

struct search;

WG_CHECKED wg_err search_create(struct device_set *devices, struct search **out);
void search_destroy(struct search **search);

struct search_request {
    const struct source *source;
    struct residency *residency; /* NULL: on the CPU alone */
    enum metric metric;
    const void *queries; /* as in struct scan; components checked */
    size_t query_count;
    size_t k; /* at least 1; no more than there are rows are found */
    bool limited; /* rows whose score (for dot: negated) is above limit are not found */
    float limit;
    struct stop stop;
};

/* Borrowed from the search until its next run. */
struct search_answer {
    size_t query_count, k;     /* k is at most the number of rows */
    const uint64_t *rows;      /* query_count x k, best first; WG_NO_ROW: no more */
    const float *scores;       /* canonical */
    struct slot *slot;         /* that answered */
    const char *reason;        /* static */
    uint64_t device_row_count; /* scanned by the slot; the CPU scanned the others */
    bool fell_back;
    bool uncovered; /* a device is ready and holds none of the rows: residency_cover would help */
};

/* WG_ENOMEM, WG_ETIMEOUT, WG_ECANCELLED; a device's own error only when falling back to the CPU is
 * switched off. */
WG_CHECKED wg_err search_run(struct search *search, const struct search_request *request,
                             struct search_answer *out);

/* Room for the answer to this request, so that search_take needs none. WG_ENOMEM. */
WG_CHECKED wg_err search_fit(struct search *search, const struct search_request *request);
/* A request's part of the answer to a larger one, copied: from answers at least as many hits of
 * each query, within a limit that is no stricter, and the request's queries stand in it from
 * query_first on. The search was fitted to the request. */
void search_take(struct search *search, const struct search_request *request,
                 const struct search_answer *from, size_t query_first, struct search_answer *out);
