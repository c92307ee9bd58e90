#pragma once
/* What a device does for a search. The contract is made of operations, because that is what a CPU,
 * a CUDA card and a browser can all keep; how an operation is cut into kernels is the backend's own
 * matter.
 *
 * The front end (device/set.c) has checked every argument before a backend sees it. Unless
 * any_thread is set, submitting calls on one device come from one thread at a time; ticket_poll and
 * ticket_wait from any thread, beside them. */
#include "base/bitmap.h"
#include "base/err.h"
#include "base/log.h"
#include "kernel/kernel.h"
#include "os/pool.h"
#include "os/stop.h"
#include "waggle/device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How rows are scored, canonically (kernel/kernel.h). Cosine is dot over normalised rows, and the
 * square root of a Euclidean score is the last step of whoever hands it to the user. */
enum metric { METRIC_DOT, METRIC_L2, METRIC_L1, METRIC_CHEBYSHEV, METRIC_COUNT };

/* How rows are stored. All but bits widen exactly to f32, and are scored as what they widen to. The
 * first four are numbered as on disk. */
enum row_type {
    ROW_F32,
    ROW_F16, /* IEEE binary16, finite */
    ROW_U8,
    ROW_BITS, /* ones and zeros, for METRIC_L1 alone: how many differ; component i is bit i % 8 of
                 byte i / 8, and bits behind the last are 0 */
    ROW_UNIT_U8, /* stands for what is left when it is divided by its norm: its score, METRIC_DOT,
                    is that of the bytes times (float)(1 / sqrt(norm2)), then +0 is added */
};

/* A backend's own. */
struct device;

struct code_cell;

/* Rows to append. */
struct row_batch {
    const void *values; /* count rows, of the type that the rows were created with */
    size_t count;
    const struct code_cell *codes; /* for the CPU: where codes of these rows are, or will be
                                      (device/codes.h); outlives them; NULL: nowhere */
};

/* Rows resident on a device: only ever appended to, so a scan never sees a row change. */
struct rows;

/* A bit for each row, resident: which rows are live in one view, or pass one filter. */
struct mask;

/* Work under way. */
struct ticket;

/* Everything a scan needs; the pointers stay the caller's and live until the ticket is done. */
struct scan {
    enum metric metric;
    const void *queries; /* query_count x dim of float, row-major; of ROW_BITS: as rows are */
    size_t query_count; /* at least 1 */
    uint64_t row_first, row_end;
    const struct mask *mask; /* NULL: every row */
    bool check_rows; /* the rows' components were not checked: one that is refused is WG_EINVAL; on
                        the CPU only */
    size_t k; /* at least 1 */
    bool limited; /* rows whose score (for dot: negated) is above limit may be left out */
    float limit;
    uint64_t *found_rows; /* out: query_count x k, best first, ties by row; WG_NO_ROW: no more */
    float *found_scores; /* out: canonical; undefined where there is no row */
    const struct stop *stop;
};

/* What a backend may use of its surroundings; lives as long as its devices. */
struct device_host {
    struct pool *pool;
    const struct kernels *kernels;
    const char *tier_name;
};

struct backend {
    const char *name;
    bool any_thread; /* submitting calls need not be serialised */

    /* How many devices there are; with none, why, in words a user can act on. Opens the vendor's
     * driver, nothing else. */
    size_t (*count)(const char **reason);

    WG_CHECKED wg_err (*open)(size_t ordinal, const struct device_host *host, struct device **out);
    void (*close)(struct device **device);

    /* Fills what it knows of name, driver, architecture, pci, the sizes and shares_host_memory. */
    WG_CHECKED wg_err (*info)(struct device *device, wg_device_info *out);

    WG_CHECKED wg_err (*rows_create)(struct device *device, enum row_type type, size_t dim,
                                     struct rows **out);
    /* All of them or, on an error, none. The values may be reused after the wait, unless the device
     * shares host memory: then they are kept in place and outlive the rows. */
    WG_CHECKED wg_err (*rows_append_submit)(struct rows *rows, const struct row_batch *batch,
                                            struct ticket **out);
    void (*rows_destroy)(struct rows **rows);

    /* bits is copied, or shared as a counted reference. */
    WG_CHECKED wg_err (*mask_create)(struct rows *rows, const struct bitmap *bits,
                                     struct mask **out);
    void (*mask_destroy)(struct mask **mask);

    /* Exact: the result equals a full scan with the canonical score, bit for bit. */
    WG_CHECKED wg_err (*scan_submit)(struct rows *rows, const struct scan *scan,
                                     struct ticket **out);
    bool (*ticket_poll)(const struct ticket *ticket);
    /* Returns the work's error, and frees the ticket; the results are there when it is WG_OK. */
    WG_CHECKED wg_err (*ticket_wait)(struct ticket **ticket);
};

/* Those compiled in, in order of preference, NULL behind the last: one line each in
 * device/backends.def. */
extern const struct backend *const backends[];
