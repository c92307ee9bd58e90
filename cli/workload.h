#pragma once
/* What benchmarks search: rows and queries of random numbers in memory, and timed searches of them,
 * in the array (wg_knn) or as a collection in memory, where rows have codes. One thread. */
#include "cli/session.h"

#include <stddef.h>
#include <stdint.h>

enum workload_pages { PAGES_ANY, PAGES_SMALL, PAGES_LARGE };

/* Zero is an empty workload. */
struct workload {
    float *rows, *queries; /* row-major, dim apart; rows begin at a multiple of 2 MiB */
    size_t row_count, query_count, dim, k;
    wg_metric metric;
    uint64_t *found_rows; /* query_count x k, of the latest search */
    float *found_scores;
    void *memory; /* rows stand in */
    size_t memory_size;
};

struct workload_size {
    size_t row_count, query_count, dim, k;
    uint64_t seed;
    enum workload_pages pages;
};

/* WG_ENOMEM: the system has no room for the rows. WG_ECANCELLED. */
WG_CHECKED wg_err workload_make(const struct workload_size *size, struct workload *out);
void workload_free(struct workload *workload);

/* Bytes of the rows' memory that are in large pages; 0 where the system does not say. */
size_t workload_large_bytes(const struct workload *workload);

/* One call for the first query_count queries against the first row_count rows. */
WG_CHECKED wg_err workload_search(wg_context *context, const struct workload *workload,
                                  size_t row_count, size_t query_count, double *seconds);

/* Over the rows and scores that the latest search found for so many queries. */
uint64_t workload_hash(const struct workload *workload, size_t query_count);

/* Share of the found rows that belong to the k nearest, for sample queries, evenly spaced, of
 * query_count: by scores in float64, computed here. Each row counts once. WG_ECANCELLED. */
WG_CHECKED wg_err workload_recall(const struct workload *workload, size_t query_count,
                                  size_t sample, double *recall);

/* The rows of a workload as a collection in memory. Zero is none. */
struct workload_store {
    wg_store *store;
    wg_collection *collection;
    wg_searcher *searcher;
    size_t row_count; /* so far */
    uint64_t code_bytes;
};

/* Of the workload's dim and metric, without rows. */
WG_CHECKED wg_err workload_store_open(wg_context *context, const struct workload *workload,
                                      struct workload_store *out);
/* Appends rows until there are row_count, and waits for their codes; *coded tells whether they have
 * some. WG_ECANCELLED. */
WG_CHECKED wg_err workload_store_grow(struct workload_store *store, const struct workload *workload,
                                      size_t row_count, bool *coded);
/* As workload_search, of all rows there are. */
WG_CHECKED wg_err workload_store_search(struct workload_store *store,
                                        const struct workload *workload, size_t query_count,
                                        double *seconds);
/* Searches until a device answers for some of the rows, for at most a few seconds: its self-test
 * and its copy of the rows are made in the background. *answers tells whether one does. */
WG_CHECKED wg_err workload_store_meet_device(struct workload_store *store,
                                             const struct workload *workload, bool *answers);
void workload_store_close(struct workload_store *store);
