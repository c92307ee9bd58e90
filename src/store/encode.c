#include "store/encode.h"

#include "os/machine.h"
#include "quant/encode.h"
#include "store/codes_file.h"
#include "store/commit.h"

#include <inttypes.h>

atomic_uint encode_rows_min = 1024;

/* So that closing does not wait long. */
enum { ROWS_AT_ONCE = 16384 };

/* Coding reads all rows, as a search without codes does, and costs two to three of those: so many
 * have shown that there will be more. */
enum { SEARCHES_BEFORE = 2 };

/* Rows are pages of files, which the system can take back; codes are not. At most one part in so
 * many of the memory that is free goes to those of a segment. */
enum { MEMORY_SHARE = 2 };

/* Codes exist for what is proposed by dot products. */
static bool is_coded(const struct collection *c)
{
    wg_metric metric = (wg_metric)c->space.metric;
    return c->coded && !c->closing &&
           (metric == WG_COSINE || metric == WG_DOT || metric == WG_EUCLIDEAN);
}

static enum metric coded_metric(const struct collection *c)
{
    return c->space.metric == WG_EUCLIDEAN ? METRIC_L2 : METRIC_DOT;
}

static bool claim(struct collection *c)
{
    return !atomic_exchange(&c->encoding, true);
}

static void discard_all(struct collection *c)
{
    struct view *view = collection_view(c);
    for (size_t i = 0; i < view->layout.count; i++) {
        codes_file_discard(view->layout.placed[i].segment);
        view->layout.placed[i].segment->saved_count = 0;
    }
    view_release(&view);
}

/* Ends a claim. Codes that were switched off meanwhile may have been written meanwhile. */
static void unclaim(struct collection *c)
{
    atomic_store(&c->encoding, false);
    if (c->coded || c->mode == COLLECTION_READ || !claim(c)) return;
    discard_all(c);
    atomic_store(&c->encoding, false);
}

static uint64_t coded_count(const struct segment *segment)
{
    const struct codes *codes = atomic_load(&segment->codes.codes);
    return codes ? codes->row_count : 0;
}

/* Rows are coded by panels: a few may always be left. */
static bool is_due(const struct collection *c, const struct placed *placed)
{
    const struct segment *segment = placed->segment;
    bool searched = c->search_count >= SEARCHES_BEFORE;
    uint64_t done = coded_count(segment);
    if (!searched && done < segment->opened_count) done = segment->opened_count;
    return !segment->uncoded && placed->row_count >= done + encode_rows_min;
}

static bool keeps_files(const struct collection *c)
{
    return c->mode == COLLECTION_WRITE && !c->broken;
}

static bool grows(const struct view *view, const struct placed *placed)
{
    const struct segment *segment = placed->segment;
    return placed == &view->layout.placed[view->layout.count - 1] && !segment->closed &&
           segment->header.numbers_offset == 0;
}

/* While a segment grows its file is written anew each time that there is twice as much, and when it
 * is closed with so many more that they are worth it. */
static bool is_unsaved(const struct view *view, const struct placed *placed, bool closing)
{
    const struct segment *segment = placed->segment;
    uint64_t coded = coded_count(segment), saved = segment->saved_count;
    if (segment->unsaved || segment->doomed || coded <= saved) return false;
    return !grows(view, placed) ||
           coded >= (closing ? saved + saved / 8 + encode_rows_min : 2 * saved);
}

static void save(struct collection *c, struct segment *segment)
{
    uint64_t saved;
    const struct codes *codes = atomic_load(&segment->codes.codes);
    segment->unsaved = codes_file_write(segment, codes, &saved) != WG_OK;
    if (!segment->unsaved)
        segment->saved_count = saved;
    else
        log_line(&c->host->log, WG_LOG_WARNING, "codes are not kept: %s", wg_message());
}

/* Of a segment's codes, with its whole room. */
static wg_err check_memory(const struct collection *c, const struct segment *segment)
{
    uint64_t size = codes_size(c->space.dim, segment->header.capacity), free = memory_free_bytes();
    if (free == 0 || size <= free / MEMORY_SHARE) return WG_OK;
    return wg_fail(WG_ENOMEM, "their codes take %" PRIu64 " bytes, and %" PRIu64 " are free", size,
                   free);
}

/* With a claim. One that was stopped is looked for again. */
static void load(struct collection *c, const struct placed *placed, const struct stop *stop)
{
    struct codes *codes;
    struct segment *segment = placed->segment;
    struct codes_wanted wanted = { segment, placed->row_count, coded_metric(c),
                                   space_row_type(&c->space), stop };
    if (segment->sought) return;
    wg_err err = codes_file_bytes(segment) > 0 ? check_memory(c, segment) : WG_ENOTFOUND;
    if (err == WG_OK) err = codes_file_read(&wanted, &codes);
    if (err == WG_OK) {
        segment->saved_count = codes->row_count;
        atomic_store(&segment->codes.codes, codes);
    } else if (err == WG_ETIMEOUT || err == WG_ECANCELLED) {
        return;
    } else if (err != WG_ENOTFOUND) {
        log_line(&c->host->log, WG_LOG_WARNING, "codes are not used, and made anew: %s",
                 wg_message());
    }
    segment->sought = true;
}

