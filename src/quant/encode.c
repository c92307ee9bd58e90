#include "quant/encode.h"

#include "base/mem.h"
#include "device/code_bound.h"
#include "device/row.h"
#include "kernel/fpenv.h"
#include "os/machine.h"
#include "quant/sample.h"
#include "waggle/knn.h"

#include <math.h>
#include <string.h>

enum { PANELS_PER_TASK = 64, WIDE_SAMPLE_BYTES = 16 << 20 };

static struct sample sample_of(const struct encode_params *p)
{
    return (struct sample){ p->kernels, p->rows, p->row_count, p->dim };
}

/* Rows that are not f32: those that would be looked at, widened; all are the sample then. */
static wg_err widen_sample(const struct encode_params *p, float **room, struct sample *sample)
{
    size_t count = sample_size(sample), size = row_size(p->type, p->dim);
    size_t most = WIDE_SAMPLE_BYTES / row_size(ROW_F32, p->dim);
    if (count > most) count = most < PANEL_ROWS ? PANEL_ROWS : most;
    wg_err err = mem_resize(room, count * p->dim);
    if (err != WG_OK) return err;
    for (size_t i = 0; i < count; i++) {
        uint64_t row = (uint64_t)i * p->row_count / count;
        struct row_list one = { p->type, row_at(p->rows, size, row), 1, p->dim };
        rows_approximate(p->kernels, &one, *room + i * p->dim);
    }
    sample->rows = *room;
    sample->row_count = count;
    return WG_OK;
}

static wg_err choose(const struct encode_params *p, struct codes *codes)
{
    wg_err err = WG_OK;
    struct sample sample = sample_of(p);
    float *wide = NULL;
    double reach;
    if (p->type != ROW_F32) TRY(widen_sample(p, &wide, &sample));
    TRY(sample_centre(&sample, codes->centre, &codes->centre_norm));
    TRY(sample_reach(&sample, codes->centre, &reach));
    codes->scale = (float)fmax(reach / (double)CODE_MAX, CODE_SCALE_MIN);
out:
    mem_free(&wide);
    return err;
}

static wg_err make_room(struct codes *codes)
{
    wg_err err = WG_OK;
    uint64_t panel_count = codes->capacity / PANEL_ROWS;
    size_t panel_size = code_panel_size(codes->dim);
    TRY(mem_resize(&codes->centre, codes->dim));
    TRY(mem_resize(&codes->panels, panel_count * panel_size));
    TRY(mem_resize(&codes->offsets, codes->capacity));
    TRY(mem_resize(&codes->errors, panel_count));
    TRY(mem_resize(&codes->norms, panel_count));
    if (codes->type != ROW_F32) TRY(mem_resize(&codes->wide, PANEL_ROWS * codes->dim));
    prefer_large_pages(codes->panels, panel_count * panel_size);
out:
    return err;
}

/* With room, and without a centre. */
static wg_err create(const struct codes_shape *shape, struct codes **out)
{
    wg_err err = WG_OK;
    struct codes *codes = NULL;
    TRY(mem_resize(&codes, 1));
    *codes = (struct codes){
        .metric = shape->metric,
        .type = shape->type,
        .dim = shape->dim,
        .capacity = shape->capacity / PANEL_ROWS * PANEL_ROWS,
    };
    TRY(make_room(codes));
    *out = codes;
    codes = NULL; /* moved */
out:
    codes_destroy(&codes);
    return err;
}

wg_err codes_create(const struct encode_params *p, struct codes **out)
{
    wg_err err = WG_OK;
    struct codes *codes = NULL;
    struct fp_env env = fp_env_enter();
    struct codes_shape shape = {
        .metric = p->metric, .dim = p->dim, .capacity = p->capacity, .type = p->type
    };
    TRY(create(&shape, &codes));
    TRY(choose(p, codes));
    *out = codes;
    codes = NULL; /* moved */
out:
    fp_env_leave(env);
    codes_destroy(&codes);
    return err;
}

static bool is_allowed(const struct codes_shape *shape)
{
    double norm = shape->centre_norm;
    bool good = (double)shape->scale >= CODE_SCALE_MIN && isfinite(shape->scale) &&
                isfinite(norm) && norm >= 0;
    for (size_t i = 0; i < shape->dim && good; i++)
        good = fabsf(shape->centre[i]) <= WG_COMPONENT_MAX; /* false for a NaN */
    return good;
}

wg_err codes_create_as(const struct codes_shape *shape, struct codes **out)
{
    wg_err err = WG_OK;
    struct codes *codes = NULL;
    if (!is_allowed(shape))
        return wg_fail(WG_EINVAL, "a centre or a scale that no rows are coded by");
    TRY(create(shape, &codes));
    memcpy(codes->centre, shape->centre, shape->dim * sizeof *shape->centre);
    codes->centre_norm = shape->centre_norm;
    codes->scale = shape->scale;
    *out = codes;
    codes = NULL; /* moved */
out:
    codes_destroy(&codes);
    return err;
}

void codes_destroy(struct codes **codes)
{
    struct codes *c = *codes;
    if (!c) return;
    mem_free(&c->centre);
    mem_free(&c->panels);
    mem_free(&c->offsets);
    mem_free(&c->errors);
    mem_free(&c->norms);
    mem_free(&c->wide);
    mem_free(codes);
}

