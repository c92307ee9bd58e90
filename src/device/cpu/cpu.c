/* The CPU as a device: rows stay where the host has them, and a scan is done when it is submitted,
 * by the threads of the pool and the caller's. */
#include "base/mem.h"
#include "device/cpu/scan.h"
#include "os/machine.h"
#include "os/thread.h"

#include <stdio.h>

struct device {
    struct device_host host;
    struct mutex mutex;
    struct ticket *idle; /* guarded by mutex; one for each scan that ever ran at the same time */
};

struct rows {
    struct device *device;
    struct span_list list;
};

struct mask {
    struct bitmap bits;
};

/* Its scratch is what makes it worth keeping. */
struct ticket {
    struct device *device;
    struct scan_scratch *scratch;
    struct ticket *after;
};

static size_t cpu_count(const char **reason)
{
    *reason = "";
    return 1;
}

static wg_err cpu_open(size_t ordinal, const struct device_host *host, struct device **out)
{
    (void)ordinal;
    struct device *device = NULL;
    wg_err err = mem_resize(&device, 1);
    if (err != WG_OK) return err;
    *device = (struct device){ .host = *host };
    mutex_init(&device->mutex);
    *out = device;
    return WG_OK;
}

static void ticket_destroy(struct ticket **ticket)
{
    if (*ticket) scan_scratch_destroy(&(*ticket)->scratch);
    mem_free(ticket);
}

static void cpu_close(struct device **device)
{
    struct device *d = *device;
    if (!d) return;
    for (struct ticket *ticket; (ticket = d->idle) != NULL;) {
        d->idle = ticket->after;
        ticket_destroy(&ticket);
    }
    mutex_fini(&d->mutex);
    mem_free(device);
}

static wg_err cpu_info(struct device *device, wg_device_info *out)
{
    processor_name(out->name, sizeof out->name);
    snprintf(out->architecture, sizeof out->architecture, "%s", device->host.tier_name);
    out->memory_bytes = memory_bytes();
    out->memory_free_bytes = memory_free_bytes();
    out->shares_host_memory = true;
    return WG_OK;
}

static wg_err cpu_rows_create(struct device *device, enum row_type type, size_t dim,
                              struct rows **out)
{
    struct rows *rows = NULL;
    wg_err err = mem_resize(&rows, 1);
    if (err != WG_OK) return err;
    *rows = (struct rows){ .device = device, .list = { .type = type, .dim = dim } };
    *out = rows;
    return WG_OK;
}

static void cpu_rows_destroy(struct rows **rows)
{
    if (*rows) mem_free(&(*rows)->list.spans);
    mem_free(rows);
}

static wg_err cpu_mask_create(struct rows *rows, const struct bitmap *bits, struct mask **out)
{
    (void)rows;
    wg_err err = WG_OK;
    struct mask *mask = NULL;
    TRY(mem_resize(&mask, 1));
    *mask = (struct mask){ 0 };
    TRY(bitmap_share(bits, &mask->bits));
    *out = mask;
    mask = NULL; /* moved */
out:
    mem_free(&mask);
    return err;
}

static void cpu_mask_destroy(struct mask **mask)
{
    if (*mask) bitmap_fini(&(*mask)->bits);
    mem_free(mask);
}

static wg_err ticket_take(struct device *device, struct ticket **out)
{
    wg_err err = WG_OK;
    mutex_lock(&device->mutex);
    struct ticket *ticket = device->idle;
    if (ticket) device->idle = ticket->after;
    mutex_unlock(&device->mutex);
    if (!ticket) {
        TRY(mem_resize(&ticket, 1));
        *ticket = (struct ticket){ .device = device };
        TRY(scan_scratch_create(&ticket->scratch));
    }
    *out = ticket;
    ticket = NULL; /* moved */
out:
    ticket_destroy(&ticket);
    return err;
}

/* The work was done when it was submitted. */
static wg_err cpu_ticket_wait(struct ticket **ticket)
{
    struct ticket *t = *ticket;
    mutex_lock(&t->device->mutex);
    t->after = t->device->idle;
    t->device->idle = t;
    mutex_unlock(&t->device->mutex);
    *ticket = NULL;
    return WG_OK;
}

static bool cpu_ticket_poll(const struct ticket *ticket)
{
    (void)ticket;
    return true;
}

static wg_err cpu_rows_append_submit(struct rows *rows, const struct row_batch *batch,
                                     struct ticket **out)
{
    wg_err err = WG_OK;
    struct ticket *ticket = NULL;
    struct span_list *list = &rows->list;
    TRY(mem_resize(&list->spans, list->count + 1));
    TRY(ticket_take(rows->device, &ticket));
    list->spans[list->count++] =
        (struct row_span){ batch->values, batch->codes, list->row_count, batch->count };
    list->row_count += batch->count;
    *out = ticket;
out:
    return err;
}

static wg_err cpu_scan_submit(struct rows *rows, const struct scan *scan, struct ticket **out)
{
    wg_err err = WG_OK;
    struct ticket *ticket = NULL;
    const struct bitmap *live = scan->mask ? &scan->mask->bits : NULL;
    TRY(ticket_take(rows->device, &ticket));
    TRY(scan_spans(&rows->device->host, &rows->list, live, scan, ticket->scratch));
    *out = ticket;
    ticket = NULL; /* moved */
out:
    if (ticket) (void)!cpu_ticket_wait(&ticket);
    return err;
}

const struct backend backend_cpu = {
    .name = "cpu",
    .any_thread = true,
    .count = cpu_count,
    .open = cpu_open,
    .close = cpu_close,
    .info = cpu_info,
    .rows_create = cpu_rows_create,
    .rows_append_submit = cpu_rows_append_submit,
    .rows_destroy = cpu_rows_destroy,
    .mask_create = cpu_mask_create,
    .mask_destroy = cpu_mask_destroy,
    .scan_submit = cpu_scan_submit,
    .ticket_poll = cpu_ticket_poll,
    .ticket_wait = cpu_ticket_wait,
};
