#pragma once
/* The flat index: every row is scored. Exact, always up to date, and the proposer that all others
 * are measured against. Its scores are canonical, so nothing is left to rescore. */
#include "index/found.h"
#include "index/source.h"

struct flat_request {
    const struct source *source;
    enum metric metric;
    const void *queries; /* as in struct scan */
    size_t query_count, k; /* each at least 1 */
    bool limited; /* as in struct scan */
    float limit;
    const struct stop *stop;
};

/* Rows row_first to row_end, on the CPU, in place. WG_ENOMEM, WG_ETIMEOUT, WG_ECANCELLED. */
WG_CHECKED wg_err flat_scan(const struct flat_request *request, uint64_t row_first,
                            uint64_t row_end, struct found *found);

/* The same of rows resident on a device, from 0 to row_end, begun here and ended by slot_wait. The
 * request and found stay in place until then. */
struct lease;
WG_CHECKED wg_err flat_scan_begin(const struct flat_request *request, const struct lease *lease,
                                  struct found *found, struct ticket **out);
