#pragma once
/* The front end of the devices: finds them, checks what they are asked, tests them before they are
 * trusted, counts, and takes one that fails out of use until its self-test passes again.
 *
 * Any thread, once created. */
#include "device/device.h"
#include "os/background.h"

struct device_set;

struct device_set_params {
    const struct backend *const *backends; /* NULL behind the last; the one named "cpu" must be
                                              there */
    struct device_host host;
    const char *only; /* the only backend to use besides the CPU; NULL: any */
    bool fallback_to_cpu;
    struct log log;
    struct background *background; /* self-tests run there; outlives the set */
};

/* WG_ECONFIG when only names no backend, WG_ENOMEM. */
WG_CHECKED wg_err device_set_create(const struct device_set_params *params,
                                    struct device_set **out);
void device_set_destroy(struct device_set **set);
const struct kernels *device_set_kernels(const struct device_set *set);
size_t device_set_thread_count(const struct device_set *set); /* that work on one scan of the CPU */
bool device_set_falls_back(const struct device_set *set);

/* One device in its place in the set. */
struct slot;

size_t device_set_count(const struct device_set *set);
struct slot *device_set_at(struct device_set *set, size_t i); /* in order of preference */
struct slot *device_set_cpu(struct device_set *set);

size_t device_set_backend_count(const struct device_set *set);
void device_set_backend(const struct device_set *set, size_t i, wg_backend_info *out);

/* The device to prefer for an exact scan, and why. One that is not tested yet, or suspect, is
 * tested in the background meanwhile. */
struct slot *device_set_choose(struct device_set *set, const char **reason);

WG_CHECKED wg_err slot_info(struct slot *slot, wg_device_info *out);
bool slot_ready(const struct slot *slot);
/* Counts its failures: what was made on the device before the latest one may be gone. */
uint64_t slot_generation(const struct slot *slot);
void slot_label(const struct slot *slot, char *text, size_t room); /* "cpu: AMD EPYC" */

/* The operations of device/device.h, checked and counted. A failure of the device's own (not a
 * refused argument, a deadline or a cancellation) makes it suspect. rows_append waits. */
WG_CHECKED wg_err slot_rows_create(struct slot *slot, enum row_type type, size_t dim,
                                   struct rows **out);
WG_CHECKED wg_err slot_rows_append(struct slot *slot, struct rows *rows,
                                   const struct row_batch *batch);
void slot_rows_destroy(struct slot *slot, struct rows **rows);
WG_CHECKED wg_err slot_mask_create(struct slot *slot, struct rows *rows, const struct bitmap *bits,
                                   struct mask **out);
void slot_mask_destroy(struct slot *slot, struct mask **mask);
WG_CHECKED wg_err slot_scan_submit(struct slot *slot, struct rows *rows, const struct scan *scan,
                                   struct ticket **out);
WG_CHECKED wg_err slot_wait(struct slot *slot, struct ticket **ticket);
/* An answer that came from here; one that was begun here and came from the CPU. */
void slot_count_scan(struct slot *slot);
void slot_count_fallback(struct slot *slot);
