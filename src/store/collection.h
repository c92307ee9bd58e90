#pragma once
/* A collection on disk: its tables, its segments, the view that its latest commit left. Writers
 * take turns; searches hold a view and never wait for them; what reads the tables waits only while
 * their map grows. Any thread. */
#include "index/flat/residency.h"
#include "os/background.h"
#include "os/thread.h"
#include "store/view.h"

enum collection_table {
    TABLE_META,
    TABLE_SPACES,
    TABLE_SEGMENTS,
    TABLE_POINTS,
    TABLE_SUMS,
    TABLE_LIVE,
    COLLECTION_TABLE_COUNT
};

/* What a collection uses of its surroundings. */
struct store_host {
    struct device_set *devices;
    struct background *background;
    struct log log;
};

struct collection {
    const struct store_host *host;
    char *name, *folder;
    bool read_only;
    struct space_record space;
    struct db *db;
    struct residency *residency;
    struct mutex writer; /* held by the thread that writes */
    atomic_bool broken; /* a sync failed: nothing more is written */
    atomic_bool covering; /* rows are on their way to a device */
    struct mutex publish;
    struct view *current; /* guarded by publish */
    struct view *next; /* likewise: of the commit under way; NULL: none */
};

/* Makes the files of an empty collection in a folder that does not exist yet. */
WG_CHECKED wg_err collection_create(const char *folder, const struct space_record *space);
WG_CHECKED wg_err collection_open(const struct store_host *host, const char *name,
                                  const char *folder, bool read_only, struct collection **out);
/* No search and no view of it is left. */
void collection_close(struct collection **collection);

/* The tables as they are kept on disk. */
WG_CHECKED wg_err collection_db_open(const char *folder, bool read_only, struct db **out);
/* The format, the latest commit and the space, as the tables have them. */
WG_CHECKED wg_err collection_read_meta(struct db_txn *txn, const char *folder, bool read_only,
                                       struct commit_record *commit, struct space_record *space);

/* The newest view; the caller's to release. */
struct view *collection_view(struct collection *collection);

/* Begins to copy rows to the device that is preferred now, in the background; with none but the CPU
 * there is nothing to do. A failure is logged, and tried again by the next call. */
void collection_cover(struct collection *collection);

/* A transaction that reads the tables, and the view of the same commit. */
struct snapshot {
    struct db_txn txn;
    struct view *view;
};
WG_CHECKED wg_err snapshot_begin(struct collection *collection, struct snapshot *out);
void snapshot_end(struct snapshot *snapshot); /* one that did not begin is fine */

/* Writing (store/write.c). Arguments are checked: dim, components, payloads; ids here. */
struct upsert {
    size_t count;
    const wg_id *ids;
    const float *vectors; /* count x dim; normalised when the metric is cosine */
    const char *const *payloads; /* NULL: none; an entry may be NULL */
};
WG_CHECKED wg_err collection_upsert(struct collection *collection, const struct upsert *upsert);
WG_CHECKED wg_err collection_delete(struct collection *collection, const wg_id *ids, size_t count,
                                    size_t *deleted);
/* payload NULL: cleared. */
WG_CHECKED wg_err collection_set_payload(struct collection *collection, const wg_id *ids,
                                         size_t count, const char *payload, size_t *updated);
WG_CHECKED wg_err collection_clear(struct collection *collection);
