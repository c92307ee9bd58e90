#pragma once
/* A collection on disk: its tables, its segments, the view that its latest commit left. Writers
 * share commits; searches hold a view and never wait for them; what reads the tables waits only
 * while their map grows. Any thread. */
#include "index/flat/residency.h"
#include "os/background.h"
#include "os/thread.h"
#include "search/gather.h"
#include "store/group.h"
#include "store/view.h"

enum collection_table {
    TABLE_META,
    TABLE_SPACES,
    TABLE_SEGMENTS,
    TABLE_POINTS,
    TABLE_SUMS,
    TABLE_LIVE,
    TABLE_CHANGES,
    COLLECTION_TABLE_COUNT
};

enum { SEGMENT_BYTES_MAX = 128 << 20 };

/* What a collection uses of its surroundings. */
struct store_host {
    struct device_set *devices;
    struct pool *pool;
    struct background *background; /* covering, coding, compaction */
    struct background *timer;      /* short work: commits that are due, files that go */
    struct log log;
    uint32_t commit_interval_ms, reader_limit;
};

enum collection_mode {
    COLLECTION_WRITE,
    COLLECTION_READ, /* another process may write beside */
    COLLECTION_IN_MEMORY /* as COLLECTION_WRITE, without syncs */
};

struct collection {
    const struct store_host *host;
    char *name, *folder;
    enum collection_mode mode;
    struct space_record space;
    uint64_t history; /* points that the list of changes goes back */
    struct db *db;
    struct residency *residency;
    struct gather *gather; /* of searches */
    struct group group;
    struct mutex writer; /* held by the thread that commits */
    atomic_uint next_segment; /* the number of the next segment file */
    atomic_bool broken;   /* a sync failed: nothing more is written */
    atomic_bool covering; /* rows are on their way to a device */
    atomic_bool coded; /* rows get codes; as the tables say */
    atomic_bool encoding; /* claimed by who makes codes, or has to do with their files */
    atomic_uint search_count; /* as far as coding wants to know */
    atomic_bool compacting;      /* a job in the background is on its way */
    struct mutex compaction;     /* held by the thread that compacts */
    atomic_uint_least64_t last_sequence, compact_after; /* not before that sequence */
    atomic_bool closing; /* background work ends early */
    struct mutex publish;
    struct view *current; /* guarded by publish */
    struct view *next;    /* likewise: of the commit under way; NULL: none */
    size_t job_count;     /* likewise: in the background */
    struct condition idle; /* no job is left */
    struct mutex refresh; /* held by the thread that adopts another process's commit */
    atomic_bool complained; /* that it could not be refreshed */
    atomic_uint_least64_t seen_moment, seen_ns; /* of the tables when they were last looked at */
};

/* Makes the files of an empty collection in a folder that does not exist yet. */
struct collection_seed {
    const char *name;
    struct space_record space;
    uint64_t history;
    bool uncoded; /* rows get no codes */
    enum collection_mode mode;
    uint32_t reader_limit;
};
WG_CHECKED wg_err collection_create(const char *folder, const struct collection_seed *seed);

struct collection_place {
    const char *name, *folder;
    enum collection_mode mode;
    bool alone; /* nobody writes, nor can: no lock file is used */
};
WG_CHECKED wg_err collection_open(const struct store_host *host,
                                  const struct collection_place *place, struct collection **out);
/* No search and no view of it is left. Queued writes are committed; a failure is logged. */
void collection_close(struct collection **collection);

/* The tables as they are kept on disk. */
struct tables_place {
    const char *folder; /* the collection's */
    enum db_use use;
    uint32_t reader_limit;
    struct pages_report *pages; /* as in db_params */
};
WG_CHECKED wg_err collection_tables_open(const struct tables_place *place, struct db **out);
WG_CHECKED wg_err collection_db_open(const char *folder, enum db_use use, uint32_t reader_limit,
                                     struct db **out);
/* The format, the latest commit, the space and the settings, as the tables have them. */
struct collection_meta {
    struct commit_record commit;
    struct space_record space;
    struct settings_record settings;
    bool coded;
};
WG_CHECKED wg_err collection_read_meta(struct db_txn *txn, const char *folder, bool read_only,
                                       struct collection_meta *out);

/* The newest view; the caller's to release. Where another process writes: not older than 200 ms,
 * unless a thread is just about to adopt a newer one. */
struct view *collection_view(struct collection *collection);
/* Grows the tables' map before it is full: while they are copied it cannot grow. */
WG_CHECKED wg_err collection_make_room(struct collection *collection);
/* The same as view_release; but what goes with the view, files that were compacted away, goes by
 * another thread. */
void collection_release_view(struct collection *collection, struct view **view);
/* As the current view has it. */
uint64_t collection_point_count(struct collection *collection);
/* Adopts what another process has committed. WG_ENOTFOUND: the collection was dropped. */
WG_CHECKED wg_err collection_refresh(struct collection *collection);

/* Begins to copy rows to the device that is preferred now, in the background; with none but the CPU
 * there is nothing to do. A failure is logged, and tried again by the next call. */
void collection_cover(struct collection *collection);

/* A job in the background, which the closing of the collection waits for. It begins with
 * collection_job_begin and ends with collection_job_end. */
void collection_job_begin(struct collection *collection);
void collection_job_end(struct collection *collection);

/* A transaction that reads the tables, and the view of the same write. */
struct snapshot {
    struct db_txn txn;
    struct view *view;
};
WG_CHECKED wg_err snapshot_begin(struct collection *collection, struct snapshot *out);
void snapshot_end(struct snapshot *snapshot); /* one that did not begin is fine */

/* For the thread that commits: numbers of segments, and how the new view comes to be seen. */
uint32_t collection_next_segment(struct collection *collection);
uint32_t collection_segment_count(const struct collection *collection);
/* next becomes what snapshots may meet from now on; NULL: none. */
void collection_offer(struct collection *collection, struct view *next);
/* What was offered becomes the current view; the one before is the caller's to release. */
struct view *collection_publish(struct collection *collection);
