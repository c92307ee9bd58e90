#include "device/set.h"

#include "base/mem.h"
#include "device/selftest.h"
#include "os/thread.h"
#include "waggle/knn.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct slot {
    const struct backend *backend;
    struct device *device;
    struct device_set *set;
    uint32_t ordinal;
    char name[128];
    struct mutex submit; /* held while submitting to a backend without any_thread */
    atomic_int state;    /* a wg_device_state */
    atomic_bool testing;
    atomic_uint passed_over; /* how often, since its latest self-test */
    atomic_uint patience;    /* how often it is, before it is tested again */
    atomic_uint_least64_t generation, scans, fallbacks;
};

/* A backend and what became of it. */
struct found {
    const struct backend *backend;
    uint32_t device_count;
    char reason[256];
};

struct device_set {
    struct device_set_params params;
    struct slot **slots;
    size_t slot_count;
    struct found *found;
    size_t found_count;
    struct slot *cpu;
};

static bool is_cpu(const struct backend *backend)
{
    return strcmp(backend->name, "cpu") == 0;
}

static void slot_destroy(struct slot **slot)
{
    struct slot *s = *slot;
    if (!s) return;
    if (s->device) s->backend->close(&s->device);
    mutex_fini(&s->submit);
    mem_free(slot);
}

static wg_err slot_open(struct device_set *set, const struct backend *backend, size_t ordinal)
{
    wg_err err = WG_OK;
    struct slot *slot = NULL;
    TRY(mem_resize(&set->slots, set->slot_count + 1));
    TRY(mem_resize(&slot, 1));
    *slot = (struct slot){ .backend = backend, .set = set, .ordinal = (uint32_t)ordinal };
    mutex_init(&slot->submit);
    atomic_store(&slot->state, is_cpu(backend) ? WG_DEVICE_READY : WG_DEVICE_UNTESTED);
    TRY(backend->open(ordinal, &set->params.host, &slot->device));
    wg_device_info info = { .size = sizeof info };
    TRY(backend->info(slot->device, &info));
    memcpy(slot->name, info.name, sizeof slot->name);
    if (is_cpu(backend)) set->cpu = slot;
    set->slots[set->slot_count++] = slot;
    slot = NULL; /* moved */
out:
    slot_destroy(&slot);
    return err;
}

/* Opens a backend's devices; one that cannot be opened is as if it were not there. */
static wg_err find_devices(struct device_set *set, const struct backend *backend)
{
    wg_err err = WG_OK;
    struct found *found = &set->found[set->found_count++];
    *found = (struct found){ .backend = backend };
    if (set->params.only && !is_cpu(backend) && strcmp(set->params.only, backend->name) != 0) {
        snprintf(found->reason, sizeof found->reason, "the configuration asks for \"%s\"",
                 set->params.only);
        return WG_OK;
    }
    const char *reason = "";
    size_t count = backend->count(&reason);
    snprintf(found->reason, sizeof found->reason, "%s", count == 0 ? reason : "");
    for (size_t i = 0; i < count; i++) {
        err = slot_open(set, backend, i);
        if (err != WG_OK && is_cpu(backend)) return err;
        if (err == WG_OK)
            found->device_count++;
        else
            snprintf(found->reason, sizeof found->reason, "%s", wg_message());
    }
    return WG_OK;
}

static wg_err check_only(const struct device_set_params *params)
{
    char names[200] = "";
    if (!params->only) return WG_OK;
    for (const struct backend *const *b = params->backends; *b; b++) {
        if (strcmp((*b)->name, params->only) == 0) return WG_OK;
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", (*b)->name);
    }
    return wg_fail(WG_ECONFIG, "backend \"%s\" is not in this build, which has: %s", params->only,
                   names);
}

