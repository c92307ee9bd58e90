#pragma once
/* Searching a collection. A searcher owns the memory that its searches need and their results; what
 * searches need that are gathered into one scan belongs to the collection. So a warmed one
 * allocates nothing, but for files that it was the last to use: another thread removes them. One
 * thread at a time uses a searcher; each thread makes its own. */
#include "waggle/collection.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wg_searcher wg_searcher;

WG_API WG_CHECKED wg_err wg_searcher_create(wg_collection *collection, wg_searcher **out);
/* *searcher may be NULL, and is NULL afterwards. */
WG_API void wg_searcher_destroy(wg_searcher **searcher);

typedef struct wg_search_params {
    size_t size;
    union {
        const float *queries; /* query_count x dim, row-major; borrowed for the call */
        const void *data; /* the same, of the type below: query_count vectors */
    };
    size_t query_count; /* 0 is fine */
    size_t dim; /* of the queries, checked against the collection's */
    size_t k; /* hits for each query, at least 1; default 10 */
    unsigned with; /* a sum of WG_WITH_*: what hits carry besides id and score */
    uint64_t timeout_ms; /* 0: none */
    const wg_cancel *cancel; /* may be NULL */
    float threshold; /* the worst score of a hit: cosine and dot at least this, distances at most;
                        NaN, the default: any. With a large k, all points within a radius */
    wg_type type; /* of data: WG_F32, the default, which is never rounded to the collection's type
                     (but against bits has to be 0 or 1), or the collection's */
} wg_search_params;

#define wg_search_params_init(params) wg_search_params_init_sized((params), sizeof *(params))
WG_API void wg_search_params_init_sized(wg_search_params *params, size_t size);

typedef struct wg_hit {
    wg_id id;
    float score; /* the metric's own value */
    bool changed; /* with payloads: written again since; the payload is then the newer one */
    union {
        const float *vector; /* dim, as stored, of a collection of f32; NULL when not asked for */
        const void *data; /* the same pointer, of any type */
    };
    const char *payload; /* a JSON object; NULL when not asked for, or the point is gone since */
} wg_hit;

/* Exact: for each query the k best of all points that were acknowledged when the call began, best
 * first, equal scores in the order in which the points were written. Fewer than k hits only when
 * there are fewer points, or fewer within the threshold. WG_EINVAL, WG_EDIM, WG_ETIMEOUT,
 * WG_ECANCELLED, WG_ENOMEM, WG_ECORRUPT (the id of a hit is none), and with payloads WG_EIO. After
 * an error the searcher has no hits. */
WG_API WG_CHECKED wg_err wg_searcher_run(wg_searcher *searcher, const wg_search_params *params);

/* Hits of one query of the latest run, *count of them; valid until the searcher's next run, its
 * next hits or its destruction. NULL and 0 when query is not below that run's query_count. */
WG_API const wg_hit *wg_searcher_hits(const wg_searcher *searcher, size_t query, size_t *count);

typedef struct wg_next_params {
    size_t size;
    size_t count; /* hits at most, at least 1; default 10 */
    uint64_t timeout_ms; /* 0: none */
    const wg_cancel *cancel; /* may be NULL */
} wg_next_params;

#define wg_next_params_init(params) wg_next_params_init_sized((params), sizeof *(params))
WG_API void wg_next_params_init_sized(wg_next_params *params, size_t size);

/* The hits behind those that were returned last, for the one query of the latest run: in the same
 * order, of the same points, however much is written meanwhile. So one can go through all of them
 * without knowing how many are wanted; none comes twice or is left out. wg_searcher_hits(searcher,
 * 0, &count) then has these hits in the place of those before: fewer than asked for only where the
 * points end, or those within the threshold; none behind that. What hits carry is as in the run.
 *
 * Most calls scan nothing: each scan finds twice as many hits as the one before, which take 12
 * bytes each, and in the context 16 more for each thread that scanned. Files that compaction would
 * remove are kept until the next run, or the searcher's end. WG_EINVAL: count is 0, the latest run
 * failed, there was none, or it had not one query. Other errors are as of wg_searcher_run; there
 * are no hits then, and the same call can be made again: nothing was skipped. */
WG_API WG_CHECKED wg_err wg_searcher_next(wg_searcher *searcher, const wg_next_params *params);

/* How the latest run was answered, or the latest scan for its next hits. */
typedef struct wg_search_report {
    size_t size;
    char device[160]; /* backend and name of the device that answered */
    char reason[160]; /* why that one */
    uint64_t sequence; /* of the commit that was searched */
    uint64_t row_count; /* rows in it, dead ones included */
    uint64_t device_row_count; /* of these, scanned by the device; the CPU scanned the others */
    bool fell_back; /* the device failed and the CPU answered in its place */
    uint64_t elapsed_us;
} wg_search_report;

#define wg_search_report_init(report) wg_search_report_init_sized((report), sizeof *(report))
WG_API void wg_search_report_init_sized(wg_search_report *report, size_t size);
WG_API WG_CHECKED wg_err wg_searcher_report(const wg_searcher *searcher, wg_search_report *report);

#ifdef __cplusplus
}
#endif
