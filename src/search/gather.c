#include "search/gather.h"

#include "base/mem.h"
#include "device/row.h"
#include "os/machine.h"

#include <string.h>

enum {
    CALL_QUERIES_MAX = 8, /* a call of more is a tile by itself */
    CALL_K_MAX = 1024, /* more hits than that are a heavy scan for those who want few */
    SCAN_QUERIES_MAX = 128,
    SCAN_BYTES_MAX = 1 << 20, /* of queries, which are copied with the mutex held */
    SCAN_ITEMS_MAX = 128 * 1024, /* hits */
    LANES_MAX = 64,
};

static const uint64_t look_ns = 5 * UINT64_C(1000000); /* how often a sleeper looks at his flag */

struct gather_list {
    struct gather_call *first, **last;
};

/* A scan under way: the leader's call, and the group that it answers as well. */
struct lane {
    bool busy;
    struct search *search;
    char *queries; /* room for those of one scan; NULL before the first that was gathered */
    struct gather_list group;
};

struct gather {
    struct gather_params params;
    size_t query_size; /* bytes */
    struct mutex mutex; /* guards what follows, but for what a busy lane's leader uses alone */
    struct gather_list waiting; /* oldest first */
    size_t lane_count; /* where the pool is smaller than the machine, callers are its threads */
    struct lane *lanes;
};

/* --- lists --- */