wg_err device_set_create(const struct device_set_params *params, struct device_set **out)
{
    wg_err err = WG_OK;
    struct device_set *set = NULL;
    size_t count = 0;
    while (params->backends[count]) count++;
    TRY(check_only(params));
    TRY(mem_resize(&set, 1));
    *set = (struct device_set){ .params = *params };
    TRY(mem_resize(&set->found, count));
    for (size_t i = 0; i < count; i++) TRY(find_devices(set, params->backends[i]));
    assert(set->cpu);
    *out = set;
    set = NULL; /* moved */
out:
    device_set_destroy(&set);
    return err;
}

void device_set_destroy(struct device_set **set)
{
    struct device_set *s = *set;
    if (!s) return;
    if (s->params.background) background_drain(s->params.background);
    for (size_t i = 0; i < s->slot_count; i++) slot_destroy(&s->slots[i]);
    mem_free(&s->slots);
    mem_free(&s->found);
    mem_free(set);
}

const struct kernels *device_set_kernels(const struct device_set *set)
{
    return set->params.host.kernels;
}

size_t device_set_thread_count(const struct device_set *set)
{
    return pool_thread_count(set->params.host.pool);
}

bool device_set_falls_back(const struct device_set *set)
{
    return set->params.fallback_to_cpu;
}

size_t device_set_count(const struct device_set *set)
{
    return set->slot_count;
}

struct slot *device_set_at(struct device_set *set, size_t i)
{
    return set->slots[i];
}

struct slot *device_set_cpu(struct device_set *set)
{
    return set->cpu;
}

size_t device_set_backend_count(const struct device_set *set)
{
    return set->found_count;
}

void device_set_backend(const struct device_set *set, size_t i, wg_backend_info *out)
{
    const struct found *found = &set->found[i];
    snprintf(out->name, sizeof out->name, "%s", found->backend->name);
    out->device_count = found->device_count;
    memcpy(out->reason, found->reason, sizeof out->reason);
}

/* A device that keeps failing is tested ever less often: by counts, not by time. */
static unsigned grown(unsigned patience)
{
    return patience < 1 << 16 ? 2 * patience + 1 : patience;
}

static void run_self_test(void *arg, bool cancelled)
{
    struct slot *slot = arg;
    if (!cancelled) {
        wg_err err = device_self_test(slot);
        wg_device_state state = err == WG_OK         ? WG_DEVICE_READY
                                : err == WG_ECORRUPT ? WG_DEVICE_REJECTED
                                                     : WG_DEVICE_SUSPECT;
        atomic_store(&slot->passed_over, 0);
        atomic_store(&slot->patience, err == WG_OK ? 0 : grown(atomic_load(&slot->patience)));
        if (err != WG_OK && atomic_load(&slot->state) != (int)state)
            log_line(&slot->set->params.log, WG_LOG_WARNING, "%s: self-test failed: %s", slot->name,
                     wg_message());
        atomic_store(&slot->state, state);
    }
    atomic_store(&slot->testing, false);
}

static void begin_self_test(struct slot *slot)
{
    if (atomic_fetch_add(&slot->passed_over, 1) < atomic_load(&slot->patience)) return;
    if (atomic_exchange(&slot->testing, true)) return;
    wg_err err = background_submit(slot->set->params.background, run_self_test, slot);
    if (err != WG_OK) atomic_store(&slot->testing, false); /* asked for again by the next call */
}

struct slot *device_set_choose(struct device_set *set, const char **reason)
{
    *reason = "no other device is there";
    for (size_t i = 0; i < set->slot_count; i++) {
        struct slot *slot = set->slots[i];
        if (slot == set->cpu) continue;
        switch (atomic_load(&slot->state)) {
        case WG_DEVICE_READY: *reason = "first of those that passed the self-test"; return slot;
        case WG_DEVICE_UNTESTED:
            begin_self_test(slot);
            *reason = "another device is being tested";
            break;
        case WG_DEVICE_SUSPECT:
            begin_self_test(slot);
            *reason = "another device failed and is being tested again";
            break;
        default: *reason = "another device failed its self-test"; break;
        }
    }
    return set->cpu;
}

