#include "index/flat/flat.h"

#include "index/flat/residency.h"

static struct scan scan_of(const struct flat_request *request, const struct mask *mask,
                           struct found *found)
{
    return (struct scan){
        .metric = request->metric,
        .queries = request->queries,
        .query_count = request->query_count,
        .mask = mask,
        .check_rows = request->source->unchecked,
        .k = request->k,
        .limited = request->limited,
        .limit = request->limit,
        .found_rows = found->rows,
        .found_scores = found->scores,
        .stop = request->stop,
    };
}

wg_err flat_scan(const struct flat_request *request, uint64_t row_first, uint64_t row_end,
                 struct found *found)
{
    wg_err err = WG_OK;
    const struct source *source = request->source;
    struct ticket *ticket = NULL;
    TRY(found_fit(found, request->query_count, request->k));
    struct scan scan = scan_of(request, source->mask, found);
    scan.row_first = row_first;
    scan.row_end = row_end;
    TRY(slot_scan_submit(source->cpu, source->rows, &scan, &ticket));
    TRY(slot_wait(source->cpu, &ticket));
out:
    return err;
}

wg_err flat_scan_begin(const struct flat_request *request, const struct lease *lease,
                       struct found *found, struct ticket **out)
{
    wg_err err = WG_OK;
    TRY(found_fit(found, request->query_count, request->k));
    struct scan scan = scan_of(request, lease->mask, found);
    scan.row_end = lease->row_end;
    TRY(slot_scan_submit(lease->slot, lease->rows, &scan, out));
out:
    return err;
}