static void list_init(struct gather_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_append(struct gather_list *list, struct gather_call *call)
{
    call->after = NULL;
    call->in = list;
    *list->last = call;
    list->last = &call->after;
}

static void list_remove(struct gather_call *call)
{
    struct gather_list *list = call->in;
    struct gather_call **at = &list->first;
    while (*at != call) at = &(*at)->after;
    *at = call->after;
    if (!*at) list->last = at;
    call->in = NULL;
}

/* --- creation --- */

/* So many scans at once use every processor; more would share them. All scans share the pool's
 * threads, of which one is each caller's own. */
static size_t lane_count_of(struct device_set *devices)
{
    size_t threads = device_set_thread_count(devices), processors = processor_count();
    size_t count = processors > threads ? processors - threads + 1 : 1;
    return count < LANES_MAX ? count : LANES_MAX;
}

wg_err gather_create(const struct gather_params *params, struct gather **out)
{
    wg_err err = WG_OK;
    struct gather *g = NULL;
    size_t lane_count = params->lane_count ? params->lane_count : lane_count_of(params->devices);
    TRY(mem_resize(&g, 1));
    *g = (struct gather){ .params = *params, .query_size = query_size(params->type, params->dim) };
    mutex_init(&g->mutex);
    list_init(&g->waiting);
    TRY(mem_resize(&g->lanes, lane_count));
    for (; g->lane_count < lane_count; g->lane_count++) {
        struct lane *lane = &g->lanes[g->lane_count];
        *lane = (struct lane){ 0 };
        list_init(&lane->group);
        TRY(search_create(params->devices, &lane->search));
    }
    *out = g;
    g = NULL; /* moved */
out:
    gather_destroy(&g);
    return err;
}

void gather_destroy(struct gather **gather)
{
    struct gather *g = *gather;
    if (!g) return;
    for (size_t i = 0; i < g->lane_count; i++) {
        search_destroy(&g->lanes[i].search);
        mem_free(&g->lanes[i].queries);
    }
    mem_free(&g->lanes);
    mutex_fini(&g->mutex);
    mem_free(gather);
}

void gather_call_init(struct gather_call *call)
{
    mutex_init(&call->mutex);
    condition_init(&call->told);
}

void gather_call_fini(struct gather_call *call)
{
    condition_fini(&call->told);
    mutex_fini(&call->mutex);
}

/* --- what is gathered --- */

static bool is_worth_it(const struct gather *g, const struct search_request *request)
{
    return request->query_count >= 1 && request->query_count <= CALL_QUERIES_MAX &&
           request->k <= CALL_K_MAX &&
           request->source->row_count * g->params.dim >= g->params.components_min;
}

/* Queries of one scan; a single call always fits. */
static size_t room_of(const struct gather *g)
{
    size_t room = SCAN_BYTES_MAX / g->query_size;
    if (room < CALL_QUERIES_MAX) return CALL_QUERIES_MAX;
    return room < SCAN_QUERIES_MAX ? room : SCAN_QUERIES_MAX;
}

/* Makes all search what the scan will: its source, the largest k, the loosest limit. */
static void widen(struct search_request *scan, const struct search_request *by)
{
    if (by->source->moment > scan->source->moment) scan->source = by->source;
    if (by->k > scan->k) scan->k = by->k;
    if (by->limit > scan->limit) scan->limit = by->limit;
    scan->limited = scan->limited && by->limited;
}

static void add_queries(const struct gather *g, struct lane *lane, struct gather_call *call,
                        struct search_request *scan)
{
    const struct search_request *request = &call->request;
    call->query_first = scan->query_count;
    memcpy(lane->queries + scan->query_count * g->query_size, request->queries,
           request->query_count * g->query_size);
    scan->query_count += request->query_count;
}

static bool fits(const struct gather *g, const struct search_request *scan,
                 const struct search_request *request)
{
    size_t count = scan->query_count + request->query_count;
    size_t k = scan->k > request->k ? scan->k : request->k;
    return count <= room_of(g) && count * k <= SCAN_ITEMS_MAX;
}

/* The call's source becomes the scan's. The caller lets go of the one before. */
static void adopt_source(const struct gather *g, struct gather_call *call,
                         const struct source *source)
{
    if (call->request.source == source) return;
    g->params.retain(source);
    call->request.source = source;
}

/* With the mutex held: the oldest of those who wait join the leader's scan. */
static void take_group(struct gather *g, struct lane *lane, struct gather_call *leader,
                       struct search_request *scan)
{
    scan->queries = lane->queries;
    scan->query_count = 0;
    add_queries(g, lane, leader, scan);
    for (struct gather_call *call; (call = g->waiting.first) != NULL;) {
        if (!fits(g, scan, &call->request)) break;
        widen(scan, &call->request);
        add_queries(g, lane, call, scan);
        list_remove(call);
        list_append(&lane->group, call);
    }
    adopt_source(g, leader, scan->source);
}

/* --- a scan and its end --- */

/* With the mutex held: everybody's part of the answer, in memory of his own, and a reference to the
 * source of the scan, which the leader has kept; not before, for after a scan that failed another
 * source may be searched. */
static void hand_out(const struct gather *g, struct lane *lane, const struct source *source,
                     const struct search_answer *answer)
{
    for (struct gather_call *call = lane->group.first; call; call = call->after) {
        adopt_source(g, call, source);
        search_take(call->search, &call->request, answer, call->query_first, &call->answer);
        call->in = NULL;
    }
}

/* With the mutex held: those whose scan failed are again the first who wait. */
static void give_back(struct gather *g, struct lane *lane)
{
    struct gather_list *group = &lane->group;
    if (!group->first) return;
    for (struct gather_call *call = group->first; call; call = call->after) call->in = &g->waiting;
    *group->last = g->waiting.first;
    if (!g->waiting.first) g->waiting.last = group->last;
    g->waiting.first = group->first;
}

/* Whether a's deadline is behind b's; of equal ones, whether only b can be cancelled. */
static bool outlasts(const struct stop *a, const struct stop *b)
{
    uint64_t a_end = a->deadline_ns - 1, b_end = b->deadline_ns - 1; /* none becomes the latest */
    return a_end > b_end || (a_end == b_end && !a->cancelled && b->cancelled);
}

/* With the mutex held: who leads next; he waits no more. The one who will stay longest, so that a
 * deadline ends no scan that others need; the oldest of equals. */
static struct gather_call *next_leader(struct gather *g)
{
    struct gather_call *next = g->waiting.first;
    for (struct gather_call *call = next; call; call = call->after)
        if (outlasts(&call->request.stop, &next->request.stop)) next = call;
    if (next) list_remove(next);
    return next;
}

static void tell(struct gather_call *call, enum gather_turn turn)
{
    mutex_lock(&call->mutex);
    call->turn = turn;
    condition_signal(&call->told); /* with the mutex held: the call may be gone once it is free */
    mutex_unlock(&call->mutex);
}

/* Ends the lead, or hands it on. answer: of the source, to the whole scan; NULL when it failed. */
static void end_lead(struct gather *g, struct lane *lane, const struct source *source,
                     const struct search_answer *answer)
{
    mutex_lock(&g->mutex);
    if (answer)
        hand_out(g, lane, source, answer);
    else
        give_back(g, lane);
    struct gather_call *told = answer ? lane->group.first : NULL;
    list_init(&lane->group);
    struct gather_call *next = next_leader(g);
    lane->busy = next != NULL;
    if (next) next->lane = lane;
    mutex_unlock(&g->mutex);
    if (next) tell(next, GATHER_LEADS); /* first: nothing scans until he does */
    while (told) {
        struct gather_call *call = told;
        told = call->after; /* a call is gone when its thread knows */
        tell(call, GATHER_ANSWERED);
    }
}

/* What the lane scans: the leader's queries where they are, or copied, with those of a group.
 * false: he is alone, or there was no memory for more. */
static bool begin_scan(struct gather *g, struct lane *lane, struct gather_call *leader,
                       struct search_request *scan)
{
    *scan = leader->request;
    mutex_lock(&g->mutex);
    bool gathered = g->waiting.first != NULL;
    if (gathered && !lane->queries) {
        mutex_unlock(&g->mutex);
        gathered = mem_resize(&lane->queries, room_of(g) * g->query_size) == WG_OK;
        mutex_lock(&g->mutex);
    }
    if (gathered) take_group(g, lane, leader, scan);
    mutex_unlock(&g->mutex);
    return gathered;
}

static bool is_of_memory(wg_err err)
{
    return err == WG_ENOMEM || err == WG_EDEVICEMEMORY;
}

/* With a busy lane this thread's own. */
static wg_err lead(struct gather *g, struct lane *lane, struct gather_call *call)
{
    struct search_request scan;
    struct search_answer whole = { 0 };
    bool gathered = false;
    wg_err err = stop_check(&call->request.stop);
    if (err == WG_OK) {
        gathered = begin_scan(g, lane, call, &scan);
        if (gathered) err = search_run(lane->search, &scan, &whole);
    }
    bool answered = gathered && err == WG_OK;
    if (answered)
        search_take(call->search, &call->request, &whole, call->query_first, &call->answer);
    else if (err == WG_OK || (gathered && is_of_memory(err))) /* alone it may be enough */
        err = search_run(call->search, &call->request, &call->answer);
    end_lead(g, lane, call->request.source, answered ? &whole : NULL);
    return err;
}

/* --- a call --- */

/* When a sleeper looks whether he should stop; 0: never. */
static uint64_t next_look(const struct stop *stop)
{
    uint64_t look = stop->cancelled ? clock_ns() + look_ns : stop->deadline_ns;
    return stop->deadline_ns != 0 && stop->deadline_ns < look ? stop->deadline_ns : look;
}

/* Until the call is told its turn, or should stop. NULL: whatever happens. */
static wg_err sleep_until_told(struct gather_call *call, const struct stop *stop)
{
    wg_err err = WG_OK;
    mutex_lock(&call->mutex);
    while (call->turn == GATHER_WAITS && err == WG_OK) {
        uint64_t look = stop ? next_look(stop) : 0;
        if (look == 0)
            condition_wait(&call->told, &call->mutex);
        else
            condition_wait_until(&call->told, &call->mutex, look);
        if (stop && call->turn == GATHER_WAITS) err = stop_check(stop);
    }
    mutex_unlock(&call->mutex);
    return err;
}

/* false: it is being told at this moment. */
static bool leave(struct gather *g, struct gather_call *call)
{
    mutex_lock(&g->mutex);
    bool listed = call->in != NULL;
    if (listed) list_remove(call);
    mutex_unlock(&g->mutex);
    return listed;
}

static wg_err wait_and_lead(struct gather *g, struct gather_call *call)
{
    wg_err err = sleep_until_told(call, &call->request.stop);
    if (err != WG_OK) {
        if (leave(g, call)) return err;
        (void)!sleep_until_told(call, NULL);
    }
    return call->turn == GATHER_LEADS ? lead(g, call->lane, call) : WG_OK;
}

/* With the mutex held: a lane in which nobody scans becomes this thread's. */
static struct lane *take_lane(struct gather *g)
{
    for (size_t i = 0; i < g->lane_count; i++) {
        if (g->lanes[i].busy) continue;
        g->lanes[i].busy = true;
        return &g->lanes[i];
    }
    return NULL;
}

size_t gather_waiting_count(struct gather *g)
{
    size_t count = 0;
    mutex_lock(&g->mutex);
    for (struct gather_call *call = g->waiting.first; call; call = call->after) count++;
    mutex_unlock(&g->mutex);
    return count;
}

wg_err gather_search(struct gather *g, struct gather_call *call, struct search_answer *out)
{
    wg_err err = WG_OK;
    if (!is_worth_it(g, &call->request)) return search_run(call->search, &call->request, out);
    TRY(search_fit(call->search, &call->request));
    call->turn = GATHER_WAITS;
    mutex_lock(&g->mutex);
    struct lane *lane = take_lane(g);
    if (!lane) list_append(&g->waiting, call);
    mutex_unlock(&g->mutex);
    TRY(lane ? lead(g, lane, call) : wait_and_lead(g, call));
    *out = call->answer;
out:
    return err;
}
