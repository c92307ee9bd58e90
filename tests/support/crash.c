#include "support/crash.h"

#include "support/check.h"
#include "support/crash_state.h"
#include "support/disk.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    POINTS_PLANTED = 3000,
    SLOWER = 8,
    BATCH = 1000,
    SECONDS_MAX = 60,
    MAPPED_BYTES = 1 << 18,
    PRINTED_MAX = 10,
    KEPT_MAX = 3,
    PATH_SIZE = 1024
};

static uint64_t seed;
static struct crash_plan plan;
static struct recording recording;
static struct crash_history *history; /* shared with children */
static const char *scratch;

struct crash_counts {
    size_t points;    /* crashes tried */
    size_t exact;     /* what was acknowledged was there, and no more */
    size_t in_flight; /* and some that was not acknowledged yet */
    size_t wrong;
};

/* A crash: when, and what it loses. */
struct point {
    size_t record; /* the last that was made */
    struct disk_crash crash;
};

struct points {
    size_t count, room;
    struct point *list;
};

/* What a child tells; shared with it. */
struct progress {
    size_t current; /* the point being tried */
    struct crash_counts counts;
    bool wrong; /* the current one */
    char why[CRASH_WHY_SIZE];
};
static struct progress *progress;

static void *share(size_t size)
{
    void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "no memory to share");
    return shared;
}

static void below_scratch(const char *name, char *path)
{
    int size = snprintf(path, PATH_SIZE, "%s/%s", scratch, name);
    must(size > 0 && size < PATH_SIZE, "%s is too long", scratch);
}

static void make_folder(const char *path)
{
    must(mkdir(path, 0700) == 0, "cannot make %s", path);
}

/* --- recording --- */

static int be_recorded(const char *plan_seed, const char *below)
{
    crash_plan_make(strtoull(plan_seed, NULL, 10), &plan);
    crash_workload_run(&plan, below);
    return 0;
}

static void record(const char *below, const char *log)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    const char *arguments[] = { "--workload", text, below };
    must(setenv("WAGGLE_FILES_SYNC_US", "200", 1) == 0, "no room"); /* so that groups form */
    make_folder(below);
    int status = recorder_run(&(struct recorder){ below, log, arguments, 3 });
    must(status == 0, "the recorded process ended with status %#x", (unsigned)status);
}

/* What the process left must be what the recording leads to. */
static void check_recording(const char *below)
{
    char path[PATH_SIZE];
    struct disk *disk = disk_create();
    for (size_t i = 0; i < recording.count; i++) disk_apply(disk, &recording.records[i]);
    below_scratch("played", path);
    disk_must_equal(disk, below, path);
    disk_destroy(&disk);
}

static void no_cores(void)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
}

static void begin(void)
{
    char below[PATH_SIZE], log[PATH_SIZE], again[PATH_SIZE];
    const char *given = getenv("WAGGLE_CRASH_RECORDING"), *keep = getenv("WAGGLE_CRASH_KEEP");
    seed = test_seed();
    no_cores();
    if (access("/dev/shm", W_OK) == 0) must(setenv("TMPDIR", "/dev/shm", 1) == 0, "no room");
    scratch = scratch_create();
    crash_plan_make(seed, &plan);
    history = share(sizeof *history);
    progress = share(sizeof *progress);
    below_scratch("recorded", below);
    below_scratch("log", log);
    if (!given && keep) snprintf(log, sizeof log, "%s/recording", keep);
    if (!given) record(below, log);
    recording_load(given ? given : log, &recording);
    if (!given) check_recording(below);
    below_scratch("again", again);
    make_folder(again);
    crash_history_make(&plan, &recording, again, history);
    printf("%zu operations, %zu calls and marks recorded\n", plan.count, recording.count);
}

static void end(void)
{
    recording_free(&recording);
    munmap(history, sizeof *history);
    munmap(progress, sizeof *progress);
}

/* --- points --- */

static bool is_done_mark(const struct recorded *record)
{
    struct crash_mark mark;
    if (record->head.kind != FILES_MARK) return false;
    crash_mark_read(record->path, &mark);
    return mark.done;
}

/* Whether a crash after this one can leave something else than a crash before it, or less may be
 * lost then. */
static bool is_moment(const struct recorded *record)
{
    if (record->head.kind == FILES_MARK) return is_done_mark(record);
    return record->head.kind != FILES_OPEN || (record->head.flags & (O_CREAT | O_TRUNC)) != 0;
}

static void add_point(struct points *points, struct point point)
{
    if (points->count == points->room) {
        points->room = 2 * points->room + 1024;
        points->list = realloc(points->list, points->room * sizeof *points->list);
        must(points->list, "no memory");
    }
    points->list[points->count++] = point;
}

/* So many crashes after one record: the first ones are of different kinds. */
static void add_points(struct points *points, struct prng *prng, size_t record, size_t count)
{
    static const enum disk_loss losses[] = { DISK_DROPS, DISK_MIXES, DISK_KEEPS };
    for (size_t i = 0; i < count; i++) {
        enum disk_loss loss = i < 3 ? losses[count < 3 ? (record + i) % 3 : i] : DISK_MIXES;
        add_point(points, (struct point){ record, { loss, prng_next(prng) } });
    }
}

