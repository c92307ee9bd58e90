#include "support/fake_backend.h"

#include "base/mem.h"
#include "base/topk.h"
#include "kernel/fpenv.h"
#include "waggle/knn.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct fake_control fake;

struct device {
    struct kernels c;
};

struct rows {
    struct device *device;
    size_t dim;
    float *values; /* a copy: row_count x dim */
    uint64_t row_count;
};

struct mask {
    struct bitmap bits;
};

struct ticket {
    struct rows *rows;
    bool is_scan;
    unsigned number; /* of the scan */
    struct scan scan;
};

const struct backend *const fake_backends[] = { &backend_fake, &backend_cpu, NULL };

void fake_reset(void)
{
    memset(&fake, 0, sizeof fake);
    fake.device_count = 1;
}

static wg_err operation(void)
{
    fake.operations++;
    if (fake.lose_at > 0 && --fake.lose_at == 0) fake.lost = true;
    if (fake.lost) return wg_fail(WG_EDEVICELOST, "the fake device was told to be lost");
    return WG_OK;
}

static size_t fake_count(const char **reason)
{
    *reason = "the fake device was told not to be there";
    return fake.device_count;
}

static wg_err fake_open(size_t ordinal, const struct device_host *host, struct device **out)
{
    (void)ordinal, (void)host;
    struct device *device = NULL;
    wg_err err = mem_resize(&device, 1);
    if (err != WG_OK) return err;
    kernels_init(&device->c, CPU_C);
    *out = device;
    return WG_OK;
}

static void fake_close(struct device **device)
{
    mem_free(device);
}

static wg_err fake_info(struct device *device, wg_device_info *out)
{
    (void)device;
    snprintf(out->name, sizeof out->name, "Fake");
    out->memory_bytes = fake.memory_bytes;
    return WG_OK;
}

static wg_err fake_rows_create(struct device *device, enum row_type type, size_t dim,
                               struct rows **out)
{
    assert(type == ROW_F32);
    struct rows *rows = NULL;
    wg_err err = operation();
    if (err == WG_OK) err = mem_resize(&rows, 1);
    if (err != WG_OK) return err;
    *rows = (struct rows){ .device = device, .dim = dim };
    *out = rows;
    fake.rows_alive++;
    return WG_OK;
}

static wg_err ticket_create(struct rows *rows, struct ticket **out)
{
    struct ticket *ticket = NULL;
    wg_err err = mem_resize(&ticket, 1);
    if (err != WG_OK) return err;
    *ticket = (struct ticket){ .rows = rows };
    *out = ticket;
    return WG_OK;
}

static wg_err fake_rows_append(struct rows *rows, const struct row_batch *batch,
                               struct ticket **out)
{
    size_t count = batch->count, row_size = rows->dim * sizeof(float);
    wg_err err = operation();
    if (err != WG_OK) return err;
    if (fake.memory_bytes > 0 && (rows->row_count + count) * row_size > fake.memory_bytes)
        return wg_fail(WG_EDEVICEMEMORY, "%zu rows do not fit into the fake device", count);
    err = mem_resize(&rows->values, (size_t)(rows->row_count + count) * rows->dim);
    if (err == WG_OK) err = ticket_create(rows, out);
    if (err != WG_OK) return err;
    memcpy(rows->values + rows->row_count * rows->dim, batch->values, count * row_size);
    rows->row_count += count;
    return WG_OK;
}

static void fake_rows_destroy(struct rows **rows)
{
    if (!*rows) return;
    fake.rows_alive--;
    mem_free(&(*rows)->values);
    mem_free(rows);
}

static wg_err fake_mask_create(struct rows *rows, const struct bitmap *bits, struct mask **out)
{
    (void)rows;
    struct mask *mask = NULL;
    wg_err err = operation();
    if (err == WG_OK) err = mem_resize(&mask, 1);
    if (err != WG_OK) return err;
    *mask = (struct mask){ 0 };
    err = bitmap_share(bits, &mask->bits);
    if (err == WG_OK) {
        *out = mask;
        fake.masks_alive++;
    } else {
        mem_free(&mask);
    }
    return err;
}

static void fake_mask_destroy(struct mask **mask)
{
    if (!*mask) return;
    fake.masks_alive--;
    bitmap_fini(&(*mask)->bits);
    mem_free(mask);
}

