#include "store/encode.h"

#include "os/machine.h"
#include "quant/encode.h"

#include <inttypes.h>

/* Fewer rows are as fast without codes. At once: so that closing does not wait long. */
enum { ROWS_MIN = 1024, ROWS_AT_ONCE = 16384 };

/* Rows are pages of files, which the system can take back; codes are not. At most one part in so
 * many of the memory that is free goes to those of a segment. */
enum { MEMORY_SHARE = 2 };

/* Codes exist for what is proposed by dot products. */
static bool metric_is_coded(wg_metric metric)
{
    return metric == WG_COSINE || metric == WG_DOT || metric == WG_EUCLIDEAN;
}

static uint64_t coded_count(const struct segment *segment)
{
    const struct codes *codes = atomic_load(&segment->codes.codes);
    return codes ? codes->row_count : 0;
}

/* Rows are coded by panels: a few may always be left. */
static bool is_due(const struct placed *placed)
{
    return !placed->segment->uncoded &&
           placed->row_count >= coded_count(placed->segment) + ROWS_MIN;
}

static wg_err create(const struct collection *c, const struct placed *placed)
{
    struct codes *codes;
    struct segment *segment = placed->segment;
    struct encode_params params = {
        .kernels = device_set_kernels(c->host->devices),
        .metric = c->space.metric == WG_EUCLIDEAN ? METRIC_L2 : METRIC_DOT,
        .dim = c->space.dim,
        .rows = segment_vectors(segment),
        .row_count = placed->row_count,
        .capacity = segment->header.capacity,
    };
    uint64_t size = codes_size(params.dim, params.capacity), free = memory_free_bytes();
    wg_err err = WG_OK;
    if (free > 0 && size > free / MEMORY_SHARE)
        err = wg_fail(WG_ENOMEM, "their codes take %" PRIu64 " bytes, and %" PRIu64 " are free",
                      size, free);
    if (err == WG_OK) err = codes_create(&params, &codes);
    if (err == WG_OK) atomic_store(&segment->codes.codes, codes);
    segment->uncoded = err != WG_OK;
    return err;
}

static wg_err encode_segment(struct collection *c, const struct placed *placed)
{
    wg_err err = WG_OK;
    struct segment *segment = placed->segment;
    if (!is_due(placed)) return WG_OK;
    if (!atomic_load(&segment->codes.codes)) TRY(create(c, placed));
    struct codes *codes = atomic_load(&segment->codes.codes);
    while (!c->closing && codes->row_count + PANEL_ROWS <= placed->row_count) {
        uint64_t end = codes->row_count + ROWS_AT_ONCE;
        codes_cover(codes, device_set_kernels(c->host->devices), segment_vectors(segment),
                    end < placed->row_count ? end : placed->row_count);
    }
out:
    return err;
}

static void encode_job(void *arg, bool cancelled)
{
    struct collection *c = arg;
    struct view *view = collection_view(c);
    wg_err err = WG_OK;
    for (size_t i = 0; i < view->layout.count && !cancelled && !c->closing; i++) {
        wg_err of_segment = encode_segment(c, &view->layout.placed[i]);
        if (err == WG_OK) err = of_segment;
    }
    if (err != WG_OK)
        log_line(&c->host->log, WG_LOG_WARNING, "%s: rows are not coded: %s", c->folder,
                 wg_message());
    view_release(&view);
    atomic_store(&c->encoding, false);
    collection_job_end(c);
}

void collection_encode(struct collection *c, const struct view *view)
{
    size_t i = 0;
    if (!metric_is_coded((wg_metric)c->space.metric) || c->closing) return;
    while (i < view->layout.count && !is_due(&view->layout.placed[i])) i++;
    if (i == view->layout.count || atomic_exchange(&c->encoding, true)) return;
    collection_job_begin(c);
    if (background_submit(c->host->background, encode_job, c) == WG_OK) return;
    atomic_store(&c->encoding, false);
    collection_job_end(c);
}
