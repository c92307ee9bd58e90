#include "waggle/search.h"

#include "api/params.h"
#include "api/store.h"
#include "api/stored.h"
#include "api/vectors.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/size.h"
#include "kernel/fpenv.h"
#include "os/machine.h"
#include "search/search.h"
#include "store/encode.h"
#include "store/read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct wg_searcher {
    wg_collection *collection;
    struct collection *entered; /* during a run */
    struct search *search;
    struct gather_call call;
    struct view *view; /* that the hits point into; NULL: no hits */
    struct stored_room queries; /* where they have to be converted */
    char *kept;                 /* a query that has not, for its next hits */
    size_t kept_size;
    wg_hit *hits; /* query_count x k, of which hit_count[q] */
    size_t hits_room;
    size_t *hit_counts;
    size_t counts_room;
    struct arena arena; /* of payloads */
    size_t query_count, k;
    struct search_answer answer; /* the latest: to the run, or of the next hits */
    bool has_next; /* the run succeeded, and had one query */
    size_t given;  /* of its hits, returned so far */
    unsigned with; /* what they carry */
    wg_search_report report;
};

wg_err wg_searcher_create(wg_collection *collection, wg_searcher **out)
{
    wg_err err = WG_OK;
    wg_searcher *s = NULL;
    TRY(mem_resize(&s, 1));
    *s = (wg_searcher){ .collection = collection };
    gather_call_init(&s->call);
    TRY(search_create(collection->store->context->devices, &s->search));
    *out = s;
    s = NULL; /* moved */
out:
    wg_searcher_destroy(&s);
    return err;
}

void wg_searcher_destroy(wg_searcher **searcher)
{
    wg_searcher *s = *searcher;
    if (!s) return;
    view_release(&s->view);
    search_destroy(&s->search);
    gather_call_fini(&s->call);
    arena_fini(&s->arena);
    mem_free(&s->queries.bytes);
    mem_free(&s->kept);
    mem_free(&s->hits);
    mem_free(&s->hit_counts);
    mem_free(searcher);
}

void wg_search_params_init_sized(wg_search_params *params, size_t size)
{
    static const wg_search_params defaults = { .k = 10, .threshold = NAN };
    params_fill(params, size, &defaults, sizeof defaults);
}

static wg_err check(const wg_searcher *s, const wg_search_params *p)
{
    uint32_t dim = s->entered->space.dim;
    if (p->dim != dim)
        return wg_fail(WG_EDIM, "the queries have %zu dimensions, collection \"%s\" has %u", p->dim,
                       s->entered->name, dim);
    if (p->k == 0) return wg_fail(WG_EINVAL, "k is 0; expected at least 1");
    if (p->with & ~(unsigned)(WG_WITH_VECTOR | WG_WITH_PAYLOAD))
        return wg_fail(WG_EINVAL, "with is %u; expected a sum of 1 (vector) and 2 (payload)",
                       p->with);
    return WG_OK;
}

/* Grows an array that is kept from run to run. */
#define FIT(array, room, count)                 \
    do {                                        \
        if ((room) < (count)) {                 \
            TRY(mem_resize(&(array), (count))); \
            (room) = (count);                   \
        }                                       \
    } while (0)

/* As they are scored. One alone is kept, for its next hits. */
static wg_err ready_queries(wg_searcher *s, const wg_search_params *p, const void **out)
{
    wg_err err = WG_OK;
    const struct space_record *space = &s->entered->space;
    struct given given = { p->data, p->type, p->query_count, p->dim, "query" };
    TRY(queries_to_score(&s->collection->store->context->kernels, space, &given, &s->queries, out));
    if (p->query_count != 1 || *out != p->data) return WG_OK;
    size_t size = space->type == WG_BITS ? space_row_size(space) : p->dim * sizeof(float);
    FIT(s->kept, s->kept_size, size);
    memcpy(s->kept, p->data, size);
    *out = s->kept;
out:
    return err;
}

