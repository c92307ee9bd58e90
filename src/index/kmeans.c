#include "index/kmeans.h"

#include "base/mem.h"
#include "base/size.h"
#include "base/topk.h"
#include "index/kmeans_state.h"
#include "kernel/fpenv.h"

#include <string.h>

/* --- rows and their losses --- */

static double length_of(const double *sum, size_t dim)
{
    double squares = 0;
    for (size_t i = 0; i < dim; i++) squares += sum[i] * sum[i];
    return sqrt(squares);
}

bool kmeans_set_centroid(const struct kmeans_request *r, const double *sum, size_t row_count,
                         float *centroid)
{
    double divisor = r->spherical ? length_of(sum, r->dim) : (double)row_count;
    if (!(divisor > 0)) return false;
    for (size_t i = 0; i < r->dim; i++) centroid[i] = (float)(sum[i] / divisor);
    return true;
}

void kmeans_begin_centroid(const struct training *t, size_t row, float *centroid)
{
    const struct kmeans_request *r = t->request;
    const float *from = t->rows + row * r->dim;
    double length = r->spherical ? (double)t->lengths[row] : 1;
    if (!(length > 0)) length = 1;
    for (size_t i = 0; i < r->dim; i++) centroid[i] = (float)((double)from[i] / length);
}

double kmeans_loss(const struct training *t, size_t row, float score)
{
    if (!t->request->spherical) return (double)score;
    double length = (double)t->lengths[row], loss = length - (double)score;
    return loss < length * 0x1p-20 ? 0 : loss; /* what rounding leaves of the same direction */
}

double kmeans_objective(const struct training *t, const struct clustering *c)
{
    double sum = 0;
    for (size_t row = 0; row < t->count; row++) sum += kmeans_loss(t, row, c->scores[row]);
    return sum;
}

enum { PART_ROWS = 1024 };

/* Lengths of a part of the rows. */
static void measure_part(void *arg, size_t part, size_t worker)
{
    (void)worker;
    struct training *t = arg;
    struct fp_env env = fp_env_enter();
    size_t dim = t->request->dim, first = part * PART_ROWS;
    size_t end = t->count - first < PART_ROWS ? t->count : first + PART_ROWS;
    for (size_t row = first; row < end; row++) {
        double squares = 0;
        for (size_t i = 0; i < dim; i++) {
            double x = (double)t->rows[row * dim + i];
            squares += x * x;
        }
        t->lengths[row] = (float)sqrt(squares);
    }
    fp_env_leave(env);
}

static wg_err measure(struct training *t)
{
    if (!t->request->spherical) return WG_OK;
    wg_err err = mem_resize(&t->lengths, t->count);
    if (err != WG_OK) return err;
    pool_run(t->request->pool, measure_part, t, (t->count + PART_ROWS - 1) / PART_ROWS);
    return WG_OK;
}

/* --- one iteration --- */

static wg_err assign(struct training *t, struct clustering *c)
{
    const struct kmeans_request *r = t->request;
    struct nearest_request request = {
        .cpu = r->cpu,
        .metric = r->spherical ? METRIC_DOT : METRIC_L2,
        .dim = r->dim,
        .centroids = c->centroids,
        .centroid_count = r->cluster_count,
        .rows = t->rows,
        .row_count = t->count,
        .stop = r->stop,
    };
    wg_err err = nearest_centroids(&request, &t->found, c->nearest, c->scores);
    if (err == WG_OK) c->objective = kmeans_objective(t, c);
    return err;
}

/* Rows by their clusters, and what the workers add them up in. */
struct update {
    struct training *training;
    size_t *starts; /* cluster_count + 1 */
    size_t *members; /* count: those of cluster c from starts[c] on, rising */
    double *sums;    /* dim for each worker */
    struct scored *farthest;
};

static wg_err update_init(struct training *t, struct update *out)
{
    wg_err err = WG_OK;
    size_t sums;
    const struct kmeans_request *r = t->request;
    *out = (struct update){ .training = t };
    TRY(size_multiply(r->dim, pool_thread_count(r->pool), &sums));
    TRY(mem_resize(&out->starts, r->cluster_count + 1));
    TRY(mem_resize(&out->members, t->count));
    TRY(mem_resize(&out->sums, sums));
    TRY(mem_resize(&out->farthest, r->cluster_count));
out:
    return err;
}