static size_t count_moments(void)
{
    size_t count = 0;
    for (size_t i = 0; i < recording.count; i++) count += is_moment(&recording.records[i]);
    return count;
}

static void make_points(size_t wanted, const struct disk_bug *bug, struct points *out)
{
    struct prng prng = { seed };
    struct disk *disk = disk_create();
    size_t moments = count_moments();
    *out = (struct points){ 0 };
    disk_plant(disk, bug);
    for (size_t i = 0; i < recording.count; i++) {
        disk_apply(disk, &recording.records[i]);
        if (!is_moment(&recording.records[i]) || (bug && !disk_left_out(disk))) continue;
        size_t count = wanted / moments + (test_below(&prng, moments) < wanted % moments);
        if (disk_is_synced(disk) && count > 1) count = 1; /* all crashes are alike */
        add_points(out, &prng, i, count);
    }
    disk_destroy(&disk);
}

/* --- in the child --- */

static void keep_wrong(const struct disk *disk, const struct point *point, const char *keep)
{
    char path[PATH_SIZE];
    if (progress->counts.wrong >= KEPT_MAX) return;
    snprintf(path, sizeof path, "%s/wrong-%zu", keep, progress->counts.wrong + 1);
    if (mkdir(path, 0700) == 0) disk_write_out(disk, &point->crash, path);
}

/* What the child plays the recording to. */
struct attempt {
    struct disk *disk;
    struct crash_moment moment;
    size_t next; /* record */
    wg_context *context;
    const char *keep; /* where wrong ones are kept; NULL: nowhere */
};

static void try_point(struct attempt *attempt, const struct point *point)
{
    struct crash_finding finding;
    char path[PATH_SIZE];
    below_scratch("crashed", path);
    scratch_remove(path);
    make_folder(path);
    alarm(SECONDS_MAX);
    disk_write_out(attempt->disk, &point->crash, path);
    progress->wrong = !crash_state_check(&attempt->moment, attempt->context, path, &finding);
    snprintf(progress->why, sizeof progress->why, "%s", finding.why);
    if (progress->wrong && attempt->keep) keep_wrong(attempt->disk, point, attempt->keep);
    struct crash_counts *counts = &progress->counts;
    counts->points++;
    counts->exact += !progress->wrong && !finding.in_flight;
    counts->in_flight += !progress->wrong && finding.in_flight;
}

static void play_until(struct attempt *attempt, size_t end)
{
    for (; attempt->next < end; attempt->next++) {
        const struct recorded *record = &recording.records[attempt->next];
        disk_apply(attempt->disk, record);
        if (record->head.kind == FILES_MARK) crash_moment_note(&attempt->moment, record->path);
    }
}

/* Ends at the first that is wrong. */
static _Noreturn void try_batch(const struct points *points, size_t end, const struct disk_bug *bug)
{
    struct attempt *attempt = allocate(1, sizeof *attempt);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES); /* LMDB's megabytes of zeros, not cleared each time */
    attempt->disk = disk_create();
    attempt->moment.plan = &plan;
    attempt->moment.history = history;
    attempt->context = test_context(NULL, 1);
    attempt->keep = bug ? NULL : getenv("WAGGLE_CRASH_KEEP");
    disk_plant(attempt->disk, bug);
    while (progress->current < end && !progress->wrong) {
        const struct point *point = &points->list[progress->current];
        play_until(attempt, point->record + 1);
        try_point(attempt, point);
        if (!progress->wrong) progress->current++;
    }
    _exit(0);
}

/* --- in the parent --- */

static void format_point(const struct point *point, char *text, size_t room)
{
    char call[200], loss[200];
    recorded_format(&recording.records[point->record], call, sizeof call);
    disk_crash_format(&point->crash, loss, sizeof loss);
    snprintf(text, room, "crash after call %zu (%s), %s", point->record, call, loss);
}

static void quiet(void)
{
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, STDERR_FILENO);
}

/* Tries from the current point on, in a child, up to end or to the first that is wrong: then true,
 * and it is the current one. */
static bool run_child(const struct points *points, size_t end, const struct disk_bug *bug)
{
    int status = 0;
    progress->wrong = false;
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "no child");
    if (child == 0) {
        if (bug) quiet();
        try_batch(points, end, bug);
    }
    must(waitpid(child, &status, 0) == child, "cannot wait for %d", (int)child);
    if (status == 0) return progress->wrong;
    snprintf(progress->why, sizeof progress->why, "the process ended with status %#x",
             (unsigned)status);
    progress->counts.points++;
    return true;
}

/* A planted bug is found only by a crash that is survived without it. */
static bool is_wrong_without(const struct points *points)
{
    struct progress before = *progress;
    bool wrong = run_child(points, progress->current + 1, NULL);
    *progress = before;
    return wrong;
}

/* Without the scratch folder's name, so that the same is the same. */
static void shorten(char *why)
{
    size_t size = strlen(scratch);
    for (char *at; (at = strstr(why, scratch));) memmove(at, at + size, strlen(at + size) + 1);
}

