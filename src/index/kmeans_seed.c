/* k-means++: each centre is a row, drawn with a chance in proportion to its loss by the centres
 * before it. To look at all rows for each centre would cost a pass over memory each time. So losses
 * are brought up to date for a batch of centres at once, which is a matrix product, and rows are
 * drawn by rejection meanwhile: a row is drawn by its loss of then, and taken with a chance of its
 * loss of now over that. The chances are the same. (As in Cohen-Addad and others: Fast and accurate
 * k-means++ via rejection sampling, 2020.) */
#include "base/mem.h"
#include "index/kmeans_state.h"

#include <math.h>
#include <string.h>

enum { REJECTIONS_MAX = 256 }; /* then the losses are brought up to date early */

struct seeding {
    struct training *training;
    double *upto;      /* of each row: the losses up to it, itself included */
    float *new_scores; /* of a row with the centres that are new, or of all rows */
    uint32_t *new_nearest;
    size_t known_count; /* centres that the losses know of */
    size_t count;       /* centres so far */
    size_t rejections;  /* since the losses were brought up to date */
};

static double unit(struct prng *prng)
{
    return (double)(prng_next(prng) >> 11) * 0x1p-53;
}

static const float *centre_at(const struct seeding *s, size_t i)
{
    return s->training->now.centroids + i * s->training->request->dim;
}

static bool is_nearer(const struct training *t, float a, float b)
{
    return t->request->spherical ? a > b : a < b;
}

/* The chance of a row before there is a centre: even, or by its length, which is its loss. */
static double first_loss(const struct training *t, size_t row)
{
    return t->request->spherical ? (double)t->lengths[row] : 1;
}

static double known_loss(const struct seeding *s, size_t row)
{
    const struct training *t = s->training;
    return s->known_count == 0 ? first_loss(t, row) : kmeans_loss(t, row, t->now.scores[row]);
}

static void add_up(struct seeding *s)
{
    double sum = 0;
    for (size_t row = 0; row < s->training->count; row++) {
        sum += known_loss(s, row);
        s->upto[row] = sum;
    }
}

/* The losses get to know all centres. */
static wg_err bring_up_to_date(struct seeding *s)
{
    wg_err err = WG_OK;
    struct training *t = s->training;
    const struct kmeans_request *r = t->request;
    struct nearest_request request = {
        .cpu = r->cpu,
        .metric = r->spherical ? METRIC_DOT : METRIC_L2,
        .dim = r->dim,
        .centroids = centre_at(s, s->known_count),
        .centroid_count = s->count - s->known_count,
        .rows = t->rows,
        .row_count = t->count,
        .stop = r->stop,
    };
    TRY(nearest_centroids(&request, &t->found, s->new_nearest, s->new_scores));
    for (size_t row = 0; row < t->count; row++) {
        if (s->known_count > 0 && !is_nearer(t, s->new_scores[row], t->now.scores[row])) continue;
        t->now.scores[row] = s->new_scores[row];
        t->now.nearest[row] = (uint32_t)s->known_count + s->new_nearest[row];
    }
    s->known_count = s->count;
    s->rejections = 0;
    add_up(s);
out:
    return err;
}

/* A row, by its known loss; some row's is above 0. */
static size_t draw(struct seeding *s)
{
    size_t low = 0, high = s->training->count - 1;
    double at = unit(&s->training->prng) * s->upto[high];
    if (at >= s->upto[high]) at = nextafter(s->upto[high], 0);
    while (low < high) { /* the first whose losses up to it are above at */
        size_t middle = low + (high - low) / 2;
        if (s->upto[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The row's loss by all centres. */
static double loss_now(struct seeding *s, size_t row)
{
    const struct training *t = s->training;
    const struct kmeans_request *r = t->request;
    size_t new_count = s->count - s->known_count;
    if (new_count == 0) return known_loss(s, row);
    kernel_tile_f32 *tile = r->spherical ? r->kernels->dot_tile : r->kernels->l2_tile;
    tile(t->rows + row * r->dim, 1, centre_at(s, s->known_count), new_count, r->dim, s->new_scores);
    float score = s->new_scores[0];
    for (size_t i = 1; i < new_count; i++)
        if (is_nearer(t, s->new_scores[i], score)) score = s->new_scores[i];
    return fmin(known_loss(s, row), kmeans_loss(t, row, score));
}

static bool is_taken(struct seeding *s, size_t row)
{
    double chance = unit(&s->training->prng);
    return s->count == 0 || chance * known_loss(s, row) < loss_now(s, row);
}

/* The first centre alone, then as many again as are known. */
static bool is_out_of_date(const struct seeding *s)
{
    size_t new_count = s->count - s->known_count;
    return new_count > 0 && (new_count >= s->known_count || s->rejections >= REJECTIONS_MAX);
}

/* Where every row is a centre already, what is left are copies of the first. */
static void copy_first(struct seeding *s)
{
    size_t dim = s->training->request->dim;
    float *centroids = s->training->now.centroids;
    if (s->count == 0) kmeans_begin_centroid(s->training, 0, centroids), s->count = 1;
    for (; s->count < s->training->request->cluster_count; s->count++)
        memcpy(centroids + s->count * dim, centroids, dim * sizeof *centroids);
}

static wg_err choose_centres(struct seeding *s)
{
    wg_err err = WG_OK;
    const struct kmeans_request *r = s->training->request;
    add_up(s);
    while (s->count < r->cluster_count) {
        TRY(stop_check(r->stop));
        if (is_out_of_date(s)) TRY(bring_up_to_date(s));
        if (!(s->upto[s->training->count - 1] > 0)) {
            copy_first(s);
            break;
        }
        size_t row = draw(s);
        if (is_taken(s, row))
            kmeans_begin_centroid(s->training, row,
                                  s->training->now.centroids + s->count++ * r->dim);
        else
            s->rejections++;
    }
    if (s->known_count < s->count) TRY(bring_up_to_date(s));
out:
    return err;
}

wg_err kmeans_seed(struct training *t)
{
    wg_err err = WG_OK;
    struct seeding s = { .training = t };
    size_t cluster_count = t->request->cluster_count;
    TRY(mem_resize(&s.upto, t->count));
    TRY(mem_resize(&s.new_nearest, t->count));
    TRY(mem_resize(&s.new_scores, t->count > cluster_count ? t->count : cluster_count));
    TRY(choose_centres(&s));
    t->now.objective = kmeans_objective(t, &t->now);
out:
    mem_free(&s.upto);
    mem_free(&s.new_nearest);
    mem_free(&s.new_scores);
    return err;
}
