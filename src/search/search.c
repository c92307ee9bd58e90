#include "search/search.h"

#include "base/mem.h"
#include "index/flat/flat.h"
#include "waggle/knn.h"

#include <string.h>

struct search {
    struct device_set *devices;
    struct found proposed, tail, merged;
};

/* What one run does. */
struct plan {
    struct flat_request request;
    struct lease lease; /* without a slot: all on the CPU */
    bool lost_before;   /* the device failed before its scan began */
};

wg_err search_create(struct device_set *devices, struct search **out)
{
    struct search *search = NULL;
    wg_err err = mem_resize(&search, 1);
    if (err != WG_OK) return err;
    *search = (struct search){ .devices = devices };
    *out = search;
    return WG_OK;
}

void search_destroy(struct search **search)
{
    if (!*search) return;
    found_fini(&(*search)->proposed);
    found_fini(&(*search)->tail);
    found_fini(&(*search)->merged);
    mem_free(search);
}

/* A device's own failure is answered by the CPU; a deadline, or no memory here, is not. */
static bool should_fall_back(const struct search *search, wg_err err)
{
    bool of_device = err == WG_EDEVICELOST || err == WG_EDEVICEMEMORY || err == WG_EIO;
    return of_device && device_set_falls_back(search->devices);
}

/* On the device and, meanwhile, the tail on the CPU. *lost: the device failed, and the CPU proposed
 * in its place. */
static wg_err propose_and_tail(struct search *search, const struct plan *plan, bool *lost)
{
    wg_err err = WG_OK;
    const struct flat_request *request = &plan->request;
    const struct lease *lease = &plan->lease;
    struct ticket *ticket = NULL;
    wg_err device_err = flat_scan_begin(request, lease, &search->proposed, &ticket);
    err = flat_scan(request, lease->row_end, request->source->row_count, &search->tail);
    if (device_err == WG_OK) device_err = slot_wait(lease->slot, &ticket);
    TRY(err);
    if (device_err != WG_OK) {
        if (!should_fall_back(search, device_err)) TRY(device_err);
        slot_count_fallback(lease->slot);
        *lost = true;
        TRY(flat_scan(request, 0, lease->row_end, &search->proposed));
    }
out:
    return err;
}

/* What is beyond the limit, of count places: a device, or a larger search, may have found it all
 * the same. */
static void cut_off(enum metric metric, float limit, size_t count, struct found *found)
{
    float sign = metric == METRIC_DOT ? -1 : 1;
    for (size_t i = 0; i < count; i++)
        if (found->rows[i] != WG_NO_ROW && sign * found->scores[i] > limit)
            found->rows[i] = WG_NO_ROW;
}

static wg_err execute(struct search *search, const struct plan *plan, struct search_answer *out)
{
    wg_err err = WG_OK;
    const struct flat_request *request = &plan->request;
    bool lost = false;
    struct search_answer answer = {
        .query_count = request->query_count,
        .k = request->k,
        .slot = request->source->cpu,
        .reason = plan->lease.reason,
        .device_row_count = request->source->row_count,
    };
    TRY(found_fit(&search->merged, request->query_count, request->k));
    if (plan->lease.slot) {
        TRY(propose_and_tail(search, plan, &lost));
        found_merge(&search->proposed, &search->tail, request->query_count, request->k,
                    request->metric == METRIC_DOT, &search->merged);
    } else {
        TRY(flat_scan(request, 0, request->source->row_count, &search->merged));
    }
    if (plan->lease.slot && !lost) {
        answer.slot = plan->lease.slot;
        answer.device_row_count = plan->lease.row_end;
    }
    if (request->limited)
        cut_off(request->metric, request->limit, request->query_count * request->k,
                &search->merged);
    answer.fell_back = lost || plan->lost_before;
    if (answer.fell_back) answer.reason = "the preferred device failed in this call";
    answer.rows = search->merged.rows;
    answer.scores = search->merged.scores;
    answer.uncovered = plan->lease.uncovered;
    slot_count_scan(answer.slot);
    *out = answer;
out:
    return err;
}

static wg_err make_plan(struct search *search, const struct search_request *request,
                        struct plan *plan)
{
    if (!request->residency) return WG_OK;
    wg_err err = residency_lease(request->residency, request->source, &plan->lease);
    plan->lost_before = err != WG_OK;
    return plan->lost_before && should_fall_back(search, err) ? WG_OK : err;
}

wg_err search_run(struct search *search, const struct search_request *request,
                  struct search_answer *out)
{
    uint64_t row_count = request->source->row_count;
    struct plan plan = {
        .request = { .source = request->source,
                     .metric = request->metric,
                     .queries = request->queries,
                     .query_count = request->query_count,
                     .k = request->k < row_count ? request->k : (size_t)row_count,
                     .limited = request->limited,
                     .limit = request->limit,
                     .stop = &request->stop },
        .lease.reason = "the rows belong to the caller",
    };
    if (request->query_count == 0 || row_count == 0) {
        *out = (struct search_answer){ .query_count = request->query_count,
                                       .slot = request->source->cpu,
                                       .reason = "there is nothing to search" };
        return stop_check(&request->stop);
    }
    wg_err err = make_plan(search, request, &plan);
    if (err != WG_OK) return err;
    err = execute(search, &plan, out);
    if (request->residency) residency_return(request->residency, &plan.lease);
    return err;
}

wg_err search_fit(struct search *search, const struct search_request *request)
{
    return found_fit(&search->merged, request->query_count, request->k);
}

void search_take(struct search *search, const struct search_request *request,
                 const struct search_answer *from, size_t query_first, struct search_answer *out)
{
    struct found *found = &search->merged;
    size_t k = request->k < from->k ? request->k : from->k;
    for (size_t q = 0; q < request->query_count; q++) {
        size_t at = (query_first + q) * from->k;
        memcpy(found->rows + q * k, from->rows + at, k * sizeof *found->rows);
        memcpy(found->scores + q * k, from->scores + at, k * sizeof *found->scores);
    }
    if (request->limited) cut_off(request->metric, request->limit, request->query_count * k, found);
    *out = *from;
    out->query_count = request->query_count;
    out->k = k;
    out->rows = found->rows;
    out->scores = found->scores;
}