static void update_fini(struct update *u)
{
    mem_free(&u->starts);
    mem_free(&u->members);
    mem_free(&u->sums);
    mem_free(&u->farthest);
}

static void list_members(struct update *u)
{
    const struct training *t = u->training;
    size_t cluster_count = t->request->cluster_count;
    memset(u->starts, 0, (cluster_count + 1) * sizeof *u->starts);
    for (size_t row = 0; row < t->count; row++) u->starts[t->now.nearest[row] + 1]++;
    for (size_t c = 0; c < cluster_count; c++) u->starts[c + 1] += u->starts[c];
    for (size_t row = 0; row < t->count; row++) u->members[u->starts[t->now.nearest[row]]++] = row;
    for (size_t c = cluster_count; c > 0; c--) u->starts[c] = u->starts[c - 1];
    u->starts[0] = 0;
}

/* The next centroid of a cluster. Its rows are added up in rising order by one worker, so that the
 * sum depends on nobody. Without rows it stays, until it begins anew. */
static void move_centroid(void *arg, size_t cluster, size_t worker)
{
    const struct update *u = arg;
    const struct training *t = u->training;
    struct fp_env env = fp_env_enter();
    size_t dim = t->request->dim, first = u->starts[cluster], end = u->starts[cluster + 1];
    double *sum = u->sums + worker * dim;
    float *centroid = t->next.centroids + cluster * dim;
    memcpy(centroid, t->now.centroids + cluster * dim, dim * sizeof *centroid);
    for (size_t i = 0; i < dim; i++) sum[i] = 0;
    for (size_t m = first; m < end; m++) {
        const float *row = t->rows + u->members[m] * dim;
        for (size_t i = 0; i < dim; i++) sum[i] += (double)row[i];
    }
    if (end > first) (void)kmeans_set_centroid(t->request, sum, end - first, centroid);
    fp_env_leave(env);
}

static size_t count_empty(const struct update *u)
{
    size_t count = 0;
    for (size_t c = 0; c < u->training->request->cluster_count; c++)
        count += u->starts[c + 1] == u->starts[c];
    return count;
}

/* Clusters without rows begin anew at the rows of the largest losses. */
static void begin_anew(struct update *u)
{
    const struct training *t = u->training;
    struct topk farthest = { .items = u->farthest, .k = count_empty(u) };
    for (size_t row = 0; farthest.k > 0 && row < t->count; row++) {
        double loss = kmeans_loss(t, row, t->now.scores[row]);
        if (loss > 0) topk_push(&farthest, (struct scored){ -(float)loss, row });
    }
    topk_sort(&farthest);
    for (size_t c = 0, i = 0; i < farthest.count; c++)
        if (u->starts[c + 1] == u->starts[c])
            kmeans_begin_centroid(t, (size_t)farthest.items[i++].row,
                                  t->next.centroids + c * t->request->dim);
}

/* Brings training->next about. */
static wg_err iterate(struct update *u)
{
    struct training *t = u->training;
    list_members(u);
    pool_run(t->request->pool, move_centroid, u, t->request->cluster_count);
    begin_anew(u);
    return assign(t, &t->next);
}

/* --- all of it --- */

static wg_err clustering_init(const struct training *t, struct clustering *out)
{
    wg_err err = WG_OK;
    size_t size;
    TRY(size_multiply(t->request->cluster_count, t->request->dim, &size));
    TRY(mem_resize(&out->centroids, size));
    TRY(mem_resize(&out->nearest, t->count));
    TRY(mem_resize(&out->scores, t->count));
out:
    return err;
}

static void clustering_fini(struct clustering *c)
{
    mem_free(&c->centroids);
    mem_free(&c->nearest);
    mem_free(&c->scores);
}

/* Whether this was the last iteration: it moved no row, or gained too little. */
static bool has_converged(const struct training *t)
{
    double gained = t->now.objective - t->next.objective;
    return gained <= t->request->tolerance * t->now.objective ||
           memcmp(t->now.nearest, t->next.nearest, t->count * sizeof *t->now.nearest) == 0;
}

