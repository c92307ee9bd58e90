#include "index/nearest.h"

#include "index/flat/flat.h"

#include <string.h>

static wg_err nearest_of_some(const struct nearest_request *r, const struct source *source,
                              size_t first, size_t count, struct found *found)
{
    struct flat_request request = {
        .source = source,
        .metric = r->metric,
        .queries = r->rows + first * r->dim,
        .query_count = count,
        .k = 1,
        .stop = r->stop,
    };
    return flat_scan(&request, 0, r->centroid_count, found);
}

wg_err nearest_centroids(const struct nearest_request *r, struct found *found, uint32_t *nearest,
                         float *scores)
{
    enum { AT_ONCE = 65536 }; /* so that what is found takes little memory */
    wg_err err = WG_OK;
    struct source source = { 0 };
    struct row_batch batch = { .values = r->centroids, .count = r->centroid_count };
    TRY(source_init(r->cpu, ROW_F32, r->dim, &source));
    TRY(source_append(&source, &batch));
    for (size_t first = 0, count; first < r->row_count; first += count) {
        count = r->row_count - first < AT_ONCE ? r->row_count - first : AT_ONCE;
        TRY(nearest_of_some(r, &source, first, count, found));
        memcpy(scores + first, found->scores, count * sizeof *scores);
        for (size_t i = 0; i < count; i++) nearest[first + i] = (uint32_t)found->rows[i];
    }
out:
    source_fini(&source);
    return err;
}