static wg_err fake_scan(struct rows *rows, const struct scan *scan, struct ticket **out)
{
    wg_err err = operation();
    if (err == WG_OK) err = ticket_create(rows, out);
    if (err != WG_OK) return err;
    (*out)->is_scan = true;
    (*out)->scan = *scan;
    fake.scan_queries = scan->query_count;
    (*out)->number = ++fake.scans;
    return WG_OK;
}

static float score_of(const struct kernels *c, enum metric metric, const float *a, const float *b,
                      size_t dim)
{
    kernel_pair_f32 *const pairs[] = { c->dot, c->l2, c->l1, c->chebyshev };
    return pairs[metric](a, b, dim);
}

static void scan_query(const struct ticket *t, size_t q, struct topk *top)
{
    const struct scan *scan = &t->scan;
    const struct rows *rows = t->rows;
    const float *query = (const float *)scan->queries + q * rows->dim;
    for (uint64_t r = scan->row_first; r < scan->row_end; r++) {
        if (scan->mask && !bitmap_get(&scan->mask->bits, r)) continue;
        float score = score_of(&rows->device->c, scan->metric, query, rows->values + r * rows->dim,
                               rows->dim);
        topk_push(top, (struct scored){ scan->metric == METRIC_DOT ? -score : score, r });
    }
    topk_sort(top);
}

static void write_found(const struct ticket *t, size_t q, const struct topk *top)
{
    const struct scan *scan = &t->scan;
    for (size_t i = 0; i < scan->k; i++) {
        bool found = i < top->count;
        float value = found ? top->items[i].value : 0;
        float score = (scan->metric == METRIC_DOT ? -value : value) + 0.0f;
        uint32_t bits;
        memcpy(&bits, &score, sizeof bits);
        bits ^= fake.wrong_bits;
        memcpy(&scan->found_scores[q * scan->k + i], &bits, sizeof bits);
        scan->found_rows[q * scan->k + i] = found ? top->items[i].row : WG_NO_ROW;
    }
}

static wg_err do_scan(const struct ticket *t)
{
    struct scored *items = NULL;
    wg_err err = mem_resize(&items, t->scan.k);
    if (err != WG_OK) return err;
    struct fp_env env = fp_env_enter();
    for (size_t q = 0; q < t->scan.query_count; q++) {
        struct topk top = { .items = items, .k = t->scan.k };
        scan_query(t, q, &top);
        write_found(t, q, &top);
    }
    fp_env_leave(env);
    mem_free(&items);
    return WG_OK;
}

static bool fake_poll(const struct ticket *ticket)
{
    (void)ticket;
    return true;
}

static bool is_to_stay(const struct ticket *t)
{
    unsigned hold = fake.hold;
    return t->is_scan && hold != 0 && t->number >= hold;
}

static void stay(const struct ticket *t)
{
    const struct timespec millisecond = { .tv_nsec = 1000000 };
    fake.held++;
    while (is_to_stay(t) && stop_check(t->scan.stop) == WG_OK) nanosleep(&millisecond, NULL);
    fake.held--;
}

static wg_err fake_wait(struct ticket **ticket)
{
    struct timespec delay = { .tv_nsec = (long)fake.delay_ms * 1000000 };
    if (fake.delay_ms > 0) nanosleep(&delay, NULL);
    if (is_to_stay(*ticket)) stay(*ticket);
    wg_err err = operation();
    if (err == WG_OK && (*ticket)->is_scan) err = stop_check((*ticket)->scan.stop);
    if (err == WG_OK && (*ticket)->is_scan) err = do_scan(*ticket);
    mem_free(ticket);
    return err;
}

const struct backend backend_fake = {
    .name = "fake",
    .count = fake_count,
    .open = fake_open,
    .close = fake_close,
    .info = fake_info,
    .rows_create = fake_rows_create,
    .rows_append_submit = fake_rows_append,
    .rows_destroy = fake_rows_destroy,
    .mask_create = fake_mask_create,
    .mask_destroy = fake_mask_destroy,
    .scan_submit = fake_scan,
    .ticket_poll = fake_poll,
    .ticket_wait = fake_wait,
};
