#include "cli/clock.h"
#include "cli/demo.h"
#include "cli/heap.h"
#include "cli/interrupt.h"
#include "cli/measure.h"
#include "cli/progress.h"

static void take_hits(const wg_searcher *searcher, size_t first, size_t count,
                      struct demo_figures *figures)
{
    for (size_t i = 0; i < count; i++) {
        size_t hit_count;
        const wg_hit *hits = wg_searcher_hits(searcher, i, &hit_count);
        uint64_t *found = figures->found + (first + i) * DEMO_K;
        for (size_t rank = 0; rank < DEMO_K; rank++)
            found[rank] = rank < hit_count ? hits[rank].id.as.number : UINT64_MAX;
        figures->nearest[first + i] = found[0];
    }
}

static wg_err run(wg_searcher *searcher, const struct demo_data *data, size_t first, size_t count,
                  double *seconds)
{
    wg_err err = WG_OK;
    wg_search_params params;
    wg_search_params_init(&params);
    params.queries = data->queries + first * data->dim;
    params.query_count = count;
    params.dim = data->dim;
    params.k = DEMO_K;
    params.cancel = interrupt_cancel();
    double start = clock_seconds();
    TRY_WG(wg_searcher_run(searcher, &params));
    *seconds = clock_seconds() - start;
out:
    return err;
}

static wg_err search_batched(wg_searcher *searcher, const struct demo_data *data,
                             struct demo_figures *figures, struct progress *progress)
{
    wg_err err = WG_OK;
    for (size_t first = 0; first < data->query_count; first += DEMO_BATCH) {
        double seconds;
        size_t left = data->query_count - first, count = left < DEMO_BATCH ? left : DEMO_BATCH;
        TRY(run(searcher, data, first, count, &seconds));
        figures->batched_seconds += seconds;
        take_hits(searcher, first, count, figures);
        progress_update(progress, first + count,
                        (double)(first + count) / (double)data->query_count);
    }
    TRY_WG(wg_searcher_report(searcher, &figures->report));
out:
    return err;
}

static wg_err search_single(wg_searcher *searcher, const struct demo_data *data,
                            struct demo_figures *figures, struct progress *progress)
{
    wg_err err = WG_OK;
    size_t count = figures->single_count;
    double *times = NULL;
    heap_resize(&times, count);
    for (size_t i = 0; i < count; i++) {
        TRY(run(searcher, data, i * data->query_count / count, 1, &times[i]));
        figures->single_seconds += times[i];
        progress_update(progress, i + 1, (double)(i + 1) / (double)count);
    }
    figures->p50 = measure_percentile(times, count, 0.50);
    figures->p95 = measure_percentile(times, count, 0.95);
    figures->p99 = measure_percentile(times, count, 0.99);
out:
    heap_free(&times);
    return err;
}

static double right_label(const struct demo_data *data, const struct demo_figures *figures)
{
    size_t right = 0;
    for (size_t i = 0; i < data->query_count; i++) {
        uint64_t id = figures->nearest[i];
        right += id < data->train_count && data->labels[id] == data->query_labels[i];
    }
    return (double)right / (double)data->query_count;
}

wg_err demo_search(struct session *session, const struct demo_data *data, size_t single_count,
                   struct demo_figures *out)
{
    wg_err err = WG_OK;
    wg_searcher *searcher = NULL;
    struct progress progress = { .shown = false };
    struct demo_figures figures = { .single_count = single_count };
    wg_search_report_init(&figures.report);
    heap_resize(&figures.nearest, data->query_count);
    heap_resize(&figures.found, data->query_count * DEMO_K);
    TRY_WG(wg_searcher_create(session->collection, &searcher));
    progress_begin(&progress, "searching in batches", "queries", 0);
    TRY(search_batched(searcher, data, &figures, &progress));
    progress_end(&progress);
    progress_begin(&progress, "searching one by one", "queries", 0);
    TRY(search_single(searcher, data, &figures, &progress));
    figures.right_label = right_label(data, &figures);
    *out = figures;
    figures = (struct demo_figures){ .nearest = NULL };
out:
    progress_end(&progress);
    demo_figures_fini(&figures);
    wg_searcher_destroy(&searcher);
    return err;
}

void demo_figures_fini(struct demo_figures *figures)
{
    heap_free(&figures->nearest);
    heap_free(&figures->found);
}
