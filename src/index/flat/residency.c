#include "index/flat/residency.h"

#include "base/mem.h"
#include "device/row.h"
#include "os/thread.h"

#include <stdatomic.h>

struct residency {
    struct device_set *devices;
    size_t dim;
    struct mutex upload; /* one upload at a time; taken before use */
    struct rwlock use;   /* read: leases; write: to replace what stands below */
    struct slot *slot;
    uint64_t generation; /* of the slot when the copy was begun */
    uint64_t origin;     /* of the sources that it copies */
    struct rows *rows;
    struct mask *mask;
    uint64_t mask_moment;          /* of the source that the mask belongs to */
    atomic_uint_least64_t covered; /* rows; grows while leases are out */
};

wg_err residency_create(struct device_set *devices, size_t dim, struct residency **out)
{
    struct residency *r = NULL;
    wg_err err = mem_resize(&r, 1);
    if (err != WG_OK) return err;
    *r = (struct residency){ .devices = devices, .dim = dim };
    mutex_init(&r->upload);
    rwlock_init(&r->use);
    *out = r;
    return WG_OK;
}

/* With use held for writing. */
static void forget(struct residency *r)
{
    if (r->mask) slot_mask_destroy(r->slot, &r->mask);
    if (r->rows) slot_rows_destroy(r->slot, &r->rows);
    r->mask_moment = 0;
    atomic_store(&r->covered, 0);
    r->slot = NULL;
}

void residency_destroy(struct residency **residency)
{
    struct residency *r = *residency;
    if (!r) return;
    forget(r);
    rwlock_fini(&r->use);
    mutex_fini(&r->upload);
    mem_free(residency);
}

/* Whether the copy is there and holds the source's rows. */
static bool serves(const struct residency *r, const struct source *source)
{
    return r->slot && slot_ready(r->slot) && slot_generation(r->slot) == r->generation &&
           r->origin == source->origin;
}

/* An empty copy on the slot in place of the one before. */
static wg_err begin_copy(struct residency *r, struct slot *slot, uint64_t origin)
{
    rwlock_write(&r->use);
    forget(r);
    uint64_t generation = slot_generation(slot);
    wg_err err = slot_rows_create(slot, ROW_F32, r->dim, &r->rows);
    if (err == WG_OK) {
        r->slot = slot;
        r->generation = generation;
        r->origin = origin;
    }
    rwlock_unlock(&r->use);
    return err;
}

static wg_err append_uncovered(struct residency *r, const struct source *source)
{
    for (size_t i = 0; i < source->part_count; i++) {
        const struct source_part *part = &source->parts[i];
        uint64_t covered = atomic_load(&r->covered), end = part->first + part->count;
        if (end <= covered) continue;
        uint64_t skip = covered - part->first; /* parts have no gaps: covered >= first here */
        struct row_batch batch = { .values = row_at(part->values, r->dim * sizeof(float), skip),
                                   .count = (size_t)(part->count - skip) };
        wg_err err = slot_rows_append(r->slot, r->rows, &batch);
        if (err != WG_OK) return err;
        atomic_store(&r->covered, end);
    }
    return WG_OK;
}

wg_err residency_cover(struct residency *r, const struct source *source)
{
    wg_err err = WG_OK;
    const char *reason;
    struct slot *slot = device_set_choose(r->devices, &reason);
    if (slot == device_set_cpu(r->devices) || source->type != ROW_F32) return WG_OK;
    mutex_lock(&r->upload);
    if (!serves(r, source) || r->slot != slot) TRY(begin_copy(r, slot, source->origin));
    TRY(append_uncovered(r, source));
out:
    mutex_unlock(&r->upload);
    return err;
}

/* With use held for writing: the mask becomes the source's. */
static wg_err replace_mask(struct residency *r, const struct source *source)
{
    if (r->mask) slot_mask_destroy(r->slot, &r->mask);
    r->mask_moment = 0;
    wg_err err = slot_mask_create(r->slot, r->rows, &source->live, &r->mask);
    if (err == WG_OK) r->mask_moment = source->moment;
    return err;
}

static bool has_mask_of(const struct residency *r, const struct source *source)
{
    return !source->masked || r->mask_moment == source->moment;
}

/* With use held for reading, which it lets go of and takes again to replace a mask that is not the
 * source's. */
static wg_err settle_mask(struct residency *r, const struct source *source)
{
    wg_err err = WG_OK;
    if (has_mask_of(r, source)) return WG_OK;
    rwlock_unlock(&r->use);
    rwlock_write(&r->use);
    if (serves(r, source) && !has_mask_of(r, source)) err = replace_mask(r, source);
    rwlock_unlock(&r->use);
    rwlock_read(&r->use);
    return err;
}

wg_err residency_lease(struct residency *r, const struct source *source, struct lease *out)
{
    *out = (struct lease){ 0 };
    struct slot *preferred = device_set_choose(r->devices, &out->reason);
    if (preferred == device_set_cpu(r->devices)) return WG_OK;
    if (source->type != ROW_F32) {
        out->reason = "the other devices take rows of f32 only";
        return WG_OK;
    }
    rwlock_read(&r->use);
    uint64_t covered = atomic_load(&r->covered);
    wg_err err = serves(r, source) && covered > 0 ? settle_mask(r, source) : WG_OK;
    covered = atomic_load(&r->covered); /* of another copy, if use was let go of */
    if (err == WG_OK && serves(r, source) && covered > 0 && has_mask_of(r, source)) {
        out->slot = r->slot;
        out->rows = r->rows;
        out->mask = source->masked ? r->mask : NULL;
        out->row_end = covered < source->row_count ? covered : source->row_count;
        return WG_OK; /* holding use */
    }
    rwlock_unlock(&r->use);
    out->reason = "no rows are on the other device yet";
    out->uncovered = true;
    if (err != WG_OK) slot_count_fallback(preferred);
    return err;
}

void residency_return(struct residency *r, struct lease *lease)
{
    if (lease->slot) rwlock_unlock(&r->use);
    *lease = (struct lease){ 0 };
}
