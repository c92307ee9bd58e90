#pragma once
/* Single queries of one collection that arrive while a scan is under way, gathered: the next scan
 * answers all of them, for less than the time of one each (32 of them for that of seven). Whoever
 * finds no scan under way begins one at once; the others sleep until they are answered, or are told
 * to lead the next scan. (The searches' part of what store/group.h does for writes.)
 *
 * Each gets the bits that he would have got alone, of a source at least as new as his own. A call
 * whose deadline passes, or that is cancelled, leaves by itself: when it was leading, the others'
 * scan is begun again. A scan that fails for another reason, too, fails for its leader only.
 *
 * Any thread. */
#include "os/thread.h"
#include "search/search.h"

struct gather;

/* Components of rows: 16 MiB of them as f32. A scan of a quarter of that is over before a sleeper
 * is awake: 32 callers of 8,400 x 128 got as many answers from a core gathered as apart, of
 * 33,000 x 128 1.6 times, of 100,000 x 128 4.8 times as many. */
enum { GATHER_COMPONENTS_MIN = 4 << 20 };

struct gather_params {
    struct device_set *devices;
    enum row_type type; /* of the rows */
    size_t dim;
    uint64_t components_min; /* of rows: over fewer, calls search by themselves */
    size_t lane_count; /* scans at once; 0: as many as use every processor */
    /* Keeps a source that another call brought: one more counted reference. */
    void (*retain)(const struct source *source);
};

WG_CHECKED wg_err gather_create(const struct gather_params *params, struct gather **out);
/* No call is under way. */
void gather_destroy(struct gather **gather);

enum gather_turn { GATHER_WAITS, GATHER_LEADS, GATHER_ANSWERED };

struct gather_list;
struct lane;

/* One caller's, reused from call to call. */
struct gather_call {
    struct search *search; /* the caller's own: it holds the answer */
    struct search_request request; /* of the residency and metric that all calls have. source: the
                                      caller's reference; it may be replaced by the retained one of
                                      another that was searched, also when the call fails */
    /* The gather's own. */
    struct gather_call *after;
    struct gather_list *in; /* guarded by the gather's mutex: the list it stands in; NULL: none */
    struct lane *lane; /* to lead in; written before it is told */
    size_t query_first; /* of the lane's scan: its first query */
    struct search_answer answer;
    struct mutex mutex;
    struct condition told;
    enum gather_turn turn; /* guarded by mutex */
};

/* The rest of it is zero. */
void gather_call_init(struct gather_call *call);
void gather_call_fini(struct gather_call *call);

/* As search_run of the call's own search, whose errors it has. Large calls, and those over so few
 * rows that a scan is over before a sleeper is awake, search by themselves. */
WG_CHECKED wg_err gather_search(struct gather *gather, struct gather_call *call,
                                struct search_answer *out);
/* Calls that wait for a scan of theirs to begin. */
size_t gather_waiting_count(struct gather *gather);