static wg_err create(const struct collection *c, const struct placed *placed)
{
    struct codes *codes;
    struct segment *segment = placed->segment;
    struct encode_params params = {
        .kernels = device_set_kernels(c->host->devices),
        .metric = coded_metric(c),
        .dim = c->space.dim,
        .rows = segment_vectors(segment),
        .type = space_row_type(&c->space),
        .row_count = placed->row_count,
        .capacity = segment->header.capacity,
    };
    wg_err err = check_memory(c, segment);
    if (err == WG_OK) err = codes_create(&params, &codes);
    if (err == WG_OK) atomic_store(&segment->codes.codes, codes);
    segment->uncoded = err != WG_OK;
    return err;
}

/* Those that are in no file of the collection's own are not looked for. */
static bool has_files(const struct collection *c)
{
    return c->mode != COLLECTION_IN_MEMORY && !db_archive(c->db);
}

static wg_err encode_segment(struct collection *c, const struct placed *placed)
{
    wg_err err = WG_OK;
    struct segment *segment = placed->segment;
    if (!is_due(c, placed)) return WG_OK;
    if (has_files(c)) load(c, placed, NULL);
    if (!is_due(c, placed)) return WG_OK;
    if (!atomic_load(&segment->codes.codes)) TRY(create(c, placed));
    struct codes *codes = atomic_load(&segment->codes.codes);
    while (is_coded(c) && codes->row_count + PANEL_ROWS <= placed->row_count) {
        uint64_t end = codes->row_count + ROWS_AT_ONCE;
        codes_cover(codes, device_set_kernels(c->host->devices), segment_vectors(segment),
                    end < placed->row_count ? end : placed->row_count);
    }
out:
    return err;
}

static void encode_job(void *arg, bool cancelled)
{
    struct collection *c = arg;
    struct view *view = collection_view(c);
    wg_err err = WG_OK;
    for (size_t i = 0; i < view->layout.count && !cancelled && is_coded(c); i++) {
        const struct placed *placed = &view->layout.placed[i];
        wg_err of_segment = encode_segment(c, placed);
        if (err == WG_OK) err = of_segment;
        if (is_coded(c) && keeps_files(c) && is_unsaved(view, placed, false))
            save(c, placed->segment);
    }
    if (err != WG_OK)
        log_line(&c->host->log, WG_LOG_WARNING, "%s: rows are not coded: %s", c->folder,
                 wg_message());
    view_release(&view);
    unclaim(c);
    collection_job_end(c);
}

void collection_encode(struct collection *c, const struct view *view)
{
    size_t i = 0;
    if (!is_coded(c)) return;
    while (i < view->layout.count && !is_due(c, &view->layout.placed[i]) &&
           !(keeps_files(c) && is_unsaved(view, &view->layout.placed[i], false)))
        i++;
    if (i == view->layout.count || !claim(c)) return;
    collection_job_begin(c);
    if (background_submit(c->host->background, encode_job, c) == WG_OK) return;
    unclaim(c);
    collection_job_end(c);
}

/* --- by a search --- */

struct loading {
    struct collection *collection;
    const struct view *view;
    const struct stop *stop;
};

static void load_task(void *arg, size_t task, size_t worker)
{
    (void)worker;
    const struct loading *l = arg;
    const struct placed *placed = &l->view->layout.placed[task];
    if (placed->row_count >= encode_rows_min) load(l->collection, placed, l->stop);
}

static bool is_unsought(const struct view *view)
{
    for (size_t i = 0; i < view->layout.count; i++) {
        const struct placed *placed = &view->layout.placed[i];
        if (!placed->segment->sought && placed->row_count >= encode_rows_min) return true;
    }
    return false;
}

void collection_ready_codes(struct collection *c, const struct view *view, const struct stop *stop)
{
    struct loading loading = { c, view, stop };
    if (!is_coded(c)) return;
    if (has_files(c) && is_unsought(view) && claim(c)) {
        pool_run(c->host->pool, load_task, &loading, view->layout.count);
        unclaim(c);
    }
    if (c->search_count < SEARCHES_BEFORE)
        atomic_fetch_add(&c->search_count, 1);
    else
        collection_encode(c, view);
}

/* --- what becomes of them --- */

void collection_save_codes(struct collection *c)
{
    if (!c->coded || !keeps_files(c)) return;
    for (size_t i = 0; i < c->current->layout.count; i++) {
        const struct placed *placed = &c->current->layout.placed[i];
        if (is_unsaved(c->current, placed, true)) save(c, placed->segment);
    }
}

struct setting {
    struct write write; /* first */
    struct codes_record record;
};

static wg_err apply_setting(struct commit *commit, struct write *write)
{
    const struct setting *setting = (const struct setting *)write;
    commit->record.sequence--; /* it changes no point */
    commit->changed = true;
    return db_put(&commit->txn, TABLE_META, db_text("codes"),
                  (struct bytes){ &setting->record, sizeof setting->record });
}

wg_err collection_set_codes(struct collection *c, bool on)
{
    wg_err err = WG_OK;
    static const struct write_ops ops = { .apply = apply_setting };
    struct setting setting = { .write = { .ops = &ops, .alone = true }, .record = { on } };
    if (c->mode == COLLECTION_READ)
        return wg_fail(WG_EREADONLY, "%s: open for reading only", c->folder);
    bool before = atomic_exchange(&c->coded, on); /* the view of this commit goes by it */
    err = group_write(c, &setting.write);
    if (err != WG_OK) c->coded = before;
    if (!c->coded && claim(c)) unclaim(c);
    return err;
}
