#define _DEFAULT_SOURCE /* madvise */
#include "cli/workload.h"

#include "cli/clock.h"
#include "cli/interrupt.h"
#include "cli/measure.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20 };

/* Memory that begins at a large page, so that as much of it as possible can be in such. */
static wg_err map_rows(struct workload *workload, enum workload_pages pages)
{
    size_t bytes = workload->row_count * workload->dim * sizeof(float);
    size_t size = bytes + 2 * (size_t)LARGE_PAGE;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return fail(WG_ENOMEM, "no memory for %zu rows of dimension %zu", workload->row_count,
                    workload->dim);
    workload->memory = memory;
    workload->memory_size = size;
    uintptr_t start = (uintptr_t)memory;
    start += (LARGE_PAGE - start % LARGE_PAGE) % LARGE_PAGE;
    workload->rows = (float *)start;
    int advice = pages == PAGES_LARGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
    if (pages != PAGES_ANY) (void)madvise(memory, size, advice); /* a kernel may know neither */
    return WG_OK;
}

static wg_err fill_rows(struct workload *workload, uint64_t seed)
{
    enum { AT_ONCE = 1 << 20 };
    size_t count = workload->row_count * workload->dim;
    for (size_t i = 0; i < count; i += AT_ONCE) {
        if (interrupt_requested()) return interrupt_check();
        size_t part = count - i < AT_ONCE ? count - i : AT_ONCE;
        seed = measure_fill(workload->rows + i, part, seed);
    }
    return WG_OK;
}

wg_err workload_make(const struct workload_size *size, struct workload *out)
{
    wg_err err = WG_OK;
    struct workload workload = {
        .row_count = size->row_count,
        .query_count = size->query_count,
        .dim = size->dim,
        .k = size->k,
        .metric = WG_EUCLIDEAN,
    };
    TRY(map_rows(&workload, size->pages));
    TRY(fill_rows(&workload, size->seed));
    heap_resize(&workload.queries, size->query_count * size->dim);
    heap_resize(&workload.found_rows, size->query_count * size->k);
    heap_resize(&workload.found_scores, size->query_count * size->k);
    measure_fill(workload.queries, size->query_count * size->dim, ~size->seed);
    *out = workload;
    workload = (struct workload){ .rows = NULL }; /* moved */
out:
    workload_free(&workload);
    return err;
}

void workload_free(struct workload *workload)
{
    if (workload->memory) munmap(workload->memory, workload->memory_size);
    heap_free(&workload->queries);
    heap_free(&workload->found_rows);
    heap_free(&workload->found_scores);
    *workload = (struct workload){ .rows = NULL };
}

/* The mapping of an address begins with a line "START-END ...", and lists what it holds. */
size_t workload_large_bytes(const struct workload *workload)
{
    char line[512];
    unsigned long start, end;
    size_t kib = 0, at = (uintptr_t)workload->rows;
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = start <= at && at < end;
        if (inside && sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) break;
    }
    if (file) fclose(file);
    return kib * 1024;
}

wg_err workload_search(wg_context *context, const struct workload *workload, size_t row_count,
                       size_t query_count, double *seconds)
{
    wg_err err = WG_OK;
    wg_knn_params params;
    wg_knn_params_init(&params);
    params.metric = workload->metric;
    params.k = workload->k;
    params.dim = workload->dim;
    params.rows = workload->rows;
    params.row_count = row_count;
    params.queries = workload->queries;
    params.query_count = query_count;
    params.cancel = interrupt_cancel();
    double start = clock_seconds();
    TRY_WG(wg_knn(context, &params, workload->found_rows, workload->found_scores));
    *seconds = clock_seconds() - start;
out:
    return err;
}

uint64_t workload_hash(const struct workload *workload, size_t query_count)
{
    size_t found = query_count * workload->k;
    uint64_t hash =
        measure_hash(MEASURE_HASH, workload->found_rows, found * sizeof *workload->found_rows);
    return measure_hash(hash, workload->found_scores, found * sizeof *workload->found_scores);
}