uint64_t codes_size(size_t dim, uint64_t row_count)
{
    uint64_t of_panel = code_panel_size(dim) + (PANEL_ROWS + 2) * sizeof(float);
    return row_count / PANEL_ROWS * of_panel + dim * sizeof(float);
}

uint64_t codes_bytes(const struct codes *codes)
{
    return codes_size(codes->dim, codes->row_count);
}

/* What bounds need of a panel that was coded just now. */
static void note_bounds(struct codes *codes, const struct code_bound *bound, uint64_t panel,
                        const struct code_sums *sums)
{
    float *offsets = codes->offsets + panel * PANEL_ROWS, error = 0, norm = 0;
    for (size_t r = 0; r < PANEL_ROWS; r++) {
        float own = code_bound_error(bound, (double)sums->error[r], (double)sums->value[r]);
        offsets[r] = codes->metric == METRIC_L2 ? code_bound_offset_l2(bound, sums->value[r])
                                                : code_bound_offset_dot(bound, own);
        error = fmaxf(error, own);
        norm = fmaxf(norm, code_bound_norm_behind(bound, own, sums->value[r]));
    }
    codes->errors[panel] = error;
    codes->norms[panel] = norm;
}

static void encode_panel(struct codes *codes, const struct kernels *kernels, const void *rows,
                         uint64_t panel)
{
    struct code_bound bound = code_bound_of_dim(row_bound_dim(codes->type, codes->dim));
    struct coder coder = { codes->centre, codes->scale, 1 / codes->scale, codes->dim };
    struct code_sums sums;
    const void *first = row_at(rows, row_size(codes->type, codes->dim), panel * PANEL_ROWS);
    struct row_list list = { codes->type, first, PANEL_ROWS, codes->dim };
    if (codes->type != ROW_F32) rows_approximate(kernels, &list, codes->wide);
    kernels->encode(&coder, codes->type == ROW_F32 ? first : codes->wide,
                    codes->panels + panel * code_panel_size(codes->dim), &sums);
    note_bounds(codes, &bound, panel, &sums);
}

void codes_cover(struct codes *codes, const struct kernels *kernels, const void *rows,
                 uint64_t row_end)
{
    struct fp_env env = fp_env_enter();
    uint64_t panel_end = (row_end < codes->capacity ? row_end : codes->capacity) / PANEL_ROWS;
    for (uint64_t p = codes->row_count / PANEL_ROWS; p < panel_end; p++)
        encode_panel(codes, kernels, rows, p);
    if (panel_end * PANEL_ROWS > codes->row_count)
        atomic_store_explicit(&codes->row_count, panel_end * PANEL_ROWS, memory_order_release);
    fp_env_leave(env);
}

struct whole {
    const struct encode_params *params;
    const struct encode_all *all;
    struct codes *codes;
    atomic_int err; /* of a worker; its text is made anew */
};

/* The sample is looked at before any panel is. */
static bool sample_is_allowed(const struct encode_params *p)
{
    struct sample sample = sample_of(p);
    size_t count = sample_size(&sample), r = 0;
    while (r < count && p->kernels->find_refused(sample_row(&sample, r), p->dim) == p->dim) r++;
    return r == count;
}

static wg_err check_panel(const struct whole *w, uint64_t panel)
{
    size_t count = PANEL_ROWS * w->params->dim;
    const float *rows = (const float *)w->params->rows + panel * count;
    bool refused = w->all->check && w->params->kernels->find_refused(rows, count) < count;
    return refused ? WG_EINVAL : WG_OK;
}

static void encode_part(void *arg, size_t task, size_t worker)
{
    (void)worker;
    struct whole *w = arg;
    struct fp_env env = fp_env_enter();
    uint64_t panel = task * PANELS_PER_TASK, end = panel + PANELS_PER_TASK;
    uint64_t panel_count = w->codes->capacity / PANEL_ROWS;
    wg_err err = stop_check(w->all->stop);
    for (; panel < end && panel < panel_count && err == WG_OK && w->err == WG_OK; panel++) {
        err = check_panel(w, panel);
        if (err == WG_OK) encode_panel(w->codes, w->params->kernels, w->params->rows, panel);
    }
    if (err != WG_OK) atomic_store(&w->err, err);
    fp_env_leave(env);
}

wg_err codes_create_whole(const struct encode_params *params, const struct encode_all *all,
                          struct codes **out)
{
    struct whole whole = { .params = params, .all = all };
    if (all->check && !sample_is_allowed(params))
        return wg_fail(WG_EINVAL, "a row has a component that is refused");
    wg_err err = codes_create(params, &whole.codes);
    if (err != WG_OK) return err;
    uint64_t panel_count = whole.codes->capacity / PANEL_ROWS;
    pool_run(all->pool, encode_part, &whole,
             (size_t)((panel_count + PANELS_PER_TASK - 1) / PANELS_PER_TASK));
    err = (wg_err)atomic_load(&whole.err);
    if (err == WG_OK) {
        whole.codes->row_count = whole.codes->capacity;
        *out = whole.codes;
        return WG_OK;
    }
    codes_destroy(&whole.codes);
    return wg_fail(err, err == WG_EINVAL ? "a row has a component that is refused"
                                         : "the search was ended while its rows were coded");
}