static wg_err make_hit(const wg_searcher *s, const struct search_answer *answer, size_t at,
                       unsigned with, wg_hit *out)
{
    struct view_row row;
    wg_err err = view_read(s->view, answer->rows[at], &row);
    if (err != WG_OK) return err;
    *out = (wg_hit){
        .id = row.id,
        .score = metric_score((wg_metric)s->entered->space.metric, answer->scores[at]),
        .data = with & WG_WITH_VECTOR ? row.vector : NULL,
    };
    return WG_OK;
}

static wg_err make_hits(wg_searcher *s, const struct search_answer *answer, unsigned with)
{
    wg_err err = WG_OK;
    size_t k = answer->k, count;
    TRY(size_multiply(answer->query_count, k, &count));
    FIT(s->hits, s->hits_room, count);
    FIT(s->hit_counts, s->counts_room, answer->query_count);
    for (size_t q = 0; q < answer->query_count; q++) {
        size_t n = 0;
        for (; n < k && answer->rows[q * k + n] != WG_NO_ROW; n++)
            TRY(make_hit(s, answer, q * k + n, with, &s->hits[q * k + n]));
        s->hit_counts[q] = n;
    }
out:
    return err;
}

static wg_err add_payloads(wg_searcher *s, size_t query_count, size_t k)
{
    wg_err err = WG_OK;
    arena_reset(&s->arena);
    for (size_t q = 0; q < query_count && err == WG_OK; q++)
        err = collection_read_payloads(s->entered, s->view->commit.sequence, s->hits + q * k,
                                       s->hit_counts[q], &s->arena);
    return err;
}

static void make_report(wg_searcher *s, const struct search_answer *answer, uint64_t begun_ns)
{
    wg_search_report report = {
        .size = sizeof report,
        .sequence = s->view->commit.sequence,
        .row_count = s->view->source.row_count,
        .device_row_count = answer->device_row_count,
        .fell_back = answer->fell_back,
        .elapsed_us = (clock_ns() - begun_ns) / 1000,
    };
    slot_label(answer->slot, report.device, sizeof report.device);
    snprintf(report.reason, sizeof report.reason, "%s", answer->reason);
    s->report = report;
}

/* Searches the view, or a newer one that another call brought: then that is the searcher's, too. */
static wg_err search_view(wg_searcher *s, const struct search_request *request,
                          struct search_answer *answer)
{
    struct collection *c = s->entered;
    s->call.search = s->search;
    s->call.request = *request;
    wg_err err = gather_search(c->gather, &s->call, answer);
    const struct source *searched = s->call.request.source;
    if (searched != request->source) {
        collection_release_view(c, &s->view);
        s->view = view_of_source(searched);
    }
    return err;
}

static wg_err run(wg_searcher *s, const wg_search_params *p)
{
    wg_err err = WG_OK;
    uint64_t begun_ns = clock_ns();
    struct collection *c = s->entered;
    struct search_answer answer;
    const void *queries;
    TRY(check(s, p));
    TRY(ready_queries(s, p, &queries));
    collection_release_view(c, &s->view);
    s->view = collection_view(c);
    struct search_request request = {
        .source = &s->view->source,
        .residency = c->residency,
        .metric = metric_of((wg_metric)c->space.metric),
        .queries = queries,
        .query_count = p->query_count,
        .k = p->k,
        .limited = !isnan(p->threshold),
        .limit = metric_limit((wg_metric)c->space.metric, p->threshold),
        .stop = stop_of(p->timeout_ms, p->cancel),
    };
    collection_ready_codes(c, s->view, &request.stop);
    TRY(search_view(s, &request, &answer));
    if (answer.uncovered) collection_cover(c);
    TRY(make_hits(s, &answer, p->with));
    if (p->with & WG_WITH_PAYLOAD) TRY(add_payloads(s, answer.query_count, answer.k));
    make_report(s, &answer, begun_ns);
    s->query_count = answer.query_count;
    s->k = answer.k;
    s->answer = answer;
    s->has_next = answer.query_count == 1;
    s->given = s->has_next ? s->hit_counts[0] : 0;
    s->with = p->with;
out:
    return err;
}