wg_err slot_info(struct slot *slot, wg_device_info *out)
{
    wg_device_info info = { .size = out->size };
    wg_err err = slot->backend->info(slot->device, &info);
    if (err != WG_OK) return err;
    snprintf(info.backend, sizeof info.backend, "%s", slot->backend->name);
    info.ordinal = slot->ordinal;
    info.state = (wg_device_state)atomic_load(&slot->state);
    info.scans = atomic_load(&slot->scans);
    info.fallbacks = atomic_load(&slot->fallbacks);
    *out = info;
    return WG_OK;
}

bool slot_ready(const struct slot *slot)
{
    return atomic_load(&slot->state) == WG_DEVICE_READY;
}

uint64_t slot_generation(const struct slot *slot)
{
    return atomic_load(&slot->generation);
}

void slot_label(const struct slot *slot, char *text, size_t room)
{
    snprintf(text, room, "%s%s%s", slot->backend->name, *slot->name ? ": " : "", slot->name);
}

/* What the device returned, seen through: its own failures make it suspect. */
static wg_err note(struct slot *slot, wg_err err)
{
    if (err != WG_EDEVICELOST && err != WG_EDEVICEMEMORY && err != WG_EIO) return err;
    atomic_fetch_add(&slot->generation, 1);
    int ready = WG_DEVICE_READY;
    if (atomic_compare_exchange_strong(&slot->state, &ready, WG_DEVICE_SUSPECT))
        log_line(&slot->set->params.log, WG_LOG_ERROR,
                 "%s: %s; not used until it passes its "
                 "self-test again",
                 slot->name, wg_message());
    return err;
}

static void submit_begin(struct slot *slot)
{
    if (!slot->backend->any_thread) mutex_lock(&slot->submit);
}

static wg_err submit_end(struct slot *slot, wg_err err)
{
    if (!slot->backend->any_thread) mutex_unlock(&slot->submit);
    return note(slot, err);
}

wg_err slot_rows_create(struct slot *slot, enum row_type type, size_t dim, struct rows **out)
{
    assert(dim >= 1 && dim <= (type == ROW_BITS ? WG_BITS_DIM_MAX : WG_DIM_MAX));
    submit_begin(slot);
    return submit_end(slot, slot->backend->rows_create(slot->device, type, dim, out));
}

wg_err slot_rows_append(struct slot *slot, struct rows *rows, const struct row_batch *batch)
{
    wg_err err = WG_OK;
    struct ticket *ticket = NULL;
    if (batch->count == 0) return WG_OK;
    submit_begin(slot);
    TRY(submit_end(slot, slot->backend->rows_append_submit(rows, batch, &ticket)));
    TRY(slot_wait(slot, &ticket));
out:
    return err;
}

void slot_rows_destroy(struct slot *slot, struct rows **rows)
{
    submit_begin(slot);
    slot->backend->rows_destroy(rows);
    (void)!submit_end(slot, WG_OK);
}

wg_err slot_mask_create(struct slot *slot, struct rows *rows, const struct bitmap *bits,
                        struct mask **out)
{
    submit_begin(slot);
    return submit_end(slot, slot->backend->mask_create(rows, bits, out));
}

void slot_mask_destroy(struct slot *slot, struct mask **mask)
{
    submit_begin(slot);
    slot->backend->mask_destroy(mask);
    (void)!submit_end(slot, WG_OK);
}

wg_err slot_scan_submit(struct slot *slot, struct rows *rows, const struct scan *scan,
                        struct ticket **out)
{
    assert(scan->query_count > 0 && scan->k > 0 && scan->row_first <= scan->row_end);
    submit_begin(slot);
    return submit_end(slot, slot->backend->scan_submit(rows, scan, out));
}

wg_err slot_wait(struct slot *slot, struct ticket **ticket)
{
    return note(slot, slot->backend->ticket_wait(ticket));
}

void slot_count_scan(struct slot *slot)
{
    atomic_fetch_add(&slot->scans, 1);
}

void slot_count_fallback(struct slot *slot)
{
    atomic_fetch_add(&slot->fallbacks, 1);
}