static wg_err lloyd(struct training *t, struct kmeans_result *result)
{
    wg_err err = WG_OK;
    struct update update;
    TRY(update_init(t, &update));
    while (result->iteration_count < t->request->iterations_max && !result->converged) {
        TRY(iterate(&update));
        result->converged = has_converged(t);
        result->iteration_count++;
        if (t->next.objective > t->now.objective) break; /* by rounding alone: what was is better */
        struct clustering before = t->now;
        t->now = t->next;
        t->next = before;
    }
out:
    update_fini(&update);
    return err;
}

/* train_count of the rows, in their order, each choice as likely as any other: Knuth, The Art of
 * Computer Programming 2, 3.4.2, algorithm S. */
static void draw_rows(struct training *t, float *rows)
{
    const struct kmeans_request *r = t->request;
    size_t left = t->count;
    for (size_t row = 0; left > 0; row++) {
        if (prng_next(&t->prng) % (r->row_count - row) >= left) continue;
        memcpy(rows + (t->count - left) * r->dim, r->rows + row * r->dim, r->dim * sizeof *rows);
        left--;
    }
}

static wg_err begin(struct training *t)
{
    const struct kmeans_request *r = t->request;
    if (!r->start) return kmeans_seed(t);
    memcpy(t->now.centroids, r->start, r->cluster_count * r->dim * sizeof *r->start);
    return assign(t, &t->now);
}

/* Trains, and leaves the centroids in result; with all rows the rest as well. */
static wg_err train(struct training *t, struct kmeans_result *result)
{
    wg_err err = WG_OK;
    size_t size = t->request->cluster_count * t->request->dim;
    TRY(clustering_init(t, &t->now));
    TRY(clustering_init(t, &t->next));
    TRY(measure(t));
    TRY(begin(t));
    TRY(lloyd(t, result));
    memcpy(result->centroids, t->now.centroids, size * sizeof *result->centroids);
out:
    return err;
}

static void training_fini(struct training *t)
{
    clustering_fini(&t->now);
    clustering_fini(&t->next);
    found_fini(&t->found);
    mem_free(&t->lengths);
}

static void write_assignments(const struct training *t, struct kmeans_result *result)
{
    memcpy(result->assignments, t->now.nearest, t->count * sizeof *result->assignments);
    memset(result->sizes, 0, t->request->cluster_count * sizeof *result->sizes);
    for (size_t row = 0; row < t->count; row++) result->sizes[t->now.nearest[row]]++;
    result->objective = t->now.objective;
}

/* Of all rows, by centroids that some of them made. */
static wg_err assign_all(const struct kmeans_request *request, struct kmeans_result *result)
{
    wg_err err = WG_OK;
    struct training all = { .request = request,
                            .rows = request->rows,
                            .count = request->row_count };
    TRY(clustering_init(&all, &all.now));
    TRY(measure(&all));
    memcpy(all.now.centroids, result->centroids,
           request->cluster_count * request->dim * sizeof *result->centroids);
    TRY(assign(&all, &all.now));
    write_assignments(&all, result);
out:
    training_fini(&all);
    return err;
}

static wg_err train_on_some(const struct kmeans_request *request, struct kmeans_result *result)
{
    wg_err err = WG_OK;
    float *rows = NULL;
    struct training some = { .request = request,
                             .prng = { request->seed },
                             .count = request->train_count };
    TRY(mem_resize(&rows, request->train_count * request->dim));
    draw_rows(&some, rows);
    some.rows = rows;
    TRY(train(&some, result));
out:
    training_fini(&some);
    mem_free(&rows);
    return err;
}

wg_err kmeans_run(const struct kmeans_request *request, struct kmeans_result *result)
{
    wg_err err = WG_OK;
    struct training all = { .request = request,
                            .prng = { request->seed },
                            .rows = request->rows,
                            .count = request->row_count };
    result->iteration_count = 0;
    result->converged = false;
    if (request->train_count < request->row_count) {
        TRY(train_on_some(request, result));
        TRY(assign_all(request, result));
    } else {
        TRY(train(&all, result));
        write_assignments(&all, result);
    }
out:
    training_fini(&all);
    return err;
}