wg_err wg_searcher_run(wg_searcher *s, const wg_search_params *params)
{
    wg_err err = WG_OK;
    wg_search_params p;
    s->query_count = 0;
    s->has_next = false;
    wg_search_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    TRY(member_enter(s->collection->member, &s->entered));
    struct fp_env env = fp_env_enter();
    err = run(s, &p);
    fp_env_leave(env);
    member_leave(s->collection->member);
out:
    return err;
}

void wg_next_params_init_sized(wg_next_params *params, size_t size)
{
    static const wg_next_params defaults = { .count = 10 };
    params_fill(params, size, &defaults, sizeof defaults);
}

/* Whether there are no hits but those of the answer. */
static bool is_whole(const wg_searcher *s)
{
    const struct search_answer *a = &s->answer;
    return a->k >= s->view->source.row_count || (a->k > 0 && a->rows[a->k - 1] == WG_NO_ROW);
}

/* Makes the answer one of as many hits as are wanted, of the view that was searched, and so with
 * the same bits at its beginning. Each is twice as long as the one before: to go through n hits
 * takes log2(n) scans. */
static wg_err look_farther(wg_searcher *s, size_t wanted, const wg_next_params *p)
{
    enum { MORE_MIN = 128 };
    uint64_t begun_ns = clock_ns();
    if (wanted <= s->answer.k || is_whole(s)) return WG_OK;
    struct search_request request = s->call.request;
    request.source = &s->view->source;
    request.residency = s->entered->residency;
    request.stop = stop_of(p->timeout_ms, p->cancel);
    request.k = s->answer.k * 2 > MORE_MIN ? s->answer.k * 2 : MORE_MIN;
    if (request.k < wanted) request.k = wanted;
    s->answer.k = 0; /* until there is another */
    wg_err err = search_run(s->search, &request, &s->answer);
    if (err == WG_OK) make_report(s, &s->answer, begun_ns);
    return err;
}

/* Of the answer, from the first that was not returned yet. */
static wg_err make_next(wg_searcher *s, size_t count)
{
    wg_err err = WG_OK;
    size_t first = s->given, left = s->answer.k > first ? s->answer.k - first : 0, n = 0;
    if (count > left) count = left;
    FIT(s->hits, s->hits_room, count);
    for (; n < count && s->answer.rows[first + n] != WG_NO_ROW; n++)
        TRY(make_hit(s, &s->answer, first + n, s->with, &s->hits[n]));
    s->hit_counts[0] = n;
    if (s->with & WG_WITH_PAYLOAD) TRY(add_payloads(s, 1, n));
    s->given += n;
    s->query_count = 1;
out:
    return err;
}

static wg_err next(wg_searcher *s, const wg_next_params *p)
{
    wg_err err = WG_OK;
    size_t most = (size_t)s->view->source.row_count, left = most - s->given;
    TRY(look_farther(s, p->count < left ? s->given + p->count : most, p));
    TRY(make_next(s, p->count));
out:
    return err;
}

wg_err wg_searcher_next(wg_searcher *s, const wg_next_params *params)
{
    wg_err err = WG_OK;
    wg_next_params p;
    s->query_count = 0;
    wg_next_params_init(&p);
    TRY(PARAMS_READ(params, &p));
    if (p.count == 0) return wg_fail(WG_EINVAL, "count is 0; expected at least 1");
    if (!s->has_next)
        return wg_fail(WG_EINVAL, "there are no next hits: the latest run failed, was none, or "
                                  "had not one query");
    TRY(member_enter(s->collection->member, &s->entered));
    struct fp_env env = fp_env_enter();
    err = next(s, &p);
    fp_env_leave(env);
    member_leave(s->collection->member);
out:
    return err;
}

const wg_hit *wg_searcher_hits(const wg_searcher *s, size_t query, size_t *count)
{
    bool there = query < s->query_count;
    *count = there ? s->hit_counts[query] : 0;
    return there ? s->hits + query * s->k : NULL;
}

void wg_search_report_init_sized(wg_search_report *report, size_t size)
{
    static const wg_search_report defaults;
    params_fill(report, size, &defaults, sizeof defaults);
}

wg_err wg_searcher_report(const wg_searcher *s, wg_search_report *report)
{
    return PARAMS_WRITE(report, &s->report);
}