/* Each reason once. */
static void tell(const struct point *point)
{
    static char told[PRINTED_MAX][CRASH_WHY_SIZE];
    static size_t told_count;
    char text[CRASH_WHY_SIZE];
    if (progress->counts.wrong++ == 0) told_count = 0;
    shorten(progress->why);
    for (size_t i = 0; i < told_count; i++)
        if (strcmp(told[i], progress->why) == 0) return;
    if (told_count == PRINTED_MAX) return;
    strcpy(told[told_count++], progress->why);
    format_point(point, text, sizeof text);
    printf("  %s: %s\n", text, progress->why);
}

/* Tries about so many crashes. bug NULL: each must be survived. Else stops at the first that is
 * wrong. */
static void try_crashes(size_t wanted, const struct disk_bug *bug, struct crash_counts *counts)
{
    struct points points;
    make_points(wanted, bug, &points);
    memset(progress, 0, sizeof *progress);
    while (progress->current < points.count && !(bug && progress->counts.wrong > 0)) {
        size_t end = progress->current + BATCH;
        if (!run_child(&points, end < points.count ? end : points.count, bug)) continue;
        if (!bug || !is_wrong_without(&points)) tell(&points.list[progress->current]);
        progress->current++;
    }
    *counts = progress->counts;
    free(points.list);
}

/* Plants bugs, each a sync left out, and tries until each is found. False: one was not. */
static bool try_planted(size_t points)
{
    static const struct disk_bug bugs[] = {
        { "segments are not synced", DISK_SYNC_FILE, "store/c-*/*.seg", 0 },
        { "they are when they are made, not when rows come", DISK_SYNC_FILE, "store/c-*/*.seg", 1 },
        { "they are, but only ten times", DISK_SYNC_FILE, "store/c-*/*.seg", 10 },
        { "LMDB's pages are not synced", DISK_SYNC_FILE, "store/c-*/tables/data.mdb", 0 },
        { "they are, but only ten times", DISK_SYNC_FILE, "store/c-*/tables/data.mdb", 10 },
        { "LMDB's meta page is not synced", DISK_SYNC_RANGE, "store/c-*/tables/data.mdb", 0 },
        { "it is, but only ten times", DISK_SYNC_RANGE, "store/c-*/tables/data.mdb", 10 },
        { "the registry's pages are not synced", DISK_SYNC_FILE, "store/registry*/data.mdb", 0 },
        { "they are, but only four times", DISK_SYNC_FILE, "store/registry*/data.mdb", 4 },
        { "the registry's meta page is not synced", DISK_SYNC_RANGE, "store/registry*/data.mdb",
          0 },
        { "it is, but only four times", DISK_SYNC_RANGE, "store/registry*/data.mdb", 4 },
        { "folders of collections are not synced", DISK_SYNC_FOLDER, "store/c-*", 0 },
        { "they are when they are made, not for a segment", DISK_SYNC_FOLDER, "store/c-*", 1 },
        { "folders of tables are not synced", DISK_SYNC_FOLDER, "store/c-*/tables", 0 },
        { "the registry's folder is not synced", DISK_SYNC_FOLDER, "store/registry*", 0 },
        { "the store's folder is not synced", DISK_SYNC_FOLDER, "store", 0 },
        { "it is when it is made, not for a collection", DISK_SYNC_FOLDER, "store", 1 },
        { "the folder that the store is in is not synced", DISK_SYNC_FOLDER, "", 0 },
    };
    bool all = true;
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        struct crash_counts counts;
        printf("planted: %s\n", bugs[i].what);
        try_crashes(points, &bugs[i], &counts);
        bool found = counts.wrong > 0;
        printf("  %s %zu crashes\n", found ? "found after" : "NOT FOUND in", counts.points);
        all = all && found;
    }
    return all;
}

static int list(const char *log)
{
    recording_load(log, &recording);
    for (size_t i = 0; i < recording.count; i++) {
        char text[PATH_SIZE];
        recorded_format(&recording.records[i], text, sizeof text);
        printf("%zu %s\n", i, text);
    }
    recording_free(&recording);
    return 0;
}

/* Under a sanitizer each takes longer. */
static size_t points_wanted(size_t points)
{
    const char *instrumented = getenv("WAGGLE_INSTRUMENTED");
    if (instrumented && *instrumented) points /= SLOWER;
    return (size_t)test_number_from("WAGGLE_CRASH_POINTS", points);
}

int crash_main(int argc, char **argv, size_t points)
{
    struct crash_counts counts = { 0 };
    if (argc == 4 && strcmp(argv[1], "--workload") == 0) return be_recorded(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "--list") == 0) return list(argv[2]);
    begin();
    if (argc == 1) {
        try_crashes(points_wanted(points), NULL, &counts);
        printf("%zu crashes tried, each store opened, verified, compared and "
               "written again: %zu held "
               "what was acknowledged, %zu that and what was in flight; %zu were "
               "wrong\n",
               counts.points, counts.exact, counts.in_flight, counts.wrong);
    }
    bool found = try_planted(POINTS_PLANTED);
    end();
    return counts.wrong > 0 || !found;
}
