#include "search/search.h"

#include "base/mem.h"
#include "base/size.h"
#include "waggle/knn.h"

#include <string.h>

/* What one scan found: query_count x k. */
struct found {
    size_t room;
    uint64_t *rows;
    float *scores;
};

struct search {
    struct device_set *devices;
    struct found device, tail, merged;
};

/* One run. */
struct plan {
    const struct search_request *request;
    struct lease lease;
    size_t k;
    struct slot *cpu;
    bool lost_before; /* the device failed before its scan began */
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

static void found_fini(struct found *found)
{
    mem_free(&found->rows);
    mem_free(&found->scores);
}

void search_destroy(struct search **search)
{
    if (!*search) return;
    found_fini(&(*search)->device);
    found_fini(&(*search)->tail);
    found_fini(&(*search)->merged);
    mem_free(search);
}

static wg_err found_fit(struct found *found, size_t query_count, size_t k)
{
    wg_err err = WG_OK;
    size_t count;
    TRY(size_multiply(query_count, k, &count));
    if (count <= found->room) return WG_OK;
    TRY(mem_resize(&found->rows, count));
    TRY(mem_resize(&found->scores, count));
    found->room = count;
out:
    return err;
}

static struct scan scan_of(const struct plan *plan, uint64_t row_first, uint64_t row_end,
                           const struct mask *mask, struct found *found)
{
    const struct search_request *request = plan->request;
    return (struct scan){
        .metric = request->metric,
        .queries = request->queries,
        .query_count = request->query_count,
        .row_first = row_first,
        .row_end = row_end,
        .mask = mask,
        .k = plan->k,
        .found_rows = found->rows,
        .found_scores = found->scores,
        .stop = &request->stop,
    };
}

static wg_err scan_on_cpu(const struct plan *plan, uint64_t row_first, uint64_t row_end,
                          struct found *found)
{
    wg_err err = WG_OK;
    const struct source *source = plan->request->source;
    struct ticket *ticket = NULL;
    TRY(found_fit(found, plan->request->query_count, plan->k));
    struct scan scan = scan_of(plan, row_first, row_end, source->mask, found);
    TRY(slot_scan_submit(plan->cpu, source->rows, &scan, &ticket));
    TRY(slot_wait(plan->cpu, &ticket));
out:
    return err;
}

/* Best first by (value, row); the rows of a come before those of b, so that a goes first when
 * values are equal. */
static void merge_query(bool higher_is_better, size_t k, const struct found *a,
                        const struct found *b, struct found *into)
{
    size_t i = 0, j = 0;
    for (size_t n = 0; n < k; n++) {
        bool a_ended = a->rows[i] == WG_NO_ROW, b_ended = b->rows[j] == WG_NO_ROW;
        bool b_is_better =
            higher_is_better ? b->scores[j] > a->scores[i] : b->scores[j] < a->scores[i];
        bool take_b = !b_ended && (a_ended || b_is_better);
        into->rows[n] = take_b ? b->rows[j] : a->rows[i];
        into->scores[n] = take_b ? b->scores[j] : a->scores[i];
        if (take_b)
            j++;
        else if (!a_ended)
            i++;
    }
}

static wg_err merge(const struct plan *plan, const struct found *a, const struct found *b,
                    struct found *into)
{
    size_t query_count = plan->request->query_count, k = plan->k;
    wg_err err = found_fit(into, query_count, k);
    if (err != WG_OK) return err;
    for (size_t q = 0; q < query_count; q++) {
        struct found of_a = { .rows = a->rows + q * k, .scores = a->scores + q * k };
        struct found of_b = { .rows = b->rows + q * k, .scores = b->scores + q * k };
        struct found of_both = { .rows = into->rows + q * k, .scores = into->scores + q * k };
        merge_query(plan->request->metric == METRIC_DOT, k, &of_a, &of_b, &of_both);
    }
    return WG_OK;
}

/* A device's own failure is answered by the CPU; a deadline, or no memory here, is not. */
static bool should_fall_back(const struct search *search, wg_err err)
{
    bool of_device = err == WG_EDEVICELOST || err == WG_EDEVICEMEMORY || err == WG_EIO;
    return of_device && device_set_falls_back(search->devices);
}

/* The device scans what it covers while the CPU scans the tail. */
static wg_err scan_on_both(struct search *search, const struct plan *plan, bool *fell_back)
{
    wg_err err = WG_OK;
    const struct lease *lease = &plan->lease;
    struct ticket *ticket = NULL;
    TRY(found_fit(&search->device, plan->request->query_count, plan->k));
    struct scan scan = scan_of(plan, 0, lease->row_end, lease->mask, &search->device);
    wg_err device_err = slot_scan_submit(lease->slot, lease->rows, &scan, &ticket);
    uint64_t row_count = plan->request->source->row_count;
    err = scan_on_cpu(plan, lease->row_end, row_count, &search->tail);
    if (device_err == WG_OK) device_err = slot_wait(lease->slot, &ticket);
    TRY(err);
    if (device_err != WG_OK) {
        if (!should_fall_back(search, device_err)) TRY(device_err);
        slot_count_fallback(lease->slot);
        *fell_back = true;
        TRY(scan_on_cpu(plan, 0, lease->row_end, &search->device));
    }
    TRY(merge(plan, &search->device, &search->tail, &search->merged));
out:
    return err;
}

static wg_err execute(struct search *search, const struct plan *plan, struct search_answer *out)
{
    wg_err err = WG_OK;
    struct search_answer answer = {
        .query_count = plan->request->query_count,
        .k = plan->k,
        .slot = plan->cpu,
        .reason = plan->lease.reason,
        .fell_back = plan->lost_before,
    };
    if (plan->lease.slot) {
        TRY(scan_on_both(search, plan, &answer.fell_back));
        if (!answer.fell_back) answer.slot = plan->lease.slot;
        if (!answer.fell_back) answer.device_row_count = plan->lease.row_end;
    } else {
        TRY(scan_on_cpu(plan, 0, plan->request->source->row_count, &search->merged));
        answer.device_row_count = plan->request->source->row_count;
    }
    if (answer.fell_back) answer.reason = "the preferred device failed in this call";
    answer.rows = search->merged.rows;
    answer.scores = search->merged.scores;
    *out = answer;
out:
    return err;
}

wg_err search_run(struct search *search, const struct search_request *request,
                  struct search_answer *out)
{
    uint64_t row_count = request->source->row_count;
    struct plan plan = {
        .request = request,
        .k = request->k < row_count ? request->k : (size_t)row_count,
        .cpu = device_set_cpu(search->devices),
        .lease.reason = "the rows belong to the caller",
    };
    if (request->query_count == 0 || plan.k == 0) {
        *out = (struct search_answer){ .query_count = request->query_count,
                                       .slot = plan.cpu,
                                       .reason = "there is nothing to search" };
        return stop_check(&request->stop);
    }
    wg_err err = WG_OK;
    if (request->residency) err = residency_lease(request->residency, request->source, &plan.lease);
    plan.lost_before = err != WG_OK;
    if (plan.lost_before && !should_fall_back(search, err)) return err;
    err = execute(search, &plan, out);
    if (request->residency) residency_return(request->residency, &plan.lease);
    return err;
}
